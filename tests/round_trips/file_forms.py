"""The forms of files in which one and the same table is written.

What belongs here: bytes, cells and packing of a text table. What does not: what is in it (company.py, plain_tables.py).
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

TIMES = ("created_at", "updated_at", "closed_at", "entered_at", "changed_at", "happened_at")
DAYS = ("expected_close_date",)
NUMBERS = ("amount", "crm_probability")
FLAGS = ("is_closed", "is_won")

_SERIAL_ZERO = datetime(1899, 12, 30)
_NOTE = "示例：请勿改动此行"


@dataclass(frozen=True)
class FileForm:
    """One form of file: ``content`` makes the bytes of a table (all values text, blank where there is none).

    ``settings`` is what the configuration must say of such files. ``first_line`` is the line (row) of the first record, and
    ``breaks`` is true where a line break in a value begins a line of the file.
    """

    suffix: str
    content: Callable[[pd.DataFrame], bytes]
    settings: Mapping[str, object] = field(default_factory=dict)
    first_line: int = 2
    breaks: bool = False

    def lines(self, table: pd.DataFrame) -> pd.Series:
        """The line (of a workbook the row, else the number of the record) at which each row begins."""
        before = sum(table[c].str.count("\n") for c in table) if self.breaks else pd.Series(0, index=table.index)
        return (1 + before).cumsum().shift(fill_value=0) + self.first_line


def delimited(delimiter: str = ",", encoding: str = "utf-8", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL, suffix: str = ".csv", **settings) -> FileForm:
    """Delimited text."""

    def content(table: pd.DataFrame) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerow(table.columns)
        writer.writerows(table.itertuples(index=False))
        return text.getvalue().encode(encoding)

    return FileForm(suffix, content, settings, breaks=True)


def preceded(form: FileForm, lines: str, **settings) -> FileForm:
    """Delimited text below lines of a title."""
    return replace(form, content=lambda table: lines.encode() + form.content(table), settings=settings, first_line=2 + lines.count("\n"))


def workbook(titles: int = 0, notes: int = 0, dates: str = "cells", numbers: bool = True, **settings) -> FileForm:
    """A workbook: ``titles`` rows above the header, ``notes`` rows of instructions below it, ids as text.

    ``dates`` are cells of dates, bare serial numbers or text.
    """

    def content(table: pd.DataFrame) -> bytes:
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
            book.set_properties({"created": datetime(2026, 7, 1)})
            form_of_days, form_of_times = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
            sheet = book.add_worksheet("Export")
            for row in range(titles):
                sheet.write_string(row, 0, f"Title {row + 1}")
            for column, name in enumerate(table.columns):
                sheet.write_string(titles, column, name)
                for row in range(titles + 1, titles + 1 + notes):
                    sheet.write_string(row, column, _NOTE)
                for row, text in enumerate(table[name], start=titles + 1 + notes):
                    if name in TIMES + DAYS and dates != "text" and (moment := _moment(text)):
                        if dates == "cells":
                            sheet.write_datetime(row, column, moment, form_of_times if name in TIMES else form_of_days)
                        else:
                            sheet.write_number(row, column, (moment - _SERIAL_ZERO) / timedelta(days=1))
                    elif name in NUMBERS and numbers and (number := _number(text)) is not None:
                        sheet.write_number(row, column, number)
                    elif text:
                        sheet.write_string(row, column, text)
        return stream.getvalue()

    return FileForm(".xlsx", content, settings, first_line=titles + notes + 2)


def parquet(typed: bool, **settings) -> FileForm:
    """Parquet: every column text, or what can be in the types of a data warehouse (numbers, times, days, flags, dictionaries)."""

    def content(table: pd.DataFrame) -> bytes:
        columns = {name: pa.array([x or None for x in table[name]], pa.string()) for name in table}
        if typed:
            columns = {name: _typed(name, column) for name, column in columns.items()}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink)
        return sink.getvalue().to_pybytes()

    return FileForm(".parquet", content, settings, first_line=1)


def _typed(name: str, column: pa.Array) -> pa.Array:
    """A column in the type that a warehouse gives it; where a value does not fit, it is text in a warehouse, too."""
    kinds = {
        **dict.fromkeys(TIMES, pa.timestamp("us")),
        **dict.fromkeys(DAYS, pa.date32()),
        **dict.fromkeys(NUMBERS, pa.decimal128(18, 2)),
        **dict.fromkeys(FLAGS, pa.bool_()),
        "stage": pa.dictionary(pa.int32(), pa.string()),
    }
    try:
        return column.cast(kinds.get(name, pa.string()))
    except pa.ArrowInvalid:
        return column


def json_lines(sparse: bool = False, suffix: str = ".jsonl", **settings) -> FileForm:
    """JSON lines; ``sparse`` ones leave blank keys out, turn the order of keys about and write numbers and flags as such."""

    def content(table: pd.DataFrame) -> bytes:
        lines = []
        for number, row in enumerate(table.to_dict("records")):
            if sparse:
                row = {name: _plain(name, text) for name, text in (row.items() if number % 2 else reversed(row.items())) if text}
            lines.append(json.dumps(row, ensure_ascii=sparse))
        return "".join(line + "\n" for line in lines).encode()

    return FileForm(suffix, content, settings, first_line=1)


def _plain(name: str, text: str):
    if name in FLAGS and text in ("true", "false"):
        return text == "true"
    return number if name in NUMBERS and (number := _number(text)) is not None else text


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _number(text: str) -> int | float | None:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return None


Packing = Callable[[Path, str, pd.DataFrame, FileForm], list[str]]
"""Writes a table by its name below a folder and returns the patterns of its files."""


def plain(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
    """One file per table."""
    (folder / f"{name}{form.suffix}").write_bytes(form.content(table))
    return [f"{name}{form.suffix}"]


def gzipped(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
    """One file per table, packed by gzip."""
    (folder / f"{name}{form.suffix}.gz").write_bytes(gzip.compress(form.content(table), mtime=0))
    return [f"{name}{form.suffix}.gz"]


def zipped_alone(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
    """One archive per table."""
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"anything{form.suffix}", form.content(table))
    return [f"{name}.zip"]


def zipped_together(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
    """All tables in folders of one archive."""
    with zipfile.ZipFile(folder / "export.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"data/{name}{form.suffix}", form.content(table))
    return [f"export.zip/data/{name}{form.suffix}"]


def in_parts(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
    """Three files per table, each with a header, in a folder of their own."""
    (folder / name).mkdir()
    third = -(-len(table) // 3)
    for part in range(3):
        (folder / name / f"part_{part}{form.suffix}").write_bytes(form.content(table.iloc[part * third : (part + 1) * third]))
    return [f"{name}/part_*{form.suffix}"]


def dated(*days: date) -> Packing:
    """The same content in a file for each of several days, as a schedule leaves it."""

    def write(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
        for day in days:
            (folder / f"{name}-{day}{form.suffix}").write_bytes(form.content(table))
        return [f"{name}-*{form.suffix}"]

    return write


def twice(folder: Path, name: str, table: pd.DataFrame, form: FileForm) -> list[str]:
    """The same file under two names."""
    for copy in (name, f"{name} (1)"):
        (folder / f"{copy}{form.suffix}").write_bytes(form.content(table))
    return [f"{name}*{form.suffix}"]
