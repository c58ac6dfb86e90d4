"""Files that are not as they should be: what a person is told of each, and that no row of any is lost.

What belongs here: faults of the form of files. What does not: faults of values (tests/unit/test_parsing.py) and the command
around them (test_command.py). Either the whole file is refused, with exit code 6, or every row of it is accepted, superseded
or rejected.
"""

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from assets.exports.errors import ExportError
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.reading import TypedExport, read_table
from pipelines.engine.duckdb import DuckDB
from tests.exports_written import configuration, write

HEADER = "opportunity_id,stage,created_at,amount\n"
ROWS = "D1,Talk,2024-01-05,10\nD2,Talk,2024-01-06,20\n"
GOOD = HEADER + ROWS
CHINESE = "opportunity_id,stage,created_at,name\nD1,Talk,2024-01-05,智慧城管平台\nD2,Talk,2024-01-06,大数据项目\n"


def workbook(fill: Callable, **options) -> bytes:
    """An XLSX workbook whose one sheet, called Deals, ``fill(sheet, book)`` has filled."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, options) as book:
        fill(book.add_worksheet("Deals"), book)
    return content.getvalue()


def table(sheet, first_row: int = 0) -> None:
    """Header and two rows from ``first_row`` on."""
    for row, values in enumerate([line.split(",") for line in GOOD.splitlines()], start=first_row):
        sheet.write_row(row, 0, values)


def with_formula(sheet, _book) -> None:
    table(sheet)
    sheet.write_formula("D2", "=5*2", None, "")


def merged_rows(sheet, book) -> None:
    table(sheet)
    sheet.merge_range("B2:B3", "Talk", book.add_format())


def merged_title(sheet, book) -> None:
    sheet.merge_range("A1:D1", "Deals of January", book.add_format())
    table(sheet, 2)


def only_titles(sheet, _book) -> None:
    sheet.write("A1", "Deals of January")


def errors_in_cells(sheet, _book) -> None:
    table(sheet)
    sheet.write_formula("D2", "=1/0", None, "#DIV/0!")


def ole(stream: str) -> bytes:
    """The beginning of a compound file, as old Excel files and protected new ones are, with one stream's name in it."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le") + bytes(512)


