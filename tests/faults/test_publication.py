"""What happens to the published tables when a publication goes wrong: they stay, and the message says what to do."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import date
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from pipelines.errors import PublicationError
from pipelines.report_db import ReportDatabase
from quality.tables.columns import column, table
from quality.tables.metrics import as_of
from tests.postgres import PASSWORD

DAY = date(2025, 1, 31)
PROJECT = Path(__file__).parents[2]
CONTRACTS = {
    "things": table(
        sa.MetaData(),
        "things",
        "One row per thing.",
        as_of(),
        column("number", "count", "Number", key=True),
        column("name", "text", "Name"),
    )
}


def rows(count: int, name: str = "former") -> pa.Table:
    return pa.table({"as_of": pa.array([DAY] * count, pa.date32()), "number": range(count), "name": [name] * count})


def reports(address: str | sa.URL, wait_seconds: float = 0.2) -> ReportDatabase:
    return ReportDatabase(address, CONTRACTS, wait_seconds)


def in_file(path: Path) -> ReportDatabase:
    """The database in a SQLite file that holds three rows."""
    database = reports(f"sqlite:///{path}")
    database.publish(DAY, {"things": rows(3)})
    return database


def names(database: ReportDatabase) -> list[str]:
    return database.read("things", DAY)["name"].tolist()


def message(database: ReportDatabase, count: int = 5) -> str:
    """What a publication that must fail says; it always tells what to do."""
    with pytest.raises(PublicationError) as caught:
        database.publish(DAY, {"things": rows(count, "new")})
    assert "what to do: " in str(caught.value)
    assert "what was published before is unchanged" in str(caught.value)
    return str(caught.value)


def test_another_writer_holds_the_file(tmp_path):
    database = in_file(tmp_path / "reports.sqlite")
    other = sqlite3.connect(tmp_path / "reports.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    said = message(database)
    assert "another program is writing to the report database" in said
    assert "within 0.2 s" in said
    assert "fuser" in said
    other.close()
    assert names(database) == ["former"] * 3
    database.publish(DAY, {"things": rows(1, "new")})
    assert names(database) == ["new"]


def test_a_reader_does_not_hold_up_a_publication(tmp_path, caplog):
    database = in_file(tmp_path / "reports.sqlite")
    reader = sqlite3.connect(tmp_path / "reports.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM things").fetchone() == (3,)
    database.publish(DAY, {"things": rows(4, "new")})
    assert reader.execute("SELECT count(*) FROM things").fetchone() == (3,)
    assert "copy or move the two files together" in caplog.text
    reader.close()
    assert names(database) == ["new"] * 4


def test_the_disk_is_full(small_disk):
    database = in_file(small_disk / "reports.sqlite")
    said = message(database, 50_000)
    assert "the disk is full" in said
    assert "MB are free" in said
    assert "free space" in said
    assert names(database) == ["former"] * 3
    database.publish(DAY, {"things": rows(2, "new")})
    assert names(database) == ["new"] * 2


def test_the_disk_fills_up_while_the_log_is_moved_into_the_file(small_disk, caplog):
    database = in_file(small_disk / "reports.sqlite")
    (small_disk / "filler").write_bytes(b"0" * 150_000)
    database.publish(DAY, {"things": rows(2_500, "new" * 10)})
    assert "copy or move the two files together" in caplog.text
    assert len(names(database)) == 2_500
    with closing(sqlite3.connect(small_disk / "reports.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_file_may_not_be_written(open_folder, without_rights):
    database = in_file(open_folder / "reports.sqlite")
    (open_folder / "reports.sqlite").chmod(0o444)
    if os.geteuid() != 0:
        open_folder.chmod(0o555)
    try:
        with without_rights():
            said = message(database)
    finally:
        open_folder.chmod(0o755)
    assert "may not be written by this user" in said
    assert f"ls -ld {open_folder}" in said
    assert names(database) == ["former"] * 3


def test_the_file_is_something_else(tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear customer, this is not a database. " * 100)
    said = message(reports(f"sqlite:///{letter}"))
    assert "not a SQLite database" in said
    assert f"move {letter} away" in said
    assert letter.read_text().startswith("Dear customer")


def test_the_path_is_a_folder(tmp_path):
    assert "is a folder" in message(reports(f"sqlite:///{tmp_path}"))


def test_the_folder_is_missing(tmp_path):
    assert f"{tmp_path / 'none'} does not exist" in message(reports(f"sqlite:///{tmp_path}/none/reports.sqlite"))


def test_the_file_is_damaged(tmp_path):
    path = tmp_path / "reports.sqlite"
    database = in_file(path)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    assert "is not a SQLite database, or is damaged" in message(database)


KILLED_WHILE_LOADING = """
import os, signal, sys
from tests.faults.test_publication import DAY, reports, rows

