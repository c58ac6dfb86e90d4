"""Delimited text (CSV, TSV), plain or gzip, as text columns with the physical line of every record.

What belongs here: encodings, delimiters, quotes, line numbers, rows with too few or too many columns. What does
not: header names and values.

The file is read twice: once to know that every byte belongs to the encoding (a wrong one is an error with its
place, never garbled text), once by Arrow. Arrow numbers the records; lines follow from the line breaks inside
quoted values.
"""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from assets.exports.errors import SourceProblems, UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.text import RaggedRow, TextBatch, TextFile
from assets.exports.settings import FileForm

BLOCK_BYTES = 16 << 20
"""Bytes that Arrow parses at a time; no record may be longer."""

_CHUNK_BYTES = 4 << 20
_UTF8 = ("utf-8", "utf-8-sig")
_LINE_BREAK = r"\r\n|\n|\r"
_MULTIBYTE = ("gb", "big5", "shift", "euc", "cp93", "cp94", "cp95")
_DELIMITERS = (",", ";", "\t", "|")
_TELLING_COLUMNS = 5
"""Columns from which the pattern of a quote that was not closed cannot be a text with commas."""


def read_delimited(file: ExportFile, form: FileForm) -> TextFile:
    """The text of a delimited file; UnreadableFile where bytes, quotes or form are not what they should be."""
    encoding = _codec(file, form.encoding)
    tail = _check_encoding(file, encoding)
    delimiter = form.delimiter or ("\t" if ".tsv" in file.path.suffixes else ",")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise SourceProblems(f"{file.name}: the delimiter {delimiter!r} cannot be used; expected one character such as ',' or ';' or a tab")
    header = _first_record(file, form, encoding, delimiter)
    if header is None:
        only = _only_line(file, form, encoding, delimiter)
        _check_header(file, form, only, delimiter)
        return TextFile(only, lambda _: iter(()))
    _check_header(file, form, header, delimiter)
    return TextFile(header, partial(_batches, file, form, encoding, delimiter, len(header), tail))


def _codec(file: ExportFile, name: str | None) -> str:
    try:
        return codecs.lookup(name or "utf-8").name
    except LookupError as error:
        raise UnreadableFile(f"{file.name}: the encoding {name!r} is not known; expected utf-8, gb18030, utf-16 or another name that Python knows") from error


def _open(path: Path):
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _check_encoding(file: ExportFile, encoding: str) -> str:
    """Decode the whole file once and return its last character; UnreadableFile names the line and byte that do not fit."""
    decoder = codecs.getincrementaldecoder(encoding)()
    as_utf8 = None if encoding in _UTF8 else codecs.getincrementaldecoder("utf-8")()
    # Two characters of a Chinese encoding can by chance be valid UTF-8 of two bytes each, three bytes hardly ever.
    telling = "\u0800" if encoding.startswith(_MULTIBYTE) else "\x80"
    is_utf8_text, position, lines, last = False, 0, 1, ""
    try:
        with _open(file.path) as stream:
            while True:
                chunk = stream.read(_CHUNK_BYTES)
                pending = len(decoder.getstate()[0])
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    raise UnreadableFile(_wrong_encoding(file, encoding, lines, position - pending, chunk, error)) from error
                if "\0" in text:
                    raise UnreadableFile(
                        f"{file.name}: holds NUL characters, so it is not {encoding}; it may be UTF-16: set encoding: utf-16, or export as UTF-8"
                    )
                if as_utf8 is not None:
                    try:
                        is_utf8_text |= max(as_utf8.decode(chunk, final=not chunk), default="") >= telling
                    except UnicodeDecodeError:
                        as_utf8, is_utf8_text = None, False
                lines += max(chunk.count(b"\n"), chunk.count(b"\r"))
                position += len(chunk)
                last = text.rstrip("\r\n")[-1:] or last
                if not chunk:
                    break
    except (gzip.BadGzipFile, EOFError) as error:
        raise UnreadableFile(f"{file.name}: is not a whole gzip file ({error}); copy or export it again") from error
    if is_utf8_text:
        raise UnreadableFile(f"{file.name}: the configuration says {encoding}, but the file is UTF-8; remove encoding: {encoding} for it")
    return last


def _wrong_encoding(file: ExportFile, encoding: str, lines: int, decoded: int, chunk: bytes, error: UnicodeDecodeError) -> str:
    before = error.object[: error.start]
    line = lines + max(before.count(b"\n"), before.count(b"\r"))
    byte = error.object[error.start : error.start + 1].hex()
    if error.object.startswith((b"\xff\xfe", b"\xfe\xff")) and line == 1:
        likely = "; it begins like UTF-16: set encoding: utf-16, or export as UTF-8"
    else:
        end = error.object.rfind(b"\n") + 1 or len(error.object)
        likely = "; export it again as UTF-8, or set the encoding that it has"
        for other in {"utf-8", "gb18030"} - {encoding}:
            try:
                error.object[:end].decode(other)
            except UnicodeDecodeError:
                continue
            likely = f"; it reads as {other}: set encoding: {other} for this table if that is what the CRM exports"
    return f"{file.name}: line {line}, byte {decoded + error.start + 1}: 0x{byte} is not {encoding} text{likely}"


