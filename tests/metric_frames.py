"""Small core tables for tests of the metrics, built from a compact list of events, and the metrics computed on them.

What belongs here: tables of the core contracts (quality/tables/core.py) as the metric queries read them. What does
not: any expectation about the figures.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from assets.metrics import METRIC_SQL, metric_query
from assets.query import Parquet
from models.settings import Thresholds
from pipelines.engine.duckdb import DuckDB
from quality.tables.core import CORE
from quality.tables.metrics import METRICS

ARROW_TYPES = {
    "amount": pa.decimal128(18, 2),
    "count": pa.int64(),
    "position": pa.int32(),
    "share": pa.float64(),
    "ratio": pa.float64(),
    "days": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
    "flag": pa.bool_(),
}
DEFAULTS = Thresholds()
METRIC_ORDER = tuple(TopologicalSorter({name: set(tables) & set(METRIC_SQL) for name, tables in METRIC_SQL.items()}).static_order())
"""The metric tables, each after those it reads."""


def instant_after(day: date) -> datetime:
    """The first instant after ``day``."""
    return datetime.combine(day + timedelta(days=1), time())


def conformed(frame: pd.DataFrame, contract: sa.Table) -> pa.Table:
    """``frame`` in the columns and types of ``contract``; columns it lacks are null."""
    columns = {}
    for column in contract.columns:
        kind = ARROW_TYPES.get(column.info["unit"], pa.string())
        given = frame[column.name] if column.name in frame else pd.Series([None] * len(frame), dtype=object)
        values = pa.array(given, from_pandas=True, type=pa.float64() if pa.types.is_decimal(kind) else None)
        columns[column.name] = values.cast(kind)
    return pa.table(columns)


def calendar_frame(as_of: date, weeks: int = 4, months: int = 6, quarters: int = 2, ahead: int = 2) -> pd.DataFrame:
    """``calendar`` of a company whose fiscal year is the calendar year: reported periods and some still to come."""
    frames = []
    for kind, frequency, number in (("week", "W-SUN", weeks), ("month", "M", months), ("quarter", "Q-DEC", quarters)):
        now = pd.Period(as_of, frequency)
        periods = pd.period_range(now - (number - 1), now + ahead, freq=frequency)
        frames.append(pd.DataFrame({"period_kind": kind, "period_start": periods.start_time, "period_end": periods.end_time.normalize()}))
    frame = pd.concat(frames, ignore_index=True)
    frame["is_reported"] = frame["period_start"] <= pd.Timestamp(as_of)
    frame["is_partial"] = frame["period_end"] > pd.Timestamp(as_of)
    frame["fiscal_year"] = frame["period_start"].dt.year
    frame["fiscal_quarter"] = frame["period_start"].dt.quarter
    return frame.assign(period_start=frame["period_start"].dt.date, period_end=frame["period_end"].dt.date)


def parameters_frame(as_of: date, thresholds: Thresholds = DEFAULTS) -> pd.DataFrame:
    """``parameters``: the as-of date and the thresholds, in one row."""
    limits = thresholds.model_dump(include={c.name for c in CORE.tables["parameters"].columns})
    return pd.DataFrame([{"as_of": as_of, "as_of_end": instant_after(as_of), "export_date": as_of, "language": "en", **limits}])


def stages_frame(keys: Iterable[str], benchmark_conversion: float = 0.5, benchmark_days: float | None = None) -> pd.DataFrame:
    """``stages`` of one pipeline with the open stages ``keys`` in their order, won and lost."""
    keys = list(keys)
    frame = pd.DataFrame({"stage": [*keys, "won", "lost"], "position": [*range(1, len(keys) + 2), 0], "kind": ["open"] * len(keys) + ["won", "lost"]})
    is_open = frame["kind"] == "open"
    return frame.assign(
        pipeline="sales",
        label_en=frame["stage"],
        label_zh=frame["stage"],
        benchmark_conversion=np.where(is_open, benchmark_conversion, np.nan),
        benchmark_days=np.where(is_open & (benchmark_days is not None), benchmark_days or np.nan, np.nan),
    )


def visits_frame(entries: pd.DataFrame, stages: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """``stage_visits`` from stage entries (opportunity_id, at, stage, amount), in the order of each deal's rows."""
    steps = entries.merge(stages[["stage", "position", "kind"]], on="stage", validate="m:1")
    deal = steps.groupby("opportunity_id", sort=False)
    before, after = deal[["kind", "position"]].shift(1), deal[["kind", "position", "stage", "at"]].shift(-1)
    steps = steps.assign(
        entry_kind=np.select(
            [before["kind"].isna(), before["kind"] != "open", before["position"] < steps["position"]],
            ["new", "reopened", "advanced"],
            "regressed",
        ),
        exited_at=after["at"],
        next_stage=after["stage"],
        next_position=after["position"],
        exit_kind=np.select(
            [after["kind"].isna(), after["kind"] != "open", after["position"] > steps["position"]],
            [None, after["kind"], "advanced"],
            "regressed",
        ),
    )
    visits = steps[steps["kind"] == "open"].rename(columns={"at": "entered_at"})
    leave = visits["exited_at"].fillna(instant_after(as_of))
    first, last = visits["entered_at"].to_numpy("datetime64[D]") + 1, leave.to_numpy("datetime64[D]") + 1
    return visits.assign(
        visit_number=visits.groupby("opportunity_id").cumcount() + 1,
        is_first=~visits.duplicated(["opportunity_id", "stage"]),
        is_latest=~visits.duplicated(["opportunity_id", "stage"], keep="last"),
        dwell_days=(leave - visits["entered_at"]) / pd.Timedelta(days=1),
        dwell_working_days=np.busday_count(first, np.where(visits["exited_at"].isna(), last - 1, last)),
        history="observed",
        is_entry_dated=True,
        is_dated=True,
        course="whole",
    )


