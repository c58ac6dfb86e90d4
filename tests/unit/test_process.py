"""How the command's process ends: with its code, with all that was printed, after what libraries asked for."""

import subprocess
import sys

ENDING = """
import atexit, sys
from pipelines.process import run_and_end

def command():
    atexit.register(lambda: print("a library's own end"))
    print("done")
    {ending}

run_and_end(command)
"""


def ended(ending: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", ENDING.format(ending=ending)], capture_output=True, text=True, check=False)


def test_the_code_is_kept_and_everything_printed_before_the_process_ends():
    process = ended("sys.exit(7)")
    assert (process.returncode, process.stdout.split("\n")) == (7, ["done", "a library's own end", ""])


def test_any_other_end_is_pythons_own():
    process = ended("raise ValueError('unforeseen')")
    assert process.returncode == 1 and "unforeseen" in process.stderr
