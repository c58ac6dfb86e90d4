"""Turns rows of an interface's answer into columns of text under Leadline's names, and compares fields with those of before.

What belongs here: paths, names, required fields, drift of the CRM's schema. What does not: requests and files.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from assets.exports.pulling.declaration import Column, Page, Row, Source, Value, column
from pipelines.pulling.errors import PullDenied, SchemaError

Lookups = Mapping[str, Mapping[str, str]]

_ABSENT = object()


@dataclass(frozen=True)
class Fields:
    """What is asked of one source: its columns, those of the company's own fields among them, and the fields they need."""

    columns: tuple[Column, ...]
    asked: tuple[str, ...]


def choose_fields(table: str, source: Source, own: Sequence[str], known: frozenset[str] | None) -> tuple[Fields, tuple[str, ...]]:
    """The fields to ask for, and columns that are left out because the CRM has none of their fields.

    ``known`` are the CRM's fields, None where it lists none. Raises SchemaError where a required column has none.
    """

    def is_there(value: Value) -> bool:
        field = source.asked(value.path)
        return known is None or field is None or field in known

    columns = [Column(c.name, tuple(v for v in c.values if is_there(v)), c.required) for c in source.columns]
    lost = [c for c in columns if c.required and not c.values]
    if lost:
        wanted = {c.name: ", ".join(str(source.asked(v.path)) for v in c.values) for c in source.columns}
        raise SchemaError(
            f"{source.object} has no {'; no '.join(f'{wanted[c.name]} (for {c.name})' for c in lost)}",
            where=table,
            expected="the fields that Leadline cannot do without",
            remedy="give the user of the pull the right to read them, or bring the field back in the CRM; the export files of the last pull stand",
        )
    added = [column(name, source.extra.format(name)) for name in own if known is None or name in known]
    present = [c for c in columns if c.values] + added
    asked = dict.fromkeys(field for c in present for v in c.values if (field := source.asked(v.path)) is not None)
    return Fields(tuple(present), tuple(asked)), tuple(c.name for c in columns if not c.values)


def check_own_fields(table: str, own: Sequence[str], known: Iterable[str], before: Iterable[str]) -> None:
    """Raise PullDenied where the configuration adds fields that the CRM neither has nor had when it was last pulled."""
    known = sorted(known)
    unknown = [name for name in own if name not in {*known, *before}]
    if unknown:
        near = ", ".join(m for name in unknown for m in get_close_matches(name, known, n=1))
        raise PullDenied(
            f"the CRM has no {', '.join(unknown)}, or does not show it to the user of the pull",
            where=f"pull.fields.{table}",
            expected=f"names of fields as the CRM's interface has them{f'; nearest: {near}' if near else ''}",
            remedy="correct the name, or give the user the right to read the field",
        )


def drift(table: str, name: str, known: Iterable[str], before: Iterable[str] | None, left_out: Sequence[str]) -> list[str]:
    """One line each for what vanished and what appeared since the last pull, or for what a first pull does not find."""
    if before is None:
        return [f"{table}: {name} has no field for {', '.join(left_out)}"] if left_out else []
    vanished, appeared = sorted({*before} - {*known}), sorted({*known} - {*before})
    lines = [f"{table}: vanished from {name}: {', '.join(vanished)}; its column stays empty where rows change"] if vanished else []
    return lines + ([f"{table}: new in {name}: {', '.join(appeared)}; named below pull.fields.{table} they are pulled too"] if appeared else [])


def rows_table(table: str, source: Source, fields: Fields, pages: Sequence[Page], lookups: Lookups) -> pa.Table:
    """The rows of ``pages`` as text, with `_id`, `_deleted` and `_gone`; ids that are gone are rows without values.

    Raises SchemaError where a row lacks its id or a required field: that is another form than the CRM had.
    """
    rows = [row for page in pages for row in page.rows]
    gone = [identity for page in pages for identity in page.gone]
    _check_form(table, source, fields.columns, rows)
    columns = {c.name: [_first(row, c.values, lookups) for row in rows] + [None] * len(gone) for c in fields.columns}
    deleted = [source.is_deleted or (source.deleted is not None and _text(_at(row, source.deleted)) == "true") for row in rows]
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    arrays["_id"] = pa.array([*(_text(_at(row, source.identity)) for row in rows), *gone], pa.string())
    arrays["_deleted"] = pa.array([*deleted, *(True for _ in gone)], pa.bool_())
    arrays["_gone"] = pa.array([False] * len(rows) + [True] * len(gone), pa.bool_())
    return pa.table(arrays)


def _check_form(table: str, source: Source, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    required = [(source.identity,), *(tuple(v.path for v in c.values) for c in columns if c.required)]
    for paths in required:
        lacking = sum(all(_at(row, path) is _ABSENT for path in paths) for row in rows)
        if lacking:
            raise SchemaError(
                f"{lacking} of {len(rows)} rows of {source.object} lack {' and '.join(paths)}",
                where=table,
                expected="the field in every row, if only empty",
                remedy="see whether the user of the pull may read that field; if so, the CRM's interface has changed: report it with this message",
            )


def _first(row: Row, values: Sequence[Value], lookups: Lookups) -> str | None:
    return next((found for value in values if (found := _value(row, value, lookups)) is not None), None)


def _value(row: Row, value: Value, lookups: Lookups) -> str | None:
    text = _text(_at(row, value.path))
    if not text or not text.startswith(value.prefix) or (value.when and _text(_at(row, value.when[0])) != value.when[1]):
        return None
    if value.names is not None:
        return value.names.get(text)
    return lookups[value.lookup].get(text, text) if value.lookup else text


def _at(row: Any, path: str) -> Any:
    for name in path.split("/"):
        if not isinstance(row, Mapping) or name not in row:
            return _ABSENT
        row = row[name]
    return row


def _text(value: Any) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case None:
            return None
        case _ if value is _ABSENT:
            return None
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
