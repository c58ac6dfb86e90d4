"""Leadline as Dagster sees it: the graph describes itself, and Dagster's own command publishes what `leadline run` does."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from models.simulated_world import DEMO
from pipelines.definitions import defs
from pipelines.demo import write_demo
from pipelines.report_db import ReportDatabase
from pipelines.resources import resources
from quality.tables import PUBLISHED

ROOT = Path(__file__).resolve().parents[2]
SMALL = replace(DEMO, deals=1_000)
SHORT = "reporting: {weeks: 2, months: 3, quarters: 2}\nforecast: {origins: 6, draws: 200}\n"
"""Settings that save most of a run's time."""


def test_every_asset_shows_its_group_meaning_columns_and_checks():
    checked = {key.asset_key for key in defs.resolve_asset_graph().asset_check_keys}
    for spec in defs.resolve_all_asset_specs():
        assert spec.group_name in {"pulls", "exports", "core", "metrics", "forecasts", "reports"}, spec.key
        assert spec.description, spec.key
        if spec.key != dg.AssetKey("publication"):
            assert all(column.description for column in spec.metadata["dagster/column_schema"].columns), spec.key
            assert spec.key in checked or spec.group_name == "pulls"  # a pulled file is checked when it is read


def test_the_report_database_may_be_left_out_of_the_environment_and_is_only_named(monkeypatch):
    monkeypatch.delenv("LEADLINE_REPORT_DB", raising=False)
    assert resources()["place"].report_db == ""
    monkeypatch.setenv("LEADLINE_REPORT_DB", "postgresql://leadline:secret@db/reports")
    named = resources()["place"].report_db
    assert isinstance(named, dg.EnvVar)
    assert named.get_value() == "postgresql://leadline:secret@db/reports"


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a module of this Python in the checkout with some environment variables of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LEADLINE_", "DAGSTER_"))}
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_dagster_job_execute_publishes_what_leadline_run_does(tmp_path):
    made = write_demo(tmp_path / "demo", "salesforce", SMALL)
    made.configuration.write_text(made.configuration.read_text(encoding="utf-8") + SHORT, encoding="utf-8")
    by_leadline, by_dagster = tmp_path / "by-leadline", tmp_path / "by-dagster"
    where = ("--config", str(made.configuration), "--exports", str(made.exports))
    run = command("pipelines.cli", "run", *where, "--home", str(by_leadline))
    assert run.returncode == 0, run.stderr

    (by_dagster / "dagster").mkdir(parents=True)
    job = command(
        *("dagster", "job", "execute", "-m", "pipelines.definitions", "-j", "leadline"),
        *("--tags", f'{{"dagster/partition": "{SMALL.end}"}}'),
        LEADLINE_CONFIG=str(made.configuration),
        LEADLINE_EXPORTS=str(made.exports),
        LEADLINE_HOME=str(by_dagster),
        LEADLINE_REPORT_DB=f"sqlite:///{tmp_path / 'elsewhere.sqlite'}",
        DAGSTER_HOME=str(by_dagster / "dagster"),
    )
    assert job.returncode == 0, job.stderr[-3_000:]
    assert not (by_dagster / "reports.sqlite").exists()

    ours, dagsters = ReportDatabase(f"sqlite:///{by_leadline / 'reports.sqlite'}"), ReportDatabase(f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    for name in PUBLISHED:
        if name != "run_log":
            pd.testing.assert_frame_equal(ours.read(name, SMALL.end), dagsters.read(name, SMALL.end), check_exact=True)
    assert len(dagsters.read("run_log", SMALL.end)) == 1
    assert not dagsters.read("win_probability", SMALL.end).empty


@pytest.mark.slow
def test_dagster_loads_the_workspace():
    validated = command("dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert validated.returncode == 0, validated.stderr[-3_000:]
