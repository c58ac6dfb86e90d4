"""Scores against closed forms, worked examples and simulated truth."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.scoring import (
    auc,
    block_resamples,
    bootstrap_ratio,
    calibration_error,
    coverage,
    crps_of_draws,
    crps_of_quantiles,
    lead_months,
    log_losses,
    pinball,
    relative_bias,
    reliability_table,
    score_deals,
    score_totals,
    wape,
    wilson,
)


def test_log_loss_of_what_happened():
    np.testing.assert_allclose(log_losses(np.array([1, 0]), np.array([0.8, 0.5])), [-np.log(0.8), -np.log(0.5)])
    assert log_losses(np.array([True]), np.array([0.0]))[0] == pytest.approx(-np.log(1e-6))


def test_auc_counts_ties_half_and_needs_both_outcomes():
    assert auc(np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1])) == 3.5 / 4
    assert np.isnan(auc(np.array([1, 1]), np.array([0.9, 0.4])))


def test_reliability_bins_are_equally_filled_and_in_order():
    rng = np.random.default_rng(1)
    p = rng.random(1003)
    table = reliability_table(rng.random(1003) < p, p)
    assert table["deals"].sum() == 1003
    assert set(table["deals"]) == {100, 101}
    assert table["predicted"].is_monotonic_increasing
    assert list(table["bin"]) == list(range(1, 11))
    assert ((table["low"] <= table["observed"]) & (table["observed"] <= table["high"])).all()
    assert len(reliability_table(np.array([1, 0, 1]), np.array([0.2, 0.3, 0.4]))) == 3


def test_calibration_error_is_the_shift_of_shifted_probabilities():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.2, 0.6, 50_000)
    won = rng.random(50_000) < p
    assert calibration_error(won, p) < 0.015
    assert calibration_error(won, p + 0.2) == pytest.approx(0.2, abs=0.01)


def test_scores_of_deals_know_the_base_rate_and_the_empty_case():
    won = np.array([1, 0, 0, 0])
    scores = score_deals(won, np.full(4, 0.25))
    assert scores["gain"] == pytest.approx(0)
    assert scores["auc"] == 0.5
    assert scores["calibration_error"] == pytest.approx(0.375)
    assert scores["brier"] == pytest.approx((0.75**2 + 3 * 0.25**2) / 4)
    assert score_deals(won, np.array([0.9, 0.1, 0.1, 0.1]))["gain"] > 0
    empty = score_deals(np.zeros(0), np.zeros(0))
    assert empty["deals"] == 0
    assert np.isnan(empty["log_loss"])


def test_wape_and_bias_weigh_by_amount():
    forecast, actual = np.array([110.0, 40.0]), np.array([100.0, 100.0])
    assert wape(forecast, actual) == pytest.approx(0.35)
    assert relative_bias(forecast, actual) == pytest.approx(-0.25)
    assert np.isnan(wape(np.array([1.0]), np.array([0.0])))


def test_pinball_punishes_the_side_that_the_level_says():
    loss = pinball(np.array([[10.0, 10.0]]), [0.1, 0.9], np.array([20.0]))
    np.testing.assert_allclose(loss, [[1.0, 9.0]])


def test_crps_of_draws_is_that_of_the_normal_and_of_a_point():
    draws = np.random.default_rng(3).standard_normal((1, 200_000))
    assert crps_of_draws(draws, np.array([0.0]))[0] == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi), abs=0.003)
    assert crps_of_draws(np.full((1, 5), 7.0), np.array([4.0]))[0] == pytest.approx(3.0)
    pairs = np.abs(np.subtract.outer([1.0, 4.0, 9.0], [1.0, 4.0, 9.0])).mean()
    assert crps_of_draws(np.array([[9.0, 1.0, 4.0]]), np.array([5.0]))[0] == pytest.approx((4 + 1 + 4) / 3 - pairs / 2)


def test_crps_of_quantiles_comes_near_that_of_draws():
    draws = np.random.default_rng(4).lognormal(3, 0.3, (50, 4000))
    actual = np.random.default_rng(5).lognormal(3, 0.3, 50)
    levels = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    quantiles = np.quantile(draws, levels, axis=1).T
    assert crps_of_quantiles(quantiles, levels, actual).mean() == pytest.approx(crps_of_draws(draws, actual).mean(), rel=0.05)


def test_wilson_is_the_published_interval():
    low, high = wilson(np.array([0, 5, 10, 0]), np.array([10, 10, 10, 0]))
    np.testing.assert_allclose(low[:3], [0.0, 0.2366, 0.7225], atol=1e-4)
    np.testing.assert_allclose(high[:3], [0.2775, 0.7634, 1.0], atol=1e-4)
    assert np.isnan(low[3])
    assert np.isnan(high[3])


def test_coverage_says_its_n_and_how_sure_it_is():
    result = coverage(np.zeros(12), np.full(12, 10.0), np.array([5.0] * 9 + [11.0] * 3))
    assert (result["n"], result["covered"], result["share"]) == (12, 9, 0.75)
    assert result["share_low"] < 0.8 < result["share_high"]
    assert np.isnan(coverage(np.zeros(0), np.zeros(0), np.zeros(0))["share"])


def test_origins_are_drawn_in_runs_of_neighbours():
    chosen = block_resamples(12, block=3, resamples=50, seed=1)
    assert chosen.shape == (50, 12)
    assert ((chosen[:, 1:3] - chosen[:, :2]) % 12 == 1).all()
    np.testing.assert_array_equal(chosen, block_resamples(12, block=3, resamples=50, seed=1))


def test_blocks_widen_the_interval_of_dependent_origins():
    runs = np.repeat(np.random.default_rng(6).standard_normal(20), 3)
    width = {b: np.ptp(bootstrap_ratio(runs, np.ones(60), block=b, seed=1)) for b in (1, 3)}
    assert width[3] > 1.2 * width[1]
    low, high = bootstrap_ratio(np.array([2.0, 4.0, 6.0]), np.array([4.0, 8.0, 12.0]), seed=1)
    assert (low, high) == (0.5, 0.5)
    assert np.isnan(bootstrap_ratio(np.array([1.0]), np.array([1.0]), seed=1)[0])


@pytest.mark.parametrize(("origin", "leads"), [(date(2025, 1, 31), [0, 1, 2]), (date(2025, 2, 10), [0, 0, 1])])
def test_the_first_whole_month_after_the_origin_is_one_ahead(origin, leads):
    starts = pd.Series(pd.to_datetime(["2025-01-01", "2025-02-01", "2025-03-01"]))
    assert lead_months(starts, origin).tolist() == leads


def test_totals_are_scored_where_the_period_is_over():
    key = {"period_kind": "month", "dimension": "all", "member": "all"}
    starts = pd.to_datetime(["2025-02-01", "2025-03-01", "2025-02-01"])
    forecasts = pd.DataFrame({**key, "period_start": starts, "method": ["m", "m", "run_rate"], "forecast": [100.0, 90.0, 50.0]})
    forecasts = forecasts.assign(p10=[80.0, 70.0, np.nan], p90=[119.0, 110.0, np.nan])
    actuals = pd.DataFrame({**key, "period_start": starts[:1], "actual": [120.0]})
    scored = score_totals(forecasts, actuals, date(2025, 1, 31)).set_index("method")
    assert scored["error"].to_dict() == {"m": -20.0, "run_rate": -70.0}
    assert scored["absolute_error"].tolist() == [20.0, 70.0]
    assert scored["lead_months"].tolist() == [1, 1]
    assert not scored.loc["m", "inside_80"]
    assert scored.loc["run_rate", "inside_80"] is pd.NA
    with pytest.raises(pd.errors.MergeError):
        score_totals(forecasts, pd.concat([actuals, actuals]), date(2025, 1, 31))
