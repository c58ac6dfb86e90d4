"""Deals called won or not: how often that was right, how many can be called at all, and the reliability tables.

What belongs here: what follows from the backtest's tallies for who wants a yes or no. What does not: the scores that
decide on a method (models/deal_choice.py) and the tallies themselves (models/deal_backtest.py).

Tallies are by predicted log-odds in bins a hundredth apart, so a share may be off by the deals of one bin.
"""

import numpy as np
import pandas as pd

from models.deal_backtest import BINS, HORIZONS, PUBLISHED_HORIZONS, DealScores
from models.scoring import wilson

CALLABLE_CERTAINTY = 0.85
"""How sure calls are to be, on average, by the prediction itself: the goal of the source documents."""

RELIABILITY_BINS = 10


def with_deal_calls(accuracy: pd.DataFrame, scores: DealScores) -> pd.DataFrame:
    """Rows of deal_accuracy with accuracy, majority_rate, callable_share, callable_deals and callable_accuracy."""
    keys = [(scores.methods.index(m), HORIZONS.index(h)) for m, h in zip(accuracy["method"], accuracy["horizon"], strict=True)]
    called = [_calls(*_tallies(scores, m, h)) for m, h in keys]
    return accuracy.assign(**{name: [row[name] for row in called] for name in _CALLS}).astype({"callable_deals": "int64"})


_CALLS = ("accuracy", "majority_rate", "callable_share", "callable_deals", "callable_accuracy")


def _calls(deals: np.ndarray, wins: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    all_deals, won = deals.sum(), np.arange(BINS) >= BINS // 2
    right = np.where(won, wins, deals - wins)
    certain = np.where(won, probability, deals - probability)
    # The surest first, as the prediction has it: what came of them must not choose them.
    order = np.argsort(np.abs(np.arange(BINS) - (BINS - 1) / 2), kind="stable")[::-1]
    held, sure, good = (np.cumsum(x[order]) for x in (deals, certain, right))
    enough = np.flatnonzero((held > 0) & (sure >= CALLABLE_CERTAINTY * held))
    last = enough[-1] if len(enough) else None
    return {
        "accuracy": right.sum() / all_deals,
        "majority_rate": max(wins.sum(), all_deals - wins.sum()) / all_deals,
        "callable_share": held[last] / all_deals if last is not None else 0.0,
        "callable_deals": int(held[last]) if last is not None else 0,
        "callable_accuracy": good[last] / held[last] if last is not None else float("nan"),
    }


def reliability_tables(scores: DealScores) -> pd.DataFrame:
    """Rows of the contract reliability: every method and horizon that was judged."""
    tables = [
        _reliability(*_tallies(scores, m, HORIZONS.index(horizon))).assign(method=method, horizon=horizon)
        for m, method in enumerate(scores.methods)
        for horizon in PUBLISHED_HORIZONS
        if scores.deals[:, m, HORIZONS.index(horizon)].any()
    ]
    columns = ["method", "horizon", "bin", "deals", "predicted", "observed", "observed_low", "observed_high"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _tallies(scores: DealScores, method: int, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deals, wins and summed probability by bin, over all origins."""
    deals, wins, probability = scores.bin_deals, scores.bin_wins, scores.bin_probability
    return deals[:, method, horizon].sum(0), wins[:, method, horizon].sum(0), probability[:, method, horizon].sum(0, dtype=float)


def _reliability(deals: np.ndarray, wins: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Up to ten bins of about as many deals each; deals of one probability stay together."""
    middle = np.cumsum(deals) - deals / 2
    tenth = np.minimum((middle / max(deals.sum(), 1) * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    tally = pd.DataFrame({"deals": deals, "wins": wins, "probability": probability}).groupby(tenth).sum()
    tally = tally[tally["deals"] > 0].reset_index(drop=True)
    low, high = wilson(tally["wins"], tally["deals"])
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(tally) + 1),
            "deals": tally["deals"].astype("int64"),
            "predicted": (tally["probability"] / tally["deals"]).clip(0, 1),
            "observed": tally["wins"] / tally["deals"],
            "observed_low": low,
            "observed_high": high,
        }
    )
