"""The report database: publishes a run's tables in one transaction and reads them back.

What belongs here: publication, history per as-of date, bringing an older database up to the contracts. What does
not: how one kind of database is loaded and locked (pipelines/databases.py), what its errors mean
(pipelines/database_errors.py), and how any table is computed. DDL, types and keys come from the contracts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipelines.database_errors import DATABASE_ERRORS, changed_by_hand, explained, masked, schema_differs, unsupported, wrong_table
from pipelines.databases import Database, database_for
from quality.tables import PUBLISHED
from quality.tables.columns import arrow_type, key_columns

BATCH_ROWS = 50_000


class ReportDatabase:
    """The published tables of all as-of dates, behind a SQLAlchemy URL (SQLite or PostgreSQL).

    ``contracts`` are the tables it holds, by name; ``wait_seconds`` is how long a publication waits for another one
    to end. Every method raises `pipelines.errors.PublicationError`, with the password of the URL masked, when the
    database cannot be used; what was published before is then still there.
    """

    def __init__(self, url: str | sa.URL, contracts: Mapping[str, sa.Table] = PUBLISHED, wait_seconds: float = 10.0):
        try:
            self._url = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise unsupported("text that is not a database URL") from None
        self._database: Database = database_for(self._url, wait_seconds)
        self._wait_seconds = wait_seconds
        self._metadata = sa.MetaData()
        self._contracts = contracts
        self._tables = {name: self._database.declared(contract, self._metadata) for name, contract in contracts.items()}

    @property
    def where(self) -> str:
        """The database's address, fit to be shown: without its password."""
        return masked(self._url)

    def publish(self, as_of: date, tables: Mapping[str, Path | pa.Table]) -> dict[str, int]:
        """Replace everything published for ``as_of`` by ``tables`` and return the rows loaded per table.

        The run log is added to and not replaced. ``tables`` are Parquet files, read in batches, or Arrow tables, by name of contract; a contract that is not
        given has no rows for this date. One transaction: a reader sees the former rows until it commits, and after
        a failure for good. Rows of other dates stay. Tables and columns that the database lacks are added first.

        Raises LookupError for a name without contract and `PublicationError` for everything a person can mend.
        """
        unknown = sorted(set(tables) - set(self._tables))
        if unknown:
            raise LookupError(f"no contract among the published tables is called {', '.join(unknown)} (quality/tables)")
        loaded = dict.fromkeys(self._tables, 0)
        with self._connection("publish", writes=True) as connection:
            # Additive and harmless by itself, so it commits first: PostgreSQL holds off readers of an altered table
            # until its transaction ends, and the load may take a while.
            with connection.begin():
                self._database.lock(connection)
                self._bring_up_to_contracts(connection)
            with connection.begin():
                self._database.lock(connection)
                for declared in self._tables.values():
                    if not declared.info.get("is_appended"):
                        connection.execute(declared.delete().where(declared.c.as_of == as_of))
                for name, source in tables.items():
                    with self._naming(name):
                        loaded[name] = self._database.load(connection, self._tables[name], _batches(self._tables[name], source, as_of))
            self._database.settle(connection)
        return loaded

    def append(self, table: str, as_of: date, rows: pa.Table) -> None:
        """Add rows to a table whose rows stay (``is_appended``), in one transaction; all else is as it was."""
        with self._connection("publish", writes=True) as connection, connection.begin():
            self._database.lock(connection)
            self._bring_up_to_contracts(connection)
            with self._naming(table):
                self._database.load(connection, self._tables[table], _batches(self._tables[table], rows, as_of))

    def read(self, table: str, as_of: date) -> pd.DataFrame:
        """The published rows of ``table`` as of one date, in the order of its key (text by its code points).

        Amounts are float64, dates and times datetime64; no rows where nothing was published for that date. A column
        that the database does not have yet is null.
        """
        declared = self._tables[table]
        stored = self._stored(table)
        if not stored:
            return _frame(declared.columns, [])
        # A database of an older version lacks new columns until the next publication adds them.
        columns = [c if c.name in stored else sa.null().label(c.name) for c in declared.columns]
        with self._connection("read") as connection:
            rows = connection.execute(sa.select(*columns).where(declared.c.as_of == as_of).order_by(*map(self._database.ordered, declared.primary_key))).all()
        return _frame(declared.columns, rows)

    def as_of_dates(self, table: str = "run_log") -> tuple[date, ...]:
        """The as-of dates for which ``table`` has rows, oldest first; of the run log these are all published dates."""
        if not self._stored(table):
            return ()
        day = self._tables[table].c.as_of
        with self._connection("read") as connection:
            return tuple(connection.execute(sa.select(day).distinct().order_by(day)).scalars())

    def first_published(self) -> dict[date, datetime]:
        """When each as-of date was first published (UTC), by the run log."""
        if not self._stored("run_log"):
            return {}
        log = self._tables["run_log"].c
        with self._connection("read") as connection:
            return dict(connection.execute(sa.select(log.as_of, sa.func.min(log.finished_at)).group_by(log.as_of).order_by(log.as_of)).all())

    def rows(self, table: str, columns: Sequence[str], days: Sequence[date], is_company: bool, **equal: str) -> pd.DataFrame:
        """The published rows of ``table`` of several as-of dates, in the order of its key: those of the whole company, or all others.

        ``equal`` names columns and the value that each is to have. Types are those of `read`.
        """
        declared = self._tables[table]
        chosen = [declared.c[name] for name in columns]
        stored = self._stored(table)
        if not stored or not days:
            return _frame(chosen, [])
        held = [c if c.name in stored else sa.null().label(c.name) for c in chosen]
        company = declared.c.dimension == "all" if is_company else declared.c.dimension != "all"
        wanted = sa.and_(declared.c.as_of.in_(days), company, *(declared.c[name] == value for name, value in equal.items()))
        with self._connection("read") as connection:
            rows = connection.execute(sa.select(*held).where(wanted).order_by(*map(self._database.ordered, declared.primary_key))).all()
        try:
            return _frame(chosen, rows)
        # SQLite holds any value in any column, whoever wrote it there.
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise changed_by_hand(self._url, table) from None

    def first_seen(self, as_of: date) -> pd.DataFrame:
        """When each row of an export that an earlier run rejected was first rejected for the same reasons.

        One row per export, line and reasons published before ``as_of``; ``first_seen`` is the earliest as-of date.
        """
        declared = self._tables["rejected_rows"]
        grain = (declared.c.export, declared.c.line, declared.c.reasons)
        columns = (*grain, sa.Column("first_seen", sa.Date(), info={"unit": "date"}))
        if not self._stored("rejected_rows"):
            return _frame(columns, [])
        with self._connection("read") as connection:
            rows = connection.execute(
                sa.select(*grain, sa.func.min(declared.c.as_of)).where(declared.c.as_of < as_of).group_by(*grain).order_by(*map(self._database.ordered, grain))
            ).all()
        return _frame(columns, rows)

    def _stored(self, table: str) -> frozenset[str]:
        """Names of the columns that the database holds of ``table``; looking does not create a SQLite file."""
        if not self._database.exists():
            return frozenset()
        with self._connection("read") as connection:
            inspector = sa.inspect(connection)
            return frozenset(c["name"] for c in inspector.get_columns(table)) if inspector.has_table(table) else frozenset()

    @contextmanager
    def _connection(self, purpose: str, writes: bool = False) -> Iterator[sa.Connection]:
        engine = self._database.engine(writes)
        try:
            with engine.connect() as connection:
                yield connection
        except DATABASE_ERRORS as error:
            raise explained(error, self._url, purpose, self._wait_seconds) from error
        finally:
            engine.dispose()

    @contextmanager
    def _naming(self, table: str) -> Iterator[None]:
        """Add the table's name to what goes wrong while it is loaded."""
        try:
            yield
        except DATABASE_ERRORS as error:
            raise explained(error, self._url, "publish", self._wait_seconds, table=self._tables[table]) from error

    def _bring_up_to_contracts(self, connection: sa.Connection) -> None:
        """Create the tables that are missing and add the columns that are; anything else that differs is an error.

        A column added to an existing table has no value for the dates published before it, so it is nullable there
        even where the contract requires it.
        """
        inspector = sa.inspect(connection)
        present = set(inspector.get_table_names())
        self._metadata.create_all(connection, tables=[t for name, t in self._tables.items() if name not in present])
        for name in sorted(present & set(self._tables)):
            declared = self._tables[name]
            stored = {column["name"]: column for column in inspector.get_columns(name)}
            differences = self._differences(declared, stored, inspector.get_pk_constraint(name)["constrained_columns"], connection.dialect)
            if differences:
                raise schema_differs(self._url, name, differences)
            for column in declared.columns:
                if column.name not in stored:
                    connection.exec_driver_sql(_add_column(declared, column, connection.dialect))

    @staticmethod
    def _differences(declared: sa.Table, stored: Mapping[str, dict], key: list[str], dialect: sa.Dialect) -> list[str]:
        wanted_key = key_columns(declared)
        found = []
        if key != wanted_key:
            found.append(f"its key is ({', '.join(key)}), the contract's is ({', '.join(wanted_key)})")
        for column in declared.columns:
            if column.name in stored:
                is_type, to_be = stored[column.name]["type"].compile(dialect=dialect), column.type.compile(dialect=dialect)
                if is_type != to_be:
                    found.append(f"column {column.name} is {is_type}, the contract says {to_be}")
        for name, column in stored.items():
            if name not in declared.columns and not column["nullable"] and column["default"] is None:
                found.append(f"column {name} must have a value and is not in the contract")
        return found


