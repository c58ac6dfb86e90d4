"""Shapes a file into rows of its table: which rows are the table's, wide columns into rows, columns that another file holds.

What belongs here: what a `Part` of a CRM's declaration says of rows, done on text before any header is mapped, so that
everything after sees an ordinary file. What does not: headers (headers.py) and values (parsing.py).

Rows keep the line that they come from; the rows of one line are numbered by ``parts``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm, Link, Part, Spelling, Wide
from assets.exports.errors import HeaderProblems, listed
from assets.exports.files import ExportFile
from assets.exports.headers import HeaderPlaces, find_header
from assets.exports.parsing import BLANKS
from assets.exports.readers.text import BrokenRow, TextBatch, TextFile

Pairs = Callable[[str], pa.Table | None]
"""Key and value columns of a lookup by its name; null where it is not configured."""


def part_of(places: HeaderPlaces, table: str, crm: Crm) -> Part:
    """The first part of the table that a file's headers fit; an empty one where the CRM declares none."""
    return next((part for part in crm.parts.get(table, ()) if all(places.first((spelling,)) is not None for spelling in part.when)), Part())


def shaped(text: TextFile, part: Part, file: ExportFile, pairs: Pairs) -> tuple[TextFile, Part]:
    """The file as rows of its table, and the part with what the shaping settled: columns of its own under canonical names."""
    text = rows_of_table(_without_headers(text), part.only, part.leave_out)
    settled: dict[str, tuple[Spelling, ...]] = {}
    if part.wide is not None:
        text = _unfolded(text, part.wide, file.name)
        settled |= {part.wide.label: (), part.wide.value: ()}
    for column, link in part.links.items():
        text = _linked(text, column, link, pairs(link.lookup))
        settled |= {column: ()} | ({link.numbered: ()} if link.numbered else {})
    constants = dict(part.constants)
    if part.dated_by_file is not None and file.snapshot is not None:
        constants[part.dated_by_file] = file.snapshot.isoformat()
    return text, replace(part, headers={**part.headers, **settled}, constants=constants)


def headers_read(header: Sequence[str], part: Part) -> frozenset[str]:
    """The headers that a part reads by itself, beside those that become columns."""
    wide = part.wide
    named: list[tuple[Spelling, ...]] = [(s,) for s in (*part.only, *part.leave_out, *(rule.header for rule in part.keep_if.values()))]
    named += [link.key for link in part.links.values()]
    named += [(s,) for s in (*wide.headers, wide.given)] if wide else []
    places = (find_header(header, spellings) for spellings in named)
    return frozenset(header[place] for place in places if place is not None)


def _without_headers(text: TextFile) -> TextFile:
    """The file without the rows that repeat its header, as they stand where files were joined: they are broken rows."""

    def batches(positions: Sequence[int]) -> Iterator[TextBatch]:
        named = [place for place in positions if text.header[place].strip()]
        for batch in text.batches(positions):
            is_header = None
            for place in named:
                same = pc.equal(batch.columns[str(place)], text.header[place]).fill_null(False)
                is_header = same if is_header is None else pc.and_(is_header, same)
                if not pc.any(is_header).as_py():
                    break
            else:
                if is_header is not None:
                    batch = _with_broken(batch, is_header)
            yield batch

    return replace(text, batches=batches)


def _with_broken(batch: TextBatch, is_header: pa.ChunkedArray) -> TextBatch:
    expected = "a row of values, found the header again: were files joined into one?"
    again = tuple(BrokenRow(line, expected) for line in batch.lines.filter(is_header.combine_chunks()).to_pylist())
    rows = pc.invert(is_header)
    return replace(batch, columns=batch.columns.filter(rows), lines=batch.lines.filter(rows.combine_chunks()), broken=(*batch.broken, *again))


def rows_of_table(text: TextFile, only: Mapping[tuple[str, ...], tuple[str, ...]], leave_out: Mapping[tuple[str, ...], tuple[str, ...]]) -> TextFile:
    """The file without the rows of other tables. A header that the file lacks leaves nothing out."""
    rules = [
        (find_header(text.header, (spellings,)), values, kept) for named, kept in ((only, True), (leave_out, False)) for spellings, values in named.items()
    ]
    rules = [(place, pa.array([value.lower() for value in values], pa.string()), kept) for place, values, kept in rules if place is not None]
    if not rules:
        return text

    def batches(positions: Sequence[int]) -> Iterator[TextBatch]:
        for batch in text.batches(sorted({*positions, *(place for place, _, _ in rules)})):
            mask = pa.array(np.ones(batch.columns.num_rows, dtype=bool))
            for place, values, kept in rules:
                is_named = pc.is_in(pc.utf8_lower(_text(batch.columns[str(place)])), value_set=values)
                mask = pc.and_(mask, is_named if kept else pc.invert(is_named))
            passed_over = len(mask) - (mask.true_count or 0)
            yield replace(batch, columns=batch.columns.filter(mask), lines=batch.lines.filter(mask), passed_over=batch.passed_over + passed_over)

    return replace(text, batches=batches)


