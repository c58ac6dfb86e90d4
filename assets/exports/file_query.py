"""Types the text of one file: which SQL makes which column of the contract, and what could not be read.

What belongs here: the typed columns of one file's rows. What does not: files and headers, and putting tables together
(reading.py), and the written forms themselves (parsing.py).
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from assets.exports.crm.declaration import Crm
from assets.exports.headers import STAGE_DATE, Column, HeaderMap, fold
from assets.exports.parsing import BLANKS, ValueContext, ValueForms, currency_sql, expected_forms, is_parsed, literal, money_sql, texts, value_sql
from assets.exports.questions import QUESTIONS
from assets.exports.settings import TableSource
from assets.exports.translation import Translation
from quality.tables import EXPORTED
from quality.tables.columns import arrow_type

VALUE_CHARACTERS = 400
"""Characters of an unreadable value that a fault keeps."""

_TELLING_VALUES = 20_000
_REPEATS = 10
_ZERO = r"^[0]+([.,][0]+)?$"

PLACE = pa.schema([("_file", pa.dictionary(pa.int32(), pa.string())), ("_line", pa.int64()), ("_part", pa.int32()), ("_snapshot", pa.date32())])
"""Where a row comes from: its file's relative name, its line, which row of that line it is, and the day in the file's name.

``_part`` is 0 but where one line makes several rows (assets/exports/shaping.py).
"""


def schema_of(contract: sa.Table, stage_dates: tuple[str, ...] = ()) -> pa.Schema:
    """Arrow schema of a table's typed rows: the contract's columns, `PLACE`, the stage dates."""
    columns = [(c.name, arrow_type(c)) for c in contract.columns]
    return pa.schema([*columns, *PLACE, *((STAGE_DATE + key, pa.timestamp("us")) for key in stage_dates)])


def constants_of(table_name: str, source: TableSource, crm: Crm) -> dict[str, str]:
    """The text that a column has in all rows, by column: the configured ones before the CRM's."""
    return {**crm.constants.get(table_name, {}), **source.constants}


class FileQuery:
    """The SQL that types the text of one file, and what its columns are expected to hold."""

    def __init__(
        self,
        contract: sa.Table,
        source: TableSource,
        crm: Crm,
        forms: ValueForms,
        mapping: HeaderMap,
        currency: str,
        stage_keys: tuple[str, ...],
        translation: Translation,
    ):
        self.place = f"exports.tables.{contract.name}"
        self.schema = schema_of(contract, stage_keys)
        self._translated = translation
        self.positions = sorted({place for column in mapping.columns.values() for place in column.positions} | translation.positions)
        units = {c.name: c.info["unit"] for c in contract.columns} | {STAGE_DATE + key: "time" for key in stage_keys}
        percent = crm.percent.get(contract.name, ())
        self._texts = {name: (column.positions, units[name]) for name, column in mapping.columns.items()}
        self._constants = {name: text.strip(BLANKS) for name, text in constants_of(contract.name, source, crm).items() if name not in mapping.columns}
        self._forms = forms
        given = [*self._texts, *self._constants]
        contexts = {name: ValueContext(column.scale, column.is_percent or name in percent) for name, column in mapping.columns.items()}
        is_settled = {"dates": _names_order(forms), "amounts": forms.decimal_comma}
        self.asked = {name: unit for name in given if (unit := units[name]) in QUESTIONS and not is_settled["dates" if unit in ("date", "time") else "amounts"]}
        self.parsed = [name for name in given if is_parsed(units[name])]
        self.expected = {name: expected_forms(units[name], forms) for name in self.parsed}
        alone = {name: value_sql(units[name], f'"{name}"', forms, contexts.get(name, ValueContext())) for name in self.parsed}
        values = dict(alone)
        if contract.name == "opportunities" and "amount" in given:
            values |= _with_currency(values["amount"], mapping.columns.get("amount"), "currency" in given, forms, currency)
        if contract.name == "field_history":
            values |= _canonical_changes(given, crm, forms)
        self.kept = [name for name in given if name not in values]
        self._values = values
        self._joint = {name for name, sql in values.items() if name not in self.parsed or sql != alone[name]}

    def run(self, connection: duckdb.DuckDBPyConnection, group: pa.Table) -> pa.Table:
        """The typed columns of ``group`` in its order, its place, and per parsed column its unreadable texts.

        Of a column whose texts repeat, each is cleaned and parsed once, unless its value depends on other columns too.
        """
        alone = {name: places[0] for name, (places, _) in self._texts.items() if len(places) == 1 and name not in self._joint | self._translated.beside}
        encoded = {place: group[str(place)].combine_chunks().dictionary_encode() for place in {*alone.values()} if _is_repeated(group[str(place)])}
        columns, of_repeated = {"_n": np.arange(group.num_rows)}, {}
        for name, (places, unit) in self._texts.items():
            if (place := alone.get(name)) in encoded:
                of_repeated[name] = self._translated.text(name, texts(encoded[place].dictionary, unit, self._forms), group)
            else:
                columns[name] = self._translated.text(name, self._filled(places, unit, group), group)
        columns |= {name: pa.repeat(text, group.num_rows) for name, text in self._constants.items()}
        given = pa.table(columns)
        typed = self._typed(connection, given, [name for name in self._values if name not in of_repeated])
        for name in self.kept:
            if name in columns:
                typed = typed.append_column(name, given[name])
        for name, values in of_repeated.items():
            once = pa.table({"_n": np.arange(len(values)), name: values})
            once = self._typed(connection, once, [name]) if name in self._values else once
            indices = encoded[alone[name]].indices
            for part in once.column_names[1:]:
                typed = typed.append_column(part, once[part].combine_chunks().take(indices))
        for name in ("_line", "_part"):
            typed = typed.append_column(name, group[name])
        return typed

    def _filled(self, places: tuple[int, ...], unit: str, group: pa.Table) -> pa.ChunkedArray:
        """The text of one column: that of the first of its headers with a value, a zero only where no other has one."""
        filled = [texts(group[str(place)], unit, self._forms) for place in places]
        if len(filled) == 1:
            return filled[0]
        other_than_zero = [pc.if_else(pc.match_substring_regex(text, _ZERO), None, text) for text in filled]
        return pc.coalesce(*other_than_zero, *filled)

    def _typed(self, connection: duckdb.DuckDBPyConnection, given: pa.Table, names: list[str]) -> pa.Table:
        """``_n`` of ``given``, and in its order the typed columns ``names`` and their unreadable texts."""
        if not names:
            return given.select(["_n"])
        connection.register("texts", given)
        typed = connection.sql(_typing_sql({name: self._values[name] for name in names}, [name for name in self.parsed if name in names])).to_arrow_table()
        connection.unregister("texts")
        order = typed["_n"].to_numpy()
        if (order[1:] < order[:-1]).any():
            typed = typed.take(pa.array(np.argsort(order)))
        return typed


