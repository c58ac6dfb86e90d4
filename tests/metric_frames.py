"""Small core tables for tests of the metrics, built from a compact list of events.

What belongs here: frames of the core contracts (quality/tables/core.py) as the metric assets read them. What does
not: any expectation about the figures.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd

from models.settings import Thresholds

OUTCOMES = ("won", "lost")


def instant_after(day: date) -> datetime:
    """The first instant after ``day``."""
    return datetime.combine(day + timedelta(days=1), time())


def calendar_frame(as_of: date, weeks: int = 4, months: int = 6, quarters: int = 2, ahead: int = 2) -> pd.DataFrame:
    """``calendar`` of a company whose fiscal year is the calendar year: reported periods and some still to come."""
    windows = (("week", "W-SUN", weeks), ("month", "M", months), ("quarter", "Q-DEC", quarters))
    frames = []
    for kind, frequency, number in windows:
        now = pd.Period(as_of, frequency)
        periods = pd.period_range(now - (number - 1), now + ahead, freq=frequency)
        frames.append(pd.DataFrame({"period_kind": kind, "period_start": periods.start_time, "period_end": periods.end_time.normalize()}))
    frame = pd.concat(frames, ignore_index=True)
    frame["is_reported"] = frame["period_start"] <= pd.Timestamp(as_of)
    frame["is_partial"] = frame["period_end"] > pd.Timestamp(as_of)
    frame["fiscal_year"] = frame["period_start"].dt.year
    frame["fiscal_quarter"] = frame["period_start"].dt.quarter
    return frame.assign(period_start=frame["period_start"].dt.date, period_end=frame["period_end"].dt.date)


def working_days_frame(first: date, last: date) -> pd.DataFrame:
    """``working_days`` with Mondays to Fridays as working days."""
    days = pd.date_range(first, last)
    working = days.dayofweek < 5
    return pd.DataFrame({"day": days.date, "is_working": working, "number": working.cumsum()})


def parameters_frame(as_of: date, thresholds: Thresholds = Thresholds()) -> pd.DataFrame:
    """``parameters``: the as-of date and the thresholds, in one row."""
    return pd.DataFrame(
        {
            "as_of": [as_of],
            "as_of_end": [instant_after(as_of)],
            "overtime_factor": [thresholds.overtime_factor],
            "overtime_minimum_visits": [thresholds.overtime_minimum_visits],
            "zombie_days": [thresholds.zombie_days],
            "zombie_close_overdue_days": [thresholds.zombie_close_overdue_days],
            "small_sample": [thresholds.small_sample],
            "language": ["en"],
        }
    )
