"""Which win-probability method deserves to be published, and the tables that say why.

What belongs here: gains with their intervals, the rule of choice, the frames of ``deal_accuracy`` and (for deals)
``method_choice``. What does not: making predictions (models/win_probability.py) or tallying them (models/deal_backtest.py).

The rule, on origins whose outcomes are known:

1. The candidate with the lowest log loss over the month horizons is looked at.
2. *Which deals win*: it is published if it tells deals of one origin apart better than chance (the 95 % interval of its
   gain on ``which`` lies above 0) and gains on the month horizons too. The gain on ``ever`` does not decide: it also
   rewards a level that follows the months, which says nothing about a deal.
3. *When they close*: else ``closing_time`` is published if the interval of its gain over the month horizons lies above 0.
   All deals then have the company's share of wins and their own timing.
4. Else the base rate is published.

With fewer than `LEAST_ORIGINS` judged origins nothing can be said; the shrunk stage rates stand in, unjudged.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.deal_backtest import HORIZONS, MONTH_HORIZONS, PUBLISHED_HORIZONS, DealScores
from models.deal_history import day_date

BLOCK_ORIGINS = 3
"""Neighbouring origins share deals and outcomes, so the bootstrap draws them in blocks of this many."""

RESAMPLES = 2000

LEAST_ORIGINS = 2 * BLOCK_ORIGINS
"""Judged origins below which no method can be said to beat the base rate: an interval needs two whole blocks."""

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Gain:
    """Log loss of the base rate less that of a method, per deal: positive is better; with its 95 % interval.

    ``origins`` is how many were judged; without enough of them the interval is not a number.
    """

    mean: float
    low: float
    high: float
    origins: int


@dataclass(frozen=True)
class DealMethodChoice:
    """The method to publish and what the backtest says about the deals.

    ``tells_deals_apart``: some method beats the base rate at saying which deals win; None where it cannot be judged.
    ``tells_timing``: some method beats it at saying which are won by a month's end.
    ``best`` is the method with the lowest log loss, published or not.
    """

    method: str
    best: str
    tells_deals_apart: bool | None
    tells_timing: bool | None
    which: Gain
    timing: Gain
    origins_used: int


def gain(scores: DealScores, method: str, horizons: tuple[str, ...], seed: int) -> Gain:
    """Gain of ``method`` over the base rate on ``horizons``, bootstrapped over origins in circular blocks.

    Only origins and horizons at which both were judged count.
    """
    m, base = scores.methods.index(method), scores.methods.index("base_rate")
    at = [HORIZONS.index(h) for h in horizons]
    both = (scores.deals[:, m, at] > 0) & (scores.deals[:, base, at] > 0)
    deals = (scores.deals[:, base, at] * both).sum(axis=1)
    judged = deals > 0
    deals = deals[judged]
    better = ((scores.log_loss[:, base, at] - scores.log_loss[:, m, at]) * both).sum(axis=1)[judged]
    n = len(deals)
    if n == 0:
        return Gain(np.nan, np.nan, np.nan, 0)
    mean = better.sum() / deals.sum()
    if n < LEAST_ORIGINS:
        return Gain(float(mean), np.nan, np.nan, n)
    starts = np.random.default_rng(seed).integers(0, n, size=(RESAMPLES, -(-n // BLOCK_ORIGINS)))
    drawn = ((starts[:, :, None] + np.arange(BLOCK_ORIGINS)) % n).reshape(RESAMPLES, -1)[:, :n]
    low, high = np.quantile(better[drawn].sum(axis=1) / deals[drawn].sum(axis=1), [0.025, 0.975])
    return Gain(float(mean), float(low), float(high), n)


def choose_method(scores: DealScores, seed: int, by_day: int | None = None) -> DealMethodChoice:
    """Apply the rule to the horizons that had passed by day number ``by_day`` (by default all that are judged)."""
    if by_day is not None:
        scores = _known_by(scores, by_day)
    which_horizon = "which" if scores.deals[:, :, HORIZONS.index("which")].any() else "which_month_3"
    judged = [m for m in scores.methods if gain(scores, m, MONTH_HORIZONS, seed).origins >= LEAST_ORIGINS]
    if "base_rate" not in judged:
        unknown = gain(scores, "stage_rates", (which_horizon,), seed)
        timing = gain(scores, "stage_rates", MONTH_HORIZONS, seed)
        return DealMethodChoice("stage_rates", "stage_rates", None, None, unknown, timing, timing.origins)
    # Gains are compared, as a method that is no candidate at small origins has fewer of them.
    best = max(judged, key=lambda m: gain(scores, m, MONTH_HORIZONS, seed).mean)
    which, timing = gain(scores, best, (which_horizon,), seed), gain(scores, best, MONTH_HORIZONS, seed)
    apart = bool(which.low > 0 and timing.mean > 0)
    closing = gain(scores, "closing_time", MONTH_HORIZONS, seed)
    method = best if apart else "closing_time" if closing.low > 0 else "base_rate"
    return DealMethodChoice(method, best, apart, bool(max(timing.low, np.nan_to_num(closing.low, nan=-1.0)) > 0), which, timing, timing.origins)


def deal_accuracy(scores: DealScores, published: str, seed: int) -> pd.DataFrame:
    """The table ``deal_accuracy``: one row per method and horizon, over all origins."""
    rows = []
    for m, method in enumerate(scores.methods):
        for horizon in PUBLISHED_HORIZONS:
            h = HORIZONS.index(horizon)
            deals = int(scores.deals[:, m, h].sum())
            if not deals:
                continue
            better = gain(scores, method, (horizon,), seed)
            wins = int(scores.wins[:, m, h].sum())
            tallies = scores.bin_deals[:, m, h].sum(0), scores.bin_wins[:, m, h].sum(0), scores.bin_probability[:, m, h].sum(0, dtype=float)
            rows.append(
                {
                    "method": method,
                    "horizon": horizon,
                    "deals": deals,
                    "origins": int((scores.deals[:, m, h] > 0).sum()),
                    "base_rate": wins / deals,
                    "log_loss": scores.log_loss[:, m, h].sum() / deals,
                    "brier": scores.brier[:, m, h].sum() / deals,
                    "auc": _auc_within(scores.bin_deals[:, m, h], scores.bin_wins[:, m, h]) if horizon == "which" else _auc(*tallies[:2]),
                    "calibration_error": _calibration_error(*tallies),
                    "gain": better.mean,
                    "gain_low": better.low,
                    "gain_high": better.high,
                    "is_published": method == published,
                }
            )
    return pd.DataFrame(rows, columns=list(_ACCURACY_COLUMNS))


_ACCURACY_COLUMNS = (
    "method", "horizon", "deals", "origins", "base_rate", "log_loss", "brier", "auc", "calibration_error", "gain", "gain_low", "gain_high",
    "is_published",
)  # fmt: skip


def deal_method_choice(scores: DealScores, seed: int) -> pd.DataFrame:
    """The rows of ``method_choice`` for the question ``deals``: what the rule would have published at each origin.

    ``score`` and ``baseline_score`` (the base rate's) are log losses over the month horizons judged at that origin.
    Origins that no month horizon has been judged at are left out.
    """
    months = [HORIZONS.index(h) for h in MONTH_HORIZONS]
    rows = []
    for i, day in enumerate(scores.origin_days):
        choice = choose_method(scores, seed, by_day=int(day))
        deals = scores.deals[i][:, months].sum(axis=1)
        m, base = scores.methods.index(choice.method), scores.methods.index("base_rate")
        if not deals[m]:
            continue
        loss = scores.log_loss[i][:, months].sum(axis=1) / np.maximum(deals, 1)
        rows.append(
            {
                "origin": pd.Timestamp(day_date(int(day))),
                "question": "deals",
                "method": choice.method,
                "score": loss[m],
                "baseline_score": loss[base],
                "origins_used": choice.origins_used,
            }
        )
    return pd.DataFrame(rows, columns=["origin", "question", "method", "score", "baseline_score", "origins_used"])


def reliability(scores: DealScores, method: str, horizon: str) -> pd.DataFrame:
    """Reliability table: deals, mean predicted and observed share of wins in up to ten equally filled bins."""
    m, h = scores.methods.index(method), HORIZONS.index(horizon)
    deals, wins = scores.bin_deals[:, m, h].sum(0), scores.bin_wins[:, m, h].sum(0)
    return _reliability(deals, wins, scores.bin_probability[:, m, h].sum(0, dtype=float))


def _known_by(scores: DealScores, day: int) -> DealScores:
    known = (scores.known_day <= day)[:, None, :]
    deals, log_loss = scores.deals * known, scores.log_loss * known
    return DealScores(
        scores.origin_days, scores.methods, deals, scores.wins * known, log_loss, scores.brier * known,
        scores.bin_deals, scores.bin_wins, scores.bin_probability, scores.known_day,
    )  # fmt: skip


def _auc(deals: np.ndarray, wins: np.ndarray) -> float | None:
    """Chance that a won deal was rated above another; equals within a bin count half. None without both kinds."""
    others = deals - wins
    pairs = int(wins.sum()) * int(others.sum())
    if not pairs:
        return None
    below = np.cumsum(others, dtype=np.int64) - others
    return float((wins.astype(np.int64) * (2 * below + others)).sum() / (2 * pairs))


def _auc_within(deals: np.ndarray, wins: np.ndarray) -> float | None:
    """The same among deals of one origin, over all origins weighted by their deals."""
    each = [(_auc(d, w), d.sum()) for d, w in zip(deals, wins, strict=True)]
    values = np.array([(auc, n) for auc, n in each if auc is not None], dtype=float).reshape(-1, 2)
    return float(np.average(values[:, 0], weights=values[:, 1])) if len(values) else None


def _reliability(deals: np.ndarray, wins: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    middle = np.cumsum(deals) - deals / 2
    decile = np.minimum((middle / max(deals.sum(), 1) * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    tally = pd.DataFrame({"deals": deals, "wins": wins, "probability": probability}).groupby(decile).sum()
    tally = tally.loc[tally["deals"] > 0]
    return pd.DataFrame({"deals": tally["deals"], "predicted": tally["probability"] / tally["deals"], "observed": tally["wins"] / tally["deals"]}).reset_index(
        drop=True
    )


def _calibration_error(deals: np.ndarray, wins: np.ndarray, probability: np.ndarray) -> float:
    table = _reliability(deals, wins, probability)
    return float(((table["predicted"] - table["observed"]).abs() * table["deals"]).sum() / table["deals"].sum())
