"""A whole forecast as of one origin: what the record showed then, and what it leads to expect.

What belongs here: the company's record as arrays, its state at an origin, and the revenue forecast and baselines from
there. What does not: fitting of probabilities (models/win_probability.py) and the loop over origins
(models/revenue_backtest.py).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from models.amounts import AmountModel, expect_amounts, fit_amounts
from models.baselines import OpenPipeline, forecast_baselines
from models.deal_facts import DealFacts
from models.deal_history import DealHistory, day_date
from models.landmarks import OpenDeals
from models.levels import Intervals, Members
from models.new_business import CreationForecast, Donors, NewBusiness, forecast_creations, forecast_new_business, recent_wins, won_by_ends
from models.revenue import RevenueOutlook, WonDeals, forecast_company_total
from models.simulation import PipelineOutlook
from models.win_probability import FittedModels, WinProbabilities

PROBABILITY_DECIMALS = 8
"""Probabilities are rounded to this before anything is made of them, so that what is published adds up."""

WEEKS_AHEAD = 6
MONTHS_AHEAD = 3
SHORT_CYCLE_DAYS = 45.0
"""Median cycle below which weeks are forecast too."""


@dataclass(frozen=True)
class CompanyRecord:
    """Everything a forecast reads, deal by deal in the order of ``history.opportunity_id``; ``facts`` is what features read.

    ``created_on`` and ``closed_on`` are datetime64[D] (NaT: unknown, open), ``owner_id`` and ``amount`` the newest
    known ones. ``episode_*`` are the states through time: deal, first instant, first instant after, amount, expected
    close date. ``final_ratios`` has one row per won deal and stage (opportunity_id, stage, amount, final_amount,
    closed_on). ``knows_amounts`` says whether amounts of the past are known as they were then: where only final values
    are exported they give the outcome away and are not read at past origins.
    """

    history: DealHistory
    facts: DealFacts
    members: Members
    created_on: np.ndarray
    closed_on: np.ndarray
    owner_id: np.ndarray
    is_won: np.ndarray
    amount: np.ndarray
    crm_probability: np.ndarray
    default_probability: np.ndarray
    episode_deal: np.ndarray
    episode_from: np.ndarray
    episode_to: np.ndarray
    episode_amount: np.ndarray
    episode_close_on: np.ndarray
    final_ratios: pd.DataFrame
    knows_amounts: bool

    @property
    def won(self) -> np.ndarray:
        """Positions of the deals that are won."""
        return np.flatnonzero(self.is_won & ~np.isnat(self.closed_on))

    @property
    def knows_money(self) -> bool:
        """Whether the amount of any deal is known: without one a forecast of revenue would be a forecast of nothing."""
        return bool((np.nan_to_num(self.amount) > 0).any())

    def deals_won_by(self, origin: date) -> np.ndarray:
        """Positions of the deals won by the end of ``origin``."""
        return self.won[self.closed_on[self.won] <= np.datetime64(origin, "D")]

    def won_by(self, origin: date, members: Members) -> WonDeals:
        """The deals won by the end of ``origin``, with the given members of all deals."""
        deals = self.deals_won_by(origin)
        return WonDeals(self.closed_on[deals], self.amount[deals], members.take(deals))

    def in_force(self, origin: date) -> tuple[np.ndarray, np.ndarray]:
        """Amount and expected close date of every deal at the end of ``origin``; NaN and NaT where not known then."""
        end = np.datetime64(origin, "us") + np.timedelta64(1, "D")
        rows = np.flatnonzero((self.episode_from < end) & (np.isnat(self.episode_to) | (self.episode_to >= end)))
        amount = np.full(len(self.amount), np.nan)
        close_on = np.full(len(self.amount), np.datetime64("NaT"), dtype="datetime64[D]")
        amount[self.episode_deal[rows]] = self.episode_amount[rows]
        close_on[self.episode_deal[rows]] = self.episode_close_on[rows]
        if self.is_today(origin):
            # Deals without a dated history have no episode; what their row says is known today.
            undated = np.isnan(amount) & np.isnat(self.closed_on)
            amount[undated] = self.amount[undated]
        elif not self.knows_amounts:
            amount[:] = np.nan
        return amount, close_on

    def is_today(self, origin: date) -> bool:
        """Whether the origin is the as-of date itself and not a replayed one."""
        return origin == day_date(self.history.known_day)

    def median_cycle_days(self, origin: date) -> float:
        """Median days from creation to winning of the deals won by ``origin``; NaN where there are none."""
        won = self.deals_won_by(origin)
        days = (self.closed_on[won] - self.created_on[won]).astype(float)
        days = days[~np.isnat(self.created_on[won])]
        return float(np.median(days)) if len(days) else float("nan")


@dataclass(frozen=True)
class AmountBasis:
    """What was known at ``origin`` of how amounts move until a deal is won: the fitted ``model``, and ``wins`` (closed_at, amount, group)."""

    model: AmountModel
    wins: pd.DataFrame
    origin: date
    prior_deals: float

    def expect(self, stage: np.ndarray, amount: np.ndarray, group: np.ndarray) -> pd.DataFrame:
        """``amount_if_won`` and ``amount_cv`` of open deals by stage key, amount (NaN: unknown) and group."""
        deals = pd.DataFrame({"stage": stage, "amount": amount, "group": group})
        # An unknown amount is that of wins of the same kind: one product may bring a hundred times what another does.
        return expect_amounts(deals, self.model, self.wins, self.origin, by=("group",), prior_deals=self.prior_deals)


@dataclass(frozen=True)
class Standing:
    """What every method finds at one origin: open deals with what they bring if won, wins so far, creations to come.

    ``amounts`` has amount, amount_if_won and amount_cv per open deal; ``baselines`` the rows of forecast_baselines.
    """

    intervals: Intervals
    open_deals: OpenDeals
    amounts: pd.DataFrame
    members: Members
    won: WonDeals
    donors: Donors
    creations: CreationForecast
    baselines: pd.DataFrame


def forecast_periods(calendar: pd.DataFrame, origin: date, with_weeks: bool) -> pd.DataFrame:
    """Months and quarters from those the origin lies in to three months ahead, and six weeks where asked for."""
    today = pd.Timestamp(origin)
    last_month = (today.to_period("M") + MONTHS_AHEAD).end_time.normalize()
    ahead = calendar[(calendar["period_end"] >= today) & (calendar["period_start"] <= last_month)]
    weeks = ahead[ahead["period_kind"] == "week"].sort_values("period_start").head(WEEKS_AHEAD + 1)
    longer = ahead[ahead["period_kind"] != "week"]
    return pd.concat([longer, weeks] if with_weeks else [longer], ignore_index=True)


def rounded(result: WinProbabilities) -> tuple[np.ndarray, np.ndarray]:
    """P(won by) and P(lost by) of a result at its horizons, rounded, not falling, adding up to at most 1."""
    won = np.round(result.won_by, PROBABILITY_DECIMALS)
    lost = np.minimum(np.round(result.lost_by, PROBABILITY_DECIMALS), 1.0 - won)
    return won, np.maximum.accumulate(lost.clip(min=0.0), axis=1)


def newborn_win_curve(models: FittedModels, method: str, lags: int) -> np.ndarray:
    """P(won by lag day | created), lags 0 … ``lags``, in a quarter in the mean."""
    if models.semi_markov is not None and method not in ("base_rate", "stage_rates"):
        return models.semi_markov.newborn_won_by_lag(lags)
    return models.rates.newborn_won_by_lag(lags)


def newborn_won_by(models: FittedModels, method: str, edges: np.ndarray) -> np.ndarray:
    """P(won by each end | created on each day ahead) (days × J) of deals not yet created: by the method or, where it has none of its own, by rates."""
    if models.semi_markov is not None and method not in ("base_rate", "stage_rates"):
        return models.semi_markov.newborn_won_by_ends(edges)
    return won_by_ends(models.rates.newborn_won_by_lag(int(edges[-1])), edges)


def standing(
    record: CompanyRecord, models: FittedModels, open_then: OpenDeals, intervals: Intervals, origin: date, members: Members, prior_deals: float
) -> Standing:
    """Where the company stood at the end of ``origin``.

    ``members`` are those of all deals (a coarser choice than ``record.members`` is cheaper).
    """
    amount, close_on = record.in_force(origin)
    won, open_amount = record.won_by(origin, members), amount[open_then.deal]
    expected = amount_basis(record, origin, prior_deals).expect(stage_names(record, open_then), open_amount, open_then.group)
    created = record.created_on[record.created_on <= np.datetime64(origin, "D")]
    own = members.take(open_then.deal)
    crm = record.crm_probability[open_then.deal] if record.is_today(origin) else np.full(len(open_then), np.nan)
    shown = OpenPipeline(open_amount, close_on[open_then.deal], _stage_probability(record, models, open_then), crm, own)
    return Standing(
        intervals=intervals,
        open_deals=open_then,
        amounts=expected.assign(amount=open_amount),
        members=own,
        won=won,
        donors=recent_wins(won.closed_on, won.amount, won.members, origin),
        creations=forecast_creations(created, origin, int(intervals.edges[-1])),
        baselines=forecast_baselines(shown, won, intervals, created.min() if len(created) else np.datetime64(origin, "D")),
    )


def amount_basis(record: CompanyRecord, origin: date, prior_deals: float) -> AmountBasis:
    """How amounts move until a deal is won, as known at the end of ``origin``."""
    won = record.deals_won_by(origin)
    wins = {"closed_at": record.closed_on[won].astype("datetime64[us]"), "amount": record.amount[won], "group": record.history.groups.deal_group[won]}
    ratios = record.final_ratios
    return AmountBasis(fit_amounts(ratios[ratios["closed_on"] <= pd.Timestamp(origin)], prior_deals), pd.DataFrame(wins), origin, prior_deals)


def stage_names(record: CompanyRecord, deals: OpenDeals) -> np.ndarray:
    """Stage key of each open deal; ``unknown`` where nobody recorded it."""
    keys = np.array([*record.history.stages, "unknown"], dtype=object)
    return keys[np.where(deals.stage >= 0, deals.stage, len(keys) - 1)]


def outlook_of(result: WinProbabilities, models: FittedModels, at: Standing) -> RevenueOutlook:
    """What one method's probabilities at ``intervals.ends`` lead to expect, before anything is drawn."""
    pipeline, new = _ahead(result, models, at)
    return RevenueOutlook(pipeline, new, at.won, at.intervals, result.method)


