"""Reads text as typed values, by SQL over whole columns: each unit of a contract has one expression.

What belongs here: written forms of dates, amounts, shares, flags and numbers. What does not: which header is which
column (headers.py), files (readers), and whether a value is plausible (the expectations).

Every expression is null where the text cannot be read; nothing is guessed. Amounts are exact: decimal arithmetic
throughout, more than two decimals rounded half away from zero after the unit is applied.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import YEAR_FIRST, Crm
from assets.exports.errors import SourceProblems
from assets.exports.headers import SCALES
from assets.exports.settings import EPOCH_MS, EXCEL_SERIAL, Configuration, TableSource

BLANKS = " \t\r\n\u00a0\u3000\ufeff\u200b"
"""Characters that do not matter at either end of a value."""

CURRENCY_SIGNS = MappingProxyType(
    {
        "$": ("USD", "AUD", "CAD", "HKD", "SGD", "NZD", "TWD", "MXN"),
        "US$": ("USD",),
        "HK$": ("HKD",),
        "¥": ("CNY", "JPY"),
        "RMB": ("CNY",),
        "人民币": ("CNY",),
        "€": ("EUR",),
        "£": ("GBP",),
        "₹": ("INR",),
        "₩": ("KRW",),
        "美元": ("USD",),
        "港元": ("HKD",),
        "港币": ("HKD",),
        "欧元": ("EUR",),
        "日元": ("JPY",),
        "英镑": ("GBP",),
    }
)
"""Signs of money and the currencies each may stand for, the likeliest first."""

_DIRECTIVES = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r"\d{1,2}", "H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{1,2}", "S": r"\d{1,2}",
    "f": r"\d{1,6}", "p": r"[AaPp][Mm]", "b": r"[A-Za-z]{3}", "B": r"[A-Za-z]+", "%": "%",
}  # fmt: skip
_DIRECTIVE = re.compile(r"%-?(.)")

_OFFSET = r"(?:Z|z|[+-]\d{2}(?::?\d{2})?)"
_ISO_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_ISO_CLOCK = r"[Tt ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
_ISO_NAIVE = f"{_ISO_DAY}(?:{_ISO_CLOCK})?"
_ISO_ZONED = f"{_ISO_DAY}{_ISO_CLOCK} ?{_OFFSET}"
_USUAL_DAY = ("____-__-__",)
_USUAL_ZONED = ("____-__-__T__:__:__.___+0000", "____-__-__T__:__:__.___Z", "____-__-__T__:__:__Z")
"""The commonest shapes of ISO 8601, which are recognised many times faster than by the expressions above."""

ISO_FORMS = "ISO 8601 (2024-01-31, 2024-01-31 08:30:00, 2024-01-31T08:30:00+08:00)"
_YEAR_FIRST_WORDS = "2024/1/31, 2024年1月31日 or 2024.1.31 with or without a time and a zone"

_AMOUNT_DIGITS = "DECIMAL(26,12)"
_MONEY = "DECIMAL(18,2)"
_GROUP_MARKS = "[ \u00a0\u202f\u2009'’]"
_FULL_WIDTH = "０１２３４５６７８９．，（）＋－−–￥＄％："
_HALF_WIDTH = "0123456789.,()+---¥$%:"


@dataclass(frozen=True)
class ValueForms:
    """The written forms that hold for one table, settled from its source, the exports and the CRM, in that order."""

    dates: tuple[str, ...]
    amount_unit: Decimal
    decimal_comma: bool
    empty: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[str, ...]
    zone: str

    @classmethod
    def of(cls, configuration: Configuration, source: TableSource, crm: Crm) -> "ValueForms":
        """The forms of one table; SourceProblems where a form cannot be read or a spelling means true and false."""
        exports = configuration.exports
        unit = _settled(source.amount_unit, exports.amount_unit, 1)
        forms = cls(
            dates=_settled(source.dates, exports.dates, crm.dates),
            amount_unit=Decimal(str(unit)),
            decimal_comma=_settled(source.decimal_comma, exports.decimal_comma, False),
            empty=tuple(e.strip(BLANKS) for e in _settled(source.empty, exports.empty, crm.empty)),
            true=tuple(t.lower() for t in _settled(source.true, exports.true, crm.true)),
            false=tuple(f.lower() for f in _settled(source.false, exports.false, crm.false)),
            zone=configuration.time_zone,
        )
        problems = [problem for form in forms.dates if form not in _NUMBERED for problem in form_problems(form)]
        problems += [f"exports: the spelling {spelling!r} stands for true and for false; keep one" for spelling in sorted({*forms.true} & {*forms.false})]
        if problems:
            raise SourceProblems(problems)
        return forms


@dataclass(frozen=True)
class ValueContext:
    """What one column's header or declaration adds to the forms: its unit and whether shares are in percent."""

    scale: Decimal | None = None
    is_percent: bool = False


