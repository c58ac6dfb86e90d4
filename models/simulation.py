"""The distribution of revenue ahead, from one set of draws summed every way.

What belongs here: drawing who is won when and for how much, and summing that to members and periods. What does not:
the probabilities, amounts and outlooks that go in, and the table that comes out (revenue.py).

Per draw each open deal falls in one interval or in none, with a lognormal amount; wins of deals not yet created are
Poisson with uncertain creation and resemble recent wins; a lognormal shock common to all of a draw stands for what
moves everything together. Every level is a sum of the same draws, so all levels are coherent.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaincinv, ndtri

from models.levels import Intervals, Members
from models.new_business import NewBusiness
from models.threads import in_threads

LARGEST_WORK = 200_000_000
"""Draws × deals beyond which the number of draws is cut."""

LARGEST_RESULT = 25_000_000
"""Draws × members × intervals beyond which the number of draws is cut (200 MB)."""

CHUNK = 4_000_000
"""Draws × deals that a thread holds in memory at once."""

FEWEST_DRAWS = 200


@dataclass(frozen=True)
class PipelineOutlook:
    """The open deals of a forecast: ``p_won`` (n × J intervals), ``amount_if_won`` (n), ``amount_cv`` (n), ``members``."""

    p_won: np.ndarray
    amount_if_won: np.ndarray
    amount_cv: np.ndarray
    members: Members

    def __post_init__(self):
        n = len(self.amount_if_won)
        if self.p_won.shape[0] != n or self.amount_cv.shape != (n,) or self.members.codes.shape[0] != n:
            raise ValueError(
                f"{n} amounts go with {self.p_won.shape[0]} rows of probabilities, {len(self.amount_cv)} spreads and "
                f"{self.members.codes.shape[0]} rows of segment members; expected one row per open deal in each"
            )
        if n and not (self.p_won.min() >= 0 and self.p_won.sum(axis=1).max() <= 1 + 1e-9):
            raise ValueError("probabilities of winning in disjoint intervals are at least 0 and sum to at most 1 per deal")

    @cached_property
    def won_by(self) -> np.ndarray:
        """P(won by the end of each interval) (J × n)."""
        return np.ascontiguousarray(np.cumsum(self.p_won, axis=1).T)

    @cached_property
    def log_sd(self) -> np.ndarray:
        """Standard deviation of the log of each amount (n)."""
        return np.sqrt(np.log1p(self.amount_cv**2))

    def expected_wins(self) -> np.ndarray:
        """Σ p by member and interval (M × J)."""
        return self.members.sum(self.p_won)

    def expected_amounts(self) -> np.ndarray:
        """Σ p × amount_if_won by member and interval (M × J)."""
        return self.members.sum(self.p_won * self.amount_if_won[:, None])

    def chance_variance(self, intervals: Intervals) -> np.ndarray:
        """Σ amount² · (p(1 − p) + p · cv²) by member and period (M × K), with p of the whole period."""
        p = intervals.sum_to_periods(self.p_won)
        return self.members.sum(self.amount_if_won[:, None] ** 2 * (p * (1 - p) + p * self.amount_cv[:, None] ** 2))


@dataclass(frozen=True)
class Draws:
    """Amounts drawn, by member, interval and draw (each M × J × draws)."""

    open_pipeline: np.ndarray
    new_business: np.ndarray


def affordable_draws(wanted: int, deals: int, cells: int) -> int:
    """The number of draws wanted, cut so that draws × deals and draws × cells stay within bounds."""
    limit = min(LARGEST_WORK // max(deals, 1), LARGEST_RESULT // max(cells, 1))
    return min(wanted, max(limit, FEWEST_DRAWS))


def simulate(open_deals: PipelineOutlook, new_business: NewBusiness, *, draws: int, seed: int, shock_sd: float) -> Draws:
    """Draw the amounts won in each interval, per segment member.

    ``draws`` is cut for very many deals (`affordable_draws`). Draws are scaled per interval, for all members alike,
    to the exact mean of the company, so that they stay coherent and their mean is that of the table.
    The same inputs and seed give the same bytes.
    """
    names = open_deals.members.names
    intervals = open_deals.p_won.shape[1]
    deals = len(open_deals.amount_if_won) + int(new_business.wins.sum())
    draws = affordable_draws(draws, deals, len(names) * intervals)
    at_once = max(1, CHUNK // max(deals, 1))
    starts = range(0, draws, at_once)
    opened = np.zeros((len(names), intervals, draws))
    created = np.zeros_like(opened)
    # Every part has random numbers of its own, so that it does not matter which thread draws it, or when.
    _, *of_parts = np.random.SeedSequence(seed).spawn(1 + len(starts))

    def draw(start_and_own: tuple[int, np.random.SeedSequence]) -> None:
        start, own = start_and_own
        rng = np.random.default_rng(own)
        part = slice(start, min(start + at_once, draws))
        size = part.stop - part.start
        opened[:, :, part] = _draw_open(rng, open_deals, size)
        created[:, :, part] = _draw_new(rng, new_business, intervals, size)

    in_threads(draw, zip(starts, of_parts, strict=True))
    shock = common_shock(draws, seed, shock_sd)
    for drawn, mean in ((opened, open_deals.expected_amounts()[0]), (created, new_business.expected_amounts()[0])):
        drawn *= shock
        average = drawn[0].mean(axis=1)
        drawn *= np.divide(mean, average, out=np.ones(intervals), where=average > 0)[None, :, None]
    return Draws(opened, created)


def common_shock(draws: int, seed: int, shock_sd: float) -> np.ndarray:
    """The factor of mean 1 that is common to all of a draw; those of fewer draws are the first of more."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    return np.exp(shock_sd * rng.standard_normal(draws) - shock_sd**2 / 2)