def company_total_of(result: WinProbabilities, models: FittedModels, at: Standing, *, shock_sd: float) -> pd.DataFrame:
    """The company's total by the same method, without drawing: what a replay is scored by."""
    pipeline, new = _ahead(result, models, at)
    return forecast_company_total(pipeline, new, at.won, at.intervals, shock_sd=shock_sd, method=result.method)


def member_totals_of(result: WinProbabilities, models: FittedModels, at: Standing, rows: np.ndarray, *, shock_sd: float) -> pd.DataFrame:
    """The total of each of the members ``rows`` (of ``at.members.names``) by the same method, as `company_total_of`."""
    pipeline, new = _ahead(result, models, at)
    totals = [
        forecast_company_total(*of_member(pipeline, new, at.won, row), at.intervals, shock_sd=shock_sd, method=result.method).assign(
            **at.members.names.iloc[row].to_dict()
        )
        for row in rows
    ]
    return pd.concat(totals, ignore_index=True)


def of_member(pipeline: PipelineOutlook, new: NewBusiness, won: WonDeals, row: int) -> tuple[PipelineOutlook, NewBusiness, WonDeals]:
    """The part of one member, as if it were a company: of new business the share of its wins among recent ones."""
    opened, donors, before = ((members.codes == row).any(axis=1) for members in (pipeline.members, new.donors.members, won.members))
    names = pipeline.members.names.iloc[[row]]

    def alone(chosen: np.ndarray) -> Members:
        return Members(names, np.zeros((int(chosen.sum()), 1), dtype=np.intp))

    own = Donors(new.donors.amounts[donors], alone(donors), new.donors.log_bandwidth)
    return (
        PipelineOutlook(pipeline.p_won[opened], pipeline.amount_if_won[opened], pipeline.amount_cv[opened], alone(opened)),
        NewBusiness(new.wins * (donors.mean() if len(donors) else 0.0), new.log_sd, own),
        WonDeals(won.closed_on[before], won.amount[before], alone(before)),
    )


