"""Whatever deals do, splitting a stage moves none of them, and a replay from before the split knows nothing of it."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core_frames import COMPANY, at, judged, on, trusted_tables

CHANGE, END = 50, 100
SORTED_AT = CHANGE + 0.5
PARTS = ("second_a", "second_b")
SPLIT = COMPANY.model_validate(
    COMPANY.model_dump()
    | {
        "pipelines": [
            {
                "key": "sales",
                "stages": [
                    {"key": "first"},
                    {"key": "second"},
                    *({"key": key, "replaces": ["second"], "valid_from": on(CHANGE)} for key in PARTS),
                    {"key": "third"},
                ],
            }
        ]
    }
)


@st.composite
def courses(draw):
    """What a deal truly does: stages by day, in the names of the day; an outcome; and the part it is sorted into at the change."""
    days = sorted(draw(st.lists(st.integers(0, END), min_size=1, max_size=5, unique=True)))
    stages = [draw(st.sampled_from(("first", "third", *(("second",) if day < CHANGE else PARTS)))) for day in days]
    closed = draw(st.none() | st.integers(days[-1] + 1, END + 1))
    return {"entries": list(zip(days, stages)), "closed": closed, "outcome": draw(st.sampled_from(("won", "lost"))), "part": draw(st.sampled_from(PARTS))}


def export_of(day: int, deals: list[dict]) -> dict:
    """An export at the end of ``day``: a deal that is in the old stage at the change is sorted into a part, and the log shows it."""
    rows, history = [], []
    for number, course in enumerate(deals):
        entries = [e for e in course["entries"] if e[0] <= day]
        if not entries:
            continue
        closed = course["closed"] if course["closed"] is not None and course["closed"] <= day else None
        at_change = [e for e in entries if e[0] <= CHANGE]
        if at_change and at_change[-1][1] == "second" and day >= CHANGE and not (closed is not None and closed <= CHANGE):
            entries = sorted([*entries, (SORTED_AT, course["part"])])
        logged = entries + ([(closed, course["outcome"])] if closed is not None else [])
        created, status = at(entries[0][0]), "open" if closed is None else course["outcome"]
        row = {"opportunity_id": str(number), "pipeline_key": "sales", "stage_key": logged[-1][1], "status": status, "created_at": created}
        rows.append(row | {"closed_at": None if closed is None else at(closed)})
        history += [{"opportunity_id": str(number), "stage_key": stage, "entered_at": at(d)} for d, stage in logged]
    return {"opportunities": judged("opportunities", rows), "stage_history": judged("stage_history", history)}


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(deals=st.lists(courses(), min_size=1, max_size=5), day=st.integers(0, END))
def test_nobody_moves_at_the_change_and_replays_are_what_was_known(deals, day):
    with tempfile.TemporaryDirectory() as spill:
        then = trusted_tables(export_of(day, deals), on(day), on(day), Path(spill), SPLIT)
        replayed = trusted_tables(export_of(END + 1, deals), on(day), on(END + 1), Path(spill), SPLIT)
        last = trusted_tables(export_of(END + 1, deals), on(END + 1), on(END + 1), Path(spill), SPLIT)
    for name in ("stages", "stage_entries", "episodes", "stage_visits"):
        assert replayed[name].to_pylist() == then[name].to_pylist(), name
    for tables in (then, last):
        visits = tables["stage_visits"].to_pylist()
        assert not [v for v in visits if at(SORTED_AT) in (v["entered_at"], v["exited_at"])]
        assert not [v for v in visits if v["stage"] in PARTS and v["entered_at"] < at(CHANGE)]
        assert not [v for v in visits if v["stage"] == "second" and v["entered_at"] >= at(CHANGE)]
        assert not [v for v in visits if v["stage"] == v["next_stage"] or (v["stage"] == "second" and v["next_stage"] in PARTS)]
