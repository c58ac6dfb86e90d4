"""What the forecast would be with a better or worse win rate, sales cycle, creation or deal size, from the same random numbers.

What belongs here: the levers, the means and quantiles that a changed lever leads to, and the smallest change that closes a gap.
What does not: the published forecast (models/revenue.py) and whether a change can be had.

A lever holds from today on. Means are exact. Quantiles are the published ones plus the difference that the lever makes in draws with
common random numbers: a deal wins by the same luck, at the changed probability. New business keeps its drawn course and is scaled to its
new mean in each interval, so that its spread grows as its mean does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from models.levels import Members
from models.new_business import CreationForecast, wins_of_creations, won_by_ends
from models.revenue import QUANTILES, RevenueOutlook
from models.simulation import Draws, common_shock

LEVERS = ("win_rate", "cycle", "creation", "deal_size")
BETTER = {"win_rate": 1.1, "cycle": 0.9, "creation": 1.1, "deal_size": 1.1}
WORSE = {"win_rate": 0.9, "cycle": 1.1, "creation": 0.9, "deal_size": 0.9}
FARTHEST = {"win_rate": 2.0, "cycle": 0.5, "creation": 2.0, "deal_size": 2.0}
"""The largest change that is tried to close a gap."""

FACTOR_DECIMALS = 4
SHOWN = ("p10", "p50", "p90")

_STEPS = 10
_MOST_WINS = 1_000_000
_MOST_CELLS = 10_000_000
_FEWEST_DRAWS = 50
_DEALS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class ScenarioInputs:
    """A forecast and what a change of its levers needs to know.

    ``curve`` (deals × ``grid_days``) is P(won by); the grid holds every interval's end and reaches beyond the last one. ``newborn_curve`` is P(won
    by lag day) of deals not yet created. ``stage`` is the stage key of each open deal. ``drawn``, ``seed`` and ``shock_sd`` are those of the forecast.
    """

    outlook: RevenueOutlook
    curve: np.ndarray
    grid_days: np.ndarray
    newborn_curve: np.ndarray
    creations: CreationForecast
    stage: np.ndarray
    drawn: Draws
    seed: int
    shock_sd: float

    @cached_property
    def groups(self) -> Members:
        """The company, the segment members, and the stages as one more dimension: what a lever may be restricted to."""
        members = self.outlook.members
        keys, of_deal = np.unique(self.stage.astype(str), return_inverse=True)
        names = pd.concat([members.names, pd.DataFrame({"dimension": "stage", "member": keys})], ignore_index=True)
        return Members(names, np.column_stack([members.codes, len(members.names) + of_deal]).astype(np.intp))

    def by_group(self, of_members: np.ndarray) -> np.ndarray:
        """Values by member, with nothing for the stages: new business is in none yet."""
        stages = len(self.groups.names) - len(of_members)
        return np.concatenate([of_members, np.zeros((stages, *of_members.shape[1:]))])

    def won_by(self, lever: str, factor: float) -> np.ndarray:
        """P(won by the end of each interval) with a changed lever (intervals × deals)."""
        days = self.outlook.intervals.ends / (factor if lever == "cycle" else 1.0)
        right = np.clip(np.searchsorted(self.grid_days, days), 1, len(self.grid_days) - 1)
        left_day, right_day = self.grid_days[right - 1], self.grid_days[right]
        share = np.clip((days - left_day) / (right_day - left_day), 0.0, 1.0)
        won_by = (self.curve[:, right - 1] * (1 - share) + self.curve[:, right] * share).T
        return np.minimum(won_by * self._likelier(factor), 1.0) if lever == "win_rate" else won_by

    def new_ratio(self, lever: str, factor: float) -> np.ndarray:
        """New business of each interval, as a multiple of what is published."""
        if lever != "cycle":
            return np.full(len(self.outlook.intervals.ends), factor)
        lags = np.arange(len(self.newborn_curve))
        faster = np.interp(lags / factor, lags, self.newborn_curve)
        wins, published = (wins_of_creations(self.creations, won_by_ends(c, self.outlook.intervals.edges)).sum(axis=0) for c in (faster, self.newborn_curve))
        return np.divide(wins, published, out=np.ones_like(wins), where=published > 0)

    @cached_property
    def published(self) -> np.ndarray:
        """P(won by the end of each interval) as it is (intervals × deals)."""
        return self.won_by("creation", 1.0)

    @cached_property
    def _amounts(self) -> np.ndarray:
        """Expected amounts as they are (intervals × deals)."""
        return _steps(self.published) * self.outlook.open_deals.amount_if_won

    def mean_changes(self, lever: str, factor: float) -> np.ndarray:
        """Change of the company's mean (groups × periods) where the lever is changed in each group alone."""
        deals, intervals = self.outlook.open_deals, self.outlook.intervals
        size = factor if lever == "deal_size" else 1.0
        change = _steps(self.won_by(lever, factor)) * size * deals.amount_if_won - self._amounts
        new = self.outlook.new_business.expected_amounts() * (self.new_ratio(lever, factor) - 1)
        return intervals.sum_to_periods(self.groups.sum(np.ascontiguousarray(change.T)) + self.by_group(new))

    def mean_change(self, lever: str, factor: float) -> np.ndarray:
        """The first row of `mean_changes`, for trying many factors: nothing is computed deal by deal that can be added up before."""
        before = self._amounts.sum(axis=1)
        if lever == "win_rate":
            after = self._amounts @ self._likelier(factor)
        elif lever == "cycle":
            after = _steps(np.interp(self.outlook.intervals.ends / factor, self.grid_days, self._summed_curve))
        else:
            after = before * (factor if lever == "deal_size" else 1.0)
        return self.outlook.intervals.sum_to_periods(after - before + self._new_amounts * (self.new_ratio(lever, factor) - 1))

    @cached_property
    def _summed_curve(self) -> np.ndarray:
        return self.outlook.open_deals.amount_if_won @ self.curve

    @cached_property
    def _new_amounts(self) -> np.ndarray:
        return self.outlook.new_business.expected_amounts()[0]

    def _likelier(self, factor: float) -> np.ndarray:
        """Factor on the probabilities of each deal: one that is nearly certain cannot become likelier by as much."""
        return np.minimum(factor, 1 / np.maximum(self.published[-1], 1e-12))


