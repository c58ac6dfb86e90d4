"""Pulled tables as Dagster assets: one per table that some CRM can fill, without partitions.

What belongs here: the assets of the group ``pulls``. What does not: pulling (pipelines/pulling/pull.py), which is imported
when it runs, so that nothing else loads an HTTP client.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg

from assets.declare import column_schema
from assets.exports.files import local_folder
from assets.exports.pulling import PULLED_TABLES
from assets.exports.settings import Configuration
from models.errors import LeadlineError
from pipelines.home import Home
from pipelines.resources import Place
from quality.tables import EXPORTED

GROUP = "pulls"

_PREFIX = "pulled_"

NO_STORE = "no_store"
"""The resource in place of the lake: a pulled table is an export file already, and belongs to no as-of date."""

RETRIES = dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL)
"""A pull that the CRM kept waiting goes on where it stopped; what a person must mend is not tried again."""


@dg.multi_asset(
    name="pull_tables",
    specs=[
        dg.AssetSpec(
            f"{_PREFIX}{name}",
            group_name=GROUP,
            description=f"{EXPORTED[name].comment} As an export file, pulled from the CRM.",
            metadata={"dagster/column_schema": column_schema(EXPORTED[name])},
            skippable=True,
        ).with_io_manager_key(NO_STORE)
        for name in PULLED_TABLES
    ],
    can_subset=True,
    retry_policy=RETRIES,
)
def pull_tables(
    context: dg.AssetExecutionContext,
    place: Place,
    company: dg.ResourceParam[Configuration],
    home: dg.ResourceParam[Home],
    progress: dg.ResourceParam[Callable[[str], None]],
) -> Iterator[dg.MaterializeResult]:
    from pipelines.pulling.errors import PullUnfinished
    from pipelines.pulling.pull import pull, tables_to_pull

    chosen = {key.path[-1].removeprefix(_PREFIX) for key in context.selected_asset_keys}
    try:
        tables = [name for name in tables_to_pull(company) if name in chosen]
        pulled = pull(company, Path(place.config), local_folder(place.exports), tables, full=False, say=progress) if tables else []
    except PullUnfinished:
        raise
    except LeadlineError as error:
        # Without the chain of errors below it, and not tried again: a person must act.
        raise dg.Failure(description=str(error), allow_retries=False) from None
    for table in pulled:
        figures = {"dagster/row_count": table.rows, "received": table.received, "deleted": table.deleted, "whole": table.whole}
        notes = {"notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in table.notes))} if table.notes else {}
        yield dg.MaterializeResult(asset_key=f"{_PREFIX}{table.table}", metadata={**figures, **notes})
