"""Finds the written forms of values that a person has to declare: order of day and month, decimal commas, spellings of nothing.

What belongs here: evidence from the texts of columns. What does not: reading values (parsing.py) and stopping a run over
what is not declared (questions.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm
from assets.exports.proposing.assigning import TableFiles
from assets.exports.proposing.vocabulary import NOTHING
from assets.exports.questions import DECIMAL_COMMA, WRITTEN_DAY, declared_forms, is_serial, order_proofs
from assets.exports.settings import EXCEL_SERIAL
from quality.tables import EXPORTED

_COMMAS = 0.05


@dataclass(frozen=True)
class DateOrder:
    """Dates of a table in which day and month could be taken for each other.

    ``day_first`` and ``month_first`` are the text and place that prove an order, null where none does; ``forms`` gives the
    strptime forms for either; ``texts`` how many values there are.
    """

    table: str
    texts: int
    day_first: str | None
    month_first: str | None
    forms: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class WrittenForms:
    """What must be declared of one table: the order of its dates, Excel serials, decimal commas, spellings of nothing."""

    order: DateOrder | None
    serials: int
    year_first: bool
    decimal_comma: str | None
    empty: tuple[str, ...]
    zoned: str | None


def written_forms(files: TableFiles, crm: Crm) -> WrittenForms:
    """The forms of one table, from the sampled values of its date and amount columns."""
    days = list(_texts(files, ("date", "time")))
    amounts = list(_texts(files, ("original_amount", "amount", "number")))
    return WrittenForms(
        _order(files.table, days),
        sum(pc.sum(is_serial(texts)).as_py() or 0 for _, texts in days if _are_serials(texts)),
        any(pc.any(pc.match_substring_regex(texts, r"^\d{4}[/.年]")).as_py() for _, texts in days),
        next((place for place, texts in amounts if _has_commas(texts)), None),
        _nothing(files, [texts for _, texts in (*days, *amounts)], crm),
        _offset([texts for _, texts in days]),
    )


def date_setting(forms: WrittenForms, crm: Crm, order: str) -> tuple[str, ...]:
    """The setting ``dates`` of a table with these forms; empty where the CRM's own forms will do."""
    own = forms.order.forms[order] if forms.order else ()
    serial = (EXCEL_SERIAL,) if forms.serials else ()
    if not own and not serial:
        return ()
    return (*own, *(crm.dates if forms.year_first else ()), *serial)


def _texts(files: TableFiles, units: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """The filled values of every column of these units, with the place for a message."""
    of_unit = {c.name for c in EXPORTED[files.table].columns if c.info["unit"] in units}
    seen = set()
    for column, position in files.positions.items():
        header = files.sheets[0].header[position]
        for sheet in files.sheets:
            if column in of_unit and header in sheet.header and (sheet.name, header) not in seen:
                seen.add((sheet.name, header))
                yield f"{sheet.name}, {header}", sheet.filled(sheet.header.index(header))


def _order(table: str, days: Sequence[tuple[str, pa.ChunkedArray]]) -> DateOrder | None:
    found: dict[str, str | None] = {"day": None, "month": None}
    shapes, count = [], 0
    for place, texts in days:
        unclear = texts.filter(pc.match_substring_regex(texts, WRITTEN_DAY)).combine_chunks()
        if not len(unclear):
            continue
        count += len(unclear)
        shapes.append(unclear.unique())
        for order, proves in zip(("day", "month"), order_proofs(unclear), strict=True):
            at = pc.index(proves, True).as_py()
            if at >= 0 and found[order] is None:
                found[order] = f"{unclear[at].as_py()} ({place})"
    if not count:
        return None
    texts = pa.concat_arrays(shapes).unique()
    return DateOrder(table, count, found["day"], found["month"], {"day": declared_forms(texts, "%d{0}%m"), "month": declared_forms(texts, "%m{0}%d")})


def _are_serials(texts: pa.ChunkedArray) -> bool:
    return len(texts) > 0 and 2 * (pc.sum(is_serial(texts)).as_py() or 0) >= len(texts)


def _has_commas(texts: pa.ChunkedArray) -> bool:
    return len(texts) > 0 and (pc.sum(pc.match_substring_regex(texts, DECIMAL_COMMA)).as_py() or 0) >= _COMMAS * len(texts)


def _nothing(files: TableFiles, columns: Sequence[pa.ChunkedArray], crm: Crm) -> tuple[str, ...]:
    """Spellings of no value that stand among dates or amounts, where they could not be read; the CRM's own are known."""
    found = {text for texts in columns for text in texts.combine_chunks().unique().to_pylist() if text.lower() in NOTHING}
    return tuple(sorted(found - {*crm.empty}))


def _offset(columns: Sequence[pa.ChunkedArray]) -> str | None:
    """The commonest offset from UTC that times carry; null where they carry none."""
    found: dict[str, int] = {}
    for texts in columns:
        zoned = texts.filter(pc.match_substring_regex(texts, r"T.*(Z|[+-]\d{2}:?\d{2})$")).combine_chunks()
        for text in zoned.slice(0, 1000).to_pylist():
            offset = re.search(r"(Z|[+-]\d{2}:?\d{2})$", text)[1].replace(":", "")
            found[offset] = found.get(offset, 0) + 1
    return max(found, key=lambda offset: (found[offset], offset)) if found else None
