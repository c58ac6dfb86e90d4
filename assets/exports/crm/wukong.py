"""悟空 (wukong): the labels of its exports and the names of its tables (wk_crm_business, wk_crm_leads, wk_crm_achievement …).

What it shares with other Chinese CRMs is in chinese.py. ``is_end`` (1 won, 2 lost, 3 invalid) stands beside the stage.
A target is a line per year with twelve month columns. The CRM keeps no close date: the configuration must say which
column serves as one.
"""

from assets.exports.crm.chinese import CRM as CHINESE
from assets.exports.crm.declaration import Filled, Lookup, Part, Wide

_MONTHS = {
    ("january", "一月", "1月"): "01",
    ("february", "二月", "2月"): "02",
    ("march", "三月", "3月"): "03",
    ("april", "四月", "4月"): "04",
    ("may", "五月", "5月"): "05",
    ("june", "六月", "6月"): "06",
    ("july", "七月", "7月"): "07",
    ("august", "八月", "8月"): "08",
    ("september", "九月", "9月"): "09",
    ("october", "十月", "10月"): "10",
    ("november", "十一月", "11月"): "11",
    ("december", "十二月", "12月"): "12",
}

_OWNER = (("负责人", "owner_user_id", "ownerUserId"),)
_CREATED = (("创建时间", "create_time", "createTime"),)
_BUSINESS = ("商机编号", "business_id", "businessId", "关联商机", "商机名称")

CRM = CHINESE.extended(
    "wukong",
    {
        "opportunities": {
            # The pages export no number of the business: its name stands for it there.
            "opportunity_id": (("商机编号", "business_id", "businessId", "商机名称"),),
            "account_id": (("客户编号", "customer_id", "customerId", "客户名称"),),
            "name": (("商机名称", "business_name", "businessName"),),
            "pipeline": (("商机状态组", "商机组", "type_id", "typeId"),),
            "owner_id": _OWNER,
            "stage": (("商机阶段", "status_id", "statusId", "阶段"),),
            "amount": (("商机金额", "money"),),
            "created_at": _CREATED,
            "updated_at": (("更新时间", "update_time", "updateTime"),),
            "expected_close_date": (("预计成交日期", "deal_date", "dealDate"),),
            "outcome": (("is_end", "isEnd", "商机结果", "商机状态"),),
            "source": (("客户来源", "线索来源", "商机来源"),),
            "notes": (("备注", "remark"),),
        },
        "stage_history": {
            "opportunity_id": (("business_id", "businessId", "商机编号", "商机名称"),),
            "stage": (("status_id", "statusId", "商机阶段", "阶段"),),
            "entered_at": (("create_time", "createTime", "变更时间", "推进时间"),),
        },
        "leads": {
            "lead_id": (("线索编号", "leads_id", "leadsId", "线索名称"),),
            "source": (("线索来源", "source"),),
            "captured_at": _CREATED,
            "account_name": (("线索名称", "leads_name", "leadsName"),),
            "industry": (("客户行业", "industry"),),
            "phone": (("手机", "电话", "mobile", "telephone"),),
            "email": (("邮箱", "email"),),
            "status": (("是否转化", "is_transform", "isTransform"),),
            "owner_id": _OWNER,
        },
        "accounts": {
            "account_id": (("客户编号", "customer_id", "customerId", "客户名称"),),
            "name": (("客户名称", "customer_name", "customerName"),),
            "industry": (("客户行业", "industry"),),
            "tier": (("客户级别", "level"),),
            "region": (("省份", "省市区", "address"),),
        },
        "contact_roles": {
            "opportunity_id": (_BUSINESS,),
            "contact_id": (("联系人编号", "contacts_id", "contactsId", "姓名", "联系人姓名", "联系人"),),
            "role": (("是否关键决策人", "policymakers", "角色"),),
        },
        "activities": {
            "activity_id": (("跟进记录编号", "activity_id", "activityId"),),
            "opportunity_id": (_BUSINESS,),
            "kind": (("记录类型", "跟进类型", "category"),),
            "happened_at": (("跟进时间", "create_time", "createTime", "创建时间"),),
            "owner_id": (("创建人", "跟进人", "create_user_id", "createUserId"),),
            "text": (("跟进内容", "content"),),
        },
        "owners": {
            "owner_id": (("user_id", "userId", "员工编号", "姓名", "realname"),),
            "name": (("姓名", "realname"),),
            "team": (("部门", "dept_name", "deptName", "dept_id"),),
        },
        "targets": {
            "dimension": (("type", "类型"),),
            "member": (("obj_name", "objName", "名称", "员工", "部门", "obj_id", "objId"),),
            "metric": (("status", "目标类型"),),
        },
        "payments": {
            "opportunity_id": (_BUSINESS,),
            "kind": (("回款方式", "期数", "return_type"),),
            "due_at": (("计划回款日期", "回款日期", "return_date"),),
            "paid_at": (("回款日期", "return_time", "returnTime"),),
            "amount": (("回款金额", "money", "合同金额"),),
        },
        "follow_up_plans": {"opportunity_id": (_BUSINESS,), "due_at": (("下次联系时间", "next_time", "nextTime"),)},
    },
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "owner"}},
    values={
        "opportunities": {
            "outcome": {"0": "open", "1": "won", "2": "lost", "3": "lost", "进行中": "open", "赢单": "won", "输单": "lost", "无效": "lost"},
            "loss_reason": {"0": "", "1": "", "2": "", "3": "无效", "进行中": "", "赢单": "", "输单": ""},
        },
        "contact_roles": {"role": {"1": "decision maker", "是": "decision maker", "0": "user", "否": "user"}},
        "leads": {"status": {"1": "已转化", "0": "待培育"}},
        "targets": {
            "dimension": {"1": "all", "2": "team", "3": "owner", "公司": "all", "部门": "team", "员工": "owner"},
            "member": {"0": "all", "公司": "all", "全公司": "all"},
            "metric": {"1": "bookings", "2": "payments", "销售": "bookings", "回款": "payments"},
        },
    },
    parts={
        # An invalid business is lost for that reason; of the others only the remark tells one.
        "opportunities": (Part(headers={"loss_reason": (Filled(("输单原因", "丢单原因", "status_remark", "statusRemark", "is_end", "isEnd", "商机结果")),)}),),
        "targets": (
            Part(
                when=(("january", "一月", "1月"),),
                wide=Wide(_MONTHS, label="period_start", value="target", form="{given}-{label}-01", given=("year", "年份", "年度", "年")),
            ),
        ),
    },
    lookups={
        "stages": Lookup(
            key=(("status_id", "statusId"),),
            value=(("name", "阶段名称"),),
            columns={"opportunities": ("stage",), "stage_history": ("stage",)},
            pipeline=(("type_id", "typeId"),),
        ),
        "pipelines": Lookup(key=(("type_id", "typeId"),), value=(("name", "商机组名称"),), columns={"opportunities": ("pipeline",)}),
    },
    outcome_beside_stage=True,
)
