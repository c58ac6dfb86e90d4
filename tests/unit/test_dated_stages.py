"""The education funnel, whose stage trial (体验) is split on 1 March into 预约体验, 正式体验 and 时间确认; and mergers."""

from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from assets.exports.judge import stage_spellings
from assets.exports.settings import Configuration
from models.deal_history import deal_history
from quality.tables.core import CORE
from tests.core_frames import COMPANY, at, judged, on, trusted_tables
from tests.metric_frames import computed, conformed, rows

CHANGE = 60
"""Days from 1 January 2024 to 1 March 2024."""


def company_of(*stages: dict) -> Configuration:
    settings = COMPANY.model_dump()
    settings["pipelines"] = [{"key": "sales", "stages": list(stages)}]
    return Configuration.model_validate(settings)


def new(key: str, *replaced: str, **settings) -> dict:
    return {"key": key, "replaces": replaced, "valid_from": on(CHANGE), **settings}


EDUCATION = company_of(
    {"key": "lead", "spellings": ["潜在客户"]},
    {"key": "consultation", "spellings": ["咨询"]},
    {"key": "trial", "spellings": ["体验"]},
    new("trial_booked", "trial", spellings=["预约体验"]),
    new("trial_held", "trial", spellings=["正式体验", "体验"]),
    new("time_confirmed", "trial", spellings=["时间确认"]),
)
TALKS = company_of({"key": "call"}, {"key": "visit"}, new("talks", "call", "visit"), {"key": "offer"})


def known(tmp_path, company: Configuration, courses: dict[str, list[tuple]], as_of: int, exported_on: int = 100, **rows) -> dict[str, pa.Table]:
    """Trusted tables of deals given as [(stage name, day of entry), …]; each is created with its first entry."""
    history, deals = [], []
    for name, course in courses.items():
        happened = [(stage, day) for stage, day in course if day <= exported_on]
        history += [{"opportunity_id": name, "stage_key": stage, "entered_at": at(day)} for stage, day in happened]
        stage, day = happened[-1]
        status = stage if stage in ("won", "lost") else "open"
        closed = None if status == "open" else at(day)
        row = {"opportunity_id": name, "pipeline_key": "sales", "stage_key": stage, "status": status, "created_at": at(happened[0][1]), "closed_at": closed}
        deals.append(row | rows.get(name, {}))
    exported = {"opportunities": judged("opportunities", deals), "stage_history": judged("stage_history", history)}
    return trusted_tables(exported, on(as_of), on(exported_on), tmp_path, company)


def visits(tables: dict[str, pa.Table]) -> list[tuple]:
    """Visits as (stage, day of entry, day of exit or None, how it left)."""
    found = tables["stage_visits"].to_pylist()
    return [(v["stage"], (v["entered_at"] - at(0)).days, v["exited_at"] and (v["exited_at"] - at(0)).days, v["exit_kind"]) for v in found]


STRADDLING = {"d": [("consultation", 40), ("trial", 50), ("trial_booked", CHANGE), ("trial_held", 70), ("won", 80)]}


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (CHANGE - 1, [("consultation", 40, 50, "advanced"), ("trial", 50, None, None)]),
        (CHANGE, [("consultation", 40, 50, "advanced"), ("trial", 50, None, None)]),
        (CHANGE + 12, [("consultation", 40, 50, "advanced"), ("trial", 50, None, None)]),
        (90, [("consultation", 40, 50, "advanced"), ("trial", 50, 80, "won")]),
    ],
)
def test_being_sorted_into_a_part_is_no_movement(tmp_path, as_of, expected):
    assert visits(known(tmp_path, EDUCATION, STRADDLING, as_of)) == expected


def test_what_is_entered_after_the_change_is_in_the_parts(tmp_path):
    course = [("consultation", 55), ("trial_booked", CHANGE), ("trial_held", 65), ("time_confirmed", 70), ("won", 75)]
    assert visits(known(tmp_path, EDUCATION, {"d": course}, 90)) == [
        ("consultation", 55, 60, "advanced"),
        ("trial_booked", 60, 65, "advanced"),
        ("trial_held", 65, 70, "advanced"),
        ("time_confirmed", 70, 75, "won"),
    ]


def test_names_stand_for_the_stage_of_the_day(tmp_path):
    """The old name after the change is the first part; a new name before it is the old stage."""
    courses = {"late": [("consultation", 61), ("trial", 65)], "early": [("trial_held", CHANGE - 0.5), ("lost", 70)]}
    assert visits(known(tmp_path, EDUCATION, courses, 90)) == [
        ("trial", 59, 70, "lost"),
        ("consultation", 61, 65, "advanced"),
        ("trial_booked", 65, None, None),
    ]


def test_a_deal_that_left_comes_back_into_a_part(tmp_path):
    course = [("trial", 50), ("consultation", 62), ("trial_held", 66), ("time_confirmed", 70)]
    assert visits(known(tmp_path, EDUCATION, {"d": course}, 90)) == [
        ("trial", 50, 62, "regressed"),
        ("consultation", 62, 66, "advanced"),
        ("trial_held", 66, 70, "advanced"),
        ("time_confirmed", 70, None, None),
    ]


