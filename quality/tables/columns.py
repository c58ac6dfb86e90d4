"""The vocabulary in which every table is declared: kinds of column, their units and what they carry.

What belongs here: the column constructors and the small facts derived from a declared table (its key,
its DuckDB types, its Dagster schema is elsewhere). What does not: any table.

A table is declared once, as a SQLAlchemy ``Table``. From it follow the DDL of the report database, the types
imposed on write and on read, the expectations, the asset checks, Dagster's column schema and the data dictionary.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

UNITS = {
    "id": "identifier, kept as text to the letter",
    "label": "short text from a closed or configured list",
    "text": "free text",
    "amount": "money in the reporting currency",
    "original_amount": "money in the currency of its row",
    "count": "number of things, a whole number",
    "share": "a part of a whole or a rate, 0 to 1",
    "ratio": "a quotient that is not bounded by 1",
    "days": "elapsed time in days",
    "date": "a calendar day in the company's time zone",
    "time": "an instant as wall-clock time in the company's time zone",
    "flag": "true or false",
    "number": "a plain number on its own scale",
    "json": "a JSON document",
    "position": "place in an order",
}

NUMBERS = ("amount", "original_amount", "count", "share", "ratio", "days", "number", "position")
"""Units whose values are numbers."""

SEVERITIES = ("warning", "reject", "critical")
"""What a failed expectation does: it is listed, it rejects the row, it stops everything downstream."""

MONEY = sa.Numeric(18, 2, asdecimal=False)

_TYPES = {
    "id": sa.String(),
    "label": sa.String(),
    "text": sa.String(),
    "amount": MONEY,
    "original_amount": MONEY,
    "count": sa.BigInteger(),
    "position": sa.Integer(),
    "share": sa.Double(),
    "ratio": sa.Double(),
    "days": sa.Double(),
    "number": sa.Double(),
    "date": sa.Date(),
    "time": sa.DateTime(),
    "flag": sa.Boolean(),
    "json": sa.String(),
}

_DUCKDB_TYPES = {
    "amount": "DECIMAL(18,2)",
    "original_amount": "DECIMAL(18,2)",
    "count": "BIGINT",
    "position": "INTEGER",
    "share": "DOUBLE",
    "ratio": "DOUBLE",
    "days": "DOUBLE",
    "number": "DOUBLE",
    "date": "DATE",
    "time": "TIMESTAMP",
    "flag": "BOOLEAN",
}

_ARROW_TYPES = {
    "amount": pa.decimal128(18, 2),
    "original_amount": pa.decimal128(18, 2),
    "count": pa.int64(),
    "position": pa.int32(),
    "share": pa.float64(),
    "ratio": pa.float64(),
    "days": pa.float64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
    "flag": pa.bool_(),
}


@dataclass(frozen=True)
class Rule:
    """One expectation that spans columns or needs another table, by its public code.

    ``column`` names a true/false column that the reading of the export derives: true where the row is as it
    should be, null where the rule does not apply. ``code`` is what ``rejected_rows.reasons`` and
    ``data_quality.expectation`` show; ``meaning`` and ``remedy`` are written for the person who mends the row.
    """

    code: str
    column: str
    severity: str
    meaning: str
    remedy: str


def column(
    name: str,
    unit: str,
    comment: str,
    *,
    key: bool = False,
    required: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    values: tuple[str, ...] | None = None,
    pattern: str | None = None,
    private: str | None = None,
    severity: str = "reject",
) -> sa.Column:
    """Declare one column.

    ``unit`` is one of `UNITS` and fixes the type. ``required`` means that a row without it cannot be used;
    ``minimum``, ``maximum`` and ``values`` bound it; ``severity`` says what a value outside does. ``pattern`` is the
    regular expression that a whole value should have, of severity warning unless the company says otherwise. ``private``
    names how the value is masked wherever it would be shown (name, phone, email, text).
    """
    if unit not in UNITS:
        raise ValueError(f"column {name}: unit {unit!r} is not one of {', '.join(UNITS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"column {name}: severity {severity!r} is not one of {', '.join(SEVERITIES)}")
    if unit == "share":
        minimum, maximum = (0.0 if minimum is None else minimum), (1.0 if maximum is None else maximum)
    if unit in ("count", "days") and minimum is None:
        minimum = 0
    info = {
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "values": values,
        "pattern": pattern,
        "private": private,
        "severity": severity,
    }
    return sa.Column(name, _TYPES[unit], primary_key=key, nullable=not (key or required), comment=comment, info=info, autoincrement=False)


def table(metadata: sa.MetaData, name: str, comment: str, *columns: sa.Column, rules: Iterable[Rule] = (), **info) -> sa.Table:
    """Declare one table: its grain as ``comment``, its columns in order, its rules across columns.

    ``is_appended`` in ``info`` marks a table whose rows of an as-of date stay when that date is published again;
    ``periods`` names the column that tells the rows of one key of an exported table apart, blank being a value of it.
    """
    return sa.Table(name, metadata, *columns, comment=comment, info={"rules": tuple(rules), **info})


def duckdb_type(declared: sa.Column) -> str:
    """The DuckDB type that stores a declared column."""
    return _DUCKDB_TYPES.get(declared.info["unit"], "VARCHAR")


def arrow_type(declared: sa.Column) -> pa.DataType:
    """The Arrow type that holds a declared column in memory."""
    return _ARROW_TYPES.get(declared.info["unit"], pa.string())


def key_columns(declared: sa.Table) -> list[str]:
    """Names of the key columns, in the order of declaration."""
    return [c.name for c in declared.primary_key.columns]


def money_as_floats(amounts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Amounts (DECIMAL with two decimals) as the nearest float64 each.

    Arrow's own cast is off by one unit in the last place for one value in seven; whole cents divided once are exact up
    to 2^53 cents.
    """
    cents = pc.multiply(amounts.cast(pa.decimal128(20, 2)), pa.scalar(100, pa.decimal128(3, 0)))
    return pc.divide(cents.cast(pa.int64()).cast(pa.float64(), safe=False), 100.0)


def bounds_in_words(declared: sa.Column) -> str:
    """The range of a declared column, such as "at least 0 and at most 1"; empty where it has none."""
    low, high = declared.info["minimum"], declared.info["maximum"]
    words = [] if low is None else [f"at least {low:g}"]
    words += [] if high is None else [f"at most {high:g}"]
    return " and ".join(words)
