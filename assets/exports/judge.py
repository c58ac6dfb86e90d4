"""Decides of every exported row whether it can be trusted: accepted, superseded or rejected, with every reason.

What belongs here: deriving the ok_ columns of the rules (judging/*.sql), having the expectations checked, giving
the verdict. What does not: reading files, and what is built from accepted rows.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from assets.exports.crm import crm_named
from assets.exports.headers import STAGE_DATE
from assets.exports.settings import Configuration
from assets.query import Engine, Query, Relation, sql_beside
from models.settings import Company
from models.stage_dates import ancestors
from quality.expectations import Expectation, Finding, expectations_of, find
from quality.masking import quoted, quoted_number
from quality.tables import EXPORTED
from quality.tables.columns import NUMBERS, key_columns, money_as_floats

VERDICTS = ("accepted", "superseded", "rejected")

_SAYS_MISSING = {"close_date_missing": "closed_at"}
"""Rules that only warn of a missing value, and its column."""

_DERIVED_FROM = {"amount": ("amount_reporting",)}

_OWN_SQL = ("opportunities", "stage_history", "field_history", "activities", "leads", "owners", "payments")

_BLANK_PERIOD = {"date": date(1, 1, 1), "label": ""}
"""Stands, by unit, for a blank period where rows are told apart by it."""


@dataclass(frozen=True)
class Judged:
    """What judging needs to know of one table's neighbours.

    ``parents`` has one row per exported opportunity id (opportunity_id, pipeline_key, created_at, closed_at,
    currency, is_accepted); ``owners`` the known owner ids; both are empty tables where nothing is exported.
    """

    parents: pa.Table
    owners: pa.Table
    rates: pa.Table


NO_PARENTS = pa.schema(
    [
        ("opportunity_id", pa.string()),
        ("pipeline_key", pa.string()),
        ("created_at", pa.timestamp("us")),
        ("closed_at", pa.timestamp("us")),
        ("currency", pa.string()),
        ("is_accepted", pa.bool_()),
    ]
).empty_table()

NO_VERDICTS = pa.schema(
    [
        ("_row", pa.int64()),
        ("_reasons", pa.list_(pa.string())),
        ("_set_aside", pa.list_(pa.struct([("column", pa.string()), ("value", pa.string()), ("expected", pa.string())]))),
        ("_verdict", pa.string()),
        ("_is_stale", pa.bool_()),
        ("_is_current", pa.bool_()),
    ]
).empty_table()

NOTHING_SAID = pa.Table.from_pylist(
    [{"_row": None, "_reasons": [], "_set_aside": None, "_verdict": "accepted", "_is_stale": False, "_is_current": True}], NO_VERDICTS.schema
)


def stage_spellings(company: Company) -> pd.DataFrame:
    """One row per known spelling: pipeline, spelling (lower case, trimmed), stage key, kind (open, won, lost, none).

    A spelling that a stage shares with one it replaces stands for the newer one; assets/core tells them apart by the day.
    """
    rows = []
    for p in company.pipelines:
        dated = {s.key: s for s in p.dated_stages}
        for s in sorted(p.stages, key=lambda s: -len(ancestors(s.key, dated))):
            rows += [(p.key, spelling, company.stage_key(p, s.key), "open") for spelling in (s.key, *s.spellings)]
        rows += [(p.key, spelling, company.stage_key(p, "won"), "won") for spelling in ("won", *p.won.spellings)]
        rows += [(p.key, spelling, company.stage_key(p, "lost"), "lost") for spelling in ("lost", *p.lost.spellings)]
        rows += [(p.key, spelling, None, "none") for spelling in p.other_events]
    frame = pd.DataFrame(rows, columns=["pipeline", "spelling", "stage", "kind"])
    frame["spelling"] = frame["spelling"].str.strip().str.lower()
    return frame.drop_duplicates(["pipeline", "spelling"])


def pipeline_spellings(company: Company) -> pd.DataFrame:
    """One row per known spelling of a pipeline: spelling (lower case, trimmed), pipeline."""
    rows = [(spelling.strip().lower(), p.key) for p in company.pipelines for spelling in (p.key, *p.spellings)]
    return pd.DataFrame(rows, columns=["spelling", "pipeline"]).drop_duplicates("spelling")


def exchange_rates(company: Company, exported: pa.Table | None, as_of: date) -> pa.Table:
    """One row per currency: the rate into the reporting currency in force at ``as_of``.

    Exported rates go before configured ones; the reporting currency has rate 1.
    """
    rates = {**company.exchange_rates, company.currency: 1.0}
    if exported is not None and exported.num_rows:
        dated = exported.to_pandas()
        dated = dated[pd.to_datetime(dated["valid_from"]) <= pd.Timestamp(as_of)].sort_values("valid_from")
        rates.update(dated.groupby(dated["currency"].str.strip().str.upper())["rate"].last())
        rates[company.currency] = 1.0
    return pa.table({"currency": pa.array(list(rates)), "rate": pa.array(list(rates.values()), pa.float64())})


def facts(company: Configuration, rows: pa.Table, owners: pa.Table, export_date: date) -> pd.DataFrame:
    """The one row about company and export that the judging SQL joins to every row."""
    configured = company.exports.tables
    crm = crm_named(company.exports.crm)
    dated = any(_has_values(rows, name) for name in rows.column_names if name.startswith(STAGE_DATE))
    evidence = [_has_values(rows, column) for column in ("contract_effective_at", "first_payment_at")]
    return pd.DataFrame(
        {
            "only_pipeline": [company.pipelines[0].key if len(company.pipelines) == 1 else None],
            "outcome_from": [company.outcome_from],
            "outcome_beside_stage": [crm.outcome_beside_stage],
            "reporting_currency": [company.currency],
            "export_end": [pd.Timestamp(export_date) + pd.Timedelta(days=1)],
            "has_owners": [owners.num_rows > 0],
            "has_history": ["stage_history" in configured or bool(configured["opportunities"].stage_dates) or dated],
            "has_stages": [_has_values(rows, "stage")],
            "has_close_dates": [_has_values(rows, "closed_at")],
            "has_contract_facts": [any(evidence)],
            "has_owner_column": [_has_values(rows, "owner_id")],
            "has_needs": [_has_values(rows, "need")],
            "duplicate_need_days": [company.thresholds.duplicate_need_days],
            "vague_pattern": ["|".join(re.escape(word.lower()) for word in sorted(company.vague_words, key=len, reverse=True)) or "$^"],
        }
    ).astype({"only_pipeline": "str"} if len(company.pipelines) == 1 else {"only_pipeline": "object"})


def _has_values(rows: pa.Table, column: str) -> bool:
    return column in rows.column_names and rows[column].null_count < rows.num_rows


def expected_of(company: Configuration, table_name: str) -> list[Expectation]:
    """The expectations of one exported table under the company's severities and required columns."""
    source = company.exports.tables.get(table_name)
    required = list(source.required) if source else []
    if table_name == "opportunities" and source and "stage_history" not in company.exports.tables and not source.stage_dates:
        required.append("stage")
    return expectations_of(EXPORTED[table_name], company.severities, required, company.formats_of(table_name))


