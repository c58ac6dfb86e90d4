"""What became of a row of an export, for `leadline why`: accepted, superseded, or rejected with every reason.

What belongs here: finding the row and wording its verdict. What does not: what is known of its opportunity
(explain.py), and judging.
"""

import json
from collections.abc import Iterator

from pipelines.stored import Stored
from quality.masking import quoted
from quality.tables import EXPORTED

_ABOUT = {
    "unknown_stage": ("stage",),
    "unknown_pipeline": ("pipeline",),
    "unknown_currency": ("currency",),
    "unknown_opportunity": ("opportunity_id",),
    "unknown_owner": ("owner_id",),
    "created_in_future": ("created_at",),
    "closed_in_future": ("closed_at",),
    "closed_before_created": ("created_at", "closed_at"),
    "closed_without_date": ("stage", "closed_at"),
    "won_without_amount": ("stage", "amount"),
    "contradictory_outcome": ("stage", "is_closed", "is_won", "outcome"),
    "entered_in_future": ("entered_at",),
    "entered_before_created": ("entered_at",),
    "entered_after_closed": ("entered_at",),
    "exited_before_entered": ("entered_at", "exited_at"),
    "changed_in_future": ("changed_at",),
    "unreadable_new_value": ("field",),
    "captured_in_future": ("captured_at",),
    "happened_in_future": ("happened_at",),
    "recorded_late": ("captured_at", "recorded_at"),
}
"""The columns whose values a rule across columns compares, as far as they say something of one row."""

_ROW_SQL = "SELECT known.* FROM known SEMI JOIN asked ON known._file = asked.file AND known._line = asked.line"


def row_lines(name: str, stored: Stored) -> Iterator[str]:
    """Lines about the rows that ``name`` means: one as ``FILE:LINE``, or all rejected ones of an opportunity."""
    rejected = stored.database.read("rejected_rows", stored.day)
    file, _, line = name.rpartition(":")
    by_place = (rejected["export"] == file) & (rejected["line"].astype(str) == line)
    found = rejected[by_place | (rejected["opportunity_id"] == name)]
    for row in found.itertuples():
        yield from _rejected(row, stored)
    if found.empty and file and line.isdecimal():
        yield from _kept(file, int(line), stored)


def _rejected(row, stored: Stored) -> Iterator[str]:
    values = (stored.rows(f"exported_{row.table_name}", _ROW_SQL, file=row.export, line=row.line) or [{}])[0]
    yield f"rejected: {row.export}, line {row.line} ({row.table_name}); first seen {row.first_seen:%Y-%m-%d}, to be mended by {row.fix_by:%Y-%m-%d %H:%M}"
    whose = {"opportunity": row.opportunity_id, "owner_id": row.owner_id}
    yield f"  of {stored.shown(whose)}" if any(isinstance(v, str) for v in whose.values()) else "  of no opportunity or owner that could be read"
    unread = {aside["column"]: aside for aside in values.get("_set_aside") or []}
    for reason in json.loads(row.reasons):
        column = reason.get("column")
        aside = unread.pop(column if reason["code"] != "ragged_row" else None, None) if column or reason["code"] == "ragged_row" else None
        columns = (column,) if column else _ABOUT.get(reason["code"], ())
        seen = [f"{column}: found {aside['value']!r}"] if aside and column else _seen(row.table_name, columns, values)
        expected = aside["expected"] if aside else reason["expected"]
        yield f"  {reason['code']}: {'; '.join([*seen, f'expected: {expected}'])}"
        if reason.get("remedy"):
            yield f"    to do: {reason['remedy']}"
    for column, aside in unread.items():
        yield f"  {column}: found {aside['value']!r}; expected: {aside['expected']}"


def _seen(table: str, columns: tuple[str, ...], values: dict) -> list[str]:
    """What stands in the columns; a private one is hidden."""
    return [f"{name}: found {_value(table, name, values[name])}" for name in columns if name in values]


def _value(table: str, name: str, value) -> str:
    if value is None:
        return "nothing"
    return "***" if EXPORTED[table].columns[name].info["private"] else repr(quoted(value)) if isinstance(value, str) else str(value)


def _kept(file: str, line: int, stored: Stored) -> Iterator[str]:
    """What became of a row that was not rejected."""
    for table in EXPORTED:
        for row in stored.rows(f"exported_{table}", _ROW_SQL, file=file, line=line):
            of = f" of the opportunity {row['opportunity_id']}" if row.get("opportunity_id") else ""
            stale = "; a newer version of it was rejected, so it stays in force" if row["_is_stale"] else ""
            became = {"accepted": "accepted", "superseded": "superseded: a newer version of it, or an equal row, is in force"}[row["_verdict"]]
            yield f"{became}: {file}, line {line} ({table}){of}{stale}"
            yield from (f"  noted: {code}" for code in row["_reasons"])
            for aside in row["_set_aside"] or []:
                yield f"  set aside: {aside['column']}: found {aside['value']!r}; expected: {aside['expected']}"
