"""What the XML of a sheet says beyond the values that calamine gives: errors, and formulas without a stored value.

What belongs here: finding a sheet's XML in its workbook, and cells in it. What does not: reading values (workbook.py).
"""

import posixpath
import re
import zipfile
from typing import BinaryIO
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ERROR_CELL = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>.*?<v>([^<]*)</v>', re.DOTALL)
_FORMULA_CELL = re.compile(rb'<c\b[^>]*?\br="([A-Z]+)(\d+)"[^>]*>\s*<f\b(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(<v>[^<]|<is>)?')

Cell = tuple[int, int]
"""Row and column of a cell, both from 0."""


def sheet_xml(workbook: BinaryIO, sheet: str) -> bytes:
    """The XML of the named sheet of an XLSX workbook."""
    with zipfile.ZipFile(workbook) as archive:
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        relation = next(s.attrib[_RELATION] for s in book.iter(f"{_MAIN}sheet") if s.attrib["name"] == sheet)
        targets = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        target = next(t.attrib["Target"] for t in targets if t.attrib["Id"] == relation)
        return archive.read(target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target))


def error_cells(xml: bytes) -> dict[Cell, str]:
    """Cells that hold an error such as #REF!, which calamine gives as empty and so would hide."""
    if b't="e"' not in xml:
        return {}
    return {_cell(letters, row): text.decode() for letters, row, text in _ERROR_CELL.findall(xml)}


def unvalued_formulas(xml: bytes) -> list[Cell]:
    """Cells that hold a formula of which no value was stored, in the order of the sheet."""
    if b"<f" not in xml:
        return []
    return [_cell(letters, row) for letters, row, value in _FORMULA_CELL.findall(xml) if not value]


def cell_name(cell: Cell) -> str:
    """The cell as a spreadsheet names it: (1, 27) is AB2."""
    letters, number = "", cell[1] + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{cell[0] + 1}"


def _cell(letters: bytes, row: bytes) -> Cell:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return int(row) - 1, number - 1
