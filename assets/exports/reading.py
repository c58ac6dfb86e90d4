"""Reads the exports of one table: files become typed rows under canonical names, with a fault for all that is unreadable.

What belongs here: putting together files, headers and values for one table. What does not: any rule about whether
a row can be trusted (judge.py).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from assets.exports.crm import crm_named
from assets.exports.crm.declaration import Crm
from assets.exports.errors import ExportError, SourceProblems, UndeclaredForms, shown
from assets.exports.file_query import FileQuery, constants_of, schema_of
from assets.exports.files import ExportFile, Folder, find_files, missing_files
from assets.exports.headers import STAGE_DATE, HeaderMap, HeaderPlaces, check_source, map_headers
from assets.exports.lookups import MERGED_DEALS, Lookups
from assets.exports.parsing import BLANKS, ValueForms, expected_forms, literal, value_sql
from assets.exports.questions import QUESTIONS
from assets.exports.readers import open_text
from assets.exports.readers.text import BrokenRow, TextBatch, TextFile
from assets.exports.settings import Configuration, FileForm, TableSource
from assets.exports.shaping import headers_read, part_of, shaped
from assets.exports.stage_dates import StageNames, dated_stages, stage_date_keys, stage_names
from assets.exports.translation import Translation
from quality.tables import EXPORTED

BROKEN_ROW = "ragged_row"
"""Code of a row that cannot be taken apart into columns."""

Group = tuple[pa.Table, list[BrokenRow], int]
"""Rows that one query types, the broken ones among them, and how many lines are no rows of the table."""

OpenedFile = tuple[ExportFile, TextFile, HeaderMap, Crm]
"""A file, its text, its mapping, and the CRM's declaration as it holds for it."""

THREADS = 2
_GROUP_BYTES = 128 << 20

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
    """What was read of one file and in which form; ``ragged_rows`` are among ``rows``.

    ``passed_over`` lines belong to no row of the table, as the CRM's declaration says: they are another table's, or hold nothing.
    """

    name: str
    snapshot: date | None
    rows: int
    ragged_rows: int
    form: str
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


