"""Renamed, split and merged stages: what an entry counts as, by its day and the as-of date."""

from datetime import date
from itertools import pairwise

import pytest
from pydantic import ValidationError

from models.settings import Pipeline
from models.stage_succession import StageSuccession

BEFORE, CHANGE, AFTER = date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2)


def pipeline(*stages: dict) -> Pipeline:
    return Pipeline.model_validate({"stages": list(stages)})


def part(key: str, *replaced: str, day: date = CHANGE, **settings) -> dict:
    return {"key": key, "replaces": replaced, "valid_from": day, **settings}


SPLIT = pipeline({"key": "lead"}, {"key": "trial"}, part("booked", "trial"), part("held", "trial"), {"key": "offer"})
MERGED = pipeline({"key": "lead"}, {"key": "call"}, {"key": "visit"}, part("talks", "call", "visit"), {"key": "offer"})


def order(stages: Pipeline, as_of: date) -> dict[str, int]:
    return {s.stage.key: s.position for s in StageSuccession(stages, as_of).standing()}


def test_a_split_stage_keeps_what_was_entered_before_and_has_the_place_of_its_last_part():
    assert order(SPLIT, BEFORE) == {"lead": 1, "trial": 2, "offer": 3}
    assert order(SPLIT, CHANGE) == {"lead": 1, "booked": 2, "held": 3, "trial": 3, "offer": 4}
    at_change = StageSuccession(SPLIT, CHANGE)
    assert [at_change.counts_as("trial", day) for day in (BEFORE, CHANGE, AFTER)] == ["trial", "booked", "booked"]
    assert [at_change.counts_as("held", day) for day in (BEFORE, CHANGE)] == ["trial", "held"]
    assert StageSuccession(SPLIT, BEFORE).counts_as("held", BEFORE) == "trial"
    assert {key: at_change.split_from(key) for key in ("lead", "trial", "booked", "held")} == {
        "lead": None,
        "trial": "trial",
        "booked": "trial",
        "held": "trial",
    }


def test_merged_stages_are_one_in_all_of_history_once_they_are_merged():
    assert order(MERGED, BEFORE) == {"lead": 1, "call": 2, "visit": 3, "offer": 4}
    assert order(MERGED, CHANGE) == {"lead": 1, "talks": 2, "offer": 3}
    assert {StageSuccession(MERGED, CHANGE).counts_as(key, BEFORE) for key in ("call", "visit", "talks")} == {"talks"}


def test_a_stage_that_takes_in_another_was_there_before():
    stages = pipeline({"key": "call"}, {"key": "visit", "valid_to": BEFORE}, {"key": "offer", "replaces": ["visit"]})
    assert order(stages, BEFORE) == {"call": 1, "visit": 2, "offer": 3}
    assert order(stages, CHANGE) == {"call": 1, "offer": 2}
    assert [StageSuccession(stages, CHANGE).counts_as(key, BEFORE) for key in ("visit", "offer")] == ["offer", "offer"]


def test_parts_may_be_renamed_or_merged_later_and_a_merged_stage_be_split():
    later = date(2025, 6, 1)
    renamed = pipeline({"key": "trial"}, part("booked", "trial"), part("held", "trial"), part("attended", "held", day=later))
    found = StageSuccession(renamed, later)
    assert [found.counts_as(key, day) for key, day in (("trial", BEFORE), ("held", CHANGE), ("attended", CHANGE), ("attended", BEFORE))] == [
        "trial",
        "attended",
        "attended",
        "trial",
    ]
    assert found.split_from("attended") == "trial"
    joined = pipeline({"key": "trial"}, part("booked", "trial"), part("held", "trial"), part("session", "booked", "held", day=later))
    assert StageSuccession(joined, later).counts_as("trial", BEFORE) == "session"
    split = pipeline({"key": "call"}, {"key": "visit"}, part("talks", "call", "visit"), part("first", "talks", day=later), part("second", "talks", day=later))
    found = StageSuccession(split, later)
    assert [found.counts_as(key, day) for key, day in (("call", BEFORE), ("talks", CHANGE), ("call", later))] == ["talks", "talks", "first"]


def test_stretches_cover_every_day_once():
    for as_of in (BEFORE, CHANGE, AFTER):
        stretches = list(StageSuccession(SPLIT, as_of).stretches())
        for key in ("trial", "held"):
            mine = [s for s in stretches if s.configured == key]
            assert (mine[0].first_day, mine[-1].last_day) == (date(1, 1, 1), date(9999, 12, 31))
            assert all((later.first_day - earlier.last_day).days == 1 for earlier, later in pairwise(mine))


def test_a_new_stage_is_not_skipped_before_it_is_there():
    stages = pipeline({"key": "call"}, {"key": "review", "valid_from": CHANGE}, {"key": "demo", "valid_to": BEFORE}, {"key": "offer"})
    days = {s.stage.key: (s.first_day, s.last_day) for s in StageSuccession(stages, AFTER).standing()}
    assert days == {"call": (None, None), "review": (CHANGE, None), "demo": (None, BEFORE), "offer": (None, None)}


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ([{"key": "a"}, {"key": "b", "replaces": ["a"]}], "valid_from"),
        ([{"key": "a"}, {"key": "b", "replaces": ["x"], "valid_from": CHANGE}], "no stage of the pipeline"),
        ([part("a", "b"), part("b", "a")], "a circle"),
        ([{"key": "a", "valid_to": BEFORE}, part("b", "a", day=AFTER)], "the day after the last day of a"),
        ([{"key": "a", "valid_from": CHANGE, "valid_to": BEFORE}], "not before valid_from"),
        ([{"key": "a"}, part("b", "a"), part("c", "a", day=AFTER)], "begin on one day"),
        ([{"key": "a"}, {"key": "b"}, part("c", "a"), part("d", "a", "b")], "merge in a later change"),
        ([{"key": "a"}, part("b", "a"), part("c", "a"), part("d", "c", day=AFTER), part("e", "c", day=AFTER)], "came out of a split"),
        ([{"key": "a", "spellings": ["x"]}, part("b", "a", spellings=["x"]), part("c", "a", spellings=["x"])], "each spelling belongs to one stage"),
    ],
)
def test_dates_that_do_not_agree_are_refused(stages, says):
    with pytest.raises(ValidationError, match=says):
        pipeline(*stages)


def test_a_part_may_keep_the_spelling_of_the_stage_it_comes_from():
    assert pipeline({"key": "a", "spellings": ["x"]}, part("b", "a"), part("c", "a", spellings=["x"]))
