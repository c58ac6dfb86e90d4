"""The forecast of an earlier date beside today's, deal by deal: what the explanation of a change is made of.

What belongs here: replaying the earlier forecast with the models of its date, and what these models say of the deals as
they are today. What does not: the attribution to causes (models/mean_changes.py) and fitting.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from models.deal_history import day_number
from models.landmarks import OpenDeals, open_deals
from models.levels import Intervals
from models.mean_changes import DealSteps, MeanTotals, change_rows
from models.new_business import creations_within, forecast_new_business
from models.outlook import (
    SHORT_CYCLE_DAYS,
    CompanyRecord,
    Standing,
    amount_basis,
    forecast_periods,
    newborn_won_by,
    outlook_of,
    rounded,
    stage_names,
    standing,
)
from models.revenue import RevenueOutlook
from models.win_probability import FittedModels, WinProbabilities, win_probabilities

FittedAt = Callable[[int], FittedModels]
"""The models as known at an origin (day number)."""

READING_STAGES_ONLY = ("base_rate", "closing_time", "stage_rates", "semi_markov")
"""Methods that read no expected close date."""

EXPLAINED_KINDS = ("month", "quarter")


@dataclass(frozen=True)
class Forecast:
    """A forecast with the deals that it is of, in one order, and where the company stood."""

    origin: date
    open_deals: OpenDeals
    standing: Standing
    outlook: RevenueOutlook


def last_month_end(as_of: date) -> date:
    """The last day of the month before that of ``as_of``: the date whose forecast today's is compared with."""
    return as_of.replace(day=1) - timedelta(days=1)


def mean_changes(record: CompanyRecord, models: FittedModels, calendar: pd.DataFrame, now: Forecast, prior_deals: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What changed in the mean since the origin of ``models``, by cause and by deal (`change_rows`), with the method of today.

    ``models`` are those as known at `last_month_end`; they know today's method. The earlier forecast is the replayed one: from what was known
    then, by the segments of today. Amounts whose past is not exported are held at today's. Explained are the months and
    quarters of today's forecast that the earlier one covered.
    """
    held, method = with_amounts_held(record), now.outlook.method
    then = _replayed(held, models, calendar, last_month_end(now.origin), method, prior_deals)
    then_at, now_at = _in_both(then.outlook.intervals.periods, now.outlook.intervals.periods)
    steps = deal_steps(held, models, then, now, then_at, now_at, prior_deals)
    return change_rows(
        steps,
        record.members.take(steps.deal),
        _totals(then.outlook, then_at),
        _totals(now.outlook, now_at),
        _used_up(models, then, now.origin)[:, then_at],
        now.outlook.intervals.periods.iloc[now_at].reset_index(drop=True),
    )


def with_amounts_held(record: CompanyRecord) -> CompanyRecord:
    """The record with amounts of which no past is known held at today's value, for comparison; nothing is to be fitted on it."""
    lacking = np.setdiff1d(np.arange(len(record.amount)), record.episode_deal)
    count = len(lacking)
    return replace(
        record,
        knows_amounts=True,
        episode_deal=np.concatenate([record.episode_deal, lacking.astype(record.episode_deal.dtype)]),
        episode_from=np.concatenate([record.episode_from, np.full(count, np.datetime64("1970-01-01", "us"))]),
        episode_to=np.concatenate([record.episode_to, np.full(count, np.datetime64("NaT", "us"))]),
        episode_amount=np.concatenate([record.episode_amount, record.amount[lacking]]),
        episode_close_on=np.concatenate([record.episode_close_on, np.full(count, np.datetime64("NaT", "D"))]),
    )


def _replayed(record: CompanyRecord, models: FittedModels, calendar: pd.DataFrame, origin: date, method: str, prior_deals: float) -> Forecast:
    """The forecast of ``origin`` as it was to be published then."""
    intervals = Intervals.of(forecast_periods(calendar, origin, with_weeks=record.median_cycle_days(origin) < SHORT_CYCLE_DAYS), origin)
    open_then = open_deals(record.history, day_number(origin))
    at = standing(record, models, open_then, intervals, origin, record.members, prior_deals)
    return Forecast(origin, open_then, at, outlook_of(_scored(models, open_then, intervals, method), models, at))


def deal_steps(
    record: CompanyRecord, models: FittedModels, then: Forecast, now: Forecast, then_at: np.ndarray, now_at: np.ndarray, prior_deals: float
) -> DealSteps:
    """The expectations of all deals that are open at one of the dates or were won between them, in the given periods of the two."""
    since, today, method = np.datetime64(then.origin, "D"), np.datetime64(now.origin, "D"), now.outlook.method
    won = record.won[(record.closed_on[record.won] > since) & (record.closed_on[record.won] <= today)]
    deal = np.unique(np.concatenate([then.open_deals.deal, now.open_deals.deal, won]))
    of_then, of_now = np.searchsorted(deal, then.open_deals.deal), np.searchsorted(deal, now.open_deals.deal)

    def placed(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(deal), values.shape[1]))
        whole[rows] = values
        return whole

    p_then, p_now = (f.outlook.intervals.sum_to_periods(f.outlook.open_deals.p_won)[:, at] for f, at in ((then, then_at), (now, now_at)))
    p_date = _by_period(_with_dates_of(now.origin, record, models, then, method), then.outlook.intervals)[:, then_at]
    p_stage = _by_period(_scored(carried_to(models, day_number(now.origin)), now.open_deals, now.outlook.intervals, method), now.outlook.intervals)[:, now_at]
    amount_now, basis = record.in_force(now.origin)[0], amount_basis(record, then.origin, prior_deals)
    # Of deals that are gone the last amount stands here, and is not read.
    by_amount, by_stage = (
        basis.expect(stage_names(record, f.open_deals), amount_now[f.open_deals.deal], f.open_deals.group)["amount_if_won"].to_numpy()[:, None]
        for f in (then, now)
    )
    amounts_then, amounts_now = (f.outlook.open_deals.amount_if_won[:, None] for f in (then, now))
    first, last = (now.outlook.intervals.periods.iloc[now_at][c].to_numpy("datetime64[D]") for c in ("period_start", "period_end"))
    closed = record.closed_on[deal][:, None]
    landed = np.isin(deal, won)[:, None] & (closed >= first) & (closed <= last)
    cents = np.rint(np.nan_to_num(record.amount[deal]) * 100).astype(np.int64)
    return DealSteps(
        deal=deal,
        was_open=np.isin(deal, then.open_deals.deal),
        is_open=np.isin(deal, now.open_deals.deal),
        is_won=np.isin(deal, record.won),
        prior=placed(of_then, p_then * amounts_then),
        with_amount=placed(of_then, p_then * by_amount),
        with_date=placed(of_then, p_date * by_amount),
        with_stage=placed(of_now, p_stage * by_stage),
        now=placed(of_now, p_now * amounts_now),
        won_cents=np.where(landed, cents[:, None], 0),
    )