def read_table(folder: Folder, table_name: str, configuration: Configuration) -> TypedExport:
    """Read every file of ``table_name`` below ``folder`` as the configuration says.

    An optional table that is not configured or has no file gives no rows and a note. Raises an ExportError with all
    that is wrong with files, headers and configuration of the table; single values and rows never raise.
    """
    contract = EXPORTED[table_name]
    crm = crm_named(configuration.exports.crm)
    source = configuration.exports.tables.get(table_name)
    if source is None:
        return _nothing(contract, f"no {table_name} export: exports.tables.{table_name} is not configured")
    opened, lookups = _opened_table(folder, table_name, configuration)
    if not opened:
        return _nothing(contract, f"no {table_name} export: {missing_files(folder, source.files, table_name)}")
    forms = ValueForms.of(configuration, source, crm)
    keys = stage_date_keys(configuration) if table_name == "opportunities" else ()
    tables, faults, counts, asked = [], [], [], []
    with duckdb.connect(":memory:", config={"threads": THREADS}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _check_constants(connection, contract, source, crm, forms, configuration)
        for file, text, mapping, own in opened:
            translation = Translation(table_name, own, mapping, text.header, lookups)
            query = FileQuery(contract, source, own, forms, mapping, configuration.currency, keys, translation)
            rows, bad, passed_over = _typed(connection, file, text, query)
            bad, questions = _asked(rows, bad, query)
            asked += questions
            tables.append(rows)
            faults.append(bad)
            broken = pc.sum(pc.equal(bad["code"], BROKEN_ROW)).as_py() or 0
            counts.append(FileCount(file.name, file.snapshot, rows.num_rows, broken, text.form, passed_over))
    if asked:
        raise UndeclaredForms(asked)
    read = {name for _, _, mapping, own in opened for name in (*mapping.columns, *constants_of(table_name, source, own))}
    return TypedExport(
        table_name,
        with_mergers(table_name, pa.concat_tables(tables), lookups).unify_dictionaries(),
        pa.concat_tables(faults),
        tuple(counts),
        tuple((file.name, name, column.header) for file, _, mapping, _ in opened for name, column in mapping.columns.items()),
        tuple((file.name, header) for file, _, mapping, _ in opened for header in mapping.unmapped),
        tuple(c.name for c in contract.columns if c.name not in read),
    )


def opened_files(folder: Folder, table_name: str, configuration: Configuration) -> list[tuple[ExportFile, TextFile, HeaderMap]]:
    """Every file of a configured table with its text and its mapping, as `read_table` takes them.

    Raises what that raises before it looks at values.
    """
    opened, _ = _opened_table(folder, table_name, configuration)
    return [(file, text, mapping) for file, text, mapping, _ in opened]


def _nothing(contract: sa.Table, note: str) -> TypedExport:
    absent = tuple(c.name for c in contract.columns)
    return TypedExport(contract.name, schema_of(contract).empty_table(), FAULTS.empty_table(), absent=absent, note=note)


def _file_form(configuration: Configuration, source: TableSource) -> FileForm:
    names = list(FileForm.model_fields)
    own = {name: getattr(source, name) for name in names}
    return FileForm(**{name: own[name] if own[name] is not None else getattr(configuration.exports, name) for name in names})


def with_mergers(table_name: str, rows: pa.Table, lookups: Lookups) -> pa.Table:
    """The opportunities with the id of the one that they were merged into, where a file beside them tells it and not their own row."""
    pairs = lookups.pairs(MERGED_DEALS) if table_name == "opportunities" else None
    if pairs is None:
        return rows
    found = pc.take(pairs["value"].combine_chunks(), pc.index_in(rows["opportunity_id"], value_set=pairs["key"].combine_chunks()))
    place = rows.column_names.index("merged_into")
    return rows.set_column(place, "merged_into", pc.coalesce(rows["merged_into"].cast(pa.string()), found))


def _opened_table(folder: Folder, table_name: str, configuration: Configuration) -> tuple[list[OpenedFile], Lookups]:
    """Every file of a configured table, after its configuration was checked, and the lookups; no file where an optional table has none."""
    contract, source, crm = EXPORTED[table_name], configuration.exports.tables[table_name], crm_named(configuration.exports.crm)
    check_source(contract, source, configuration)
    files = find_files(folder, source, table_name)
    lookups = Lookups(folder, configuration, crm)
    if not files:
        return [], lookups
    names = stage_names(configuration, lookups.stage_ids()) if crm.stage_dates and table_name == "opportunities" else {}
    return _opened(files, contract, source, crm, _file_form(configuration, source), lookups, names), lookups


def _opened(
    files: list[ExportFile], contract: sa.Table, source: TableSource, crm: Crm, form: FileForm, lookups: Lookups, names: StageNames
) -> list[OpenedFile]:
    """Every file with its mapping and the declaration as it holds for it; what is wrong with any of them is raised together."""
    opened, failures = [], []
    for file in files:
        try:
            text = open_text(file, form)
            text, part = shaped(text, part_of(HeaderPlaces.of(text.header), contract.name, crm), file, lookups.pairs)
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


def _check_constants(connection, contract: sa.Table, source: TableSource, crm: Crm, forms: ValueForms, configuration: Configuration) -> None:
    problems = []
    for name, text in source.constants.items():
        unit = contract.columns[name].info["unit"]
        if connection.execute(f"SELECT {value_sql(unit, literal(text.strip(BLANKS)), forms)}").fetchall() == [(None,)]:
            problems.append(f"exports.tables.{contract.name}.constants.{name}: {shown(text)} cannot be read; expected {expected_forms(unit, forms)}")
    if problems:
        raise SourceProblems(problems)


def _typed(connection, file: ExportFile, text: TextFile, query: FileQuery) -> tuple[pa.Table, pa.Table, int]:
    """The typed rows of one file in the order of their lines, their faults, and how many lines are no rows of the table."""
    rows, faults, broken, passed_over = [], [], [], 0
    for group, bad, others in _made_ahead(_grouped(text.batches(query.positions))):
        broken += bad
        passed_over += others
        if not group.num_rows:
            continue
        result = query.run(connection, group)
        rows.append(_placed(result, file, query.schema))
        faults += _unread(result, file, query)
    if broken:
        rows.append(_placed(pa.table({"_line": pa.array([r.line for r in broken], pa.int64()), "_part": _no_parts(len(broken))}), file, query.schema))
        faults.append(_broken(broken, file))
    table = pa.concat_tables([query.schema.empty_table(), *rows])
    unreadable = pa.concat_tables([FAULTS.empty_table(), *faults])
    ordered = table.sort_by([("_line", "ascending"), ("_part", "ascending")]) if broken else table
    return ordered, unreadable.sort_by([("_line", "ascending"), ("_part", "ascending"), ("column", "ascending")]), passed_over


def _asked(rows: pa.Table, faults: pa.Table, query: FileQuery) -> tuple[pa.Table, list[str]]:
    """``faults`` with what evidence says of values in undeclared forms, and the questions about whole columns.

    A column with so many of them that its other values may be misread, or its absence would go unnoticed, is a question;
    single values are set aside, with the evidence beside them.
    """
    questions = []
    for name, unit in query.asked.items():
        of_column = pc.and_(pc.equal(faults["column"], name), faults["value"].is_valid()).fill_null(False)
        if not pc.any(of_column).as_py():
            continue
        bad = faults.filter(of_column).combine_chunks()
        texts, lines = (bad[part].combine_chunks() for part in ("value", "_line"))
        question = QUESTIONS[unit](texts, lines, query.place)
        if question is None:
            continue
        if question.is_about.true_count >= question.share * ((rows.num_rows - rows[name].null_count) + len(texts)):
            questions.append(f"{bad['_file'][0].as_py()}: {name}: {question.sentence}")
        expected = pc.if_else(question.is_about, pc.binary_join_element_wise(bad["expected"].combine_chunks(), question.sentence, "; "), bad["expected"])
        faults = faults.set_column(
            faults.column_names.index("expected"),
            "expected",
            pc.replace_with_mask(faults["expected"].combine_chunks(), of_column.combine_chunks(), expected.combine_chunks()),
        )
    return faults, questions


def _made_ahead(groups: Iterator[Group]) -> Iterator[Group]:
    """The groups, each made by another thread while the one before it is typed."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, groups, None)
        while (group := following.result()) is not None:
            following = thread.submit(next, groups, None)
            yield group


def _grouped(batches: Iterator[TextBatch]) -> Iterator[Group]:
    """Batches put together to about 128 MB, which one query types on all threads."""
    group, broken, size, passed_over = [], [], 0, 0
    for batch in batches:
        parts = batch.parts if batch.parts is not None else _no_parts(len(batch.lines))
        group.append(batch.columns.append_column("_line", batch.lines).append_column("_part", parts))
        broken += batch.broken
        size += group[-1].nbytes
        passed_over += batch.passed_over
        if size >= _GROUP_BYTES:
            yield pa.concat_tables(group), broken, passed_over
            group, broken, size, passed_over = [], [], 0, 0
    if group:
        yield pa.concat_tables(group), broken, passed_over


def _no_parts(count: int) -> pa.Array:
    return pa.repeat(pa.scalar(0, pa.int32()), count)


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


def _unread(result: pa.Table, file: ExportFile, query: FileQuery) -> list[pa.Table]:
    """Faults of the values that are there and could not be read, column by column."""
    faults = []
    for name in query.parsed:
        unread = result[f"unread {name}"]
        if unread.null_count < len(unread):
            bad = pa.table({"_line": result["_line"], "_part": result["_part"], "value": unread}).filter(unread.is_valid())
            code = "unreadable_stage_date" if name.startswith(STAGE_DATE) else f"unreadable_{name}"
            faults.append(_fault_table(file, bad["_line"], name, code, bad["value"], pa.repeat(query.expected[name], bad.num_rows), bad["_part"]))
    return faults


def _broken(rows: list[BrokenRow], file: ExportFile) -> pa.Table:
    lines = pa.array([r.line for r in rows], pa.int64())
    return _fault_table(file, lines, None, BROKEN_ROW, pa.nulls(len(rows), pa.string()), pa.array([r.expected for r in rows]), _no_parts(len(rows)))


def _fault_table(file: ExportFile, lines, column: str | None, code: str, values, expected, parts) -> pa.Table:
    count = len(lines)
    return pa.table(
        [pa.repeat(file.name, count), lines, parts, pa.repeat(pa.scalar(column, pa.string()), count), pa.repeat(code, count), values, expected],
        schema=FAULTS,
    )