def test_a_snapshot_that_shows_the_part_is_no_movement_either(tmp_path):
    """The log has nothing after the old stage; the row of today says the second part."""
    tables = known(tmp_path, EDUCATION, {"d": [("consultation", 40), ("trial", 50)]}, 90, exported_on=90, d={"stage_key": "trial_held"})
    assert visits(tables) == [("consultation", 40, 50, "advanced"), ("trial", 50, None, None)]
    assert tables["opportunities"]["stage"].to_pylist() == ["trial"]


def test_a_shared_spelling_stands_for_the_newer_stage():
    found = stage_spellings(EDUCATION).set_index("spelling")["stage"]
    assert (found["体验"], found["预约体验"], found["trial"]) == ("trial_held", "trial_booked", "trial")


COURSES = {
    "straddling": STRADDLING["d"],
    "left behind": [("consultation", 45), ("trial", 52), ("lost", 75)],
    "new": [("consultation", 62), ("trial_booked", 65), ("trial_held", 70), ("time_confirmed", 74), ("won", 80)],
    "skipped before": [("consultation", 5), ("won", 20)],
    "skipped after": [("consultation", 63), ("won", 85)],
}


def metrics(tmp_path, as_of: int, courses: dict[str, list[tuple]] = COURSES) -> dict[str, pd.DataFrame]:
    tables = known(tmp_path, EDUCATION, courses, as_of)
    return computed({name: conformed(table.to_pandas(), CORE.tables[name]) for name, table in tables.items() if name in CORE.tables}, tmp_path)


def test_conversion_sees_neither_the_parts_before_the_change_nor_the_old_stage_after_it(tmp_path):
    found = metrics(tmp_path, 90)["stage_conversion"]
    january, february, march = (rows(found, "month", f"2024-0{month}-01") for month in (1, 2, 3))
    assert january["conversion_filled"].to_dict() == {"consultation": 1.0, "lead": 1.0, "trial": 1.0}
    assert february.loc["trial", ["entered", "conversion_observed", "conversion_filled"]].tolist() == [2, 0.5, 0.5]
    assert not {"trial_booked", "trial_held", "time_confirmed"} & {*january.index, *february.index}
    assert "trial" not in march.index
    assert march["entered"].to_dict() == {"consultation": 2, "lead": 0, "time_confirmed": 1, "trial_booked": 1, "trial_held": 1}
    assert set(march["conversion_filled"]) == {1.0}


def test_the_old_stage_empties_by_what_happens_and_not_on_the_day_of_the_change(tmp_path):
    flow = metrics(tmp_path, 90)["funnel_flow"]
    moved = ["opening", "entered_advanced", "advanced", "won", "lost", "closing"]
    assert rows(flow, "month", "2024-02-01").loc["trial", moved].tolist() == [0, 2, 0, 0, 0, 2]
    assert rows(flow, "month", "2024-03-01").loc["trial", moved].tolist() == [2, 0, 0, 1, 1, 0]
    assert rows(flow, "month", "2024-03-01").loc["trial_booked", moved].tolist() == [0, 1, 1, 0, 0, 0]


def test_dwell_of_the_old_stage_goes_on_to_its_end(tmp_path):
    dwell = rows(metrics(tmp_path, 90)["stage_dwell"], "month", "2024-02-01")
    assert dwell.loc["trial", ["visits", "min_days", "max_days"]].tolist() == [2, 23, 30]


def test_nothing_is_expected_to_move_into_a_stage_that_there_is_no_more(tmp_path):
    tables = {name: table.to_pandas() for name, table in known(tmp_path, EDUCATION, COURSES, 90).items()}
    history = deal_history(tables["opportunities"], tables["stage_visits"], tables["stages"], on(90))
    assert history.stages == ("lead", "consultation", "trial_booked", "trial_held", "time_confirmed", "trial")
    assert history.pipeline.tolist() == [0, 0, 0, 0, 0, 1]


def test_merged_stages_are_one_stay(tmp_path):
    courses = {"d": [("call", 10), ("visit", 20), ("offer", 30)], "across": [("visit", 50), ("talks", CHANGE), ("won", 70)]}
    assert visits(known(tmp_path, TALKS, courses, CHANGE - 1)) == [
        ("visit", 50, None, None),
        ("call", 10, 20, "advanced"),
        ("visit", 20, 30, "advanced"),
        ("offer", 30, None, None),
    ]
    assert visits(known(tmp_path, TALKS, courses, CHANGE)) == [("talks", 50, None, None), ("talks", 10, 30, "advanced"), ("offer", 30, None, None)]
    assert visits(known(tmp_path, TALKS, courses, 90))[0] == ("talks", 50, 70, "won")


def test_the_change_is_on_a_day():
    assert on(CHANGE) == date(2024, 3, 1)
