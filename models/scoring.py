"""How good forecasts were: of deals, of totals, and how sure that is.

What belongs here: scores of forecasts against what happened, with their intervals. What does not: making forecasts.
`error` is forecast − actual throughout. Definitions: Gneiting and Raftery 2007 (proper scores), Wilson 1927
(interval of a share), Künsch 1989 (block bootstrap).
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import ndtri

CLOSEST_TO_CERTAIN = 1e-6
"""Probabilities are cut to this distance from 0 and 1, so that one sure and wrong call does not cost infinitely."""


def log_losses(won: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Log loss of each deal: −log of the probability given to what happened."""
    p = np.clip(probability, CLOSEST_TO_CERTAIN, 1 - CLOSEST_TO_CERTAIN)
    return -np.where(np.asarray(won, dtype=bool), np.log(p), np.log1p(-p))


def auc(won: np.ndarray, probability: np.ndarray) -> float:
    """Chance that a won deal was rated above another, ties half (Mann–Whitney); NaN unless there are both."""
    won = np.asarray(won, dtype=bool)
    positives, negatives = int(won.sum()), int((~won).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = pd.Series(probability).rank().to_numpy()
    return float((ranks[won].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def reliability_table(won: np.ndarray, probability: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Predicted against observed in equally filled bins: bin (from 1), deals, predicted, observed, low, high.

    Deals are ordered by probability and cut into bins that differ by at most one deal; ``low`` and ``high`` are the
    95 % Wilson interval of the observed share. Fewer deals than bins give as many rows as deals.
    """
    frame = pd.DataFrame({"predicted": probability, "observed": np.asarray(won, dtype=float)})
    frame = frame.sort_values("predicted", kind="stable", ignore_index=True)
    n = len(frame)
    groups = frame.groupby((np.arange(n) * min(bins, n)) // max(n, 1) + 1)
    table = groups.agg(deals=("observed", "size"), predicted=("predicted", "mean"), observed=("observed", "mean"))
    low, high = wilson(table["observed"] * table["deals"], table["deals"])
    return table.assign(low=low, high=high).rename_axis("bin").reset_index()


def calibration_error(won: np.ndarray, probability: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean of |predicted − observed| over equally filled bins, weighted by deals."""
    table = reliability_table(won, probability, bins)
    if table.empty:
        return float("nan")
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["deals"]))


def score_deals(won: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Scores of win probabilities: deals, base_rate, log_loss, brier, auc, calibration_error, gain over the base rate.

    ``gain`` is the log loss of the base rate less the method's, per deal; every score is NaN where there are no deals.
    """
    won, probability = np.asarray(won, dtype=float), np.asarray(probability, dtype=float)
    if len(won) == 0:
        nothing = dict.fromkeys(("base_rate", "log_loss", "brier", "auc", "calibration_error", "gain"), float("nan"))
        return {"deals": 0, **nothing}
    base_rate, loss = float(won.mean()), float(log_losses(won, probability).mean())
    return {
        "deals": len(won),
        "base_rate": base_rate,
        "log_loss": loss,
        "brier": float(((probability - won) ** 2).mean()),
        "auc": auc(won, probability),
        "calibration_error": calibration_error(won, probability),
        "gain": float(log_losses(won, np.full(len(won), base_rate)).mean()) - loss,
    }


def wape(forecast: np.ndarray, actual: np.ndarray) -> float:
    """Weighted absolute percentage error: Σ|forecast − actual| ÷ Σ|actual|; NaN where nothing was won."""
    scale = np.abs(actual).sum()
    return float(np.abs(np.asarray(forecast) - actual).sum() / scale) if scale > 0 else float("nan")


def relative_bias(forecast: np.ndarray, actual: np.ndarray) -> float:
    """Σ(forecast − actual) ÷ Σ|actual|: positive where too much was forecast; NaN where nothing was won."""
    scale = np.abs(actual).sum()
    return float((np.asarray(forecast) - actual).sum() / scale) if scale > 0 else float("nan")


def pinball(quantiles: np.ndarray, levels: Sequence[float], actual: np.ndarray) -> np.ndarray:
    """Pinball loss of each forecast and quantile level (n × L): (actual − q) · level above, (q − actual) · (1 − level) below."""
    miss = np.asarray(actual, dtype=float)[:, None] - quantiles
    level = np.asarray(levels)
    return np.maximum(level * miss, (level - 1) * miss)


def crps_of_quantiles(quantiles: np.ndarray, levels: Sequence[float], actual: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each forecast (n), from its quantiles (n × L), in units of the amount.

    Twice the pinball loss integrated over levels: each level stands for the stretch to halfway to its neighbours,
    the outermost for the rest up to 0 and 1, so the weights add up to 1.
    """
    level = np.asarray(levels)
    bounds = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2, [1.0]])
    return 2 * pinball(quantiles, level, actual) @ np.diff(bounds)


def crps_of_draws(draws: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each forecast (n), exact for its draws (n × draws): E|X − y| − E|X − X'| ÷ 2."""
    ordered = np.sort(draws, axis=-1)
    count = ordered.shape[-1]
    weights = (2 * np.arange(1, count + 1) - count - 1) / count**2
    return np.abs(ordered - np.asarray(actual)[:, None]).mean(axis=-1) - ordered @ weights


def wilson(successes: np.ndarray, n: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson interval (low, high) of a share, elementwise; NaN where n is 0."""
    successes, n = np.asarray(successes, dtype=float), np.asarray(n, dtype=float)
    z = ndtri(0.5 + confidence / 2)
    known = n > 0
    safe = np.where(known, n, 1.0)
    share = successes / safe
    middle = (share + z**2 / (2 * safe)) / (1 + z**2 / safe)
    half = z / (1 + z**2 / safe) * np.sqrt(np.maximum(share * (1 - share), 0.0) / safe + z**2 / (4 * safe**2))
    # At none and at all the bound is exactly 0 and 1; rounding must not leave it a hair beside.
    low = np.where(successes <= 0, 0.0, np.maximum(middle - half, 0.0))
    high = np.where(successes >= n, 1.0, np.minimum(middle + half, 1.0))
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def coverage(low: np.ndarray, high: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    """Share of actual amounts inside [low, high]: n, covered, share, and its 95 % Wilson interval."""
    inside = (np.asarray(actual) >= low) & (np.asarray(actual) <= high)
    n, covered = len(inside), int(inside.sum())
    share_low, share_high = wilson(np.array(covered), np.array(n))
    return {
        "n": n,
        "covered": covered,
        "share": covered / n if n else float("nan"),
        "share_low": float(share_low),
        "share_high": float(share_high),
    }


def block_resamples(origins: int, *, block: int = 3, resamples: int = 1000, seed: int) -> np.ndarray:
    """Positions of origins (resamples × origins) drawn in runs of ``block`` neighbours, wrapping around at the end.

    Overlapping origins see the same wins; drawing neighbours together keeps that dependence in the interval
    (circular block bootstrap, Politis and Romano 1992).
    """
    rng = np.random.default_rng(seed)
    runs = -(-origins // block)
    starts = rng.integers(origins, size=(resamples, runs))
    return ((starts[:, :, None] + np.arange(block)) % origins).reshape(resamples, -1)[:, :origins]


def bootstrap_ratio(
    numerator: np.ndarray, denominator: np.ndarray, *, confidence: float = 0.95, block: int = 3, resamples: int = 1000, seed: int
) -> tuple[float, float]:
    """Interval of Σ numerator ÷ Σ denominator, both by origin in order of time, by the block bootstrap.

    With log-loss differences and numbers of deals it is the interval of a gain per deal; with absolute errors and
    amounts, that of a WAPE. NaN under two origins: one origin says nothing about the spread between them.
    """
    if len(numerator) < 2:
        return float("nan"), float("nan")
    chosen = block_resamples(len(numerator), block=min(block, len(numerator) - 1), resamples=resamples, seed=seed)
    below = denominator[chosen].sum(axis=1)
    ratio = numerator[chosen].sum(axis=1)[below > 0] / below[below > 0]
    if len(ratio) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(ratio, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def lead_months(period_start: pd.Series, origin: date | pd.Series) -> pd.Series:
    """Months from the origin to the period: 1 for the first whole month after it, 0 for one that had begun."""
    start = pd.to_datetime(period_start)
    year, month = (origin.dt.year, origin.dt.month) if isinstance(origin, pd.Series) else (origin.year, origin.month)
    return ((start.dt.year - year) * 12 + start.dt.month - month).clip(lower=0)


def score_totals(forecasts: pd.DataFrame, actuals: pd.DataFrame, origin: date) -> pd.DataFrame:
    """Forecasts of one origin beside what happened, as `score_all`."""
    return score_all(forecasts.assign(origin=pd.Timestamp(origin)), actuals)


def score_all(forecasts: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """Forecasts beside what happened: rows of the contract forecast_accuracy, but for kind and as_of.

    ``forecasts`` has origin, period_kind, period_start, dimension, member, method, forecast, p10, p90 (NaN where the method
    gives a number only); ``actuals`` has the amount won of each whole period that is over, by the same four keys. A
    period that is over and in which a member won nothing must be there with 0; periods not in it are not scored.
    """
    key = ["period_kind", "period_start", "dimension", "member"]
    scored = forecasts[["origin", *key, "method", "forecast", "p10", "p90"]].merge(actuals[[*key, "actual"]], on=key, validate="m:1")
    error = scored["forecast"] - scored["actual"]
    inside = scored["actual"].between(scored["p10"], scored["p90"]).astype("boolean")
    return scored.assign(
        lead_months=lead_months(scored["period_start"], scored["origin"]),
        error=error,
        absolute_error=error.abs(),
        inside_80=inside.where(scored["p10"].notna() & scored["p90"].notna()),
    )
