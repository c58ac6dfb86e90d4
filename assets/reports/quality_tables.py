"""What a run says about its input: rejected rows, values set aside, findings in money.

What belongs here: report tables made from judged exports. What does not: the judging.
"""

from collections.abc import Iterable
from datetime import date

import dagster as dg
import pandas as pd

from assets.declare import table_asset
from assets.exports.judge import expected_of
from assets.exports.settings import Configuration
from assets.query import Parquet, Query
from quality.findings import IN_FORCE, findings_sql
from quality.tables import EXPORTED
from quality.tables.runs import RUNS

GROUP = "reports"

LARGEST_AMOUNT = EXPORTED["opportunities"].columns["amount"].info["maximum"]
"""An implausible amount is nobody's money: it counts as unknown."""

DERIVED = {
    "opportunities": ("pipeline_key", "stage_key", "status", "amount_reporting"),
    "stage_history": ("pipeline_key", "stage_key", "stage_kind", "previous_stage_key", "amount_reporting"),
    "field_history": ("old_amount", "new_amount", "old_date", "new_date"),
    "payments": ("amount_reporting",),
}
"""Columns that judging adds to a table besides its own, its rules' and those that every exported row carries."""


def exported_columns(table_name: str) -> set[str]:
    """Names of the columns of a judged exported table that queries may rely on."""
    contract = EXPORTED[table_name]
    rules = {rule.column for rule in contract.info["rules"]}
    return {c.name for c in contract.columns} | rules | set(DERIVED.get(table_name, ()))


def _exported_inputs() -> dict[str, dg.AssetIn]:
    return {f"exported_{name}": dg.AssetIn(f"exported_{name}") for name in EXPORTED}


def meanings(company: Configuration, names: Iterable[str]) -> pd.DataFrame:
    """What each code of each table expects: table_name, code, column_name (null where it spans columns), meaning, remedy."""
    rows = [(name, e.code, None if e.kind == "true" else e.column, e.meaning, e.remedy) for name in names for e in expected_of(company, name)]
    return pd.DataFrame(rows, columns=["table_name", "code", "column_name", "meaning", "remedy"]).astype({"column_name": "str"})


def rejected_rows_sql(names: Iterable[str]) -> str:
    """SELECT of every rejected row of the named tables, by the contract rejected_rows.

    A row without an owner of its own is its opportunity's owner's to mend: that of the accepted version, else of any.
    """
    selects = " UNION ALL ".join(_rejected_of(name) for name in names)
    return f"""
    WITH rejected AS ({selects}),
    owners AS (
        SELECT opportunity_id, coalesce(max(owner_id) FILTER (_verdict = 'accepted'), max(owner_id)) AS owner_id
        FROM exported_opportunities
        GROUP BY opportunity_id
    ),
    explained AS (
        SELECT
            r.export, r.line, r.table_name, r.opportunity_id, coalesce(r.owner_id, o.owner_id) AS owner_id, r.amount, c.code,
            CASE WHEN starts_with(c.code, 'unreadable_') AND m.code IS NULL THEN substr(c.code, length('unreadable_') + 1) ELSE m.column_name END AS "column",
            coalesce(m.meaning, CASE WHEN c.code = 'ragged_row' THEN 'the row has as many fields as the header'
                ELSE 'the value can be read in one of the declared forms' END) AS expected,
            coalesce(m.remedy, CASE WHEN c.code = 'ragged_row' THEN 'put a value that holds the delimiter into quotes, and export it again'
                ELSE 'correct the value at the source, or declare its form in the configuration' END) AS remedy
        FROM rejected AS r
        CROSS JOIN unnest(r.codes) AS c(code)
        LEFT JOIN owners AS o ON o.opportunity_id = r.opportunity_id
        LEFT JOIN meanings AS m ON m.table_name = r.table_name AND m.code = c.code
    ),
    listed AS (
        SELECT
            -- One line may make several rows; it is listed once.
            export, line, table_name, min(opportunity_id) AS opportunity_id,
            CAST(to_json(list_sort(list(DISTINCT struct_pack(code := code, "column" := "column", expected := expected, remedy := remedy)))) AS VARCHAR) AS reasons,
            min(owner_id) AS owner_id, min(amount) AS amount
        FROM explained
        GROUP BY export, line, table_name
    )
    SELECT
        l.*,
        CAST(coalesce(f.first_seen, p.as_of) AS DATE) AS first_seen,
        -- The clock starts when the day of the run is over.
        CAST(CAST(coalesce(f.first_seen, p.as_of) AS DATE) AS TIMESTAMP) + INTERVAL 1 DAY + to_hours(p.fix_by_hours) AS fix_by
    FROM listed AS l
    CROSS JOIN run AS p
    LEFT JOIN first_seen AS f ON f.export = l.export AND f.line = l.line AND f.reasons = l.reasons
    """


def _rejected_of(name: str) -> str:
    columns = exported_columns(name)
    parts = {
        "opportunity_id": "opportunity_id" if "opportunity_id" in columns else "NULL",
        "owner_id": "owner_id" if "owner_id" in columns else "NULL",
        "amount": "amount_reporting" if "amount_reporting" in columns else "NULL",
    }
    return f"""
    SELECT _file AS export, _line AS line, '{name}' AS table_name, CAST({parts["opportunity_id"]} AS VARCHAR) AS opportunity_id,
           CAST({parts["owner_id"]} AS VARCHAR) AS owner_id, CAST({parts["amount"]} AS DECIMAL(18, 2)) AS amount, _reasons AS codes
    FROM exported_{name} WHERE _verdict = 'rejected'
    """


