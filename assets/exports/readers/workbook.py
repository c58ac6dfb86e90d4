"""Excel workbooks (XLSX) as text columns with the sheet's row numbers.

What belongs here: choosing a sheet, turning cells into the text that a person sees. What does not: header names and
the meaning of values.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

import pandas as pd
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from assets.exports.errors import UnreadableFile, listed, nearest
from assets.exports.files import ExportFile
from assets.exports.readers.header_row import ROWS_LOOKED_AT, likely_header_row, title_above
from assets.exports.readers.opening import opened
from assets.exports.readers.sheet_xml import Cell, cell_name, error_cells, sheet_xml, unvalued_formulas
from assets.exports.readers.text import TextBatch, TextFile
from assets.exports.settings import FileForm

EXCEL_DIGITS = 15
"""Significant digits that Excel keeps and shows; what a file holds beyond them is binary noise."""

Area = tuple[Cell, Cell]
"""The first and the last cell of a rectangle."""


def read_workbook(file: ExportFile, form: FileForm) -> TextFile:
    """The text of one sheet: the configured one, else the first; UnreadableFile where the workbook is broken or lacks it."""
    with opened(file) as stream:
        content = stream.read()
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = workbook.sheet_names
        if form.sheet is not None and form.sheet not in names:
            raise UnreadableFile(f"{file.name}: there is no sheet {form.sheet!r}; the workbook has {listed(names)}{nearest([form.sheet], names)}")
        name = form.sheet or names[0]
        sheet = workbook.get_sheet_by_name(name)
        rows = sheet.to_python(skip_empty_area=False)
        merged = sheet.merged_cell_ranges or []
    except CalamineError as error:
        raise UnreadableFile(f"{file.name}: is not a readable XLSX workbook ({error}); open it in a spreadsheet program and save it again as .xlsx") from error
    where = f"{file.name}, sheet {name!r}"
    row = form.header_row or 1
    if form.header_row is None and (likely := likely_header_row([[str(cell) for cell in cells] for cells in rows[:ROWS_LOOKED_AT]])) > 1:
        raise UnreadableFile(title_above(where, likely))
    if len(rows) < row or not any(str(cell).strip() for cell in rows[row - 1]):
        raise UnreadableFile(f"{where}: row {row} should hold the header and is blank; set header_row to the row that does")
    header = tuple(_texts(pd.Series([cell], dtype=object)).iloc[0] or "" for cell in rows[row - 1])
    xml = sheet_xml(io.BytesIO(content), name)
    data = _Sheet(where, rows, error_cells(xml), unvalued_formulas(xml), merged, row + (form.instruction_rows or 0))
    shown = ["XLSX", f"sheet {name!r}", *([f"header in row {row}"] if row > 1 else [])]
    return TextFile(header, partial(_batches, data), ", ".join(shown))


def sheet_names(file: ExportFile) -> list[str]:
    """The names of the sheets of a workbook in their order; none of a file that is no workbook."""
    with opened(file) as stream:
        try:
            return CalamineWorkbook.from_filelike(io.BytesIO(stream.read())).sheet_names
        except CalamineError:
            return []


class _Sheet:
    """The cells of one sheet; those from row ``skip`` on (from 0) are data. ``where`` is how a message calls it."""

    def __init__(self, where: str, rows: list[list], errors: dict[Cell, str], unvalued: list[Cell], merged: Iterable[Area], skip: int):
        self.where, self.rows, self.errors, self.skip = where, rows, errors, skip
        self._unvalued = [cell for cell in unvalued if cell[0] >= skip]
        self._merged = [(first, last) for first, last in merged if last[0] >= skip]

    def check(self, positions: Sequence[int]) -> None:
        """Raise UnreadableFile where cells of the columns at ``positions`` do not hold the value that a person sees in them."""
        wanted = set(positions)
        unvalued = [cell for cell in self._unvalued if cell[1] in wanted]
        merged = [(first, last) for first, last in self._merged if wanted & {*range(first[1], last[1] + 1)}]
        problems = []
        if unvalued:
            problems.append(
                f"{self.where}: {_count(len(unvalued), 'formula')} without a stored value, the first in {cell_name(unvalued[0])}; "
                f"open the workbook in a spreadsheet program and save it, or export values"
            )
        if merged:
            first, last = merged[0]
            problems.append(
                f"{self.where}: {_count(len(merged), 'merged area')} among the rows, the first {cell_name(first)}:{cell_name(last)}: only its first cell "
                f"holds the value; unmerge it and enter the value in every row that it is for"
            )
        if problems:
            raise UnreadableFile(problems)


def _count(number: int, what: str) -> str:
    plural = {"formula": "formulas", "merged area": "merged areas"}
    return f"1 {what}" if number == 1 else f"{number} {plural[what]}"


def _batches(sheet: _Sheet, positions: Sequence[int]) -> Iterator[TextBatch]:
    sheet.check(positions)
    skip = sheet.skip
    frame = pd.DataFrame(sheet.rows[skip:], dtype=object)
    for (row, column), text in sheet.errors.items():
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
