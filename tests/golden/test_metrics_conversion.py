"""Conversion of small cohorts, worked by hand; and of simulated ones, whose truth is known."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight
from statsmodels.stats.proportion import proportion_confint

from models.settings import Thresholds
from quality.tables.core import CORE
from tests.metric_frames import computed, conformed, core_tables, rows, stages_frame

STAGES = stages_frame(("first", "second", "third"))

SEVEN = [
    ("went through", "2025-01-02", "first"),
    ("went through", "2025-01-05", "second"),
    ("went through", "2025-01-09", "third"),
    ("went through", "2025-01-20", "won"),
    ("skipped", "2025-01-03", "first"),
    ("skipped", "2025-01-10", "third"),
    ("came back", "2025-01-03", "first"),
    ("came back", "2025-01-06", "second"),
    ("came back", "2025-01-08", "first"),
    ("came back", "2025-01-30", "lost"),
    ("lost", "2025-01-04", "first"),
    ("lost", "2025-01-12", "lost"),
    ("open", "2025-01-07", "first"),
    ("fell back first", "2025-01-08", "second"),
    ("fell back first", "2025-01-11", "first"),
    ("fell back first", "2025-02-02", "third"),
    ("won back", "2025-01-09", "first"),
    ("won back", "2025-01-15", "lost"),
    ("won back", "2025-02-03", "second"),
]


@pytest.fixture(scope="module")
def january(tmp_path_factory):
    """stage_conversion of January 2025 as of 28 February, for seven deals."""
    tables = core_tables(SEVEN, date(2025, 2, 28), STAGES)
    return rows(computed(tables, tmp_path_factory.mktemp("metrics"))["stage_conversion"], "month", "2025-01-01")


def test_counts_of_the_first_stage(january):
    """All seven entered it; five got further ever: by way, by a skip, before coming back, and after being won back."""
    first = january.loc["first"]
    assert first[["entered", "advanced", "won", "lost", "still_open"]].tolist() == [7, 5, 1, 1, 1]


def test_observed_is_the_first_exit(january):
    """Forward left: went through, skipped, came back (its first exit) and fell back first; lost was the first exit of two."""
    assert january.loc["first", "conversion_observed"] == pytest.approx(4 / 7)
    low, high = proportion_confint(4, 7, method="wilson")
    assert january.loc["first", ["ci_low", "ci_high"]].tolist() == pytest.approx([low, high])


def test_second_stage_counts_three_and_fills_one(january):
    """Entered in January: went through, came back, fell back first. The skipped deal counts in filled, as passed.

    Observed: one of three went on from its first visit. Filled: four reached it; all but came back got further.
    """
    second = january.loc["second"]
    assert second[["entered", "advanced", "won", "lost", "still_open"]].tolist() == [3, 2, 1, 1, 0]
    assert second["conversion_observed"] == pytest.approx(1 / 3)
    assert second["conversion_filled"] == pytest.approx(3 / 4)


def test_small_cohorts_have_no_eventual_conversion(january):
    assert january["conversion_eventual"].isna().all()


def test_a_win_straight_from_the_first_stage_fills_all_stages(tmp_path):
    """Nobody entered the second stage, yet one deal reached and passed it on the day it was won."""
    tables = core_tables([("d", "2025-01-30", "first"), ("d", "2025-02-03", "won")], date(2025, 2, 28), STAGES)
    second = rows(computed(tables, tmp_path)["stage_conversion"], "month", "2025-02-01").loc["second"]
    assert second["entered"] == 0
    assert np.isnan(second["conversion_observed"])
    assert second["conversion_filled"] == 1.0


def test_eventual_of_four_deals_by_hand(tmp_path):
    """Four enter on 1 January: forward on day 2, lost on day 4, forward on day 6, one open on day 10 (as of the 10th).

    Hazards: 1/4 forward at 2, 1/3 lost at 4, 1/2 forward at 6. Incidence: 1/4 + 3/4·2/3·1/2 = 1/2, and 1/4 stay. Nobody
    is older than the cohort, so that nothing is known to come: the stay counts as not going forward.
    """
    events = [(f"d{i}", "2025-01-01", "first") for i in range(4)]
    events += [("d0", "2025-01-03", "second"), ("d1", "2025-01-05", "lost"), ("d2", "2025-01-07", "second")]
    tables = core_tables(events, date(2025, 1, 10), STAGES, thresholds=Thresholds(small_sample=4))
    first = rows(computed(tables, tmp_path)["stage_conversion"], "month", "2025-01-01").loc["first"]
    assert first["conversion_eventual"] == pytest.approx(0.5)
    assert first["extrapolated_share"] == 0.0
    assert first["conversion_observed"] == 0.5


def test_continued_by_older_visits(tmp_path):
    """Two cohorts of four. December's all left on day 20: three forward, one lost. January's stand at day 9.

    One of January's left forward on day 2; three of its four are left, and go on as those 20 days old did: forward
    with 3/4. Together 1/4 + 3/4·3/4 = 13/16, of which 9/13 is extrapolated. December's own is 3/4.
    """
    events = [(f"old{i}", "2024-12-01", "first") for i in range(4)] + [(f"new{i}", "2025-01-02", "first") for i in range(4)]
    events += [(f"old{i}", "2024-12-21", "second" if i else "lost") for i in range(4)] + [("new0", "2025-01-04", "second")]
    tables = core_tables(events, date(2025, 1, 10), STAGES, thresholds=Thresholds(small_sample=4))
    found = computed(tables, tmp_path)
    january = rows(found["stage_conversion"], "month", "2025-01-01").loc["first"]
    assert january["conversion_eventual"] == pytest.approx(13 / 16)
    assert january["extrapolated_share"] == pytest.approx(9 / 13)
    assert rows(found["stage_conversion"], "month", "2024-12-01").loc["first", "conversion_eventual"] == pytest.approx(3 / 4)
    hazards = found["stage_hazards"].query("stage == 'first'").set_index("age_days")
    assert hazards.loc[2, "forward_hazard"] == pytest.approx(1 / 8)
    assert hazards.loc[20, ["at_risk", "forward_hazard", "eventual"]].tolist() == pytest.approx([4, 0.75, 0.75])


def simulated(deals: int, days: int, forward: float, otherwise: float, seed: int) -> pd.DataFrame:
    """First visits of one stage: leaving forward and otherwise at constant daily rates; entered evenly over ``days``."""
    random = np.random.default_rng(seed)
    end = pd.Timestamp("2025-07-01")
    entered = end - pd.to_timedelta(np.ceil(random.uniform(0, days, deals) * 86400), unit="s")
    left = entered + pd.to_timedelta(np.ceil(random.exponential(1 / (forward + otherwise), deals) * 86400), unit="s")
    kind = np.where(random.random(deals) < forward / (forward + otherwise), "advanced", "lost")
    known = left < end
    return pd.DataFrame(
        {
            "opportunity_id": [f"d{i}" for i in range(deals)],
            "visit_number": 1,
            "stage": "first",
            "position": 1,
            "entered_at": entered,
            "entry_kind": "new",
            "exited_at": left.where(known),
            "exit_kind": pd.Series(kind).where(known),
            "next_position": pd.Series(np.where(kind == "lost", 0, 2)).where(known),
            "is_first": True,
            "is_latest": True,
            "dwell_days": (left.where(known, end) - entered) / pd.Timedelta(days=1),
            "dwell_working_days": 0.0,
            "history": "observed",
            "is_entry_dated": True,
            "is_dated": True,
            "course": "whole",
        }
    )


def tables_of(visits: pd.DataFrame) -> dict:
    """Core tables as of 30 June 2025 around one stage's visits."""
    tables = core_tables([("other", "2025-06-30", "third")], date(2025, 6, 30), STAGES, months=3, quarters=4)
    status = visits["exit_kind"].map({"lost": "lost"}).fillna("open")
    deals = pd.DataFrame(
        {
            "opportunity_id": visits["opportunity_id"],
            "pipeline": "sales",
            "status": status,
            "stage": "first",
            "created_at": visits["entered_at"],
        }
    )
    segments = pd.DataFrame({"opportunity_id": visits["opportunity_id"], "dimension": "all", "member": "all"})
    frames = {"stage_visits": visits, "opportunities": deals.assign(is_stale=False), "opportunity_segments": segments}
    return {**tables, **{name: conformed(frame.reset_index(drop=True), CORE.tables[name]) for name, frame in frames.items()}}


