"""Reads the exports of one table: files become typed rows under canonical names, with a fault for all that is unreadable.

What belongs here: putting together files, headers and values for one table. What does not: any rule about whether
a row can be trusted (judge.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from assets.exports.lookups import MERGED_DEALS, Lookups
from assets.exports.parsing import BLANKS, ValueContext, ValueForms, currency_sql, expected_forms, is_parsed, literal, money_sql, texts, value_sql
from assets.exports.readers import open_text
from assets.exports.readers.text import RaggedRow, TextBatch, TextFile
from assets.exports.settings import Configuration, FileForm, TableSource
from assets.exports.shaping import headers_read, part_of, shaped
from assets.exports.stage_dates import StageNames, dated_stages, stage_date_keys, stage_names
from assets.exports.translation import Translation
from quality.tables import EXPORTED

VALUE_CHARACTERS = 40
"""Characters of an unreadable value that a fault keeps."""

THREADS = 2
_ZERO = r"^[0]+([.,][0]+)?$"
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

PLACE = pa.schema([("_file", pa.dictionary(pa.int32(), pa.string())), ("_line", pa.int64()), ("_part", pa.int32()), ("_snapshot", pa.date32())])
"""Where a row comes from: its file's relative name, its line, which row of that line it is, and the day in the file's name.

``_part`` is 0 but where one line makes several rows (assets/exports/shaping.py).
"""

FAULTS = pa.schema(
    [
        ("_file", pa.string()),
        ("_line", pa.int64()),
        ("_part", pa.int32()),
        ("column", pa.string()),
        ("code", pa.string()),
        ("value", pa.string()),
        ("expected", pa.string()),
    ]
)
"""One row per value or row that could not be read; ``column`` and ``value`` are null for a whole row."""


@dataclass(frozen=True)
class FileCount:
    """What was read of one file; ``ragged_rows`` are among ``rows``.

    ``passed_over`` lines belong to no row of the table, as the CRM's declaration says: they are another table's, or hold nothing.
    """

    name: str
    snapshot: date | None
    rows: int
    ragged_rows: int
    passed_over: int = 0


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
    lookups = Lookups(folder, configuration, crm)
    names = stage_names(configuration, lookups.stage_ids()) if crm.stage_dates and table_name == "opportunities" else {}
    opened = _opened(files, contract, source, crm, _file_form(configuration, source), lookups, names)
    keys = stage_date_keys(configuration) if table_name == "opportunities" else ()
    tables, faults, counts = [], [], []
    with duckdb.connect(":memory:", config={"threads": THREADS}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _check_constants(connection, contract, source, crm, forms, configuration)
        for file, text, mapping, own in opened:
            translation = Translation(table_name, own, mapping, text.header, lookups)
            query = _FileQuery(contract, source, own, forms, mapping, configuration.currency, keys, translation)
            rows, bad, passed_over = _typed(connection, file, text, query)
            tables.append(rows)
            faults.append(bad)
            counts.append(FileCount(file.name, file.snapshot, rows.num_rows, pc.sum(pc.equal(bad["code"], "ragged_row")).as_py() or 0, passed_over))
    read = {name for _, _, mapping, own in opened for name in (*mapping.columns, *_constants(table_name, source, own))}
    return TypedExport(
        table_name,
        without_merged(table_name, pa.concat_tables(tables), lookups).unify_dictionaries(),
        pa.concat_tables(faults),
        tuple(counts),
        tuple((file.name, name, column.header) for file, _, mapping, _ in opened for name, column in mapping.columns.items()),
        tuple((file.name, header) for file, _, mapping, _ in opened for header in mapping.unmapped),
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


def without_merged(table_name: str, rows: pa.Table, lookups: Lookups) -> pa.Table:
    """The opportunities with those that were merged into another flagged as deleted, so that they leave all of history."""
    merged = lookups.ids(MERGED_DEALS) if table_name == "opportunities" else pa.array([], pa.string())
    if not len(merged):
        return rows
    place = rows.column_names.index("is_deleted")
    return rows.set_column(place, "is_deleted", pc.if_else(pc.is_in(rows["opportunity_id"], value_set=merged), True, rows["is_deleted"]))


def _opened(
    files: list[ExportFile], contract: sa.Table, source: TableSource, crm: Crm, form: FileForm, lookups: Lookups, names: StageNames
) -> list[tuple[ExportFile, TextFile, HeaderMap, Crm]]:
    """Every file with its mapping and the declaration as it holds for it; what is wrong with any of them is raised together."""
    opened, failures = [], []
    for file in files:
        try:
            text = open_text(file, form)
            text, part = shaped(text, part_of(text, contract.name, crm), file, lookups.pairs)
            own = crm.of_part(contract.name, part)
            dated = dated_stages(text.header, crm, names, file.name) if names and not source.stage_dates else {}
            mapping = map_headers(text.header, contract, source, own, file.name, dated)
            read = headers_read(text.header, part)
            opened.append((file, text, replace(mapping, unmapped=tuple(header for header in mapping.unmapped if header not in read)), own))
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
        self.schema = schema_of(contract, stage_keys)
        self._translated = translation
        self.positions = sorted({place for column in mapping.columns.values() for place in column.positions} | translation.positions)
        units = {c.name: c.info["unit"] for c in contract.columns} | {STAGE_DATE + key: "time" for key in stage_keys}
        percent = crm.percent.get(contract.name, ())
        self._texts = {name: (column.positions, units[name]) for name, column in mapping.columns.items()}
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
        """The typed columns of ``group`` in its order, its place, and per parsed column its unreadable texts."""
        columns = {"_n": pa.array(np.arange(group.num_rows, dtype=np.int64)), "_line": group["_line"], "_part": group["_part"]}
        columns |= {name: self._text(name, group) for name in self._texts}
        columns |= {name: pa.repeat(text, group.num_rows) for name, text in self._constants.items()}
        given = pa.table(columns)
        if self._sql is None:
            return given
        connection.register("texts", given.drop_columns(["_line", "_part"]))
        typed = connection.sql(self._sql).to_arrow_table()
        connection.unregister("texts")
        order = typed["_n"].to_numpy()
        if (order[1:] < order[:-1]).any():
            typed = typed.take(pa.array(np.argsort(order)))
        for name in ("_line", "_part", *self.kept):
            typed = typed.append_column(name, given[name])
        return typed

    def _text(self, name: str, group: pa.Table) -> pa.ChunkedArray:
        """The text of one column: that of the first of its headers with a value, in Leadline's words."""
        positions, unit = self._texts[name]
        filled = [texts(group[str(position)], unit, self._forms) for position in positions]
        if len(filled) > 1:
            other_than_zero = [pc.if_else(pc.match_substring_regex(text, _ZERO), None, text) for text in filled]
            filled = [pc.coalesce(*other_than_zero, *filled)]
        return self._translated.text(name, filled[0], group)


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


