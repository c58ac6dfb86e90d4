"""How each kind of report database is opened, locked, loaded fast and settled.

What belongs here: what differs between SQLite and PostgreSQL. What does not: what is published, and when.

SQLite is opened with ``isolation_level=None`` and begun explicitly, because the driver's own habit of beginning
late leaves readers and writers with other transactions than they seem to have. It runs in WAL mode, so that a
reader is not blocked while a publication is under way.
"""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler

from pipelines.database_errors import unsupported
from quality.tables.columns import money_as_floats

_LOG = logging.getLogger(__name__)

_PUBLICATION_LOCK = 5_274_866_101_330_214_771
"""Key of the advisory lock that publications of one PostgreSQL database share; any fixed number does."""

_CSV = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
"""Text is always quoted and null never, which is how PostgreSQL tells '' from null."""


class Database(Protocol):
    """What publication needs of a kind of database."""

    def declared(self, contract: sa.Table, metadata: sa.MetaData) -> sa.Table:
        """The contract as it is laid out in this kind of database, in ``metadata``."""

    def exists(self) -> bool:
        """Whether there is anything to connect to; true where only connecting can tell."""

    def engine(self, writes: bool) -> sa.Engine:
        """An engine whose connections close after use."""

    def lock(self, connection: sa.Connection) -> None:
        """Hold off other publications until this transaction ends."""

    def load(self, connection: sa.Connection, table: sa.Table, batches: Iterator[pa.RecordBatch]) -> int:
        """Append the rows, in the table's columns and order, and return their number."""

    def settle(self, connection: sa.Connection) -> None:
        """What is left to do after a commit."""

    def ordered(self, column: sa.Column) -> sa.ColumnElement:
        """``column`` as a sort key that orders text by code points."""


def database_for(url: sa.URL, wait_seconds: float) -> Database:
    """The kind of database that ``url`` names; raises `PublicationError` for one that is not supported."""
    match url.drivername:
        case "sqlite" | "sqlite+pysqlite" if url.database and url.database != ":memory:":
            return SQLite(url, wait_seconds)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return PostgreSQL(url.set(drivername="postgresql+psycopg"), wait_seconds)
        case _:
            raise unsupported(f"a URL that begins with {url.drivername}://")


class SQLite:
    """One file, with its write-ahead log beside it while it is open."""

    def __init__(self, url: sa.URL, wait_seconds: float):
        self._url = url
        self._wait_seconds = wait_seconds

    def declared(self, contract: sa.Table, metadata: sa.MetaData) -> sa.Table:
        """Stored by its key, without row ids: half the load time, three quarters of the size."""
        table = contract.to_metadata(metadata)
        table.dialect_options["sqlite"]["with_rowid"] = False
        return table

    def exists(self) -> bool:
        return Path(self._url.database).exists()

    def engine(self, writes: bool) -> sa.Engine:
        engine = sa.create_engine(
            self._url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            connect_args={"isolation_level": None, "timeout": self._wait_seconds},
        )
        if writes:
            sa.event.listen(engine, "connect", _use_write_ahead_log)
        statement = "BEGIN IMMEDIATE" if writes else "BEGIN"
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(statement))
        return engine

    def lock(self, connection: sa.Connection) -> None:
        """Nothing to add: BEGIN IMMEDIATE has taken the one write lock of the file."""

    def load(self, connection: sa.Connection, table: sa.Table, batches: Iterator[pa.RecordBatch]) -> int:
        names = ", ".join(connection.dialect.identifier_preparer.format_column(c) for c in table.columns)
        values = ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {connection.dialect.identifier_preparer.format_table(table)} ({names}) VALUES ({values})"
        cursor, rows = connection.connection.cursor(), 0
        for batch in batches:
            cursor.executemany(statement, zip(*(_as_stored_by_sqlite(column) for column in batch.columns), strict=True))
            rows += batch.num_rows
        return rows

    def settle(self, connection: sa.Connection) -> None:
        """Move the log into the file, so that the file alone is complete and can be copied.

        The publication has been committed by now and readers see it either way; so a log that cannot be moved (a
        reader still uses it, the disk is full) is not a failure.
        """
        try:
            busy = connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except connection.dialect.dbapi.Error as error:
            busy, reason = True, str(error)
        else:
            reason = "another program is reading it"
        if busy:
            _LOG.warning(
                "%s is published, but part of it is still in %s-wal beside it (%s): copy or move the two files together",
                self._url.database,
                Path(self._url.database).name,
                reason,
            )

    def ordered(self, column: sa.Column) -> sa.ColumnElement:
        return column


@compiles(sa.schema.CreateColumn, "sqlite")
def _create_column_described(create: sa.schema.CreateColumn, compiler: DDLCompiler, **options) -> str:
    """SQLite has no comments on columns, but keeps those in the text of CREATE TABLE, where `.schema` shows them."""
    text = compiler.visit_create_column(create, **options)
    comment = (create.element.comment or "").replace("*/", "* /")
    return f"{text} /* {comment} */" if text and comment else text


def _use_write_ahead_log(connection, _record) -> None:
    connection.execute("PRAGMA journal_mode = WAL")


def _as_stored_by_sqlite(column: pa.Array) -> list:
    """Values in the form that SQLAlchemy's types read back: ISO text for dates and times, floats for amounts."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    elif pa.types.is_decimal(column.type):
        column = money_as_floats(column)
    return column.to_pylist()


class PostgreSQL:
    """A database of a PostgreSQL server, in the first schema of the user's search path."""

    def __init__(self, url: sa.URL, wait_seconds: float):
        self._url = url
        self._wait_seconds = wait_seconds

    def declared(self, contract: sa.Table, metadata: sa.MetaData) -> sa.Table:
        return contract.to_metadata(metadata)

    def exists(self) -> bool:
        return True

    def engine(self, writes: bool) -> sa.Engine:
        return sa.create_engine(
            self._url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            connect_args={"connect_timeout": max(2, round(self._wait_seconds)), "application_name": "leadline"},
        )

    def lock(self, connection: sa.Connection) -> None:
        connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{round(self._wait_seconds * 1000)}ms", True)))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PUBLICATION_LOCK)))

    def load(self, connection: sa.Connection, table: sa.Table, batches: Iterator[pa.RecordBatch]) -> int:
        names = sql.SQL(", ").join(sql.Identifier(c.name) for c in table.columns)
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table.name), names)
        rows = 0
        with connection.connection.driver_connection.cursor() as cursor, cursor.copy(statement) as copy:
            for batch in batches:
                lines = io.BytesIO()
                pa_csv.write_csv(batch, lines, _CSV)
                copy.write(lines.getbuffer())
                rows += batch.num_rows
        return rows

    def settle(self, connection: sa.Connection) -> None:
        """Nothing is left to do."""

    def ordered(self, column: sa.Column) -> sa.ColumnElement:
        return sa.collate(column, "C") if isinstance(column.type, sa.String) else column
