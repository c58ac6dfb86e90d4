"""JSON lines: one JSON object per line, its keys being the header, as text columns with the lines' numbers.

What belongs here: taking objects apart. What does not: header names and the meaning of values. Keys may come in any
order; a key that an object lacks is no value, and so is null. Numbers keep their digits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from assets.exports.errors import UnreadableFile, shown
from assets.exports.files import ExportFile
from assets.exports.parsing import literal
from assets.exports.readers.delimited import BLOCK_BYTES
from assets.exports.readers.encoding import UTF8, Encoding, encoding_of
from assets.exports.readers.opening import opened
from assets.exports.readers.text import BrokenRow, TextBatch, TextFile
from assets.exports.settings import FileForm

_NO_DELIMITER = "\x1f"

_WHOLE = "a whole JSON object"
_BROKEN = {
    "cut": f"{_WHOLE}; the line is not valid JSON: it may have been cut off",
    "twice": f"{_WHOLE}; a key stands in it twice",
    "other": f"{_WHOLE}; the line is another JSON value",
}

_KINDS_SQL = """
SELECT _line, line, CASE
    WHEN NOT json_valid(line) THEN 'cut'
    WHEN json_type(line) <> 'OBJECT' THEN 'other'
    WHEN len(json_keys(line)) <> len(list_distinct(json_keys(line))) THEN 'twice'
    ELSE 'whole' END AS kind
FROM lines ORDER BY _line
"""

_KEYS_SQL = """
WITH whole AS (SELECT _line, json_keys(line) AS keys FROM lines WHERE json_valid(line) AND json_type(line) = 'OBJECT')
SELECT key, min(_line * 1000000 + position)
FROM (SELECT _line, unnest(keys) AS key, generate_subscripts(keys, 1) AS position FROM whole)
GROUP BY key
"""


def read_json_lines(file: ExportFile, form: FileForm) -> TextFile:
    """The text of a file of JSON lines; UnreadableFile where it is one JSON value over many lines, or no line is an object."""
    encoding = encoding_of(file, form.encoding)
    first: dict[str, int] = {}
    with duckdb.connect(":memory:") as connection:
        for lines in _lines(file, encoding):
            connection.register("lines", lines)
            for key, place in connection.sql(_KEYS_SQL).fetchall():
                first.setdefault(key, place)
    if not first or _begins_with(file, b"["):
        raise UnreadableFile(_no_object(file))
    header = tuple(sorted(first, key=first.__getitem__))
    return TextFile(header, partial(_batches, file, encoding, header), ", ".join(["JSON lines", encoding.shown]))


def _begins_with(file: ExportFile, sign: bytes) -> bool:
    with opened(file) as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(sign)


def _no_object(file: ExportFile) -> str:
    if _begins_with(file, b"["):
        return f"{file.name}: is one JSON array, not one JSON object per line; export it as JSON lines, or turn it into them (jq -c '.[]')"
    if _begins_with(file, b"{"):
        return f"{file.name}: is one JSON object over many lines, not one object per line; export it as JSON lines, or turn it into them (jq -c .)"
    return f"{file.name}: no line is a JSON object; export it again as JSON lines, one object per line"


@contextmanager
def _reader(file: ExportFile, encoding: Encoding):
    with opened(file) as raw:
        stream = pa.PythonFile(raw, mode="r")
        if encoding.codec not in UTF8:
            stream = pa.transcoding_input_stream(stream, encoding.codec, "utf-8")
        with arrow_csv.open_csv(
            stream,
            arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=["line"]),
            arrow_csv.ParseOptions(delimiter=_NO_DELIMITER, quote_char=False, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False, null_values=[], check_utf8=False),
        ) as reader:
            yield reader


def _lines(file: ExportFile, encoding: Encoding) -> Iterator[pa.Table]:
    """The lines that are not blank, with their numbers."""
    number = 1
    try:
        with _reader(file, encoding) as reader:
            for batch in reader:
                numbers = pa.array(np.arange(number, number + batch.num_rows, dtype=np.int64))
                number += batch.num_rows
                lines = pa.table({"_line": numbers, "line": pc.utf8_trim(batch.column(0), characters=" \t\ufeff")})
                yield lines.filter(pc.not_equal(lines["line"], ""))
    except pa.ArrowInvalid as error:
        raise UnreadableFile(
            f"{file.name}: line {number} or one after it is longer than {BLOCK_BYTES >> 20} MB; export it again, one object per line"
        ) from error


def _batches(file: ExportFile, encoding: Encoding, header: tuple[str, ...], positions: Sequence[int]) -> Iterator[TextBatch]:
    paths = [_pointer(header[i]) for i in positions]
    values = ", ".join(f'json_extract_string(line, {path}) AS "{i}"' for i, path in zip(positions, paths, strict=True))
    nested = ", ".join(f"min(_line) FILTER (json_type(line, {path}) IN ('OBJECT', 'ARRAY'))" for path in paths)
    with duckdb.connect(":memory:") as connection:
        for lines in _lines(file, encoding):
            connection.register("lines", lines)
            read = connection.sql(_KINDS_SQL).to_arrow_table()
            is_whole = pc.equal(read["kind"], "whole")
            whole, broken = read.filter(is_whole), read.filter(pc.invert(is_whole)).to_pydict()
            connection.register("whole", whole)
            for position, line in zip(positions, connection.sql(f"SELECT {nested} FROM whole").fetchall()[0], strict=True):
                if line is not None:
                    raise UnreadableFile(
                        f"{file.name}: line {line}: the key {shown(header[position])} holds an object or a list, which is not one value; export it flat"
                    )
            texts = connection.sql(f"SELECT _line, {values} FROM whole ORDER BY _line").to_arrow_table()
            rows = tuple(BrokenRow(line, _BROKEN[kind]) for line, kind in zip(broken["_line"], broken["kind"], strict=True))
            yield TextBatch(texts.drop_columns("_line"), texts["_line"].combine_chunks(), rows)


def _pointer(key: str) -> str:
    """SQL: the JSON pointer to a key of the object."""
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))
