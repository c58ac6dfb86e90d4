"""Forecasts that the report database holds of earlier as-of dates.

What belongs here: fetching them as they were published. What does not: which publications count and how they did
(models/live_record.py).
"""

from collections.abc import Sequence
from datetime import date

import pandas as pd

from models.live_record import OF_RECORD, last_of_each_month, published_at_the_time
from pipelines.report_db import ReportDatabase

COLUMNS = ("origin", "period_kind", "period_start", "dimension", "member", "method", "forecast", "p10", "p90")

_KEY = ("as_of", "period_kind", "period_start", "dimension", "member", "method")


def earlier_forecasts(database: ReportDatabase, as_of: date) -> pd.DataFrame:
    """Totals and simple methods published at the time for as-of dates before ``as_of``, by `COLUMNS`; ids as published, masked.

    Of the whole company every publication; of segment members the last one of each calendar month, since the rows of
    thousands of members, published daily, would outgrow everything else.
    """
    days = published_at_the_time(database.first_published(), as_of)
    company = _rows(database, days, is_company=True)
    frames = [company, _rows(database, last_of_each_month(days), is_company=False), _of_record(database, as_of)]
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _of_record(database: ReportDatabase, as_of: date) -> pd.DataFrame:
    """What was frozen for earlier as-of dates, as a method of its own."""
    frozen = [database.read("forecast_of_record", day) for day in database.as_of_dates("forecast_of_record") if day < as_of]
    rows = pd.concat(frozen, ignore_index=True) if frozen else database.read("forecast_of_record", as_of).iloc[:0]
    rows = rows[rows["frozen_at"] <= pd.Timestamp(as_of)].rename(columns={"as_of": "origin", "mean": "forecast"})
    return rows.assign(dimension="all", member="all", method=OF_RECORD)[list(COLUMNS)]


def _rows(database: ReportDatabase, days: Sequence[date], is_company: bool) -> pd.DataFrame:
    totals = database.rows("revenue_forecast", (*_KEY, "mean", "p10", "p90"), days, is_company, component="total").rename(columns={"mean": "forecast"})
    simple = database.rows("forecast_baselines", (*_KEY, "value"), days, is_company).rename(columns={"value": "forecast"})
    frames = [frame.rename(columns={"as_of": "origin"}).reindex(columns=list(COLUMNS)) for frame in (totals, simple)]
    # A column that a database of an older version lacks is null: nothing was published in it.
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True).dropna(subset="forecast")
