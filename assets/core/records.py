"""The trusted tables beside the deals as assets: leads, contacts' roles, activities, targets, calls, payments, answers to surveys.

What belongs here: one asset per table of quality/tables/core_records.py, and how what people write in their columns is spelled.
What does not: deals and their histories (trusted.py), reading and judging of exports, and anything counted.
"""

from collections.abc import Mapping
from types import MappingProxyType

import dagster as dg
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from assets.declare import table_asset
from assets.exports.settings import Configuration
from assets.query import Engine, Parquet, Query, sql_beside
from models.settings import Company, Target
from quality.masking import id_masks
from quality.tables.columns import arrow_type
from quality.tables.core_records import CORE

GROUP = "core"
_TABLES = CORE.tables

RECORDS = ("leads", "contact_roles", "activities", "targets", "forecast_calls", "payments", "satisfaction")
"""Trusted tables that follow from the export of the same name, and are empty without it."""

_SPELLINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "lead_status": {"touched": ("已触达",), "to nurture": ("待培育",), "invalid": ("无效线索", "无效")},
        "role": {
            "decision maker": ("decision_maker", "决策者", "决策人", "关键决策人"),
            "influencer": ("影响者", "影响人"),
            "user": ("end user", "business user", "end_user", "使用者", "使用人"),
        },
        "activity_kind": {
            "call": ("phone", "phone call", "phonecall", "电话", "打电话"),
            "visit": ("meeting", "拜访", "上门拜访", "会议"),
            "mail": ("email", "e-mail", "邮件"),
            "chat": ("wechat", "微信", "企业微信"),
            "demo": ("演示",),
            "event": ("活动",),
        },
        "direction": {"inbound": ("incoming", "呼入", "来电"), "outbound": ("outgoing", "呼出", "去电")},
        "category": {"commit": ("committed", "commit forecast", "承诺"), "best case": ("best_case", "bestcase", "最佳", "最佳情况", "乐观")},
        "payment_kind": {"prepayment": ("预付款", "首付款"), "progress": ("进度款",), "final": ("尾款",)},
    }
)
"""How values are spelled, by field; the value itself is one of its spellings, in any case."""


def spellings() -> pd.DataFrame:
    """One row per spelling: field, spelling (lower case), value."""
    rows = [(field, spelling, value) for field, values in _SPELLINGS.items() for value, others in values.items() for spelling in (value, *others)]
    return pd.DataFrame(rows, columns=["field", "spelling", "value"])


_MAY_NAME_SQL = """
-- Ids of figures and letters name nobody; e-mails, phones and names may.
SELECT DISTINCT contact_id FROM exported_contact_roles
WHERE NOT regexp_full_match(contact_id, '[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*') OR regexp_matches(contact_id, '[0-9][0-9-]{6}')
ORDER BY contact_id
"""


def contact_masks(exported: Parquet, engine: Engine, key: bytes) -> pd.DataFrame:
    """The contact ids that name a person, and the mask that stands for each: contact_id, shown."""
    ids = engine.arrow(Query(_MAY_NAME_SQL, {"exported_contact_roles": exported}))["contact_id"].drop_null().to_pylist()
    return pd.DataFrame(id_masks(ids, key, people=True).items(), columns=["contact_id", "shown"]).astype("str")


def target_rows(company: Company) -> pd.DataFrame:
    """The targets of the configuration by the contract ``targets``."""
    names = list(Target.model_fields)
    rows = pd.DataFrame([tuple(getattr(t, name) for name in names) for t in company.targets], columns=names)
    rows = rows.drop_duplicates([name for name in names if name != "target"], keep="last")
    return rows.astype({name: "str" for name in names if name not in ("period_start", "target")}).astype(
        {"period_start": "datetime64[us]", "target": "float64"}
    )


def records_without_export(company: Configuration) -> dict[str, pa.Table | pd.DataFrame]:
    """The trusted tables whose export the configuration does not name, by the name of their asset: a run needs no steps for them."""
    absent = [name for name in RECORDS if name not in company.exports.tables]
    return {name: target_rows(company) if name == "targets" else _empty(_TABLES[name]) for name in absent}


def _empty(contract: sa.Table) -> pa.Table:
    return pa.schema([(c.name, arrow_type(c)) for c in contract.columns]).empty_table()


@table_asset(_TABLES["leads"], GROUP)
def leads(exported_leads: Parquet, exported_opportunities: Parquet, opportunities: Parquet, owner_teams: Parquet, parameters: Parquet) -> Query:
    tables = {
        "exported_leads": exported_leads,
        "exported_opportunities": exported_opportunities,
        "opportunities": opportunities,
        "owner_teams": owner_teams,
        "spellings": spellings(),
        "parameters": parameters,
    }
    return Query(sql_beside(__file__, "leads"), tables)


@table_asset(_TABLES["contact_roles"], GROUP)
def contact_roles(
    exported_contact_roles: Parquet, opportunities: Parquet, parameters: Parquet, engine: dg.ResourceParam[Engine], mask_key: dg.ResourceParam[bytes]
) -> Query:
    tables = {
        "exported_contact_roles": exported_contact_roles,
        "opportunities": opportunities,
        "masks": contact_masks(exported_contact_roles, engine, mask_key),
        "spellings": spellings(),
        "parameters": parameters,
    }
    return Query(sql_beside(__file__, "contact_roles"), tables)


@table_asset(_TABLES["activities"], GROUP)
def activities(exported_activities: Parquet, opportunities: Parquet, parameters: Parquet) -> Query:
    tables = {"exported_activities": exported_activities, "opportunities": opportunities, "spellings": spellings(), "parameters": parameters}
    return Query(sql_beside(__file__, "activities"), tables)


@table_asset(_TABLES["targets"], GROUP)
def targets(exported_targets: Parquet, parameters: Parquet, company: dg.ResourceParam[Configuration]) -> Query:
    return Query(sql_beside(__file__, "targets"), {"exported_targets": exported_targets, "configured": target_rows(company), "parameters": parameters})


@table_asset(_TABLES["forecast_calls"], GROUP)
def forecast_calls(exported_forecast_calls: Parquet, parameters: Parquet) -> Query:
    return Query(
        sql_beside(__file__, "forecast_calls"), {"exported_forecast_calls": exported_forecast_calls, "spellings": spellings(), "parameters": parameters}
    )


@table_asset(_TABLES["payments"], GROUP)
def payments(exported_payments: Parquet, opportunities: Parquet, parameters: Parquet) -> Query:
    tables = {"exported_payments": exported_payments, "opportunities": opportunities, "spellings": spellings(), "parameters": parameters}
    return Query(sql_beside(__file__, "payments"), tables)


@table_asset(_TABLES["satisfaction"], GROUP)
def satisfaction(exported_satisfaction: Parquet, opportunities: Parquet, parameters: Parquet) -> Query:
    return Query(
        sql_beside(__file__, "satisfaction"), {"exported_satisfaction": exported_satisfaction, "opportunities": opportunities, "parameters": parameters}
    )
