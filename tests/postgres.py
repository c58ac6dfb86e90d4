"""A private PostgreSQL server for the tests that ask for it: Debian's binaries, a temporary folder, a Unix socket."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

USER = "leadline"
PASSWORD = "a-password-that-no-message-may-show"


@dataclass(frozen=True)
class Server:
    """A running server: its folder, the folder of its binaries, and how commands are run as its user."""

    folder: Path
    binaries: Path

    def url(self, database: str, password: str = PASSWORD) -> sa.URL:
        """The URL of one of its databases."""
        return sa.URL.create("postgresql", USER, password, database=database, query={"host": str(self.folder)})

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside a transaction."""
        with psycopg.connect(host=str(self.folder), user=USER, password=PASSWORD, dbname=database, autocommit=True) as connection:
            connection.execute(statement)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs as the user that owns its folder (the server refuses to run as root)."""
        as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_owner, str(self.binaries / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=60)

    def start(self) -> None:
        """Start it; durability is off, because a test's data need not outlive a power cut."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c full_page_writes=off -c shared_buffers=32MB"
        self.run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop it without waiting for clients."""
        self.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))


def _binaries() -> Path | None:
    """The folder of the newest installed server's programs, or None."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda program: float(program.parts[-3]))
    on_path = shutil.which("initdb")
    return installed[-1].parent if installed else Path(on_path).resolve().parent if on_path else None


def _absent(reason: str) -> None:
    """Skip with the reason; fail where tests may not be skipped (CI=true)."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true this test may not be skipped")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server that runs as long as the test session."""
    binaries = _binaries()
    if binaries is None:
        _absent("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        _absent("the tests run as root, PostgreSQL refuses to, and there is no runuser to become the user postgres")
    folder = Path(tempfile.mkdtemp(prefix="leadline-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Server(folder, binaries)
    try:
        password_file = folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        server.run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={password_file}",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[sa.URL]:
    """The URL of a new, empty database, dropped after the test."""
    name = f"test_{uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
