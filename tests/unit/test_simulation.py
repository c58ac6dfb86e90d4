"""Levels, draws, the revenue table, the noise floor, and the Pearson III check on the draws."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.levels import Intervals, Members
from models.revenue import QUANTILES, WonDeals, forecast_revenue, noise_floor
from models.simulation import (
    PipelineOutlook,
    affordable_draws,
    excess_shock,
    pearson_iii_quantiles,
    simulate,
    total_cumulants,
)
from tests.revenue_inputs import AS_OF, INTERVALS, no_outlook, nothing_won, outlook, pipeline, segmented


def test_overlapping_periods_are_cut_into_disjoint_intervals():
    periods = pd.DataFrame(
        {
            "period_kind": ["week", "week", "month", "month", "quarter"],
            "period_start": pd.to_datetime(["2025-01-27", "2025-02-03", "2025-01-01", "2025-02-01", "2025-01-01"]),
            "period_end": pd.to_datetime(["2025-02-02", "2025-02-09", "2025-01-31", "2025-02-28", "2025-03-31"]),
        }
    )
    cut = Intervals.of(periods, AS_OF)
    assert list(cut.edges) == [0, 2, 9, 28, 59]
    assert cut.in_period.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert cut.remaining_share == pytest.approx([2 / 7, 1, 0, 1, 59 / 90])
    by_end = np.array([[0.1, 0.2, 0.0, 0.5, 0.6]])
    np.testing.assert_allclose(cut.split(by_end), [[0.1, 0.1, 0.3, 0.1]])
    np.testing.assert_allclose(cut.sum_to_periods(cut.split(by_end)), [[0.1, 0.1, 0.0, 0.5, 0.6]])


def test_periods_that_are_over_or_leave_a_gap_are_refused():
    month = pd.DataFrame({"period_kind": "month", "period_start": [date(2025, 1, 1)], "period_end": [date(2025, 1, 31)]})
    with pytest.raises(ValueError, match="none of the 1 periods has a day after 2025-01-31"):
        Intervals.of(month, AS_OF)
    late = pd.DataFrame({"period_kind": "month", "period_start": [date(2025, 3, 1)], "period_end": [date(2025, 3, 31)]})
    with pytest.raises(ValueError, match="no period holds the days 1 to 28 after"):
        Intervals.of(late, AS_OF)


def test_members_are_coded_by_deal_and_a_missing_one_is_named():
    segments = pd.DataFrame(
        {
            "opportunity_id": ["1", "2", "1", "2", "3"],
            "dimension": ["region", "region", "all", "all", "all"],
            "member": ["south", "north", "all", "all", "all"],
        }
    )
    members = Members.of(segments, ["2", "1"])
    assert members.names.to_numpy().tolist() == [["all", "all"], ["region", "north"], ["region", "south"]]
    assert members.codes.tolist() == [[0, 1], [0, 2]]
    assert members.sum(np.array([5.0, 7.0])).tolist() == [12.0, 5.0, 7.0]
    with pytest.raises(ValueError, match="1 deals have no member in some dimension, first region"):
        Members.of(segments, ["3", "1"])


def test_mean_is_probability_times_amount_and_every_row_is_there():
    deals = pipeline(40)
    won = WonDeals(np.array(["2025-01-10", "2024-12-31"], dtype="datetime64[D]"), np.array([10.25, 5.0]), segmented(["a", "b"]))
    table = forecast_revenue(deals, outlook(deals.members, 2.0), won, INTERVALS, draws=400, seed=3, shock_sd=0.05, method="stage_rates")
    assert len(table) == len(INTERVALS.periods) * 4 * 4
    assert not table.duplicated(["period_kind", "period_start", "dimension", "member", "component"]).any()
    company = table[table["dimension"].eq("all")].set_index(["period_kind", "period_start", "component"])
    february = ("month", pd.Timestamp("2025-02-01"))
    p = INTERVALS.sum_to_periods(deals.p_won)[:, 1]
    assert company.loc[(*february, "open_pipeline"), "mean"] == pytest.approx((p * deals.amount_if_won).sum(), abs=0.01)
    assert company.loc[(*february, "open_pipeline"), "expected_wins"] == pytest.approx(p.sum())
    january = company.loc[("month", pd.Timestamp("2025-01-01"))]
    assert january.loc[["won", "total"], "mean"].tolist() == [10.25, 10.25]
    assert january.loc["total", ["p05", "p95"]].tolist() == [10.25, 10.25]
    assert january.loc["won", "expected_wins"] == 1
    assert january.loc["total", "noise_floor"] == 0
    variance = (deals.amount_if_won**2 * (p * (1 - p) + p * 0.4**2)).sum()
    donors = np.linspace(50.0, 400.0, 40)
    variance += 2.0 * (donors**2).mean() * np.exp(0.09)
    total = company.loc[(*february, "total")]
    assert total["noise_floor"] == pytest.approx(1.2815515655 * np.sqrt(variance) / total["mean"])


def test_noise_floor_is_missing_where_nothing_is_expected():
    floor = noise_floor(np.array([0.0, 4.0]), np.array([0.0, 10.0]))
    assert np.isnan(floor[0])
    assert floor[1] == pytest.approx(0.25631, abs=1e-5)


def test_sure_deals_leave_no_spread_and_hopeless_ones_no_amount():
    p = np.zeros((2, len(INTERVALS.ends)))
    p[0, 0] = 1.0
    deals = PipelineOutlook(p, np.array([123_456_789.01, 500.0]), np.zeros(2), segmented(["a", "b"]))
    table = forecast_revenue(deals, no_outlook(), nothing_won(), INTERVALS, draws=200, seed=1, shock_sd=0.0, method="m")
    rows = table[table["component"].eq("total") & table["period_start"].eq("2025-02-01")].set_index("member")
    assert rows.loc["a", ["mean", "p05", "p50", "p95"]].tolist() == [123_456_789.01] * 4
    assert rows.loc["b", ["mean", "p05", "p50", "p95"]].tolist() == [0.0] * 4
    assert np.isnan(rows.loc["b", "noise_floor"])


def test_no_open_deals_and_no_new_business_is_an_answer():
    deals = PipelineOutlook(np.zeros((0, len(INTERVALS.ends))), np.zeros(0), np.zeros(0), segmented([]))
    table = forecast_revenue(deals, no_outlook(), nothing_won(), INTERVALS, draws=200, seed=1, shock_sd=0.05, method="m")
    assert table["mean"].eq(0).all()
    assert table["p95"].eq(0).all()


def test_probabilities_that_cannot_be_are_refused():
    p = np.full((1, len(INTERVALS.ends)), 0.6)
    with pytest.raises(ValueError, match="sum to at most 1 per deal"):
        PipelineOutlook(p, np.array([1.0]), np.array([0.1]), segmented(["a"]))
    with pytest.raises(ValueError, match="expected one row per open deal"):
        PipelineOutlook(p, np.array([1.0, 2.0]), np.array([0.1]), segmented(["a"]))


def test_draws_are_coherent_and_have_the_exact_mean():
    deals = pipeline(60)
    new = outlook(deals.members, 3.0)
    drawn = simulate(deals, new, draws=300, seed=9, shock_sd=0.1)
    for part, mean in ((drawn.open_pipeline, deals.expected_amounts()), (drawn.new_business, new.expected_amounts())):
        np.testing.assert_allclose(part[1:].sum(axis=0), part[0])
        np.testing.assert_allclose(part[0].mean(axis=1), mean[0])


def test_pearson_iii_confirms_the_quantiles_of_the_draws():
    deals = pipeline(150)
    new = outlook(deals.members, 12.0)
    chosen = np.array([True, True, False])
    mean, variance, third = total_cumulants(deals, new, chosen, 0.08)
    drawn = simulate(deals, new, draws=8000, seed=4, shock_sd=0.08)
    total = (drawn.open_pipeline + drawn.new_business)[0][chosen].sum(axis=0)
    assert mean == pytest.approx(deals.expected_amounts()[0][chosen].sum() + new.expected_amounts()[0][chosen].sum())
    assert total.std() == pytest.approx(np.sqrt(variance), rel=0.05)
    expected = pearson_iii_quantiles(mean, variance, third, np.array(QUANTILES))
    np.testing.assert_allclose(np.quantile(total, QUANTILES), expected, atol=0.1 * np.sqrt(variance))


def test_pearson_iii_knows_the_gamma_the_normal_and_the_point():
    levels = np.array([0.1, 0.5, 0.9])
    exponential = pearson_iii_quantiles(1.0, 1.0, 2.0, levels)
    np.testing.assert_allclose(exponential, -np.log(1 - levels))
    np.testing.assert_allclose(pearson_iii_quantiles(-1.0, 1.0, -2.0, levels), -exponential[::-1])
    np.testing.assert_allclose(pearson_iii_quantiles(5.0, 4.0, 0.0, levels), [5 - 2.5631, 5, 5 + 2.5631], atol=1e-4)
    assert pearson_iii_quantiles(5.0, 0.0, 0.0, levels).tolist() == [5.0] * 3


def test_shock_is_the_prior_without_evidence_and_grows_with_excess_misses():
    nothing = np.zeros(0)
    assert excess_shock(nothing, nothing, nothing, prior=0.05, prior_weight=6) == pytest.approx(0.05, rel=0.01)
    rng = np.random.default_rng(2)
    mean = np.full(400, 100.0)
    chance = mean + 10 * rng.standard_normal(400)
    shaken = chance * np.exp(0.2 * rng.standard_normal(400) - 0.02)
    assert excess_shock(chance, mean, np.full(400, 10.0), prior=0.05, prior_weight=6) < 0.06
    assert excess_shock(shaken, mean, np.full(400, 10.0), prior=0.05, prior_weight=6) == pytest.approx(0.2, abs=0.03)


def test_draws_are_cut_for_very_many_deals():
    assert affordable_draws(2000, 600, 1000) == 2000
    assert affordable_draws(2000, 200_000, 1000) == 1000
    assert affordable_draws(2000, 10_000_000, 1000) == 200
    assert affordable_draws(2000, 600, 50_000) == 500
