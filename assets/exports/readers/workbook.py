"""Excel workbooks (XLSX) as text columns with the sheet's row numbers.

What belongs here: choosing a sheet, turning cells into the text that a person sees. What does not: header names and
the meaning of values.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from xml.etree import ElementTree

import pandas as pd
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from assets.exports.errors import UnreadableFile, listed, nearest
from assets.exports.files import ExportFile
from assets.exports.readers.text import TextBatch, TextFile
from assets.exports.settings import FileForm

EXCEL_DIGITS = 15
"""Significant digits that Excel keeps and shows; what a file holds beyond them is binary noise."""

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ERROR_CELL = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>.*?<v>([^<]*)</v>', re.DOTALL)


def read_workbook(file: ExportFile, form: FileForm) -> TextFile:
    """The text of one sheet: the configured one, else the first; UnreadableFile where the workbook is broken or lacks it."""
    try:
        workbook = CalamineWorkbook.from_path(str(file.path))
        names = workbook.sheet_names
        if form.sheet is not None and form.sheet not in names:
            raise UnreadableFile(f"{file.name}: there is no sheet {form.sheet!r}; the workbook has {listed(names)}{nearest([form.sheet], names)}")
        name = form.sheet or names[0]
        sheet = workbook.get_sheet_by_name(name)
        rows = sheet.to_python(skip_empty_area=False)
    except CalamineError as error:
        raise UnreadableFile(f"{file.name}: is not a readable XLSX workbook ({error}); remove its password or save it again as .xlsx") from error
    errors = _error_cells(file, name)
    row = form.header_row or 1
    if len(rows) < row or not any(str(cell).strip() for cell in rows[row - 1]):
        raise UnreadableFile(f"{file.name}, sheet {name!r}: row {row} should hold the header and is blank; set header_row to the row that does")
    header = tuple(_texts(pd.Series([cell], dtype=object)).iloc[0] or "" for cell in rows[row - 1])
    return TextFile(header, partial(_batches, rows, errors, row + (form.instruction_rows or 0)))


def _batches(rows: list[list], errors: dict[tuple[int, int], str], skip: int, positions: Sequence[int]) -> Iterator[TextBatch]:
    frame = pd.DataFrame(rows[skip:], dtype=object)
    for (row, column), text in errors.items():
        if row >= skip:
            frame.iat[row - skip, column] = text
    filled = (frame != "").any(axis=1).to_numpy(dtype=bool)
    lines = pa.array([i + skip + 1 for i in range(len(frame))], pa.int64()).filter(pa.array(filled))
    frame = frame[filled]
    columns = {str(i): pa.array(_texts(frame[i]), pa.string()) for i in positions}
    if len(frame):
        yield TextBatch(pa.table(columns), lines)


def _texts(cells: pd.Series) -> pd.Series:
    """Cells of one column as text, kind by kind: 5.0 is 5, a date is ISO 8601, text stays to the letter."""
    kinds = cells.map(type)
    texts = pd.Series([None] * len(cells), index=cells.index, dtype=object)
    for kind in kinds.unique():
        mine = kinds == kind
        texts[mine] = cells[mine].map(_TEXT_OF[kind])
    return texts


def _plain(number: float) -> str:
    text = f"{Decimal(f'{number:.{EXCEL_DIGITS}g}'):f}"
    return "0" if text == "-0" else text


def _to_the_second(moment: datetime) -> str:
    return (moment + timedelta(microseconds=500_000)).replace(microsecond=0).isoformat(sep=" ")


_TEXT_OF = {
    str: str,
    float: _plain,
    int: str,
    bool: lambda flag: "TRUE" if flag else "FALSE",
    date: date.isoformat,
    datetime: _to_the_second,
    time: time.isoformat,
    timedelta: str,
}


def _error_cells(file: ExportFile, sheet: str) -> dict[tuple[int, int], str]:
    """Cells that hold an error such as #REF!, by row and column from 0; calamine gives them as empty, which would hide them."""
    with zipfile.ZipFile(file.path) as archive:
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        relation = next(s.attrib[_RELATION] for s in book.iter(f"{_MAIN}sheet") if s.attrib["name"] == sheet)
        targets = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        target = next(t.attrib["Target"] for t in targets if t.attrib["Id"] == relation)
        path = target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
        xml = archive.read(path)
    if b't="e"' not in xml:
        return {}
    return {(int(row) - 1, _column_number(letters) - 1): text.decode() for letters, row, text in _ERROR_CELL.findall(xml)}


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
