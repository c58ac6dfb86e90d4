"""Finds the columns of a table that no declaration knows: by plain words, by custom names, and by values.

What belongs here: which unclaimed header is which canonical column, with the evidence. What does not: the headers that the
CRM's declaration knows (recognise.py). A header is proposed only where its values have the form that the column needs.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm, spelled
from assets.exports.headers import fold, take_apart
from assets.exports.proposing.sheets import Sheet
from assets.exports.proposing.vocabulary import COLUMN_WORDS, plain
from quality.tables import EXPORTED

_READABLE = 0.9
_JOINED = 0.5
_LEAST_JOINED = 2
_LABELS = 200
_LABEL_CHARACTERS = 60

_DAY = r"^\d{1,4}[-/.年 ]\d{1,2}[-/.月 ]\d{1,4}日?([T ].*)?$|^\d{4}-\d{2}-\d{2}T|^[2-7]\d{4}([.]\d+)?$"
_NUMBER = r"^[^\dA-Za-z]{0,3}-?[(]?\d[\d.,' ]*[)]?( ?(万|亿|元|万元|亿元|[kKmMbB]|[A-Z]{3}))?$"
_FORMS = {
    "date": _DAY, "time": _DAY, "original_amount": _NUMBER, "amount": _NUMBER, "number": _NUMBER, "count": r"^[\d,. ]+$", "share": r"^-?[\d.,]+ ?%?$",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A canonical column, the position of its header, and why it is taken for it."""

    column: str
    position: int
    evidence: str


def looks_like(sheet: Sheet, position: int, unit: str) -> bool:
    """True where nine of ten values of a column have the form of ``unit``; a column without values has every form."""
    values = sheet.filled(position)
    if not len(values):
        return True
    if unit == "label":
        longest = pc.max(pc.utf8_length(values)).as_py()
        return pc.count_distinct(values).as_py() <= max(_LABELS, len(values) // 20) and longest <= _LABEL_CHARACTERS
    if unit not in _FORMS:
        return True
    return pc.sum(pc.match_substring_regex(values, _FORMS[unit])).as_py() >= _READABLE * len(values)


def is_unique(sheet: Sheet, position: int) -> bool:
    """True where every row has a value of its own in a column."""
    values = sheet.texts(position)
    return len(values) > 0 and values.null_count == 0 and pc.count_distinct(values).as_py() == len(values)


def joined_share(values: pa.Array, ids: pa.Array) -> float:
    """The share of distinct ``values`` that are among ``ids``."""
    if len(values) < _LEAST_JOINED or not len(ids):
        return 0.0
    return (pc.is_in(values, value_set=ids).true_count or 0) / len(values)


def by_words(sheet: Sheet, table: str, crm: Crm, known: Mapping[str, Sequence[int]], crms: Iterable[Crm] = ()) -> list[Found]:
    """Columns that plain words or the same name as a custom field tell of, of those that ``known`` lacks.

    ``crms`` lend their spellings, too: a sheet made from an export often keeps some.
    """
    used = {position for positions in known.values() for position in positions}
    free = [p for p, name in enumerate(sheet.header) if name.strip() and p not in used]
    found: list[Found] = []
    by_name = ((_custom(table, crm), "a custom field of that name"), (COLUMN_WORDS, "by its name"), (_lent(table, crms), "by its name in other CRMs"))
    for spellings, why in by_name:
        for column in EXPORTED[table].columns:
            if column.name in known or any(f.column == column.name for f in found):
                continue
            for position in _in_order(sheet.header, free, spellings.get(column.name, ())):
                if len(sheet.filled(position)) and looks_like(sheet, position, column.info["unit"]):
                    found.append(Found(column.name, position, why))
                    free.remove(position)
                    break
    return found


def by_join(sheet: Sheet, ids: pa.Array, free: Iterable[int]) -> int | None:
    """The column most of whose distinct values are among ``ids``, of another file; at least half of them must be."""
    shares = [(joined_share(sheet.distinct(p), ids), -p) for p in free if sheet.header[p].strip()]
    best = max(shares, default=(0.0, 0))
    return -best[1] if best[0] >= _JOINED else None


def by_uniqueness(sheet: Sheet, preferred: Sequence[int], taken: Collection[int]) -> int | None:
    """A column that can stand for an id: all filled and all different; one that is called so goes first.

    Dates and amounts are no ids, however different they are; nor are the columns at ``taken``, which are ids of other things.
    """
    named = [p for p, name in enumerate(sheet.header) if re.search(r"\b(id|no|number|key|code)\b|编号|号$", plain(name))]
    texts = [p for p, name in enumerate(sheet.header) if name.strip() and not looks_like(sheet, p, "time")]
    amounts = {p for p in texts if looks_like(sheet, p, "original_amount")} - {*named}
    return next((p for p in dict.fromkeys([*named, *preferred, *(p for p in texts if p not in amounts)]) if p not in taken and is_unique(sheet, p)), None)


def chosen(sheet: Sheet, positions: Sequence[int]) -> int:
    """Of several headers that claim one column, the one with most values; the first of those with as many."""
    return max(positions, key=lambda p: (len(sheet.filled(p)), -positions.index(p)))


def _in_order(header: Sequence[str], free: Sequence[int], spellings: Sequence[str]) -> list[int]:
    """The free headers that a spelling names, in the order of the spellings."""
    names = {p: {fold(header[p]), fold(plain(take_apart(header[p]).base))} for p in free}
    return list(dict.fromkeys(p for spelling in spellings for p in free if fold(spelling) in names[p]))


def _custom(table: str, crm: Crm) -> dict[str, list[str]]:
    """The names that a custom field of a column could have: its own, the declared ones, and those it has in opportunities."""
    own, deals = crm.headers.get(table, {}), crm.headers.get("opportunities", {})
    return {c.name: [c.name, *spelled(own.get(c.name, ())), *spelled(deals.get(c.name, ()))] for c in EXPORTED[table].columns}


def _lent(table: str, crms: Iterable[Crm]) -> dict[str, list[str]]:
    names = [crm.headers.get(table, {}) for crm in crms]
    return {c.name: list(dict.fromkeys(s for columns in names for s in spelled(columns.get(c.name, ())))) for c in EXPORTED[table].columns}
