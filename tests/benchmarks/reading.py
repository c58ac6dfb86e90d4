"""Time and peak memory of reading and judging exports at scale, beside DuckDB's reading and Polars' checking of the same.

    python -m tests.benchmarks.reading [--deals 1000000] [--folder DIR]

Writes the simulator's company as Salesforce CSV files (about five rows of history per deal), then in this one process:
DuckDB's ``read_csv`` of both files into memory, all columns as text; Leadline's reading and parsing of both; the
judging of both, and the same checks by Polars, where that is installed. The limits that Leadline holds itself to: the
reading takes at most 2.5 times DuckDB's and stays below 3 GB.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from assets.exports.exported import PARENTS_SQL
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.reading import TypedExport, read_table
from assets.exports.settings import Configuration
from assets.query import Query
from pipelines.configuration import load_configuration
from pipelines.demo.benchmark import write_benchmark
from pipelines.engine.duckdb import DuckDB
from tests.benchmarks.full_run import SEED, highest_memory_mb

FILES = {"opportunities": "Opportunity.csv", "stage_history": "OpportunityHistory.csv"}
RATIO = 2.5
GIGABYTES = 3


def timed(work: Callable):
    """What ``work`` gives, its seconds and the highest resident memory meanwhile in MB."""
    highest_memory_mb()
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started, highest_memory_mb()


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
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--deals", type=int, default=1_000_000)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        exports = folder / "exports"
        if not exports.exists():
            write_benchmark(folder, given.deals, SEED)
        company = load_configuration(folder / "leadline.yaml")
        alone, ours, peak, read = 0.0, 0.0, 0.0, {}
        for name in FILES.values():
            rows, seconds, memory = timed(partial(duckdb_reads, exports / name))
            alone += seconds
            print(f"{seconds:7.1f} s {memory:6.0f} MB  DuckDB read_csv of {name}: {rows:,} rows, {(exports / name).stat().st_size / 1e6:.0f} MB", flush=True)
        for table in FILES:
            read[table], seconds, memory = timed(partial(read_table, exports, table, company))
            ours, peak = ours + seconds, max(peak, memory)
            print(f"{seconds:7.1f} s {memory:6.0f} MB  Leadline's reading and parsing of {table}: {read[table].rows.num_rows:,} rows", flush=True)
        print(f"reading: {ours / alone:.2f} times DuckDB's (at most {RATIO}), peak {peak / 1024:.2f} GB (below {GIGABYTES})", flush=True)


if __name__ == "__main__":
    main()
