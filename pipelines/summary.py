"""What the command line says when a run has ended.

What belongs here: lines of text made from published tables and judged exports. What does not: numbers of its own.
"""

import json
from collections.abc import Iterable

import pandas as pd
import pyarrow.parquet as pq

from assets.exports.judge import expected_of
from assets.exports.settings import Configuration
from assets.query import Parquet, Query
from assets.reports.quality_tables import exported_columns
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake
from pipelines.pulling.pulled import PulledTable
from pipelines.run import Outcome
from quality.checks import FILES_METADATA, FORMS_METADATA
from quality.findings import VERDICTS_SQL, findings_sql
from quality.tables import EXPORTED

REJECTED_SHOWN = 20


def published_lines(outcome: Outcome) -> list[str]:
    """Where the page and the tables are, what was read, and the number for the current month."""
    log = outcome.database.read("run_log", outcome.as_of)
    row = log[log["run_id"] == outcome.run_id].iloc[0]
    lines = [
        f"as of {outcome.as_of} ({outcome.as_of_from})",
        f"rows: {row['rows_read']:,} read = {row['rows_accepted']:,} accepted + {row['rows_superseded']:,} superseded + {row['rows_rejected']:,} rejected",
        *_forecast_lines(outcome.database.read("revenue_forecast", outcome.as_of), outcome.company.currency),
        *(f"not computed: {entry['what']} ({entry['why']})" for entry in json.loads(row["skipped"])),
        f"report page:   {outcome.home.page}",
        f"report tables: {outcome.database.where}",
    ]
    return lines


def _forecast_lines(forecast: pd.DataFrame, currency: str) -> list[str]:
    rows = forecast[(forecast["period_kind"] == "month") & (forecast["dimension"] == "all") & (forecast["component"] == "total")]
    return [
        f"forecast {start:%Y-%m}: {mean:,.0f} {currency} (80 % range {low:,.0f} to {high:,.0f})"
        for start, mean, low, high in zip(rows["period_start"], rows["mean"], rows["p10"], rows["p90"])
    ]


def pulled_lines(pulled: Iterable[PulledTable]) -> list[str]:
    """Per pulled table what came and where it is, and what changed in the CRM's own fields."""
    lines = []
    for table in pulled:
        came = f"{table.received:,} rows came ({'all' if table.whole else 'changes'})"
        deleted = f", {table.deleted:,} deleted in the CRM" if table.deleted else ""
        lines += [f"{table.table}: {came}; {table.rows:,} rows{deleted}: {table.file}", *table.notes]
    return lines


def finding_lines(outcome: Outcome) -> list[str]:
    """What was read and what failed, table by table, and the first rejected rows with their reasons."""
    engine = DuckDB(outcome.home.spill)
    lake = Lake(outcome.home.lake, engine, outcome.as_of)
    lines = [f"as of {outcome.as_of} ({outcome.as_of_from})"]
    for name in EXPORTED:
        if name in outcome.company.exports.tables and f"exported_{name}" in outcome.stored:
            lines += _table_lines(name, outcome.company, engine, {"exported": lake.parquet(f"exported_{name}")})
    return lines


def _file_lines(exported: Parquet) -> list[str]:
    """The form that each file was found to have, and its rows."""
    carried = pq.read_schema(exported.path).metadata or {}
    rows, forms = (json.loads(carried.get(key, b"{}")) for key in (FILES_METADATA, FORMS_METADATA))
    return [f"  {name}: {form}, {rows[name]:,} rows" for name, form in forms.items()]


def _table_lines(name: str, company: Configuration, engine: DuckDB, tables: dict) -> list[str]:
    counts = engine.arrow(Query(VERDICTS_SQL, tables)).to_pylist()[0]
    lines = [f"{name}: {counts['read']:,} read = {counts['accepted']:,} accepted + {counts['superseded']:,} superseded + {counts['rejected']:,} rejected"]
    lines += _file_lines(tables["exported"])
    for finding in engine.arrow(Query(findings_sql(name, expected_of(company, name), exported_columns(name)), tables)).to_pylist():
        if finding["failed"]:
            lines.append(
                f"  {finding['severity']}: {finding['expectation']}: {finding['failed']:,} of {finding['checked']:,} rows; expected: {finding['meaning']}"
            )
    rejected = engine.arrow(
        Query(f"SELECT _file, _line, _reasons FROM exported WHERE _verdict = 'rejected' ORDER BY _file, _line LIMIT {REJECTED_SHOWN}", tables)
    ).to_pylist()
    lines += [f"  rejected: {row['_file']}, line {row['_line']}: {', '.join(row['_reasons'])}" for row in rejected]
    if counts["rejected"] > REJECTED_SHOWN:
        lines.append(f"  and {counts['rejected'] - REJECTED_SHOWN:,} more rejected rows")
    return lines
