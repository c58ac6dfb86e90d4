"""The demonstration company as Salesforce exports it: API names, UTC times, one close date, every change in its history.

What belongs here: the English form of canonical frames. What does not: what is in them, and writing files (sheet.py).
"""

import numpy as np
import pandas as pd

from pipelines.demo.names import CATEGORIES, STAGES, account_names, people_names
from pipelines.demo.sheet import Sheet

TIME_ZONE = "Asia/Shanghai"
"""The company's zone, in which the canonical times are."""

WORDS = {
    "empty": "",
    "unreadable_date": "2025-02-30T25:61:00.000+0000",
    "unreadable_amount": "about 300k, tbc",
    "unknown_stage": "Legal Review",
    "unknown_currency": "XXQ",
    "line_break": "Framework agreement\nphase two, \"pilot\"",
}  # fmt: skip
"""How the words of dirt.py are spelled."""

_FIELDS = {"amount": "Amount", "expected_close_date": "CloseDate", "owner_id": "Owner"}
_KINDS = {"call": "Call", "mail": "Email", "visit": "Visit", "demo": "Demo"}


def with_unmoved_rows(stage_history: pd.DataFrame, field_history: pd.DataFrame) -> pd.DataFrame:
    """Stage entries, and a row in the same stage for every change of the close date that came between two of them.

    Salesforce's OpportunityHistory gets a row whenever stage, amount or close date change. New rows get new labels.
    """
    pushed = field_history[field_history["field"] == "expected_close_date"]
    key = ["opportunity_id", "entered_at"]
    rows = pushed.rename(columns={"changed_at": "entered_at"})[key].assign(expected_close_date=pd.to_datetime(pushed["new_value"]))
    known = pd.MultiIndex.from_frame(stage_history[key])
    rows = rows[~pd.MultiIndex.from_frame(rows[key]).isin(known)]
    rows = rows.set_axis(range(stage_history.index.max() + 1, stage_history.index.max() + 1 + len(rows)))
    every = pd.concat([stage_history, rows]).sort_values(key, kind="stable")
    kept = ["stage", "amount", "owner_id"]
    return every.assign(**every.groupby("opportunity_id")[kept].ffill())


