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
from assets.reports.page_figures import last_day
from assets.reports.quality_tables import exported_columns
from models.settings import Language
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake
from pipelines.pulling.pulled import PulledTable
from pipelines.run import Outcome
from quality.checks import FILES_METADATA, FORMS_METADATA
from quality.findings import VERDICTS_SQL, findings_sql
from quality.tables import EXPORTED

REJECTED_SHOWN = 20


_SAID: dict[Language, dict[str, str]] = {
    "en": {
        "as_of": "as of {day} ({found_in})",
        "rows": "{name}: {read:,} read = {accepted:,} accepted + {superseded:,} superseded + {rejected:,} rejected",
        "all_rows": "rows",
        "won": "won in {month}: {mean:,.0f} {currency}",
        "forecast": "forecast {month}: {mean:,.0f} {currency} (80 % range {low:,.0f} to {high:,.0f})",
        "skipped": "not computed: {what} ({why})",
        "page": "report page:   {where}",
        "tables": "report tables: {where}",
        "finding": "  {severity}: {code}: {failed:,} of {checked:,} rows; expected: {meaning}",
        "rejected": "  rejected: {file}, line {line}: {codes}",
        "more": "  and {more:,} more rejected rows",
    },
    "zh": {
        "as_of": "截至 {day}（{found_in}）",
        "rows": "{name}：读取 {read:,} 行 = 接受 {accepted:,} + 被新版本替代 {superseded:,} + 拒收 {rejected:,}",
        "all_rows": "全部",
        "won": "{month} 已赢单：{mean:,.0f} {currency}",
        "forecast": "{month} 预测：{mean:,.0f} {currency}（80% 区间 {low:,.0f} 至 {high:,.0f}）",
        "skipped": "未计算：{what}（{why}）",
        "page": "报告页面：{where}",
        "tables": "报告数据表：{where}",
        "finding": "  {severity}：{code}：{checked:,} 行中 {failed:,} 行；应满足：{meaning}",
        "rejected": "  拒收：{file} 第 {line} 行：{codes}",
        "more": "  另有 {more:,} 行拒收",
    },
}


def published_lines(outcome: Outcome) -> list[str]:
    """Where the page and the tables are, what was read, and the numbers of the months, in the company's language."""
    said = _SAID[outcome.company.language]
    log = outcome.database.read("run_log", outcome.as_of)
    row = log[log["run_id"] == outcome.run_id].iloc[0]
    counts = {verdict: row[f"rows_{verdict}"] for verdict in ("read", "accepted", "superseded", "rejected")}
    page = outcome.home.page_of(outcome.as_of, outcome.database.as_of_dates())
    return [
        said["as_of"].format(day=outcome.as_of, found_in=outcome.as_of_from),
        said["rows"].format(name=said["all_rows"], **counts),
        *_forecast_lines(outcome.database.read("revenue_forecast", outcome.as_of), outcome),
        *(said["skipped"].format(**entry) for entry in json.loads(row["skipped"])),
        said["page"].format(where=page),
        said["tables"].format(where=outcome.database.where),
    ]


def _forecast_lines(forecast: pd.DataFrame, outcome: Outcome) -> list[str]:
    """What is expected of every month; of one that is over at the as-of date, what was won."""
    said = _SAID[outcome.company.language]
    rows = forecast[(forecast["period_kind"] == "month") & (forecast["dimension"] == "all") & (forecast["component"] == "total")]
    return [
        said["won" if last_day("month", start) <= outcome.as_of else "forecast"].format(
            month=f"{start:%Y-%m}", mean=mean, low=low, high=high, currency=outcome.company.currency
        )
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
    lines = [_SAID[outcome.company.language]["as_of"].format(day=outcome.as_of, found_in=outcome.as_of_from)]
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
    said = _SAID[company.language]
    counts = engine.arrow(Query(VERDICTS_SQL, tables)).to_pylist()[0]
    lines = [said["rows"].format(name=name, **counts)]
    lines += _file_lines(tables["exported"])
    for finding in engine.arrow(Query(findings_sql(name, expected_of(company, name), exported_columns(name)), tables)).to_pylist():
        if finding["failed"]:
            lines.append(said["finding"].format(code=finding["expectation"], **finding))
    rejected = engine.arrow(
        Query(f"SELECT _file, _line, _reasons FROM exported WHERE _verdict = 'rejected' ORDER BY _file, _line LIMIT {REJECTED_SHOWN}", tables)
    ).to_pylist()
    lines += [said["rejected"].format(file=row["_file"], line=row["_line"], codes=", ".join(row["_reasons"])) for row in rejected]
    if counts["rejected"] > REJECTED_SHOWN:
        lines.append(said["more"].format(more=counts["rejected"] - REJECTED_SHOWN))
    return lines
