"""Sheets that sales teams keep by hand in Excel, under the column headers of the usual Chinese templates.

What they share with Chinese CRMs is in chinese.py. A sheet has no number of its own and often no date: what it records is
dated by the day in its file's name (障碍分析表-2026-06-30.xlsx). Where a team works by customers, the customer is the deal.
"""

from assets.exports.crm.chinese import CRM as CHINESE
from assets.exports.crm.declaration import Part, Wide

_DEAL = ("商机编号", "商机ID", "机会编号", "客户编号", "客户名称")
_ENTERED = ("进入当前阶段时间", "进入阶段时间")

_ASSESSED = {
    ("需求匹配度",): "need_match",
    ("预算匹配度",): "budget_match",
    ("决策链完整度", "决策链完整性"): "chain_completeness",
    ("匹配度评分(1-5分)", "匹配度评分"): "fit_score",
    ("行业战略重要性",): "strategic_importance",
    ("决策链清晰度",): "chain_clarity",
    ("决策人支持度",): "decision_maker_support",
    ("采购紧急程度",): "purchase_urgency",
    ("采购时间", "预计采购时间"): "purchase_due_date",
    ("竞争态势",): "competition",
    ("竞争对手数",): "competitor_count",
    ("独特优势",): "unique_advantage",
    ("预算范围(万元)",): "budget_range_10k",
    ("预算是否审批",): "budget_approved",
    ("是否列入年度预算",): "budget_in_plan",
    ("是否已立项",): "project_approved",
    ("综合得分",): "recorded_score",
    ("分级",): "recorded_grade",
    **{(f"需求项{n}", f"需求{n}"): f"need_item_{n:02}" for n in range(1, 11)},
}

CRM = CHINESE.extended(
    "sheets",
    {
        "opportunities": {
            "opportunity_id": (_DEAL,),
            "name": (("商机名称", "项目名称", "客户名称"),),
            # The newest entry of a customer stands first: what is newest is told by when its stage was entered.
            "updated_at": (("更新时间", "最后修改时间", *_ENTERED),),
            "notes": (("备注", "客户关键信息(需求/预算/决策人)", "客户关键信息"),),
        },
        "stage_history": {"opportunity_id": (_DEAL,), "previous_stage": ("上一阶段",), "entered_at": (_ENTERED,)},
        "leads": {"contact": (("联系人",),), "title": (("职位",),), "phone": (("电话", "联系方式"),), "need": (("初步需求",),), "need_tags": (("需求标签",),)},
        "accounts": {"account_id": (("客户编号", "客户名称"),), "region": (("区域",),)},
        "support_requests": {"rating": (("评分", "协作评分", "评分(1-10)"),)},
        "targets": {"period_start": (("月份", "周期开始"),)},
    },
    parts={
        "assessments": (
            Part(when=(("评估项", "评估项目"),)),
            Part(
                headers={"assessed_at": (("评估时间", "评估日期", "客户确认时间", "确认日期"),)},
                wide=Wide(_ASSESSED, label="item", value="value"),
                dated_by_file="assessed_at",
            ),
        ),
        "contact_roles": (
            Part(
                when=(("决策者",),),
                wide=Wide({("决策者",): "decision maker", ("影响者",): "influencer", ("使用者",): "user"}, label="role", value="contact_id"),
            ),
        ),
        "milestones": (
            Part(when=(("客户确认时间", "确认日期"),), headers={"happened_at": (("客户确认时间", "确认日期"),)}, constants={"kind": "need confirmation"}),
            Part(
                when=("关键决策因素",),
                headers={"customer_feedback": ("客户核心关注点",)},
                constants={"kind": "win review"},
                dated_by_file="happened_at",
            ),
            Part(
                when=("客户真实拒绝原因",),
                headers={"customer_feedback": ("客户真实拒绝原因",)},
                constants={"kind": "loss analysis"},
                dated_by_file="happened_at",
            ),
        ),
        "obstacles": (Part(dated_by_file="opened_at"),),
        "support_requests": (Part(dated_by_file="opened_at"),),
        "improvement_actions": (Part(dated_by_file="opened_at"),),
    },
)
