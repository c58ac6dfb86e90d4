"""The calendar: reporting periods of the fiscal year and working days.

What belongs here: periods and days as tables, so that a metric joins them instead of computing dates. What does
not: what happened in them.
"""

from datetime import date, timedelta

import holidays
import pandas as pd

from models.settings import Reporting

AHEAD = pd.DateOffset(months=7)
"""How far past the as-of date the calendar reaches: the quarters that the next three months touch."""


def periods(as_of: date, fiscal_year_start_month: int, reporting: Reporting) -> pd.DataFrame:
    """Reporting periods by the contract ``calendar``, from one year before the windows to seven months ahead.

    Weeks begin on Monday; quarters follow the fiscal year, which is named by the calendar year in which it ends.
    """
    today = pd.Timestamp(as_of)
    start = (today - pd.DateOffset(months=max(reporting.months, 3 * reporting.quarters) + 14)).replace(day=1)
    months = pd.date_range(start, today + AHEAD, freq="MS")
    into_quarter = (months.month - fiscal_year_start_month) % 3
    quarters = months[into_quarter == 0]
    weeks = pd.date_range(start, today + AHEAD, freq="W-MON")
    return pd.concat(
        [
            _period_rows("week", weeks, weeks + pd.Timedelta(days=6), today, reporting.weeks, fiscal_year_start_month),
            _period_rows("month", months, months + pd.offsets.MonthEnd(0), today, reporting.months, fiscal_year_start_month),
            _period_rows("quarter", quarters, quarters + pd.offsets.MonthEnd(3), today, reporting.quarters, fiscal_year_start_month),
        ],
        ignore_index=True,
    )


def _period_rows(kind: str, starts: pd.DatetimeIndex, ends: pd.DatetimeIndex, today: pd.Timestamp, window: int, first_month: int) -> pd.DataFrame:
    started = starts[starts <= today]
    earliest = started[-min(window, len(started))]
    month_of_year = (starts.month - first_month) % 12
    return pd.DataFrame(
        {
            "period_kind": kind,
            "period_start": starts,
            "period_end": ends,
            "is_reported": (starts <= today) & (starts >= earliest),
            "is_partial": ends > today,
            "fiscal_year": starts.year + ((first_month > 1) & (starts.month >= first_month)),
            "fiscal_quarter": month_of_year // 3 + 1,
        }
    )


def working_days(first: date, last: date, country: str | None) -> pd.DataFrame:
    """One row per day from ``first`` to ``last`` by the contract ``working_days``.

    A working day is Monday to Friday and no public holiday of ``country`` (ISO code; None: no holidays), or a
    weekend day that the country works in exchange.
    """
    days = pd.date_range(first, last, freq="D")
    is_working = days.day_of_week < 5
    if country:
        known = holidays.country_holidays(country, years=range(first.year, last.year + 1))
        is_working = is_working & ~days.isin(pd.DatetimeIndex(sorted(known)))
        is_working = is_working | days.isin(pd.DatetimeIndex(sorted(known.weekend_workdays)))
    return pd.DataFrame({"day": days, "is_working": is_working, "number": is_working.cumsum()})


def day_after(as_of: date) -> pd.Timestamp:
    """The first instant after the as-of date: a fact counts if it lies before."""
    return pd.Timestamp(as_of + timedelta(days=1))
