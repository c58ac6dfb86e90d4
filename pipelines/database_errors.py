"""What the errors of a database mean to the person who has to act.

What belongs here: recognising an error and saying what was found, where, what was expected and what to do. What
does not: doing anything about it. No password and no value of a row appears in a message.
"""

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pyarrow as pa
import sqlalchemy as sa

from pipelines.errors import PublicationError
from quality.tables.columns import key_columns

DATABASE_ERRORS = (sa.exc.SQLAlchemyError, sqlite3.Error, psycopg.Error, pa.ArrowException, OSError)

_KEPT = "what was published before is unchanged"

_POSTGRESQL_CLASSES = {
    "55P03": ("another publication holds the report database", "it to end within {wait:g} s", "wait for it to end, then run again"),
    "53100": ("the disk of the database server is full", "room for the new rows", "free space on the server, then run again"),
    "53300": (
        "the database server has no connection left",
        "a free connection",
        "close connections or raise max_connections, then run again",
    ),
    "42501": (
        "the database user may not do this",
        "the right to create, change and fill tables",
        "grant the user CREATE on the schema and ownership of the report tables",
    ),
    "25006": (
        "the database only takes reads (it may be a standby)",
        "a database that takes writes",
        "give the address of the primary server",
    ),
    "23505": ("two rows have the same key", "one row per key", "this is a fault of the asset that computes the table: report it"),
    "23502": ("a required column has no value", "a value in every row", "this is a fault of the asset that computes the table: report it"),
    "57014": ("the server cancelled the statement", "it to finish", "raise the server's statement_timeout for this user, then run again"),
}
"""By SQLSTATE: what was found, what was expected, what to do."""


def masked(url: sa.URL) -> str:
    """``url`` without its password, wherever in it that stands."""
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def unsupported(found: str) -> PublicationError:
    """The error for a URL that names no supported database; ``found`` must not hold the URL, which may hold a password."""
    return PublicationError(
        f"the address of the report database is {found}",
        expected="sqlite:///path/to/reports.sqlite or postgresql://user@host/database",
        remedy="correct the address, or leave it out to use the file reports.sqlite in the home folder",
    )


def schema_differs(url: sa.URL, table: str, differences: Sequence[str]) -> PublicationError:
    """The error for a stored table that cannot be brought up to its contract by adding columns."""
    return PublicationError(
        f"the table {table} was made for another version: {'; '.join(differences)}",
        where=masked(url),
        expected="the layout of the contract (quality/tables)",
        remedy=f"rename the table ({table} to {table}_old) or publish into a new database, then run the as-of dates again; {_KEPT}",
    )


def changed_by_hand(url: sa.URL, table: str) -> PublicationError:
    """The published rows of ``table`` hold what Leadline did not write."""
    return PublicationError(
        f"the published table {table} holds a value that is not of its column's kind",
        where=masked(url),
        expected="published rows as Leadline wrote them (docs/data-dictionary.md)",
        remedy="restore the database from its last copy, or delete the rows of the as-of dates concerned and run these dates again",
    )


def wrong_table(contract: sa.Table, fault: str) -> PublicationError:
    """The error for a computed table that does not fit its contract or its date; ``fault`` is what it lacks, has or holds."""
    return PublicationError(
        f"the computed table {contract.name} {fault}",
        where=f"table {contract.name}",
        expected=f"the columns and types of its contract, every row as of the published date (quality/tables: {contract.comment})",
        remedy=f"correct the asset {contract.name}; {_KEPT}",
    )


def explained(error: Exception, url: sa.URL, purpose: str, wait_seconds: float, table: sa.Table | None = None) -> PublicationError:
    """The `PublicationError` that says what ``error``, raised while trying to ``purpose`` (publish, read), means."""
    cause = getattr(error, "orig", None) or error
    where = masked(url) if table is None else f"table {table.name} of {masked(url)}"
    if isinstance(cause, sqlite3.Error):
        found, expected, remedy = _sqlite(cause, Path(url.database), wait_seconds, table)
    elif isinstance(cause, psycopg.Error):
        found, expected, remedy = _postgresql(cause, url, wait_seconds, table)
    elif isinstance(cause, (OSError, pa.ArrowException)) and table is not None:
        found = f"the computed table cannot be read ({type(cause).__name__})"
        expected, remedy = "the Parquet file that the lake wrote", "run again, so that the table is computed anew"
    else:
        found = f"could not {purpose}: {type(cause).__name__}"
        expected, remedy = "a report database of this version", "see the log for the error beneath; if it comes again, report it"
    return PublicationError(found, where=where, expected=expected, remedy=f"{remedy}; {_KEPT}")