def _steps(won_by: np.ndarray) -> np.ndarray:
    return np.diff(won_by, axis=0, prepend=0.0)


def scenario_rows(inputs: ScenarioInputs, revenue: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Rows of the contract scenarios: every lever better and worse, for the company and restricted to each member and stage, and what closes gaps.

    ``revenue`` is the published revenue_forecast; ``targets`` has period_kind, period_start, dimension, member, target. Months and quarters that are not over.
    """
    periods = inputs.outlook.intervals.periods
    at = np.flatnonzero((periods["period_kind"] != "week").to_numpy() & (inputs.outlook.intervals.period_ends > 0))
    shown = periods.iloc[at][["period_kind", "period_start"]].reset_index(drop=True)
    company = revenue[(revenue["dimension"] == "all") & (revenue["component"] == "total")]
    published = shown.merge(company[[*shown, "mean", *SHOWN]], on=list(shown), how="left", validate="1:1")
    aims = targets[targets["dimension"] == "all"][[*shown, "target"]]
    published["target"] = shown.merge(aims, on=list(shown), how="left", validate="1:1")["target"].to_numpy()
    luck = _Luck.of(inputs)
    rows = [
        _rows(inputs, luck, scenario, lever, factors[lever], at, published) for scenario, factors in (("better", BETTER), ("worse", WORSE)) for lever in LEVERS
    ]
    short = np.flatnonzero((published["target"] > published["mean"]).to_numpy())
    rows += [_closing(inputs, luck, lever, at[[k]], published.iloc[[k]].reset_index(drop=True)) for k in short for lever in LEVERS]
    return pd.concat(rows, ignore_index=True)


def _rows(inputs, luck: "_Luck", scenario: str, lever: str, factor: float, at: np.ndarray, published: pd.DataFrame, company_only: bool = False) -> pd.DataFrame:
    groups = _company_of(inputs.groups) if company_only else inputs.groups
    names = groups.names
    count, length = len(names), len(at)
    change = (inputs.mean_change(lever, factor)[None] if company_only else inputs.mean_changes(lever, factor))[:, at].round(2)
    mean = published["mean"].to_numpy() + change
    moved = luck.quantile_changes(inputs, lever, factor, at, groups)
    won = inputs.outlook.mean_cents()[0, at, 0] / 100
    quantiles = np.maximum(np.maximum.accumulate(published[list(SHOWN)].to_numpy() + moved, axis=-1), won[:, None]).round(2)
    is_stage = (names["dimension"] == "stage").to_numpy()
    target = np.tile(published["target"].to_numpy(), count)
    rows = pd.DataFrame(
        {
            **{c: np.tile(published[c].to_numpy(), count) for c in ("period_kind", "period_start")},
            "scenario": scenario,
            "lever": lever,
            "dimension": np.repeat(np.where(is_stage, "all", names["dimension"].to_numpy(object)), length),
            "member": np.repeat(np.where(is_stage, "all", names["member"].to_numpy(object)), length),
            "stage": np.repeat(np.where(is_stage, names["member"].to_numpy(object), "all"), length),
            "factor": factor,
            "mean": mean.reshape(-1).round(2),
            **{name: quantiles[..., i].reshape(-1) for i, name in enumerate(SHOWN)},
            "change": change.reshape(-1),
        }
    )
    rows["closes_gap"] = pd.Series(rows["mean"].to_numpy() >= target, dtype="boolean").mask(np.isnan(target))
    # Of a stage there is no creation: new business is in none yet.
    return rows[(rows["stage"] == "all") | (lever != "creation")]


def _closing(inputs, luck: "_Luck", lever: str, at: np.ndarray, published: pd.DataFrame) -> pd.DataFrame:
    """The smallest change of a lever that makes the period's mean its target; nulls where none up to `FARTHEST` does."""
    lacking = float(published["target"].iloc[0] - published["mean"].iloc[0])
    factor = smallest_factor(lambda f: inputs.mean_change(lever, f)[at[0]] >= lacking, FARTHEST[lever])
    rows = _rows(inputs, luck, "close_gap", lever, FARTHEST[lever] if factor is None else factor, at, published, company_only=True)
    if factor is None:
        rows[["factor", "mean", *SHOWN, "change"]] = np.nan
        rows["closes_gap"] = pd.Series([False], index=rows.index, dtype="boolean")
    return rows


def smallest_factor(closes: Callable[[float], bool], farthest: float) -> float | None:
    """The factor closest to 1 on the way to ``farthest`` at which ``closes`` holds, to `FACTOR_DECIMALS`; None where it never does.

    Looked for in even steps first: a faster cycle draws wins out of a period as well as into it.
    """
    unit = 10**FACTOR_DECIMALS
    steps = np.rint(np.linspace(unit, farthest * unit, _STEPS + 1)).astype(int).tolist()
    first = next((i for i, step in enumerate(steps) if closes(step / unit)), None)
    if first is None:
        return None
    near, far = steps[max(first - 1, 0)], steps[first]
    while abs(far - near) > 1:
        middle = (near + far) // 2
        near, far = (near, middle) if closes(middle / unit) else (middle, far)
    return far / unit


@dataclass(frozen=True)
class _Luck:
    """The random numbers that all scenarios share: ``draw``, ``deal``, uniform ``luck`` and ``amount`` of every deal that wins in any of them.

    ``new`` (groups × intervals × draws) is drawn new business, ``before`` the interval of each win as published, ``base`` (intervals × draws) what
    the company then wins.
    """

    draw: np.ndarray
    deal: np.ndarray
    luck: np.ndarray
    amount: np.ndarray
    new: np.ndarray
    shock: np.ndarray
    before: np.ndarray
    base: np.ndarray

    @classmethod
    def of(cls, inputs: ScenarioInputs) -> "_Luck":
        deals = inputs.outlook.open_deals
        highest = np.max([inputs.won_by(lever, f[lever])[-1] for lever in ("win_rate", "cycle") for f in (BETTER, WORSE, FARTHEST)], axis=0, initial=0.0)
        cells = len(inputs.groups.names) * len(inputs.outlook.intervals.ends)
        draws = inputs.drawn.open_pipeline.shape[2]
        draws = min(draws, max(_FEWEST_DRAWS, min(int(_MOST_WINS / max(highest.sum(), 1.0)), _MOST_CELLS // cells)))
        # Not those of the published draws, whose amounts follow the order of wins: with another win all later ones would change.
        rng = np.random.default_rng(np.random.SeedSequence(inputs.seed, spawn_key=(2**31,)))
        at_once = max(1, _DEALS_AT_ONCE // max(len(highest), 1))
        parts = []
        for start in range(0, draws, at_once):
            uniform = rng.random((min(at_once, draws - start), len(highest)))
            draw, deal = np.nonzero(uniform < highest)
            parts.append((draw + start, deal, uniform[draw, deal]))
        draw, deal, luck = (np.concatenate([part[i] for part in parts]) for i in range(3))
        log_sd = deals.log_sd[deal]
        amount = deals.amount_if_won[deal] * np.exp(log_sd * rng.standard_normal(len(deal)) - log_sd**2 / 2)
        shock = common_shock(inputs.drawn.open_pipeline.shape[2], inputs.seed, inputs.shock_sd)[:draws]
        new = inputs.by_group(inputs.drawn.new_business[:, :, :draws])
        luck = cls(draw, deal, luck, amount * shock[draw], new, shock, np.zeros(0, np.intp), np.zeros((0, 0)))
        luck = replace(luck, before=luck._interval(inputs.published))
        won = luck._summed(_company_of(inputs.groups), luck.before, luck.amount, np.ones(len(deal), dtype=bool), new.shape[1])
        return replace(luck, base=won[0] + new[0])

    def _interval(self, won_by: np.ndarray) -> np.ndarray:
        """Interval in which each deal wins; the number of intervals where it does not."""
        interval = np.zeros(len(self.deal), dtype=np.intp)
        for by in won_by:
            interval += self.luck >= by[self.deal]
        return interval

    def _summed(self, groups: Members, interval: np.ndarray, amount: np.ndarray, chosen: np.ndarray, intervals: int) -> np.ndarray:
        draws, total = len(self.shock), np.zeros(len(groups.names) * intervals * len(self.shock))
        rows = np.flatnonzero(chosen & (interval < intervals))
        cell = interval[rows] * draws + self.draw[rows]
        for codes in np.ascontiguousarray(groups.codes.T) * (intervals * draws):
            total += np.bincount(codes[self.deal[rows]] + cell, weights=amount[rows], minlength=len(total))
        return total.reshape(-1, intervals, draws)

    def quantile_changes(self, inputs: ScenarioInputs, lever: str, factor: float, at: np.ndarray, groups: Members) -> np.ndarray:
        """By how much the company's quantiles change (groups × periods × `SHOWN`) where the lever is changed in each group alone."""
        in_period = inputs.outlook.intervals.in_period[at]
        count, size = in_period.shape[1], factor if lever == "deal_size" else 1.0
        before, after = self.before, self._interval(inputs.won_by(lever, factor)) if lever in ("win_rate", "cycle") else self.before
        base = np.tensordot(in_period, self.base, axes=1)
        changed = (before != after) | (size != 1.0)
        moved = self._summed(groups, after, self.amount * size, changed, count) - self._summed(groups, before, self.amount, changed, count)
        moved += self.new[: len(moved)] * (inputs.new_ratio(lever, factor) - 1)[None, :, None]
        levels = [QUANTILES[i] for i in (1, 3, 5)]
        totals = base + np.einsum("kj,gjd->gkd", in_period, moved)
        return np.moveaxis(np.quantile(totals, levels, axis=-1) - np.quantile(base, levels, axis=-1)[:, None], 0, -1)


def _company_of(groups: Members) -> Members:
    return replace(groups, names=groups.names.iloc[:1], codes=groups.codes[:, :1])
