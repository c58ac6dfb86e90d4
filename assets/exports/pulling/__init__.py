"""The CRMs that can be pulled. Each module beside this one, but for declaration.py, declares one as ``PULL``.

What belongs here: finding them by name, and the names of the files that a pull writes. What does not: any CRM's endpoints.
"""

from datetime import date
from importlib import import_module
from pathlib import PurePosixPath
from pkgutil import iter_modules
from types import MappingProxyType

from assets.exports.pulling.declaration import CrmPull

_DECLARED = [import_module(f"{__name__}.{module.name}").PULL for module in iter_modules(__path__) if module.name != "declaration"]

PULLS: MappingProxyType[str, CrmPull] = MappingProxyType({pull.name: pull for pull in _DECLARED})
"""Every CRM that can be pulled, by name."""

PULLED_TABLES = tuple(dict.fromkeys(name for pull in _DECLARED for name in pull.tables))
"""Every table that some CRM can fill."""

SNAPSHOTS = ("opportunities",)
"""Tables of which every day's state is kept: their history is rebuilt by comparing days, and deleted rows stay, marked."""


def file_name(table: str, day: date) -> str:
    """The file, relative to the exports folder, that holds a pulled table as it was on ``day``."""
    return f"{table}/{day}.parquet" if table in SNAPSHOTS else f"{table}.parquet"


def is_pulled(table: str, patterns: tuple[str, ...]) -> bool:
    """Whether the file that a pull writes for ``table`` is among the files that are read for it."""
    return any(PurePosixPath(file_name(table, date(2000, 1, 1))).match(pattern) for pattern in patterns)
