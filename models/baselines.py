"""The simple forecasts that stand beside every forecast, and that it has to beat.

What belongs here: weighted pipeline, run rate, same period last year and the CRM's own probability, for every period
and segment member. What does not: how well they did (scoring.py).

A method that cannot be computed from what is known has no row: that is how its absence is said.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.levels import ONE_DAY, Intervals, Members, whole_days
from models.new_business import DAYS_PER_MONTH
from models.revenue import WonDeals

RUN_RATE_MONTHS = 3


@dataclass(frozen=True)
class OpenPipeline:
    """The open deals as a CRM shows them, one value per deal, with their segment ``members``.

    ``amount`` and ``expected_close_on`` (datetime64[D]) where known, else NaN and NaT (an unknown amount adds
    nothing, as in a CRM). ``stage_probability``: the configured probability of the stage or the historical rate;
    ``crm_probability``: that of the export, NaN where unknown (at a past origin nowhere known).
    """

    amount: np.ndarray
    expected_close_on: np.ndarray
    stage_probability: np.ndarray
    crm_probability: np.ndarray
    members: Members


def forecast_baselines(pipeline: OpenPipeline, won: WonDeals, intervals: Intervals, record_begins: np.datetime64) -> pd.DataFrame:
    """One row per period, segment member and method, with the columns of the contract forecast_baselines.

    ``record_begins`` is the first day (datetime64[D]) from which wins are on record: months and years that began
    earlier are not whole and not used. Each value is for the whole period, won so far included. A period that is
    over at the as-of date has no row: nothing is left of it to expect.
    """
    won_so_far = won.by_period(intervals)[0] / 100
    values = {
        "weighted_pipeline": _by_expected_close(pipeline, pipeline.stage_probability, won_so_far, intervals),
        "run_rate": _run_rate(won, won_so_far, intervals, record_begins),
        "same_period_last_year": _same_period_last_year(won, intervals, record_begins),
        "crm_probability": _by_expected_close(pipeline, pipeline.crm_probability, won_so_far, intervals),
    }
    names, periods = pipeline.members.names, intervals.periods
    count, length = len(names), len(periods)
    frames = [
        pd.DataFrame(
            {
                **{c: np.tile(periods[c].to_numpy(), count) for c in ("period_kind", "period_start")},
                **{c: np.repeat(names[c].to_numpy(), length) for c in ("dimension", "member")},
                "method": method,
                "value": value.reshape(-1).round(2),
            }
        )
        for method, value in values.items()
    ]
    table = pd.concat(frames, ignore_index=True)
    is_over = np.tile(intervals.period_ends <= 0, count * len(values))
    return table[~is_over].dropna(subset="value").reset_index(drop=True)


def _by_expected_close(pipeline: OpenPipeline, probability: np.ndarray, won_so_far: np.ndarray, intervals: Intervals) -> np.ndarray:
    """Won so far + Σ amount × probability of the deals expected to close in the period; NaN where no deal has both.

    A deal whose expected close is past, within the period, still counts: it is in the CRM's own view of the period.
    """
    usable = ~np.isnat(pipeline.expected_close_on) & np.isfinite(probability)
    if not usable.any():
        return np.full(won_so_far.shape, np.nan)
    weighted = np.nan_to_num(pipeline.amount[usable]) * probability[usable]
    first, last = (whole_days(intervals.periods[c]) for c in ("period_start", "period_end"))
    day = pipeline.expected_close_on[usable][:, None]
    inside = (day >= first) & (day <= last)
    return won_so_far + pipeline.members.take(usable).sum(inside * weighted[:, None])


def _run_rate(won: WonDeals, won_so_far: np.ndarray, intervals: Intervals, record_begins: np.datetime64) -> np.ndarray:
    """Won so far + mean of the last three whole months, scaled to what is left of the period.

    A month counts as 1, a quarter as 3, a week as its days ÷ 30.4. With fewer whole months on record those there are.
    """
    after = intervals.as_of + ONE_DAY
    month = after.astype("datetime64[M]")
    starts = np.array([(month - back).astype("datetime64[D]") for back in range(1, RUN_RATE_MONTHS + 1)])
    starts = starts[starts >= record_begins]
    if len(starts) == 0:
        return np.full(won_so_far.shape, np.nan)
    inside = (won.closed_on >= starts.min()) & (won.closed_on < month.astype("datetime64[D]"))
    per_month = won.members.take(inside).sum(np.nan_to_num(won.amount[inside])) / len(starts)
    first, last = (whole_days(intervals.periods[c]) for c in ("period_start", "period_end"))
    days = (last - first).astype(int) + 1
    months = intervals.periods["period_kind"].map({"month": 1.0, "quarter": 3.0}).fillna(pd.Series(days / DAYS_PER_MONTH)).to_numpy()
    return won_so_far + np.outer(per_month, months * intervals.remaining_share)


def _same_period_last_year(won: WonDeals, intervals: Intervals, record_begins: np.datetime64) -> np.ndarray:
    """Amount won in the same period a year ago (a week: 52 weeks ago); NaN where the record began later."""
    periods = intervals.periods
    starts, ends = (pd.DatetimeIndex(whole_days(periods[c]).astype("datetime64[us]")) for c in ("period_start", "period_end"))
    weekly = periods["period_kind"].eq("week").to_numpy()
    # The day after the end is moved, so that a February ends on its last day in leap years and others alike.
    first = np.where(weekly, starts - pd.Timedelta(days=364), starts - pd.DateOffset(years=1)).astype("datetime64[D]")
    after = ends + pd.Timedelta(days=1)
    beyond = np.where(weekly, after - pd.Timedelta(days=364), after - pd.DateOffset(years=1)).astype("datetime64[D]")
    inside = (won.closed_on[:, None] >= first) & (won.closed_on[:, None] < beyond)
    deals = np.flatnonzero(inside.any(axis=1))
    totals = won.members.take(deals).sum(inside[deals] * np.nan_to_num(won.amount[deals])[:, None])
    return np.where(first >= record_begins, totals, np.nan)