def _draw_open(rng: np.random.Generator, deals: PipelineOutlook, draws: int) -> np.ndarray:
    """Amounts won of today's pipeline by member, interval and draw."""
    intervals, n = deals.won_by.shape
    if n == 0:
        return np.zeros((len(deals.members.names), intervals, draws))
    uniform = rng.random((draws, n))
    draw, deal = np.nonzero(uniform < deals.won_by[-1])
    luck = uniform[draw, deal]
    interval = np.zeros(len(deal), dtype=np.intp)
    for won_by in deals.won_by[:-1]:
        interval += luck >= won_by[deal]
    amount = deals.amount_if_won[deal] * _lognormal(rng, deals.log_sd[deal])
    return _by_member(deals.members, deal, interval, draw, amount, (intervals, draws))


def _draw_new(rng: np.random.Generator, outlook: NewBusiness, intervals: int, draws: int) -> np.ndarray:
    """Amounts won of deals not yet created by member, interval and draw."""
    donors = outlook.donors
    level = np.exp(np.outer(rng.standard_normal(draws), outlook.log_sd) - outlook.log_sd**2 / 2)
    counts = rng.poisson(level @ outlook.wins)
    total = int(counts.sum())
    if total == 0:
        return np.zeros((len(donors.members.names), intervals, draws))
    draw, interval = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), intervals)
    donor = rng.integers(len(donors.amounts), size=total)
    amount = donors.amounts[donor] * _lognormal(rng, np.full(total, donors.log_bandwidth))
    return _by_member(donors.members, donor, interval, draw, amount, (intervals, draws))


def _lognormal(rng: np.random.Generator, log_sd: np.ndarray) -> np.ndarray:
    """Lognormal factors of mean 1."""
    return np.exp(log_sd * rng.standard_normal(len(log_sd)) - log_sd**2 / 2)


