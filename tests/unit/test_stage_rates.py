"""Stage rates come back from censored histories, shrink as stated and survive thin data."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.deal_history import UNKNOWN_STAGE, day_number, deal_groups, deal_history
from models.landmarks import landmark_counts, month_ends, open_deals
from models.stage_rates import fit_stage_rates
from tests.deal_frames import STAGES, Funnel, draw_deals, won_by_truth

HALF_LIFE_DAYS = 365.0


def _frames(rows: list[tuple]) -> tuple:
    """Core tables of one-stage deals given as (created, closed or None, status)."""
    ids = [f"A{n:03d}" for n in range(len(rows))]
    created, closed, status = (list(column) for column in zip(*rows, strict=True))
    deals = pd.DataFrame({"opportunity_id": ids, "status": status, "created_at": pd.to_datetime(created), "closed_at": pd.to_datetime(closed)})
    deals["stage"] = deals["status"].replace("open", "only")
    exits = deals["status"].where(deals["status"] != "open")
    visits = deals.assign(visit_number=1, stage="only", seen_at=deals["created_at"], exited_at=deals["closed_at"], exit_kind=exits, next_stage=exits)
    visits = visits.assign(is_entry_dated=True, course="whole")
    stages = pd.DataFrame({"stage": ["only", "won", "lost"], "pipeline": "sales", "position": [1, 2, 0], "kind": ["open", "won", "lost"], "last_day": pd.NaT})
    return deals, visits.loc[visits["created_at"].notna()], stages


@pytest.mark.slow
def test_rates_by_horizon_come_back_from_a_known_funnel():
    funnel = Funnel()
    frames = draw_deals(funnel, deals=6000, days=1100, seed=11)
    history = deal_history(*frames.tables)
    rates = fit_stage_rates(landmark_counts(history, 24), history.known_day, HALF_LIFE_DAYS, prior_deals=1e-6)
    won, _ = rates.by(np.array([30, 90, 1500]))
    for column, days in enumerate((30, 90, 1500)):
        assert won[: len(STAGES), column] == pytest.approx(won_by_truth(funnel, days), abs=0.04)
    assert rates.won_ever[: len(STAGES)] == pytest.approx(won_by_truth(funnel, 1500), abs=0.04)


def test_open_deals_do_not_bias_ever():
    # Wins take 100 days, losses 10. Counting closed deals alone, while many are open, would see mostly losses.
    days = pd.date_range("2023-01-01", "2023-12-31", freq="D")
    as_of = pd.Timestamp("2023-12-31")
    rows = []
    for n, created in enumerate(days):
        closing = created + pd.Timedelta(days=100 if n % 2 else 10)
        rows.append((created, closing if closing <= as_of else None, ("won" if n % 2 else "lost") if closing <= as_of else "open"))
    history = deal_history(*_frames(rows), as_of.date())
    rates = fit_stage_rates(landmark_counts(history, 12), history.known_day, HALF_LIFE_DAYS, prior_deals=20)
    assert rates.won_ever[rates.newborn_row] == pytest.approx(0.5, abs=0.03)


def test_a_stage_without_evidence_has_the_base_rate_and_evidence_moves_it_away():
    frames = draw_deals(Funnel(), deals=1500, days=700, seed=3)
    stages = pd.concat([frames.stages, pd.DataFrame({"stage": ["unused"], "pipeline": "sales", "position": [9], "kind": ["open"], "last_day": pd.NaT})])
    history = deal_history(frames.opportunities, frames.stage_visits, stages, frames.as_of)
    counts = landmark_counts(history, 24)
    weak, strong = (fit_stage_rates(counts, history.known_day, HALF_LIFE_DAYS, prior) for prior in (1.0, 1e9))
    unused = history.stages.index("unused")
    assert weak.won_ever[unused] == pytest.approx(weak.won_ever[weak.base_row])
    assert strong.won_ever[:4] == pytest.approx(np.full(4, strong.won_ever[strong.base_row]), abs=1e-6)
    assert weak.won_ever[history.stages.index("last")] > weak.won_ever[weak.base_row] + 0.1


def test_deals_without_dates_are_open_on_the_as_of_day_only():
    rows = [("2023-01-05", "2023-02-10", "won"), ("2023-01-07", None, "open"), (None, None, "open"), (None, None, "lost")]
    history = deal_history(*_frames(rows), date(2023, 3, 31))
    today = open_deals(history, history.known_day)
    assert list(history.opportunity_id[today.deal]) == ["A001", "A002"]
    assert list(today.stage) == [0, 0]
    assert list(today.age_days) == [83, -1]
    earlier = open_deals(history, day_number(date(2023, 1, 31)))
    assert list(history.opportunity_id[earlier.deal]) == ["A000", "A001"]


def test_time_before_the_first_recorded_stage_is_an_unknown_stage():
    deals, visits, stages = _frames([("2023-01-05", "2023-05-10", "won")])
    visits = visits.assign(seen_at=pd.Timestamp("2023-03-01"))
    history = deal_history(deals, visits, stages, date(2023, 6, 30))
    assert open_deals(history, day_number(date(2023, 2, 1))).stage[0] == UNKNOWN_STAGE
    assert open_deals(history, day_number(date(2023, 3, 1))).stage[0] == 0
    assert open_deals(history, day_number(date(2023, 2, 1))).outcome_won[0]


def test_a_visit_of_an_unknown_stage_is_an_error_that_names_it():
    deals, visits, stages = _frames([("2023-01-05", None, "open")])
    with pytest.raises(ValueError, match="'elsewhere'"):
        deal_history(deals, visits.assign(stage="elsewhere"), stages, date(2023, 6, 30))


def test_groups_keep_the_largest_members_apart():
    deals = pd.DataFrame({"opportunity_id": [f"A{n:03d}" for n in range(100)]})
    member = ["big"] * 60 + [f"m{n % 20:02d}" for n in range(40)]
    segments = deals.assign(dimension="source", member=member)
    groups = deal_groups(deals, segments, ("source",))
    assert groups.count == 12
    assert groups.names[groups.deal_group[0]] == "big"
    assert "other" in groups.names


def test_month_ends_count_back_from_a_day():
    assert month_ends(date(2024, 3, 15), 3) == (date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29))
    assert month_ends(date(2024, 2, 29), 1) == (date(2024, 2, 29),)