@contextmanager
def _reader(file: ExportFile, form: FileForm, encoding: str, delimiter: str, types: dict[str, pa.DataType], on_ragged):
    """Arrow's reader of the records from the header's row on, the header being the first of them."""
    with _open(file.path) as raw:
        stream = pa.PythonFile(raw, mode="r")
        if encoding not in _UTF8:
            stream = pa.transcoding_input_stream(stream, encoding, "utf-8")
        with arrow_csv.open_csv(
            stream,
            arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, autogenerate_column_names=True, skip_rows=(form.header_row or 1) - 1),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=on_ragged),
            arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False, null_values=[], check_utf8=False),
        ) as reader:
            yield reader


def _first_record(file: ExportFile, form: FileForm, encoding: str, delimiter: str) -> tuple[str, ...] | None:
    """The record of the header's row; null where the file ends in it, which Arrow takes for an empty file."""
    try:
        with _reader(file, form, encoding, delimiter, {}, lambda _: "skip") as peek:
            names = peek.schema.names
        with _reader(file, form, encoding, delimiter, dict.fromkeys(names, pa.string()), lambda _: "skip") as reader:
            return tuple(value.strip("\ufeff") for value in reader.read_next_batch().slice(0, 1).to_pylist()[0].values())
    except pa.ArrowInvalid:
        return None


def _only_line(file: ExportFile, form: FileForm, encoding: str, delimiter: str) -> tuple[str, ...]:
    """The header of a file that ends with it, without a line break; nothing where the file is shorter."""
    row = form.header_row or 1
    with _open(file.path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        records = islice(csv.reader(text, delimiter=delimiter), row - 1, row)
        return tuple(value.strip("\ufeff") for record in records for value in record)


def _check_header(file: ExportFile, form: FileForm, header: tuple[str, ...], delimiter: str) -> None:
    row = form.header_row or 1
    if not any(name.strip() for name in header):
        raise UnreadableFile(f"{file.name}: row {row} should hold the header and is blank; set header_row to the row that does, or export again")
    other = [d for d in _DELIMITERS if len(header) == 1 and d in header[0]]
    if other:
        raise UnreadableFile(f"{file.name}: the header is one name that holds {other[0]!r}, not {delimiter!r}; set delimiter: {other[0]!r} for it")


def _batches(file: ExportFile, form: FileForm, encoding: str, delimiter: str, width: int, last_character: str, positions: Sequence[int]) -> Iterator[TextBatch]:
    ragged_rows: list[tuple[int, int, int]] = []

    def on_ragged(row) -> str:
        ragged_rows.append((row.number, row.actual_columns, _breaks(row.text)))
        return "skip"

    first_line = form.header_row or 1
    lines = _Lines(first_line)
    skip = 1 + (form.instruction_rows or 0)
    last_value, line = "", first_line
    with _reader(file, form, encoding, delimiter, {f"f{i}": pa.string() for i in range(width)}, on_ragged) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except pa.ArrowInvalid as error:
                raise UnreadableFile(_unclosed(file, line, "runs on for more than 16 MB")) from error
            if not batch.num_rows:
                continue
            breaks = _line_breaks(batch)
            records, starts, ragged = lines.of(breaks, ragged_rows)
            line, last_value = int(starts[-1]), batch.column(width - 1)[-1].as_py()
            swallowing = _swallowing(batch, breaks, delimiter)
            ragged += [(records[i].as_py(), starts[i].as_py(), starts[i].as_py() + int(breaks[i]), None) for i in swallowing]
            kept = pc.and_(pc.greater_equal(records, pa.scalar(first_line + skip)), pc.invert(_is_blank(batch)))
            kept = pc.and_(kept, pa.array(np.isin(np.arange(len(breaks)), swallowing, invert=True)))
            yield TextBatch(
                pa.table({str(i): batch.column(i) for i in positions}).filter(kept),
                starts.filter(kept),
                tuple(RaggedRow(at, to, found, width) for record, at, to, found in ragged if record >= first_line + skip),
            )
    if "\n" in last_value and last_character != '"':
        raise UnreadableFile(_unclosed(file, line, "is never closed, so that all that follows is one value"))
    rest = [(at, to, found) for record, at, to, found in lines.rest(ragged_rows) if record >= first_line + skip]
    if rest:
        nothing = pa.table({str(i): pa.array([], pa.string()) for i in positions})
        yield TextBatch(nothing, pa.array([], pa.int64()), tuple(RaggedRow(at, to, found, width) for at, to, found in rest))


def _unclosed(file: ExportFile, line: int, what: str) -> str:
    return f"{file.name}: a quote opened in or after the record of line {line} {what}; close the quote there, or export again"


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _line_breaks(batch: pa.RecordBatch) -> np.ndarray:
    """Line breaks inside the quoted values of every record."""
    breaks = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        data = column.buffers()[2]
        if data is not None and np.isin(np.frombuffer(data, np.uint8), (10, 13)).any():
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
