"""Time and peak memory of reading and judging exports at scale, beside DuckDB's reading and Polars' checking of the same.

    python -m tests.benchmarks.reading [--deals 1000000] [--folder DIR]

Writes the simulator's company as Salesforce CSV files (about five rows of history per deal), then in this one process:
DuckDB's ``read_csv`` of both files into memory, all columns as text; Leadline's reading and parsing of both; the
judging of both, and the same checks by Polars, where that is installed. The limits that Leadline holds itself to: the
reading takes at most 2.5 times DuckDB's and stays below 3 GB.
"""

import importlib.util
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.exported import PARENTS_SQL
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.reading import TypedExport, read_table
from assets.exports.settings import Configuration
from assets.query import Query
from models.simulated_world import DEMO
from pipelines.configuration import load_configuration
from pipelines.engine.duckdb import DuckDB
from tests.benchmarks.company import benchmark_company, highest_memory_mb

FILES = {"opportunities": "Opportunity.csv", "stage_history": "OpportunityHistory.csv"}
RATIO = 2.5
GIGABYTES = 3
EXPORT_DATE = DEMO.end


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, seconds of both processors (which other programs disturb less), highest resident memory in MB."""

    seconds: float
    processor_seconds: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:7.1f} s {self.processor_seconds:7.1f} s of processors {self.memory:6.0f} MB"


def timed(work: Callable) -> tuple[Any, Cost]:
    """What ``work`` gives, and what it took."""
    highest_memory_mb()
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, Cost(time.perf_counter() - clock, time.process_time() - processor, highest_memory_mb())


def duckdb_reads(path: Path) -> int:
    """Rows of a file that DuckDB has read into a table, all columns as text."""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"CREATE TABLE read AS SELECT * FROM read_csv('{path}', all_varchar = true)")
        return connection.execute("SELECT count(*) FROM read").fetchone()[0]


def judged(read: dict[str, TypedExport], company: Configuration, owners: pa.Table, export_date: date, folder: Path) -> dict[str, pa.Table]:
    """Opportunities and their history judged, as the assets of exported tables do it."""
    engine = DuckDB(folder)
    rates = exchange_rates(company, None, export_date)
    deals = judge("opportunities", read["opportunities"].rows, read["opportunities"].faults, company, engine, export_date, Judged(NO_PARENTS, owners, rates))
    parents = engine.arrow(Query(PARENTS_SQL, {"exported_opportunities": deals}))
    history = read["stage_history"]
    return {
        "opportunities": deals,
        "stage_history": judge("stage_history", history.rows, history.faults, company, engine, export_date, Judged(parents, owners, rates)),
    }


def main() -> None:
    """Write, read, judge, print."""
    with benchmark_company(__doc__) as folder:
        exports = folder / "exports"
        company = load_configuration(folder / "leadline.yaml")
        alone, ours, read = [], [], {}
        for name in FILES.values():
            rows, cost = timed(partial(duckdb_reads, exports / name))
            alone.append(cost)
            print(f"{cost}  DuckDB read_csv of {name}: {rows:,} rows, {(exports / name).stat().st_size / 1e6:.0f} MB", flush=True)
        for table in FILES:
            read[table], cost = timed(partial(read_table, exports, table, company))
            ours.append(cost)
            print(f"{cost}  Leadline's reading and parsing of {table}: {read[table].rows.num_rows:,} rows", flush=True)
        clock, processors = ratio(ours, alone, "seconds"), ratio(ours, alone, "processor_seconds")
        print(f"reading: {clock:.2f} times DuckDB's by the clock (at most {RATIO}), {processors:.2f} by processor time", flush=True)
        print(f"reading: at most {max(c.memory for c in ours) / 1024:.2f} GB (below {GIGABYTES})", flush=True)
        compare_checks(read, company, exports, folder)


def ratio(of: Iterable[Cost], to: Iterable[Cost], part: str) -> float:
    """How many times what ``to`` took in all ``of`` took."""
    return sum(getattr(c, part) for c in of) / sum(getattr(c, part) for c in to)


def compare_checks(read: dict[str, TypedExport], company: Configuration, exports: Path, folder: Path) -> None:
    """Print what Leadline's checks take, and the same conditions in Polars where it is installed."""
    owners = read_table(exports, "owners", company).rows.select(["owner_id"])
    tables, cost = timed(partial(judged, read, company, owners, EXPORT_DATE, folder))
    print(f"{cost}  Leadline's checks, with verdicts and reasons: {counted(tables)}", flush=True)
    if importlib.util.find_spec("polars") is None:
        print("polars not installed: its checks are not timed", flush=True)
        return
    from tests.benchmarks.checks_in_polars import failures

    rows = {table: export.rows for table, export in read.items()}
    found, cost = timed(partial(failures, rows, owners, company, EXPORT_DATE))
    print(f"{cost}  the same conditions in Polars: {found}", flush=True)


def counted(tables: dict[str, pa.Table]) -> str:
    """Verdicts by table, in words."""
    verdicts = {table: pc.value_counts(rows["_verdict"]).to_pylist() for table, rows in tables.items()}
    return "; ".join(f"{table}: " + ", ".join(f"{v['counts']:,} {v['values']}" for v in found) for table, found in verdicts.items())


if __name__ == "__main__":
    main()
