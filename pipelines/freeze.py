"""`leadline freeze`: makes a published forecast of a period the one of record.

What belongs here: which forecast may be frozen, and its row. What does not: scoring it (models/live_record.py). Nothing here
reads the clock: the day of freezing is stated, else the as-of date.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from assets.query import Query
from assets.reports.page_figures import last_day
from models.errors import LeadlineError
from pipelines.engine.duckdb import DuckDB
from pipelines.explain import published_day
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.report_db import ReportDatabase
from quality.masking import masked_id, masked_person

TABLE = "forecast_of_record"

Kind = Literal["month", "quarter"]


class FreezeError(LeadlineError):
    """No forecast of that period can be frozen; what is frozen already stays."""

    exit_code = 8


@dataclass(frozen=True)
class Frozen:
    """What was frozen: the row as it stands in the database, and whether it stood there before."""

    as_of: date
    row: dict
    stood_before: bool


def freeze(home_folder: Path, period: date, kind: Kind, as_of: date | None, frozen_at: date | None, frozen_by: str, report_db: str = "") -> Frozen:
    """Freeze the forecast of the company's total for a period as published for ``as_of``, by default the newest published date.

    A period has one forecast of record: freezing it again as of the same date changes nothing, as of another is refused.
    Raises FreezeError, NothingKnown, HomeError and PublicationError.
    """
    home = Home(home_folder.absolute())
    with home.lock():
        database = ReportDatabase(report_db or home.report_database_url)
        day = published_day(database, as_of, home)
        stated = frozen_at or day
        for earlier in database.as_of_dates(TABLE):
            held = _of_period(database.read(TABLE, earlier), period, kind)
            if len(held) and earlier == day:
                return Frozen(day, held.iloc[0].to_dict(), stood_before=True)
            if len(held):
                raise FreezeError(
                    f"the forecast of the {kind} of {period} is frozen already, as of {earlier}",
                    where=database.where,
                    expected="one forecast of record per period",
                    remedy="keep it: a record that can be changed is none",
                )
        row = _row(database, day, period, kind, stated)
        row["frozen_by"] = _shown(frozen_by, home, day)
        database.append(TABLE, day, pa.Table.from_pylist([{"as_of": day, **row}], schema=_SCHEMA))
        return Frozen(day, row, stood_before=False)


_SCHEMA = pa.schema(
    [
        ("as_of", pa.date32()), ("period_kind", pa.string()), ("period_start", pa.date32()), ("frozen_at", pa.date32()), ("frozen_by", pa.string()),
        ("mean", pa.float64()), ("p10", pa.float64()), ("p90", pa.float64()), ("method", pa.string()),
    ]
)  # fmt: skip


def _of_period(rows: pd.DataFrame, period: date, kind: Kind) -> pd.DataFrame:
    return rows[(rows["period_kind"] == kind) & (rows["period_start"] == pd.Timestamp(period))]


def _row(database: ReportDatabase, day: date, period: date, kind: Kind, frozen_at: date) -> dict:
    forecast = database.read("revenue_forecast", day)
    total = forecast[(forecast["component"] == "total") & (forecast["dimension"] == "all")]
    found = _of_period(total, period, kind)
    if found.empty:
        known = ", ".join(f"{start:%Y-%m}" for start in sorted(total.loc[total["period_kind"] == kind, "period_start"]))
        raise FreezeError(
            f"no {kind} that begins {period} was forecast as of {day}",
            where=database.where,
            expected=f"the first month of one of these, written YYYY-MM: {known or 'none was forecast'}",
            remedy="name one of them, another --kind, or another --as-of",
        )
    end = last_day(kind, pd.Timestamp(period))
    if end <= day or not day <= frozen_at <= end:
        raise FreezeError(
            f"the {kind} ends {end}; it cannot be frozen on {frozen_at} as of {day}",
            where=database.where,
            expected="a day of freezing from the as-of date to the last day of the period, and an as-of date before that",
            remedy="freeze a later period, or an earlier --as-of, or correct --on",
        )
    row = found.iloc[0]
    return {"period_kind": kind, "period_start": period, "frozen_at": frozen_at, **{c: row[c] for c in ("mean", "p10", "p90", "method")}}


def _shown(person: str, home: Home, day: date) -> str | None:
    """Who froze it, masked where the company masks owners as of that date; an e-mail or phone is masked anyway."""
    if not person:
        return None
    engine = DuckDB(home.spill)
    settings = engine.arrow(Query("SELECT * FROM parameters", {"parameters": Lake(home.lake, engine, day).parquet("parameters")})).to_pylist()[0]
    return (masked_person if settings.get("mask_owners") else masked_id)(person, home.mask_key())
