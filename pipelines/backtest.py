"""`leadline backtest`: the record of every method, as tables and one page, with nothing published.

What belongs here: writing what the job computed, masked like published tables. What does not: the job (jobs.py), the page
(assets/reports/backtest.py) and anything computed.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from assets.reports.backtest import TABLES as PAGE_TABLES
from assets.reports.backtest import render_backtest
from models.settings import Language
from pipelines.engine.duckdb import DuckDB
from pipelines.home import replace_file
from pipelines.lake import Lake, frame_of
from pipelines.masked_tables import masked_tables
from pipelines.run import Outcome

TABLES = ("forecast_accuracy", "deal_accuracy", "method_choice", "reliability", "call_record")
"""What is written as CSV."""

PAGE = "backtest.html"

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that a spreadsheet takes for a formula."""

_SAID: dict[Language, dict[str, str]] = {
    "en": {
        "as_of": "backtest as of {day}, {origins} origins; nothing was published",
        "none": "no past origin can be judged: the exports hold too few outcomes, or begin too late",
        "page": "page:   {where}",
        "tables": "tables: {where}",
    },
    "zh": {
        "as_of": "回测截至 {day}，{origins} 个预测日；未发布任何内容",
        "none": "没有可评估的历史预测日：导出中的结局太少，或开始得太晚",
        "page": "页面：{where}",
        "tables": "数据表：{where}",
    },
}


def write_backtest(outcome: Outcome, out: Path) -> None:
    """Write the tables as CSV and the page into the folder ``out``, each whole or not at all; raises `HomeError` where that cannot be."""
    lake = _lake(outcome)
    stored = {name: lake.path(name) for name in dict.fromkeys((*TABLES, *PAGE_TABLES))}
    masked, _ = masked_tables(stored, set(), outcome.company, outcome.home.mask_key())
    shown = {name: frame_of(pq.read_table(table) if isinstance(table, Path) else table) for name, table in masked.items()}
    for name in TABLES:
        replace_file(out / f"{name}.csv", as_csv(shown[name]))
    replace_file(out / PAGE, render_backtest(shown, outcome.company, outcome.as_of, outcome.company.language).encode())


def _lake(outcome: Outcome) -> Lake:
    return Lake(outcome.home.lake, DuckDB(outcome.home.spill), outcome.as_of)


def as_csv(frame: pd.DataFrame) -> bytes:
    """The rows as CSV that Excel opens in any language: UTF-8 with its mark; a text that looks like a formula gets an apostrophe before it."""
    texts = frame.select_dtypes(include=["object", "string"]).columns
    safe = frame.assign(**{c: frame[c].map(_no_formula, na_action="ignore") for c in texts})
    written = io.StringIO()
    safe.to_csv(written, index=False, date_format="%Y-%m-%d", lineterminator="\n")
    return written.getvalue().encode("utf-8-sig")


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def written_lines(outcome: Outcome, out: Path) -> Iterator[str]:
    """What was judged and where it is, in the company's language."""
    said = _SAID[outcome.company.language]
    choices = frame_of(pq.read_table(_lake(outcome).path("method_choice"), columns=["origin"]))
    yield said["as_of"].format(day=outcome.as_of, origins=choices["origin"].nunique())
    if choices.empty:
        yield said["none"]
    yield said["page"].format(where=out / PAGE)
    yield said["tables"].format(where=", ".join(str(out / f"{name}.csv") for name in TABLES))
