"""How 纷享销客, 销售易, 悟空 and the sheets kept by hand write the company, and what their files cannot say.

What belongs here: one declaration per form of export. What does not: what they share (crm_writing.py).
"""

from dataclasses import replace

import pandas as pd

from pipelines.demo.names import STAGES
from tests.round_trips.company import OPEN_STAGES, WORLD, Company
from tests.round_trips.crm_forms import closings_are_derived_too
from tests.round_trips.crm_writing import (
    CrmForm,
    File,
    changed_with_the_stage,
    changes_alone,
    closed_at_the_instant,
    closed_on_a_day,
    closed_once,
    entry_of_the_stage,
    epoch_ms,
    in_the_last_open_stage,
    in_wan,
    local,
    outcome,
    percent,
    said,
    without_closings,
)

_CHINESE = {key: chinese for key, (_, chinese) in STAGES.items()}
_OF_THE_DEAL = {"商机类型": "opportunity_type", "所属行业": "industry", "区域": "region", "产品": "product", "预测类别": "forecast_category"}


def _in_words(amounts: pd.Series) -> pd.Series:
    return in_wan(amounts) + "万"


def closings_observed_beginning_too(number: int, kind: str) -> str:
    """A log of entries without closings: these follow from the row."""
    return "observed" if kind == "open" else "derived"


def no_history_of_values(company: Company) -> Company:
    """Nothing tells what amount, close date and owner were before: those of the row hold from the beginning."""
    values = {"amount": None, "expected_close_date": pd.NaT, "owner_id": None}
    history = company.frames["stage_history"].assign(**values)
    return company.with_frames(stage_history=history, field_history=company.frames["field_history"].iloc[:0])


# ---- 纷享销客 --------------------------------------------------------------------------------------------------------

FXIAOKE = CrmForm(
    crm="fxiaoke",
    exports={
        "crm": "fxiaoke",
        "tables": {
            "opportunities": {"files": "商机.csv"},
            "stage_history": {"files": "阶段变更.csv"},
            "field_history": {"files": "变更记录.csv"},
            "activities": {"files": "销售记录.csv"},
            "owners": {"files": "员工.csv"},
        },
    },
    files=(
        File(
            "商机.csv",
            "opportunities",
            {
                "商机编号": "opportunity_id", "商机名称": "name", "客户ID": "account_id", "负责人": "owner_id", "商机阶段": "stage", "商机金额(万元)": "amount",
                "币种": "currency", "创建时间": "created_at", "最后修改时间": "updated_at", "预计成交日期": "expected_close_date", "实际成交日期": "closed_at",
                "阶段状态": outcome("赢单", "输单", "进行中"), "生命状态": said("正常"), "输单原因": "loss_reason", "商机来源": "source", "赢率(%)": percent,
                **_OF_THE_DEAL,
            },
        ),
        File("阶段变更.csv", "stage_history", {"商机编号": "opportunity_id", "变更前阶段": "previous_stage", "变更后阶段": "stage", "变更时间": "entered_at"}),
        File(
            "变更记录.csv",
            "log",
            {"商机编号": "opportunity_id", "字段": "field", "原值": "old_value", "新值": "new_value", "修改时间": "changed_at"},
            rows=lambda frame: frame[frame["field"] != "stage"],
        ),
        File("销售记录.csv", "activities", {"销售记录编号": "activity_id", "商机编号": "opportunity_id", "跟进时间": "happened_at", "创建人": "owner_id"}),
        File("员工.csv", "owners", {"员工编号": "owner_id", "主属部门": "team"}),
    ),
    facts=(closed_once, closed_on_a_day, in_the_last_open_stage),
    writes=(changes_alone, without_closings),
    stages=_CHINESE,
    time=local("%Y-%m-%d %H:%M"),
    amount=in_wan,
    logged_amount=_in_words,
    fields={"amount": "商机金额", "expected_close_date": "预计成交日期", "owner_id": "负责人"},
    encoding="gb18030",
    marks=closings_are_derived_too,
)  # fmt: skip

FXIAOKE_INTERFACE = replace(FXIAOKE, exports={**FXIAOKE.exports, "dates": ["epoch_ms"]}, time=epoch_ms, encoding="utf-8")
"""Times as the CRM's interface gives them: milliseconds."""

# ---- 销售易 ----------------------------------------------------------------------------------------------------------

XIAOSHOUYI = CrmForm(
    crm="xiaoshouyi",
    exports={
        "crm": "xiaoshouyi",
        "tables": {
            "opportunities": {"files": "销售机会.csv", "required": ["created_at"]},
            "stage_history": {"files": "阶段历史.csv"},
            "field_history": {"files": "变更记录.csv"},
            "activities": {"files": "活动记录.csv"},
            "owners": {"files": "员工.csv"},
        },
    },
    files=(
        File(
            "销售机会.csv",
            "opportunities",
            {
                "销售机会编号": "opportunity_id", "销售机会名称": "name", "客户ID": "account_id", "机会类型": "opportunity_type", "销售机会所有人": "owner_id",
                "销售阶段": "stage", "销售机会状态": outcome("赢单", "输单", "进行中"), "销售金额(万元)": "amount", "币种": "currency", "创建日期": "created_at",
                "最新修改日期": "updated_at", "结单日期": "expected_close_date", "输单原因": "loss_reason", "机会来源": "source", "赢率": percent,
                **{header: name for header, name in _OF_THE_DEAL.items() if name != "opportunity_type"},
            },
        ),
        File(
            "阶段历史.csv",
            "stage_history",
            {
                "销售机会编号": "opportunity_id", "原销售阶段": "previous_stage", "新销售阶段": "stage", "变更日期": "entered_at", "销售金额(万元)": "amount",
            },
        ),
        File(
            "变更记录.csv",
            "log",
            {"商机编号": "opportunity_id", "字段": "field", "修改前": "old_value", "修改后": "new_value", "修改时间": "changed_at"},
            rows=lambda frame: frame[frame["_table"] == "field_history"],
        ),
        File("活动记录.csv", "activities", {"活动记录编号": "activity_id", "销售机会编号": "opportunity_id", "开始时间": "happened_at", "创建人": "owner_id"}),
        File("员工.csv", "owners", {"员工编号": "owner_id", "所属部门": "team"}),
    ),
    stages=_CHINESE,
    time=local("%Y/%m/%d %H:%M"),
    day=local("%Y年%m月%d日"),
    amount=in_wan,
    logged_amount=_in_words,
    fields={"amount": "销售金额", "expected_close_date": "预计结单日期", "owner_id": "销售机会所有人"},
    encoding="gb18030",
)  # fmt: skip

