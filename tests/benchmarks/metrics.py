"""Times the funnel metrics on simulated core tables: ``python -m tests.benchmarks.metrics FOLDER [DEALS]``.

What belongs here: making core tables of any size in seconds and timing one metric after the other on them, each in
a process of its own so that its peak memory is its own. What does not: checks of the figures.
"""

import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from assets.metrics import METRIC_SQL, metric_query
from assets.query import Parquet
from pipelines.engine.duckdb import DuckDB
from quality.tables.metrics import METRICS
from tests.metric_frames import METRIC_ORDER, calendar_frame, parameters_frame

AS_OF = date(2025, 6, 18)
DAYS = 4 * 365
STAGES = 7
DIMENSIONS = {"source": 8, "industry": 12, "region": 6, "product": 6, "team": 10, "owner": 80}


def core_tables(deals: int, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Core tables of ``deals`` deals created evenly over four years, in seven stages: about five visits a deal."""
    random = np.random.default_rng(seed)
    end = np.datetime64(datetime.combine(AS_OF + timedelta(days=1), datetime.min.time()), "us")
    minute = 60_000_000
    created = end - random.integers(1, DAYS * 24 * 60, deals) * np.timedelta64(minute, "us")
    dwell = np.ceil(random.lognormal(2.2, 1.0, (deals, STAGES)) * 1440).astype("int64")
    entered = np.concatenate([np.zeros((deals, 1), "int64"), dwell.cumsum(axis=1)], axis=1)
    lost_after = np.where(random.random((deals, STAGES)) < 0.14, 1, 0)
    lost_after = np.where(lost_after.any(axis=1), lost_after.argmax(axis=1), STAGES)
    ids = np.char.add("OPP", np.char.zfill(np.arange(deals).astype("str"), 9))
    amount = np.round(random.lognormal(10, 1, deals), 2)
    parts = []
    for stage in range(STAGES):
        reached = (lost_after >= stage) & (created + entered[:, stage].astype("timedelta64[m]") < end)
        start = (created + entered[:, stage].astype("timedelta64[m]"))[reached]
        leave = (created + entered[:, stage + 1].astype("timedelta64[m]"))[reached]
        gone = leave < end
        lost = lost_after[reached] == stage
        kind = np.where(lost, "lost", "won" if stage == STAGES - 1 else "advanced")
        after = np.where(lost, "lost", "won" if stage == STAGES - 1 else f"s{stage + 2}")
        parts.append(
            pd.DataFrame(
                {
                    "opportunity_id": ids[reached],
                    "visit_number": stage + 1,
                    "stage": f"s{stage + 1}",
                    "position": stage + 1,
                    "entered_at": start,
                    "entry_kind": "new" if stage == 0 else "advanced",
                    "exited_at": np.where(gone, leave, np.datetime64("NaT")),
                    "exit_kind": np.where(gone, kind, None),
                    "next_stage": np.where(gone, after, None),
                    "next_position": pd.array(np.where(gone, np.where(lost, 0, stage + 2), -1), dtype="Int32"),
                    "is_first": True,
                    "is_latest": True,
                    "amount": amount[reached],
                    "dwell_days": (np.where(gone, leave, end) - start) / np.timedelta64(86_400_000_000, "us"),
                    "history": "observed",
                    "is_entry_dated": True,
                    "is_dated": True,
                    "course": "whole",
                }
            )
        )
    visits = pd.concat(parts, ignore_index=True)
    visits.loc[visits["exited_at"].isna(), "next_position"] = pd.NA
    visits["dwell_working_days"] = np.floor(visits["dwell_days"] * 5 / 7)
    last = visits.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id").loc[ids]
    status = last["exit_kind"].where(last["exited_at"].notna(), "open").to_numpy()
    opportunities = pd.DataFrame(
        {
            "opportunity_id": ids,
            "pipeline": "sales",
            "status": status,
            "stage": np.where(status == "open", last["stage"].to_numpy(), status),
            "amount": amount,
            "created_at": created,
            "closed_at": last["exited_at"].to_numpy(),
        }
    )
    closed = visits[visits["exit_kind"].isin(["won", "lost"])]
    states = visits[["opportunity_id", "entered_at", "exited_at", "stage", "amount"]]
    states = states.set_axis(["opportunity_id", "valid_from", "valid_to", "stage", "amount"], axis=1).assign(status="open")
    ends = closed[["opportunity_id", "exited_at", "next_stage", "amount"]].set_axis(["opportunity_id", "valid_from", "stage", "amount"], axis=1)
    episodes = pd.concat([states, ends.assign(valid_to=pd.NaT, status=closed["exit_kind"])], ignore_index=True)
    segments = [pd.DataFrame({"opportunity_id": ids, "dimension": "all", "member": "all"})]
    for dimension, members in DIMENSIONS.items():
        drawn = random.integers(0, members, deals).astype("str")
        segments.append(pd.DataFrame({"opportunity_id": ids, "dimension": dimension, "member": np.char.add(f"{dimension} ", drawn)}))
    stages = pd.DataFrame(
        {
            "stage": [*(f"s{i + 1}" for i in range(STAGES)), "won", "lost"],
            "pipeline": "sales",
            "position": [*range(1, STAGES + 2), 0],
            "kind": ["open"] * STAGES + ["won", "lost"],
            "benchmark_conversion": [0.5] * STAGES + [None, None],
            "benchmark_days": [14.0] * STAGES + [None, None],
        }
    )
    return {
        "stages": stages,
        "opportunities": opportunities,
        "stage_visits": visits,
        "episodes": episodes,
        "opportunity_segments": pd.concat(segments, ignore_index=True),
        "calendar": calendar_frame(AS_OF, weeks=13, months=25, quarters=9),
        "parameters": parameters_frame(AS_OF),
    }


def timed(folder: Path, name: str) -> str:
    """Compute one metric from the Parquet files of ``folder`` and say what it took."""
    query = metric_query(name, {table: Parquet(str(folder / f"{table}.parquet")) for table in METRIC_SQL[name]})
    start = perf_counter()
    rows = DuckDB(folder).write(query, METRICS.tables[name], folder / f"{name}.parquet", {"as_of": f"DATE '{AS_OF}'"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"{name}: {rows} rows, {perf_counter() - start:.1f} s, peak {peak:.2f} GB"


def main(folder: Path, deals: int) -> None:
    """Make the tables, once per folder, and time every metric."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "parameters.parquet").exists():
        for name, frame in core_tables(deals).items():
            frame.to_parquet(folder / f"{name}.parquet")
    for name in METRIC_ORDER:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(timed, folder, name).result())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
