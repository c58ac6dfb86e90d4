"""The demonstration company as a Chinese CRM exports it: Chinese headers, amounts in 万元, local times without zone.

What belongs here: the Chinese form of canonical frames. What does not: what is in them, and writing files (sheet.py).
"""

import pandas as pd

from pipelines.demo.names import CATEGORIES, CHINESE, STAGES, account_names, ids_in_chinese, in_chinese, people_names
from pipelines.demo.sheet import XLSX, Sheet

GB18030, UTF8_BOM = "gb18030", "utf-8-sig"

WORDS = {
    "empty": "",
    "unreadable_date": "2025年2月30日 下旬",
    "unreadable_amount": "大概三十万左右",
    "unknown_stage": "法务审核",
    "unknown_currency": "XXQ",
    "line_break": "框架协议\n二期“试点”",
}
"""How the words of dirt.py are spelled."""

_KINDS = {"call": "电话", "mail": "邮件", "visit": "拜访", "demo": "演示"}
_FIELDS = {"amount": "商机金额", "expected_close_date": "预计成交日期", "owner_id": "负责人"}
_YUAN_PER_WAN = 10_000

_OPPORTUNITY_HEADERS = {
    "opportunity_id": "商机编号",
    "name": "商机名称",
    "account_id": "客户编号",
    "opportunity_type": "商机类型",
    "stage": "销售阶段",
    "outcome": "商机状态",
    "amount": "商机金额(万元)",
    "currency": "币种",
    "crm_probability": "赢率",
    "forecast_category": "预测类别",
    "created_at": "创建时间",
    "expected_close_date": "预计成交日期",
    "closed_at": "成交日期",
    "owner_id": "负责人",
    "source": "商机来源",
    "industry": "所属行业",
    "region": "区域",
    "product": "产品",
    "loss_reason": "输单原因",
    "updated_at": "最后修改时间",
}


def sheets(frames: dict[str, pd.DataFrame]) -> list[Sheet]:
    """All files of the export; ``frames`` are canonical."""
    accounts = frames["accounts"]
    names = account_names(accounts, chinese=True).set_axis(accounts["account_id"])
    names = names[~names.index.duplicated()]
    return [
        Sheet("opportunities", "商机.xlsx", _opportunities(frames["opportunities"], names), _OPPORTUNITY_HEADERS, {}, XLSX, ("amount",)),
        _history_sheet(frames["stage_history"]),
        _changes_sheet(frames["field_history"]),
        _owners_sheet(frames["owners"]),
        _accounts_sheet(accounts, names),
        _activities_sheet(frames["activities"]),
        _targets_sheet(frames["targets"]),
    ]


def _opportunities(rows: pd.DataFrame, account: pd.Series) -> pd.DataFrame:
    name = rows["account_id"].map(account) + rows["product"].replace(CHINESE) + "项目"
    outcome = pd.Series("进行中", index=rows.index).mask(rows["is_closed"], "输单").mask(rows["is_won"], "赢单")
    return in_chinese(rows).assign(
        name=name.where(rows["markup"] == "", rows["markup"]),
        stage=_stage(rows["stage"]),
        outcome=outcome,
        amount=_wan(rows["amount"]),
        crm_probability=rows["crm_probability"].astype("Int64").astype("str") + "%",
        forecast_category=rows["stage"].map(CATEGORIES),
        created_at=_time_in_words(rows["created_at"]),
        updated_at=_time_in_words(rows["updated_at"]),
        expected_close_date=_date_in_words(rows["expected_close_date"]),
        closed_at=_date_in_words(rows["closed_at"]).fillna(""),
        loss_reason=rows["loss_reason"].replace(CHINESE).fillna(""),
    )


def _history_sheet(rows: pd.DataFrame) -> Sheet:
    text = in_chinese(rows).assign(
        stage=_stage(rows["stage"]),
        entered_at=_slashed_time(rows["entered_at"]),
        amount=_wan(rows["amount"]),
        expected_close_date=_slashed_date(rows["expected_close_date"]),
        forecast_category=rows["stage"].map(CATEGORIES),
    )
    headers = {
        "opportunity_id": "商机编号",
        "stage": "变更后阶段",
        "entered_at": "进入阶段时间",
        "amount": "金额(万元)",
        "expected_close_date": "预计成交日期",
        "forecast_category": "预测类别",
    }
    return Sheet("stage_history", "阶段历史.csv", text, headers, {}, GB18030)


