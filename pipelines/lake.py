"""The lake: every table at rest as Parquet, one folder per table and as-of date, written whole or not at all.

What belongs here: the IO manager that stores what an asset returns by its contract and gives it back with its
declared types. What does not: what is computed, and how a query runs (pipelines/engine).
"""

import errno
import gc
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.query import Deferred, Parquet, Query
from models.errors import LeadlineError
from pipelines.engine.duckdb import DuckDB
from pipelines.home import room_for
from quality.checks import FORMS_METADATA
from quality.tables import ALL
from quality.tables.columns import money_as_floats

MANY_ROWS = 100_000
"""Rows from which on memory is given back at once: judging leaves cycles of objects that hold whole tables."""


class LakeError(LeadlineError):
    """A table that is needed is not in the lake."""


class Lake(dg.IOManager):
    """Tables below ``root``, as ``<table>/as_of=YYYY-MM-DD/<table>.parquet``.

    As an IO manager it serves one run, and so one as-of date: asset checks have no partitions of their own. A file is
    written beside its place and renamed into it, so that a reader sees the former table or the new one.
    """

    def __init__(self, root: Path, engine: DuckDB, as_of: date, progress: Callable[[str], None] = lambda told: None):
        self._root = root
        self._engine = engine
        self._as_of = as_of
        self._progress = progress

    def path(self, table: str) -> Path:
        """Where a table stands, whether or not it is there."""
        return self._root / table / f"as_of={self._as_of.isoformat()}" / f"{table}.parquet"

    def parquet(self, table: str) -> Parquet:
        """Handle of a table that is there; LakeError otherwise."""
        path = self.path(table)
        if not path.is_file():
            raise LakeError(
                f"the table {table} has not been computed as of {self._as_of}",
                where=str(path),
                remedy=f"run leadline run with --as-of {self._as_of}, or materialize {table} and what it depends on for that partition",
            )
        return Parquet(str(path))

    def store(self, table: str, content: Query | pd.DataFrame | pa.Table) -> int:
        """Write a table and return its number of rows; its contract, where it has one, is imposed.

        Raises `pipelines.errors.HomeError` where the disk is full or the file may not be written.
        """
        path = self.path(table)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                rows = self._write(table, content, beside)
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        return rows

    def _write(self, table: str, content: Query | pd.DataFrame | pa.Table, beside: Path) -> int:
        contract = ALL.get(table)
        try:
            if contract is None and isinstance(content, pa.Table):
                pq.write_table(content, beside, compression="zstd")
                return content.num_rows
            query = content if isinstance(content, Query) else Query("SELECT * FROM content", {"content": content})
            constants = {"as_of": f"DATE '{self._as_of.isoformat()}'"} if contract is not None and table != "parameters" else {}
            return self._engine.write(query, contract, beside, constants)
        except duckdb.IOException as error:
            # DuckDB says in words only what the operating system says by number.
            if os.strerror(errno.ENOSPC) in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(beside)) from error
            raise

    def handle_output(self, context: dg.OutputContext, obj: Query | Deferred | pd.DataFrame | pa.Table) -> None:
        """Store what the asset returned."""
        table = context.asset_key.path[-1]
        if isinstance(obj, Deferred):
            obj = obj.compute()
        rows = self.store(table, obj)
        self._progress(f"{table}: {rows:,} rows")
        carried = (obj.schema.metadata or {}) if isinstance(obj, pa.Table) else {}
        files = {"files": dg.MetadataValue.json(json.loads(carried[FORMS_METADATA]))} if FORMS_METADATA in carried else {}
        if isinstance(obj, pa.Table) and rows >= MANY_ROWS:
            del obj
            gc.collect()
            pa.default_memory_pool().release_unused()
        context.add_output_metadata({"dagster/row_count": rows, **files})

    def load_input(self, context: dg.InputContext) -> Parquet | pd.DataFrame | pa.Table:
        """Give the table as what the parameter's annotation asks for."""
        table = context.asset_key.path[-1]
        handle = self.parquet(table)
        wanted = context.dagster_type.typing_type
        if wanted is pd.DataFrame:
            return read_frame(Path(handle.path))
        return pq.read_table(handle.path) if wanted is pa.Table else handle


def read_frame(path: Path) -> pd.DataFrame:
    """A stored table in pandas, as `frame_of`."""
    return frame_of(pq.read_table(path))


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A table in pandas: amounts as float64, dates and times as datetime64."""
    for position, declared in enumerate(table.schema):
        if pa.types.is_decimal(declared.type):
            table = table.set_column(position, declared.name, money_as_floats(table[declared.name]))
    return table.to_pandas(date_as_object=False)
