"""The last step: all report tables in one transaction, and the page beside them.

What belongs here: the asset that publishes, and the run log it writes. What does not: any number on the way.
Nothing above it has been shown to anyone before this step; when it fails, what was published before stands.
"""

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.declare import AS_OF
from assets.exports.as_of import ASKED_FOR
from assets.exports.settings import Configuration
from assets.forecasts.targets import with_targets
from assets.query import Engine, Parquet, Query
from assets.reports.behind import TABLES as BEHIND_TABLES
from assets.reports.behind import rows_behind
from assets.reports.page import PERIOD_TABLES, first_listed_day, render_page
from assets.reports.page import TABLES as PAGE_TABLES
from assets.reports.skipped import skipped
from pipelines.home import staged_file
from pipelines.lake import frame_of, read_frame
from pipelines.masked_tables import masked_behind, masked_tables, masked_targets
from quality.tables import COMPUTED, EXPORTED

_LIBRARIES = ("dagster", "duckdb", "great-expectations", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "SQLAlchemy")

COUNTS_SQL = """
SELECT
    _file AS export,
    count(*) AS read,
    count(*) FILTER (_verdict = 'accepted') AS accepted,
    count(*) FILTER (_verdict = 'superseded') AS superseded,
    count(*) FILTER (_verdict = 'rejected') AS rejected
FROM exported
GROUP BY _file
ORDER BY _file
"""


def file_counts(exported: Mapping[str, Parquet], company: Configuration, engine: Engine) -> dict[str, dict[str, dict[str, int]]]:
    """Rows read, accepted, superseded and rejected per configured table and file."""
    return {
        name: {row.pop("export"): row for row in engine.arrow(Query(COUNTS_SQL, {"exported": exported[f"exported_{name}"]})).to_pylist()}
        for name in EXPORTED
        if name in company.exports.tables
    }


def run_log_row(
    run_id: str,
    started_at: datetime,
    counts: Mapping[str, Mapping[str, Mapping[str, int]]],
    not_computed: list[dict[str, str]],
    as_of: date,
    as_of_from: str,
) -> pa.Table:
    """The one row of the run log; times are UTC."""
    files = [file for tables in counts.values() for file in tables.values()]
    versions = {"leadline": importlib.metadata.version("leadline"), "python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in _LIBRARIES}
    row = {
        "as_of": as_of,
        "run_id": run_id,
        "started_at": started_at,
        "finished_at": datetime.now(UTC).replace(tzinfo=None),
        **{f"rows_{verdict}": sum(file[verdict] for file in files) for verdict in ("read", "accepted", "superseded", "rejected")},
        "skipped": json.dumps(not_computed, ensure_ascii=False, sort_keys=True),
        "versions": json.dumps(versions, sort_keys=True),
        "counts": json.dumps(counts, ensure_ascii=False, sort_keys=True),
        "as_of_from": as_of_from,
    }
    return pa.Table.from_pylist([row])


@dg.asset(
    name="publication",
    group_name="reports",
    description="All report tables in the report database, in one transaction, and the report page.",
    partitions_def=AS_OF,
    ins={name: dg.AssetIn(name) for name in [*COMPUTED, *(f"exported_{name}" for name in EXPORTED), *BEHIND_TABLES, "targets"]},
    required_resource_keys={"company", "source", "home", "engine", "report_database", "as_of", "started_at"},
)
def publication(context: dg.AssetExecutionContext, **tables: Parquet) -> dg.MaterializeResult:
    given = context.resources
    counts = file_counts(tables, given.company, given.engine)
    export_date, found_in = given.source.export_date
    not_computed = skipped(given.company, list(given.source.notes.values()), given.as_of, export_date, tables, given.engine)
    as_of_from = found_in if given.as_of == export_date else ASKED_FOR[given.company.language]
    log = run_log_row(context.run.run_id, given.started_at, counts, not_computed, given.as_of, as_of_from)
    aimed = with_targets(given.company, read_frame(Path(tables["targets"].path)))
    stored = {name: Path(tables[name].path) for name in COMPUTED}
    begins = first_listed_day({name: read_frame(stored[name]) for name in PERIOD_TABLES}, aimed, given.as_of)
    behind = rows_behind(begins, given.company, tables, given.engine)
    shown_owners = {*behind.people, *behind.deals["owner_id"].dropna()}
    masked, masks = masked_tables(stored, shown_owners, aimed, given.home.mask_key())
    published = {**masked, "run_log": log}
    shown = {name: _frame(published[name]) for name in PAGE_TABLES}
    place = given.home.page_of(given.as_of, given.report_database.as_of_dates())
    with staged_file(place) as page:
        page.write_text(render_page(shown, masked_targets(aimed, masks), given.as_of, given.company.language, masked_behind(behind, masks)), encoding="utf-8")
        loaded = given.report_database.publish(given.as_of, published)
    where = {"page": str(place), "report database": given.report_database.where}
    return dg.MaterializeResult(metadata={"dagster/row_count": sum(loaded.values()), **where, "rows": loaded})


def _frame(table: Path | pa.Table) -> pd.DataFrame:
    return frame_of(table) if isinstance(table, pa.Table) else read_frame(table)
