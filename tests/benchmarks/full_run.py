"""Time and peak memory of a whole run at scale, asset by asset, beside the reading of the same files by DuckDB alone.

    python -m tests.benchmarks.full_run [--deals 1000000] [--folder DIR] [--keep]

Writes the simulator's company as Salesforce CSV files (about five stage events per deal), runs the job on them in this
process and prints one line per stored table: seconds since the one before, and the highest resident memory in between
(Linux: /proc/self/status, VmHWM). The last lines compare the whole with DuckDB's ``read_csv`` of the same files.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from pipelines.demo.benchmark import write_benchmark
from pipelines.resources import Place
from pipelines.run import run_job

SEED = 7


def highest_memory_mb() -> float:
    """Highest resident memory of this process since the last call, in MB; the mark is then taken back."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: the benchmark needs Linux")


def step_printer() -> Callable[[str], None]:
    """A progress function that prints what each stored table took."""
    last = time.perf_counter()

    def printed(told: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"{now - last:8.1f} s {highest_memory_mb():8.0f} MB  {told}", flush=True)
        last = now

    return printed


def main() -> None:
    """Write, run, print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--deals", type=int, default=1_000_000)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        exports = folder / "exports"
        if not exports.exists():
            started = time.perf_counter()
            exports = write_benchmark(folder, given.deals, SEED)
            print(
                f"written in {time.perf_counter() - started:.0f} s: {', '.join(f'{p.name} {p.stat().st_size / 1e6:.0f} MB' for p in sorted(exports.iterdir()))}"
            )
        started = time.perf_counter()
        with duckdb.connect(config={"threads": 2}) as connection:
            for path in sorted(exports.glob("Opportunity*.csv")):
                rows = connection.execute(f"SELECT count(COLUMNS(*)) FROM read_csv('{path}', all_varchar = true)").fetchone()
                print(f"DuckDB read_csv of {path.name}: {max(rows):,} rows")
        reading = time.perf_counter() - started
        highest_memory_mb()
        started = time.perf_counter()
        place = Place(config=str(folder / "leadline.yaml"), exports=str(exports), home=str(folder / "home"))
        run_job("leadline", place, None, step_printer())
        whole = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"whole run {whole:.1f} s, peak {peak:.0f} MB; {whole / reading:.1f} times DuckDB's reading of the same files ({reading:.1f} s)")


if __name__ == "__main__":
    main()
