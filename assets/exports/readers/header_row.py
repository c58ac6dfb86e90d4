"""Which row of a file is the header, where titles stand above it.

What belongs here: the shape of the first rows. What does not: reading them, and which header is which column.
"""

from collections.abc import Sequence

ROWS_LOOKED_AT = 20
"""Rows at the top of a file among which the header must be."""

_TITLE_CELLS = 2
_HEADER_CELLS = 3


def likely_header_row(rows: Sequence[Sequence[str]]) -> int:
    """The row, from 1, that looks like the header among the first ones of a file.

    That is the first row, unless it holds no more than two values, as titles do, and a later one holds at least three
    and twice as many, all of them different and none a number, and most rows below it hold more than half as many.
    """
    filled = [[cell.strip() for cell in row if cell.strip()] for row in rows[:ROWS_LOOKED_AT]]
    if not filled or len(filled[0]) > _TITLE_CELLS:
        return 1
    least = max(_HEADER_CELLS, 2 * len(filled[0]))
    return next((row for row, cells in enumerate(filled, start=1) if len(cells) >= least and _heads(cells, filled[row:])), 1)


def _heads(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """True where ``cells`` could be the names of the columns of the rows ``below``."""
    are_names = len({*cells}) == len(cells) and not any(_is_number(cell) for cell in cells)
    return are_names and 2 * sum(2 * len(row) > len(cells) for row in below) >= len(below)


def title_above(where: str, row: int) -> str:
    """What is said of a file whose header looks to stand in ``row`` below a title."""
    return (
        f"{where}: row 1 looks like a title, and row {row} like the header; set header_row: {row} for this table, "
        f"or header_row: 1 if the first row is the header"
    )


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").lstrip("+-").isdigit()
