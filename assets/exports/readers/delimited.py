"""Delimited text (CSV, TSV) as text columns with the physical line of every record.

What belongs here: quotes, line numbers, rows with too few or too many columns. What does not: encodings
(encoding.py), the delimiter and the header (dialect.py), and values.

The file is read twice: once to know that every byte belongs to the encoding, once by Arrow. Arrow numbers the
records; lines follow from the line breaks inside quoted values.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from assets.exports.errors import UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.dialect import Dialect, dialect_of
from assets.exports.readers.encoding import UTF8, Encoding, encoding_of
from assets.exports.readers.opening import opened
from assets.exports.readers.text import BrokenRow, TextBatch, TextFile
from assets.exports.settings import FileForm

BLOCK_BYTES = 16 << 20
"""Bytes that Arrow parses at a time; no record may be longer."""

_LINE_BREAK = r"\r\n|\n|\r"
_MEND = "close the quote there, or export again"
_TELLING_COLUMNS = 5
"""Columns from which the pattern of a quote that was not closed cannot be a text with commas."""


def read_delimited(file: ExportFile, form: FileForm) -> TextFile:
    """The text of a delimited file; UnreadableFile where bytes, quotes or form are not what they should be."""
    encoding = encoding_of(file, form.encoding)
    dialect = dialect_of(file, form, encoding)
    shown = ", ".join(["CSV", encoding.shown, *dialect.shown])
    return TextFile(dialect.header, partial(_batches, file, encoding, dialect, form.instruction_rows or 0), shown)


@contextmanager
def _reader(file: ExportFile, encoding: Encoding, dialect: Dialect, on_ragged):
    """Arrow's reader of the records from the header's row on, the header being the first of them; no header is null.

    Null stands for a file that ends with its header, which Arrow takes for an empty file.
    """
    types = {f"f{i}": pa.string() for i in range(len(dialect.header))}
    with opened(file) as raw:
        stream = pa.PythonFile(raw, mode="r")
        if encoding.codec not in UTF8:
            stream = pa.transcoding_input_stream(stream, encoding.codec, "utf-8")
        try:
            reader = arrow_csv.open_csv(
                stream,
                arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, autogenerate_column_names=True, skip_rows=dialect.header_row - 1),
                arrow_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=on_ragged),
                arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False, null_values=[], check_utf8=False),
            )
        except pa.ArrowInvalid as error:
            if "straddling" in str(error):
                raise UnreadableFile(_endless(file, dialect.header_row)) from error
            if dialect.line_end:
                raise
            reader = None
        yield reader


def _batches(file: ExportFile, encoding: Encoding, dialect: Dialect, instruction_rows: int, positions: Sequence[int]) -> Iterator[TextBatch]:
    ragged_rows: list[tuple[int, int, int]] = []
    is_open = False

    def on_ragged(row) -> str:
        nonlocal is_open
        ragged_rows.append((row.number, row.actual_columns, _breaks(row.text)))
        is_open = row.text.count('"') % 2 == 1
        return "skip"

    width, first_line = len(dialect.header), dialect.header_row
    lines = _Lines(first_line)
    first_record = first_line + 1 + instruction_rows
    last_value, line = "", first_line
    with _reader(file, encoding, dialect, on_ragged) as reader:
        while reader is not None:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except pa.ArrowInvalid as error:
                raise UnreadableFile(_endless(file, line)) from error
            if not batch.num_rows:
                continue
            breaks = _line_breaks(batch)
            records, starts, ragged = lines.of(breaks, ragged_rows)
            line, last_value = int(starts[-1]), batch.column(width - 1)[-1].as_py()
            swallowing = _swallowing(batch, breaks, dialect.delimiter)
            ragged += [(records[i].as_py(), starts[i].as_py(), starts[i].as_py() + int(breaks[i]), None) for i in swallowing]
            kept = pc.and_(pc.greater_equal(records, pa.scalar(first_record)), pc.invert(_is_blank(batch)))
            kept = pc.and_(kept, pa.array(np.isin(np.arange(len(breaks)), swallowing, invert=True)))
            yield TextBatch(
                pa.table({str(i): batch.column(i) for i in positions}).filter(kept),
                starts.filter(kept),
                tuple(_ragged(at, to, found, width) for record, at, to, found in ragged if record >= first_record),
            )
    rest = [(at, to, found) for record, at, to, found in lines.rest(ragged_rows) if record >= first_record]
    ends_ragged = bool(rest) and rest[-1][1] > rest[-1][0] and is_open
    if ends_ragged or ("\n" in last_value and not rest and encoding.last != '"'):
        at = rest[-1][0] if ends_ragged else line
        raise UnreadableFile(f"{file.name}: a quote opened in or after the record of line {at} is never closed, so that all that follows is one value; {_MEND}")
    if rest:
        nothing = pa.table({str(i): pa.array([], pa.string()) for i in positions})
        yield TextBatch(nothing, pa.array([], pa.int64()), tuple(_ragged(at, to, found, width) for at, to, found in rest))


def _ragged(line: int, last_line: int, found: int | None, width: int) -> BrokenRow:
    """What is said of a record with another number of columns; ``found`` is null where one value holds whole rows."""
    count = "several rows in one" if found is None else f"found {found}"
    swallowed = f" in lines {line} to {last_line}: a quote that is not closed may have taken in the rows between" if last_line > line else ""
    return BrokenRow(line, f"{width} columns, {count}{swallowed}")


def _endless(file: ExportFile, line: int) -> str:
    return f"{file.name}: the record of line {line} or the one after it is longer than {BLOCK_BYTES >> 20} MB: a quote that is never closed, or no line breaks; {_MEND}"


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _line_breaks(batch: pa.RecordBatch) -> np.ndarray:
    """Line breaks inside the quoted values of every record."""
    breaks = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        data = column.buffers()[2]
        text = data.to_pybytes() if data is not None else b""
        if b"\n" in text or b"\r" in text:
            breaks += pc.count_substring_regex(column, _LINE_BREAK).to_numpy(zero_copy_only=False)
    return breaks


def _swallowing(batch: pa.RecordBatch, breaks: np.ndarray, delimiter: str) -> np.ndarray:
    """Records of which one value holds the end of its own row, whole rows and the beginning of another.

    Where a quote is not closed, the next quote ends the value, rows later, and the columns may still be as many as
    they should be. In such a value of column p, out of n, the first line has n - 1 - p delimiters, the last has p, and
    those between have n - 1.
    """
    width = batch.num_columns
    some = np.flatnonzero(breaks)
    if width < _TELLING_COLUMNS or not len(some):
        return np.array([], dtype=np.int64)
    d = re.escape(delimiter)
    field = rf"[^{d}\r\n]*"
    end = r"(?:\r\n|\n|\r)"
    found = np.zeros(len(some), dtype=bool)
    for position, column in enumerate(batch.take(pa.array(some)).columns):
        first, between, last = (rf"{field}(?:{d}{field}){{{count}}}" for count in (width - 1 - position, width - 1, position))
        found |= pc.match_substring_regex(column, rf"^{first}{end}(?:{between}{end})*{last}$").to_numpy(zero_copy_only=False)
    return some[found]


def _is_blank(batch: pa.RecordBatch) -> pa.Array:
    """True for records without any value."""
    blank = pc.equal(batch.column(0), "")
    for column in batch.columns[1:]:
        if not blank.true_count:
            break
        blank = pc.and_(blank, pc.equal(column, ""))
    return blank


class _Lines:
    """Follows records through the batches of one file and tells the physical line at which each begins.

    Arrow gives the good records in batches and the ragged ones, with their record numbers, on the side; a good
    record's number is thus the next one that is not a ragged one's.
    """

    def __init__(self, first_line: int):
        self._record = first_line
        self._line = first_line
        self._seen = 0

    def of(self, line_breaks: np.ndarray, ragged_rows: Sequence[tuple[int, int, int]]):
        """Record numbers and lines of a batch, and (record, first line, last line, columns) of the ragged rows in it.

        ``line_breaks`` are those inside the values of each record of the batch.
        """
        count = len(line_breaks)
        pending = np.array(ragged_rows[self._seen :], dtype=np.int64).reshape(-1, 3)
        numbers = np.arange(self._record, self._record + count + len(pending))
        good = numbers[np.isin(numbers, pending[:, 0], invert=True)][:count]
        end = int(good[-1]) + 1
        inside = pending[pending[:, 0] < end]
        self._seen += len(inside)
        breaks = np.zeros(end - self._record, dtype=np.int64)
        breaks[good - self._record] = line_breaks
        breaks[inside[:, 0] - self._record] = inside[:, 2]
        starts = self._line + np.concatenate(([0], np.cumsum(breaks + 1)))
        ragged = self._places(inside, starts[inside[:, 0] - self._record])
        lines = pa.array(starts[good - self._record])
        self._record, self._line = end, int(starts[-1])
        return pa.array(good), lines, ragged

    def rest(self, ragged_rows: Sequence[tuple[int, int, int]]):
        """The same of the ragged rows after the last good record."""
        pending = np.array(ragged_rows[self._seen :], dtype=np.int64).reshape(-1, 3)
        starts = self._line + np.concatenate(([0], np.cumsum(pending[:, 2] + 1)))[:-1]
        return self._places(pending, starts)

    @staticmethod
    def _places(ragged: np.ndarray, starts: np.ndarray) -> list[tuple[int, int, int, int]]:
        return list(zip(ragged[:, 0].tolist(), starts.tolist(), (starts + ragged[:, 2]).tolist(), ragged[:, 1].tolist()))