def endless():
    yield from rows(60_000, "new").to_batches()
    print("loading", flush=True)
    signal.pause()

import pipelines.report_db
pipelines.report_db._batches = lambda *arguments: endless()
reports(sys.argv[1]).publish(DAY, {"things": rows(1)})
"""


def killed_while_loading(address: str) -> None:
    """Kill a publishing process after it has loaded rows and before it commits."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED_WHILE_LOADING), address], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_the_process_is_killed_while_it_loads_a_file(tmp_path):
    path = tmp_path / "reports.sqlite"
    database = in_file(path)
    killed_while_loading(f"sqlite:///{path}")
    assert names(database) == ["former"] * 3
    database.publish(DAY, {"things": rows(1, "new")})
    assert names(database) == ["new"]


def test_the_process_is_killed_while_it_loads_a_server(postgres_url):
    database = reports(postgres_url, wait_seconds=10)
    database.publish(DAY, {"things": rows(3)})
    killed_while_loading(postgres_url.render_as_string(hide_password=False))
    assert names(database) == ["former"] * 3
    database.publish(DAY, {"things": rows(1, "new")})
    assert names(database) == ["new"]


def test_two_publications_at_once_on_a_server(postgres_url):
    database = reports(postgres_url)
    database.publish(DAY, {"things": rows(3)})
    engine = database._database.engine(writes=True)
    with engine.begin() as connection:
        database._database.lock(connection)
        assert "another publication holds the report database" in message(database)
    engine.dispose()
    database.publish(DAY, {"things": rows(1, "new")})
    assert names(database) == ["new"]


def test_the_server_refuses_the_password(postgres_url):
    said = message(reports(postgres_url.set(password="a-wrong-password")))
    assert "refuses user leadline" in said
    assert "a-wrong-password" not in said
    assert PASSWORD not in said


def test_the_server_has_no_such_database(postgres_url):
    assert "no database elsewhere" in message(reports(postgres_url.set(database="elsewhere")))


def test_the_server_is_away(tmp_path):
    said = message(reports(f"postgresql://leadline:{PASSWORD}@/reports?host={tmp_path}"))
    assert "does not answer" in said
    assert "pg_isready" in said
    assert PASSWORD not in said


def test_the_server_takes_reads_only(postgres_url, postgres_server):
    database = reports(postgres_url)
    database.publish(DAY, {"things": rows(3)})
    postgres_server.execute(f"ALTER DATABASE {postgres_url.database} SET default_transaction_read_only = on")
    assert "only takes reads" in message(database)
    assert names(database) == ["former"] * 3


def test_the_user_may_not_create_tables(postgres_url, postgres_server):
    postgres_server.execute("DROP ROLE IF EXISTS guest")
    postgres_server.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    said = message(reports(postgres_url.set(username="guest")))
    assert "may not do this" in said
    assert "grant" in said


def test_the_server_stops_while_it_is_loaded(postgres_url, postgres_server, monkeypatch):
    database = reports(postgres_url, wait_seconds=10)
    database.publish(DAY, {"things": rows(3)})

    def stopped(*_arguments):
        yield from rows(10, "new").to_batches()
        with psycopg.connect(host=str(postgres_server.folder), user="leadline", password=PASSWORD, dbname="postgres", autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leadline'")
        yield from rows(200_000, "new").to_batches()

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.report_db._batches", stopped)
        said = message(database)
    assert "does not answer, or the connection broke off" in said
    assert names(database) == ["former"] * 3
