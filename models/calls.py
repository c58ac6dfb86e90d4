"""What people called beside the forecast, and how such calls did: who is nearer, who calls too little, who too much.

What belongs here: which call stood at an origin, and what the calls that are over say about who makes them. What does
not: scoring totals (models/scoring.py) and replaying the model (models/revenue_backtest.py).

A call is an amount for a whole period, won so far included. It is known from the day it was made, whenever it was exported.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from models.scoring import lead_months, wilson

CALL_METHODS = {"commit": "call_commit", "best case": "call_best_case"}
"""The method of each category of call that is compared; other categories mean too many things."""

MONTHS_AHEAD = 3
"""As of the model: calls are scored up to three months before their period."""

LEAST_PERIODS = 6
"""Periods below which nothing is said of a person."""

KEY = ["period_kind", "period_start", "dimension", "member"]


def standing_calls(calls: pd.DataFrame, day: date) -> pd.DataFrame:
    """The newest call by the end of ``day`` per period, member and category: the key, method and forecast.

    ``calls`` has the columns of the contract forecast_calls.
    """
    known = calls[(calls["called_at"] < pd.Timestamp(day) + pd.Timedelta(days=1)) & calls["category"].isin(list(CALL_METHODS))]
    newest = known.sort_values("called_at", kind="stable").drop_duplicates([*KEY, "category"], keep="last")
    newest = newest.assign(method=newest["category"].map(CALL_METHODS), forecast=newest["amount"].astype(float))
    return newest.sort_values([*KEY, "method"])[[*KEY, "method", "forecast"]].reset_index(drop=True)


def call_baselines(calls: pd.DataFrame, calendar: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Rows of forecast_baselines: the newest call for every period that is not over."""
    standing = _with_ends(standing_calls(calls, as_of), calendar)
    ahead = standing[standing["period_end"] > pd.Timestamp(as_of)]
    return ahead[[*KEY, "method", "forecast"]].rename(columns={"forecast": "value"}).reset_index(drop=True)


def past_calls(calls: pd.DataFrame, calendar: pd.DataFrame, origins: Sequence[date], as_of: date) -> pd.DataFrame:
    """What was called at each origin for periods that were not over then and are by ``as_of``: the key, method, forecast, origin."""
    over = calendar.loc[calendar["period_end"] <= pd.Timestamp(as_of), ["period_kind", "period_start"]]
    calls = calls.merge(over, on=["period_kind", "period_start"], validate="m:1")
    at_each = [_called_at(calls, calendar, origin) for origin in origins]
    return pd.concat(at_each, ignore_index=True) if at_each else _called_at(calls.iloc[:0], calendar, as_of)


def _called_at(calls: pd.DataFrame, calendar: pd.DataFrame, origin: date) -> pd.DataFrame:
    standing = _with_ends(standing_calls(calls, origin), calendar)
    ahead = (standing["period_end"] > pd.Timestamp(origin)) & (lead_months(standing["period_start"], origin) <= MONTHS_AHEAD)
    return standing.loc[ahead, [*KEY, "method", "forecast"]].assign(origin=pd.Timestamp(origin))