def _settled(*choices):
    return next(choice for choice in choices if choice is not None)


def literal(text: str) -> str:
    """A SQL literal of ``text``."""
    return "'" + text.replace("'", "''") + "'"


def form_problems(form: str) -> list[str]:
    """What is wrong with a declared date form, one sentence each."""
    known = {*_DIRECTIVES, "z"}
    used = _DIRECTIVE.findall(form)
    problems = [
        f"exports.dates: the form {form!r} uses %{d}; expected %{', %'.join(sorted(known))} or one of the words {', '.join(_NUMBERED)}"
        for d in used
        if d not in known
    ]
    if not {"Y", "y"} & {*used} or not {"m", "b", "B"} & {*used}:
        problems.append(f"exports.dates: the form {form!r} has no year or no month; expected one such as %d/%m/%Y")
    if "z" in used and not form.endswith("%z"):
        problems.append(f"exports.dates: the form {form!r} has the zone %z before its end; only a zone at the end is read")
    return problems


def _may_hold_blanks(column: pa.ChunkedArray | pa.Array) -> bool:
    """True where the bytes of a column have the first byte of any of `BLANKS`; looking is many times faster than trimming."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    contents = [data.to_pybytes() for chunk in chunks if (data := chunk.buffers()[2]) is not None]
    return any(first in content for first in {blank.encode()[:1] for blank in BLANKS} for content in contents)


def texts(column: pa.ChunkedArray | pa.Array, unit: str, forms: ValueForms) -> pa.ChunkedArray | pa.Array:
    """Text of one column, null where it is blank or an empty spelling.

    Ids and free text stay to the letter; every other unit loses the blanks at both ends.
    """
    trimmed = pc.utf8_trim(column, characters=BLANKS) if _may_hold_blanks(column) else column
    is_missing = pc.is_in(trimmed, value_set=pa.array(["", *forms.empty], pa.string()))
    if trimmed is column and not pc.any(is_missing).as_py():
        return column
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), column if unit in ("id", "text", "json") else trimmed)


def time_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: wall-clock time in the company's zone; declared forms in their order, and ISO 8601; other text is null.

    Only a form that begins like ISO 8601 (``%Y-``) can read the same text otherwise, so only those go before it.
    """
    like_iso = [form for form in forms.dates if form.startswith(("%Y-", "%-Y-"))]
    others = [_NUMBERED.get(form, _declared)(text, form, forms.zone) for form in forms.dates if form not in like_iso]
    usual = f"WHEN {_is_like(text, _USUAL_DAY)} THEN TRY_CAST(TRY_CAST({text} AS DATE) AS TIMESTAMP)"
    usual_zoned = f"WHEN {_is_like(text, _USUAL_ZONED)} THEN TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE {literal(forms.zone)}"
    naive = f"WHEN regexp_full_match({text}, {literal(_ISO_NAIVE)}) THEN TRY_CAST(upper({text}) AS TIMESTAMP)"
    joined = f"regexp_replace(upper({text}), ' ([Z+-][0-9:]*)$', '\\1')"
    zoned = f"WHEN regexp_full_match({text}, {literal(_ISO_ZONED)}) THEN TRY_CAST({joined} AS TIMESTAMPTZ) AT TIME ZONE {literal(forms.zone)}"
    rest = f"coalesce({', '.join(others)})" if others else "CAST(NULL AS TIMESTAMP)"
    iso = f"CASE {usual} {usual_zoned} {naive} {zoned} ELSE {rest} END"
    return f"coalesce({', '.join([*(_declared(text, form, forms.zone) for form in like_iso), iso])})"


def _is_like(text: str, shapes: tuple[str, ...]) -> str:
    # A year before Christ, which a cast would read, begins with a sign.
    return f"({text} NOT LIKE '-%' AND ({' OR '.join(f'{text} LIKE {literal(shape)}' for shape in shapes)}))"


