"""The metric tables: one ``.sql`` file per table, and the lines that make each an asset.

What belongs here: that translation. What does not: any metric. To add one, put ``<table>.sql`` in this folder and
declare the table in quality/tables/metrics.py: inputs are the tables that the SQL names, outputs are checked against
the contract when they are written. The SQL gives every column of the contract but ``as_of``, which the lake adds.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import dagster as dg
import duckdb

from assets.declare import table_asset
from assets.query import Parquet, Query, Relation, sql_beside
from quality.tables.metrics import METRICS


def tables_named(sql: str) -> tuple[str, ...]:
    """The tables that a query reads, in alphabetical order: the names in FROM and JOIN that are none of its own CTEs.

    Raises ValueError, with DuckDB's words, where it cannot be parsed.
    """
    with duckdb.connect(":memory:") as connection:
        tree = json.loads(connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()[0])
    if tree["error"]:
        raise ValueError(f"the query cannot be parsed: {tree['error_message']}")
    nodes = list(_nodes(tree))
    own = {cte["key"] for node in nodes for cte in node.get("cte_map", {}).get("map", ())}
    return tuple(sorted({node["table_name"] for node in nodes if node.get("type") == "BASE_TABLE"} - own))


def _nodes(tree: dict | list) -> Iterator[dict]:
    """Every object in a parsed query."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(inner, dict | list):
            yield from _nodes(inner)


METRIC_SQL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {path.stem: tables_named(sql_beside(__file__, path.stem)) for path in sorted(Path(__file__).parent.glob("*.sql"))}
)
"""Each metric table that is a ``.sql`` file here, with the tables it reads."""


def metric_query(name: str, tables: Mapping[str, Relation]) -> Query:
    """The query of the metric table ``name`` over its inputs.

    Raises LookupError, naming it, where an input is missing.
    """
    missing = sorted(set(METRIC_SQL[name]) - set(tables))
    if missing:
        raise LookupError(f"assets/metrics/{name}.sql reads {', '.join(missing)}, which was not given; give every table it names")
    return Query(sql_beside(__file__, name), {table: tables[table] for table in METRIC_SQL[name]})


def metric_asset(name: str) -> dg.AssetsDefinition:
    """The asset that computes the metric table ``name`` from the Parquet of the tables its SQL names.

    Raises LookupError where the table has no contract.
    """
    if name not in METRICS.tables:
        raise LookupError(f"assets/metrics/{name}.sql has no contract; declare the table {name} in quality/tables/metrics.py")
    inputs = {table: dg.AssetIn(dagster_type=Parquet) for table in METRIC_SQL[name]}

    @table_asset(METRICS.tables[name], group="metrics", ins=inputs)
    def compute(**tables: Parquet) -> Query:
        return metric_query(name, tables)

    return compute


METRIC_ASSETS: tuple[dg.AssetsDefinition, ...] = tuple(metric_asset(name) for name in METRIC_SQL)
"""All assets of this folder."""
