"""Win rate, cycle and velocity of small sets of deals, worked by hand, and the median cycle against statsmodels."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint

from tests.golden.test_metrics_conversion import simulated, tables_of
from tests.metric_frames import computed, core_tables, rows, stages_frame

STAGES = stages_frame(("first", "second"))

DEALS = [
    ("w1", "2025-01-01", "first", 1000),
    ("w1", "2025-02-10", "won"),
    ("w2", "2025-01-21", "first", 500),
    ("w2", "2025-02-10", "second", 3000),
    ("w2", "2025-02-20", "won"),
    ("no amount", "2025-02-05", "first"),
    ("no amount", "2025-02-15", "won"),
    ("l1", "2025-02-01", "first", 4000),
    ("l1", "2025-02-28 23:59", "lost"),
    ("reopened", "2025-01-05", "first", 700),
    ("reopened", "2025-02-07", "lost"),
    ("reopened", "2025-03-05", "second"),
    ("open", "2025-02-20", "first", 900),
    ("later", "2025-03-01", "first", 10),
]


@pytest.fixture(scope="module")
def february(tmp_path_factory):
    """The row of February 2025 as of 10 March."""
    tables = core_tables(DEALS, date(2025, 3, 10), STAGES)
    return rows(computed(tables, tmp_path_factory.mktemp("metrics"))["win_rates"], "month", "2025-02-01").iloc[0]


def test_counts(february):
    """Created: no amount, l1, open. The reopened deal is open again, and so counts as lost nowhere and as open throughout."""
    assert february[["created", "won", "lost", "open"]].tolist() == [3, 3, 1, 2]


def test_rates(february):
    """3 of 4 closed; 4000 of 8000; 1 of the 3 created is won."""
    assert february["win_rate_count"] == 0.75
    low, high = proportion_confint(3, 4, method="wilson")
    assert february[["win_rate_low", "win_rate_high"]].tolist() == pytest.approx([low, high])
    assert february["win_rate_value"] == 0.5
    assert february["win_rate_created"] == pytest.approx(1 / 3)


def test_amounts_cycle_and_velocity(february):
    """Mean of 1000 and 3000; cycles of 40, 30 and 10 days; 2 open × 2000 × 0.75 ÷ 80/3 days = 112.50 a day."""
    assert february[["won_amount", "mean_amount"]].tolist() == [4000.0, 2000.0]
    assert february["cycle_mean_days"] == pytest.approx(80 / 3)
    assert february["velocity"] == 112.5


def test_median_cycle_is_null_until_half_are_won(february):
    """Of the three created one was won after 10 days: two thirds are left."""
    assert np.isnan(february["cycle_median_days"])


def test_nothing_closed_leaves_rates_null(tmp_path):
    tables = core_tables([("d", "2025-02-01", "first")], date(2025, 2, 28), STAGES)
    row = rows(computed(tables, tmp_path)["win_rates"], "month", "2025-02-01").iloc[0]
    assert row[["win_rate_count", "win_rate_low", "win_rate_high", "win_rate_value", "cycle_mean_days", "velocity"]].isna().all()
    assert row["win_rate_created"] == 0.0


def test_close_day_before_the_time_of_creation(tmp_path):
    """A close date without a time of day lies before the hour of creation on that day: the cycle is zero, not negative."""
    tables = core_tables([("d", "2025-02-03", "first"), ("d", "2025-02-03", "won")], date(2025, 2, 28), STAGES)
    late = pa.array([pd.Timestamp("2025-02-03 15:00")], pa.timestamp("us"))
    deals = tables["opportunities"]
    tables["opportunities"] = deals.set_column(deals.column_names.index("created_at"), "created_at", late)
    row = rows(computed(tables, tmp_path)["win_rates"], "month", "2025-02-01").iloc[0]
    assert row[["cycle_mean_days", "cycle_median_days"]].tolist() == [0.0, 0.0]


def test_deal_without_creation_date_counts_where_it_is_known(tmp_path):
    """An open deal is open at the as-of date, and a won one is won; neither was created in any period or has a cycle."""
    events = [("open", "2025-02-03", "first"), ("won", "2025-02-03", "first", 100), ("won", "2025-02-04", "won")]
    tables = core_tables(events, date(2025, 3, 10), STAGES)
    deals = tables["opportunities"]
    tables["opportunities"] = deals.set_column(deals.column_names.index("created_at"), "created_at", pa.nulls(2, pa.timestamp("us")))
    found = computed(tables, tmp_path)["win_rates"]
    february, march = (rows(found, "month", start).iloc[0] for start in ("2025-02-01", "2025-03-01"))
    assert february[["created", "won", "open"]].tolist() == [0, 1, 0]
    assert np.isnan(february["cycle_mean_days"])
    assert march[["created", "open"]].tolist() == [0, 1]


def test_median_cycle_agrees_with_a_library(tmp_path):
    """Won is the event; lost deals are censored at closing, open ones at the as-of date."""
    visits = simulated(900, 120, forward=0.03, otherwise=0.01, seed=6)
    tables = tables_of(visits)
    status = visits["exit_kind"].map({"advanced": "won", "lost": "lost"}).fillna("open")
    deals = tables["opportunities"].to_pandas().assign(status=status, closed_at=visits["exited_at"])
    found = computed({**tables, "opportunities": pa.Table.from_pandas(deals, tables["opportunities"].schema)}, tmp_path)["win_rates"]
    quarter = visits["entered_at"] >= "2025-04-01"
    curve = SurvfuncRight(visits.loc[quarter, "dwell_days"], (status[quarter] == "won").astype(int))
    expected = curve.surv_times[curve.surv_prob <= 0.5].min()
    assert rows(found, "quarter", "2025-04-01")["cycle_median_days"].item() == pytest.approx(expected)