def core_tables(
    events: Iterable[tuple],
    as_of: date,
    stages: pd.DataFrame,
    members: Mapping[str, Mapping[str, str]] | None = None,
    thresholds: Thresholds = DEFAULTS,
    **windows: int,
) -> dict[str, pa.Table]:
    """Core tables as of ``as_of`` from events (deal, instant, stage) or (deal, instant, stage, amount).

    Each event puts a deal into a stage, won and lost included, or changes its amount within its stage; an amount of
    None leaves it as it was. Events of a deal are in order; what lies after the as-of date is not known. ``members``
    gives the member of each deal by dimension; ``windows`` are those of `calendar_frame`.
    """
    known = pd.DataFrame([(*event, None)[:4] for event in events], columns=["opportunity_id", "at", "stage", "amount"])
    known["at"] = pd.to_datetime(known["at"], format="ISO8601").astype("datetime64[us]")
    known = known[known["at"] < instant_after(as_of)].reset_index(drop=True)
    known["amount"] = known["amount"].astype(float).groupby(known["opportunity_id"], sort=False).ffill()
    deal = known.groupby("opportunity_id", sort=False)
    entries = known[known["stage"] != deal["stage"].shift(1)]
    visits = visits_frame(entries, stages, as_of)
    kinds = stages.set_index("stage")["kind"]
    episodes = known.assign(valid_from=known["at"], valid_to=deal["at"].shift(-1), status=known["stage"].map(kinds), history="observed")
    now = deal.tail(1).assign(status=lambda last: last["stage"].map(kinds), pipeline="sales", is_stale=False)
    now = now.merge(deal["at"].min().rename("created_at"), on="opportunity_id", validate="1:1")
    now["closed_at"] = now["at"].where(now["status"] != "open")
    everyone = pd.DataFrame({"opportunity_id": now["opportunity_id"], "dimension": "all", "member": "all"})
    segments = [
        pd.DataFrame({"opportunity_id": now["opportunity_id"], "dimension": dimension, "member": now["opportunity_id"].map(of).fillna("unassigned")})
        for dimension, of in (members or {}).items()
    ]
    frames = {
        "stages": stages,
        "calendar": calendar_frame(as_of, **windows),
        "parameters": parameters_frame(as_of, thresholds),
        "opportunities": now,
        "episodes": episodes[episodes["valid_to"].isna() | (episodes["valid_from"] < episodes["valid_to"])],
        "stage_visits": visits,
        "opportunity_segments": pd.concat([everyone, *segments], ignore_index=True),
    }
    return {name: conformed(frame.reset_index(drop=True), CORE.tables[name]) for name, frame in frames.items()}


def computed(tables: Mapping[str, pa.Table], folder: Path, names: tuple[str, ...] = METRIC_ORDER) -> dict[str, pd.DataFrame]:
    """The metric tables ``names`` over the core tables ``tables``, as the lake stores them by contract (amounts as float)."""
    engine, given = DuckDB(folder), dict(tables)
    as_of = tables["parameters"]["as_of"][0].as_py()
    for name in names:
        path = folder / f"{name}.parquet"
        engine.write(metric_query(name, given), METRICS.tables[name], path, {"as_of": f"DATE '{as_of}'"})
        given[name] = Parquet(str(path))
    return {name: pd.read_parquet(folder / f"{name}.parquet").pipe(_with_float_amounts) for name in names}


def _with_float_amounts(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({name: float for name in ("closing_amount", "won_amount", "mean_amount", "velocity") if name in table})


def rows(table: pd.DataFrame, period_kind: str, period_start: str, dimension: str = "all", member: str = "all") -> pd.DataFrame:
    """The rows of one period and member, by stage where the table has stages."""
    chosen = table[
        (table["period_kind"] == period_kind)
        & (pd.to_datetime(table["period_start"]) == pd.Timestamp(period_start))
        & (table["dimension"] == dimension)
        & (table["member"] == member)
    ]
    return chosen.set_index("stage") if "stage" in chosen else chosen
