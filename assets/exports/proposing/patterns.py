"""Names the files of a table by a pattern: a file that bears a day in its name stands for all such files to come.

What belongs here: patterns of names. What does not: finding files by a pattern (assets/exports/files.py).
"""

import glob
from collections.abc import Iterable
from fnmatch import fnmatchcase

from assets.exports.files import DAY_IN_NAME, ExportFile


def file_patterns(files: Iterable[ExportFile], others: Iterable[ExportFile]) -> tuple[str, ...]:
    """The patterns of ``files``, each once: dates become ``*`` unless the pattern would take one of ``others``, too."""
    other_names = [file.name for file in others]
    found = []
    for file in files:
        pattern = _dated(file)
        if pattern is not None and any(fnmatchcase(name, pattern) for name in other_names):
            pattern = None
        found.append(pattern or glob.escape(file.name))
    return tuple(sorted({*found}))


def _dated(file: ExportFile) -> str | None:
    """The file's name with ``*`` for the day in its last part; null where it has none."""
    folder, mark, name = file.name.rpartition("/")
    if file.snapshot is None or not DAY_IN_NAME.search(name):
        return None
    parts, place = [], 0
    for match in DAY_IN_NAME.finditer(name):
        parts += [glob.escape(name[place : match.start()]), "*"]
        place = match.end()
    return glob.escape(folder) + mark + "".join([*parts, glob.escape(name[place:])])
