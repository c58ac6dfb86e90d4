"""Forecasts that were published at the time, scored against what happened since.

What belongs here: which publications count, and their scores. What does not: reading them (pipelines/resources.py) and forecasts
recomputed later as of then (models/revenue_backtest.py).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import pandas as pd

from models.scoring import score_all

OF_RECORD = "of_record"
"""The method of forecasts that somebody froze."""


def published_at_the_time(first_published: Mapping[date, datetime], as_of: date) -> tuple[date, ...]:
    """The as-of dates before ``as_of`` that were published before any later date was.

    ``first_published`` says when each as-of date was first published. One that came after a later date was recomputed as of
    then, with exports that may know what happened; it is no forecast of the time.
    """
    counted, earliest_later = [], None
    for day in sorted(first_published, reverse=True):
        if day < as_of and (earliest_later is None or first_published[day] <= earliest_later):
            counted.append(day)
        earliest_later = first_published[day] if earliest_later is None else min(earliest_later, first_published[day])
    return tuple(reversed(counted))


def last_of_each_month(days: Sequence[date]) -> tuple[date, ...]:
    """The last of the given days in every calendar month."""
    return tuple({(day.year, day.month): day for day in sorted(days)}.values())


def score_published(published: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """Rows of forecast_accuracy, kind live, of all ``published`` forecasts whose period is in ``actuals``.

    ``published`` has origin, period_kind, period_start, dimension, member, method, forecast, p10 and p90. A period that was
    over at the origin was no forecast and must not be in it.
    """
    return score_all(published, actuals).assign(kind="live")


def still_ahead(published: pd.DataFrame, calendar: pd.DataFrame) -> pd.DataFrame:
    """The published forecasts whose period was not over at their origin."""
    ends = calendar[["period_kind", "period_start", "period_end"]]
    known = published.merge(ends, on=["period_kind", "period_start"], validate="m:1")
    return known[known["period_end"] > known["origin"]].drop(columns="period_end").reset_index(drop=True)
