"""Forecast of creations, its convolution with the newborn win curve, and amounts to expect."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.amounts import AmountModel, expect_amounts, fit_amounts, recent_mean_amounts
from models.levels import Members
from models.new_business import (
    CreationForecast,
    Donors,
    NewBusiness,
    creations_within,
    forecast_creations,
    forecast_new_business,
    recent_wins,
    wins_of_creations,
    won_by_ends,
)
from tests.revenue_inputs import INTERVALS, segmented

D = "datetime64[D]"


def everyone(count: int) -> Members:
    return Members(pd.DataFrame({"dimension": ["all"], "member": ["all"]}), np.zeros((count, 1), dtype=np.intp))


def creations(first: str, last: str, per_day) -> np.ndarray:
    """Poisson creations from first to last; ``per_day`` is a rate or a function of the day's number and the day."""
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    rate = per_day(np.arange(len(days)), days) if callable(per_day) else np.full(len(days), float(per_day))
    return np.repeat(days, np.random.default_rng(5).poisson(rate))


def test_months_ahead_cover_the_horizon_once_and_begin_with_the_rest_of_this_month():
    forecast = forecast_creations(creations("2023-01-01", "2025-02-10", 3), date(2025, 2, 10), 60)
    assert list(forecast.first_day) == [1, 19, 50]
    assert list(forecast.last_day) == [18, 49, 60]


def test_at_a_months_last_day_the_next_month_comes_first():
    forecast = forecast_creations(creations("2024-01-01", "2025-01-31", 3), date(2025, 1, 31), 59)
    assert list(zip(forecast.first_day, forecast.last_day, strict=True)) == [(1, 28), (29, 59)]


def test_a_steady_rate_is_recovered():
    forecast = forecast_creations(creations("2022-01-01", "2025-01-31", 5), date(2025, 1, 31), 89)
    assert forecast.creations.sum() == pytest.approx(5 * 89, rel=0.08)
    assert (forecast.log_sd < 0.2).all()


def test_yearly_season_is_recovered_from_three_years():
    def rate(_, days):
        month = days.astype("datetime64[M]").astype(int) % 12
        return np.where(month == 1, 4.0, 10.0)

    forecast = forecast_creations(creations("2022-01-01", "2025-01-31", rate), date(2025, 1, 31), 89)
    per_day = forecast.creations / (forecast.last_day - forecast.first_day + 1)
    assert per_day[0] < 0.85 * per_day[2]


def test_growth_goes_on_but_levels_off():
    forecast = forecast_creations(creations("2023-01-01", "2024-12-31", lambda n, _: 5 * np.exp(n / 700)), date(2024, 12, 31), 365)
    per_day = forecast.creations / (forecast.last_day - forecast.first_day + 1)
    undamped = 5 * np.exp((730 + 350) / 700)
    assert 5 * np.exp(600 / 700) < per_day.mean() < undamped


@pytest.mark.parametrize("days", [1, 10, 31, 75, 100])
def test_short_records_give_the_plain_rate_with_more_doubt(days):
    as_of = np.datetime64("2025-03-31")
    record = np.repeat(np.arange(as_of - days, as_of + 1), 4)
    forecast = forecast_creations(record, as_of.item(), 30)
    assert forecast.creations.sum() == pytest.approx(120, rel=0.15)
    longer = forecast_creations(np.repeat(np.arange(as_of - 700, as_of + 1), 4), as_of.item(), 30)
    assert forecast.log_sd[0] > longer.log_sd[0]


def test_a_first_export_that_holds_everything_at_once_is_not_taken_for_a_rate():
    record = np.concatenate([np.repeat(np.datetime64("2025-01-01"), 5000), creations("2025-01-02", "2025-03-31", 2)])
    assert forecast_creations(record, date(2025, 3, 31), 30).creations.sum() == pytest.approx(60, rel=0.25)


@pytest.mark.parametrize("record", [[], ["NaT"], ["2025-03-31"], ["2025-04-05"]])
def test_nothing_on_record_gives_nothing(record):
    forecast = forecast_creations(np.array(record, dtype=D), date(2025, 3, 31), 30)
    assert forecast.creations.sum() == 0
    assert np.isfinite(forecast.log_sd).all()


