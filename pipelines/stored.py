"""What runs left for one as-of date, as it may be shown.

What belongs here: asking the lake and the report database of one date, and masking what is quoted from the lake. What
does not: what is looked up (explain.py, exported_row.py).
"""

from dataclasses import dataclass
from datetime import date

import pandas as pd

from assets.query import Query
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake
from pipelines.report_db import ReportDatabase
from quality.masking import masked_id, masked_person


@dataclass(frozen=True)
class Stored:
    """What runs left for one as-of date, and how ids in it are shown."""

    day: date
    database: ReportDatabase
    lake: Lake
    engine: DuckDB
    mask_key: bytes
    mask_owners: bool

    def rows(self, table: str, sql: str, **asked: object) -> list[dict]:
        """Rows of a stored table, ``known`` in ``sql``, given one row of values asked for, ``asked``."""
        tables = {"known": self.lake.parquet(table), "asked": pd.DataFrame({name: [value] for name, value in asked.items()})}
        return self.engine.arrow(Query(sql, tables)).to_pylist()

    def shown(self, values: dict) -> str:
        """Known values with their names, as they may be shown."""
        return ", ".join(
            f"{k} {self._plain(v, k == 'owner_id' or (k == 'member' and values.get('dimension') == 'owner'))}"
            for k, v in values.items()
            if (v if isinstance(v, list) else not pd.isna(v))
        )

    def _plain(self, value, is_owner: bool) -> str:
        if isinstance(value, float):
            return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
        if isinstance(value, list):
            return "; ".join(map(str, value))
        if not isinstance(value, str):
            return str(value)
        return (masked_person if self.mask_owners and is_owner else masked_id)(value, self.mask_key)
