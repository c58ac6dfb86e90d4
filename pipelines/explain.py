"""`leadline why`: everything known about one opportunity's numbers, or about one rejected row.

What belongs here: looking up what a run stored and saying it in lines. What does not: computing anything.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd

from assets.query import Query
from models.errors import LeadlineError
from pipelines.engine.duckdb import DuckDB
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.report_db import ReportDatabase
from quality.tables import EXPORTED

DAYS_SHOWN = 5


class NothingKnown(LeadlineError):
    """Neither an opportunity nor a rejected row of that name is known as of the date."""

    exit_code = 8


def explain(names: list[str], home_folder: Path, as_of: date | None, report_db: str = "") -> Iterator[str]:
    """Lines about each name: an opportunity id, or a rejected row as ``FILE:LINE``.

    The newest published as-of date is taken where none is asked for. Raises NothingKnown.
    """
    home = Home(home_folder.absolute())
    database = ReportDatabase(report_db or home.report_database_url)
    day = _published_day(database, as_of, home)
    home.prepare()
    engine = DuckDB(home.spill)
    lake = Lake(home.lake, engine, day)
    for name in names:
        lines = [*_rejected(name, database.read("rejected_rows", day), lake, engine), *_opportunity(name, database, lake, engine, day)]
        if not lines:
            raise NothingKnown(
                f"no opportunity and no rejected row is called {name!r} as of {day}",
                where=database.where,
                expected="an opportunity id as exported, or FILE:LINE of a rejected row",
                remedy="look it up in win_probability or rejected_rows, or ask for another --as-of",
            )
        yield f"{name}, as of {day}"
        yield from (f"  {line}" for line in lines)


def _published_day(database: ReportDatabase, as_of: date | None, home: Home) -> date:
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


def _rejected(name: str, rejected: pd.DataFrame, lake: Lake, engine: DuckDB) -> Iterator[str]:
    """Rejected rows that the name means: one by file and line, or all of an opportunity."""
    file, _, line = name.rpartition(":")
    by_place = (rejected["export"] == file) & (rejected["line"].astype(str) == line)
    for row in rejected[by_place | (rejected["opportunity_id"] == name)].itertuples():
        yield f"rejected: {row.export}, line {row.line} ({row.table_name}); first seen {row.first_seen:%Y-%m-%d}, to be mended by {row.fix_by:%Y-%m-%d %H:%M}"
        for reason in json.loads(row.reasons):
            yield f"  {reason['code']}: expected: {reason['expected']}"
        yield from _unread(row, lake, engine)


def _unread(row, lake: Lake, engine: DuckDB) -> Iterator[str]:
    """The values of a rejected row that could not be read, as they may be shown."""
    tables = {"known": lake.parquet(f"exported_{row.table_name}"), "asked": pd.DataFrame({"_file": [row.export], "_line": [row.line]})}
    sql = "SELECT unnest(_set_aside, recursive := true) FROM known SEMI JOIN asked USING (_file, _line) WHERE _verdict = 'rejected'"
    for aside in engine.arrow(Query(sql, tables)).to_pylist():
        found = f"{aside['column']}: found {aside['value']!r}; " if aside["column"] else ""
        yield f"  {found}expected: {aside['expected']}"


def _opportunity(name: str, database: ReportDatabase, lake: Lake, engine: DuckDB, day: date) -> Iterator[str]:
    state = _rows("opportunities", name, lake, engine)
    if not state:
        return
    yield from _facts("state", state)
    yield from _facts("segment", _rows("opportunity_segments", name, lake, engine, "dimension"))
    yield from _facts("episode", _rows("episodes", name, lake, engine, "valid_from"))
    yield from _facts("visit", _rows("stage_visits", name, lake, engine, "visit_number"))
    for table in ("win_probability", "win_timing", "risk_list"):
        found = database.read(table, day)
        for row in found[found["opportunity_id"] == name].drop(columns=["as_of", "opportunity_id"]).to_dict("records"):
            reasons = row.pop("reasons", None)
            yield f"{table}: {_shown(row)}"
            yield from (f"  because {_shown(reason)}" for reason in json.loads(reasons or "[]"))
    for exported in EXPORTED:
        if "opportunity_id" in EXPORTED[exported].columns:
            yield from _facts(f"exported in {exported}", _exported(exported, name, lake, engine))


def _rows(table: str, name: str, lake: Lake, engine: DuckDB, order: str = "opportunity_id") -> list[dict]:
    tables = {"known": lake.parquet(table), "asked": pd.DataFrame({"opportunity_id": [name]})}
    return engine.arrow(
        Query(f"SELECT known.* EXCLUDE (opportunity_id) FROM known SEMI JOIN asked USING (opportunity_id) ORDER BY known.{order}", tables)
    ).to_pylist()


def _exported(table: str, name: str, lake: Lake, engine: DuckDB) -> list[dict]:
    tables = {"known": lake.parquet(f"exported_{table}"), "asked": pd.DataFrame({"opportunity_id": [name]})}
    sql = (
        "SELECT _file AS file, _line AS line, _verdict AS verdict, _reasons AS findings FROM known SEMI JOIN asked USING (opportunity_id) ORDER BY _file, _line"
    )
    return engine.arrow(Query(sql, tables)).to_pylist()


def _facts(label: str, rows: list[dict]) -> Iterator[str]:
    yield from (f"{label}: {_shown(row)}" for row in rows)


def _shown(values: dict) -> str:
    known = {k: v for k, v in values.items() if not isinstance(v, list) and not pd.isna(v)} | {k: v for k, v in values.items() if isinstance(v, list) and v}
    return ", ".join(f"{k} {_plain(v)}" for k, v in known.items())


def _plain(value) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)
