"""Dwell of small cohorts, worked by hand, and of simulated ones against numpy and statsmodels."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from models.settings import Thresholds
from tests.golden.test_metrics_conversion import simulated, tables_of
from tests.metric_frames import computed, core_tables, rows, stages_frame

FOUR = [
    ("a", "2025-01-01", "first"),
    ("a", "2025-01-03", "second"),
    ("b", "2025-01-02", "first"),
    ("b", "2025-01-06 12:00", "lost"),
    ("c", "2025-01-06", "first"),
    ("c", "2025-01-18", "won"),
    ("d", "2025-01-05", "first"),
]


def january(folder, events=FOUR, as_of=date(2025, 1, 9), **arguments) -> pd.Series:
    """stage_dwell of the first stage in January 2025."""
    stages = arguments.pop("stages", stages_frame(("first", "second"), benchmark_days=2.0))
    tables = core_tables(events, as_of, stages, **arguments)
    return rows(computed(tables, folder)["stage_dwell"], "month", "2025-01-01").loc["first"]


def test_completed_and_censored_visits(tmp_path):
    """As of 9 January: a 2 days, b 4.5, c open for 4, d open for 5.

    Completed: mean and median 3.25, p75 2 + 0.75 × 2.5, p90 2 + 0.9 × 2.5. Kaplan–Meier: 3/4 after 2; c is censored at
    4; 3/4 × 1/2 = 3/8 after 4.5, which is the median.
    """
    found = january(tmp_path)
    assert found[["visits", "completed"]].tolist() == [4, 2]
    days = found[["mean_days", "median_days", "p75_days", "p90_days", "min_days", "max_days", "km_median_days"]]
    assert days.tolist() == pytest.approx([3.25, 3.25, 3.875, 4.25, 2.0, 4.5, 4.5])


def test_working_days_leave_out_the_weekend(tmp_path):
    """a: 2 and 3 January; b: 3 and 6 January, with the weekend between."""
    assert january(tmp_path)["mean_working_days"] == 2.0


def test_median_is_null_until_half_have_left(tmp_path):
    """As of 4 January one of two has left, after 2 days: half are left, and the median is reached; as of 2 January none has."""
    assert january(tmp_path, as_of=date(2025, 1, 4))["km_median_days"] == 2.0
    early = january(tmp_path, as_of=date(2025, 1, 2))
    assert np.isnan(early["km_median_days"])
    assert early["completed"] == 0
    assert np.isnan(early["mean_days"])


def test_median_without_censoring_is_the_lower_middle(tmp_path):
    """Kaplan–Meier is 1/2 after the first of two: its median is 2 days while the plain median is 3.25."""
    found = january(tmp_path, events=FOUR[:4])
    assert (found["km_median_days"], found["median_days"]) == (2.0, 3.25)


def test_overtime_by_benchmark_where_visits_are_few(tmp_path):
    """Two completed visits are no average; longer than 1.5 × 2 days are b, and the open c and d."""
    found = january(tmp_path)
    assert (found["reference_days"], found["benchmark_days"], found["overtime"]) == (2.0, 2.0, 3)
    assert found["overtime_share"] == 0.75


def test_overtime_by_the_average_where_there_are_enough(tmp_path):
    """With two visits enough the average is 3.25 days; 1.5 × it is 4.875, which only d, open for 5 days, exceeds."""
    found = january(tmp_path, thresholds=Thresholds(overtime_minimum_visits=2))
    assert (found["reference_days"], found["overtime"]) == (3.25, 1)


def test_no_overtime_without_reference(tmp_path):
    found = january(tmp_path, stages=stages_frame(("first", "second")))
    assert np.isnan(found["reference_days"])
    assert found["overtime"] == 0


def test_reference_leaves_out_what_ended_over_a_year_ago(tmp_path):
    """A visit of 100 days that ended 12 months and a day ago counts no more; one that ended a day later does."""
    old = [("old", "2023-10-01", "first"), ("old", "2024-01-09", "lost")]
    thresholds = Thresholds(overtime_minimum_visits=2)
    assert january(tmp_path, events=[*FOUR, *old], thresholds=thresholds)["reference_days"] == 3.25
    newer = [("old", "2023-10-01", "first"), ("old", "2024-01-10", "lost")]
    assert january(tmp_path, events=[*FOUR, *newer], thresholds=thresholds)["reference_days"] == pytest.approx((2 + 4.5 + 101) / 3)


@pytest.mark.parametrize(("forward", "otherwise"), [(0.03, 0.02), (4.0, 3.0), (0.004, 0.003)])
def test_agrees_with_libraries(tmp_path, forward, otherwise):
    """Quantiles are numpy's and the Kaplan–Meier median statsmodels', for slow, fast and very slow stages."""
    visits = simulated(800, 120, forward, otherwise, seed=5)
    found = rows_by_period(computed(tables_of(visits), tmp_path)["stage_dwell"])
    cohorts = {
        ("month", pd.Timestamp("2025-06-01")): visits[visits["entered_at"] >= "2025-06-01"],
        ("month", pd.Timestamp("2025-05-01")): visits[visits["entered_at"].between("2025-05-01", "2025-05-31 23:59:59")],
        ("quarter", pd.Timestamp("2025-04-01")): visits[visits["entered_at"] >= "2025-04-01"],
        ("week", pd.Timestamp("2025-06-23")): visits[visits["entered_at"].between("2025-06-23", "2025-06-29 23:59:59")],
    }
    for period, cohort in cohorts.items():
        row, done = found.loc[period], cohort["exited_at"].notna()
        expected = np.quantile(cohort.loc[done, "dwell_days"], [0.5, 0.75, 0.9])
        assert row[["median_days", "p75_days", "p90_days"]].tolist() == pytest.approx(expected.tolist())
        curve = SurvfuncRight(cohort["dwell_days"], done.astype(int))
        reached = curve.surv_times[curve.surv_prob <= 0.5 + 1e-9]
        assert row["km_median_days"] == pytest.approx(reached.min() if len(reached) else np.nan, nan_ok=True)


def rows_by_period(table: pd.DataFrame) -> pd.DataFrame:
    """The company's rows of the first stage by period."""
    chosen = table[(table["dimension"] == "all") & (table["stage"] == "first")]
    return chosen.assign(period_start=pd.to_datetime(chosen["period_start"])).set_index(["period_kind", "period_start"])