def judge(
    table_name: str,
    rows: pa.Table,
    faults: pa.Table,
    company: Configuration,
    engine: Engine,
    export_date: date,
    neighbours: Judged,
) -> pa.Table:
    """Every row of one export with its derived columns, ``_reasons``, ``_verdict`` and ``_is_stale``.

    ``rows`` and ``faults`` are those of assets.exports.reading. A row is rejected if an expectation of severity
    reject or critical fails, or if a required value could not be read; of rows with the same key the newest not
    rejected is accepted and the others are superseded. A value outside bounds that only warn is set aside: its row
    stays without it. ``_is_current`` marks the newest version of each key, whatever its verdict (of rows without a
    whole key, those of the newest snapshot): what there is to mend.
    """
    contract = EXPORTED[table_name]
    rows = rows.append_column("_row", pa.array(np.arange(rows.num_rows, dtype=np.int64)))
    expected = expected_of(company, table_name)
    judged = rows
    if contract.info["rules"]:
        judging = sql_beside(__file__, f"judging/{table_name if table_name in _OWN_SQL else 'children'}")
        judged = _with_columns(rows, engine.arrow(Query(judging, _inputs(table_name, rows, company, export_date, neighbours))))
    if not rows.num_rows:
        return _with_verdicts(judged, NO_VERDICTS)
    unread = _unread(rows, faults)
    findings = find(_for_expectations(judged, expected), expected)
    outside = _outside(judged, findings)
    verdicts = engine.arrow(
        Query(
            _verdict_sql(_told_apart_by(contract)),
            {
                "judged": _what_decides(judged, contract),
                "failures": _failures(unread, findings, expected),
                "unread": _shown(pd.concat([unread, outside], ignore_index=True), contract),
            },
        )
    )
    return _with_verdicts(_without(judged, outside), verdicts)


def _with_columns(rows: pa.Table, derived: pa.Table) -> pa.Table:
    """``rows`` with the derived columns, which come in the order of ``_row``; one of the same name takes its place."""
    for name in derived.column_names:
        if name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, derived[name])
        else:
            rows = rows.append_column(name, derived[name])
    return rows


