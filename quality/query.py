"""A computation in SQL: the text and the tables it names, and what runs it.

What belongs here: the small value types that assets and engines share. What does not: running anything; that is
an engine's work (pipelines/engine). SQL is DuckDB's dialect. Inputs are named tables; the text has no templates.

A law for authors: never ``sum`` or ``avg`` a DOUBLE, whose result depends on the order of threads. Sum integers
(microseconds, counts) and DECIMAL amounts and divide once at the end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd
import pyarrow as pa


@dataclass(frozen=True)
class Parquet:
    """A table at rest: the Parquet files that hold it, by fsspec path or glob."""

    path: str


Relation = Parquet | pd.DataFrame | pa.Table
"""Whatever a query can name as a table."""


@dataclass(frozen=True)
class Query:
    """One SELECT over named tables; the lake has an engine run it and stores the result by its contract."""

    sql: str
    tables: Mapping[str, Relation] = field(default_factory=dict)


@dataclass(frozen=True)
class Deferred:
    """A table that is computed when the lake stores it, for tables too large to keep.

    Dagster keeps what an asset returned until the run ends (the outputs of ``execute_in_process``): a returned table of
    a million rows would stay in memory while everything after it is computed.
    """

    compute: Callable[[], pa.Table]


class Engine(Protocol):
    """Whatever runs queries for one that needs an intermediate result (pipelines/engine)."""

    def arrow(self, query: Query) -> pa.Table:
        """The result of ``query`` in memory."""
