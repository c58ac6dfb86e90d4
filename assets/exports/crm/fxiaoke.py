"""纷享销客 (fxiaoke): the labels of its exports and the names of its objects (NewOpportunityObj, LeadsObj, AccountObj …).

What it shares with other Chinese CRMs is in chinese.py. A record that was voided (作废) is exported with that state of life.
"""

from assets.exports.crm.chinese import CRM as CHINESE

_OWNER = (("owner", "owner__r", "负责人", "负责人(必填)"),)
_CREATED = (("创建时间", "create_time"),)
_UPDATED = (("最后修改时间", "last_modified_time"),)
_LIFE = {"作废": "true", "invalid": "true", "正常": "false", "normal": "false", "未生效": "false", "审核中": "false", "变更中": "false"}

CRM = CHINESE.extended(
    "fxiaoke",
    {
        "opportunities": {
            "opportunity_id": (("商机编号", "数据ID", "唯一性ID", "_id"),),
            "account_id": (("客户ID", "account_id", "客户名称"),),
            "name": (("商机名称", "商机2.0名称", "name"),),
            "pipeline": (("销售流程", "sales_process_name", "sales_process_id", "业务类型", "record_type"),),
            "owner_id": _OWNER,
            "stage": (("商机阶段", "销售阶段", "阶段名称", "sales_stage"),),
            "stage_entered_at": (("阶段变更时间", "阶段变化时间", "stg_changed_time", "sales_stg_changed_time"),),
            "amount": (("商机金额", "预计成交金额", "amount", "expected_deal_amount"),),
            "created_at": _CREATED,
            "updated_at": _UPDATED,
            "expected_close_date": (("预计成交日期", "close_date", "expected_deal_closed_date"),),
            "closed_at": (("实际成交日期", "赢单时间", "actual_close_date", "deal_closed_date"),),
            "outcome": (("阶段状态", "商机状态", "biz_status", "sales_status"),),
            "is_deleted": (("生命状态", "life_status"),),
            "loss_reason": (("输单原因", "lost_reason"),),
            "source": (("商机来源", "线索来源", "source", "leads_source"),),
            "lead_id": (("销售线索", "leads_id"),),
            "crm_probability": (("赢率", "赢率(%)", "probability"),),
            "notes": (("备注", "remark"),),
        },
        "stage_history": {
            "opportunity_id": (("商机", "商机编号", "objectId", "oppo_id"),),
            "stage": (("变更后阶段", "阶段名称", "target_stage", "sales_stage"),),
            "previous_stage": (("变更前阶段", "source_stage"),),
            "entered_at": (("变更时间", "进入时间", "stg_changed_time"),),
        },
        "leads": {
            "lead_id": (("线索编号", "数据ID", "唯一性ID", "_id"),),
            "source": (("来源", "线索来源", "source"),),
            "captured_at": _CREATED,
            "assigned_at": (("分配时间", "领取时间", "assigned_time"),),
            "account_name": (("公司", "公司名称", "company"),),
            "contact": (("姓名", "线索名称", "name"),),
            "title": (("职务", "job_title"),),
            "phone": (("手机", "电话", "mobile", "tel"),),
            "email": (("邮件", "email"),),
            "status": (("状态", "线索状态", "leads_status", "biz_status"),),
            "owner_id": _OWNER,
            "first_touch_at": (("首次跟进时间", "last_followed_time"),),
            "converted_opportunity_id": (("转换后商机", "商机", "opportunity_id", "new_opportunity_id"),),
        },
        "accounts": {
            "account_id": (("客户编号", "数据ID", "唯一性ID", "_id"),),
            "name": (("客户名称", "name"),),
            "industry": (("1级行业", "行业", "industry_level1"),),
            "employees": (("人员规模", "employee_number"),),
            "region": (("省", "province"),),
            "tier": (("客户级别", "account_level"),),
        },
        "contact_roles": {
            "opportunity_id": (("商机名称", "商机编号", "new_opportunity_id"),),
            "contact_id": (("联系人姓名", "联系人", "contact_id"),),
            "role": (("决策角色", "角色", "contact_role"),),
        },
        "activities": {
            "activity_id": (("销售记录编号", "数据ID", "_id"),),
            "opportunity_id": (("商机编号", "关联商机", "商机", "related_opportunity"),),
            "kind": (("销售记录类型", "active_record_type"),),
            "happened_at": (("跟进时间", "创建时间", "create_time"),),
            "owner_id": (("创建人", "发布人", "负责人", "owner"),),
            "text": (("销售记录内容", "跟进内容", "active_record_content"),),
        },
        "owners": {
            "owner_id": (("员工编号", "姓名", "昵称", "user_id"),),
            "team": (("主属部门", "部门", "main_department"),),
            "manager_id": (("汇报对象", "leader"),),
        },
        "payments": {
            "opportunity_id": (("商机", "商机编号", "opportunity_id"),),
            "kind": (("回款类型", "payment_type"),),
            "due_at": (("计划回款日期", "plan_payment_time"),),
            "paid_at": (("实际回款日期", "回款日期", "payment_time"),),
            "amount": (("回款金额", "计划回款金额", "payment_amount", "plan_payment_amount"),),
        },
        "targets": {"member": (("考核对象", "人员", "部门"),), "target": (("目标值", "目标金额", "value"),)},
    },
    percent={"opportunities": ("crm_probability",)},
    values={
        "opportunities": {
            "is_deleted": _LIFE,
            "outcome": {
                "running": "open",
                "进行中": "open",
                "win": "won",
                "赢单": "won",
                "lose": "lost",
                "lost": "lost",
                "输单": "lost",
                "invalid": "lost",
                "无效": "lost",
                "1": "open",
                "2": "won",
                "3": "lost",
                "4": "lost",
            },
        }
    },
    outcome_beside_stage=True,
)
