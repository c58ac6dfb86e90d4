"""Every table a CRM can export, read and judged: one asset per table, each row with its verdict and reasons.

What belongs here: the assets. What does not: how a file is read (reading.py) and how a row is judged (judge.py).
An optional table without files is an empty table.
"""

from datetime import date

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.declare import asset_arguments
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.settings import Configuration
from assets.exports.source import ExportSource, files_read, with_merged
from assets.query import Deferred, Engine, Parquet, Query, Relation
from quality.tables import EXPORTED

GROUP = "exports"
NO_OWNERS = pa.table({"owner_id": pa.array([], pa.string())})

PARENTS_SQL = """
SELECT
    opportunity_id,
    arg_max(pipeline_key, (_verdict = 'accepted', _row)) AS pipeline_key,
    arg_max(created_at, (_verdict = 'accepted', _row)) AS created_at,
    arg_max(closed_at, (_verdict = 'accepted', _row)) AS closed_at,
    arg_max(currency, (_verdict = 'accepted', _row)) AS currency,
    bool_or(_verdict = 'accepted') AS is_accepted
FROM exported_opportunities
WHERE opportunity_id IS NOT NULL
GROUP BY opportunity_id
"""


def exported_name(table_name: str) -> str:
    """The asset, and the folder of the lake, that holds an exported table."""
    return f"exported_{table_name}"


def read_and_judge(
    table_name: str, source: ExportSource, company: Configuration, engine: Engine, as_of: date, export_date: date, parents: Relation | None, owners: pa.Table
) -> pa.Table:
    """Every row of one table with its verdict; ``parents`` are the judged opportunities and ``owners`` the known owners, where there are any."""
    typed = source.typed(table_name)
    rates = exchange_rates(company, source.typed("exchange_rates").rows, as_of)
    known = NO_PARENTS if parents is None or not typed.rows.num_rows else engine.arrow(Query(PARENTS_SQL, {"exported_opportunities": parents}))
    known = with_merged(known, source.merged_deals)
    judged = judge(table_name, typed.rows, typed.faults, company, engine, export_date, Judged(known, owners, rates))
    return judged.replace_schema_metadata(files_read(typed))


@dg.asset(**asset_arguments(EXPORTED["owners"], GROUP, exported_name("owners")))
def exported_owners(
    source: dg.ResourceParam[ExportSource],
    company: dg.ResourceParam[Configuration],
    engine: dg.ResourceParam[Engine],
    as_of: dg.ResourceParam[date],
    export_date: dg.ResourceParam[date],
) -> pa.Table:
    return read_and_judge("owners", source, company, engine, as_of, export_date, None, NO_OWNERS)


@dg.asset(**asset_arguments(EXPORTED["opportunities"], GROUP, exported_name("opportunities")))
def exported_opportunities(
    exported_owners: pa.Table,
    source: dg.ResourceParam[ExportSource],
    company: dg.ResourceParam[Configuration],
    engine: dg.ResourceParam[Engine],
    as_of: dg.ResourceParam[date],
    export_date: dg.ResourceParam[date],
) -> Deferred:
    known = exported_owners.filter(pc.equal(exported_owners["_verdict"], "accepted")).select(["owner_id"])
    return Deferred(lambda: read_and_judge("opportunities", source, company, engine, as_of, export_date, None, known))


def _child_asset(table_name: str) -> dg.AssetsDefinition:
    @dg.asset(**asset_arguments(EXPORTED[table_name], GROUP, exported_name(table_name)))
    def exported(
        exported_opportunities: Parquet,
        source: dg.ResourceParam[ExportSource],
        company: dg.ResourceParam[Configuration],
        engine: dg.ResourceParam[Engine],
        as_of: dg.ResourceParam[date],
        export_date: dg.ResourceParam[date],
    ) -> Deferred:
        return Deferred(lambda: read_and_judge(table_name, source, company, engine, as_of, export_date, exported_opportunities, NO_OWNERS))

    return exported


def tables_without_export(source: ExportSource, company: Configuration, engine: Engine, as_of: date, export_date: date) -> dict[str, pa.Table]:
    """The tables that the configuration does not name, judged: no rows, by the name of their asset.

    What depends on them reads them like any other, and a run needs no steps for them.
    """
    absent = [name for name in EXPORTED if name not in company.exports.tables and name not in ("owners", "opportunities")]
    return {exported_name(name): read_and_judge(name, source, company, engine, as_of, export_date, None, NO_OWNERS) for name in absent}


CHILDREN = [_child_asset(name) for name in EXPORTED if name not in ("owners", "opportunities")]
ASSETS = [exported_owners, exported_opportunities, *CHILDREN]
