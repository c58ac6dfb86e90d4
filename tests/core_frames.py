"""Tiny judged exports and the trusted tables that follow from them, for tests of assets/core."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.core import trusted
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

_DERIVED = {
    "opportunities": {"pipeline_key": pa.string(), "stage_key": pa.string(), "status": pa.string(), "amount_reporting": pa.decimal128(18, 2)},
    "stage_history": {"stage_key": pa.string(), "stage_kind": pa.string(), "previous_stage_key": pa.string(), "amount_reporting": pa.decimal128(18, 2)},
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
    for name, frame in (
        ("parameters", bare(trusted.parameters)(company=company, as_of=as_of, export_date=export_date)),
        ("stages", bare(trusted.stages)(company=company, as_of=as_of)),
        ("stage_periods", bare(trusted.stage_periods)(company=company, as_of=as_of)),
        ("calendar", bare(trusted.calendar)(company=company, as_of=as_of)),
        ("working_days", bare(trusted.working_days)(company=company, as_of=as_of)),
    ):
        keep(name, pa.Table.from_pandas(frame, preserve_index=False))
    for name, asset, inputs in (
        ("opportunity_versions", trusted.opportunity_versions, ("exported_opportunities", "stage_periods", "parameters")),
        ("owner_teams", trusted.owner_teams, ("exported_owners", "parameters")),
        ("stage_dates", trusted.stage_dates, ("exported_opportunities",)),
        ("stage_entries", trusted.stage_entries, ("opportunity_versions", "exported_stage_history", "stage_dates", "stages", "stage_periods", "parameters")),
        ("episodes", trusted.episodes, ("stage_entries", "exported_stage_history", "exported_field_history", "opportunity_versions", "parameters")),
        ("stage_visits", trusted.stage_visits, ("stage_entries", "episodes", "owner_teams", "working_days", "parameters")),
        (
            "opportunities",
            trusted.opportunities,
            ("opportunity_versions", "stage_entries", "episodes", "stages", "owner_teams", "exported_activities", "exported_field_history", "parameters"),
        ),
        ("opportunity_segments", trusted.opportunity_segments, ("opportunities",)),
    ):
        settings = {"company": company} if name in ("stage_dates", "opportunities", "opportunity_segments") else {}
        query: Query = bare(asset)(**{i: handles[i] for i in inputs}, **settings)
        keep(name, engine.arrow(Query(f"SELECT * FROM ({query.sql}) ORDER BY ALL", query.tables)))
    return tables