def _with_ends(rows: pd.DataFrame, calendar: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with period_end; what the calendar does not know as a period is left out."""
    ends = calendar[["period_kind", "period_start", "period_end"]]
    return rows.merge(ends, on=["period_kind", "period_start"], validate="m:1")


def call_record(accuracy: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Rows of the contract call_record from rows of forecast_accuracy (kind replayed).

    ``chosen`` (origin, method) names the model that would have been published at an origin: the one that a call is compared
    with, where it was replayed for the same period and member.
    """
    scored = accuracy[accuracy["kind"] == "replayed"]
    called = scored[scored["method"].isin(list(CALL_METHODS.values()))]
    if called.empty:
        return pd.DataFrame(columns=["dimension", "member", "category", "period_kind", *_RECORD])
    called = _one_per_period(called)
    columns = ["origin", *KEY, "forecast", "p10", "p90"]
    models = scored.merge(chosen[["origin", "method"]], on=["origin", "method"], validate="m:1")[columns]
    beside = called.merge(models, on=["origin", *KEY], how="left", suffixes=("", "_model"), validate="m:1")
    grain = ["dimension", "member", "method", "period_kind"]
    rows = [{**dict(zip(grain, key, strict=True)), **_compared(group.sort_values("origin"))} for key, group in beside.groupby(grain)]
    table = pd.DataFrame(rows, columns=[*grain, *_RECORD])
    categories = {method: category for category, method in CALL_METHODS.items()}
    return table.assign(category=table["method"].map(categories)).drop(columns="method")


def _one_per_period(called: pd.DataFrame) -> pd.DataFrame:
    """Of several origins of a period the last before it began, else the first within: what is called late says little."""
    before = (called["period_start"] > called["origin"]).to_numpy()
    days = (called["period_start"] - called["origin"]).dt.days.abs()
    ordered = called.assign(_within=~before, _days=days).sort_values([*KEY, "method", "_within", "_days"])
    return ordered.drop_duplicates([*KEY, "method"], keep="first").drop(columns=["_within", "_days"])


_RECORD = (
    "n", "mean_error_share", "bias_share", "bias_low", "bias_high", "n_compared", "inside_model", "helped", "helped_low", "helped_high",
    "model_error_share", "call_error_share", "verdict",
)  # fmt: skip


def _compared(called: pd.DataFrame) -> dict[str, object]:
    error, actual = called["error"].to_numpy(float), called["actual"].to_numpy(float)
    bias, low, high = ratio_interval(error, actual)
    model = called["forecast_model"].to_numpy(float)
    both = ~np.isnan(model)
    miss, model_miss = np.abs(error[both]), np.abs(model[both] - actual[both])
    inside = called["forecast"].between(called["p10_model"], called["p90_model"])
    helped = int((miss < model_miss).sum())
    helped_low, helped_high = wilson(np.array(helped), np.array(both.sum()))
    return {
        "n": len(called),
        "mean_error_share": _share(np.abs(error), actual),
        "bias_share": bias,
        "bias_low": low,
        "bias_high": high,
        "n_compared": int(both.sum()),
        "inside_model": int(inside.sum()),
        "helped": helped,
        "helped_low": float(helped_low),
        "helped_high": float(helped_high),
        "model_error_share": _share(model_miss, actual[both]),
        "call_error_share": _share(miss, actual[both]),
        "verdict": verdict(len(called), low, high, str(called["method"].iloc[0])),
    }


def verdict(n: int, low: float, high: float, method: str) -> str:
    """What the interval of a bias says of who calls: sandbags (surely too little), happy_ears (surely too much), neither.

    A best case is meant to lie above what comes, so it is never happy ears. ``too_few`` under `LEAST_PERIODS` periods.
    """
    if n < LEAST_PERIODS or np.isnan(low):
        return "too_few"
    if high < 0:
        return "sandbags"
    return "happy_ears" if low > 0 and method == "call_commit" else "neither"


def ratio_interval(numerator: np.ndarray, denominator: np.ndarray, confidence: float = 0.95) -> tuple[float, float, float]:
    """Σ numerator ÷ Σ denominator with its interval, of pairs that do not overlap (ratio estimate, Cochran 1977, ch. 6).

    The interval is Student's with n − 1 degrees of freedom: a bootstrap of a handful of periods would be too narrow. NaN
    where the sum below is not positive; no interval under two pairs.
    """
    n, below = len(numerator), float(np.sum(denominator))
    if below <= 0:
        return float("nan"), float("nan"), float("nan")
    ratio = float(np.sum(numerator)) / below
    if n < 2:
        return ratio, float("nan"), float("nan")
    left = numerator - ratio * denominator
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(np.sqrt(n * np.square(left).sum() / (n - 1))) / below
    return ratio, ratio - half, ratio + half


def _share(numerator: np.ndarray, denominator: np.ndarray) -> float:
    below = denominator.sum()
    return float(numerator.sum() / below) if below > 0 else float("nan")