def test_eventual_finds_the_truth_that_observed_misses(tmp_path):
    """Truth is 0.6. Of June's cohort a good part is still open, so that observed is far too low."""
    visits = simulated(6000, 500, forward=0.03, otherwise=0.02, seed=3)
    june = rows(computed(tables_of(visits), tmp_path)["stage_conversion"], "month", "2025-06-01").loc["first"]
    assert june["conversion_observed"] < 0.35
    assert june["eventual_low"] < 0.6 < june["eventual_high"]
    assert june["conversion_eventual"] == pytest.approx(0.6, abs=0.06)
    assert june["extrapolated_share"] > 0.15


def test_followed_part_agrees_with_a_library(tmp_path):
    """Without the continuation the quarter's incidence is statsmodels' estimate, up to the binning by day."""
    visits = simulated(3000, 300, forward=0.03, otherwise=0.02, seed=4)
    quarter = rows(computed(tables_of(visits), tmp_path)["stage_conversion"], "quarter", "2025-04-01").loc["first"]
    cohort = visits[visits["entered_at"] >= "2025-04-01"]
    causes = cohort["exit_kind"].map({"advanced": 1, "lost": 2}).fillna(0).astype(int)
    library = CumIncidenceRight(cohort["dwell_days"], causes)
    followed = quarter["conversion_eventual"] * (1 - quarter["extrapolated_share"])
    assert followed == pytest.approx(library.cinc[0][-1], abs=0.01)


def test_interval_without_censoring_is_wilson_of_observed(tmp_path):
    """Once all have left, eventual is observed, and so is its interval."""
    events = [(f"d{i}", f"2025-01-{i + 1:02}", "first") for i in range(12)]
    events += [(f"d{i}", f"2025-02-{2 * i + 1:02}", "second" if i % 3 else "lost") for i in range(12)]
    january = rows(computed(core_tables(events, date(2025, 4, 30), STAGES), tmp_path)["stage_conversion"], "month", "2025-01-01").loc["first"]
    assert january["conversion_eventual"] == pytest.approx(8 / 12)
    assert january[["eventual_low", "eventual_high"]].tolist() == pytest.approx(january[["ci_low", "ci_high"]].tolist())


@pytest.mark.parametrize("deals", [20, 27, 40])
def test_when_all_moved_on_the_interval_is_that_of_so_many_trials(deals, tmp_path):
    """Everybody moved on, each after another number of days: what rounding takes from 1 is no certainty."""
    began = pd.Timestamp("2025-01-02")
    moves = [
        (f"deal {n}", str((began + pd.Timedelta(days=days)).date()), stage) for n in range(deals) for days, stage in ((0, "first"), (1 + n % 26, "second"))
    ]
    table = computed(core_tables(moves, date(2025, 2, 28), STAGES), tmp_path)["stage_conversion"]
    first = rows(table, "month", "2025-01-01").loc["first"]
    assert first["conversion_eventual"] == 1
    assert first[["eventual_low", "eventual_high"]].tolist() == pytest.approx(proportion_confint(deals, deals, method="wilson"))
