"""The files that a person names on the command line, and the folder that they are read from.

What belongs here: from arguments to export files. What does not: what the files are (assets/exports/proposing).
"""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assets.exports.archives import ARCHIVE
from assets.exports.errors import ExportError, MissingExport, UnreadableFile
from assets.exports.files import ExportFile, Folder, exports_folder, find_files, shown_place
from assets.exports.proposing.sheets import Sheet, open_sheets
from assets.exports.readers import READERS
from assets.exports.settings import TableSource

_PACKED = ".gz"


@dataclass(frozen=True)
class Given:
    """The folder below which every file lies, the opened files, and why others are not read."""

    folder: Folder
    files: tuple[ExportFile, ...]
    sheets: tuple[Sheet, ...]
    unreadable: dict[str, str]


def given_exports(places: Sequence[str]) -> Given:
    """What ``places`` name: one folder, or files. MissingExport where there is nothing, UnreadableFile where nothing can be read.

    A file that is named must be readable; of a folder's files those of another form are passed over.
    """
    if not places:
        raise MissingExport("no exports are named; name the folder that holds them, or the files: leadline init exports")
    folder, names, is_named = _folder_and_names(places)
    files, sheets, unreadable = [], [], {}
    for name in names:
        try:
            for file in _files(folder, name):
                files.append(file)
                sheets += open_sheets(file)
        except ExportError as error:
            unreadable[name] = error.problems[0]
    if unreadable and (is_named or not sheets):
        raise UnreadableFile(unreadable.values())
    if not sheets:
        raise MissingExport(f"{shown_place(folder)} holds no exports; expected files that end in {', '.join(READERS)}, or a .zip of them")
    return Given(folder, tuple(files), tuple(sheets), unreadable)


def _folder_and_names(places: Sequence[str]) -> tuple[Folder, list[str], bool]:
    """The folder, the names of the files below it that could be exports, and whether they were named one by one."""
    if len(places) == 1:
        folder = exports_folder(places[0])
        if not folder.exists():
            raise MissingExport(f"there is no {shown_place(folder)}; name the folder that holds the exports, or the files")
        if folder.is_dir():
            return folder, sorted(_exports_below(folder)), False
    paths = [Path(place) for place in places]
    problems = [f"there is no file {path}" for path in paths if not path.exists()]
    problems += [f"{path} is a folder; name one folder, or files" for path in paths if path.is_dir()]
    if problems:
        raise MissingExport(problems)
    absolute = [path.absolute() for path in paths]
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    folder = paths[0].parent if all(path.parent == paths[0].parent for path in paths) else common
    return folder, sorted({path.relative_to(folder.absolute()).as_posix() for path in absolute}), True


def _exports_below(folder: Folder) -> Iterator[str]:
    suffixes = (*READERS, *(suffix + _PACKED for suffix in READERS), ARCHIVE)
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix() if isinstance(path, Path) else path.path.removeprefix(folder.path).lstrip("/")
        if path.is_file() and name.lower().endswith(suffixes) and not any(part.startswith(".") for part in name.split("/")):
            yield name


def _files(folder: Folder, name: str) -> list[ExportFile]:
    """The file of that name, or all files of the archive of that name."""
    pattern = glob.escape(name)
    inside = f"{pattern}/*" if name.lower().endswith(ARCHIVE) else pattern
    return find_files(folder, TableSource(files=(inside,)), name)