def _add_column(table: sa.Table, column: sa.Column, dialect: sa.Dialect) -> str:
    quoted = dialect.identifier_preparer
    return f"ALTER TABLE {quoted.format_table(table)} ADD COLUMN {quoted.format_column(column)} {column.type.compile(dialect=dialect)}"


def _batches(contract: sa.Table, source: Path | pa.Table, as_of: date) -> Iterator[pa.RecordBatch]:
    """``source`` in batches with the contract's columns, order and types; every row is of ``as_of``.

    NaN becomes null and the NUL character, which PostgreSQL cannot hold, the replacement character, so that every
    kind of database holds the same.
    """
    schema = pa.schema([pa.field(c.name, arrow_type(c)) for c in contract.columns])
    if isinstance(source, pa.Table):
        yield from _conformed(contract, source.schema, source.to_batches(max_chunksize=BATCH_ROWS), schema, as_of)
    else:
        with pq.ParquetFile(source) as file:
            yield from _conformed(contract, file.schema_arrow, file.iter_batches(batch_size=BATCH_ROWS), schema, as_of)


def _conformed(contract: sa.Table, given: pa.Schema, batches: Iterator[pa.RecordBatch], wanted: pa.Schema, as_of: date) -> Iterator[pa.RecordBatch]:
    missing = sorted(set(wanted.names) - set(given.names))
    surplus = sorted(set(given.names) - set(wanted.names))
    if missing or surplus:
        faults = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(surplus)} besides"] * bool(surplus)
        raise wrong_table(contract, " and ".join(faults))
    for batch in batches:
        if pc.any(pc.not_equal(batch.column("as_of").cast(pa.date32()), pa.scalar(as_of, pa.date32()))).as_py():
            raise wrong_table(contract, f"holds rows that are not as of {as_of}")
        yield pa.record_batch([_conformed_column(contract, field.name, batch.column(field.name), field.type) for field in wanted], schema=wanted)


def _conformed_column(contract: sa.Table, name: str, values: pa.Array, to: pa.DataType) -> pa.Array:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    elif pa.types.is_integer(values.type) and pa.types.is_decimal(to):
        values = values.cast(pa.decimal128(21, to.scale))  # Arrow wants room for every whole number on the way
    try:
        values = values.cast(to)
    # Arrow raises the one for a value that does not fit, the other for a type that it has no cast from.
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise wrong_table(contract, f"has a value in {name} that is no {contract.columns[name].info['unit']}") from error
    return pc.replace_substring(values, "\0", "\N{REPLACEMENT CHARACTER}") if pa.types.is_string(to) else values


def _frame(columns, rows: list) -> pd.DataFrame:
    """Rows of a result as a typed frame."""
    types = [arrow_type(c) for c in columns]
    types = [pa.float64() if pa.types.is_decimal(t) else t for t in types]
    values = zip(*rows, strict=True) if rows else ((),) * len(types)
    arrays = [pa.array(v, t) for v, t in zip(values, types, strict=True)]
    return pa.table(arrays, names=[c.name for c in columns]).to_pandas(date_as_object=False)
