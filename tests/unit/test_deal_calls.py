"""Calls of deals with abstention and reliability tables, from tallies made by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from models.deal_backtest import BINS, HORIZONS, LARGEST_LOG_ODDS, DealScores
from models.deal_calls import reliability_tables, with_deal_calls


def scores(*deals: tuple[float, bool]) -> DealScores:
    """One origin and method, all deals (probability, won) at the horizon month_1."""
    shape = (1, 1, len(HORIZONS))
    tallies = {name: np.zeros((*shape, BINS)) for name in ("deals", "wins", "probability")}
    for p, won in deals:
        place = int((logit(p) / LARGEST_LOG_ODDS + 1) / 2 * BINS)
        for name, value in (("deals", 1), ("wins", won), ("probability", p)):
            tallies[name][0, 0, 0, place] += value
    count = np.zeros(shape, int)
    count[0, 0, 0] = len(deals)
    nothing = np.zeros(shape)
    return DealScores(
        np.array([1]), ("hazard",), count, nothing, nothing, nothing, tallies["deals"].astype(int), tallies["wins"].astype(int), tallies["probability"], nothing
    )  # fmt: skip


def called(*deals: tuple[float, bool]) -> pd.Series:
    return with_deal_calls(pd.DataFrame({"method": ["hazard"], "horizon": ["month_1"]}), scores(*deals)).iloc[0]


def test_accuracy_stands_beside_the_majority_answer():
    row = called((0.9, True), (0.6, False), (0.2, False), (0.1, False))
    assert (row["accuracy"], row["majority_rate"]) == (0.75, 0.75)


def test_the_surest_are_called_as_long_as_they_are_sure_enough_on_average():
    # Certainties .95, .9, .75, .6: the first three are .867 on average, all four .8; of the three one was called wrong.
    row = called((0.95, True), (0.1, True), (0.25, False), (0.6, True))
    assert (row["callable_share"], row["callable_deals"]) == (0.75, 3)
    assert row["callable_accuracy"] == pytest.approx(2 / 3)


def test_who_is_never_sure_calls_nothing():
    row = called((0.6, True), (0.55, False))
    assert (row["callable_share"], row["callable_deals"]) == (0.0, 0) and np.isnan(row["callable_accuracy"])


def test_the_outcome_does_not_choose_what_is_called():
    deals = [(0.95, True), (0.9, True), (0.7, False), (0.6, True)]
    assert called(*deals)["callable_share"] == called(*((p, not won) for p, won in deals))["callable_share"]


def test_reliability_has_all_deals_in_bins_of_rising_probability():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.02, 0.98, 400)
    table = reliability_tables(scores(*zip(p, rng.uniform(size=400) < p, strict=True)))
    assert table["deals"].sum() == 400 and table["bin"].tolist() == list(range(1, 11)) and set(table["horizon"]) == {"month_1"}
    assert table["predicted"].is_monotonic_increasing and table["deals"].between(36, 44).all()
    assert np.average(table["predicted"], weights=table["deals"]) == pytest.approx(p.mean())
    assert ((table["observed_low"] <= table["observed"]) & (table["observed"] <= table["observed_high"])).all()