def test_what_is_created_after_the_as_of_date_changes_nothing():
    known = creations("2023-01-01", "2025-01-31", 3)
    later = np.concatenate([known, np.repeat(np.datetime64("2025-02-01"), 500)])
    np.testing.assert_array_equal(forecast_creations(known, date(2025, 1, 31), 60).creations, forecast_creations(later, date(2025, 1, 31), 60).creations)


def test_a_fall_of_the_last_months_is_followed():
    record = np.concatenate([creations("2022-01-01", "2024-10-31", 10), creations("2024-11-01", "2025-01-31", 5)])
    assert forecast_creations(record, date(2025, 1, 31), 28).creations.sum() < 0.85 * 10 * 28


def test_months_without_any_creation_are_no_obstacle():
    record = creations("2024-01-01", "2025-01-31", lambda n, _: np.where(n < 200, 0.2, 0.0))
    forecast = forecast_creations(record, date(2025, 1, 31), 60)
    assert 0 <= forecast.creations.sum() < 12


def test_wins_are_the_convolution_of_creations_and_curve():
    forecast = CreationForecast(np.array([1]), np.array([2]), np.array([20.0]), np.array([0.1]))
    linear = np.arange(1, 101) / 100
    wins = wins_of_creations(forecast, won_by_ends(linear, np.array([0, 1, 3, 200])))
    # Ten deals on each of days 1 and 2: one in a hundred is won on its first day and on each day after it.
    by_edge = np.array([10 * 0.01, 10 * (0.03 + 0.02), 10 * 2 * 1.0])
    np.testing.assert_allclose(wins, np.diff(by_edge, prepend=0.0)[None, :])


def test_donors_are_the_last_years_wins_or_the_last_thirty():
    days = np.datetime64("2025-01-31") - np.arange(0, 3000, 30)
    amounts = np.arange(100.0, 200.0)
    amounts[0] = np.nan
    few = recent_wins(days, amounts, everyone(100), date(2025, 1, 31))
    assert sorted(few.amounts) == list(np.arange(101.0, 131.0))
    days = np.datetime64("2025-01-31") - np.arange(0, 1000, 10)
    many = recent_wins(days, amounts, everyone(100), date(2025, 1, 31))
    assert len(many.amounts) == 36
    assert len(recent_wins(days[:0], amounts[:0], everyone(0), date(2025, 1, 31)).amounts) == 0


def test_new_business_adds_up_over_the_members_of_a_dimension():
    donors = Donors(np.array([100.0, 50.0, 10.0]), segmented(["a", "b", "a"]), 0.3)
    record = creations("2023-01-01", "2025-01-31", 3)
    outlook = forecast_new_business(
        forecast_creations(record, date(2025, 1, 31), int(INTERVALS.edges[-1])), won_by_ends(np.linspace(0, 0.4, 120), INTERVALS.edges), donors
    )
    amounts, wins = outlook.expected_amounts(), outlook.expected_wins()
    np.testing.assert_allclose(amounts[1:].sum(axis=0), amounts[0])
    np.testing.assert_allclose(wins[0], outlook.wins.sum(axis=0))
    np.testing.assert_allclose(amounts[1] / amounts[0], 110 / 160)
    assert donors.cv == pytest.approx(np.sqrt(np.mean([1e4, 2500, 100]) * np.exp(0.09) / (160 / 3) ** 2 - 1))


def test_without_donors_no_new_business():
    record, donors = creations("2024-01-01", "2025-01-31", 3), Donors(np.zeros(0), segmented([]), 0.5)
    outlook = forecast_new_business(
        forecast_creations(record, date(2025, 1, 31), int(INTERVALS.edges[-1])), won_by_ends(np.linspace(0, 0.4, 90), INTERVALS.edges), donors
    )
    assert isinstance(outlook, NewBusiness)
    assert outlook.expected_amounts().sum() == 0
    assert outlook.expected_wins().sum() == 0


