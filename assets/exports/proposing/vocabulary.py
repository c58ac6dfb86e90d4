"""Words by which tables, columns and outcomes are known where no CRM's declaration knows them.

What belongs here: plain words of English and Chinese. What does not: names of one CRM (assets/exports/crm), stages and
their order (stage_words.py), and what is made of the words (the modules beside this one).
"""

import re
from types import MappingProxyType

TABLE_WORDS = MappingProxyType(
    {
        "opportunities": ("opportunities", "opportunity", "deals", "deal", "pipeline", "cases", "商机", "机会", "项目"),
        "stage_history": (
            "opportunityhistory", "stagehistory", "stagechanges", "stageevents", "dealstage", "dealstages", "stages", "阶段历史", "阶段变更", "推进记录",
        ),
        "field_history": ("opportunityfieldhistory", "fieldhistory", "propertyhistory", "changelog", "变更记录", "修改记录", "变更历史"),
        "leads": ("leads", "lead", "contact", "线索"),
        "accounts": ("accounts", "account", "company", "companies", "customers", "organizations", "客户"),
        "contact_roles": ("contactrole", "contactroles", "dealcontact", "opportunitycontact", "决策链", "联系人角色"),
        "activities": ("activities", "activity", "task", "tasks", "event", "events", "engagement", "call", "meeting", "跟进", "拜访", "活动"),
        "owners": ("owners", "owner", "users", "user", "team", "teams", "salesteams", "employees", "人员", "员工", "销售团队", "用户"),
        "targets": ("targets", "target", "quota", "quotas", "goals", "目标", "指标"),
        "forecast_calls": ("forecast", "commit", "承诺", "预测"),
        "payments": ("payments", "payment", "collection", "回款", "收款"),
        "satisfaction": ("satisfaction", "survey", "满意度"),
        "assessments": ("assessments", "assessment", "scoring", "评估", "评分"),
        "milestones": ("milestones", "milestone", "里程碑"),
        "obstacles": ("obstacles", "obstacle", "障碍"),
        "follow_up_plans": ("followupplan", "followups", "跟进计划"),
        "support_requests": ("supportrequests", "support", "支持需求", "协作"),
        "improvement_actions": ("improvement", "优化", "改进"),
        "exchange_rates": ("exchangerates", "rates", "汇率"),
        "splits": ("splits", "split", "分成"),
    }
)  # fmt: skip
"""Words that names of files hold, without blanks and marks, by the table that they tell of."""

COLUMN_WORDS = MappingProxyType(
    {
        "opportunity_id": ("opportunity id", "deal id", "case id", "deal number", "deal no", "opportunity number", "opportunity", "deal", "opportunity name"),
        "account_id": ("account id", "customer id", "client id", "company id", "account", "customer", "client", "company", "客户"),
        "owner_id": (
            "owner id", "owner", "sales agent", "agent", "sales rep", "rep", "representative", "seller", "salesperson", "account executive", "resource",
            "assigned to", "业务员", "销售", "销售代表", "客户经理", "所属事业部",
        ),
        "stage": ("stage", "deal stage", "sales stage", "pipeline stage", "phase", "step", "activity", "阶段", "状态"),
        "amount": ("amount", "value", "deal value", "close value", "deal size", "contract value", "amount requested", "revenue", "price", "金额"),
        "currency": ("currency", "currency code", "币种"),
        "created_at": (
            "created", "create date", "created date", "creation date", "created on", "open date", "start date", "engage date", "registered at", "registered",
            "opened", "date opened", "建立时间", "立项时间",
        ),
        "updated_at": ("updated", "last updated", "modified", "last modified", "last activity"),
        "expected_close_date": ("expected close", "expected close date", "estimated close", "forecast close", "预计成交"),
        "closed_at": ("close date", "closed date", "closed", "closed on", "won date", "end date", "成交日期"),
        "entered_at": ("entered", "timestamp", "date entered", "changed at", "change date", "time", "date", "start time"),
        "exited_at": ("exited", "left", "date exited", "end time"),
        "loss_reason": ("loss reason", "lost reason", "reason lost", "closed lost reason"),
        "source": ("source", "lead source", "channel", "origin", "来源"),
        "industry": ("industry", "sector", "vertical", "行业"),
        "product": ("product", "product line", "solution", "产品"),
        "region": ("region", "territory", "country", "office location", "area", "区域"),
        "outcome": ("outcome", "result", "status", "结果"),
        "opportunity_type": ("type", "opportunity type", "deal type"),
        "crm_probability": ("probability", "win probability", "likelihood", "赢率"),
        "annual_revenue": ("revenue", "annual revenue", "turnover", "营收"),
        "employees": ("employees", "headcount", "number of employees", "员工数"),
        "name": ("name", "title", "名称"),
        "team": ("team", "regional office", "office", "group", "department", "division", "团队", "部门"),
        "manager_id": ("manager", "supervisor", "reports to", "上级", "主管"),
        "tier": ("tier", "segment", "rating", "class", "类型"),
        "kind": ("type", "kind", "activity type"),
        "happened_at": ("date", "activity date", "happened", "time", "due date", "start"),
        "text": ("subject", "description", "notes", "body"),
    }
)  # fmt: skip
"""Headers by which a column is known where no declaration knows it, in plain words, the likeliest first."""

WON = re.compile(r"\bwon\b|\bwin\b|赢单|已赢|^已?成交|(?<!商务)成交$")
LOST = re.compile(r"\blost\b|输单|丢单|已输|无效|搁置")
"""Names that only an outcome has, in lower case."""

WON_OR_STEP = re.compile(r"\b(approved|activated|signed|accepted order|completed)\b|已签约|已完成")
LOST_OR_STEP = re.compile(r"\b(declined|cancell?ed|rejected|abandoned|disqualified|dead)\b|失败|放弃|取消|流失|关闭")
"""Names that an outcome may have, and a step on the way, too: what follows them decides."""

OPEN = re.compile(r"^(open|in progress|active|ongoing|进行中|跟进中|未结束|正常)$", re.IGNORECASE)
"""Outcomes that say there is none yet."""

NOTHING = ("-", "--", "n/a", "na", "null", "none", "nil", "无", "/", "select", "#n/a", "未填写")
"""Spellings of no value, in lower case."""


def plain(name: str) -> str:
    """A header or file name in lower-case words: ``CloseDate__c`` is ``close date``."""
    name = re.sub(r"(__c|_c)$", "", name.strip("\ufeff "))
    name = re.sub(r"^property_", "", name)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    name = re.sub(r"[(\[（【].*?[)\]）】]", " ", name)
    return re.sub(r"[\W_]+", " ", name).strip().lower()