def _names_order(forms: ValueForms) -> bool:
    """True where a form says whether the day or the month comes first."""
    return any(form.find("%Y") > 0 or form.find("%y") > 0 for form in forms.dates)


def _is_repeated(column: pa.ChunkedArray) -> bool:
    """True where a column's first values are so few different ones that each is better parsed once."""
    first = column.slice(0, _TELLING_VALUES)
    return _REPEATS * pc.count_distinct(first).as_py() < len(first)


def _typing_sql(values: dict[str, str], parsed: list[str]) -> str:
    """SELECT of the typed values, and of the text of those that are there and could not be read."""
    typed = ", ".join(f'{sql} AS "{name}"' for name, sql in values.items())
    text = "".join(f', "{name}" AS "text {name}"' for name in parsed)
    names = ", ".join(f'"{name}"' for name in values)
    unread = "".join(f', CASE WHEN "{name}" IS NULL THEN left("text {name}", {VALUE_CHARACTERS}) END AS "unread {name}"' for name in parsed)
    return f"WITH typed AS (SELECT _n, {typed}{text} FROM texts) SELECT _n, {names}{unread} FROM typed"


def _with_currency(value: str, amount: Column | None, has_currency: bool, forms: ValueForms, company_currency: str) -> dict[str, str]:
    """The expressions of amount and currency where an amount, or its header, names the currency it is in."""
    money = money_sql('"amount"', forms)
    if amount is not None and amount.currency:
        money = f'coalesce({money}, CASE WHEN "amount" IS NOT NULL THEN {literal(amount.currency)} END)'
    filled, contradicts = currency_sql('"currency"' if has_currency else "CAST(NULL AS VARCHAR)", money, company_currency)
    return {"amount": f"CASE WHEN NOT {contradicts} THEN {value} END", "currency": filled}


def _canonical_changes(given: list[str], crm: Crm, forms: ValueForms) -> dict[str, str]:
    """The expressions of a field history: fields under canonical names, amounts and days in plain and ISO form."""
    canonical = {
        fold(spelling): name
        for name, spellings in reversed(crm.headers.get("opportunities", {}).items())
        for group in spellings
        for spelling in ((group,) if isinstance(group, str) else group)
    }
    canonical |= {fold(c.name): c.name for c in EXPORTED["opportunities"].columns}
    folded = "regexp_replace(lower(\"field\"), '[\\s_-]', '', 'g')"
    cases = " ".join(f"WHEN {literal(spelling)} THEN {literal(name)}" for spelling, name in canonical.items())
    named = f'CASE {folded} {cases} ELSE "field" END'
    plain = {"field": named}
    for name in ("old_value", "new_value"):
        if name in given:
            amount, day = (value_sql(unit, f'trim("{name}")', forms) for unit in ("original_amount", "date"))
            plain[name] = (
                f"CASE {named} WHEN 'amount' THEN coalesce(CAST({amount} AS VARCHAR), \"{name}\") "
                f'WHEN \'expected_close_date\' THEN coalesce(CAST({day} AS VARCHAR), "{name}") ELSE "{name}" END'
            )
    return plain
