"""Finds the files of a table below the exports folder.

What belongs here: patterns, file names and the dates in them. What does not: opening a file (assets/exports/readers).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from assets.exports.errors import MissingExport, SourceProblems, UnreadableFile, listed, nearest
from assets.exports.settings import TableSource

REQUIRED_TABLES = ("opportunities",)
"""Tables without whose files nothing can be computed."""

_DAY_IN_NAME = re.compile(r"(?<!\d)(\d{4})([-_.]?)(\d{2})\2(\d{2})(?!\d)|(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})日")

_LOCK_FILE = "~$"
"""How Excel names the file that marks a workbook as open."""


@dataclass(frozen=True)
class ExportFile:
    """One file of a table: where it is, its name relative to the exports folder, the day in its name, its size."""

    path: Path
    name: str
    snapshot: date | None
    bytes: int


def find_files(folder: Path, source: TableSource, table: str) -> list[ExportFile]:
    """The files of ``table``, sorted by relative name; an empty list where an optional table has none.

    Raises MissingExport (no folder; no file of a required table), SourceProblems (a pattern that leaves the folder)
    or UnreadableFile (a folder in place of a file, an empty file), with every problem of its kind.
    """
    if not folder.exists():
        raise MissingExport(f"the exports folder {folder} does not exist; create it and put the exports there, or name another folder")
    if not folder.is_dir():
        raise MissingExport(f"the exports folder {folder} is a file; name the folder that holds the exports")
    outside = [p for p in source.files if not p or PurePosixPath(p).is_absolute() or ".." in PurePosixPath(p).parts]
    if outside:
        raise SourceProblems(f"exports.tables.{table}.files: the pattern {p!r} is not a path below the exports folder, such as deals-*.csv" for p in outside)
    paths = sorted({path for pattern in source.files for path in folder.glob(pattern) if not path.name.startswith(_LOCK_FILE)})
    if not paths and table in REQUIRED_TABLES:
        raise MissingExport(missing_files(folder, source.files, table))
    files = [_export_file(folder, path) for path in paths]
    folders = [f.name for f in files if f.path.is_dir()]
    problems = [f"table {table}: {name!r} is a folder, expected a file; make the pattern end in a file name, such as {name}/*.csv" for name in folders]
    problems += [f"table {table}: the file {f.name!r} is empty (0 bytes); export it again" for f in files if f.path.is_file() and not f.bytes]
    if problems:
        raise UnreadableFile(problems)
    return sorted(files, key=lambda f: f.name)


def missing_files(folder: Path, patterns: Sequence[str], table: str) -> str:
    """One sentence: which patterns of ``table`` matched nothing, what is there, and the names most like them."""
    there = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    asked = ", ".join(repr(p) for p in patterns) or "no pattern at all"
    found = f"there is {listed(there, are_headers=False)}{nearest(patterns, there, are_headers=False)}"
    return f"table {table}: no file below {folder} matches {asked}; {found}; correct exports.tables.{table}.files or add the export"


def day_in_name(name: str) -> date | None:
    """The day written in a file's relative name: the newest of its last part that has one; null where none has."""
    for part in reversed(PurePosixPath(name).parts):
        days = [day for match in _DAY_IN_NAME.finditer(part) if (day := _day(match)) is not None]
        if days:
            return max(days)
    return None


def _day(match: re.Match) -> date | None:
    year, _, month, day, chinese_year, chinese_month, chinese_day = match.groups()
    try:
        return date(int(year or chinese_year), int(month or chinese_month), int(day or chinese_day))
    except ValueError:
        return None


def _export_file(folder: Path, path: Path) -> ExportFile:
    name = path.relative_to(folder).as_posix()
    return ExportFile(path, name, day_in_name(name), path.stat().st_size)
