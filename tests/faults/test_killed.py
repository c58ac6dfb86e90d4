"""What happens when a run is stopped, killed or started twice: the last good reports stay and the next run works.

What belongs here: the command as a process of its own. What does not: faults within one process.
"""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.command import Company, Said, assert_refused, assert_republished, leftovers, refused

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240


def started(company: Company) -> subprocess.Popen:
    """``leadline run`` under way in a process of its own."""
    command = [sys.executable, "-m", "pipelines.cli", *company.arguments("run")]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(is_there: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait until something is there while ``process`` runs."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def stopped(process: subprocess.Popen, by: signal.Signals) -> Said:
    process.send_signal(by)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Said(process.returncode, out, err)


def assert_runs_again(company: Company, former: dict) -> None:
    """A run in this process works, publishes the same, and leaves nothing unfinished behind."""
    said = company.run()
    assert said.exit_code == 0, said.err
    assert_republished(company, former)
    assert leftovers(company) == []


def test_two_runs_at_once(company: Company):
    former = company.published()
    with company.home.lock():
        assert_refused(company, former, 5, "another run is under way: process ", "expected: one run at a time in a home folder", "wait until it ends")


@pytest.mark.slow
def test_a_second_run_is_refused_and_the_first_killed_while_it_publishes(company: Company):
    former = company.published()
    with closing(sqlite3.connect(company.home.report_database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # holds the first run where its page is written and its tables are not
        first = started(company)
        wait_until(lambda: any(company.home.path.glob(".report.html.*")), first)
        assert_refused(company, former, 5, f"another run is under way: process {first.pid}, started ")
        assert stopped(first, signal.SIGKILL).exit_code == -signal.SIGKILL
    assert company.published() == former
    assert_runs_again(company, former)


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_is_stopped_in_the_middle(company: Company, by: signal.Signals):
    former = company.published()
    (table,) = (company.home.lake / "stage_visits").glob("*/stage_visits.parquet")
    written = table.stat().st_mtime_ns
    process = started(company)
    wait_until(lambda: table.stat().st_mtime_ns != written, process)
    said = stopped(process, by)
    if by is signal.SIGKILL:
        assert said.exit_code == -by
    else:
        refused(said, 130, "the run was stopped at the step ", "what was published before stands", "run again")
    assert company.published() == former
    if by is signal.SIGKILL:
        assert_runs_again(company, former)