@table_asset(RUNS.tables["rejected_rows"], GROUP, ins=_exported_inputs())
def rejected_rows(
    company: dg.ResourceParam[Configuration], as_of: dg.ResourceParam[date], first_seen: dg.ResourceParam[pd.DataFrame], **exported: Parquet
) -> Query:
    tables = {name: handle for name, handle in exported.items() if name.removeprefix("exported_") in company.exports.tables}
    names = [name.removeprefix("exported_") for name in tables]
    run = pd.DataFrame({"as_of": [as_of], "fix_by_hours": [company.thresholds.fix_by_hours]})
    return Query(rejected_rows_sql(names), {**tables, "meanings": meanings(company, names), "run": run, "first_seen": first_seen})


@table_asset(RUNS.tables["set_aside_values"], GROUP, ins=_exported_inputs())
def set_aside_values(company: dg.ResourceParam[Configuration], **exported: Parquet) -> Query:
    tables = {name: handle for name, handle in exported.items() if name.removeprefix("exported_") in company.exports.tables}
    selects = " UNION ALL ".join(
        f"""SELECT DISTINCT _file AS export, _line AS line, s."column" AS column_name, '{name.removeprefix("exported_")}' AS table_name,
            coalesce(s."value", '') AS value, s.expected AS reason
        FROM {name}, unnest(_set_aside) AS u(s) WHERE _verdict <> 'rejected'"""
        for name in tables
    )
    return Query(selects, tables)


@table_asset(RUNS.tables["data_quality"], GROUP, ins={**_exported_inputs(), "opportunities": dg.AssetIn(), "win_probability": dg.AssetIn()})
def data_quality(company: dg.ResourceParam[Configuration], opportunities: Parquet, win_probability: Parquet, **exported: Parquet) -> Query:
    tables = {name: handle for name, handle in exported.items() if name.removeprefix("exported_") in company.exports.tables}
    names = [name.removeprefix("exported_") for name in tables]
    return Query(data_quality_sql(company, names), {**tables, "opportunities": opportunities, "win_probability": win_probability})


def data_quality_sql(company: Configuration, names: Iterable[str]) -> str:
    """SELECT of every finding with the open amount and the expected amount it touches, by the contract data_quality.

    A rejected opportunity counts with its own amount and the mean probability of its stage; every other row counts
    with its opportunity's amount and expected amount, once per opportunity and finding.
    """
    names = list(names)
    findings = " UNION ALL ".join(
        f"SELECT * FROM ({findings_sql(name, expected_of(company, name), exported_columns(name), f'exported_{name}')})" for name in names
    )
    touched = " UNION ALL ".join(_touched_by(name) for name in names if "opportunity_id" in exported_columns(name))
    return f"""
    WITH findings AS ({findings}),
    stage_means AS (
        -- Summed as integers: a sum of doubles would depend on the order of threads.
        SELECT stage, sum(CAST(round(p_won * 1e9) AS HUGEINT)) / 1e9 / count(*) AS p_won FROM win_probability GROUP BY stage
    ),
    touched AS ({touched}),
    money AS (
        SELECT
            t.table_name, t.code,
            sum(coalesce(CASE WHEN o.status = 'open' THEN o.amount END, CASE WHEN o.opportunity_id IS NULL THEN t.amount END, 0)) AS amount_touched,
            count(*) FILTER (CASE WHEN o.opportunity_id IS NULL THEN t.is_open AND t.amount IS NULL ELSE o.status = 'open' AND o.amount IS NULL END) AS amount_unknown,
            sum(coalesce(w.expected_amount, CAST(CASE WHEN o.opportunity_id IS NULL THEN t.amount * coalesce(s.p_won, 0) END AS DECIMAL(18, 2)), 0)) AS forecast_touched
        FROM touched AS t
        LEFT JOIN opportunities AS o ON o.opportunity_id = t.opportunity_id
        LEFT JOIN win_probability AS w ON w.opportunity_id = t.opportunity_id
        LEFT JOIN stage_means AS s ON s.stage = t.stage
        GROUP BY t.table_name, t.code
    )
    SELECT
        f.table_name, f.expectation, f.severity, f.checked, f.failed,
        coalesce(m.amount_touched, 0) AS amount_touched,
        coalesce(m.amount_unknown, 0) AS amount_unknown,
        coalesce(m.forecast_touched, 0) AS forecast_touched,
        f.meaning
    FROM findings AS f
    LEFT JOIN money AS m ON m.table_name = f.table_name AND m.code = f.expectation
    """


def _touched_by(name: str) -> str:
    is_parent = name == "opportunities"
    return f"""
    SELECT '{name}' AS table_name, code, opportunity_id, any_value(is_open) AS is_open, max(amount) AS amount, max(stage) AS stage
    FROM (
        SELECT
            unnest(_reasons) AS code, coalesce(opportunity_id, _file || ':' || _line) AS opportunity_id,
            {"coalesce(status, 'open') = 'open'" if is_parent else "FALSE"} AS is_open,
            {f"CASE WHEN coalesce(status, 'open') = 'open' AND amount_reporting BETWEEN 0 AND {LARGEST_AMOUNT:.0f} THEN amount_reporting END" if is_parent else "CAST(NULL AS DECIMAL(18, 2))"} AS amount,
            {"stage_key" if is_parent else "CAST(NULL AS VARCHAR)"} AS stage
        FROM exported_{name}
        {IN_FORCE}
    )
    GROUP BY code, opportunity_id
    """
