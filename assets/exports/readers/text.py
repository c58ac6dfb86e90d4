"""What every reader gives: the header of a file, and its rows as text in batches, each with its line.

What belongs here: those types. What does not: any file form (the modules beside this one) and any meaning of the text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

Line = int
"""A place in a file: the physical line of a text file, the row of a sheet, the row number of a Parquet file."""


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be taken apart into the header's columns; ``expected`` says what should be there and what is."""

    line: Line
    expected: str


@dataclass(frozen=True)
class TextBatch:
    """Rows in the order of the file: text columns named by their position in the header ("0", "1", …), and lines.

    ``parts`` numbers the rows of one line where it makes several; ``passed_over`` counts lines that are no rows of the
    table. Both come from assets/exports/shaping.py alone.
    """

    columns: pa.Table
    lines: pa.Array
    broken: tuple[BrokenRow, ...] = ()
    parts: pa.Array | None = None
    passed_over: int = 0


@dataclass(frozen=True)
class TextFile:
    """A file as text. ``batches(positions)`` reads the columns at those positions of ``header``, from the start each time.

    Nothing is guessed: "00000005" and "NA" stay what they are, no value is null but in Parquet, in JSON and in empty
    cells of a sheet. Rows without any value are left out, as blank lines are. ``form`` says in words in which form the
    file was found to be, such as ``CSV, GB18030, ';', CRLF``.
    """

    header: tuple[str, ...]
    batches: Callable[[Sequence[int]], Iterator[TextBatch]]
    form: str
