"""The company that the benchmarks at scale run on, and what they measure with.

What belongs here: its exports, written once into a folder, and the highest memory of this process. What does not: what
is timed.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.demo.benchmark import write_benchmark

SEED = 7


@contextmanager
def benchmark_company(description: str) -> Iterator[Path]:
    """The folder named by the arguments of the command line, or a temporary one, with exports/ and leadline.yaml.

    The simulator writes them as Salesforce CSV files, about five stage events per deal, unless they are there.
    """
    arguments = argparse.ArgumentParser(description=description.splitlines()[0])
    arguments.add_argument("--deals", type=int, default=1_000_000)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "exports").exists():
            exports = write_benchmark(folder, given.deals, SEED)
            print("written: " + ", ".join(f"{p.name} {p.stat().st_size / 1e6:.0f} MB" for p in sorted(exports.iterdir())), flush=True)
        yield folder


def highest_memory_mb() -> float:
    """Highest resident memory of this process since the last call, in MB; the mark is then taken back."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: the benchmark needs Linux")