# ---- 悟空 ------------------------------------------------------------------------------------------------------------

_STATUS = {key: str(31 + number) for number, key in enumerate(OPEN_STAGES)}

WUKONG = CrmForm(
    crm="wukong",
    exports={
        "crm": "wukong",
        "tables": {
            "opportunities": {"files": "business.csv", "columns": {"closed_at": "update_time"}},
            "stage_history": {"files": "business_change.csv"},
            "activities": {"files": "activity.csv"},
            "owners": {"files": "user.csv"},
        },
        "lookups": {"stages": {"files": "business_status.csv"}},
    },
    files=(
        File(
            "business.csv",
            "opportunities",
            {
                "business_id": "opportunity_id", "business_name": "name", "customer_id": "account_id", "type_id": said("9"), "owner_user_id": "owner_id",
                "status_id": "stage", "money": "amount", "币种": "currency", "create_time": "created_at", "update_time": "updated_at",
                "deal_date": "expected_close_date", "is_end": outcome("1", "2", "0"), "status_remark": "loss_reason", "商机来源": "source", "赢率": lambda
                rows, form: percent(rows, form) + "%", **_OF_THE_DEAL,
            },
        ),
        File("business_change.csv", "stage_history", {"business_id": "opportunity_id", "status_id": "stage", "create_time": "entered_at"}),
        File("activity.csv", "activities", {"activity_id": "activity_id", "business_id": "opportunity_id", "create_time": "happened_at"}),
        File("user.csv", "owners", {"user_id": "owner_id", "dept_name": "team"}),
    ),
    facts=(closed_once, closed_at_the_instant, in_the_last_open_stage, no_history_of_values),
    writes=(without_closings,),
    stages=_STATUS,
    spelled=_CHINESE,
    time=local("%Y-%m-%d %H:%M:%S"),
    lookups={"business_status.csv": "status_id,type_id,name\n" + "".join(f"{number},9,{_CHINESE[key]}\n" for key, number in _STATUS.items())},
    marks=closings_observed_beginning_too,
)  # fmt: skip
"""The last change of a closed business is its closing."""

# ---- sheets kept by hand -------------------------------------------------------------------------------------------


def last_owner_of_the_line(company: Company) -> Company:
    """A line per customer and stage: the owner at that time stands in it, that of the newest line is the deal's."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    owners = history.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")["owner_id"]
    values = {"amount": None, "expected_close_date": pd.NaT}
    return company.with_frames(
        opportunities=deals.assign(owner_id=deals["opportunity_id"].map(owners)),
        stage_history=history.assign(**values),
        field_history=company.frames["field_history"].iloc[:0],
    )


_TRACKING = f"客户阶段转化跟踪表-{WORLD.end}.csv"


def lines_of_the_sheet(company: Company) -> Company:
    """A line per customer and stage, the newest first, each with what is known of the deal today."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    of_the_deal = deals.drop(columns=["stage", "owner_id", "amount", "expected_close_date"]).assign(today=deals["amount"], due=deals["expected_close_date"])
    rows = history.merge(of_the_deal, on="opportunity_id", validate="m:1").sort_values("entered_at", ascending=False, kind="stable")
    return company.with_frames(stage_history=rows)


SHEETS = CrmForm(
    crm="sheets",
    exports={
        "crm": "sheets",
        "tables": {
            "opportunities": {"files": "客户阶段转化跟踪表-*.csv"},
            "stage_history": {"files": "客户阶段转化跟踪表-*.csv"},
            "activities": {"files": "跟进记录.csv"},
            "owners": {"files": "人员.csv"},
        },
    },
    files=(
        File(
            _TRACKING,
            "stage_history",
            {
                "商机编号": "opportunity_id", "客户编号": "account_id", "商机名称": "name", "销售阶段": "stage", "进入当前阶段时间": "entered_at",
                "上一阶段": "previous_stage", "负责人": "owner_id", "预计金额(万元)": lambda rows, form: form.text("amount", rows["today"]),
                "币种": "currency", "创建时间": "created_at", "预计成交日期": lambda rows, form: form.text("expected_close_date", rows["due"]),
                "成交日期": "closed_at", "输单原因": "loss_reason", "来源渠道": "source", "赢率": lambda rows, form: percent(rows, form) + "%", **_OF_THE_DEAL,
            },
        ),
        File("跟进记录.csv", "activities", {"跟进编号": "activity_id", "商机编号": "opportunity_id", "跟进时间": "happened_at"}),
        File("人员.csv", "owners", {"工号": "owner_id", "部门": "team"}),
    ),
    facts=(last_owner_of_the_line, changed_with_the_stage, entry_of_the_stage),
    writes=(lines_of_the_sheet,),
    stages=_CHINESE,
    time=local("%Y年%m月%d日 %H:%M"),
    day=local("%Y.%m.%d"),
    amount=in_wan,
    encoding="utf-8-sig",
)  # fmt: skip
