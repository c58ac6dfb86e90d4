"""Core tables as a run stores them in the lake, and their comparison byte for byte.

What belongs here: reading, judging and the core assets, each as a run uses it, without anything that follows. What does
not: what is read (company.py and the writers).
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.exports.settings import Configuration
from assets.query import Parquet
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake
from quality.tables import EXPORTED
from tests.core_frames import FROM_SETTINGS, OF_DEALS, bare, handed, judged
from tests.crm_exports import judged_tables
from tests.round_trips.company import Company, configuration, exported

COMPARED = tuple(name for name in OF_DEALS if name != "stage_dates")
"""The core tables that follow from exports; `stage_dates` is an intermediate form of one kind of history."""

MARKED = ("stage_entries", "episodes", "stage_visits")
"""The core tables that say from which kind of history a row comes."""


@cache
def _engine() -> DuckDB:
    return DuckDB(Path(mkdtemp()))


@cache
def _settings_tables() -> dict[str, Path]:
    """The tables that follow from settings alone, which every case shares, stored once."""
    company, folder = configuration({"tables": {"opportunities": {"files": "none"}}}), Path(mkdtemp())
    lake = Lake(folder, _engine(), company.as_of)
    given = {"company": company, "as_of": company.as_of, "export_date": company.as_of}
    for name, asset in FROM_SETTINGS.items():
        lake.store(name, bare(asset)(**handed(asset, {}, given)))
    return {name: lake.path(name) for name in FROM_SETTINGS}


def core_of(tables: Mapping[str, pa.Table], company: Configuration, folder: Path) -> dict[str, Path]:
    """Every core table stored below ``folder`` by its contract, from judged exports (those not given are empty)."""
    lake = Lake(folder, _engine(), company.as_of)
    paths = dict(_settings_tables())
    for name in ("opportunities", "stage_history", "field_history", "activities", "owners"):
        lake.store(f"exported_{name}", tables[name] if name in tables else judged(name, []))
        paths[f"exported_{name}"] = lake.path(f"exported_{name}")
    for name, asset in OF_DEALS.items():
        lake.store(name, bare(asset)(**handed(asset, {table: Parquet(str(path)) for table, path in paths.items()}, {"company": company})))
        paths[name] = lake.path(name)
    return {name: paths[name] for name in COMPARED}


@cache
def _reference(facts: tuple[tuple[str, int], ...]) -> dict[str, Path]:
    company = Company({name: _FRAMES[key] for name, key in facts})
    return core_of(exported(company), configuration({"tables": {"opportunities": {"files": "none"}}}), Path(mkdtemp()))


_FRAMES: dict[int, pd.DataFrame] = {}


def reference(company: Company) -> dict[str, Path]:
    """The core tables of ``company`` computed without any file; those of equal frames once."""
    for frame in company.frames.values():
        _FRAMES[id(frame)] = frame
    return _reference(tuple((name, id(frame)) for name, frame in company.frames.items()))


def read_back(exports: Path, company: Configuration, folder: Path) -> tuple[dict[str, pa.Table], dict[str, Path]]:
    """The judged tables of a folder of exports, and the core tables that follow."""
    (folder / "spill").mkdir(parents=True, exist_ok=True)
    tables = judged_tables(company, exports, folder / "spill")
    return tables, core_of(tables, company, folder / "lake")


def assert_same_files(found: Mapping[str, Path], wanted: Mapping[str, Path], names: Iterable[str] = COMPARED) -> None:
    """The stored Parquet files are equal byte for byte; where one is not, its first differing rows are shown."""
    for name in names:
        if found[name].read_bytes() != wanted[name].read_bytes():
            raise AssertionError(f"{name}: {_difference(pq.read_table(found[name]), pq.read_table(wanted[name]))}")


def assert_same_contents(found: Mapping[str, Path], wanted: Mapping[str, Path], *, marks: bool = True) -> None:
    """The tables are equal byte for byte as Arrow streams; without ``marks`` but for the mark which kind of history a row has.

    Streams and not files, because DuckDB notes in a Parquet file whether a column could hold nulls by what it knows of the
    query's inputs, which is more or less by the kind of history.
    """
    for name in COMPARED:
        tables = [pq.read_table(paths[name]) for paths in (found, wanted)]
        if name in MARKED and not marks:
            tables = [table.drop_columns(["history"]) for table in tables]
        if _stream(tables[0]) != _stream(tables[1]):
            raise AssertionError(f"{name}: {_difference(*tables)}")


def _stream(table: pa.Table) -> bytes:
    schema = pa.schema([column.with_nullable(True) for column in table.schema])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table.cast(schema).combine_chunks())
    return sink.getvalue().to_pybytes()


def _difference(found: pa.Table, wanted: pa.Table) -> str:
    """What a person needs to see: schemas, counts, and the first rows that stand in one table alone."""
    if found.schema.names != wanted.schema.names:
        return f"other columns: {set(found.schema.names) ^ set(wanted.schema.names)}"
    first, second = (sorted(map(str, table.to_pylist())) for table in (found, wanted))
    surplus, missing = sorted({*first} - {*second}), sorted({*second} - {*first})
    return "\n  ".join(
        [
            f"{len(first)} rows, expected {len(second)}; {len(surplus)} stand in the one alone and {len(missing)} in the other",
            *(f"found    {x}" for x in surplus[:3]),
            *(f"expected {x}" for x in missing[:3]),
        ]
    )


def verdicts(tables: Mapping[str, pa.Table]) -> dict[str, set[str]]:
    """Which verdicts there are, by table."""
    return {name: set(table["_verdict"].to_pylist()) for name, table in tables.items() if name in EXPORTED}
