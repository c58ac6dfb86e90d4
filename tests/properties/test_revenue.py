"""What holds for every forecast: parts add up to the cent, quantiles rise, seeds repeat, ranges cover the truth."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.levels import Members
from models.revenue import QUANTILE_COLUMNS, WonDeals, forecast_revenue
from models.simulation import PipelineOutlook
from tests.revenue_inputs import INTERVALS, no_outlook, nothing_won, outlook, pipeline, segmented

few = settings(max_examples=15, deadline=None, derandomize=True)


def cents(amounts: pd.Series) -> pd.Series:
    return (amounts * 100).round().astype("int64")


def forecast(n: int, seed: int, wins: float = 1.5) -> pd.DataFrame:
    deals = pipeline(n, seed)
    rng = np.random.default_rng(seed)
    days = np.datetime64("2025-01-31") - rng.integers(0, 60, size=9)
    won = WonDeals(days, rng.lognormal(5, 1, 9).round(2), segmented(list(rng.choice(list("ab"), 9))))
    return forecast_revenue(deals, outlook(deals.members, wins), won, INTERVALS, draws=200, seed=seed, shock_sd=0.05, method="m")


@few
@given(n=st.integers(1, 60), seed=st.integers(0, 10_000))
def test_means_add_up_to_the_cent_over_components_members_and_periods(n, seed):
    table = forecast(n, seed)
    table["cents"] = cents(table["mean"])
    by_component = table.pivot_table(index=["period_kind", "period_start", "member"], columns="component", values="cents", aggfunc="sum")
    assert (by_component[["won", "open_pipeline", "new_business"]].sum(axis=1) == by_component["total"]).all()
    by_member = table.pivot_table(index=["period_kind", "period_start", "component"], columns="member", values="cents", aggfunc="sum")
    assert (by_member[["a", "b", "c"]].sum(axis=1) == by_member["all"]).all()
    months = table[table["period_kind"].eq("month")].groupby(["member", "component"])["cents"].sum()
    quarter = table[table["period_kind"].eq("quarter") & table["period_start"].eq("2025-01-01")].set_index(["member", "component"])["cents"]
    assert (months == quarter.reindex(months.index)).all()


@few
@given(n=st.integers(1, 400), seed=st.integers(0, 10_000))
def test_open_pipeline_mean_is_probability_times_amount(n, seed):
    deals = pipeline(n, seed)
    table = forecast_revenue(deals, no_outlook(), nothing_won(), INTERVALS, draws=200, seed=1, shock_sd=0.0, method="m")
    rows = table[table["component"].eq("open_pipeline")]
    exact = deals.members.sum(INTERVALS.sum_to_periods(deals.p_won) * deals.amount_if_won[:, None])
    error = np.abs(rows["mean"].to_numpy().reshape(exact.shape) - exact)
    assert error[0].max() <= 0.01 + 1e-6
    assert error.max() <= 0.015 * len(INTERVALS.ends) + 1e-6


@few
@given(
    amounts=st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=6, max_size=6),
    tiny=st.booleans(),
)
def test_whole_cents_are_never_negative_and_nothing_stays_nothing(amounts, tiny):
    values = np.array(amounts).reshape(3, 2) * (1e-12 if tiny else 1.0)
    members = segmented(["a", "b", "c"])
    by_member = members.sum(values)
    rounded = members.whole_cents(by_member)
    assert (rounded >= 0).all()
    assert (rounded[1:].sum(axis=0) == rounded[0]).all()
    assert (rounded[by_member == 0] == 0).all()


@few
@given(seed=st.integers(0, 10_000))
def test_rounding_does_not_pile_up_over_intervals(seed):
    members = segmented(["a", "b", "c"])
    by_member = members.sum(np.random.default_rng(seed).uniform(0, 0.3, (3, 200)))
    drift = np.cumsum(members.whole_cents(by_member)[0]) / 100 - np.cumsum(by_member[0])
    assert np.abs(drift).max() <= 0.005 + 1e-9


@few
@given(n=st.integers(0, 60), seed=st.integers(0, 10_000))
def test_quantiles_rise_and_none_is_negative(n, seed):
    table = forecast(n, seed, wins=0.5 if n else 0.0)
    quantiles = table[list(QUANTILE_COLUMNS)].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (quantiles >= 0).all()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, again, other = (
        pd.util.hash_pandas_object(
            forecast_revenue(pipeline(50), outlook(segmented(["a", "c"]), 1.0), nothing_won(), INTERVALS, draws=200, seed=seed, shock_sd=0.1, method="m")
        )
        .to_numpy()
        .tobytes()
        for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_spread_vanishes_as_probabilities_become_certain():
    def company(p: float) -> pd.Series:
        chances = np.zeros((30, len(INTERVALS.ends)))
        chances[:, 0] = p
        deals = PipelineOutlook(chances, np.full(30, 1000.0), np.zeros(30), segmented(["a"] * 30))
        table = forecast_revenue(deals, no_outlook(), nothing_won(), INTERVALS, draws=400, seed=2, shock_sd=0.0, method="m")
        return table[table["dimension"].eq("all") & table["component"].eq("total") & table["period_start"].eq("2025-02-01")].iloc[0]

    nearly, none, sure, even = company(1 - 1e-9), company(0.0), company(1.0), company(0.5)
    assert nearly["p05"] == nearly["p95"] == sure["mean"] == sure["p05"] == sure["p95"] == 30_000
    assert none["mean"] == none["p95"] == 0
    assert np.isnan(none["noise_floor"])
    assert sure["noise_floor"] == 0
    assert even["noise_floor"] > 0.2
    assert even["p05"] < even["p95"]


def test_ranges_cover_the_truth_as_often_as_they_say():
    deals = pipeline(80, seed=11)
    table = forecast_revenue(deals, no_outlook(), nothing_won(), INTERVALS, draws=2000, seed=3, shock_sd=0.0, method="m")
    rows = table[table["component"].eq("total") & table["period_start"].eq("2025-02-01")].set_index("member")
    truth = np.random.default_rng(12)
    won = truth.random((1500, 80)) < deals.p_won[:, 0]
    log_sd = np.sqrt(np.log1p(deals.amount_cv**2))
    amounts = won * deals.amount_if_won * np.exp(log_sd * truth.standard_normal((1500, 80)) - log_sd**2 / 2)
    actual = pd.DataFrame(Members(deals.members.names, deals.members.codes).sum(amounts.T).T, columns=deals.members.names["member"])
    for low, high, share in (("p25", "p75", 0.5), ("p10", "p90", 0.8), ("p05", "p95", 0.9)):
        inside = ((actual >= rows[low]) & (actual <= rows[high])).mean()
        assert (inside[["all", "a", "b", "c"]] - share).abs().max() < 0.05