def _ahead(result: WinProbabilities, models: FittedModels, at: Standing) -> tuple[PipelineOutlook, NewBusiness]:
    """What one method expects of the open deals and of deals not yet created.

    Raises ValueError where ``result`` was evaluated at other horizons than the ends of the intervals.
    """
    if not np.array_equal(result.horizon_days, at.intervals.ends):
        raise ValueError(f"probabilities are for days {result.horizon_days}, the intervals end on days {at.intervals.ends}; evaluate at Intervals.ends")
    p_won = np.diff(rounded(result)[0], axis=1, prepend=0.0).clip(min=0.0)
    pipeline = PipelineOutlook(p_won, at.amounts["amount_if_won"].to_numpy(), at.amounts["amount_cv"].to_numpy(), at.members)
    return pipeline, forecast_new_business(at.creations, newborn_won_by(models, result.method, at.intervals.edges), at.donors)


def _stage_probability(record: CompanyRecord, models: FittedModels, open_then: OpenDeals) -> np.ndarray:
    """The configured probability of each deal's stage, or the company's own rate where none is configured."""
    row = np.where(open_then.stage < 0, models.rates.base_row, open_then.stage)
    configured = np.append(record.default_probability, np.nan)[np.where(open_then.stage < 0, -1, open_then.stage)]
    return np.where(np.isnan(configured), models.rates.won_ever[row], configured)