def won_landmarks() -> pd.DataFrame:
    deals = [f"o{i}" for i in range(200)]
    early = pd.DataFrame({"opportunity_id": deals, "stage": "early", "amount": 100.0, "final_amount": 80.0})
    late = pd.DataFrame({"opportunity_id": deals, "stage": "late", "amount": 100.0, "final_amount": 100.0})
    return pd.concat([early, early, late], ignore_index=True)


def test_amount_ratio_is_estimated_by_stage_and_shrunk_to_one():
    model = fit_amounts(won_landmarks(), prior_deals=20)
    assert model.ratio["early"] == pytest.approx((200 * 0.8 + 20) / 220)
    assert model.ratio["late"] == pytest.approx(1.0)
    assert model.cv["late"] < 0.1


def test_without_amount_history_the_ratio_is_one():
    model = fit_amounts(won_landmarks().iloc[:0])
    assert (model.overall_ratio, model.overall_cv) == (1.0, 0.2)
    expected = expect_amounts(pd.DataFrame({"stage": ["early"], "amount": [70.0]}), model, won_deals(), date(2025, 1, 31))
    assert expected["amount_if_won"].tolist() == [70.0]


def won_deals() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "closed_at": pd.to_datetime(["2024-12-01"] * 60 + ["2025-01-05"] * 60 + ["2020-01-01"] * 5 + ["2025-02-03"] * 5),
            "amount": [100.0] * 60 + [300.0] * 60 + [1e6] * 10,
            "product": ["small"] * 60 + ["big"] * 60 + ["small"] * 10,
        }
    )


def test_unknown_amounts_become_the_recent_mean_of_their_group():
    means, overall, cv = recent_mean_amounts(won_deals(), date(2025, 1, 31), ("product",), prior_deals=20)
    assert overall == 200
    assert cv == pytest.approx(0.5, rel=0.02)
    assert means["small"] == pytest.approx((6000 + 4000) / 80)
    deals = pd.DataFrame({"stage": "early", "amount": [np.nan, 0.0, np.nan, 50.0], "product": ["small", "big", "new", "big"]}, index=["a", "b", "c", "d"])
    nothing_moves = AmountModel(pd.Series(dtype=float), pd.Series(dtype=float), 1.0, 0.2)
    expected = expect_amounts(deals, nothing_moves, won_deals(), date(2025, 1, 31), by=("product",), prior_deals=20)
    assert expected["amount_if_won"].to_dict() == {"a": 125.0, "b": 275.0, "c": 200.0, "d": 50.0}
    assert expected["amount_cv"].to_list()[3] == 0.2


def test_with_nothing_ever_won_the_open_amounts_stand_in():
    deals = pd.DataFrame({"stage": "early", "amount": [np.nan, 40.0, 60.0]})
    model = fit_amounts(won_landmarks().iloc[:0])
    assert expect_amounts(deals, model, won_deals().iloc[:0], date(2025, 1, 31))["amount_if_won"].to_list() == [50.0, 40.0, 60.0]
    nothing = expect_amounts(deals.iloc[:1], model, won_deals().iloc[:0], date(2025, 1, 31))
    assert nothing["amount_if_won"].to_list() == [0.0]


def test_creations_within_some_days_and_the_rest_bring_what_all_bring():
    whole = CreationForecast(np.array([1, 11, 41]), np.array([10, 40, 70]), np.array([5.0, 30.0, 12.0]), np.full(3, 0.1))
    first = creations_within(whole, 20)
    assert first.last_day.tolist() == [10, 20] and first.creations.tolist() == [5.0, 10.0]
    assert creations_within(whole, 0).creations.tolist() == []
    assert creations_within(whole, 70).creations.tolist() == whole.creations.tolist()
    later = CreationForecast(np.array([21, 41]), np.array([40, 70]), np.array([20.0, 12.0]), np.full(2, 0.1))
    won_by = won_by_ends(1 - 0.99 ** np.arange(101.0), np.array([0, 30, 70]))
    both = wins_of_creations(first, won_by).sum(axis=0) + wins_of_creations(later, won_by).sum(axis=0)
    np.testing.assert_allclose(both, wins_of_creations(whole, won_by).sum(axis=0))