def _key(table: sa.Table | None) -> str:
    return "" if table is None else f" ({', '.join(key_columns(table))})"


def _sqlite(error: sqlite3.Error, path: Path, wait_seconds: float, table: sa.Table | None) -> tuple[str, str, str]:
    code = getattr(error, "sqlite_errorname", "")
    match "_".join(code.split("_")[:2]):
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return (
                "another program is writing to the report database",
                f"the file to be free within {wait_seconds:g} s",
                f"wait for it to end or close it (on Linux `fuser {path}` names it), then run again",
            )
        case "SQLITE_FULL" | "SQLITE_IOERR":
            return (
                f"the disk is full or failing: {_free(path)} ({error})",
                "room for the new rows twice over, once in the file and once in its log",
                "free space or move the home folder to a larger disk, then run again",
            )
        case "SQLITE_READONLY" | "SQLITE_CANTOPEN" | "SQLITE_PERM" | "SQLITE_AUTH":
            return _not_opened(path)
        case "SQLITE_NOTADB" | "SQLITE_CORRUPT":
            return (
                "the file is not a SQLite database, or is damaged",
                "a file that Leadline wrote, or none",
                f"check that the path is right; move {path} away (with its -wal and -shm, if any) and run again: a new file is written",
            )
        case "SQLITE_CONSTRAINT":
            kind = "two rows have the same key" if code in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE") else "a required column has no value"
            return (
                f"{kind}{_key(table)}",
                "one row per key, a value in every required column",
                "this is a fault of the asset that computes the table: report it",
            )
        case _:
            return f"SQLite answered: {error}", "a report database of this version", "if it comes again, report it with this message"


def _not_opened(path: Path) -> tuple[str, str, str]:
    if path.is_dir():
        return (
            "the path of the report database is a folder",
            "a file, or no file yet",
            "give the path of a file, such as reports.sqlite in that folder",
        )
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist", "an existing folder", "create it, or correct the path"
    return (
        "the report database may not be written by this user (or its disk is mounted read-only)",
        "the right to write the file and its folder (SQLite keeps a log beside the file)",
        f"give the user that right (`ls -ld {path.parent} {path}` shows who has it), or run as the user who owns it",
    )


def _free(path: Path) -> str:
    free_bytes = shutil.disk_usage(path.parent).free
    return f"{free_bytes / 1_000_000:.1f} MB are free on the disk of {path.parent}"


def _postgresql(error: psycopg.Error, url: sa.URL, wait_seconds: float, table: sa.Table | None) -> tuple[str, str, str]:
    if error.sqlstate in _POSTGRESQL_CLASSES:
        found, expected, remedy = _POSTGRESQL_CLASSES[error.sqlstate]
        return f"{found}{_key(table) if error.sqlstate == '23505' else ''}", expected.format(wait=wait_seconds), remedy
    said = str(error).strip()
    if error.sqlstate is None and ("authentication failed" in said or "no password supplied" in said):
        return (
            f"the database server refuses user {url.username}: wrong or missing password, or user unknown",
            "a user and password that the server accepts",
            "correct them in the address or in the environment (PGPASSWORD, ~/.pgpass)",
        )
    if error.sqlstate is None and "database" in said and "does not exist" in said:
        return (
            f"the server has no database {url.database}",
            "an existing database",
            f"create it (`createdb {url.database}`), or correct the address",
        )
    if isinstance(error, psycopg.OperationalError):
        return (
            f"the database server at {url.host or url.query.get('host', 'localhost')} does not answer, or the connection broke off",
            "a running PostgreSQL server at that address",
            "start it or correct the address (`pg_isready` with the same host and port tests it), then run again",
        )
    return (
        f"PostgreSQL answered with SQLSTATE {error.sqlstate} ({type(error).__name__})",
        "a report database of this version",
        "if it comes again, report it with this message",
    )
