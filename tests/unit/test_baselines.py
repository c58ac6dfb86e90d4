"""The simple forecasts, figure by figure."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.baselines import OpenPipeline, forecast_baselines
from models.levels import Intervals
from models.revenue import WonDeals
from tests.revenue_inputs import segmented

PERIODS = pd.DataFrame(
    {
        "period_kind": ["month", "month", "quarter", "week"],
        "period_start": pd.to_datetime(["2025-02-01", "2025-03-01", "2025-01-01", "2025-02-10"]),
        "period_end": pd.to_datetime(["2025-02-28", "2025-03-31", "2025-03-31", "2025-02-16"]),
    }
)
AHEAD = Intervals.of(PERIODS, date(2025, 2, 7))
FEBRUARY, MARCH, QUARTER, WEEK = (tuple(row) for row in PERIODS[["period_kind", "period_start"]].itertuples(index=False))


def won(*rows: tuple[str, float, str]) -> WonDeals:
    days, amounts, regions = zip(*rows, strict=True)
    return WonDeals(np.array(days, dtype="datetime64[D]"), np.array(amounts), segmented(list(regions)))


WON = won(
    ("2024-02-29", 7.0, "a"),
    ("2024-03-31", 5.0, "b"),
    ("2024-02-12", 2.0, "b"),
    ("2024-11-15", 30.0, "a"),
    ("2024-12-15", 60.0, "a"),
    ("2025-01-15", 90.0, "b"),
    ("2025-02-03", 11.0, "a"),
    ("2025-02-04", np.nan, "a"),
)


def pipeline(close: list[str], crm: list[float] | None = None) -> OpenPipeline:
    n = len(close)
    return OpenPipeline(
        np.array([100.0, 200.0, np.nan, 400.0][:n]),
        np.array(close, dtype="datetime64[D]"),
        np.array([0.5, 0.25, 0.9, 0.1][:n]),
        np.array(crm if crm else [np.nan] * n),
        segmented(["a", "b", "a", "b"][:n]),
    )


def values(open_pipeline: OpenPipeline, record_begins: str = "2020-01-01", deals: WonDeals = WON) -> pd.Series:
    table = forecast_baselines(open_pipeline, deals, AHEAD, np.datetime64(record_begins))
    return table.set_index(["method", "member", "period_kind", "period_start"])["value"]


OPEN = pipeline(["2025-02-05", "2025-02-20", "2025-02-20", "2025-03-10"])


def test_weighted_pipeline_is_won_so_far_and_amount_times_stage_probability():
    value = values(OPEN)
    assert value[("weighted_pipeline", "all", *FEBRUARY)] == 11 + 50 + 50
    assert value[("weighted_pipeline", "a", *FEBRUARY)] == 11 + 50
    assert value[("weighted_pipeline", "all", *MARCH)] == 40
    assert value[("weighted_pipeline", "all", *QUARTER)] == 101 + 50 + 50 + 40
    assert value[("weighted_pipeline", "c", *MARCH)] == 0


def test_run_rate_is_the_mean_of_three_whole_months_scaled():
    value = values(OPEN)
    assert value[("run_rate", "all", *MARCH)] == 60
    assert value[("run_rate", "b", *MARCH)] == 30
    assert value[("run_rate", "all", *FEBRUARY)] == pytest.approx(11 + 60 * 21 / 28, abs=0.005)
    assert value[("run_rate", "all", *QUARTER)] == pytest.approx(101 + 180 * 52 / 90, abs=0.005)
    assert value[("run_rate", "all", *WEEK)] == pytest.approx(60 * 7 / (365.25 / 12), abs=0.005)


def test_run_rate_uses_whole_months_only():
    assert values(OPEN, "2024-11-20")[("run_rate", "all", *MARCH)] == 75
    assert values(OPEN, "2025-01-01")[("run_rate", "all", *MARCH)] == 90
    assert "run_rate" not in values(OPEN, "2025-01-02").index.get_level_values("method")


def test_at_a_months_last_day_that_month_is_whole():
    ahead = Intervals.of(PERIODS.iloc[[1]], date(2025, 2, 28))
    table = forecast_baselines(OPEN, WON, ahead, np.datetime64("2020-01-01"))
    company = table[table["method"].eq("run_rate") & table["member"].eq("all")]
    assert company["value"].tolist() == [pytest.approx((60 + 90 + 11) / 3, abs=0.005)]


@pytest.mark.parametrize(("as_of", "shown"), [(date(2025, 2, 27), {FEBRUARY, MARCH, QUARTER}), (date(2025, 2, 28), {MARCH, QUARTER})])
def test_a_period_that_is_over_has_no_simple_method(as_of, shown):
    """OPEN holds deals that were expected to close in February: of a month that is over they promise nothing more."""
    table = forecast_baselines(OPEN, WON, Intervals.of(PERIODS, as_of), np.datetime64("2020-01-01"))
    assert {(kind, start) for kind, start in zip(table["period_kind"], table["period_start"], strict=True)} == shown


def test_same_period_last_year_keeps_leap_days_and_weekdays():
    value = values(OPEN)
    assert value[("same_period_last_year", "all", *FEBRUARY)] == 9
    assert value[("same_period_last_year", "b", *MARCH)] == 5
    assert value[("same_period_last_year", "all", *QUARTER)] == 14
    assert value[("same_period_last_year", "all", *WEEK)] == 2


def test_no_row_where_the_record_began_later_than_a_year_ago():
    value = values(OPEN, "2024-02-10")["same_period_last_year"]["all"]
    assert set(value.index) == {MARCH, WEEK}


def test_without_expected_close_dates_or_crm_probability_there_is_no_row():
    methods = set(values(pipeline(["NaT", "NaT"])).index.get_level_values("method"))
    assert methods == {"run_rate", "same_period_last_year"}


def test_crm_probability_counts_the_deals_that_have_one():
    value = values(pipeline(["2025-03-05", "2025-03-20", "2025-03-20", "NaT"], [0.4, np.nan, 0.3, 0.9]))
    assert value[("crm_probability", "all", *MARCH)] == 40
    assert value[("crm_probability", "all", *FEBRUARY)] == 11


def test_every_method_adds_up_over_members():
    value = values(pipeline(["2025-02-05", "2025-02-20", "2025-02-20", "2025-03-10"], [0.1, 0.2, 0.3, 0.4])).unstack("member")
    np.testing.assert_allclose(value[["a", "b", "c"]].sum(axis=1), value["all"], atol=0.02)
    assert len(value) == 4 * 4
