"""Chooses the date as of which everything is computed when a run does not say it.

What belongs here: the order of evidence for that date. What does not: reading exports.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.errors import ExportError
from assets.exports.files import Folder, find_files
from assets.exports.headers import STAGE_DATE
from assets.exports.reading import TypedExport
from assets.exports.settings import Configuration
from models.settings import Language

SUPPORT_DAYS = 30
"""Days, ending on a day, whose facts support it."""

SUPPORT_SHARE = 0.05
"""Support that a day needs, as a share of the median support of the days that have facts."""

ISLAND_GAP_DAYS = 365
ISLAND_SHARE = 0.25
"""Facts that come after a gap of more than `ISLAND_GAP_DAYS` and are fewer than this share of those before it are typos."""

_FACTS = {
    "opportunities": ("created_at", "stage_entered_at"),
    "stage_history": ("entered_at",),
    "activities": ("happened_at",),
}

ASKED_FOR: dict[Language, str] = {"en": "asked for", "zh": "运行时指定"}
"""What is said of an as-of date that the caller of a run chose."""

_FOUND_IN: dict[str, dict[Language, str]] = {
    "declared": {"en": "declared as as_of in the configuration", "zh": "配置中声明（as_of）"},
    "named": {"en": "the newest day in the file names of {table} ({file})", "zh": "{table} 文件名中的最新日期（{file}）"},
    "facts": {"en": "the newest of {count} facts that can only be past ({source}{beyond})", "zh": "{count} 个只可能在过去的事实中最新者（{source}{beyond}）"},
    "beyond": {"en": "; {later} of later days were taken for outliers or plans", "zh": "；更晚的 {later} 个视为异常或计划"},
}

PLANNED_TOO = "activities.happened_at"
"""The fact whose dates may also be plans."""


def choose_as_of(folder: Folder, configuration: Configuration, read: Callable[[str], TypedExport]) -> tuple[date, str]:
    """The as-of date and, in words, where it comes from.

    The declared date; else the newest day in the names of the opportunities' files, or of the other files of facts;
    else `newest_past_fact` of what ``read`` gives by table name, which is not called before it is needed. Raises
    ExportError where there is none of these.
    """
    if configuration.as_of is not None:
        return configuration.as_of, _FOUND_IN["declared"][configuration.language]
    configured = [name for name in _FACTS if name in configuration.exports.tables]
    for table_name in configured:
        files = find_files(folder, configuration.exports.tables[table_name], table_name)
        named = [(file.snapshot, file.name) for file in files if file.snapshot is not None]
        if named:
            day, name = max(named)
            return day, _FOUND_IN["named"][configuration.language].format(table=table_name, file=name)
    return newest_past_fact({name: read(name) for name in configured}, configuration)


def newest_past_fact(exports: Mapping[str, TypedExport], configuration: Configuration) -> tuple[date, str]:
    """The newest day of facts that can only be past, after outliers are rejected, and which fact that is.

    Such facts are creation, stage entry, closing of closed deals, and activity. A day counts if the 30 days ending
    on it hold at least 5 % of the median of that figure over all days with facts, and if it is not on an island of
    few facts more than a year after the rest: a year typed as 2099 falls out. An activity may be planned, so it
    counts no further beyond the newest fact of a deal than deals were ever silent in the year before.
    """
    found = [(f"{table_name}.{column}", _facts_per_day(values)) for table_name, column, values in _fact_columns(exports, configuration)]
    found = [(name, per_day) for name, per_day in found if len(per_day)]
    if not found:
        raise ExportError(
            "no as-of date: no file name carries a date, and no export has the date of a creation, stage entry, closing or activity; "
            "declare as_of in the configuration"
        )
    deals = [per_day for name, per_day in found if name != PLANNED_TOO]
    total = _added(per_day for _, per_day in found)
    latest = _last_believable(_added(deals)) if deals else total.index[-1]
    day = _newest_supported(total[total.index <= latest])
    source = next(name for name, per_day in found if day in per_day.index)
    later = int(total[total.index > day].sum())
    beyond = _FOUND_IN["beyond"][configuration.language].format(later=later) if later else ""
    return day, _FOUND_IN["facts"][configuration.language].format(count=int(total.sum()), source=source, beyond=beyond)


def _added(counts: Iterable[pd.Series]) -> pd.Series:
    """Numbers by day added up, in the order of days."""
    return pd.concat(list(counts)).groupby(level=0).sum().sort_index()


def _last_believable(deals: pd.Series) -> date:
    """The day until which activities are believed to have happened, by the facts of deals (number by day)."""
    newest = _newest_supported(deals)
    year = np.array([day for day in deals.index if newest - timedelta(days=365) <= day <= newest], dtype="datetime64[D]")
    silences = np.diff(year).astype(int)
    return newest + timedelta(days=int(silences.max(initial=1)))


def _fact_columns(exports: Mapping[str, TypedExport], configuration: Configuration) -> Iterator[tuple[str, str, pa.ChunkedArray]]:
    for table_name, columns in _FACTS.items():
        if table_name in exports:
            rows = exports[table_name].rows
            for column in rows.column_names:
                if column in columns or column.startswith(STAGE_DATE):
                    yield table_name, column, rows[column]
    if "opportunities" in exports:
        yield "opportunities", "closed_at", _closings(exports["opportunities"], configuration)


def _closings(opportunities: TypedExport, configuration: Configuration) -> pa.ChunkedArray:
    """Close dates of the deals that stage or flags call closed; an open deal's may be what is merely expected."""
    rows = opportunities.rows
    outcomes = [o for p in configuration.pipelines for o in (p.won, p.lost)]
    closed = pa.array(sorted({"won", "lost", *(s.strip().lower() for o in outcomes for s in o.spellings)}))
    is_closed = pc.or_(rows["is_closed"].fill_null(False), rows["is_won"].fill_null(False))
    for column in ("stage", "outcome"):
        is_closed = pc.or_(is_closed, pc.is_in(pc.utf8_lower(rows[column]), value_set=closed))
    if {"stage", "outcome", "is_closed", "is_won"} <= {*opportunities.absent}:
        read_from = {name: header for _, name, header in opportunities.headers}
        if read_from.get("closed_at") != read_from.get("expected_close_date"):
            return rows["closed_at"]
    return rows["closed_at"].filter(is_closed)


def _facts_per_day(values: pa.ChunkedArray) -> pd.Series:
    """Number of facts by day."""
    counts = pc.value_counts(values.cast(pa.date32(), safe=False).drop_null())
    return pd.Series(counts.field("counts").to_numpy(), index=pd.Index(counts.field("values").to_pylist(), dtype=object), dtype="int64")


def _newest_supported(facts: pd.Series) -> date:
    """The newest day of ``facts`` (number by day, ascending) that enough others support."""
    days = np.array(facts.index, dtype="datetime64[D]")
    counts = facts.to_numpy()
    until = np.concatenate(([0], np.cumsum(counts)))
    support = until[1:] - until[np.searchsorted(days, days - SUPPORT_DAYS, side="right")]
    is_supported = support >= SUPPORT_SHARE * np.median(support)
    island_starts = np.flatnonzero(np.diff(days).astype(int) > ISLAND_GAP_DAYS) + 1
    for start in island_starts[::-1]:
        if until[-1] - until[start] < ISLAND_SHARE * until[start]:
            is_supported[start:] = False
    return facts.index[np.flatnonzero(is_supported)[-1]]
