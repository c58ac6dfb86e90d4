"""What a changed lever leads to: nothing where it is not changed, parts that add up, and the smallest change that closes a gap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.new_business import CreationForecast, forecast_new_business, won_by_ends
from models.revenue import RevenueOutlook, WonDeals, revenue_table
from models.scenarios import BETTER, LEVERS, WORSE, ScenarioInputs, _Luck, scenario_rows, smallest_factor
from tests.revenue_inputs import INTERVALS, nothing_won, outlook, pipeline, segmented

few = settings(max_examples=10, deadline=None, derandomize=True)
NOBODY = pd.DataFrame({"period_kind": [], "period_start": pd.to_datetime([]), "dimension": [], "member": [], "target": []})
AHEAD = np.arange(1, len(INTERVALS.periods))


def inputs(n: int, seed: int, won: WonDeals | None = None) -> ScenarioInputs:
    """A forecast of ``n`` deals whose win curves are straight between the ends of intervals and flat beyond."""
    deals, random = pipeline(n, seed), np.random.default_rng(seed)
    curve = 1 - 0.995 ** np.arange(2.0 * INTERVALS.edges[-1] + 1)
    creations = CreationForecast(np.array([1]), np.array([int(INTERVALS.edges[-1])]), np.array([40.0]), np.array([0.2]))
    new = forecast_new_business(creations, won_by_ends(curve, INTERVALS.edges), outlook(deals.members, 1.0).donors)
    ahead = RevenueOutlook(deals, new, won or nothing_won(), INTERVALS, "m")
    grid_days = np.append(INTERVALS.edges, 2 * INTERVALS.edges[-1])
    won_by = np.cumsum(deals.p_won, axis=1)
    by_day = np.column_stack([np.zeros(n), won_by, won_by[:, -1]])
    stage = random.choice(["first", "second"], n)
    return ScenarioInputs(ahead, by_day, grid_days, curve, creations, stage, ahead.draw(draws=200, seed=seed, shock_sd=0.1), seed, 0.1)


def rows_of(given: ScenarioInputs, targets: pd.DataFrame = NOBODY) -> pd.DataFrame:
    return scenario_rows(given, revenue_table(given.outlook, given.drawn), targets)


@few
@given(n=st.integers(1, 40), seed=st.integers(0, 1000), lever=st.sampled_from(LEVERS))
def test_a_lever_that_is_not_changed_changes_nothing(n, seed, lever):
    given = inputs(n, seed)
    assert np.abs(given.mean_changes(lever, 1.0)).max() < 1e-6
    assert np.abs(_Luck.of(given).quantile_changes(given, lever, 1.0, AHEAD, given.groups)).max() < 1e-6


@few
@given(n=st.integers(1, 40), seed=st.integers(0, 1000), lever=st.sampled_from(LEVERS), better=st.booleans())
def test_what_members_and_stages_bring_adds_up_to_what_all_bring(n, seed, lever, better):
    given = inputs(n, seed)
    factor = (BETTER if better else WORSE)[lever]
    change, dimension = given.mean_changes(lever, factor), given.groups.names["dimension"]
    np.testing.assert_allclose(change[dimension == "region"].sum(axis=0), change[0], atol=1e-6)
    np.testing.assert_allclose(given.mean_change(lever, factor), change[0], atol=1e-6)
    new = INTERVALS.sum_to_periods(given.outlook.new_business.expected_amounts()[0] * (given.new_ratio(lever, factor) - 1))
    np.testing.assert_allclose(change[dimension == "stage"].sum(axis=0) + new, change[0], atol=1e-6)


@few
@given(n=st.integers(1, 40), seed=st.integers(0, 1000))
def test_larger_deals_bring_as_much_more_as_is_still_to_be_won_at_every_quantile(n, seed):
    won = WonDeals(np.array(["2025-01-10"], dtype="datetime64[D]"), np.array([777.25]), segmented(["b"]))
    given = inputs(n, seed, won)
    cents = given.outlook.mean_cents()[0]
    expected = 0.1 * (cents[:, 3] - cents[:, 0]) / 100
    assert given.mean_change("deal_size", 1.1) == pytest.approx(expected, abs=0.02)
    luck = _Luck.of(given)
    tenth = luck.quantile_changes(given, "deal_size", 1.1, AHEAD, given.groups)[0]
    np.testing.assert_allclose(luck.quantile_changes(given, "deal_size", 1.2, AHEAD, given.groups)[0], 2 * tenth, atol=1e-6)
    assert (tenth >= 0).all()


@few
@given(n=st.integers(1, 40), seed=st.integers(0, 1000))
def test_better_is_more_and_worse_is_less_and_quantiles_stay_in_order(n, seed):
    table = rows_of(inputs(n, seed))
    monotone = table[table["lever"] != "cycle"]
    assert (monotone.loc[monotone["scenario"] == "better", "change"] >= 0).all()
    assert (monotone.loc[monotone["scenario"] == "worse", "change"] <= 0).all()
    assert (table["p10"] <= table["p50"]).all() and (table["p50"] <= table["p90"]).all()
    assert not table.duplicated(["period_kind", "period_start", "scenario", "lever", "dimension", "member", "stage"]).any()
    assert table["closes_gap"].isna().all()
    assert set(table["period_start"]) == set(INTERVALS.periods["period_start"].iloc[AHEAD])


def test_a_likelier_win_comes_by_the_same_luck():
    """With every win of the published course still won, no draw has less, and a certain deal gains nothing."""
    given = inputs(30, 3)
    luck = _Luck.of(given)
    before, after = luck._interval(given.won_by("win_rate", 1.0)), luck._interval(given.won_by("win_rate", 1.1))
    assert (after <= before).all() and (after < before).any()
    assert given.won_by("win_rate", 1e9).max() == pytest.approx(1.0)


def test_a_faster_cycle_is_the_curve_read_further_on():
    given = inputs(20, 5)
    middle = (given.curve[:, 1] + given.curve[:, 2]) / 2
    factor = INTERVALS.ends[0] / (INTERVALS.ends[0] + (INTERVALS.ends[1] - INTERVALS.ends[0]) / 2)
    np.testing.assert_allclose(given.won_by("cycle", factor)[0], middle)
    assert given.new_ratio("cycle", 0.5)[0] > 1 > given.new_ratio("cycle", 2.0)[0]


def test_the_smallest_change_that_closes_the_gap_is_found_and_one_that_there_is_not_is_not():
    given = inputs(30, 3)
    mean = given.outlook.mean_cents()[0, 1, 3] / 100
    aims = NOBODY.assign(period_kind=[], period_start=pd.to_datetime([])).iloc[:0]
    month = {"period_kind": "month", "period_start": pd.Timestamp("2025-02-01"), "dimension": "all", "member": "all"}
    near = rows_of(given, pd.concat([aims, pd.DataFrame([{**month, "target": 1.2 * mean}])]))
    closing = near[near["scenario"] == "close_gap"].set_index("lever")
    assert closing.loc["deal_size", "factor"] == pytest.approx(1.2, abs=2e-4)
    assert closing.loc["deal_size", "mean"] >= 1.2 * mean
    step = -1e-4 if closing.loc["win_rate", "factor"] > 1 else 1e-4
    assert (
        given.mean_change("win_rate", closing.loc["win_rate", "factor"] + step)[1]
        < 0.2 * mean
        <= given.mean_change("win_rate", closing.loc["win_rate", "factor"])[1]
    )
    far = rows_of(given, pd.DataFrame([{**month, "target": 50 * mean}]))
    far = far[far["scenario"] == "close_gap"]
    assert len(far) == 4 and far[["factor", "mean", "p50"]].isna().all().all() and not far["closes_gap"].any()
    made = rows_of(given, pd.DataFrame([{**month, "target": 0.5 * mean}]))
    assert "close_gap" not in set(made["scenario"])
    assert made.loc[(made["period_kind"] == "month") & (made["period_start"] == "2025-02-01"), "closes_gap"].all()


def test_a_change_that_closes_only_half_way_is_found():
    assert smallest_factor(lambda f: 0.7 <= f <= 0.85, 0.5) == 0.85
    assert smallest_factor(lambda f: f > 3, 2.0) is None


def test_the_same_inputs_give_the_same_bytes():
    first, again = (pd.util.hash_pandas_object(rows_of(inputs(25, 7))).to_numpy().tobytes() for _ in range(2))
    assert first == again
