"""Opens the files that a person gives, in whatever form they are, and samples their rows.

What belongs here: the form in which a file can be opened, sheets of a workbook, rows of instructions, a sample as text.
What does not: which table a file is (recognise.py) and what its values mean.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.parsing import BLANKS
from assets.exports.readers import open_text
from assets.exports.readers.header_row import ROWS_LOOKED_AT
from assets.exports.readers.opening import plain_name
from assets.exports.readers.text import TextFile
from assets.exports.readers.workbook import sheet_names
from assets.exports.settings import FileForm

SAMPLE_ROWS = 50_000
"""Rows of a file that are looked at; of a smaller file all are."""

_WORKBOOKS = (".xlsx", ".xlsm")
_ENCODINGS = ("gb18030", "cp1252")
_INSTRUCTION = re.compile(r"必填|选填|下拉|请填|填写|示例|例如|\b(required|optional|mandatory|e\.g\.|drop-?down)\b", re.IGNORECASE)
_INSTRUCTION_CELLS = 3


@dataclass(frozen=True)
class Sheet:
    """One given file, or one sheet of a workbook, opened.

    ``form`` holds what had to be set so that it opens; ``sample`` has one text column per header, named by its position,
    without outer blanks, null where there is nothing. ``is_whole`` is true where the sample is all there is.
    """

    file: ExportFile
    form: FileForm
    header: tuple[str, ...]
    sample: pa.Table
    is_whole: bool

    @property
    def name(self) -> str:
        """The file's relative name, and the sheet's where the workbook has several."""
        return f"{self.file.name} ({self.form.sheet})" if self.form.sheet else self.file.name

    def texts(self, position: int) -> pa.ChunkedArray:
        """The sampled values of one column, null where there is nothing."""
        return self.sample[str(position)]

    def filled(self, position: int) -> pa.ChunkedArray:
        """The sampled values of one column without the empty ones."""
        return self.texts(position).drop_null()

    def distinct(self, position: int) -> pa.Array:
        """The distinct sampled values of one column, in the order in which they first stand there."""
        return self.filled(position).combine_chunks().unique()


def open_sheets(file: ExportFile) -> list[Sheet]:
    """Every sheet of the file that has a header and rows; UnreadableFile where there is no form in which it opens."""
    first, form = _opened(file)
    found = [_sheet(file, form, first)]
    names = sheet_names(file) if plain_name(file).endswith(_WORKBOOKS) else []
    for name in names[1:]:
        try:
            text, form = _opened(file, FileForm(sheet=name))
            found.append(_sheet(file, form, text))
        except UnreadableFile:
            # A further sheet without a header is a note or a chart, and no table of its own.
            continue
    return [found[0], *(sheet for sheet in found[1:] if sheet.sample.num_rows)]


def _opened(file: ExportFile, form: FileForm = FileForm()) -> tuple[TextFile, FileForm]:
    """The file's text, and the form in which it could be opened."""
    try:
        return open_text(file, form), form
    except UnreadableFile as error:
        for tried in _other_forms(form):
            try:
                text = open_text(file, tried)
            except UnreadableFile:
                continue
            if sum(bool(name.strip()) for name in text.header) >= _INSTRUCTION_CELLS:
                return text, tried
        raise error


def _other_forms(form: FileForm) -> Iterator[FileForm]:
    """Forms to try where a file does not open as it is: a header further down, an encoding that its bytes do not prove."""
    for row in range(2, ROWS_LOOKED_AT):
        yield form.model_copy(update={"header_row": row})
    for encoding in _ENCODINGS:
        yield form.model_copy(update={"encoding": encoding})


def _sheet(file: ExportFile, form: FileForm, text: TextFile) -> Sheet:
    sample, is_whole = _sampled(text)
    if sample.num_rows > 1 and _is_instruction([sample[name][0].as_py() for name in sample.column_names]):
        form, sample = form.model_copy(update={"instruction_rows": 1}), sample.slice(1)
    return Sheet(file, form, tuple(name.strip("\ufeff ") for name in text.header), sample, is_whole)


def _sampled(text: TextFile) -> tuple[pa.Table, bool]:
    """The first rows as trimmed text, and whether they are all."""
    positions = range(len(text.header))
    schema = pa.schema([(str(position), pa.string()) for position in positions])
    batches, rows = [schema.empty_table()], 0
    for batch in text.batches(positions):
        batches.append(pa.table([_trimmed(batch.columns[name]) for name in schema.names], schema=schema))
        rows += batch.columns.num_rows
        if rows > SAMPLE_ROWS:
            break
    return pa.concat_tables(batches).slice(0, SAMPLE_ROWS), rows <= SAMPLE_ROWS


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim(column.cast(pa.string()), characters=BLANKS)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _is_instruction(cells: Sequence[str | None]) -> bool:
    """True where the row below the header says how the sheet is to be filled in."""
    filled = [cell for cell in cells if cell]
    telling = sum(bool(_INSTRUCTION.search(cell)) for cell in filled)
    return telling >= _INSTRUCTION_CELLS and 2 * telling >= len(filled)


def whole_form(sheets: Sequence[Sheet]) -> FileForm:
    """The one form in which all of ``sheets`` open; the settings in which they differ are left out."""
    first = sheets[0].form
    differing = [name for name in FileForm.model_fields if any(getattr(s.form, name) != getattr(first, name) for s in sheets)]
    return first.model_copy(update=dict.fromkeys(differing))
