"""What a person sees when disk or database fail the command, and that the last good reports stay.

What belongs here: such faults through the whole command, at the start and in the middle of a run. What does not: each
fault of publication by itself (test_publication.py).
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from shutil import disk_usage

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.query import Query
from pipelines.engine.duckdb import DuckDB
from pipelines.errors import HomeError
from pipelines.lake import Lake
from pipelines.report_db import ReportDatabase
from tests.faults.command import END, Company, assert_refused, assert_republished, leftovers, refused, say

pytestmark = pytest.mark.slow


def fill(disk: Path, free_kilobytes: int) -> None:
    """Fill ``disk`` until so much is free."""
    with open(disk / "filler", "ab") as filler:
        filler.write(b"0" * (disk_usage(disk).free - free_kilobytes * 1024))


def when_told(monkeypatch, words: str, fault: Callable[[], None]) -> None:
    """Bring about ``fault`` as soon as the command shows that the table whose name begins with ``words`` is computed."""

    @contextmanager
    def progress(_title: str):
        yield lambda told: fault() if told.startswith(words) else None

    monkeypatch.setattr("pipelines.cli._progress", progress)


def test_the_disk_is_full_during_publication(company: Company, disk_of):
    disk = disk_of(8_000)
    small = company.copied(disk / "company")
    former = small.published()
    fill(disk, small.home.page.stat().st_size // 1024 + 45)  # enough for the page and not for the tables' log beside it
    assert_refused(small, former, 3, "the disk is full", "MB are free on the disk of", "free space or move the home folder to a larger disk")
    assert leftovers(small) == []


def test_the_disk_is_full_from_the_start(company: Company, disk_of):
    disk = disk_of(8_000)
    small = company.copied(disk / "company")
    former = small.published()
    fill(disk, 0)
    refused(small.run(), 3, "the disk is full or failing: 0.0 MB are free", "free space or move the home folder to a larger disk, then run again")
    first = say(*company.arguments("run"), "--home", str(disk / "new"))
    refused(first, 4, "the disk is full: 0.0 MB are free", str(disk / "new"), "expected: room for the file")
    (disk / "filler").unlink()
    assert small.published() == former
    assert leftovers(small) == []


@pytest.mark.parametrize("content", [Query("SELECT random() AS number FROM range(1000000)", {}), pa.table({"number": range(1_000_000)})])
def test_the_disk_fills_up_while_a_table_is_written(small_disk: Path, tmp_path, content):
    lake = Lake(small_disk, DuckDB(tmp_path), END)
    lake.store("numbers", pa.table({"number": [1]}))
    with pytest.raises(HomeError, match="the disk is full") as caught:
        lake.store("numbers", content)
    assert "what to do: free space" in str(caught.value)
    assert pq.read_table(lake.path("numbers")).num_rows == 1
    assert [path.name for path in lake.path("numbers").parent.iterdir()] == ["numbers.parquet"]


def test_the_disk_fills_up_while_tables_are_computed(company: Company, disk_of, monkeypatch):
    disk = disk_of(8_000)
    small = company.copied(disk / "company")
    former = small.published()
    when_told(monkeypatch, "exported_owners", lambda: fill(disk, 0))
    said = small.run()
    refused(said, 4, "the disk is full: 0.0 MB are free", ".parquet", "expected: room for the file", "free space or move the home folder")
    (disk / "filler").unlink()
    assert small.published() == former
    assert leftovers(small) == []


def test_the_disk_fills_up_before_the_page_and_the_run_is_repeated(company: Company, disk_of, monkeypatch):
    disk = disk_of(8_000)
    small = company.copied(disk / "company")
    former = small.published()
    with monkeypatch.context() as patch:
        when_told(patch, "data_quality", lambda: fill(disk, 60))
        assert_refused(small, former, 4, "the disk is full", "report.html", "expected: room for the file")
    assert leftovers(small) == []
    (disk / "filler").unlink()
    assert small.run().exit_code == 0
    assert_republished(small, former)


def test_a_folder_in_place_of_the_report_file(company: Company):
    former = company.home.report_database.rename(company.folder / "reports.sqlite")
    company.home.report_database.mkdir()
    said = company.run()
    refused(said, 3, "the path of the report database is a folder", "give the path of a file")
    assert former.exists()


def test_a_report_file_that_is_something_else(company: Company):
    company.home.report_database.write_text("Dear customer, this is not a database. " * 100, encoding="utf-8")
    refused(company.run(), 3, "is not a SQLite database, or is damaged", "away")
    assert company.home.report_database.read_text(encoding="utf-8").startswith("Dear customer")


def test_a_home_folder_that_may_not_be_written(company: Company, open_folder, without_rights):
    moved = company.copied(open_folder / "company")
    former = moved.published()
    for folder in (moved.folder, moved.home.path):
        folder.chmod(0o755 if os.geteuid() == 0 else 0o555)
    (moved.home.lock_file).chmod(0o444)
    try:
        with without_rights():
            said = moved.run()
    finally:
        moved.home.path.chmod(0o755)
    refused(said, 4, "it cannot be written", "give the user that runs Leadline that right")
    assert moved.published() == former


def test_the_report_file_is_locked(company: Company, monkeypatch):
    former = company.published()
    monkeypatch.setattr("pipelines.resources.ReportDatabase", partial(ReportDatabase, wait_seconds=0.2))
    with closing(sqlite3.connect(company.home.report_database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_refused(company, former, 3, "another program is writing to the report database", "within 0.2 s", "fuser", "run again")
    assert leftovers(company) == []


def test_the_report_database_goes_away_during_the_run(company: Company, postgres_url, postgres_server, monkeypatch):
    server = Company(company.folder, postgres_url.render_as_string(hide_password=False))
    assert server.run().exit_code == 0
    database = ReportDatabase(postgres_url)
    page, former = company.home.page.read_bytes(), database.read("revenue_forecast", END)
    with monkeypatch.context() as patch:
        when_told(patch, "data_quality", lambda: postgres_server.execute(f"ALTER DATABASE {postgres_url.database} RENAME TO away"))
        refused(server.run(), 3, f"the server has no database {postgres_url.database}", "createdb", "what was published before is unchanged")
    postgres_server.execute(f"ALTER DATABASE away RENAME TO {postgres_url.database}")
    assert company.home.page.read_bytes() == page
    assert database.read("revenue_forecast", END).equals(former)
    assert len(database.read("run_log", END)) == 1