def zipped(entries: dict[str, str], *, encrypted: bool = False) -> bytes:
    """A zip archive; an encrypted one has only the mark of it, which is all that is looked at."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    made = content.getvalue()
    if not encrypted:
        return made
    at = made.index(b"PK\x01\x02")
    return made[: at + 8] + struct.pack("<H", 1) + made[at + 10 :]


def parquet() -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({"opportunity_id": ["D1", "D2"], "stage": ["Talk", "Talk"]}), content)
    return content.getvalue()


def many_columns(count: int) -> str:
    names = ",".join(f"custom {i}" for i in range(count))
    return f"opportunity_id,stage,{names}\nD1,Talk{',x' * count}\n"


REFUSED = {
    "wrong delimiter configured": ("deals.csv", GOOD.replace(",", ";"), {"delimiter": ","}, ["the header is one name that holds ';', not ','", "set delimiter: ';'"]),
    "two delimiters": ("deals.csv", "opportunity_id,a;b\nD1,x;y\nD2,x;y\n", {}, ["both ',' (2 columns) and ';' (2 columns) cut the header", "set delimiter: ',' or delimiter: ';'"]),
    "no delimiter cuts the rows": (
        "deals.csv",
        "opportunity_id,a;b\nD1\nD2\nD3\n",
        {},
        ["the delimiter cannot be told: ',' and ';' cut the header in row 1", "set delimiter for this table"],
    ),
    "truncated gzip": ("deals.csv.gz", gzip.compress(GOOD.encode() * 50)[:-9], {}, ["deals.csv.gz: is not a whole gzip file", "copy or export it again"]),
    "no gzip": ("deals.csv.gz", GOOD, {}, ["is not a whole gzip file (Not a gzipped file"]),
    "gzip under another name": ("deals.csv", gzip.compress(GOOD.encode()), {}, ["is a gzip file, not text", "ends in .gz"]),
    "UTF-8 and GB18030": (
        "deals.csv",
        CHINESE.encode() + "D3,Talk,2024-01-07,智慧工地\n".encode("gb18030"),
        {},
        ["line 4, byte 130: 0xd6 is not UTF-8 text, although the lines before it are", "mixes encodings"],
    ),
    "GB18030 and Latin-1": ("deals.csv", CHINESE.encode("gb18030") * 3 + b"D3,Talk,2024-01-07,Caf\xe9\n", {}, ["not utf-8 text", "export it again as UTF-8"]),
    "Windows-1252 or GB18030": (
        "deals.csv",
        "opportunity_id,name\nD1,éé\nD2,Béé\n".encode("cp1252").replace(b"\xe9\xe9", b"\xc4\xe3"),
        {},
        ["line 2, byte 24: 0xc4 is not utf-8 text", "GB18030", "set encoding: gb18030 or encoding:"],
    ),
    "Cyrillic": ("deals.csv", "opportunity_id,name\nD1,Новый договор\n".encode("cp1251"), {}, ["0xcd is not utf-8 text, and neither GB18030 nor Windows-1252"]),
    "configured encoding is not the file's": ("deals.csv", CHINESE.encode("gb18030"), {"encoding": "utf-8"}, ["it reads as gb18030: set encoding: gb18030"]),
    "NUL bytes": ("deals.csv", HEADER + "D1,Talk,2024-01-05,1\0\n", {}, ["line 2 holds NUL characters", "damaged; export it again"]),
    "UTF-16 without a mark": ("deals.csv", GOOD.encode("utf-16-le"), {}, ["holds NUL characters as UTF-16-LE", "set encoding: utf-16-le"]),
    "UTF-16 cut in a character": ("deals.csv", GOOD.encode("utf-16")[:-1], {}, ["is not utf-16 text"]),
    "mark in the middle": ("deals.csv", ("\ufeff" + GOOD) * 2, {}, ["line 4 begins with a byte-order mark, as where files were joined", "several files can be one table"]),
    "unclosed quote": ("deals.csv", HEADER + 'D1,"Talk,2024-01-05,10\nD2,Talk,2024-01-06,20\n', {}, ["a quote opened in or after the record of line 2 is never closed", "all that follows is one value", "close the quote there"]),
    "a title above the header": ("deals.csv", "Deals of January,,,\n,,,\n" + GOOD, {}, ["row 1 looks like a title, and row 3 like the header; set header_row: 3"]),
    "blank header row": ("deals.csv", ",,,\n" + ROWS, {}, ["row 1 should hold the header and is blank", "set header_row"]),
    "one line without end": ("deals.csv", "x" * (3 << 20), {}, ["the first line is longer than 1 MB: it has no line breaks"]),
    "header twice in one row": ("deals.csv", "opportunity_id,stage,stage\nD1,Talk,Talk\n", {}, ["the header 'stage' stands there 2 times", "rename or remove all but one"]),
    "a blank instead of a required header": ("deals.csv", GOOD.replace("opportunity_id", ""), {}, ["missing required column opportunity_id"]),
    "workbook called .csv": ("deals.csv", workbook(lambda sheet, _: table(sheet)), {}, ["deals.csv: is an Excel workbook, not text", "ends in .xlsx"]),
    "CSV called .xlsx": ("deals.xlsx", GOOD, {}, ["deals.xlsx: is text, not an Excel workbook", "ends in .csv"]),
    "web page called .xls": ("deals.xls", "<html><table><tr><td>D1</td></tr></table></html>", {}, ["is a web page (HTML), which some CRMs call .xls", "save it as .xlsx"]),
    "web page called .csv": ("deals.csv", "\n<!DOCTYPE html>\n<title>Log in</title>", {}, ["is a web page (HTML)", "not text"]),
    "XML spreadsheet": ("deals.xls", '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook/>', {}, ["is an XML spreadsheet of Excel 2003"]),
    "old workbook": ("deals.xls", ole("Workbook"), {}, ["is an old Excel workbook (.xls)", "save it as .xlsx or as CSV"]),
    "password-protected workbook": ("deals.xlsx", ole("EncryptedPackage"), {}, ["is protected by a password", "remove the password"]),
    "PDF": ("deals.pdf", "%PDF-1.7\n", {}, ["is a PDF document", "export the table itself"]),
    "form that is not read": ("deals.dbf", "x", {}, ["files of this form are not read; expected a name that ends in .csv"]),
    "formula without a value": ("deals.xlsx", workbook(with_formula), {}, ["sheet 'Deals': 1 formula without a stored value, the first in D2", "save it"]),
    "merged cells among the rows": ("deals.xlsx", workbook(merged_rows), {}, ["1 merged area among the rows, the first B2:B3", "unmerge it"]),
    "merged title": ("deals.xlsx", workbook(merged_title), {}, ["row 1 looks like a title, and row 3 like the header; set header_row: 3"]),
    "no table in the sheet": ("deals.xlsx", workbook(only_titles), {}, ["missing required column opportunity_id", "the file has 'Deals of January'"]),
    "workbook cut in half": ("deals.xlsx", workbook(lambda sheet, _: table(sheet))[:2000], {}, ["is a cut off or damaged zip archive or workbook, not an Excel workbook; copy or export it again"]),
    "empty zip": ("deals.zip", zipped({}), {}, ["'deals.zip' is a zip archive without files"]),
    "zip with several files": ("deals.zip", zipped({"deals.csv": GOOD, "leads.csv": "x"}), {}, ["holds 2 files: 'deals.csv', 'leads.csv'", "such as deals.zip/deals.csv"]),
    "zip with a password": ("deals.zip", zipped({"deals.csv": GOOD}, encrypted=True), {}, ["'deals.zip' needs a password; unpack it"]),
    "zip cut in half": ("deals.zip", zipped({"deals.csv": GOOD})[:60], {}, ["'deals.zip' is not a whole zip archive"]),
    "zip called .csv": ("deals.csv", zipped({"deals.csv": GOOD}), {}, ["is a zip archive, not text", "ends in .zip"]),
    "zip with damaged content": ("deals.zip", zipped({"deals.csv": GOOD}).replace(b"D1,Talk", b"D9,Talk"), {}, ["deals.zip/deals.csv: cannot be unpacked (Bad CRC-32"]),
    "Parquet cut in half": ("deals.parquet", parquet()[:150], {}, ["is not a whole Parquet file; copy or export it again"]),
    "CSV called .parquet": ("deals.parquet", GOOD, {}, ["is not a whole Parquet file"]),
    "JSON array": ("deals.jsonl", '[{"opportunity_id": "D1"},\n{"opportunity_id": "D2"}]\n', {}, ["is one JSON array, not one JSON object per line"]),
    "JSON over many lines": ("deals.jsonl", '{\n  "opportunity_id": "D1"\n}\n', {}, ["is one JSON object over many lines"]),
    "nested JSON": ("deals.jsonl", '{"opportunity_id": "D1"}\n{"opportunity_id": {"value": "D2"}}\n', {}, ["line 2: the key 'opportunity_id' holds an object or a list", "export it flat"]),
    "no JSON": ("deals.jsonl", "D1\nD2\n", {}, ["no line is a JSON object"]),
    "day or month first": (
        "deals.csv",
        HEADER + "D1,Talk,05/03/2024,1\nD2,Talk,25/03/2024,1\n",
        {},
        ["created_at: the order of day and month is not declared for 2 values such as 05/03/2024 in line 2", "line 3 (25/03/2024) can only be day first", 'add dates: ["%d/%m/%Y"]'],
    ),
    "decimal comma": ("deals.csv", HEADER + 'D1,Talk,2024-01-05,"1.234,50"\nD2,Talk,2024-01-05,1.234\n', {}, ["amount: line 2 (1.234,50) can only be written with a decimal comma", "decimal_comma: true"]),
}  # fmt: skip
"""Files that are refused as a whole: their name, content, settings, and what is said of them."""

READ = {
    "ragged rows": ("deals.csv", GOOD + "D3,Talk\nD4,Talk,2024-01-05,1,x\n", 4, {4: "4 columns, found 2", 5: "4 columns, found 5"}),
    "header again in the middle": ("deals.csv", GOOD + GOOD.replace("D", "E"), 5, {4: "a row of values, found the header again"}),
    "a quote that takes in a row": (
        "deals.csv",
        "opportunity_id,stage,region,source,amount\nD1,Talk,\"x,y,1\nD2,Talk,x,y,1\nD3,Talk,x\",y,1\nD4,Talk,x,y,1\n",
        2,
        {2: "5 columns, several rows in one in lines 2 to 4: a quote that is not closed may have taken in the rows between"},
    ),
    "a JSON line cut off": ("deals.jsonl", '{"opportunity_id": "D1", "stage": "Talk"}\n{"opportunity_id": "D2", "st\n', 2, {2: "a whole JSON object; the line is not valid JSON: it may have been cut off"}),
    "a JSON key twice": ("deals.jsonl", '{"opportunity_id": "D1", "stage": "Talk"}\n\n{"stage": "Talk", "opportunity_id": "D2", "opportunity_id": "D3"}\n', 2, {3: "a whole JSON object; a key stands in it twice"}),
    "a JSON value that is no object": ("deals.ndjson", '{"opportunity_id": "D1", "stage": "Talk"}\n["D2"]\n', 2, {2: "a whole JSON object; the line is another JSON value"}),
    "CR alone": ("deals.csv", GOOD.replace("\n", "\r"), 2, {}),
    "CR, LF and CRLF": ("deals.csv", HEADER + "D1,Talk,2024-01-05,10\r\nD2,Talk,2024-01-06,20\r", 2, {}),
    "no end of the last line": ("deals.csv", GOOD.rstrip("\n"), 2, {}),
    "blanks around headers": ("deals.csv", " opportunity_id , stage\u3000,created_at ,amount\n" + ROWS, 2, {}),
    "a blank header": ("deals.csv", "opportunity_id,stage,created_at,amount,\nD1,Talk,2024-01-05,10,x\n", 1, {}),
    "very many columns": ("deals.csv", many_columns(3000), 1, {}),
    "a header alone": ("deals.csv", HEADER.rstrip(), 0, {}),
    "an error in a cell": ("deals.xlsx", workbook(errors_in_cells), 2, {}),
    "a zip with a folder": ("deals.zip", zipped({"exports/": "", "exports/deals.csv": GOOD, "__MACOSX/._deals.csv": "x", "exports/.DS_Store": "x"}), 2, {}),
    "Excel's own statement of the delimiter": ("deals.csv", "sep=;\r\n" + GOOD.replace(",", ";").replace("\n", "\r\n"), 2, {}),
}  # fmt: skip
"""Files that are read: their name, content, number of rows, and what is said of the rows that are broken, by line."""


def read(folder: Path, name: str, content: str | bytes, **source) -> TypedExport:
    """The one file, read as opportunities."""
    return read_table(write(folder, {name: content}), "opportunities", configuration({"opportunities": {"files": name, **source}}))


@pytest.mark.parametrize("fault", REFUSED)
def test_a_file_is_refused_with_what_was_found_and_what_to_do(tmp_path, fault):
    name, content, source, words = REFUSED[fault]
    with pytest.raises(ExportError) as error:
        read(tmp_path, name, content, **source)
    said = str(error.value)
    assert error.value.exit_code == 6
    assert name in said
    assert [w for w in words if w not in said] == [], said


@pytest.mark.parametrize("fault", READ)
def test_a_file_is_read_and_no_row_of_it_is_lost(tmp_path, fault):
    name, content, rows, broken = READ[fault]
    export = read(tmp_path, name, content)
    assert (export.rows.num_rows, export.files[0].rows, export.files[0].ragged_rows) == (rows, rows, len(broken))
    said = {f["_line"]: f["expected"] for f in export.faults.to_pylist() if f["column"] is None}
    assert {line: words for line, words in broken.items() if not said[line].startswith(words)} == {}, said
    assert said.keys() == broken.keys()
    made = configuration({"opportunities": {"files": name}})
    nothing = pa.table({"owner_id": pa.array([], pa.string())})
    neighbours = Judged(NO_PARENTS, nothing, exchange_rates(made, None, date(2024, 12, 31)))
    judged = judge("opportunities", export.rows, export.faults, made, DuckDB(tmp_path), date(2024, 12, 31), neighbours)
    verdicts = judged["_verdict"].to_pylist()
    assert len(verdicts) == rows
    assert [line for line, verdict in zip(judged["_line"].to_pylist(), verdicts, strict=True) if verdict == "rejected"] == list(broken)


def test_a_record_of_200_mb_is_refused_within_little_memory(tmp_path):
    with (tmp_path / "deals.csv").open("wb") as file:
        file.write(GOOD.encode() + b"D3,")
        for _ in range(50):
            file.write(b"x" * (4 << 20))
        file.write(b"\n")
    with pytest.raises(ExportError, match="the record of line 3 or the one after it is longer than 16 MB"):
        read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "deals.csv"}}))


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "deals.csv").mkdir()
    (tmp_path / "more.csv").symlink_to(tmp_path / "nowhere.csv")
    write(tmp_path, {"empty.csv": ""})
    with pytest.raises(ExportError) as error:
        read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": ["*.csv", "more.csv"]}}))
    assert set(error.value.problems) == {
        "table opportunities: 'deals.csv' is a folder, expected a file; make the pattern end in a file name, such as deals.csv/*.csv",
        "table opportunities: 'more.csv' is a link to a file that is not there; mend the link or export it again",
        "table opportunities: the file 'empty.csv' is empty (0 bytes); export it again",
    }
    with pytest.raises(ExportError, match=r"'more\.csv' is a link to a file that is not there"):
        read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "more.csv"}}))


@pytest.mark.parametrize("name", ["deals.csv", "deals.zip"])
def test_a_file_that_may_not_be_read_is_named(open_folder, without_rights, name):
    write(open_folder, {name: zipped({"deals.csv": GOOD}) if name.endswith("zip") else GOOD})
    (open_folder / name).chmod(0)
    if os.geteuid() != 0 and os.access(open_folder / name, os.R_OK):
        pytest.skip("this user may read every file")
    with without_rights(), pytest.raises(ExportError, match=f"{name}'? ?:? ?(may not be read by this user|this user may not read it)"):
        read_table(open_folder, "opportunities", configuration({"opportunities": {"files": name}}))
