"""How good win probabilities were at past month ends, and which method deserves to be published.

What belongs here: the rolling backtest over deals and its tallies. What does not: fitting; what follows from the
tallies (models/deal_choice.py); the backtest of revenue.

At each origin every method is fitted on what was known then and judged on what became of the deals open then:

- ``month_1`` … ``month_3``: won by the end of that month after the origin; judged once that month has passed. These ask
  *which* deals win and *when* at once.
- ``ever``: of the deals closed since (by the as-of day), was it won? The probability judged is that of a win given
  that it has closed by then, P(won by) ÷ (P(won by) + P(lost by)); so quick losses do not make a method look
  pessimistic.
- ``which``: the same, but every method's log-odds are first shifted, at each origin, to the share of wins that was
  observed there. A method whose level merely follows the months better gains nothing; only telling the deals of one
  origin apart does. That level is hindsight, given to all methods alike: these probabilities compare, they do not forecast.
- ``which_month_3``: the same of the deals closed by the end of the third month. It is known at later origins, where
  ``which`` is not yet, and serves to replay the choice of method; it is not published.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from models.deal_history import DealHistory, day_date, day_number
from models.landmarks import OpenDeals, month_ends, open_deals
from models.win_probability import METHODS, FittedModels, WinProbabilities, win_probabilities

MONTH_HORIZONS = ("month_1", "month_2", "month_3")
PUBLISHED_HORIZONS = (*MONTH_HORIZONS, "ever", "which")
HORIZONS = (*PUBLISHED_HORIZONS, "which_month_3")

BINS = 2000
"""Bins in log-odds, from -10 to 10, in which probabilities are tallied: a hundredth apart."""

LARGEST_LOG_ODDS = 10.0

LEAST_PROBABILITY = 1e-4
"""Probabilities are judged as if they were at least this far from 0 and 1: one surprise must not outweigh all else."""

LEAST_CLOSED_DEALS = 20
"""Closed deals that an origin must know of to be judged: before any outcome there is no rate to compare with."""


@dataclass(frozen=True)
class DealScores:
    """Tallies of the backtest; arrays are origins × methods × horizons, with bins last where there are any.

    ``deals`` counts pairs of origin and open deal whose outcome at the horizon is known (0 where it is not yet);
    ``wins``, ``log_loss`` and ``brier`` are sums over them. ``bin_deals``, ``bin_wins`` and ``bin_probability`` (sum) hold
    them by predicted log-odds. ``known_day`` (origins × horizons) is the day from which it can be judged.
    """

    origin_days: np.ndarray
    methods: tuple[str, ...]
    deals: np.ndarray
    wins: np.ndarray
    log_loss: np.ndarray
    brier: np.ndarray
    bin_deals: np.ndarray
    bin_wins: np.ndarray
    bin_probability: np.ndarray
    known_day: np.ndarray


def backtest_deals(history: DealHistory, fitted: Callable[[int], FittedModels], origins: int) -> DealScores:
    """Score every method at the last ``origins`` month ends before the as-of day.

    Origins that knew of fewer than `LEAST_CLOSED_DEALS` outcomes, or of none of a deal open at an earlier month's end,
    are left out: there is no rate to compare with. ``fitted`` gives the models as known at an origin (day number).
    """
    ends = month_ends(day_date(history.known_day) - timedelta(days=1), origins)
    days = [day for day in map(day_number, ends) if history.closed_by(day) >= LEAST_CLOSED_DEALS and fitted(day).rates.has_outcomes]
    days = np.array(days, dtype=np.int64)
    shape = (len(days), len(METHODS), len(HORIZONS))
    deals, wins, log_loss, brier = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    bin_deals, bin_wins, bin_probability = (np.zeros((*shape, BINS), dtype) for dtype in (np.int32, np.int32, np.float32))
    known_day = np.zeros((len(days), len(HORIZONS)), dtype=np.int64)
    for i, day in enumerate(days):
        horizon_ends = _horizon_ends(int(day), history.known_day)
        known_day[i] = horizon_ends
        models = fitted(int(day))
        open_then = open_deals(history, int(day))
        lags = np.unique(horizon_ends[horizon_ends <= history.known_day] - day)
        for method, result in win_probabilities(models, open_then, lags, horizons_only=True).items():
            m = METHODS.index(method)
            for j, end in enumerate(horizon_ends):
                if end > history.known_day:
                    continue  # its outcomes are not known yet
                p, y = _judged(result, open_then, lags, int(end), HORIZONS[j])
                deals[i, m, j], wins[i, m, j] = len(y), y.sum()
                log_loss[i, m, j] = -(np.log(p[y]).sum() + np.log1p(-p[~y]).sum())
                brier[i, m, j] = np.square(p - y).sum()
                place = np.clip((logit(p) / LARGEST_LOG_ODDS + 1) / 2 * BINS, 0, BINS - 1).astype(np.int64)
                bin_deals[i, m, j] = np.bincount(place, minlength=BINS)
                bin_wins[i, m, j] = np.bincount(place[y], minlength=BINS)
                bin_probability[i, m, j] = np.bincount(place, weights=p, minlength=BINS)
    return DealScores(days, METHODS, deals, wins, log_loss, brier, bin_deals, bin_wins, bin_probability, known_day)


def _horizon_ends(origin_day: int, known_day: int) -> np.ndarray:
    """Last day of each of `HORIZONS`: of three months, the as-of day twice, the third month again."""
    ends = []
    day = day_date(origin_day)
    for _ in MONTH_HORIZONS:
        first = day + timedelta(days=1)
        day = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        ends.append(day_number(day))
    return np.array([*ends, known_day, known_day, ends[-1]])


def _judged(result: WinProbabilities, deals: OpenDeals, lags, end: int, horizon: str) -> tuple[np.ndarray, np.ndarray]:
    at = int(np.searchsorted(lags, end - deals.day))
    won, lost = result.won_by[:, at], result.lost_by[:, at]
    y = deals.outcome_won & (deals.outcome_day <= end)
    if horizon not in MONTH_HORIZONS:
        closed = deals.outcome_day <= end
        won, lost, y = won[closed], lost[closed], y[closed]
        # Where a model gives a closing no chance at all it says nothing about its kind.
        won = np.divide(won, won + lost, out=np.full(len(won), 0.5), where=won + lost > 0)
    p = np.clip(won, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return (_at_level(p, y) if horizon.startswith("which") else p), y


def _at_level(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``p`` with its log-odds shifted so that its mean is the observed share of wins."""
    if not len(y) or y.all() or not y.any():
        return np.clip(y.astype(float), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    log_odds, share = logit(p), y.mean()
    shift = brentq(lambda k: expit(log_odds + k).mean() - share, -40.0, 40.0)
    return np.clip(expit(log_odds + shift), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
