"""`leadline why`: everything known about one opportunity's numbers, or about one row of an export.

What belongs here: looking up what a run stored and saying it in lines. What does not: computing anything, and what
stands behind a single row (exported_row.py). Whatever is quoted is masked like the published tables.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from assets.query import Query
from models.errors import LeadlineError
from pipelines.engine.duckdb import DuckDB
from pipelines.exported_row import row_lines
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.report_db import ReportDatabase
from pipelines.stored import Stored
from quality.tables import EXPORTED

DAYS_SHOWN = 5


class NothingKnown(LeadlineError):
    """Neither an opportunity nor a row of an export of that name is known as of the date."""

    exit_code = 8


def explain(names: list[str], home_folder: Path, as_of: date | None, report_db: str = "") -> Iterator[str]:
    """Lines about each name: an opportunity id, or a row of an export as ``FILE:LINE``.

    The newest published as-of date is taken where none is asked for. Raises NothingKnown, for names of which nothing is
    known once everything known of the others is said.
    """
    home = Home(home_folder.absolute())
    database = ReportDatabase(report_db or home.report_database_url)
    day = published_day(database, as_of, home)
    home.prepare()
    engine = DuckDB(home.spill)
    lake = Lake(home.lake, engine, day)
    settings = engine.arrow(Query("SELECT * FROM parameters", {"parameters": lake.parquet("parameters")})).to_pylist()[0]
    stored = Stored(day, database, lake, engine, home.mask_key(), bool(settings.get("mask_owners")))
    unknown = []
    for name in names:
        lines = [*row_lines(name, stored), *_opportunity(name, stored)]
        if lines:
            yield f"{name}, as of {day}"
            yield from (f"  {line}" for line in lines)
        else:
            unknown.append(name)
    if unknown:
        raise NothingKnown(
            f"no opportunity and no row of an export is called {' or '.join(map(repr, unknown))} as of {day}",
            where=database.where,
            expected="an opportunity id as exported, or FILE:LINE of a row, the line being the one at which it begins",
            remedy="look it up in win_probability or rejected_rows, or ask for another --as-of",
        )


def published_day(database: ReportDatabase, as_of: date | None, home: Home) -> date:
    """The day asked for, or else the newest published; raises NothingKnown where nothing was published for it."""
    published = database.as_of_dates()
    if not published:
        raise NothingKnown("nothing has been published here", where=str(home.path), remedy="run leadline run, or name another folder with --home")
    if as_of is not None and as_of not in published:
        raise NothingKnown(
            f"nothing has been published as of {as_of}",
            where=database.where,
            expected=f"a published day; the newest are {', '.join(map(str, published[: -DAYS_SHOWN - 1 : -1]))}",
            remedy=f"ask for one of them, or run leadline run with --as-of {as_of}",
        )
    return as_of or published[-1]


def _opportunity(name: str, stored: Stored) -> Iterator[str]:
    state = _rows("opportunities", name, stored)
    if not state:
        return
    yield from _facts("state", state, stored)
    yield from _facts("segment", _rows("opportunity_segments", name, stored, "dimension"), stored)
    yield from _facts("episode", _rows("episodes", name, stored, "valid_from"), stored)
    yield from _facts("visit", _rows("stage_visits", name, stored, "visit_number"), stored)
    for table in ("win_probability", "win_timing", "risk_list"):
        found = stored.database.read(table, stored.day)
        for row in found[found["opportunity_id"] == name].drop(columns=["as_of", "opportunity_id"]).to_dict("records"):
            reasons = row.pop("reasons", None)
            yield f"{table}: {stored.shown(row)}"
            yield from (f"  because {stored.shown(reason)}" for reason in json.loads(reasons or "[]"))
    for exported in EXPORTED:
        if "opportunity_id" in EXPORTED[exported].columns:
            yield from _facts(f"exported in {exported}", _exported(exported, name, stored), stored)


def _rows(table: str, name: str, stored: Stored, order: str = "opportunity_id") -> list[dict]:
    sql = f"SELECT known.* EXCLUDE (opportunity_id) FROM known SEMI JOIN asked USING (opportunity_id) ORDER BY known.{order}"
    return stored.rows(table, sql, opportunity_id=name)


def _exported(table: str, name: str, stored: Stored) -> list[dict]:
    sql = (
        "SELECT _file AS file, _line AS line, _verdict AS verdict, _reasons AS findings FROM known SEMI JOIN asked USING (opportunity_id) ORDER BY _file, _line"
    )
    return stored.rows(f"exported_{table}", sql, opportunity_id=name)


def _facts(label: str, rows: list[dict], stored: Stored) -> Iterator[str]:
    yield from (f"{label}: {stored.shown(row)}" for row in rows)
