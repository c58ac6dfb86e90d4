"""People's calls: which one stood when, how the calls did, and what may be said of who makes them."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.calls import call_baselines, call_record, past_calls, ratio_interval, standing_calls, verdict
from models.scoring import score_all

AS_OF = date(2025, 6, 30)
MONTHS = pd.date_range("2025-01-01", "2025-10-01", freq="MS")
CALENDAR = pd.DataFrame({"period_kind": "month", "period_start": MONTHS, "period_end": MONTHS + pd.offsets.MonthEnd(0)})


def calls(*rows: tuple) -> pd.DataFrame:
    """Rows of period_start, called_at, amount and, if not commit of the company, category, dimension and member."""
    full = [("month", pd.Timestamp(r[0]), *(r[4:] or ("all", "all")), (r[3] if len(r) > 3 else "commit"), pd.Timestamp(r[1]), float(r[2])) for r in rows]
    return pd.DataFrame(full, columns=["period_kind", "period_start", "dimension", "member", "category", "called_at", "amount"])


def test_the_newest_call_by_the_end_of_the_day_stands():
    known = calls(
        ("2025-03-01", "2025-02-20", 100), ("2025-03-01", "2025-02-28 23:59", 120), ("2025-03-01", "2025-03-01", 90), ("2025-03-01", "2025-02-10", 5, "upside")
    )
    assert standing_calls(known, date(2025, 2, 28))["forecast"].tolist() == [120.0]
    assert standing_calls(known, date(2025, 3, 1))["forecast"].tolist() == [90.0]
    assert standing_calls(known, date(2025, 2, 1)).empty


def test_only_periods_that_are_not_over_stand_beside_the_forecast():
    known = calls(("2025-06-01", "2025-05-30", 100), ("2025-07-01", "2025-06-30 12:00", 70, "best case"), ("2031-07-01", "2025-06-30", 70))
    found = call_baselines(known, CALENDAR, AS_OF)
    assert found[["period_start", "method", "value"]].values.tolist() == [[pd.Timestamp("2025-07-01"), "call_best_case", 70.0]]


def test_a_call_is_scored_at_every_months_end_by_which_it_was_made():
    known = calls(("2025-04-01", "2025-02-10", 100), ("2025-04-01", "2025-03-20", 80), ("2025-07-01", "2025-03-20", 1))
    found = past_calls(known, CALENDAR, [date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31), date(2025, 4, 30)], AS_OF)
    assert found[["origin", "forecast"]].values.tolist() == [[pd.Timestamp("2025-02-28"), 100.0], [pd.Timestamp("2025-03-31"), 80.0]]


def test_without_calls_there_is_nothing():
    none = calls()
    none = none.astype({"period_start": "datetime64[us]", "called_at": "datetime64[us]", "amount": float})
    assert past_calls(none, CALENDAR, [date(2025, 1, 31)], AS_OF).empty and call_baselines(none, CALENDAR, AS_OF).empty
    columns = ["origin", "period_kind", "period_start", "dimension", "member", "method", "kind", "forecast", "p10", "p90", "actual", "error"]
    assert call_record(pd.DataFrame(columns=columns), pd.DataFrame(columns=["origin", "method"])).empty


def scored(call: list[float], model: list[float], actual: list[float], method: str = "call_commit") -> pd.DataFrame:
    """A call and a model (range ± 10) for so many months, each as of the month's end before."""
    months = pd.date_range("2024-01-01", periods=len(call), freq="MS")
    periods = pd.DataFrame({"period_kind": "month", "period_start": months, "dimension": "all", "member": "all"})
    forecasts = [
        periods.assign(method=name, forecast=values, p10=low, p90=high)
        for name, values, low, high in ((method, call, np.nan, np.nan), ("hazard", model, np.array(model) - 10, np.array(model) + 10))
    ]
    rows = pd.concat(forecasts, ignore_index=True)
    rows["origin"] = rows["period_start"] - pd.Timedelta(days=1)
    return score_all(rows, periods.assign(actual=actual)).assign(kind="replayed")


def chosen(accuracy: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"origin": accuracy["origin"].unique(), "method": "hazard"})


def test_a_record_counts_where_the_call_was_nearer_and_where_it_lay_inside():
    accuracy = scored([100, 130, 90, 100], [110, 100, 95, 104], [100, 100, 100, 102])
    row = call_record(accuracy, chosen(accuracy)).iloc[0]
    # Errors of the call 0, 30, -10, -2; of the model 10, 0, -5, 2: nearer once; equal is not nearer.
    assert (row["n"], row["n_compared"], row["helped"], row["inside_model"]) == (4, 4, 1, 3)
    assert row["mean_error_share"] == pytest.approx(42 / 402) and row["bias_share"] == pytest.approx(18 / 402)
    assert row["model_error_share"] == pytest.approx(17 / 402)
    assert row["verdict"] == "too_few" and row["category"] == "commit"


def test_a_period_counts_once_as_it_was_called_before_it_began():
    accuracy = scored([100] * 6, [100] * 6, [100] * 6)
    early = accuracy.assign(origin=accuracy["origin"] - pd.offsets.MonthEnd(1), forecast=500.0, error=400.0, absolute_error=400.0)
    row = call_record(pd.concat([early, accuracy], ignore_index=True), chosen(accuracy)).iloc[0]
    assert (row["n"], row["mean_error_share"]) == (6, 0.0)


def test_who_always_calls_a_third_less_sandbags_and_a_third_more_has_happy_ears():
    actual = np.array([90.0, 110, 100, 95, 105, 120, 80, 100])
    noise = np.array([1.02, 0.97, 1.0, 1.05, 0.96, 1.01, 0.99, 1.0])
    for factor, category, word in (
        (0.67, "call_commit", "sandbags"),
        (1.33, "call_commit", "happy_ears"),
        (1.0, "call_commit", "neither"),
        (1.33, "call_best_case", "neither"),
    ):
        accuracy = scored(list(actual * noise * factor), list(actual), list(actual), category)
        assert call_record(accuracy, chosen(accuracy)).iloc[0]["verdict"] == word


def test_a_handful_of_periods_says_nothing():
    assert verdict(5, 0.4, 0.6, "call_commit") == "too_few"
    assert verdict(6, 0.4, 0.6, "call_commit") == "happy_ears"


def test_the_interval_of_a_bias_holds_the_truth_as_often_as_it_says():
    """Periods with a true bias of 10 %, noise and spread such as a person's months have, six at a time."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(2000):
        actual = rng.lognormal(0, 0.4, 6)
        _, low, high = ratio_interval(actual * 0.1 + rng.normal(0, 0.3, 6), actual)
        held += low <= 0.1 <= high
    assert 0.93 <= held / 2000 <= 0.97


def test_nothing_won_gives_no_share():
    assert np.isnan(ratio_interval(np.array([5.0, 5.0]), np.zeros(2))).all()
    assert np.isnan(ratio_interval(np.array([5.0]), np.ones(1))[1])