def _scored(models: FittedModels, deals: OpenDeals, intervals: Intervals, method: str) -> WinProbabilities:
    return win_probabilities(models, deals, intervals.ends, (method,), horizons_only=True)[method]


def _by_period(result: WinProbabilities, intervals: Intervals) -> np.ndarray:
    """Published probabilities of winning in each period (deals × periods)."""
    return intervals.sum_to_periods(np.diff(rounded(result)[0], axis=1, prepend=0.0).clip(min=0.0))


def carried_to(models: FittedModels, day: int) -> FittedModels:
    """The same fitted models, to score deals of a later day."""
    semi_markov = models.semi_markov
    return replace(models, origin_day=day, semi_markov=None if semi_markov is None else replace(semi_markov, origin_day=day))


def _with_dates_of(today: date, record: CompanyRecord, models: FittedModels, then: Forecast, method: str) -> WinProbabilities:
    """Probabilities at the earlier date had the expected close dates of today been known, where the method reads them."""
    facts, deal = models.facts, then.open_deals.deal
    if method not in READING_STAGES_ONLY and "expected_close_date" in facts.knows:
        before, after = (facts.in_force(deal, np.full(len(deal), day_number(day), dtype=np.int64)) for day in (then.origin, today))
        moved = (before >= 0) & (after >= 0)
        moved[moved] = facts.close_day[before[moved]] != facts.close_day[after[moved]]
        close_day = facts.close_day.copy()
        close_day[before[moved]] = facts.close_day[after[moved]]
        models = replace(models, facts=replace(facts, close_day=close_day)) if moved.any() else models
    return _scored(models, then.open_deals, then.outlook.intervals, method)


def _in_both(then: pd.DataFrame, now: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Positions, in each of the two, of the months and quarters that both have."""
    key = ["period_kind", "period_start"]
    places = now[key].assign(now=range(len(now))).merge(then[key].assign(then=range(len(then))), on=key, validate="1:1")
    places = places[places["period_kind"].isin(EXPLAINED_KINDS)]
    return places["then"].to_numpy(np.intp), places["now"].to_numpy(np.intp)


def _totals(outlook: RevenueOutlook, at: np.ndarray) -> MeanTotals:
    cents = outlook.mean_cents()[:, at]
    p = outlook.intervals.sum_to_periods(outlook.open_deals.p_won)[:, at]
    deals = outlook.won.by_period(outlook.intervals)[1][:, at] + outlook.members.sum((p > 0).astype(float))
    return MeanTotals(cents[..., 1], cents[..., 2], cents[..., 3], np.rint(deals).astype(np.int64))


def _used_up(models: FittedModels, then: Forecast, today: date) -> np.ndarray:
    """Cents by member and period that the earlier forecast expected of deals created by today."""
    at, intervals = then.standing, then.outlook.intervals
    creations = creations_within(at.creations, (today - then.origin).days)
    won_by = newborn_won_by(models, then.outlook.method, intervals.edges)
    expected = forecast_new_business(creations, won_by, at.donors).expected_amounts()
    return np.rint(intervals.sum_to_periods(then.outlook.members.whole_cents(expected))).astype(np.int64)
