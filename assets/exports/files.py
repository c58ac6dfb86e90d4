"""Finds the files of a table below the exports folder, which may be a local one or one in an object store.

What belongs here: folders, patterns, file names and the dates in them. What does not: opening a file
(assets/exports/readers). A zip archive is a folder whose entries are files; a pattern may lead into it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from upath import UPath

from assets.exports.archives import ARCHIVE, entries_of
from assets.exports.errors import MissingExport, SourceProblems, UnreadableFile, listed, nearest
from assets.exports.settings import TableSource

Folder = Path | UPath
"""A folder of the local disk, or one that fsspec reaches."""

REQUIRED_TABLES = ("opportunities",)
"""Tables without whose files nothing can be computed."""

DAY_IN_NAME = re.compile(r"(?<!\d)(\d{4})([-_.]?)(\d{2})\2(\d{2})(?!\d)|(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})日")
"""A day as the name of an export bears it."""

_LOCK_FILE = "~$"
"""How Excel names the file that marks a workbook as open."""


@dataclass(frozen=True)
class ExportFile:
    """One file of a table: where it is, its name relative to the exports folder, the day in its name, its size.

    ``entry`` is its name inside the zip archive at ``path``, where it stands in one.
    """

    path: Folder
    name: str
    snapshot: date | None
    bytes: int
    entry: str | None = None


def exports_folder(place: str) -> Folder:
    """The exports folder that a person named: a path, a ``file://`` URL, or the URL of an object store.

    Raises MissingExport where no known library serves such URLs, or the one that does is not installed.
    """
    protocol, is_url, _ = place.partition("://")
    if not is_url:
        return Path(place)
    try:
        folder = UPath(place)
    except ValueError as error:
        raise MissingExport(f"exports in {protocol}:// cannot be read; name a local folder, or a URL such as s3://bucket/folder") from error
    return Path(folder.path) if protocol in ("file", "local") else folder


def local_folder(place: str) -> Path:
    """The exports folder that a person named, to write into; raises MissingExport where it lies in an object store."""
    folder = exports_folder(place)
    if not isinstance(folder, Path) or "://" in str(folder):
        raise MissingExport(f"a pull writes export files into a local folder, and {place} lies in an object store; name a folder and copy it there")
    return folder


def find_files(folder: Folder, source: TableSource, table: str) -> list[ExportFile]:
    """The files of ``table``, sorted by relative name; an empty list where an optional table has none.

    Raises as `files_of`, and MissingExport where a required table has no file.
    """
    files = files_of(folder, source.files, f"exports.tables.{table}", f"table {table}")
    if not files and table in REQUIRED_TABLES:
        raise MissingExport(missing_files(folder, source.files, table))
    return files


def files_of(folder: Folder, patterns: Sequence[str], setting: str, named: str) -> list[ExportFile]:
    """The files that ``patterns`` match, sorted by relative name.

    ``setting`` is what the patterns are configured under, and ``named`` what an error says the files to be.
    Raises MissingExport (no folder), SourceProblems (a pattern that leaves the folder) or UnreadableFile (a folder in
    place of a file, an empty file, a link to nothing, an archive without one file to choose), with every problem of its kind.
    """
    _check_folder(folder)
    outside = [p for p in patterns if not p or PurePosixPath(p).is_absolute() or ".." in PurePosixPath(p).parts]
    if outside:
        raise SourceProblems(f"{setting}.files: the pattern {p!r} is not a path below the exports folder, such as deals-*.csv" for p in outside)
    found, problems = {}, []
    for pattern in patterns:
        matching, wrong = _matching(folder, pattern)
        found |= {file.name: file for file in matching}
        problems += [f"{named}: {problem}" for problem in wrong]
    files = [found[name] for name in sorted(found)]
    problems += [f"{named}: the file {f.name!r} is empty (0 bytes); export it again" for f in files if not f.bytes]
    if problems:
        raise UnreadableFile(dict.fromkeys(problems))
    return files


def _check_folder(folder: Folder) -> None:
    try:
        is_there, is_folder = folder.exists(), folder.is_dir()
    except ImportError as error:
        raise MissingExport(f"the exports folder {shown_place(folder)} cannot be read: {error}; install that package beside Leadline") from error
    except (OSError, ValueError, *_errors_of(folder)) as error:
        raise MissingExport(
            f"the exports folder {shown_place(folder)} cannot be read ({type(error).__name__}); check its address and the credentials"
        ) from error
    if not is_there:
        raise MissingExport(f"the exports folder {shown_place(folder)} does not exist; create it and put the exports there, or name another folder")
    if not is_folder:
        raise MissingExport(f"the exports folder {shown_place(folder)} is a file; name the folder that holds the exports")


def _errors_of(folder: Folder) -> tuple[type[Exception], ...]:
    """Errors of an object store's own library that are no OSError: no credentials, no connection."""
    if getattr(folder, "protocol", "") not in ("s3", "s3a"):
        return ()
    from botocore.exceptions import BotoCoreError

    return (BotoCoreError,)


