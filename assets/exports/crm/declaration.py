"""What a CRM declares of its exports, and the forms that hold where it declares nothing.

What belongs here: the shape of a declaration. What does not: any CRM's names (the modules beside this one), and the
reading of files as a declaration says (headers.py, shaping.py, lookups.py, reading.py).

Most CRMs need ``headers`` and perhaps ``values``. The rest is for what headers alone cannot say: a kind of file among
others of its table (`Part`), twelve month columns that are twelve rows (`Wide`), a file that says what an id stands
for (`Lookup`), one that says which deals a call belongs to (`Link`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


class Filled(tuple):
    """Headers of which each row takes the first that has a value, as the actual amount before the estimated one.

    A zero is taken only where no other header has a value: nothing was sold by a lost deal, but its worth was estimated.
    """

    __slots__ = ()


Spelling = str | tuple[str, ...]
"""A header; or several in order of preference of which an export may hold more than one by design; or `Filled`."""

Headers = Mapping[str, tuple[Spelling, ...]]
"""Canonical column: every spelling of its header."""

_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M%z", " %H:%M:%S%z")
YEAR_FIRST = tuple(f"{day}{time}" for day in ("%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d") for time in _TIMES)
"""Written forms besides ISO 8601 that nobody can misread: they begin with the year."""

TRUE = ("true", "t", "yes", "y", "1", "是", "有", "√")
FALSE = ("false", "f", "no", "n", "0", "否", "无", "×")


@dataclass(frozen=True)
class KeepIf:
    """A value is kept in the rows where ``pattern`` is found in the text of ``header``, else it is no value.

    Without ``header`` the pattern looks at the value itself; where a file lacks the header, every value is kept. For a
    column that holds ids of several kinds, such as what an activity is about.
    """

    pattern: str
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wide:
    """Columns that are rows: one row per header of ``headers`` (spellings: label) that has a value in the line.

    The value becomes the canonical column ``value``, the label the column ``label``; where ``form`` is given, as it
    says, with {label} and the text of the header ``given``: ``{given}-{label}-01`` makes days of a year and a month.
    """

    headers: Mapping[tuple[str, ...], str]
    label: str
    value: str
    form: str = "{label}"
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A column that another file holds: the `Lookup` named ``lookup`` leads from the text of ``key`` to its value.

    An id that leads to several values makes a row for each; the column ``numbered``, which is the key of the table,
    then holds ``id/value`` in each, so that no row supersedes another. Without ``numbered`` the first value is taken.
    """

    lookup: str
    key: tuple[Spelling, ...]
    numbered: str | None = None


@dataclass(frozen=True)
class Part:
    """One kind of file among those of a table: files that have a header of every entry of ``when`` (all, if empty).

    ``headers``, ``constants``, ``values`` and ``keep_if`` go before those of the CRM, column by column. ``only`` and
    ``leave_out`` (spellings of a header: its values, in any case) say which rows belong to the table; the others are
    passed over and counted. ``dated_by_file`` is a column that takes the day in the file's name where no header holds it.
    """

    when: tuple[Spelling, ...] = ()
    headers: Headers = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    keep_if: Mapping[str, KeepIf] = field(default_factory=dict)
    only: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    leave_out: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    wide: Wide | None = None
    links: Mapping[str, Link] = field(default_factory=dict)
    dated_by_file: str | None = None


@dataclass(frozen=True)
class Lookup:
    """A file that leads from ids (header ``key``) to what they stand for (header ``value``), under exports.lookups.

    ``columns`` names per table the columns whose ids it replaces. An id that it does not hold stays as it is, or is no
    value where ``otherwise_nothing``; a stage or pipeline that the configuration itself spells stays, too. Where a cell
    lists several ids, ``separator`` stands between them. ``pipeline`` is the header of the pipeline that a stage is of.
    ``leave_out`` is that of a `Part`.
    """

    key: tuple[Spelling, ...]
    value: tuple[Spelling, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    otherwise_nothing: bool = False
    separator: str | None = None
    pipeline: tuple[Spelling, ...] = ()
    leave_out: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Crm:
    """One CRM's exports.

    ``headers`` gives, per table and canonical column, every spelling of its header; the canonical name itself is
    always one more, and case, blanks, underscores and hyphens do not matter. Two spellings that stand in one file are
    an error unless they are declared as one `Spelling` in order of preference. ``dates`` are tried in their order
    before ISO 8601. ``percent`` names per table the shares that are exported as 0 to 100. ``constants`` fill a
    column that an export lacks. What the configuration says goes before all of it.

    ``values`` translates, per table and column, texts in any case into Leadline's words (status 1 into won; into
    nothing where the translation is blank). ``parts`` are the kinds of files of a table, the first that fits is taken.
    ``lookups`` are files of ids by the name they have under exports.lookups; the one named ``merged_deals`` holds ids
    that were merged into another deal, and fills merged_into. ``stage_dates`` are patterns of headers that hold the day of entering the stage
    named by their group ``stage``, the preferred ones first. ``outcome_beside_stage`` is true where won and lost are
    kept beside the stage, so that a closed deal stays in its last stage. ``taken`` are canonical names that mean something
    else in this CRM's files, per table: they are no spelling of their column.
    """

    name: str
    headers: Mapping[str, Headers] = field(default_factory=dict)
    dates: tuple[str, ...] = YEAR_FIRST
    empty: tuple[str, ...] = ()
    true: tuple[str, ...] = TRUE
    false: tuple[str, ...] = FALSE
    percent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"targets": {"metric": "bookings"}})
    values: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    keep_if: Mapping[str, Mapping[str, KeepIf]] = field(default_factory=dict)
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    stage_dates: tuple[str, ...] = ()
    outcome_beside_stage: bool = False
    taken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of_part(self, table: str, part: Part) -> "Crm":
        """This declaration as it holds for one kind of file: what the part says goes before."""
        own = {"headers": part.headers, "constants": part.constants, "values": part.values, "keep_if": part.keep_if}
        return replace(self, **{name: {**getattr(self, name), table: {**getattr(self, name).get(table, {}), **more}} for name, more in own.items()})

    def extended(self, name: str, headers: Mapping[str, Headers], **changes: Any) -> "Crm":
        """A CRM that shares these headers and has more of its own, which are preferred; ``changes`` replace other fields."""
        merged = {table: dict(columns) for table, columns in self.headers.items()}
        for table, columns in headers.items():
            for column, spellings in columns.items():
                shared = merged.setdefault(table, {}).get(column, ())
                merged[table][column] = (tuple(dict.fromkeys([*spelled(spellings), *spelled(shared)])),)
        return replace(self, name=name, headers=merged, **changes)


def spelled(spellings: tuple[Spelling, ...]) -> list[str]:
    """Every header among ``spellings``, one by one."""
    return [header for spelling in spellings for header in ((spelling,) if isinstance(spelling, str) else spelling)]