def _unfolded(text: TextFile, wide: Wide, file_name: str) -> TextFile:
    """One row per named column that has a value; the label and the value are two columns more."""
    found = {place: label for spellings, label in wide.headers.items() if (place := find_header(text.header, (spellings,))) is not None}
    given = find_header(text.header, (wide.given,)) if wide.given else None
    if wide.given and given is None:
        raise HeaderProblems(
            f"{file_name}: looked for headers {', '.join(wide.given)} beside the columns {listed(text.header[p] for p in found)}; "
            "add it, or name its header one of these"
        )
    places = list(found)
    labels = [found[p] for p in places]
    header = (*text.header, wide.label, wide.value)
    pieces = [piece for piece in re.split(r"(\{label\}|\{given\})", wide.form) if piece]

    def batches(positions: Sequence[int]) -> Iterator[TextBatch]:
        asked = {p for p in positions if p < len(text.header)}
        for batch in text.batches(sorted({*asked, *places, *([] if given is None else [given])})):
            columns = [_text(batch.columns[str(p)]) for p in places]
            there = np.column_stack([pc.not_equal(c, "").to_numpy(zero_copy_only=False) for c in columns])
            sources, kinds = np.nonzero(there)
            values = pa.concat_arrays(columns).take(pa.array(kinds * len(columns[0]) + sources))
            told = {"{label}": pa.array(labels, pa.string()).take(pa.array(kinds))}
            if given is not None:
                told["{given}"] = _text(batch.columns[str(given)]).take(pa.array(sources))
            label = pc.binary_join_element_wise(*(told.get(piece, pa.scalar(piece)) for piece in pieces), "")
            more = {str(len(text.header)): label, str(len(text.header) + 1): values}
            yield _expanded(batch, sources, more, int((~there.any(axis=1)).sum()))

    return replace(text, header=header, batches=batches)


def _linked(text: TextFile, column: str, link: Link, pairs: pa.Table | None) -> TextFile:
    """One row per value that the key leads to, and one without a value where it leads to none."""
    key = find_header(text.header, link.key)
    if key is None:
        return text
    keys, counts, values = _grouped_by_key(pairs, is_first_only=link.numbered is None)
    starts = np.concatenate(([0], np.cumsum(counts)))[:-1].astype(np.int64)
    header = (*text.header, column, *([link.numbered] if link.numbered else []))

    def batches(positions: Sequence[int]) -> Iterator[TextBatch]:
        asked = {p for p in positions if p < len(text.header)}
        for batch in text.batches(sorted({*asked, key})):
            ids = _text(batch.columns[str(key)])
            found = pc.index_in(ids, value_set=keys)
            group = found.fill_null(len(keys)).to_numpy()
            many = np.append(counts, 1)[group]
            sources = np.repeat(np.arange(len(ids)), many)
            place = np.append(starts, 0)[group[sources]] + _numbers(sources)
            value = values.take(pa.array(place, pa.int64(), mask=group[sources] == len(keys)))
            own = ids.take(pa.array(sources))
            several = pa.array(many[sources] > 1)
            numbered = pc.if_else(several, pc.binary_join_element_wise(own, pc.fill_null(value, ""), "/"), own)
            added = {str(len(text.header)): value, str(len(text.header) + 1): numbered}
            yield _expanded(batch, sources, added, 0)

    return replace(text, header=header, batches=batches)


def _grouped_by_key(pairs: pa.Table | None, is_first_only: bool) -> tuple[pa.Array, np.ndarray, pa.Array]:
    """The keys of a lookup, how many values each has, and the values in the order of their keys."""
    if pairs is None or not pairs.num_rows:
        return pa.array([], pa.string()), np.array([], dtype=np.int64), pa.array([], pa.string())
    place = pc.dictionary_encode(pairs["key"].combine_chunks())
    order = np.argsort(place.indices.to_numpy(), kind="stable")
    counts = np.bincount(place.indices.to_numpy())
    if is_first_only:
        order, counts = order[np.concatenate(([0], np.cumsum(counts)))[:-1]], np.ones_like(counts)
    return place.dictionary, counts, pairs["value"].combine_chunks().take(pa.array(order))


def _text(column: pa.ChunkedArray) -> pa.Array:
    """The texts without blanks at both ends; no value is a blank text."""
    return pc.utf8_trim(pc.fill_null(column.cast(pa.string()), ""), characters=BLANKS).combine_chunks()


def _numbers(sources: np.ndarray) -> np.ndarray:
    """0, 1, 2 … within every run of equal numbers of an ascending array."""
    if not len(sources):
        return sources
    begins = np.flatnonzero(np.concatenate(([True], np.diff(sources) != 0)))
    return np.arange(len(sources)) - np.repeat(begins, np.diff(np.concatenate((begins, [len(sources)]))))


def _expanded(batch: TextBatch, sources: np.ndarray, more: Mapping[str, pa.Array], passed_over: int) -> TextBatch:
    """The rows of ``batch`` at ``sources`` (ascending, a row may be there several times) with further columns."""
    take = pa.array(sources)
    columns = batch.columns.take(take)
    for name, column in more.items():
        columns = columns.append_column(name, column)
    parts = pa.array(_numbers(sources).astype(np.int32))
    return replace(batch, columns=columns, lines=batch.lines.take(take), parts=parts, passed_over=batch.passed_over + passed_over)