def _what_decides(judged: pa.Table, contract: sa.Table) -> pa.Table:
    """The columns by which versions of a row are told apart."""
    changed = judged["updated_at"] if "updated_at" in judged.column_names else pa.nulls(judged.num_rows, pa.timestamp("us"))
    chosen = judged.select(["_row", "_snapshot", *_told_apart_by(contract)]).append_column("_changed_at", changed)
    period = contract.info.get("periods")
    return (
        chosen
        if period is None
        else chosen.set_column(chosen.column_names.index(period), period, pc.fill_null(chosen[period], _BLANK_PERIOD[contract.columns[period].info["unit"]]))
    )


def _told_apart_by(contract: sa.Table) -> list[str]:
    """The columns in which versions of one row are equal: the key, and the period where a key has several."""
    return [*key_columns(contract), *([contract.info["periods"]] if "periods" in contract.info else [])]


def _with_verdicts(judged: pa.Table, verdicts: pa.Table) -> pa.Table:
    """``judged`` with ``_reasons``, ``_set_aside``, ``_verdict``, ``_is_stale`` and ``_is_current``.

    ``verdicts`` has only the rows of which there is something to say; every other row is accepted without reasons.
    """
    # The last verdict is that of every row of which nothing is said.
    known = pa.concat_tables([verdicts.cast(NO_VERDICTS.schema), NOTHING_SAID]).combine_chunks()
    place = np.full(judged.num_rows, verdicts.num_rows, dtype=np.int64)
    place[verdicts["_row"].to_numpy()] = np.arange(verdicts.num_rows)
    said = known.take(pa.array(place))
    for name in ("_reasons", "_set_aside", "_verdict", "_is_stale", "_is_current"):
        judged = judged.append_column(name, said[name])
    return judged


def _unread(rows: pa.Table, faults: pa.Table) -> pd.DataFrame:
    """The faults with the position of their row."""
    if not faults.num_rows:
        return faults.to_pandas().assign(_row=pd.Series(dtype="int64"))
    lines = pc.is_in(rows["_line"], pc.unique(faults["_line"]))
    places = rows.select(["_file", "_line", "_part", "_row"]).filter(lines).to_pandas().astype({"_file": "str"})
    return faults.to_pandas().merge(places, on=["_file", "_line", "_part"], how="inner", validate="m:1")


def _inputs(table_name: str, rows: pa.Table, company: Configuration, export_date: date, neighbours: Judged) -> Mapping[str, Relation]:
    return {
        "rows": rows,
        "facts": facts(company, rows, neighbours.owners, export_date),
        "stage_spellings": stage_spellings(company),
        "pipeline_spellings": pipeline_spellings(company),
        "rates": neighbours.rates,
        "owners": neighbours.owners,
        "parents": neighbours.parents,
        "no_intent_words": pd.DataFrame({"word": pd.Series([word.lower() for word in company.no_intent_words], dtype="str")}),
    }


def _outside(judged: pa.Table, findings: list[Finding]) -> pd.DataFrame:
    """Values outside bounds that only warn: _row, column, value, expected."""
    parts = [pd.DataFrame(columns=["_row", "column", "value", "expected"])]
    for finding in findings:
        e = finding.expectation
        if e.severity == "warning" and e.kind in ("range", "allowed") and len(finding.failed):
            values = judged[e.column].take(pa.array(finding.failed)).cast(pa.string()).to_pylist()
            parts.append(pd.DataFrame({"_row": finding.failed, "column": e.column, "value": values, "expected": e.meaning}))
    return pd.concat(parts, ignore_index=True)


def _without(judged: pa.Table, outside: pd.DataFrame) -> pa.Table:
    """``judged`` without the values set aside, nor what was derived from them."""
    for column, rows in outside.groupby("column")["_row"]:
        mask = pa.array(np.isin(np.arange(judged.num_rows), rows.to_numpy(dtype=np.int64)))
        for name in (column, *_DERIVED_FROM.get(column, ())):
            if name in judged.column_names:
                judged = judged.set_column(judged.column_names.index(name), name, pc.if_else(mask, None, judged[name]))
    return judged


def _failures(unread: pd.DataFrame, findings: list[Finding], expected: list[Expectation]) -> pa.Table:
    """One row per failed expectation and row: _row, code, rejects.

    A value that could not be read rejects its row where the column is required; it is not called missing too.
    """
    required = {e.column for e in expected if e.kind == "present" and e.severity != "warning"}
    rejects = unread["column"].isin(required) | (unread["code"] == "ragged_row")
    hidden = set(zip(unread["_row"], unread["column"], strict=True))
    parts = [pd.DataFrame({"_row": unread["_row"], "code": unread["code"], "rejects": rejects})]
    for finding in findings:
        e = finding.expectation
        failed = finding.failed
        about = e.column if e.kind == "present" else _SAYS_MISSING.get(e.code)
        if about and hidden:
            failed = np.array([row for row in failed if (row, about) not in hidden], dtype=np.int64)
        parts.append(pd.DataFrame({"_row": failed, "code": e.code, "rejects": e.severity != "warning"}))
    table = pd.concat(parts, ignore_index=True).astype({"_row": "int64", "code": "str", "rejects": "bool"})
    return pa.Table.from_pandas(table, preserve_index=False)


