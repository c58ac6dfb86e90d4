"""Reads the exports of one table: files become typed rows under canonical names, with a fault for all that is unreadable.

What belongs here: putting together files, headers and values for one table. What does not: any rule about whether
a row can be trusted (judge.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from assets.exports.crm import crm_named
from assets.exports.crm.declaration import Crm
from assets.exports.errors import ExportError, SourceProblems, shown
from assets.exports.files import ExportFile, find_files, missing_files
from assets.exports.headers import STAGE_DATE, Column, HeaderMap, check_source, fold, map_headers
from assets.exports.parsing import BLANKS, ValueContext, ValueForms, currency_sql, expected_forms, is_parsed, literal, money_sql, texts, value_sql
from assets.exports.readers import open_text
from assets.exports.readers.text import RaggedRow, TextBatch, TextFile
from assets.exports.settings import Configuration, FileForm, TableSource
from quality.tables import EXPORTED

VALUE_CHARACTERS = 400
"""Characters of an unreadable value that a fault keeps."""

THREADS = 2
_GROUP_BYTES = 64 << 20

_ARROW = {
    "amount": pa.decimal128(18, 2),
    "original_amount": pa.decimal128(18, 2),
    "count": pa.int64(),
    "position": pa.int32(),
    "share": pa.float64(),
    "ratio": pa.float64(),
    "days": pa.float64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
    "flag": pa.bool_(),
}

PLACE = pa.schema([("_file", pa.dictionary(pa.int32(), pa.string())), ("_line", pa.int64()), ("_snapshot", pa.date32())])
"""Where a row comes from: its file's relative name, its line, and the day in the file's name."""

FAULTS = pa.schema(
    [("_file", pa.string()), ("_line", pa.int64()), ("column", pa.string()), ("code", pa.string()), ("value", pa.string()), ("expected", pa.string())]
)
"""One row per value or row that could not be read; ``column`` and ``value`` are null for a whole row."""


@dataclass(frozen=True)
class FileCount:
    """What was read of one file; ``ragged_rows`` are among ``rows``."""

    name: str
    snapshot: date | None
    rows: int
    ragged_rows: int


@dataclass(frozen=True)
class TypedExport:
    """All rows of one table's exports, typed.

    ``rows`` has every column of the contract in its order (null where no file has it), `PLACE`, and
    ``stage_date:<stage key>`` times. A ragged row is among them with nothing but its place. ``faults`` (`FAULTS`)
    says what could not be read: code ``unreadable_<column>`` or ``ragged_row``. ``headers`` gives, per file and
    column, the header it was read from; ``unmapped`` the headers that no column claims; ``absent`` the columns that
    no file has. ``note`` says why there is nothing, where there is nothing.
    """

    table_name: str
    rows: pa.Table
    faults: pa.Table
    files: tuple[FileCount, ...] = ()
    headers: tuple[tuple[str, str, str], ...] = ()
    unmapped: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()
    note: str | None = None


def read_table(folder: Path, table_name: str, configuration: Configuration) -> TypedExport:
    """Read every file of ``table_name`` below ``folder`` as the configuration says.

    An optional table that is not configured or has no file gives no rows and a note. Raises an ExportError with all
    that is wrong with files, headers and configuration of the table; single values and rows never raise.
    """
    contract = EXPORTED[table_name]
    crm = crm_named(configuration.exports.crm)
    source = configuration.exports.tables.get(table_name)
    if source is None:
        return _nothing(contract, f"no {table_name} export: exports.tables.{table_name} is not configured")
    check_source(contract, source, configuration)
    forms = ValueForms.of(configuration, source, crm)
    files = find_files(folder, source, table_name)
    if not files:
        return _nothing(contract, f"no {table_name} export: {missing_files(folder, source.files, table_name)}")
    opened = _opened(files, contract, source, crm, _file_form(configuration, source))
    tables, faults, counts = [], [], []
    with duckdb.connect(":memory:", config={"threads": THREADS}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _check_constants(connection, contract, source, crm, forms, configuration)
        for file, text, mapping in opened:
            query = _FileQuery(contract, source, crm, forms, mapping, configuration.currency)
            rows, bad = _typed(connection, file, text, query)
            tables.append(rows)
            faults.append(bad)
            counts.append(FileCount(file.name, file.snapshot, rows.num_rows, pc.sum(pc.equal(bad["code"], "ragged_row")).as_py() or 0))
    read = {name for _, _, mapping in opened for name in mapping.columns} | {*_constants(table_name, source, crm)}
    return TypedExport(
        table_name,
        pa.concat_tables(tables).unify_dictionaries(),
        pa.concat_tables(faults),
        tuple(counts),
        tuple((file.name, name, column.header) for file, _, mapping in opened for name, column in mapping.columns.items()),
        tuple((file.name, header) for file, _, mapping in opened for header in mapping.unmapped),
        tuple(c.name for c in contract.columns if c.name not in read),
    )


def schema_of(contract: sa.Table, stage_dates: tuple[str, ...] = ()) -> pa.Schema:
    """Arrow schema of a table's typed rows: the contract's columns, `PLACE`, the stage dates."""
    columns = [(c.name, _ARROW.get(c.info["unit"], pa.string())) for c in contract.columns]
    return pa.schema([*columns, *PLACE, *((STAGE_DATE + key, pa.timestamp("us")) for key in stage_dates)])


def _nothing(contract: sa.Table, note: str) -> TypedExport:
    absent = tuple(c.name for c in contract.columns)
    return TypedExport(contract.name, schema_of(contract).empty_table(), FAULTS.empty_table(), absent=absent, note=note)


def _file_form(configuration: Configuration, source: TableSource) -> FileForm:
    names = list(FileForm.model_fields)
    own = {name: getattr(source, name) for name in names}
    return FileForm(**{name: own[name] if own[name] is not None else getattr(configuration.exports, name) for name in names})


def _opened(files: list[ExportFile], contract: sa.Table, source: TableSource, crm: Crm, form: FileForm) -> list[tuple[ExportFile, TextFile, HeaderMap]]:
    """Every file with its mapping; what is wrong with any of them is raised together."""
    opened, failures = [], []
    for file in files:
        try:
            text = open_text(file, form)
            opened.append((file, text, map_headers(text.header, contract, source, crm, file.name)))
        except ExportError as error:
            failures.append(error)
    if failures:
        kinds = {type(f) for f in failures}
        raise (kinds.pop() if len(kinds) == 1 else ExportError)([problem for f in failures for problem in f.problems])
    return opened


def _constants(table_name: str, source: TableSource, crm: Crm) -> dict[str, str]:
    return {**crm.constants.get(table_name, {}), **source.constants}


def _check_constants(connection, contract: sa.Table, source: TableSource, crm: Crm, forms: ValueForms, configuration: Configuration) -> None:
    problems = []
    for name, text in source.constants.items():
        unit = contract.columns[name].info["unit"]
        if connection.execute(f"SELECT {value_sql(unit, literal(text.strip(BLANKS)), forms)}").fetchall() == [(None,)]:
            problems.append(f"exports.tables.{contract.name}.constants.{name}: {shown(text)} cannot be read; expected {expected_forms(unit, forms)}")
    if problems:
        raise SourceProblems(problems)


class _FileQuery:
    """The SQL that types the text of one file, and what its columns are expected to hold."""

    def __init__(self, contract: sa.Table, source: TableSource, crm: Crm, forms: ValueForms, mapping: HeaderMap, currency: str):
        self.schema = schema_of(contract, tuple(source.stage_dates))
        self.positions = sorted({column.position for column in mapping.columns.values()})
        units = {c.name: c.info["unit"] for c in contract.columns} | {STAGE_DATE + key: "time" for key in source.stage_dates}
        percent = crm.percent.get(contract.name, ())
        self._texts = {name: (column.position, units[name]) for name, column in mapping.columns.items()}
        self._constants = {name: text.strip(BLANKS) for name, text in _constants(contract.name, source, crm).items() if name not in mapping.columns}
        self._forms = forms
        given = [*self._texts, *self._constants]
        contexts = {name: ValueContext(column.scale, column.is_percent or name in percent) for name, column in mapping.columns.items()}
        self.parsed = [name for name in given if is_parsed(units[name])]
        self.expected = {name: expected_forms(units[name], forms) for name in self.parsed}
        values = {name: value_sql(units[name], f'"{name}"', forms, contexts.get(name, ValueContext())) for name in self.parsed}
        if contract.name == "opportunities" and "amount" in given:
            values |= _with_currency(values["amount"], mapping.columns.get("amount"), "currency" in given, forms, currency)
        if contract.name == "field_history":
            values |= _canonical_changes(given, crm, forms)
        self.kept = [name for name in given if name not in values]
        self._sql = _typing_sql(values, self.parsed) if values else None

    def run(self, connection: duckdb.DuckDBPyConnection, group: pa.Table) -> pa.Table:
        """The typed columns of ``group`` in its order, ``_line``, and per parsed column its unreadable texts."""
        columns = {"_line": group["_line"]}
        columns |= {name: texts(group[str(position)], unit, self._forms) for name, (position, unit) in self._texts.items()}
        columns |= {name: pa.repeat(text, group.num_rows) for name, text in self._constants.items()}
        given = pa.table(columns)
        if self._sql is None:
            return given
        connection.register("texts", given)
        typed = connection.sql(self._sql).to_arrow_table()
        connection.unregister("texts")
        lines = typed["_line"].to_numpy()
        if (lines[1:] < lines[:-1]).any():
            typed = typed.take(pa.array(np.argsort(lines, kind="stable")))
        for name in self.kept:
            typed = typed.append_column(name, given[name])
        return typed


def _typing_sql(values: dict[str, str], parsed: list[str]) -> str:
    """SELECT of the typed values, and of the text of those that are there and could not be read."""
    typed = ", ".join(f'{sql} AS "{name}"' for name, sql in values.items())
    text = "".join(f', "{name}" AS "text {name}"' for name in parsed)
    names = ", ".join(f'"{name}"' for name in values)
    unread = "".join(f', CASE WHEN "{name}" IS NULL THEN left("text {name}", {VALUE_CHARACTERS}) END AS "unread {name}"' for name in parsed)
    return f"WITH typed AS (SELECT _line, {typed}{text} FROM texts) SELECT _line, {names}{unread} FROM typed"


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


def _typed(connection, file: ExportFile, text: TextFile, query: _FileQuery) -> tuple[pa.Table, pa.Table]:
    """The typed rows of one file in the order of their lines, and their faults."""
    rows, faults, ragged = [], [], []
    for group, crooked in _grouped(text.batches(query.positions)):
        ragged += crooked
        if not group.num_rows:
            continue
        result = query.run(connection, group)
        rows.append(_placed(result, file, query.schema))
        faults += _unread(result, file, query)
    if ragged:
        rows.append(_placed(pa.table({"_line": pa.array([r.line for r in ragged], pa.int64())}), file, query.schema))
        faults.append(_ragged(ragged, file))
    table = pa.concat_tables([query.schema.empty_table(), *rows])
    bad = pa.concat_tables([FAULTS.empty_table(), *faults])
    return (table.sort_by("_line") if ragged else table), bad.sort_by([("_line", "ascending"), ("column", "ascending")])


def _grouped(batches: Iterator[TextBatch]) -> Iterator[tuple[pa.Table, list[RaggedRow]]]:
    """Batches put together to about 64 MB, which one query types on all threads."""
    group, ragged, size = [], [], 0
    for batch in batches:
        group.append(batch.columns.append_column("_line", batch.lines))
        ragged += batch.ragged
        size += group[-1].nbytes
        if size >= _GROUP_BYTES:
            yield pa.concat_tables(group), ragged
            group, ragged, size = [], [], 0
    if group:
        yield pa.concat_tables(group), ragged


def _placed(result: pa.Table, file: ExportFile, schema: pa.Schema) -> pa.Table:
    """The typed columns of ``result`` under the whole schema, with the file and its snapshot date."""
    count = result.num_rows
    place = {
        "_file": pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), pa.array([file.name])),
        "_snapshot": pa.repeat(pa.scalar(file.snapshot, pa.date32()), count),
    }
    given = set(result.column_names)
    columns = [place[f.name] if f.name in place else result[f.name].cast(f.type) if f.name in given else pa.nulls(count, f.type) for f in schema]
    return pa.table(columns, schema=schema)


def _unread(result: pa.Table, file: ExportFile, query: _FileQuery) -> list[pa.Table]:
    """Faults of the values that are there and could not be read, column by column."""
    faults = []
    for name in query.parsed:
        unread = result[f"unread {name}"]
        if unread.null_count < len(unread):
            bad = pa.table({"_line": result["_line"], "value": unread}).filter(unread.is_valid())
            code = "unreadable_stage_date" if name.startswith(STAGE_DATE) else f"unreadable_{name}"
            faults.append(_fault_table(file, bad["_line"], name, code, bad["value"], pa.repeat(query.expected[name], bad.num_rows)))
    return faults


def _ragged(rows: list[RaggedRow], file: ExportFile) -> pa.Table:
    found = ["several rows in one" if r.columns_found is None else f"found {r.columns_found}" for r in rows]
    expected = [
        f"{r.columns_expected} columns, {count}"
        + (f" in lines {r.line} to {r.last_line}: a quote that is not closed may have taken in the rows between" if r.last_line > r.line else "")
        for r, count in zip(rows, found, strict=True)
    ]
    lines = pa.array([r.line for r in rows], pa.int64())
    return _fault_table(file, lines, None, "ragged_row", pa.nulls(len(rows), pa.string()), pa.array(expected))


def _fault_table(file: ExportFile, lines, column: str | None, code: str, values, expected) -> pa.Table:
    count = len(lines)
    return pa.table(
        [pa.repeat(file.name, count), lines, pa.repeat(pa.scalar(column, pa.string()), count), pa.repeat(code, count), values, expected],
        schema=FAULTS,
    )