def date_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: the calendar day in the company's zone of what `time_sql` reads."""
    return f"CAST({time_sql(text, forms, context)} AS DATE)"


def _declared(text: str, form: str, zone: str) -> str:
    zoned = form.endswith("%z")
    local = form.removesuffix("%z").rstrip()
    shape = "".join(_shape(part) for part in re.split(r"(%-?.)", local))
    if not zoned:
        return f"CASE WHEN regexp_full_match({text}, {literal(shape)}) THEN try_strptime({text}, {literal(local)}) END"
    offset = f"regexp_extract({text}, {literal(rf'{_OFFSET}$')})"
    parsed = f"try_strptime(regexp_replace({text}, {literal(rf' ?{_OFFSET}$')}, ''), {literal(local)})"
    sign = f"CASE WHEN {offset}[1] = '-' THEN -1 ELSE 1 END"
    digits = f"regexp_replace({offset}, '[^0-9]', '', 'g')"
    minutes = f"coalesce({sign} * (60 * TRY_CAST({digits}[1:2] AS BIGINT) + coalesce(TRY_CAST({digits}[3:4] AS BIGINT), 0)), 0)"
    moment = f"(({parsed} - to_minutes({minutes})) AT TIME ZONE 'UTC') AT TIME ZONE {literal(zone)}"
    return f"CASE WHEN regexp_full_match({text}, {literal(f'{shape} ?{_OFFSET}')}) THEN {moment} END"


def _shape(part: str) -> str:
    directive = _DIRECTIVE.fullmatch(part)
    return _DIRECTIVES[directive[1]] if directive else re.escape(part).replace(r"\ ", " ")


def _serial(text: str, form: str, zone: str) -> str:
    """Days since 1899-12-30, to the second; five digits, so that a bare year is not taken for a day of 1905."""
    seconds = f"CAST(round(CAST({text} AS DOUBLE) * 86400) AS BIGINT)"
    return f"CASE WHEN regexp_full_match({text}, '[1-9][0-9]{{4}}([.][0-9]+)?') THEN TIMESTAMP '1899-12-30' + to_seconds({seconds}) END"


def _epoch(text: str, form: str, zone: str) -> str:
    """Milliseconds since 1970; 13 digits, the years 2001 to 2286, so that neither seconds nor other numbers are taken for them."""
    moment = f"(epoch_ms(CAST({text} AS BIGINT)) AT TIME ZONE 'UTC') AT TIME ZONE {literal(zone)}"
    return f"CASE WHEN regexp_full_match({text}, '[1-9][0-9]{{12}}') THEN {moment} END"


_NUMBERED = MappingProxyType({EXCEL_SERIAL: _serial, EPOCH_MS: _epoch})
"""Declared forms that are a word: numbers that count from some day."""


def _amount_pattern(decimal_comma: bool) -> str:
    point, comma = (",", ".") if decimal_comma else (".", ",")
    whole = "|".join([rf"\d{{1,3}}(?:[{comma}]\d{{3}})+", rf"\d{{1,3}}(?:{_GROUP_MARKS}\d{{3}})+", r"\d+"])
    number = rf"(?:{whole})(?:[{point}]\d*)?|[{point}]\d+"
    signs = "|".join(re.escape(s) for s in sorted(CURRENCY_SIGNS, key=len, reverse=True)) + "|[A-Z]{3}"
    scales = "|".join(sorted(SCALES, key=len, reverse=True))
    return rf"(\()?\s*([+-])?\s*({signs})?\s*([+-])?\s*({number})\s*((?i:{scales}))?\s*({signs})?\s*(-)?\s*(\))?"


_AMOUNT_PARTS = ("opened", "sign", "money", "sign_after", "number", "scale", "money_after", "sign_last", "closed")


def _amount_parts(text: str, forms: ValueForms) -> str:
    half_width = f"translate({text}, {literal(_FULL_WIDTH)}, {literal(_HALF_WIDTH)})"
    return f"regexp_extract({half_width}, {literal(f'^{_amount_pattern(forms.decimal_comma)}$')}, {list(_AMOUNT_PARTS)})"


