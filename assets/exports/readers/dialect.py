"""How a delimited file is cut into records and values: its delimiter, its line ends, its header.

What belongs here: what the first records tell. What does not: encodings (encoding.py), and the reading of all
records (delimited.py).

The delimiter is the one that cuts the header into at least two names and most of the first records into as many
values. Where two do so, the person is asked.
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from assets.exports.errors import SourceProblems, UnreadableFile
from assets.exports.files import ExportFile
from assets.exports.readers.encoding import Encoding
from assets.exports.readers.header_row import ROWS_LOOKED_AT, likely_header_row, title_above
from assets.exports.readers.opening import opened, plain_name
from assets.exports.settings import FileForm

DELIMITERS = (",", ";", "\t", "|")
"""Delimiters that are found without being configured."""

_SAMPLE_BYTES = 1 << 20
_SAMPLE_RECORDS = 200
_CONSISTENT_SHARE = 0.5
_LINE_END = re.compile("\r\n|\r|\n")
_STATED = re.compile('^"?sep=(.)"?$')
_NAMES = {"\r\n": "CRLF", "\n": "LF", "\r": "CR", "\t": "tab"}


@dataclass(frozen=True)
class Dialect:
    """Delimiter, header, the row (from 1) that it stands in, and the line end of the first line."""

    delimiter: str
    header: tuple[str, ...]
    header_row: int
    line_end: str

    @property
    def shown(self) -> tuple[str, ...]:
        """Delimiter, line end and an unusual row of the header, in words."""
        row = (f"header in row {self.header_row}",) if self.header_row > 1 else ()
        return (_NAMES.get(self.delimiter, repr(self.delimiter)), _NAMES.get(self.line_end, "one line"), *row)


def dialect_of(file: ExportFile, form: FileForm, encoding: Encoding) -> Dialect:
    """The dialect of ``file`` as configured, else as its first records show.

    Raises UnreadableFile where the header's row is blank or is not the header, or the delimiter cannot be told, and
    SourceProblems where the configured one cannot be used.
    """
    if form.delimiter is not None and (len(form.delimiter) != 1 or form.delimiter in '"\r\n'):
        raise SourceProblems(f"{file.name}: the delimiter {form.delimiter!r} cannot be used; expected one character such as ',' or ';' or a tab")
    text = _sample(file, encoding)
    stated = _STATED.match(text.split("\n", 1)[0].rstrip("\r"))
    row = form.header_row or (2 if stated else 1)
    if form.header_row is None and not stated:
        _check_no_title(file, text)
    below = _below(text, row)
    if form.delimiter or stated or plain_name(file).endswith(".tsv"):
        delimiter = form.delimiter or (stated[1] if stated else "\t")
    else:
        delimiter = _found_delimiter(file, below, row)
    header = tuple(value.strip("\ufeff") for value in next(_records(below, delimiter), []))
    _check_header(file, row, header, delimiter)
    end = _LINE_END.search(text)
    return Dialect(delimiter, header, row, end[0] if end else "")


def _sample(file: ExportFile, encoding: Encoding) -> str:
    """The text at the beginning of the file, in whole lines unless the first is longer."""
    with opened(file) as stream:
        head = stream.read(_SAMPLE_BYTES)
        is_all = not stream.read(1)
    text = codecs.getincrementaldecoder(encoding.codec)().decode(head, final=is_all).lstrip("\ufeff")
    if is_all:
        return text
    if not _LINE_END.search(text):
        raise UnreadableFile(f"{file.name}: the first line is longer than {_SAMPLE_BYTES >> 20} MB: it has no line breaks, or is no table; export it again")
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def _below(text: str, row: int) -> str:
    """The text from the physical line ``row`` on."""
    for _ in range(row - 1):
        end = _LINE_END.search(text)
        text = text[end.end() :] if end else ""
    return text


def _records(text: str, delimiter: str):
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:  # a value longer than Python's reader takes
        return


def _check_no_title(file: ExportFile, text: str) -> None:
    lines = _LINE_END.split(text, ROWS_LOOKED_AT)[:ROWS_LOOKED_AT]
    row = likely_header_row([next(_records(line, max(DELIMITERS, key=line.count)), []) for line in lines if line or line is not lines[-1]])
    if row > 1:
        raise UnreadableFile(title_above(file.name, row))


def _found_delimiter(file: ExportFile, text: str, row: int) -> str:
    fitting, cutting = [], []
    for delimiter in DELIMITERS:
        records = [record for record in islice(_records(text, delimiter), _SAMPLE_RECORDS) if record]
        width = len(records[0]) if records else 0
        if width > 1:
            cutting.append(delimiter)
            if not records[1:] or sum(len(record) == width for record in records[1:]) > _CONSISTENT_SHARE * len(records[1:]):
                fitting.append((delimiter, width))
    if len(fitting) > 1:
        both = " and ".join(f"{_NAMES.get(d, repr(d))} ({width} columns)" for d, width in fitting)
        settings = " or ".join(f"delimiter: {d!r}" for d, _ in fitting)
        raise UnreadableFile(f"{file.name}: both {both} cut the header in row {row} and the rows alike; set {settings} for this table")
    if fitting:
        return fitting[0][0]
    if len(cutting) > 1:
        raise UnreadableFile(
            f"{file.name}: the delimiter cannot be told: {' and '.join(_NAMES.get(d, repr(d)) for d in cutting)} cut the header in row {row}, "
            f"but most rows into another number of columns; set delimiter for this table, or export it again"
        )
    return cutting[0] if cutting else ","


def _check_header(file: ExportFile, row: int, header: Sequence[str], delimiter: str) -> None:
    if not any(name.strip() for name in header):
        raise UnreadableFile(f"{file.name}: row {row} should hold the header and is blank; set header_row to the row that does, or export again")
    other = [d for d in DELIMITERS if len(header) == 1 and d in header[0]]
    if other:
        raise UnreadableFile(f"{file.name}: the header is one name that holds {other[0]!r}, not {delimiter!r}; set delimiter: {other[0]!r} for it")