def opportunity_rows(rows: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """Opportunities as text; ``accounts`` gives the names."""
    names = account_names(accounts, chinese=False).set_axis(accounts["account_id"])
    names = names[~names.index.duplicated()]
    return pd.DataFrame(
        {
            "opportunity_id": rows["opportunity_id"],
            "is_deleted": "false",
            "account_id": rows["account_id"],
            "name": _named(rows, names),
            "stage": _stage(rows["stage"]),
            "amount": _amount(rows["amount"]),
            "currency": "CNY",
            "crm_probability": rows["crm_probability"].astype("Int64").astype("str"),
            "close_date": _date(rows["expected_close_date"]),
            "opportunity_type": rows["opportunity_type"],
            "source": rows["source"],
            "is_closed": _flag(rows["is_closed"]),
            "is_won": _flag(rows["is_won"]),
            "forecast_category": rows["stage"].map(CATEGORIES),
            "owner_id": rows["owner_id"],
            "created_at": _time(rows["created_at"]),
            "updated_at": _time(rows["updated_at"]),
            "industry": rows["industry"],
            "region": rows["region"],
            "product": rows["product"],
            "loss_reason": rows["loss_reason"].fillna(""),
        },
        index=rows.index,
    )


OPPORTUNITY_HEADERS = {
    "opportunity_id": "Id",
    "is_deleted": "IsDeleted",
    "account_id": "AccountId",
    "name": "Name",
    "stage": "StageName",
    "amount": "Amount",
    "currency": "CurrencyIsoCode",
    "crm_probability": "Probability",
    "close_date": "CloseDate",
    "opportunity_type": "Type",
    "source": "LeadSource",
    "is_closed": "IsClosed",
    "is_won": "IsWon",
    "forecast_category": "ForecastCategoryName",
    "owner_id": "OwnerId",
    "created_at": "CreatedDate",
    "updated_at": "LastModifiedDate",
    "industry": "Industry__c",
    "region": "Region__c",
    "product": "Product__c",
    "loss_reason": "LossReason__c",
}
CLOSE_DATES = {"expected_close_date": "close_date", "closed_at": "close_date"}
"""Salesforce has one close date: expected while open, actual once closed."""

HISTORY_HEADERS = {
    "opportunity_id": "OpportunityId",
    "stage": "StageName",
    "amount": "Amount",
    "close_date": "CloseDate",
    "forecast_category": "ForecastCategory",
    "entered_at": "CreatedDate",
}


def history_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """OpportunityHistory as text."""
    return pd.DataFrame(
        {
            "opportunity_id": rows["opportunity_id"],
            "stage": _stage(rows["stage"]),
            "amount": _amount(rows["amount"]),
            "close_date": _date(rows["expected_close_date"]),
            "forecast_category": rows["stage"].map(CATEGORIES),
            "entered_at": _time(rows["entered_at"]),
        },
        index=rows.index,
    )


def sheets(frames: dict[str, pd.DataFrame]) -> list[Sheet]:
    """All files of the export; ``frames`` are canonical, stage_history with its unmoved rows."""
    field_history = frames["field_history"]
    return [
        Sheet("opportunities", "Opportunity.csv", opportunity_rows(frames["opportunities"], frames["accounts"]), OPPORTUNITY_HEADERS, CLOSE_DATES),
        Sheet("stage_history", "OpportunityHistory.csv", history_rows(frames["stage_history"]), HISTORY_HEADERS, CLOSE_DATES),
        Sheet(
            "field_history",
            "OpportunityFieldHistory.csv",
            field_history.assign(field=field_history["field"].map(_FIELDS), changed_at=_time(field_history["changed_at"])),
            {"opportunity_id": "OpportunityId", "field": "Field", "old_value": "OldValue", "new_value": "NewValue", "changed_at": "CreatedDate"},
            {},
        ),
        owners_sheet(frames["owners"]),
        _accounts_sheet(frames["accounts"]),
        _activities_sheet(frames["activities"]),
        targets_sheet(frames["targets"]),
    ]


def owners_sheet(owners: pd.DataFrame) -> Sheet:
    """User.csv."""
    people = pd.Series(people_names(owners["owner_id"].nunique(), chinese=False), index=owners["owner_id"].drop_duplicates())
    rows = pd.DataFrame({"owner_id": owners["owner_id"], "name": owners["owner_id"].map(people), "team": owners["team"], "is_active": "true"})
    return Sheet("owners", "User.csv", rows, {"owner_id": "Id", "name": "Name", "team": "Team__c", "is_active": "IsActive"}, {})


def targets_sheet(targets: pd.DataFrame) -> Sheet:
    """Targets.csv, a list kept beside the CRM, under canonical names."""
    rows = targets.assign(period_start=_date(targets["period_start"]), target=_amount(targets["target"]))
    return Sheet("targets", "Targets.csv", rows, {name: name for name in targets}, {})


def _accounts_sheet(accounts: pd.DataFrame) -> Sheet:
    names = account_names(accounts, chinese=False).set_axis(accounts["account_id"])
    rows = pd.DataFrame(
        {
            "account_id": accounts["account_id"],
            "name": accounts["account_id"].map(names[~names.index.duplicated()]),
            "industry": accounts["industry"],
            "annual_revenue": _amount(accounts["annual_revenue"]),
            "employees": accounts["employees"].astype(str),
            "region": accounts["region"],
        }
    )
    headers = {
        "account_id": "Id",
        "name": "Name",
        "industry": "Industry",
        "annual_revenue": "AnnualRevenue",
        "employees": "NumberOfEmployees",
        "region": "Region__c",
    }
    return Sheet("accounts", "Account.csv", rows, headers, {})


def _activities_sheet(activities: pd.DataFrame) -> Sheet:
    rows = pd.DataFrame(
        {
            "activity_id": activities["activity_id"],
            "opportunity_id": activities["opportunity_id"],
            "owner_id": activities["owner_id"],
            "kind": activities["kind"].map(_KINDS),
            "status": "Completed",
            "happened_at": _time(activities["happened_at"]),
        }
    )
    headers = {"activity_id": "Id", "opportunity_id": "WhatId", "owner_id": "OwnerId", "kind": "Type", "status": "Status", "happened_at": "CompletedDateTime"}
    return Sheet("activities", "Task.csv", rows, headers, {})


def _named(rows: pd.DataFrame, account: pd.Series) -> pd.Series:
    plain = rows["account_id"].map(account) + " - " + rows["product"]
    return plain.where(rows["markup"] == "", rows["markup"])


def _stage(keys: pd.Series) -> pd.Series:
    return keys.map({key: english for key, (english, _) in STAGES.items()})


def _amount(values: pd.Series) -> pd.Series:
    return values.astype("int64").astype(str)


def _date(values: pd.Series) -> pd.Series:
    return pd.Series(np.datetime_as_string(values.to_numpy(), unit="D"), index=values.index, dtype="str")


def _time(values: pd.Series) -> pd.Series:
    utc = values.dt.tz_localize(TIME_ZONE).dt.tz_convert("UTC").dt.tz_localize(None)
    return pd.Series(np.datetime_as_string(utc.to_numpy(), unit="s"), index=values.index, dtype="str") + ".000+0000"


def _flag(values: pd.Series) -> pd.Series:
    return values.map({True: "true", False: "false"})
