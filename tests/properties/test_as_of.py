"""What was known at a date is the same whether computed then or replayed later from an export that knows more."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.core.records import RECORDS
from tests.core_frames import at, judged, on, trusted_tables

END = 100
STAGES = ("first", "second", "third")
COMPARED = ("stage_entries", "episodes", "stage_visits", "opportunity_segments")
STATE = ("opportunity_id", "status", "stage", "stage_entered_at", "owner_id", "amount", "created_at", "closed_at", "expected_close_date", "source")


@st.composite
def deals(draw):
    """A deal's true course: creation, stage entries, changes of amount, close date and owner, perhaps an outcome."""
    created = draw(st.integers(0, 60))
    entered = sorted(draw(st.lists(st.integers(created, END), min_size=1, max_size=4, unique=True)))
    entered[0] = created
    stages = draw(st.lists(st.sampled_from(STAGES), min_size=len(entered), max_size=len(entered)))
    changes = sorted(draw(st.lists(st.integers(created + 1, END), max_size=3, unique=True)))
    fields = draw(st.lists(st.sampled_from(("amount", "expected_close_date", "owner_id")), min_size=len(changes), max_size=len(changes)))
    closed = draw(st.none() | st.integers(max(entered[-1], created) + 1, END + 1))
    return {
        "entries": list(zip(entered, stages)),
        "changes": [(day, field, number) for number, (day, field) in enumerate(zip(changes, fields), start=1) if closed is None or day < closed],
        "closed": closed,
        "outcome": draw(st.sampled_from(("won", "lost"))),
    }


def _value(field: str, number: int):
    return {"amount": 1000 + 100 * number, "expected_close_date": on(120 + number), "owner_id": f"owner {number}"}[field]


def export_of(day: int, courses: list[dict]) -> dict:
    """A truthful export at the end of ``day``: present rows, the log of stages, the log of fields."""
    opportunities, history, fields = [], [], [{"opportunity_id": "another", "field": "expected_close_date", "changed_at": at(0)}]
    for number, course in enumerate(courses):
        name = str(number)
        entries = [(d, s) for d, s in course["entries"] if d <= day]
        if not entries:
            continue
        closed = course["closed"] if course["closed"] is not None and course["closed"] <= day else None
        current = {field: _value(field, 0) for field in ("amount", "expected_close_date", "owner_id")}
        for changed, field, value in course["changes"]:
            if changed > day:
                continue
            old, current[field] = current[field], _value(field, value)
            change = {"opportunity_id": name, "field": field, "changed_at": at(changed)}
            typed = {"amount": ("old_amount", "new_amount"), "expected_close_date": ("old_date", "new_date")}.get(field, ("old_value", "new_value"))
            fields.append({**change, typed[0]: old, typed[1]: current[field]})
        status = "open" if closed is None else course["outcome"]
        stage = entries[-1][1] if closed is None else course["outcome"]
        opportunities.append(
            {
                "opportunity_id": name, "pipeline_key": "sales", "stage_key": stage, "status": status, "created_at": at(entries[0][0]),
                "closed_at": None if closed is None else at(closed), "owner_id": current["owner_id"], "amount_reporting": current["amount"],
                "expected_close_date": current["expected_close_date"], "source": f"source {number % 2}",
            }
        )  # fmt: skip
        logged = entries + ([(closed, course["outcome"])] if closed is not None else [])
        history += [{"opportunity_id": name, "stage_key": s, "stage_kind": "open" if s in STAGES else s, "entered_at": at(d)} for d, s in logged]
    return {
        "opportunities": judged("opportunities", opportunities),
        "stage_history": judged("stage_history", history),
        "field_history": judged("field_history", fields),
    }


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(courses=st.lists(deals(), min_size=1, max_size=4), day=st.integers(0, END))
def test_a_replay_equals_what_was_computed_at_the_time(courses, day):
    with tempfile.TemporaryDirectory() as spill:
        then = trusted_tables(export_of(day, courses), on(day), on(day), Path(spill))
        replayed = trusted_tables(export_of(END + 1, courses), on(day), on(END + 1), Path(spill))
    for name in COMPARED:
        assert replayed[name].to_pylist() == then[name].to_pylist(), name
    assert replayed["opportunities"].select(STATE).to_pylist() == then["opportunities"].select(STATE).to_pylist()


