"""Puts the texts of columns into Leadline's words: codes into outcomes, ids into the names they stand for.

What belongs here: what a declaration says of a column's values (`Crm.values`, `Crm.keep_if`, `Crm.lookups`), over whole
columns of text. What does not: parsing (parsing.py) and rows (shaping.py).
"""

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm
from assets.exports.headers import HeaderMap, find_header
from assets.exports.lookups import Lookups
from assets.exports.parsing import BLANKS


class Translation:
    """How the values of one file's columns are put into Leadline's words.

    ``positions`` are read for that besides the columns' own; ``beside`` are the columns that depend on one of those.
    """

    def __init__(self, table: str, crm: Crm, mapping: HeaderMap, headers: tuple[str, ...], lookups: Lookups):
        self._table = table
        self._lookups = lookups
        self._values = {name: _pairs(values) for name, values in crm.values.get(table, {}).items() if name in mapping.columns}
        self._kept = {}
        for name, rule in crm.keep_if.get(table, {}).items():
            place = find_header(headers, (rule.header,)) if rule.header else None
            if name in mapping.columns and (place is not None or not rule.header):
                self._kept[name] = (place, rule.pattern)
        self.beside = frozenset(name for name, (place, _) in self._kept.items() if place is not None)
        self.positions = frozenset(place for place, _ in self._kept.values() if place is not None)

    def text(self, column: str, texts: pa.ChunkedArray | pa.Array, group: pa.Table) -> pa.ChunkedArray | pa.Array:
        """The texts of ``column``, translated: all of those in ``group``, or the distinct ones, but of a column in ``beside``."""
        if column in self._kept:
            place, pattern = self._kept[column]
            looked_at = texts if place is None else pc.utf8_trim(group[str(place)], characters=BLANKS)
            texts = pc.if_else(pc.match_substring_regex(looked_at, pattern).fill_null(False), texts, None)
        if column in self._values:
            known, words = self._values[column]
            place = pc.index_in(pc.utf8_lower(texts), value_set=known)
            texts = pc.if_else(place.is_valid(), words.take(place), texts)
        return self._lookups.replaced(self._table, column, texts)


def _pairs(values) -> tuple[pa.Array, pa.Array]:
    """The texts that are translated, in lower case, and their words; a blank word is no value."""
    known = pa.array([text.lower() for text in values], pa.string())
    return known, pa.array([word or None for word in values.values()], pa.string())
