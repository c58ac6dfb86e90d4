"""The revenue forecast as a table: won so far, today's pipeline, deals not yet created, and their total.

What belongs here: putting exact means and drawn quantiles together by period, member and component. What does not:
drawing (simulation.py) and the simple methods that stand beside it (baselines.py).

Means are exact sums of probability × amount, not averages of draws. They are rounded to cents once, by interval and
member, so that they add up to the cent over components, members and periods (`Members.whole_cents`); quantiles come
from the draws.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from models.levels import Intervals, Members
from models.new_business import NewBusiness
from models.simulation import Draws, PipelineOutlook, pearson_iii_quantiles, simulate, total_cumulants

COMPONENTS = ("won", "open_pipeline", "new_business", "total")
QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
QUANTILE_COLUMNS = tuple(f"p{round(100 * level):02d}" for level in QUANTILES)
HALF_WIDTH_80 = float(ndtri(0.9))
"""1.2816: half of an 80 % range, in standard deviations."""

CELLS_AT_ONCE = 5_000_000


@dataclass(frozen=True)
class WonDeals:
    """Deals won by the as-of date: day of winning ``closed_on`` (datetime64[D]), ``amount`` (NaN counts as 0), ``members``."""

    closed_on: np.ndarray
    amount: np.ndarray
    members: Members

    def by_period(self, intervals: Intervals) -> tuple[np.ndarray, np.ndarray]:
        """Cents won (int64) and number of wins by member and period so far (each M × K)."""
        first, last = intervals.past_days
        inside = (self.closed_on[:, None] >= first) & (self.closed_on[:, None] <= last)
        deal = np.flatnonzero(inside.any(axis=1))
        some, inside = self.members.take(deal), inside[deal].astype(float)
        cents = np.rint(np.nan_to_num(self.amount[deal]) * 100)
        return some.sum(inside * cents[:, None]).astype(np.int64), some.sum(inside)


@dataclass(frozen=True)
class RevenueOutlook:
    """What is expected of one method's forecast before anything is drawn: today's deals, deals not yet created, wins so far.

    All three name the same members.
    """

    open_deals: PipelineOutlook
    new_business: NewBusiness
    won: WonDeals
    intervals: Intervals
    method: str

    @property
    def members(self) -> Members:
        """Segment members of the open deals."""
        return self.open_deals.members

    def mean_cents(self) -> np.ndarray:
        """Whole cents (int64) by member, period and component (M × K × `COMPONENTS`): the published means.

        For each period and member the parts add up to the total, the members of a dimension to the company, and the
        periods of one kind to any longer period that they make up.
        """
        won, _ = self.won.by_period(self.intervals)
        opened, created = (
            np.rint(self.intervals.sum_to_periods(self.members.whole_cents(part.expected_amounts()))).astype(np.int64)
            for part in (self.open_deals, self.new_business)
        )
        return np.stack([won, opened, created, won + opened + created], axis=-1)

    def draw(self, *, draws: int, seed: int, shock_sd: float) -> Draws:
        """The one set of draws that everything published of this forecast comes from."""
        return simulate(self.open_deals, self.new_business, draws=draws, seed=seed, shock_sd=shock_sd)


def forecast_revenue(
    open_deals: PipelineOutlook,
    new_business: NewBusiness,
    won: WonDeals,
    intervals: Intervals,
    *,
    draws: int,
    seed: int,
    shock_sd: float,
    method: str,
) -> pd.DataFrame:
    """`revenue_table` of an outlook and its draws."""
    outlook = RevenueOutlook(open_deals, new_business, won, intervals, method)
    return revenue_table(outlook, outlook.draw(draws=draws, seed=seed, shock_sd=shock_sd))


def revenue_table(outlook: RevenueOutlook, drawn: Draws) -> pd.DataFrame:
    """One row per period, member and component, with the columns of the contract revenue_forecast.

    ``mean`` is `RevenueOutlook.mean_cents`; ``expected_wins`` add up over components too. ``noise_floor`` is that of the
    period and member and so the same on its four rows. ``drawn`` are the outlook's draws.
    """
    members, intervals = outlook.members, outlook.intervals
    cents = outlook.mean_cents()
    won_cents, wins = cents[..., 0], outlook.won.by_period(intervals)[1]
    open_wins = intervals.sum_to_periods(outlook.open_deals.expected_wins())
    new_wins = intervals.sum_to_periods(outlook.new_business.expected_wins())
    variance = outlook.open_deals.chance_variance(intervals) + intervals.sum_to_periods(outlook.new_business.expected_squares())
    floor = noise_floor(variance, cents[..., 3] / 100)
    quantiles = _quantiles(drawn.open_pipeline, drawn.new_business, won_cents, intervals)
    count, periods = won_cents.shape
    rows = pd.DataFrame(
        {
            **{name: np.tile(np.repeat(intervals.periods[name].to_numpy(), 4), count) for name in ("period_kind", "period_start")},
            **{name: np.repeat(members.names[name].to_numpy(), periods * 4) for name in ("dimension", "member")},
            "component": np.tile(np.array(COMPONENTS, dtype=object), count * periods),
            "mean": cents.reshape(-1) / 100,
        }
    )
    rows[list(QUANTILE_COLUMNS)] = quantiles.reshape(-1, len(QUANTILES)).round(2)
    rows["expected_wins"] = np.stack([wins, open_wins, new_wins, wins + open_wins + new_wins], axis=-1).reshape(-1)
    rows["noise_floor"] = np.repeat(floor.reshape(-1), 4)
    rows["method"] = outlook.method
    return rows


def forecast_company_total(
    open_deals: PipelineOutlook, new_business: NewBusiness, won: WonDeals, intervals: Intervals, *, shock_sd: float, method: str
) -> pd.DataFrame:
    """The company's total per period without drawing: mean, p10, p90 and noise_floor, for replaying many origins.

    The quantiles are those of the Pearson III with the exact first three cumulants, on which the
    drawn ones are checked; columns as in `forecast_revenue`, of the rows (all, all, total) only.
    """
    rows = []
    amounts_won = won.by_period(intervals)[0][0] / 100
    variance = open_deals.chance_variance(intervals)[0] + intervals.sum_to_periods(new_business.expected_squares())[0]
    for period, so_far in enumerate(amounts_won):
        mean, spread, third = total_cumulants(open_deals, new_business, intervals.in_period[period] > 0, shock_sd)
        low, high = pearson_iii_quantiles(mean, spread, third, np.array([0.1, 0.9])).clip(min=0.0)
        rows.append((so_far + mean, so_far + low, so_far + high))
    table = pd.DataFrame(np.round(rows, 2), columns=["mean", "p10", "p90"])
    return table.assign(
        period_kind=intervals.periods["period_kind"],
        period_start=intervals.periods["period_start"],
        dimension="all",
        member="all",
        component="total",
        noise_floor=noise_floor(variance, table["mean"].to_numpy()),
        method=method,
    )


def noise_floor(variance: np.ndarray, mean_total: np.ndarray) -> np.ndarray:
    """Half-width of the 80 % range that chance alone leaves, as a share of the mean total; NaN where that is 0.

    1.2816 · √(Σ open amount² · (p(1 − p) + p · cv²) + λ_new · E[X²]) ÷ mean total;
    ``variance`` is what stands under the root.
    """
    half_width = HALF_WIDTH_80 * np.sqrt(variance)
    return np.divide(half_width, mean_total, out=np.full(half_width.shape, np.nan), where=mean_total > 0)


def _quantiles(opened: np.ndarray, created: np.ndarray, won_cents: np.ndarray, intervals: Intervals) -> np.ndarray:
    """Quantiles by member, period and component (M × K × 4 × 7), members in blocks to bound memory."""
    count, _, draws = opened.shape
    periods = len(intervals.periods)
    result = np.empty((count, periods, len(COMPONENTS), len(QUANTILES)))
    result[:, :, 0, :] = won_cents[..., None] / 100
    block = max(1, CELLS_AT_ONCE // (periods * draws))
    for start in range(0, count, block):
        part = slice(start, start + block)
        open_by_period, new_by_period = (np.einsum("kj,mjd->mkd", intervals.in_period, x[part]) for x in (opened, created))
        total = open_by_period + new_by_period + won_cents[part, :, None] / 100
        for component, values in enumerate((open_by_period, new_by_period, total), start=1):
            result[part, :, component, :] = np.moveaxis(np.quantile(values, QUANTILES, axis=-1), 0, -1)
    return result
