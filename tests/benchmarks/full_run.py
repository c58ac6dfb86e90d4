"""Time and peak memory of a whole run at scale, asset by asset, beside the reading of the same files by DuckDB alone.

    python -m tests.benchmarks.full_run [--deals 1000000] [--folder DIR] [--keep]

Writes the simulator's company as Salesforce CSV files (about five stage events per deal), runs the job on them in this
process and prints one line per stored table: seconds since the one before, and the highest resident memory in between
(Linux: /proc/self/status, VmHWM). The last lines compare the whole with DuckDB's ``read_csv`` of the same files.
"""

import time

import duckdb

from pipelines.resources import Place
from pipelines.run import run_job
from tests.benchmarks.company import benchmark_company, highest_memory_mb


class Steps:
    """Told what has just been stored, prints what it took since the one before; ``highest_mb`` is the highest memory of all."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.highest_mb = highest_memory_mb()

    def __call__(self, told: str) -> None:
        now, memory = time.perf_counter(), highest_memory_mb()
        print(f"{now - self._last:8.1f} s {memory:8.0f} MB  {told}", flush=True)
        self._last, self.highest_mb = now, max(self.highest_mb, memory)


def main() -> None:
    """Write, run, print."""
    with benchmark_company(__doc__) as folder:
        exports = folder / "exports"
        started = time.perf_counter()
        with duckdb.connect(config={"threads": 2}) as connection:
            for path in sorted(exports.glob("Opportunity*.csv")):
                rows = connection.execute(f"SELECT count(COLUMNS(*)) FROM read_csv('{path}', all_varchar = true)").fetchone()
                print(f"DuckDB read_csv of {path.name}: {max(rows):,} rows")
        reading = time.perf_counter() - started
        highest_memory_mb()
        started = time.perf_counter()
        place = Place(config=str(folder / "leadline.yaml"), exports=str(exports), home=str(folder / "home"))
        steps = Steps()
        run_job("leadline", place, None, steps)
        steps("the rest: publication and page")
        whole = time.perf_counter() - started
        print(f"whole run {whole:.1f} s, peak {steps.highest_mb:.0f} MB; {whole / reading:.1f} times DuckDB's reading of the same files ({reading:.1f} s)")


if __name__ == "__main__":
    main()
