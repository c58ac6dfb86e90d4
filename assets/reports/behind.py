"""What stands behind the page's numbers: the deals, their stays in stages, the rows of each finding, people's names.

What belongs here: choosing these rows from the lake, few enough for one file. What does not: how they are shown
(page_behind.py). Everything is as exported; ids are masked where the published tables are (pipelines).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from assets.exports.settings import Configuration
from assets.query import Engine, Parquet, Query, sql_beside
from assets.reports.quality_tables import exported_columns
from quality.masking import masked_account, masked_name, masked_text

LISTED_DEALS = 3_000
"""Deals that the page holds behind its numbers, the largest first: about 300 KB."""

ROWS_OF_FINDING = 10
"""Rows shown of each finding."""

TABLES = ("opportunities", "stage_visits", "opportunity_segments", "win_probability")
"""The stored tables that this reads, besides the exported ones."""


@dataclass(frozen=True)
class Behind:
    """Rows behind the page's numbers.

    ``deals``: opportunity_id, owner_id, account (a name), status, stage, amount, created_at, closed_at, p_won,
    expected_amount, place, of_deals; ``visits``: opportunity_id, stage, entered_at, entry_kind, exited_at, exit_kind,
    is_first; ``members``: opportunity_id, dimension, member; ``found``: table_name, code, export, line, opportunity_id,
    amount; ``money``: one row (behind_sql/rejected_money.sql); ``people``: names of owners by id. ``first_day`` is the first
    day of which the page lists movements.
    """

    first_day: date
    deals: pd.DataFrame
    visits: pd.DataFrame
    members: pd.DataFrame
    found: pd.DataFrame
    money: Mapping[str, float]
    people: Mapping[str, str]


def rows_behind(first_day: date, company: Configuration, tables: Mapping[str, Parquet], engine: Engine) -> Behind:
    """The rows behind the numbers of a page whose periods begin at ``first_day``; ``tables`` are those of the lake by name."""

    def ask(sql: str, **others) -> pd.DataFrame:
        return engine.arrow(Query(sql, {**{name: tables[name] for name in TABLES}, "exported_accounts": tables["exported_accounts"], **others})).to_pandas()

    scope = pd.DataFrame({"first_day": [pd.Timestamp(first_day)], "deals": [LISTED_DEALS]})
    deals = ask(sql_beside(__file__, "behind_sql/deals"), scope=scope)
    listed = deals[["opportunity_id"]].astype("str")
    exported = {name: tables[f"exported_{name}"] for name in company.exports.tables}
    return Behind(
        first_day=first_day,
        deals=deals.assign(account=deals["account"].map(masked_account, na_action="ignore"), amount=deals["amount"].astype(float)),
        visits=ask(sql_beside(__file__, "behind_sql/visits"), listed=listed, scope=scope),
        members=ask(sql_beside(__file__, "behind_sql/members"), listed=listed),
        found=ask(_found_sql(exported), **{f"exported_{name}": handle for name, handle in exported.items()}),
        money=ask(sql_beside(__file__, "behind_sql/rejected_money"), exported_opportunities=tables["exported_opportunities"]).astype(float).iloc[0].to_dict(),
        people=_people(ask(_PEOPLE_SQL, exported_owners=tables["exported_owners"]), company),
    )


_PEOPLE_SQL = """
SELECT owner_id, arg_max(name, (coalesce(valid_from, DATE '0001-01-01'), name)) AS name
FROM exported_owners WHERE _verdict = 'accepted' AND name IS NOT NULL GROUP BY owner_id ORDER BY owner_id
"""


def _people(names: pd.DataFrame, company: Configuration) -> dict[str, str]:
    mask = masked_name if company.mask_owners else masked_text
    return {owner: mask(name) for owner, name in names.itertuples(index=False)}


def _found_sql(exported: Mapping[str, Parquet]) -> str:
    """SELECT of the first rows of every finding, the largest amount first."""
    parts = " UNION ALL ".join(_found_in(name) for name in exported)
    return f"""
    SELECT table_name, code, export, line, opportunity_id, amount FROM ({parts})
    QUALIFY row_number() OVER (PARTITION BY table_name, code ORDER BY amount DESC NULLS LAST, export, line) <= {ROWS_OF_FINDING}
    ORDER BY table_name, code, amount DESC NULLS LAST, export, line
    """


def _found_in(name: str) -> str:
    columns = exported_columns(name)
    opportunity = "opportunity_id" if "opportunity_id" in columns else "CAST(NULL AS VARCHAR)"
    amount = "CAST(amount_reporting AS DOUBLE)" if "amount_reporting" in columns else "CAST(NULL AS DOUBLE)"
    return f"""
    SELECT '{name}' AS table_name, unnest(_reasons) AS code, _file AS export, _line AS line, {opportunity} AS opportunity_id, {amount} AS amount
    FROM exported_{name}
    """