def _shown(unread: pd.DataFrame, contract: sa.Table) -> pa.Table:
    """Values that could not be read as they may be shown: hidden where their column is private, else quoted without e-mails and phones."""
    private = {c.name for c in contract.columns if c.info["private"]}
    numbers = {c.name for c in contract.columns if c.info["unit"] in NUMBERS}
    shown = unread[["_row", "column", "value", "expected"]].copy()
    as_number = shown["value"].map(quoted_number, na_action="ignore")
    as_text = shown["value"].map(quoted, na_action="ignore")
    shown["value"] = as_number.where(shown["column"].isin(numbers), as_text).where(~shown["column"].isin(private), "***")
    schema = pa.schema([("_row", pa.int64()), ("column", pa.string()), ("value", pa.string()), ("expected", pa.string())])
    return pa.Table.from_pandas(shown, schema=schema, preserve_index=False)


def _for_expectations(judged: pa.Table, expected: Iterable[Expectation]) -> pd.DataFrame:
    """The columns that are checked, flags as nullable booleans and decimals as floats."""
    wanted = [name for name in dict.fromkeys(e.column for e in expected) if name in judged.column_names]
    chosen = judged.select(wanted)
    for position, declared in enumerate(chosen.schema):
        if pa.types.is_decimal(declared.type):
            chosen = chosen.set_column(position, declared.name, money_as_floats(chosen[declared.name]))
    return chosen.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}.get)


def _verdict_sql(keys: list[str]) -> str:
    """SELECT of the verdicts on rows with reasons or several versions: those whose keys are equal."""
    key = ", ".join(keys)
    complete = " AND ".join(f"{k} IS NOT NULL" for k in keys)
    newest = "j._snapshot DESC NULLS LAST, j._changed_at DESC NULLS LAST, j._row DESC"
    same_key = ", ".join(f"j.{k}" for k in keys)
    return f"""
    WITH reasons AS (
        SELECT _row, list_sort(list(DISTINCT code)) AS reasons, bool_or(rejects) AS is_rejected FROM failures GROUP BY _row
    ),
    repeated AS (
        SELECT {key} FROM judged WHERE {complete} GROUP BY {key} HAVING count(*) > 1
    ),
    keyless AS (
        SELECT _row, _snapshot IS NOT DISTINCT FROM (SELECT max(_snapshot) FROM judged) AS is_current FROM judged WHERE NOT ({complete})
    ),
    aside AS (
        SELECT _row, list(struct_pack("column" := "column", "value" := "value", expected := expected) ORDER BY "column") AS set_aside
        FROM unread GROUP BY _row
    ),
    versions AS (
        SELECT
            j._row,
            coalesce(r.is_rejected, FALSE) AS is_rejected,
            row_number() OVER (PARTITION BY {same_key}, coalesce(r.is_rejected, FALSE) ORDER BY {newest}) AS age,
            first_value(coalesce(r.is_rejected, FALSE)) OVER (PARTITION BY {same_key} ORDER BY {newest}) AS newest_is_rejected,
            row_number() OVER (PARTITION BY {same_key} ORDER BY {newest}) = 1 AS is_newest
        FROM judged AS j
        JOIN repeated USING ({key})
        LEFT JOIN reasons AS r ON r._row = j._row
    )
    SELECT
        j._row,
        coalesce(r.reasons, []) AS _reasons,
        a.set_aside AS _set_aside,
        CASE
            WHEN coalesce(r.is_rejected, FALSE) THEN 'rejected'
            WHEN v.age > 1 THEN 'superseded'
            ELSE 'accepted'
        END AS _verdict,
        coalesce(v.newest_is_rejected AND v.age = 1 AND NOT v.is_rejected, FALSE) AS _is_stale,
        coalesce(v.is_newest, n.is_current, TRUE) AS _is_current
    FROM judged AS j
    LEFT JOIN reasons AS r ON r._row = j._row
    LEFT JOIN aside AS a ON a._row = j._row
    LEFT JOIN versions AS v ON v._row = j._row
    LEFT JOIN keyless AS n ON n._row = j._row
    WHERE r._row IS NOT NULL OR a._row IS NOT NULL OR v._row IS NOT NULL OR NOT n.is_current
    ORDER BY j._row
    """
