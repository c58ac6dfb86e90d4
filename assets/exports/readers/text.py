"""What every reader gives: the header of a file, and its rows as text in batches, each with its line.

What belongs here: those types. What does not: any file form (the modules beside this one) and any meaning of the text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

Line = int
"""A place in a file: the physical line of a text file, the row of a sheet, the row number of a Parquet file."""


@dataclass(frozen=True)
class RaggedRow:
    """A row whose number of columns is not the header's; ``last_line`` is beyond ``line`` where it has quoted breaks.

    ``columns_found`` is null where the number is right but one value holds the rest of its row, whole rows and the
    beginning of another: a quote was not closed.
    """

    line: Line
    last_line: Line
    columns_found: int | None
    columns_expected: int


@dataclass(frozen=True)
class TextBatch:
    """Rows in the order of the file: text columns named by their position in the header ("0", "1", …), and lines.

    ``parts`` numbers the rows of one line where it makes several; ``passed_over`` counts lines that are no rows of the
    table. Both come from assets/exports/shaping.py alone.
    """

    columns: pa.Table
    lines: pa.Array
    ragged: tuple[RaggedRow, ...] = ()
    parts: pa.Array | None = None
    passed_over: int = 0


@dataclass(frozen=True)
class TextFile:
    """A file as text. ``batches(positions)`` reads the columns at those positions of ``header``, from the start each time.

    Nothing is guessed: "00000005" and "NA" stay what they are, no value is null but in Parquet and empty cells of a
    sheet. Rows without any value are left out, as blank lines are.
    """

    header: tuple[str, ...]
    batches: Callable[[Sequence[int]], Iterator[TextBatch]]