@pytest.mark.parametrize("day", [5, 30])
def test_a_fact_counts_to_the_end_of_its_day_and_not_before(day):
    course = {"entries": [(0, "first"), (day, "second")], "changes": [], "closed": None, "outcome": "won"}
    with tempfile.TemporaryDirectory() as spill:
        before = trusted_tables(export_of(END, [course]), on(day - 1), on(END), Path(spill))["opportunities"].to_pylist()
        after = trusted_tables(export_of(END, [course]), on(day), on(END), Path(spill))["opportunities"].to_pylist()
    assert [row["stage"] for row in before] == ["first"]
    assert [row["stage"] for row in after] == ["second"]


@st.composite
def records(draw):
    """Days of what happens to one deal's lead, payment, calls and touches; a lead is assigned and touched after its capture."""
    captured, assigned, touched, paid, called, happened, contacted, surveyed = draw(st.lists(st.integers(0, END), min_size=8, max_size=8))
    return {
        "captured": captured, "assigned": captured + assigned, "touched": captured + assigned + touched, "paid": paid, "called": called,
        "happened": happened, "contacted": contacted, "surveyed": surveyed, "phone": draw(st.sampled_from(("13812345678", "13912345678", None))),
    }  # fmt: skip


def records_of(day: int, facts: list[dict]) -> dict:
    """A truthful export at the end of ``day`` of one deal and of what was done by then."""

    def by(name: str, number: int):
        return at(facts[number][name]) if facts[number][name] <= day else None

    numbers = range(len(facts))
    rows = {
        "opportunities": [{"opportunity_id": "0", "pipeline_key": "sales", "stage_key": "first", "status": "open", "created_at": at(0), "account_id": "k"}],
        "leads": [
            {"lead_id": str(n), "captured_at": by("captured", n), "assigned_at": by("assigned", n), "first_touch_at": by("touched", n), "phone": facts[n]["phone"]}
            for n in numbers if by("captured", n) is not None
        ],
        "contact_roles": [{"opportunity_id": "0", "contact_id": f"c{n}", "first_contacted_at": by("contacted", n)} for n in numbers if by("contacted", n) is not None],
        "activities": [{"activity_id": str(n), "opportunity_id": "0", "happened_at": by("happened", n)} for n in numbers if by("happened", n) is not None],
        "forecast_calls": [
            {"period_start": on(0), "dimension": "all", "member": "all", "category": "commit", "called_at": by("called", n), "amount": n}
            for n in numbers if by("called", n) is not None
        ],
        "payments": [{"opportunity_id": "0", "kind": f"part {n}", "due_at": on(50), "paid_at": by("paid", n), "amount_reporting": n} for n in numbers],
        "satisfaction": [{"account_id": "k", "surveyed_at": by("surveyed", n), "score": 1.0} for n in numbers if by("surveyed", n) is not None],
    }  # fmt: skip
    return {name: judged(name, made) for name, made in rows.items()}


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(facts=st.lists(records(), min_size=1, max_size=4, unique_by=(lambda f: f["called"], lambda f: f["surveyed"])), day=st.integers(0, END))
def test_records_as_of_a_day_are_what_was_known_of_them_then(facts, day):
    with tempfile.TemporaryDirectory() as spill:
        then = trusted_tables(records_of(day, facts), on(day), on(day), Path(spill))
        replayed = trusted_tables(records_of(3 * END, facts), on(day), on(3 * END), Path(spill))
    for name in RECORDS:
        columns = [c for c in then[name].column_names if c not in ("is_known", "status")]
        assert replayed[name].select(columns).to_pylist() == then[name].select(columns).to_pylist(), name
