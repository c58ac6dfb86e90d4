"""Parquet files as text columns, so that every form of file is parsed and judged alike.

What belongs here: turning stored types into text without loss. What does not: header names and the meaning of values.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.exports.errors import UnreadableFile, shown
from assets.exports.files import ExportFile
from assets.exports.readers.opening import is_plain, opened
from assets.exports.readers.text import TextBatch, TextFile
from assets.exports.settings import FileForm

_BATCH_ROWS = 131_072


def read_parquet(file: ExportFile, form: FileForm) -> TextFile:
    """The text of a Parquet file; UnreadableFile where it is broken."""
    with _parquet(file) as parquet:
        names = parquet.schema_arrow.names
    return TextFile(tuple(names), partial(_batches, file), "Parquet")


@contextmanager
def _parquet(file: ExportFile) -> Iterator[pq.ParquetFile]:
    """The opened file: in place where it stands plain on a local disk, else unpacked in memory."""
    try:
        if is_plain(file):
            with pq.ParquetFile(file.path) as parquet:
                yield parquet
        else:
            with opened(file) as stream, pq.ParquetFile(io.BytesIO(stream.read())) as parquet:
                yield parquet
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFile(f"{file.name}: is not a whole Parquet file; copy or export it again") from error


def _batches(file: ExportFile, positions: Sequence[int]) -> Iterator[TextBatch]:
    line = 1
    with _parquet(file) as parquet:
        names = parquet.schema_arrow.names
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=[names[i] for i in positions], use_threads=False):
            columns = {str(i): _text(file, names[i], batch.column(names[i])) for i in positions}
            yield TextBatch(pa.table(columns), pa.array(np.arange(line, line + batch.num_rows, dtype=np.int64)))
            line += batch.num_rows


def _text(file: ExportFile, name: str, column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_floating(kind):
        return _plain(column.cast(pa.float64()))
    if pa.types.is_decimal(kind):
        return _plain_decimals(column)
    if pa.types.is_timestamp(kind):
        zone = "Z" if kind.tz else ""
        return pc.strftime(column.cast(pa.timestamp("us", kind.tz and "UTC"), safe=False), format=f"%Y-%m-%dT%H:%M:%S{zone}")
    if pa.types.is_nested(kind):
        raise UnreadableFile(f"{file.name}: the column {shown(name)} holds {kind}, which is not one value per row; export it as plain text or numbers")
    return column.cast(pa.string())


def _plain(column: pa.Array) -> pa.Array:
    """Floats in the shortest digits that give them back, without exponents; not-a-number is no value."""
    column = pc.if_else(pc.is_finite(column), column, None)
    text = column.cast(pa.string())
    return _without_exponent(text, column, pc.match_substring(text, "e"), lambda value: np.format_float_positional(value, trim="-"))


def _plain_decimals(column: pa.Array) -> pa.Array:
    """Decimals with all their digits, without exponents."""
    text = column.cast(pa.string())
    return _without_exponent(text, column, pc.match_substring(text, "E"), lambda value: f"{value:f}")


def _without_exponent(text: pa.Array, column: pa.Array, has_one: pa.Array, plain: Callable) -> pa.Array:
    """The text with the values that Arrow wrote with an exponent, very large or small ones, written out."""
    has_one = has_one.fill_null(False)
    if not has_one.true_count:
        return text
    return pc.replace_with_mask(text, has_one, pa.array([plain(value) for value in column.filter(has_one).to_pylist()], pa.string()))
