"""What a run is given: the company, its exports, the home folder, the report database, the dates.

What belongs here: Dagster resources, made from four settings (`Place`) and the run's partition. What does not:
how any of them works.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd

from assets.exports.files import day_in_name, exports_folder
from assets.exports.settings import Configuration
from assets.exports.source import ExportSource
from pipelines.configuration import load_configuration
from pipelines.earlier_forecasts import earlier_forecasts
from pipelines.engine.duckdb import DuckDB
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.process import give_memory_back
from pipelines.report_db import ReportDatabase

PARTITION_TAG = "dagster/partition"


def latest_day() -> date:
    """The last day that has begun anywhere by the clock: what lies after it can be known by nobody."""
    return datetime.now(UTC).date() + timedelta(days=1)


class Place(dg.ConfigurableResource):
    """Where a run finds and leaves things: configuration file, exports folder or its URL, home folder, report database URL.

    An empty ``report_db`` is the SQLite file in the home folder.
    """

    config: str
    exports: str
    home: str
    report_db: str = ""


@dg.resource(required_resource_keys={"place"}, description="The company's configuration.")
def company(context) -> Configuration:
    return load_configuration(Path(context.resources.place.config))


@dg.resource(required_resource_keys={"place", "company"}, description="The company's exports, read once.")
def source(context) -> ExportSource:
    return ExportSource(exports_folder(context.resources.place.exports), context.resources.company)


@dg.resource(required_resource_keys={"place"}, description="The home folder, held for this run.")
def home(context) -> Iterator[Home]:
    place = Home(Path(context.resources.place.home).absolute())
    with place.lock():
        yield place


@dg.resource(required_resource_keys={"home"}, description="The key of the home folder by which ids that name people are masked.")
def mask_key(context) -> bytes:
    return context.resources.home.mask_key()


@dg.resource(description="The as-of date: the partition of the run.")
def as_of(context) -> date:
    return date.fromisoformat(context.run.tags[PARTITION_TAG])


@dg.resource(required_resource_keys={"source"}, description="The date of the newest export; nothing in it lies in its future.")
def export_date(context) -> date:
    return context.resources.source.export_date[0]


@dg.resource(required_resource_keys={"place", "home"}, description="The report database.")
def report_database(context) -> ReportDatabase:
    return ReportDatabase(context.resources.place.report_db or context.resources.home.report_database_url)


@dg.resource(required_resource_keys={"home"}, description="Runs queries.")
def engine(context) -> DuckDB:
    give_memory_back()
    return DuckDB(context.resources.home.spill)


@dg.io_manager(required_resource_keys={"home", "engine", "as_of", "progress"}, description="Every table as Parquet.")
def lake(context) -> Lake:
    return Lake(context.resources.home.lake, context.resources.engine, context.resources.as_of, context.resources.progress)


@dg.resource(description="Told what has just been computed; the command line shows it.")
def progress(_context) -> Callable[[str], None]:
    return lambda told: None


@dg.resource(required_resource_keys={"report_database", "as_of"}, description="Rows read per table in the last run published for this date or an earlier one.")
def previous_rows(context) -> Mapping[str, int]:
    database, today = context.resources.report_database, context.resources.as_of
    published = [day for day in database.as_of_dates() if day <= today]
    if not published:
        return {}
    counts = json.loads(database.read("run_log", published[-1]).sort_values("finished_at").iloc[-1]["counts"])
    return {name: _rows_of(name, {file: count["read"] for file, count in files.items()}) for name, files in counts.items()}


def _rows_of(table_name: str, read: Mapping[str, int]) -> int:
    """Rows of all files of a table; of opportunities, every dated file of which is a whole export, those of the newest day."""
    days = {file: day_in_name(file) for file in read}
    newest = max((day for day in days.values() if day), default=None) if table_name == "opportunities" else None
    return sum(rows for file, rows in read.items() if newest is None or days[file] == newest)


@dg.resource(required_resource_keys={"report_database", "as_of"}, description="When rows rejected before were first rejected.")
def first_seen(context) -> pd.DataFrame:
    return context.resources.report_database.first_seen(context.resources.as_of)


@dg.resource(required_resource_keys={"report_database", "as_of"}, description="Forecasts published at earlier as-of dates.")
def published_forecasts(context) -> pd.DataFrame:
    return earlier_forecasts(context.resources.report_database, context.resources.as_of)


@dg.resource(description="When the run began: the only clock, and no number depends on it.")
def started_at(_context) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def resources() -> dict[str, dg.ResourceDefinition]:
    """Every resource by name; `Place` reads LEADLINE_CONFIG, _EXPORTS, _HOME and _REPORT_DB from the environment.

    LEADLINE_REPORT_DB may be left out. Named and not copied, its URL, and a password in it, stay out of Dagster's pages.
    """
    place = Place(
        config=dg.EnvVar("LEADLINE_CONFIG"),
        exports=dg.EnvVar("LEADLINE_EXPORTS"),
        home=dg.EnvVar("LEADLINE_HOME"),
        report_db=dg.EnvVar("LEADLINE_REPORT_DB") if "LEADLINE_REPORT_DB" in os.environ else "",
    )
    return {
        "place": place,
        "company": company,
        "source": source,
        "home": home,
        "mask_key": mask_key,
        "as_of": as_of,
        "export_date": export_date,
        "report_database": report_database,
        "engine": engine,
        "io_manager": lake,
        "no_store": dg.mem_io_manager,
        "progress": progress,
        "previous_rows": previous_rows,
        "first_seen": first_seen,
        "published_forecasts": published_forecasts,
        "started_at": started_at,
    }