def amount_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: an exact amount in the currency of its row.

    A unit in the value (15万) goes before one in the header, and that before the configured one. Two signs, one
    bracket, digits grouped otherwise than by three, or 14 and more digits before the point are not read.
    """
    return _decimal(text, forms, context.scale if context.scale is not None else forms.amount_unit)


def _is_plain(text: str, forms: ValueForms) -> str:
    """SQL: true for the common case, digits with a point at most, which needs no taking apart."""
    point = "[,]" if forms.decimal_comma else "[.]"
    return f"regexp_full_match({text}, {literal(rf'-?[0-9]{{1,13}}({point}[0-9]{{1,12}})?')})"


def _decimal(text: str, forms: ValueForms, scale: Decimal) -> str:
    number = f"replace({text}, ',', '.')" if forms.decimal_comma else text
    direct = f"TRY_CAST({number} AS {_MONEY})" if scale == 1 else _scaled(f"TRY_CAST({number} AS {_AMOUNT_DIGITS})", scale)
    return f"CASE WHEN {_is_plain(text, forms)} THEN {direct} ELSE {_written(text, forms, scale)} END"


def _scaled(number: str, scale: Decimal) -> str:
    kind = "DECIMAL(12,0)" if scale == scale.to_integral_value() else "DECIMAL(12,6)"
    return f"TRY_CAST({number} * CAST({scale:f} AS {kind}) AS {_MONEY})"


def _written(text: str, forms: ValueForms, scale: Decimal) -> str:
    """An amount with signs, groups, units or currencies. list_transform of one element names the parts once."""
    marks = literal(_GROUP_MARKS if forms.decimal_comma else f"[,{_GROUP_MARKS[1:-1]}]")
    ungrouped = f"regexp_replace(p.number, {marks}, '', 'g')"
    if forms.decimal_comma:
        ungrouped = f"replace(replace({ungrouped}, '.', ''), ',', '.')"
    digits = rf"regexp_extract({ungrouped}, '^\d{{0,13}}([.]\d{{0,12}})?')"
    too_long = rf"regexp_matches({ungrouped}, '^\d{{14}}')"
    number = f"TRY_CAST({digits} AS {_AMOUNT_DIGITS})"
    factor = f"CASE lower(p.scale) {' '.join(f'WHEN {literal(name)} THEN {value}' for name, value in SCALES.items())} END"
    own = f"TRY_CAST({number} * CAST({factor} AS DECIMAL(12,0)) AS {_MONEY})"
    brackets = "(p.opened = '(' AND p.closed = ')')"
    one_sign = "(p.opened = '') = (p.closed = '') AND length(p.sign || p.sign_after || p.sign_last || p.opened) <= 1"
    valid = f"p.number <> '' AND NOT {too_long} AND {one_sign} AND (p.money = '' OR p.money_after = '')"
    negative = f"({brackets} OR p.sign = '-' OR p.sign_after = '-' OR p.sign_last = '-')"
    magnitude = f"CASE WHEN p.scale = '' THEN {_scaled(number, scale)} ELSE {own} END"
    value = f"CASE WHEN {valid} THEN CASE WHEN {negative} THEN -({magnitude}) ELSE {magnitude} END END"
    return f"list_transform([{_amount_parts(text, forms)}], lambda p: {value})[1]"


def money_sql(text: str, forms: ValueForms) -> str:
    """SQL: the sign or code of a currency written in an amount, null where there is none."""
    written = f"list_transform([{_amount_parts(text, forms)}], lambda p: nullif(p.money || p.money_after, ''))[1]"
    return f"CASE WHEN NOT {_is_plain(text, forms)} THEN {written} END"


def _plain_number(text: str, forms: ValueForms, context: ValueContext) -> str:
    """A plain number as DOUBLE, with a unit as in amounts; exponents are read."""
    scale = context.scale if context.scale is not None else Decimal(1)
    number = f"replace({text}, ',', '.')" if forms.decimal_comma else text
    plain = rf"[+-]?\d+({'[,]' if forms.decimal_comma else '[.]'}\d+)?([eE][+-]?\d{{1,3}})?"
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(plain)}) THEN TRY_CAST({number} AS DOUBLE) * {scale:f} "
        f"ELSE CAST({_written(text, forms, scale)} AS DOUBLE) END"
    )


def share_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: a share as DOUBLE; 45% is 0.45, and so is 45 in a column declared in percent."""
    half_width = f"translate({text}, {literal(_FULL_WIDTH)}, {literal(_HALF_WIDTH)})"
    number = f"replace({half_width}, ',', '.')" if forms.decimal_comma else half_width
    bare = f"rtrim(replace({number}, '%', ''))"
    shape = rf"[+-]?\d+({'[,]' if forms.decimal_comma else '[.]'}\d+)?"
    without = "/ 100" if context.is_percent else ""
    return (
        f"CASE WHEN regexp_full_match({half_width}, {literal(shape)}) THEN TRY_CAST({number} AS DOUBLE) {without} "
        f"WHEN regexp_full_match({half_width}, {literal(shape + ' ?%')}) THEN TRY_CAST({bare} AS DOUBLE) / 100 END"
    )


