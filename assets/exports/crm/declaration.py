"""What a CRM declares of its exports, and the forms that hold where it declares nothing.

What belongs here: the shape of a declaration. What does not: any CRM's names (the modules beside this one).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Spelling = str | tuple[str, ...]
"""A header, or several in order of preference of which an export may hold more than one by design."""

YEAR_FIRST = tuple(f"{day}{time}" for day in ("%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d") for time in ("", " %H:%M", " %H:%M:%S"))
"""Written forms besides ISO 8601 that nobody can misread: they begin with the year."""

TRUE = ("true", "t", "yes", "y", "1", "是", "有", "√")
FALSE = ("false", "f", "no", "n", "0", "否", "无", "×")


@dataclass(frozen=True)
class Crm:
    """One CRM's exports.

    ``headers`` gives, per table and canonical column, every spelling of its header; the canonical name itself is
    always one more, and case, blanks, underscores and hyphens do not matter. Two spellings that stand in one file are
    an error unless they are declared as one `Spelling` in order of preference. ``dates`` are tried in their order
    before ISO 8601. ``percent`` names per table the shares that are exported as 0 to 100. ``constants`` fill a
    column that an export lacks. What the configuration says goes before all of it.
    """

    name: str
    headers: Mapping[str, Mapping[str, tuple[Spelling, ...]]] = field(default_factory=dict)
    dates: tuple[str, ...] = YEAR_FIRST
    empty: tuple[str, ...] = ()
    true: tuple[str, ...] = TRUE
    false: tuple[str, ...] = FALSE
    percent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"targets": {"metric": "bookings"}})