def _typed(connection, file: ExportFile, text: TextFile, query: _FileQuery) -> tuple[pa.Table, pa.Table, int]:
    """The typed rows of one file in the order of their lines, their faults, and how many lines are no rows of the table."""
    rows, faults, ragged, passed_over = [], [], [], 0
    for group, crooked, others in _grouped(text.batches(query.positions)):
        ragged += crooked
        passed_over += others
        if not group.num_rows:
            continue
        result = query.run(connection, group)
        rows.append(_placed(result, file, query.schema))
        faults += _unread(result, file, query)
    if ragged:
        lines = pa.array([r.line for r in ragged], pa.int64())
        rows.append(_placed(pa.table({"_line": lines, "_part": pa.repeat(pa.scalar(0, pa.int32()), len(lines))}), file, query.schema))
        faults.append(_ragged(ragged, file))
    table = pa.concat_tables([query.schema.empty_table(), *rows])
    bad = pa.concat_tables([FAULTS.empty_table(), *faults])
    ordered = table.sort_by([("_line", "ascending"), ("_part", "ascending")]) if ragged else table
    return ordered, bad.sort_by([("_line", "ascending"), ("_part", "ascending"), ("column", "ascending")]), passed_over


def _grouped(batches: Iterator[TextBatch]) -> Iterator[tuple[pa.Table, list[RaggedRow], int]]:
    """Batches put together to about 64 MB, which one query types on all threads."""
    group, ragged, size, passed_over = [], [], 0, 0
    for batch in batches:
        parts = batch.parts if batch.parts is not None else pa.repeat(pa.scalar(0, pa.int32()), len(batch.lines))
        group.append(batch.columns.append_column("_line", batch.lines).append_column("_part", parts))
        ragged += batch.ragged
        size += group[-1].nbytes
        passed_over += batch.passed_over
        if size >= _GROUP_BYTES:
            yield pa.concat_tables(group), ragged, passed_over
            group, ragged, size, passed_over = [], [], 0, 0
    if group:
        yield pa.concat_tables(group), ragged, passed_over


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
            bad = pa.table({"_line": result["_line"], "_part": result["_part"], "value": unread}).filter(unread.is_valid())
            code = "unreadable_stage_date" if name.startswith(STAGE_DATE) else f"unreadable_{name}"
            faults.append(_fault_table(file, bad["_line"], name, code, bad["value"], pa.repeat(query.expected[name], bad.num_rows), bad["_part"]))
    return faults


def _ragged(rows: list[RaggedRow], file: ExportFile) -> pa.Table:
    found = ["several rows in one" if r.columns_found is None else f"found {r.columns_found}" for r in rows]
    expected = [
        f"{r.columns_expected} columns, {count}"
        + (f" in lines {r.line} to {r.last_line}: a quote that is not closed may have taken in the rows between" if r.last_line > r.line else "")
        for r, count in zip(rows, found, strict=True)
    ]
    lines = pa.array([r.line for r in rows], pa.int64())
    parts = pa.repeat(pa.scalar(0, pa.int32()), len(rows))
    return _fault_table(file, lines, None, "ragged_row", pa.nulls(len(rows), pa.string()), pa.array(expected), parts)


def _fault_table(file: ExportFile, lines, column: str | None, code: str, values, expected, parts) -> pa.Table:
    count = len(lines)
    return pa.table(
        [pa.repeat(file.name, count), lines, parts, pa.repeat(pa.scalar(column, pa.string()), count), pa.repeat(code, count), values, expected],
        schema=FAULTS,
    )