def _changes_sheet(rows: pd.DataFrame) -> Sheet:
    """The log names fields by their headers and writes each value as a person would."""
    text = in_chinese(rows).assign(
        field=rows["field"].map(_FIELDS),
        changed_at=_slashed_time(rows["changed_at"]),
        **{column: _changed_value(rows["field"], rows[column]) for column in ("old_value", "new_value")},
    )
    headers = {"opportunity_id": "商机编号", "field": "字段", "old_value": "修改前", "new_value": "修改后", "changed_at": "修改时间"}
    return Sheet("field_history", "变更记录.csv", text, headers, {}, GB18030)


def _changed_value(field: pd.Series, value: pd.Series) -> pd.Series:
    amount = _wan(pd.to_numeric(value.where(field == "amount", "0"))) + "万"
    close = _slashed_date(pd.to_datetime(value.where(field == "expected_close_date")))
    return ids_in_chinese(value).mask(field == "amount", amount).mask(field == "expected_close_date", close)


def _owners_sheet(owners: pd.DataFrame) -> Sheet:
    people = pd.Series(people_names(owners["owner_id"].nunique(), chinese=True), index=owners["owner_id"].drop_duplicates())
    text = in_chinese(owners).assign(name=owners["owner_id"].map(people))
    return Sheet("owners", "人员.csv", text, {"owner_id": "工号", "name": "姓名", "team": "所属团队"}, {}, UTF8_BOM)


def _accounts_sheet(accounts: pd.DataFrame, names: pd.Series) -> Sheet:
    text = in_chinese(accounts).assign(
        name=accounts["account_id"].map(names),
        annual_revenue=_wan(accounts["annual_revenue"]),
        employees=accounts["employees"].astype(str),
    )
    headers = {"account_id": "客户编号", "name": "客户名称", "industry": "所属行业", "annual_revenue": "年营收(万元)", "employees": "员工数", "region": "区域"}
    return Sheet("accounts", "客户.csv", text, headers, {}, UTF8_BOM)


def _activities_sheet(rows: pd.DataFrame) -> Sheet:
    text = in_chinese(rows).assign(kind=rows["kind"].map(_KINDS), happened_at=_slashed_time(rows["happened_at"]))
    headers = {"activity_id": "跟进编号", "opportunity_id": "商机编号", "kind": "跟进方式", "happened_at": "跟进时间", "owner_id": "负责人"}
    return Sheet("activities", "跟进记录.csv", text, headers, {}, GB18030)


def _targets_sheet(rows: pd.DataFrame) -> Sheet:
    text = in_chinese(rows).assign(period_start=_slashed_date(rows["period_start"]), target=rows["target"].astype("int64").astype(str))
    headers = {"period_kind": "周期类型", "period_start": "周期开始", "dimension": "维度", "member": "成员", "metric": "指标", "target": "目标值"}
    return Sheet("targets", "目标.csv", text, headers, {}, UTF8_BOM)


def _stage(keys: pd.Series) -> pd.Series:
    return keys.map({key: chinese for key, (_, chinese) in STAGES.items()})


def _wan(yuan: pd.Series) -> pd.Series:
    """Whole yuan as 万元, exactly: at most four decimals, no trailing zeros."""
    whole = yuan.astype("int64")
    decimals = (whole % _YUAN_PER_WAN).astype(str).str.zfill(4)
    return ((whole // _YUAN_PER_WAN).astype(str) + "." + decimals).str.replace(r"\.?0+$", "", regex=True)


def _part(values: pd.Series, name: str) -> pd.Series:
    return getattr(values.dt, name).astype("Int64").astype("str")


def _slashed_date(values: pd.Series) -> pd.Series:
    return _part(values, "year") + "/" + _part(values, "month") + "/" + _part(values, "day")


def _date_in_words(values: pd.Series) -> pd.Series:
    return _part(values, "year") + "年" + _part(values, "month") + "月" + _part(values, "day") + "日"


def _clock(values: pd.Series) -> pd.Series:
    return " " + _part(values, "hour") + ":" + _part(values, "minute").str.zfill(2)


def _slashed_time(values: pd.Series) -> pd.Series:
    return _slashed_date(values) + _clock(values)


def _time_in_words(values: pd.Series) -> pd.Series:
    return _date_in_words(values) + _clock(values)