def _by_member(members: Members, deal: np.ndarray, interval: np.ndarray, draw: np.ndarray, amount: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sum drawn wins to every member of every dimension: members × intervals × draws."""
    intervals, draws = shape
    cell = interval * draws + draw
    size = len(members.names) * intervals * draws
    total = np.zeros(size)
    for codes in np.ascontiguousarray(members.codes.T) * (intervals * draws):
        total += np.bincount(codes[deal] + cell, weights=amount, minlength=size)
    return total.reshape(-1, intervals, draws)


def excess_shock(actual: np.ndarray, mean: np.ndarray, chance_sd: np.ndarray, *, prior: float, prior_weight: float) -> float:
    """Log-sd of the common shock: what past forecasts missed by beyond what chance explains.

    Arrays by past forecast: the amount won after the origin, its expected value, and the sd that chance alone leaves.
    Squared relative misses less chance variance are averaged with ``prior``² at the weight of ``prior_weight`` misses;
    each is cut at ±0.25 so that one odd month does not decide.
    """
    usable = mean > 0
    miss = ((actual[usable] - mean[usable]) ** 2 - chance_sd[usable] ** 2) / mean[usable] ** 2
    variance = (np.clip(miss, -0.25, 0.25).sum() + prior_weight * prior**2) / (prior_weight + usable.sum())
    return float(np.sqrt(np.log1p(max(variance, 0.0))))


def total_cumulants(open_deals: PipelineOutlook, new_business: NewBusiness, chosen: np.ndarray, shock_sd: float) -> tuple[float, float, float]:
    """First three cumulants of the company's amount still to be won in the ``chosen`` intervals (J, true or false).

    The exact counterpart of `simulate`: Bernoulli × lognormal, compound Poisson with a lognormal level, and the shock.
    Uncertain creation enters by its average over the months of creation.
    """
    p = open_deals.p_won[:, chosen].sum(axis=1)
    a, c = open_deals.amount_if_won, 1 + open_deals.amount_cv**2
    first, second, third = p * a, p * a**2 * c, p * (a * c) ** 3
    opened = np.array([first.sum(), (second - first**2).sum(), (third - 3 * first * second + 2 * first**3).sum()])
    donors = new_business.donors
    factor = np.exp(donors.log_bandwidth**2)
    rate = new_business.wins[:, chosen].sum(axis=1)
    x = [0.0, 0.0, 0.0] if rate.sum() == 0 else [(donors.amounts**r).mean() * factor ** (r * (r - 1) / 2) for r in (1, 2, 3)]
    lam = rate.sum()
    log_variance = (np.average(new_business.log_sd, weights=rate) ** 2) if lam > 0 else 0.0
    spread, skew = _lognormal_cumulants(log_variance)
    created = np.array(
        [
            lam * x[0],
            lam * x[1] + lam**2 * x[0] ** 2 * spread,
            lam * x[2] + 3 * lam**2 * x[0] * x[1] * spread + lam**3 * x[0] ** 3 * skew,
        ]
    )
    mean, variance, third_cumulant = opened + created
    raw = np.array([mean, variance + mean**2, third_cumulant + 3 * mean * variance + mean**3])
    raw = raw * np.exp(shock_sd**2 * np.array([0, 1, 3]))
    return float(raw[0]), float(raw[1] - raw[0] ** 2), float(raw[2] - 3 * raw[0] * raw[1] + 2 * raw[0] ** 3)


def _lognormal_cumulants(log_variance: float) -> tuple[float, float]:
    """Second and third cumulant of a lognormal of mean 1."""
    w = np.exp(log_variance)
    return w - 1, (w - 1) ** 2 * (w + 2)


def pearson_iii_quantiles(mean: float, variance: float, third_cumulant: float, levels: np.ndarray) -> np.ndarray:
    """Quantiles of the Pearson III (shifted gamma) distribution with these cumulants; normal where there is no skew.

    The independent check on the draws: within 0.02 to 0.08 sd of the exact quantiles (docs/forecasting.md).
    """
    if variance <= 0:
        return np.full(len(levels), mean)
    sd = np.sqrt(variance)
    skew = third_cumulant / sd**3
    if abs(skew) < 1e-6:
        return mean + sd * ndtri(levels)
    shape = 4 / skew**2
    gamma = gammaincinv(shape, levels if skew > 0 else 1 - levels)
    return mean + sd * (gamma - shape) * skew / 2
