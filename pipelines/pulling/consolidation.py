"""Makes the export file of a table: its last state, with the rows that came since put in their place.

What belongs here: which row counts, what deleted means, the file. What does not: pulling rows and naming files.

Doing it twice with the same rows gives the same file byte for byte, so a pull that died here is simply done again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.home import staged_file
from pipelines.pulling.errors import PullError

IDENTITY = "pulled_id"
"""The column with the CRM's id of a row, by which a newer row takes the place of an older one."""

_THREADS = 2
_MEMORY = "2GB"

_SQL = """
WITH latest AS (
    SELECT _id, arg_max(_gone, _order) AS is_gone, max(_order) FILTER (NOT _gone) AS last_row FROM changes GROUP BY _id
),
fresh AS (
    SELECT c.* EXCLUDE (_deleted, _gone, _order), c._deleted OR l.is_gone AS _deleted
    FROM changes AS c JOIN latest AS l ON c._order = l.last_row
),
kept AS (
    SELECT p.* EXCLUDE (pulled_id, is_deleted), p.pulled_id AS _id, {all_listed} OR p.is_deleted = 'true' OR coalesce(l.is_gone, FALSE) AS _deleted
    FROM previous AS p LEFT JOIN latest AS l ON l._id = p.pulled_id
    WHERE l.last_row IS NULL
)
SELECT * EXCLUDE (_id, _deleted), CASE WHEN _deleted THEN 'true' ELSE 'false' END AS is_deleted, _id AS pulled_id
FROM (SELECT * FROM fresh UNION ALL BY NAME SELECT * FROM kept)
ORDER BY pulled_id
"""

_VANISHED_SQL = """
SELECT count(*), count(*) FILTER (pulled_id NOT IN (SELECT _id FROM changes)) FROM previous WHERE is_deleted = 'false'
"""


@dataclass(frozen=True)
class Written:
    """What an export file holds: its rows, and how many of them, or of those left out, are deleted in the CRM."""

    rows: int
    deleted: int


def consolidate(previous: Path | None, parts: Sequence[Path], columns: Sequence[str], whole: bool, keeps_deleted: bool, target: Path) -> Written:
    """Write ``target``: the rows of ``previous`` with those of ``parts`` put in their place, ordered by the CRM's id.

    Of rows with one id the last that came counts. Rows are deleted where the CRM says so and, if ``whole``, where the
    parts, which then hold all rows, lack them. They stay, marked, if ``keeps_deleted``, else they are left out.
    """
    with _opened(previous, parts) as connection:
        table = connection.sql(_SQL.format(all_listed=whole)).to_arrow_table()
    flags = table["is_deleted"]
    deleted = pc.sum(pc.equal(flags, "true")).as_py() or 0
    if not keeps_deleted:
        table = table.filter(pc.equal(flags, "false"))
    names = [*columns, *sorted(set(table.column_names) - {*columns, "is_deleted", IDENTITY}), "is_deleted", IDENTITY]
    table = pa.table([table[n] if n in table.column_names else pa.nulls(table.num_rows, pa.string()) for n in names], names=names)
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(target) as staged:
        pq.write_table(table, staged, compression="zstd")
    return Written(table.num_rows, deleted)


def check_not_vanished(table: str, previous: Path | None, parts: Sequence[Path], most: float) -> None:
    """Raise PullError where a list of all rows lacks more than the share ``most`` of the rows known before.

    A user who has lost the right to see half of the deals gets a list without them, and they are not deleted.
    """
    with _opened(previous, parts) as connection:
        ((known, vanished),) = connection.sql(_VANISHED_SQL).fetchall()
    if known and vanished / known > most:
        raise PullError(
            f"{vanished:,} of {known:,} rows known before are not in the list of all rows, and not reported as deleted",
            where=table,
            expected=f"at most {most:.0%} (thresholds.shrunk_export_share)",
            remedy="see whether the user of the pull lost the right to see them; if they are really gone, raise that threshold for one pull",
        )


def _opened(previous: Path | None, parts: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    """A database with the tables ``previous`` and ``changes``."""
    connection = duckdb.connect(":memory:", config={"threads": _THREADS, "memory_limit": _MEMORY})
    nothing = f"SELECT CAST(NULL AS VARCHAR) AS {IDENTITY}, CAST(NULL AS VARCHAR) AS is_deleted WHERE FALSE"
    connection.execute(f"CREATE VIEW previous AS {_reading([previous]) if previous else nothing}")
    none = "SELECT CAST(NULL AS VARCHAR) AS _id, FALSE AS _deleted, FALSE AS _gone, CAST(0 AS BIGINT) AS _order WHERE FALSE"
    connection.execute(f"CREATE VIEW changes AS {_reading(parts) if parts else none}")
    return connection


def _reading(files: Sequence[Path]) -> str:
    names = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    return f"SELECT * FROM read_parquet([{names}], union_by_name = true, hive_partitioning = false)"
