"""Runs queries on DuckDB and writes what a contract declares.

What belongs here: connection settings, registration of inputs, conformed writing. What does not: paths of the
lake, anything about deals.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from assets.query import Parquet, Query, Relation
from quality.tables.columns import duckdb_type, key_columns

THREADS = 2
MEMORY_LIMIT = "5GB"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class DuckDB:
    """Runs one query at a time in one in-memory database, spilling into ``spill`` when memory is short."""

    def __init__(self, spill: Path, threads: int = THREADS, memory_limit: str = MEMORY_LIMIT):
        # Every table is read once or twice, so that keeping Parquet in memory besides would only take it from others.
        settings = {"threads": threads, "memory_limit": memory_limit, "temp_directory": str(spill), "enable_external_file_cache": False}
        self._database = duckdb.connect(":memory:", config=settings)

    @contextmanager
    def connection(self, tables: Mapping[str, Relation]):
        """A connection in which every table of ``tables`` is a view, seen by nobody else."""
        with self._database.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name, relation in tables.items():
                if isinstance(relation, Parquet):
                    connection.execute(
                        f"CREATE TEMPORARY VIEW {_quoted(name)} AS SELECT * FROM read_parquet({_literal(relation.path)}, hive_partitioning = false)"
                    )
                else:
                    connection.register(name, relation)
            yield connection

    def arrow(self, query: Query) -> pa.Table:
        """The result of ``query`` in memory."""
        with self.connection(query.tables) as connection:
            return connection.sql(query.sql).to_arrow_table()

    def write(self, query: Query, contract: sa.Table | None, path: Path, constants: Mapping[str, str] | None = None) -> int:
        """Write the result of ``query`` to the Parquet file ``path`` and return its number of rows.

        With a contract the columns come out in its order and types, sorted by its key, so that equal contents are
        equal files; ``constants`` are SQL literals for contract columns that the query does not give (``as_of``). A
        column that neither gives is an error that names it.
        """
        with self.connection(query.tables) as connection:
            select = query.sql
            if contract is not None:
                select = _conformed(connection, query.sql, contract, dict(constants or {}))
            connection.execute(f"COPY ({select}) TO {_literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
            return connection.execute(f"SELECT count(*) FROM read_parquet({_literal(str(path))})").fetchone()[0]


def _conformed(connection, sql: str, contract: sa.Table, constants: dict[str, str]) -> str:
    given = connection.execute(f"DESCRIBE {sql}").fetchall()
    names = {row[0] for row in given}
    missing = [c.name for c in contract.columns if c.name not in names and c.name not in constants]
    if missing:
        raise LookupError(f"table {contract.name}: its query gives no column {', '.join(missing)}; the contract declares it (quality/tables)")
    surplus = sorted(names - {c.name for c in contract.columns})
    if surplus:
        raise LookupError(f"table {contract.name}: its query gives {', '.join(surplus)}, which the contract does not declare (quality/tables)")
    columns = ", ".join(
        f"CAST({constants[c.name] if c.name in constants else _quoted(c.name)} AS {duckdb_type(c)}) AS {_quoted(c.name)}" for c in contract.columns
    )
    order = ", ".join(_quoted(name) for name in key_columns(contract))
    return f"SELECT {columns} FROM ({sql}) ORDER BY {order}"
