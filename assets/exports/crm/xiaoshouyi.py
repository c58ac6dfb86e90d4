"""销售易 (xiaoshouyi, Neocrm): the labels of its exports and the names of its objects (opportunity, lead, account …).

What it shares with other Chinese CRMs is in chinese.py. Won and lost are stages of the sales process.
"""

from assets.exports.crm.chinese import CRM as CHINESE

_CREATED = (("创建日期", "创建时间", "createdAt"),)
_UPDATED = (("最新修改日", "最新修改日期", "修改日期", "updatedAt"),)

CRM = CHINESE.extended(
    "xiaoshouyi",
    {
        "opportunities": {
            "opportunity_id": (("销售机会编号", "商机编号", "销售机会ID", "商机ID", "id"),),
            "account_id": (("客户ID", "accountId", "客户名称"),),
            "name": (("销售机会名称", "机会名称", "商机名称", "opportunityName"),),
            "pipeline": (("业务类型", "销售机会类型", "entityType"),),
            "opportunity_type": (("机会类型", "opportunityType"),),
            "owner_id": (("销售机会所有人", "商机所有人", "ownerId"),),
            "stage": (("销售阶段", "阶段", "saleStageId"),),
            "stage_entered_at": (("阶段更新日期", "进入阶段日期", "stageUpdatedAt"),),
            "amount": (("销售金额", "商机金额", "money"),),
            "currency": (("币种", "currencyUnit"),),
            "created_at": _CREATED,
            "updated_at": _UPDATED,
            "expected_close_date": (("预计结单日期", "结单日期", "closeDate"),),
            "closed_at": (("实际结单日期", "赢单日期", "结单日期", "actualCloseDate", "closeDate"),),
            "outcome": (("销售机会状态", "状态", "status"),),
            "loss_reason": (("输单原因", "丢单原因", "lostReason", "reason"),),
            "source": (("机会来源", "线索来源", "sourceId"),),
            "product": (("产品", "product"),),
            "lead_id": (("销售线索", "leadId"),),
            "forecast_category": (("预测类别", "forecastCategory"),),
            "crm_probability": (("赢率", "赢率(%)", "winRate"),),
            "notes": (("备注", "comment"),),
        },
        "stage_history": {
            "opportunity_id": (("销售机会编号", "销售机会", "opportunityId"),),
            "stage": (("新销售阶段", "变更后阶段", "销售阶段", "newStageId"),),
            "previous_stage": (("原销售阶段", "变更前阶段", "oldStageId"),),
            "entered_at": (("变更日期", "变更时间", "修改日期", "changedAt"),),
            "amount": (("销售金额", "money"),),
        },
        "leads": {
            "lead_id": (("销售线索编号", "线索编号", "id"),),
            "source": (("线索来源", "leadSourceId"),),
            "captured_at": _CREATED,
            "account_name": (("公司名称", "companyName"),),
            "contact": (("姓名", "name"),),
            "title": (("职务", "post"),),
            "phone": (("手机", "电话", "mobile", "phone"),),
            "email": (("电子邮件", "email"),),
            "status": (("跟进状态", "线索状态", "status"),),
            "owner_id": (("线索所有人", "ownerId"),),
            "converted_opportunity_id": (("转换后销售机会", "opportunityId"),),
        },
        "accounts": {
            "account_id": (("客户编号", "id"),),
            "name": (("客户名称", "accountName"),),
            "industry": (("行业", "industryId"),),
            "annual_revenue": (("销售额", "annualRevenue"),),
            "employees": (("总人数", "employeeNumber"),),
            "region": (("省份", "state"),),
            "tier": (("客户级别", "level"),),
        },
        "contact_roles": {
            "opportunity_id": (("销售机会编号", "销售机会", "opportunityId"),),
            "contact_id": (("联系人姓名", "联系人", "contactId"),),
            "role": (("角色", "决策角色", "role"),),
        },
        "activities": {
            "activity_id": (("活动记录编号", "id"),),
            "opportunity_id": (("销售机会编号", "关联销售机会", "belongObjectId"),),
            "kind": (("活动类型", "活动记录类型", "entityType"),),
            "happened_at": (("开始时间", "活动日期", "startTime"),),
            "owner_id": (("活动记录所有人", "创建人", "ownerId"),),
            "text": (("活动内容", "内容", "content"),),
        },
        "owners": {"owner_id": (("员工编号", "姓名", "id"),), "team": (("所属部门", "departId"),), "manager_id": (("直属上级", "managerId"),)},
        "payments": {
            "opportunity_id": (("销售机会编号", "销售机会", "opportunityId"),),
            "kind": (("款项类型", "paymentType"),),
            "due_at": (("计划回款日期", "planDate"),),
            "paid_at": (("实际回款日期", "回款日期", "payDate"),),
            "amount": (("回款金额", "计划金额", "amount"),),
        },
    },
    percent={"opportunities": ("crm_probability",)},
)
