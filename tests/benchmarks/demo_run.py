"""The demonstration run beside the import of the libraries it stands on, in the same minute.

    python -m tests.benchmarks.demo_run [--runs 3]

Each run is a process of its own; prints the seconds of both, their ratio and the run's peak memory. The aim is a ratio
of at most 4.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time

IMPORTS = "import dagster, great_expectations, pandas, sklearn"


def seconds(*arguments: str) -> float:
    """Wall-clock seconds of a Python process that must end well."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Run both in turn and print the ratio pair by pair."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=3)
    for _ in range(arguments.parse_args().runs):
        importing = seconds("-c", IMPORTS)
        with tempfile.TemporaryDirectory() as home:
            running = seconds("-m", "pipelines.cli", "demo", "--home", home)
        print(f"import {importing:.1f} s, demonstration {running:.1f} s: {running / importing:.2f} times")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