def _matching(folder: Folder, pattern: str) -> tuple[list[ExportFile], list[str]]:
    """The files that one pattern matches, and what is wrong with everything else that it matches."""
    parts = PurePosixPath(pattern).parts
    inside = next((i + 1 for i, part in enumerate(parts[:-1]) if part.lower().endswith(ARCHIVE)), len(parts))
    entries = "/".join(parts[inside:])
    files, problems = [], []
    for path in _paths(folder, "/".join(parts[:inside])):
        name = _relative(folder, path)
        if not path.exists():
            problems.append(f"{name!r} is a link to a file that is not there; mend the link or export it again")
        elif path.is_dir():
            problems.append(f"{name!r} is a folder, expected a file; make the pattern end in a file name, such as {name}/*.csv")
        elif name.lower().endswith(ARCHIVE):
            try:
                files += _in_archive(path, name, entries)
            except UnreadableFile as error:
                problems += error.problems
        else:
            files.append(ExportFile(path, name, day_in_name(name), path.stat().st_size))
    return files, problems


def _paths(folder: Folder, pattern: str) -> list[Folder]:
    """What a pattern matches, links to nothing included, which a pattern without wildcards would pass over."""
    found = {path for path in folder.glob(pattern) if not path.name.startswith(_LOCK_FILE)}
    if isinstance(folder, Path) and (folder / pattern).is_symlink():
        found.add(folder / pattern)
    return sorted(found, key=str)


def _in_archive(path: Folder, name: str, pattern: str) -> Iterator[ExportFile]:
    """The entries of an archive that ``pattern`` matches; its one file where there is no pattern."""
    sizes = entries_of(path, name)
    if not pattern and len(sizes) > 1:
        raise UnreadableFile(
            f"{name!r} holds {len(sizes)} files: {listed(sizes, are_headers=False)}; name those of this table, such as {name}/{next(iter(sizes))}"
        )
    for entry, size in sizes.items():
        if not pattern or fnmatchcase(entry, pattern) or PurePosixPath(entry).match(pattern):
            full = f"{name}/{entry}"
            yield ExportFile(path, full, day_in_name(full), size, entry)


def shown_place(folder: Folder) -> str:
    """A folder as it may stand in a message: without the credentials that a URL may hold."""
    return re.sub(r"(?<=://)[^/@]*@", "***@", str(folder))


def missing_files(folder: Path, patterns: Sequence[str], table: str) -> str:
    """One sentence: which patterns of ``table`` matched nothing, what is there, and the names most like them."""
    there = sorted(_names(folder))
    asked = ", ".join(repr(p) for p in patterns) or "no pattern at all"
    found = f"there is {listed(there, are_headers=False)}{nearest(patterns, there, are_headers=False)}"
    return f"table {table}: no file below {shown_place(folder)} matches {asked}; {found}; correct exports.tables.{table}.files or add the export"


def day_in_name(name: str) -> date | None:
    """The day written in a file's relative name: the newest of its last part that has one; null where none has."""
    for part in reversed(PurePosixPath(name).parts):
        days = [day for match in DAY_IN_NAME.finditer(part) if (day := _day(match)) is not None]
        if days:
            return max(days)
    return None


def _day(match: re.Match) -> date | None:
    year, _, month, day, chinese_year, chinese_month, chinese_day = match.groups()
    try:
        return date(int(year or chinese_year), int(month or chinese_month), int(day or chinese_day))
    except ValueError:
        return None


def _names(folder: Folder) -> Iterable[str]:
    return (_relative(folder, path) for path in folder.rglob("*") if path.is_file())


def _relative(folder: Folder, path: Folder) -> str:
    return PurePosixPath(path.relative_to(folder).as_posix() if isinstance(path, Path) else path.path.removeprefix(folder.path).lstrip("/")).as_posix()
