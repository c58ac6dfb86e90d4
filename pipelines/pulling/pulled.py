"""What a pull leaves, in figures.

What belongs here: that. What does not: pulling; this module is imported where httpx should not be.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PulledTable:
    """What a pull made of one table: its file, rows that came, rows in the file, deleted ones, and what must be said."""

    table: str
    file: Path
    received: int
    rows: int
    deleted: int
    whole: bool
    notes: tuple[str, ...]
