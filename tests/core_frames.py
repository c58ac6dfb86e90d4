"""Tiny judged exports and the trusted tables that follow from them, for tests of assets/core."""

import inspect
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.core import records, trusted
from assets.exports.reading import schema_of
from assets.exports.settings import Configuration
from assets.query import Parquet, Query
from pipelines.engine.duckdb import DuckDB
from quality.tables import EXPORTED

START = pd.Timestamp("2024-01-01")

COMPANY = Configuration.model_validate(
    {
        "name": "Test",
        "pipelines": [{"key": "sales", "stages": [{"key": "first"}, {"key": "second"}, {"key": "third"}]}],
        "segments": ["source", "owner"],
        "exports": {"tables": {"opportunities": {"files": "o.csv"}, "stage_history": {"files": "h.csv"}, "field_history": {"files": "f.csv"}}},
    }
)

FROM_SETTINGS = {name: getattr(trusted, name) for name in ("parameters", "stages", "stage_periods", "calendar", "working_days")}
"""The core tables that follow from settings alone, and their assets."""

OF_DEALS = {
    name: getattr(trusted, name)
    for name in (
        "opportunity_versions", "owner_teams", "stage_dates", "stage_entries", "episodes", "stage_visits", "opportunities", "opportunity_segments",
    )
}  # fmt: skip
"""The core tables that follow from the exports of deals and people, each after those that it reads."""

COMPUTED = {**OF_DEALS, **{name: getattr(records, name) for name in records.RECORDS}}
"""Every core table that follows from exports, each after those that it reads. What an asset reads stands in its signature."""

MASK_KEY = b"test"

_DERIVED = {
    "opportunities": {"pipeline_key": pa.string(), "stage_key": pa.string(), "status": pa.string(), "amount_reporting": pa.decimal128(18, 2)},
    "stage_history": {"stage_key": pa.string(), "stage_kind": pa.string(), "previous_stage_key": pa.string(), "amount_reporting": pa.decimal128(18, 2)},
    "leads": {"ok_phone_real": pa.bool_()},
    "payments": {"amount_reporting": pa.decimal128(18, 2)},
    "field_history": {"old_amount": pa.decimal128(18, 2), "new_amount": pa.decimal128(18, 2), "old_date": pa.date32(), "new_date": pa.date32()},
}


def judged(table_name: str, rows: list[dict], stage_dates: tuple[str, ...] = ()) -> pa.Table:
    """Accepted rows of an exported table; columns that a row leaves out are null."""
    schema = schema_of(EXPORTED[table_name], stage_dates)
    fields = [f for f in schema if not f.name.startswith("_")]
    fields += [pa.field(name, kind) for name, kind in _DERIVED.get(table_name, {}).items()]
    fields += [pa.field("_row", pa.int64()), pa.field("_snapshot", pa.date32()), pa.field("_verdict", pa.string()), pa.field("_is_stale", pa.bool_())]
    own = {"_verdict": "accepted", "_is_stale": False}
    return pa.Table.from_pylist([{**own, "_row": number, **row} for number, row in enumerate(rows)], schema=pa.schema(fields))


def at(day: float) -> pd.Timestamp:
    """The instant ``day`` days after the start of the test's calendar."""
    return START + pd.Timedelta(days=day)


def on(day: int) -> date:
    """The calendar day ``day`` days after the start."""
    return at(day).date()


def bare(asset):
    """The function that an asset decorates: calling the asset itself makes a Dagster instance each time, half a second."""
    return asset.op.compute_fn.decorated_fn


def handed(asset, tables: Mapping[str, Parquet], given: Mapping[str, object]) -> dict[str, object]:
    """The arguments of an asset's function: each of its parameters from ``given`` or, by name, from ``tables``."""
    names = inspect.signature(bare(asset)).parameters
    return {name: given[name] if name in given else tables[name] for name in names}


@cache
def _engine(spill: Path) -> DuckDB:
    return DuckDB(spill)


def trusted_tables(exported: Mapping[str, pa.Table], as_of: date, export_date: date, spill: Path, company: Configuration = COMPANY) -> dict[str, pa.Table]:
    """Every core table as of a date, from judged exports (those not given are empty)."""
    engine = _engine(spill)
    handles: dict[str, Parquet] = {}
    tables: dict[str, pa.Table] = {}

    def keep(name: str, table: pa.Table) -> None:
        tables[name] = table
        pq.write_table(table, spill / f"{name}.parquet")
        handles[name] = Parquet(str(spill / f"{name}.parquet"))

    for name in EXPORTED:
        keep(f"exported_{name}", exported.get(name, judged(name, [])))
    dates = {"company": company, "as_of": as_of, "export_date": export_date}
    for name, asset in FROM_SETTINGS.items():
        keep(name, pa.Table.from_pandas(bare(asset)(**handed(asset, {}, dates)), preserve_index=False))
    given = {"company": company, "engine": engine, "mask_key": MASK_KEY}
    for name, asset in COMPUTED.items():
        query: Query = bare(asset)(**handed(asset, handles, given))
        keep(name, engine.arrow(Query(f"SELECT * FROM ({query.sql}) ORDER BY ALL", query.tables)))
    return tables
