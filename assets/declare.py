"""How a contract becomes a Dagster asset: name, description, column schema and partitions follow from the table.

What belongs here: that translation and the as-of partitions. What does not: any asset. No
``from __future__ import annotations`` in files that define assets: it breaks Dagster's reading of signatures.
"""

from collections.abc import Callable

import dagster as dg
import sqlalchemy as sa

from quality.tables.columns import UNITS, key_columns

AS_OF = dg.DailyPartitionsDefinition(start_date="2005-01-01", end_offset=1)
"""One partition per as-of date; a past day is recomputed by an ordinary backfill."""


def column_schema(contract: sa.Table) -> dg.TableSchema:
    """Dagster's column schema of a declared table."""
    key = set(key_columns(contract))
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=c.info["unit"],
                description=f"{c.comment} ({UNITS[c.info['unit']]})",
                constraints=dg.TableColumnConstraints(nullable=c.nullable, unique=key == {c.name}),
            )
            for c in contract.columns
        ]
    )


def table_asset(contract: sa.Table, group: str, **arguments) -> Callable:
    """The ``dg.asset`` decorator for the asset that computes ``contract``, in the named group."""
    return dg.asset(**asset_arguments(contract, group), **arguments)


def asset_arguments(contract: sa.Table, group: str, name: str | None = None) -> dict:
    """Arguments that ``dg.asset`` and ``dg.AssetOut`` take for a declared table."""
    return {
        "name": name or contract.name,
        "group_name": group,
        "description": contract.comment,
        "partitions_def": AS_OF,
        "metadata": {"dagster/column_schema": column_schema(contract)},
    }
