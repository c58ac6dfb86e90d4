"""What the texts of a column tell about written forms that are not declared: evidence for a question, never a guess.

What belongs here: which texts prove which order of day and month, or a decimal comma, and the sentence that asks.
What does not: reading values (parsing.py) and deciding whether the reading goes on (reading.py).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.settings import EPOCH_MS, EXCEL_SERIAL

WRITTEN_DAY = r"^\d{1,2}[/. -]\d{1,2}[/. -](\d{4}|\d{2})([ T]+\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?)?$"
"""A day whose month could stand first or second."""

_NUMBERS = r"^(?P<first>\d{1,2})[/. -](?P<second>\d{1,2})[/. -]"
_SHAPE = re.compile(r"9{1,2}(?P<mark>[/. -])9{1,2}(?P=mark)(?P<year>9{4}|9{2})(?:(?P<gap>[ T])9{1,2}:9{2}(?P<seconds>:9{2})?(?P<half> ?[AaPp][Mm])?)?")
_HIGHEST_MONTH = 12
_SERIAL = r"^[1-9]\d{4}([.]\d+)?$"
_FIRST_SERIAL, _LAST_SERIAL = 20_000, 80_000
"""Excel serial numbers of the years 1954 to 2119."""

_EPOCH = r"^1\d{12}$"
"""Milliseconds since 1970 of the years 2001 to 2033."""

DECIMAL_COMMA = r"^[^\d.,]{0,4}(\d{1,3}([. ]\d{3})+|\d+),\d{1,2}[^\d.,]{0,4}$"
"""An amount that can only be written with a decimal comma."""


@dataclass(frozen=True)
class Question:
    """What a person must declare of one column: what was found, in which lines, and the setting to add.

    ``is_about`` marks the texts that it is about. ``share`` of a column's texts from which it is about the whole column
    and not about single values.
    """

    sentence: str
    is_about: pa.Array
    share: float


def date_question(texts: pa.Array, lines: pa.Array, place: str) -> Question | None:
    """The question about the unreadable ``texts`` of a date column; none where they have no undeclared form known here.

    ``lines`` are the texts' lines and ``place`` is the key that the setting stands under.
    """
    is_day = pc.match_substring_regex(texts, WRITTEN_DAY)
    if is_day.true_count:
        return Question(_order_sentence(texts.filter(is_day), lines.filter(is_day), place), is_day, 0.5)
    has_digits = pc.match_substring_regex(texts, _SERIAL)
    numbers = texts.filter(has_digits).cast(pa.float64())
    if len(numbers) and pc.min(numbers).as_py() >= _FIRST_SERIAL and pc.max(numbers).as_py() <= _LAST_SERIAL:
        found = f"numbers of five digits, as in line {lines.filter(has_digits)[0].as_py()}, may be days as Excel counts them"
        return Question(f"{found}; if so, add dates: [{EXCEL_SERIAL}] under {place}", has_digits, 0.5)
    is_epoch = pc.match_substring_regex(texts, _EPOCH)
    if is_epoch.true_count:
        found = f"numbers of 13 digits, as in line {lines.filter(is_epoch)[0].as_py()}, may be milliseconds since 1970"
        return Question(f"{found}; if so, add dates: [{EPOCH_MS}] under {place}", is_epoch, 0.5)
    return None


def amount_question(texts: pa.Array, lines: pa.Array, place: str) -> Question | None:
    """The question about the unreadable ``texts`` of an amount; none where none is written with a decimal comma."""
    has_comma = pc.match_substring_regex(texts, DECIMAL_COMMA)
    if not has_comma.true_count:
        return None
    first = pc.index(has_comma, True).as_py()
    proof = f"line {lines[first].as_py()} ({texts[first].as_py()}) can only be written with a decimal comma"
    # Where some are, a point in the others groups thousands: 1.234 would be read a thousand times too small.
    return Question(f"{proof}; add decimal_comma: true under {place}, or correct the value", has_comma, 0.05)


QUESTIONS: Mapping[str, Callable[[pa.Array, pa.Array, str], Question | None]] = MappingProxyType(
    {"date": date_question, "time": date_question, "amount": amount_question, "original_amount": amount_question}
)
"""Who asks about the unreadable texts of a column, by its unit."""


def _order_sentence(texts: pa.Array, lines: pa.Array, place: str) -> str:
    day_first, month_first = (_first_place(proves, texts, lines) for proves in order_proofs(texts))
    as_day, as_month = _setting(texts, "%d{0}%m"), _setting(texts, "%m{0}%d")
    if day_first and month_first:
        found = f"{day_first} can only be day first and {month_first} only month first, so the column mixes both; correct it at the source"
    elif day_first:
        found = f"{day_first} can only be day first, and no line only month first; add dates: {as_day} under {place}"
    elif month_first:
        found = f"{month_first} can only be month first, and no line only day first; add dates: {as_month} under {place}"
    else:
        found = f"no line shows it; look up how the CRM writes days and add dates: {as_day} (day first) or dates: {as_month} (month first) under {place}"
    values = "1 value" if len(texts) == 1 else f"{len(texts):,} values"
    return f"the order of day and month is not declared for {values} such as {texts[0].as_py()} in line {lines[0].as_py()}: {found}"


def order_proofs(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Marks the texts, of those that `WRITTEN_DAY` fits, that can only be day first, and those that can only be month first."""
    numbers = pc.extract_regex(texts, _NUMBERS)
    first, second = (pc.less_equal(numbers.field(name).cast(pa.int32()), _HIGHEST_MONTH) for name in ("first", "second"))
    return pc.and_not(second, first), pc.and_not(first, second)


def _first_place(proves: pa.Array, texts: pa.Array, lines: pa.Array) -> str | None:
    """The first line that proves an order, and its text."""
    at = pc.index(proves, True).as_py()
    return None if at < 0 else f"line {lines[at].as_py()} ({texts[at].as_py()})"


def is_serial(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Marks the texts that may be days as Excel counts them."""
    number = pc.if_else(pc.match_substring_regex(texts, _SERIAL), texts, None).cast(pa.float64())
    return pc.and_(pc.greater_equal(number, _FIRST_SERIAL), pc.less_equal(number, _LAST_SERIAL)).fill_null(False)


def declared_forms(texts: pa.Array, order: str) -> tuple[str, ...]:
    """The strptime forms that read ``texts`` in an order such as ``%d{0}%m``, the shortest first."""
    shapes = pc.unique(pc.replace_substring_regex(texts, r"\d", "9")).to_pylist()
    forms = {_form(match, order) for shape in shapes if (match := _SHAPE.fullmatch(shape))}
    return tuple(sorted(forms, key=lambda form: (len(form), form)))


def _setting(texts: pa.Array, order: str) -> str:
    """The value of ``dates`` that reads ``texts`` in the given order, as it stands in the configuration."""
    return "[" + ", ".join(f'"{form}"' for form in declared_forms(texts, order)) + "]"


def _form(shape: re.Match, order: str) -> str:
    day = order.format(shape["mark"]) + shape["mark"] + ("%Y" if len(shape["year"]) == 4 else "%y")
    if not shape["gap"]:
        return day
    half = shape["half"]
    clock = ("%I:%M" if half else "%H:%M") + (":%S" if shape["seconds"] else "")
    return f"{day}{shape['gap']}{clock}{half[:-2] + '%p' if half else ''}"