def number_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: a number as DOUBLE: a share where it ends in %, else a number with or without a unit."""
    percent = share_sql(text, forms, context)
    return f"CASE WHEN {text} LIKE '%\\%' ESCAPE '\\' THEN {percent} ELSE {_plain_number(text, forms, context)} END"


def count_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: a whole number; text with a fraction is null."""
    number = _decimal(text, forms, context.scale if context.scale is not None else Decimal(1))
    return f"list_transform([{number}], lambda n: CASE WHEN n = trunc(n) THEN TRY_CAST(n AS BIGINT) END)[1]"


def flag_sql(text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: true or false by the configured spellings, without regard to case."""
    true, false = (", ".join(literal(s) for s in spellings) or "NULL" for spellings in (forms.true, forms.false))
    return f"CASE WHEN lower({text}) IN ({true}) THEN TRUE WHEN lower({text}) IN ({false}) THEN FALSE END"


_EXPRESSIONS: Mapping[str, Callable[[str, ValueForms, ValueContext], str]] = MappingProxyType(
    {
        "amount": amount_sql,
        "original_amount": amount_sql,
        "count": count_sql,
        "position": count_sql,
        "share": share_sql,
        "ratio": number_sql,
        "days": number_sql,
        "number": number_sql,
        "date": date_sql,
        "time": time_sql,
        "flag": flag_sql,
    }
)


def is_parsed(unit: str) -> bool:
    """True for units whose text can be unreadable; text, labels and ids always can be read."""
    return unit in _EXPRESSIONS


def value_sql(unit: str, text: str, forms: ValueForms, context: ValueContext = ValueContext()) -> str:
    """SQL: the typed value of ``text`` (SQL as well, as `texts` gives it) for a column of ``unit``."""
    return _EXPRESSIONS[unit](text, forms, context) if unit in _EXPRESSIONS else text


def expected_forms(unit: str, forms: ValueForms) -> str:
    """In words: the written forms that are read for a column of ``unit``."""
    point = "1234,50 or 1.234,50" if forms.decimal_comma else "1234.50 or 1,234.50"
    if unit in ("date", "time"):
        declared = [_YEAR_FIRST_WORDS] if forms.dates[: len(YEAR_FIRST)] == YEAR_FIRST else []
        declared += [form for form in forms.dates if not declared or form not in YEAR_FIRST]
        return ", ".join([*declared, ISO_FORMS]) + "; another form must be declared under exports.dates"
    if unit in ("amount", "original_amount"):
        return f"an amount such as {point}, 15万, 1.2M, (1,200), with or without a currency; at most 13 digits before the point"
    if unit == "flag":
        return f"true ({', '.join(forms.true)}) or false ({', '.join(forms.false)})"
    if unit == "share":
        return "a share such as 45% or 0.45"
    if unit in ("count", "position"):
        return "a whole number"
    return f"a number such as {point}"


def currency_sql(currency: str, money: str, company_currency: str) -> tuple[str, str]:
    """SQL for a row's currency, and for whether the sign in its amount contradicts it.

    A sign fits any currency it may stand for. Where the row names none, and the sign cannot be the company's own
    currency, the likeliest one is the row's: an amount of $1.2M is never taken for yuan.
    """
    signs = " ".join(f"WHEN {literal(sign)} THEN {list(codes)}" for sign, codes in CURRENCY_SIGNS.items())
    possible = f"CASE {money} {signs} ELSE [{money}] END"
    is_told = f"{currency} IS NOT NULL OR {money} IS NULL OR list_contains({possible}, {literal(company_currency)})"
    filled = f"CASE WHEN {is_told} THEN {currency} ELSE ({possible})[1] END"
    contradicts = f"coalesce({money} IS NOT NULL AND {currency} IS NOT NULL AND NOT list_contains({possible}, upper(trim({currency}))), FALSE)"
    return filled, contradicts
