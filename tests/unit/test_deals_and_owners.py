"""Deals that were merged or vanish, owners who change teams, and edits of many deals at once."""

import pandas as pd
import pytest

from assets.query import Query, sql_beside
from assets.reports import lists
from assets.reports.skipped import skipped
from pipelines.engine.duckdb import DuckDB
from tests.core_frames import COMPANY, at, judged, on, trusted_tables
from tests.unit.test_judging import OPPORTUNITIES, reasons
from tests.unit.test_skipped import NOTHING

OWNERS = "owner_id,team,valid_from,valid_to\n"


def deal(name: str, status: str = "open", created: int = 0, **columns) -> dict:
    stage = "first" if status == "open" else status
    return {"opportunity_id": name, "pipeline_key": "sales", "stage_key": stage, "status": status, "created_at": at(created), **columns}


def known(tmp_path, deals, as_of=20, export=20, company=COMPANY, **others):
    exported = {"opportunities": judged("opportunities", list(deals)), **{name: judged(name, rows) for name, rows in others.items()}}
    return trusted_tables(exported, on(as_of), on(export), tmp_path, company)


def ids(tables) -> list[str]:
    return tables["opportunities"]["opportunity_id"].to_pylist()


def test_a_merged_deal_leaves_all_of_history_and_one_merged_into_itself_does_not(tmp_path):
    deals = [deal("kept"), deal("gone", merged_into="kept"), deal("itself", merged_into="itself"), deal("later", merged_into="kept", deleted_at=at(15))]
    assert ids(known(tmp_path, deals)) == ["itself", "kept"]
    assert ids(known(tmp_path, deals, as_of=10)) == ["itself", "kept", "later"], "a merger that has a date is known from that day on"


def test_a_merger_into_nothing_known_is_a_finding(tmp_path):
    header = "opportunity_id,account_id,owner_id,stage,created_at,closed_at,merged_into\n"
    rows = "a,K,eva,talk,2025-01-01,,b\nb,K,eva,talk,2025-01-01,,\nc,K,eva,talk,2025-01-01,,c\nd,K,eva,talk,2025-01-01,,x\n"
    assert reasons(tmp_path, "opportunities", {"opportunities": header + rows}) == {4: ("merged_into_unknown",), 5: ("merged_into_unknown",)}


SNAPSHOTS = [
    deal("stays", _snapshot=on(5), _verdict="superseded"),
    deal("stays", _snapshot=on(12)),
    deal("vanishes", _snapshot=on(5)),
    deal("closed", "won", closed_at=at(3), _snapshot=on(5)),
    deal("rejected", _snapshot=on(5), _is_stale=True),
    deal("rejected", _snapshot=on(12), _verdict="rejected"),
]


@pytest.mark.parametrize(("vanished", "as_of", "there"), [("open", 20, True), ("deleted", 20, False), ("deleted", 11, True)])
def test_open_deals_that_the_newest_export_lacks(tmp_path, vanished, as_of, there):
    """Closed deals stay, so does one whose newest row is rejected; before the export that lacks it nobody knows."""
    company = COMPANY.model_copy(update={"vanished": vanished})
    tables = known(tmp_path, SNAPSHOTS, as_of=as_of, company=company)
    assert ids(tables) == ["closed", "rejected", "stays", *["vanishes"] * there]
    marked = [o["opportunity_id"] for o in tables["opportunities"].to_pylist() if o["is_vanished"]]
    assert marked == (["vanishes"] if there and as_of == 20 else [])
    said = [s["what"] for s in _skipped(tables, tmp_path, company, as_of)]
    expected = {"open": "what became of 1 open opportunities", "deleted": "1 opportunities that were open"}[vanished]
    assert (expected in said) is (as_of == 20)


def test_deals_that_were_deleted_or_merged_are_not_counted_as_vanished(tmp_path):
    """They left history by themselves: of three that the newest export lacks the setting takes out one."""
    gone = [deal("deleted", is_deleted=True, _snapshot=on(5)), deal("merged", merged_into="stays", _snapshot=on(5))]
    company = COMPANY.model_copy(update={"vanished": "deleted"})
    tables = known(tmp_path, [*SNAPSHOTS, *gone], as_of=20, company=company)
    assert ids(tables) == ["closed", "rejected", "stays"]
    assert "1 opportunities that were open" in [s["what"] for s in _skipped(tables, tmp_path, company, 20)]


def _skipped(tables, tmp_path, company, as_of) -> list[dict]:
    return skipped(company, [], on(as_of), on(as_of), {**tables, "forecast_changes": NOTHING["forecast_changes"]}, DuckDB(tmp_path))


def test_a_history_that_begins_late_is_said_with_its_day_and_numbers(tmp_path):
    deals = [deal("old"), deal("older"), deal("young", created=50), deal("unlogged", created=60)]
    history = [{"opportunity_id": name, "stage_key": "first", "entered_at": at(day)} for name, day in (("old", 40), ("older", 41), ("young", 50))]
    said = {(s["what"], s["why"]) for s in _skipped(known(tmp_path, deals, 80, 80, stage_history=history), tmp_path, COMPANY, 80)}
    begins = "conversion and dwell of stays that were under way when the stage history began"
    assert (begins, "it begins 2024-02-10; 2 of 4 opportunities are older") in said
    assert ("conversion and dwell of 1 of 4 opportunities", "no stage history or earlier export holds their stages") in said


def test_a_deal_that_closed_before_the_history_began_does_not_say_when_it_began(tmp_path):
    """A log of changes begins on day 40; before, one deal was lost in its first stage, and nothing of it is logged."""
    deals = [deal(f"m{n}", stage_key="second") for n in range(4)] + [deal("early", "lost", stage_key="first", closed_at=at(10))]
    history = [
        {"opportunity_id": f"m{n}", "previous_stage": "first", "previous_stage_key": "first", "stage_key": "second", "entered_at": at(40 + n)} for n in range(4)
    ]
    tables = known(tmp_path, deals, 80, 80, stage_history=history)
    seen = tables["stage_visits"].to_pandas().set_index("opportunity_id")["seen_at"]
    assert seen["early"] == at(10)
    assert "it begins 2024-02-10" in " ".join(s["why"] for s in _skipped(tables, tmp_path, COMPANY, 80))


TEAMS = [
    {"owner_id": "eva", "team": "North", "valid_to": on(9)},
    {"owner_id": "eva", "team": "South", "valid_from": on(10)},
    {"owner_id": "max", "team": "East", "valid_from": on(0), "valid_to": on(30)},
    {"owner_id": "max", "team": "West", "valid_from": on(12)},
    {"owner_id": "ida", "team": "North", "valid_from": on(0), "valid_to": on(5)},
    {"owner_id": "ida", "team": "South", "valid_from": on(15)},
]


@pytest.mark.parametrize(
    ("as_of", "teams"),
    [
        (9, {"eva": "North", "ida": None, "max": "East"}),
        (10, {"eva": "South", "ida": None, "max": "East"}),
        (20, {"eva": "South", "ida": "South", "max": "West"}),
    ],
)
def test_a_team_is_that_of_the_day_and_nothing_doubles(tmp_path, as_of, teams):
    deals = [deal(owner, owner_id=owner) for owner in ("eva", "ida", "max")]
    tables = known(tmp_path, deals, as_of=as_of, owners=TEAMS)
    assert {o["opportunity_id"]: o["team"] for o in tables["opportunities"].to_pylist()} == teams
    assert tables["opportunities"].num_rows == tables["stage_visits"].num_rows == 3


def test_a_visit_has_the_team_of_the_day_on_which_it_ended(tmp_path):
    history = [{"opportunity_id": "a", "stage_key": stage, "entered_at": at(day)} for stage, day in (("first", 0), ("second", 9.9), ("third", 10))]
    tables = known(tmp_path, [deal("a", owner_id="eva", stage_key="third")], owners=TEAMS, stage_history=history)
    assert tables["stage_visits"].sort_by("visit_number")["team"].to_pylist() == ["North", "South", "South"]


def test_periods_that_overlap_or_leave_a_gap_are_findings(tmp_path):
    rows = (
        "eva,North,,2025-02-28\neva,South,2025-03-01,\n"
        "max,East,2025-01-01,2025-03-31\nmax,West,2025-03-15,\n"
        "ida,North,2025-01-01,2025-01-31\nida,South,2025-03-01,\n"
        "tom,North,2025-03-01,2025-02-01\n"
    )
    found = reasons(tmp_path, "owners", {"opportunities": OPPORTUNITIES + "a,K,eva,talk,2025-01-01,\n", "owners": OWNERS + rows})
    assert found == {5: ("overlapping_team_periods",), 7: ("team_period_gap",), 8: ("team_period_ends_before_it_begins",)}


def edited(count: int, alone: int = 40, minute: float = 15.5) -> list[dict]:
    """``count`` open deals of day 0 last changed in one minute, and ``alone`` others at minutes of their own."""
    together = [deal(f"m{n}", updated_at=at(minute)) for n in range(count)]
    return together + [deal(f"s{n}", updated_at=at(15 + n / 1440)) for n in range(alone)]


@pytest.mark.parametrize(("count", "alone", "minute", "is_bulk"), [(51, 40, 15.5, True), (50, 40, 15.5, False), (60, 1300, 15.5, False), (51, 40, 15, False)])
def test_an_edit_of_many_deals_is_recognised(tmp_path, count, alone, minute, is_bulk):
    """More than 50, and more than 5 % of the open deals; a midnight is a day without a time."""
    tables = known(tmp_path, edited(count, alone, minute))
    found = tables["opportunities"].to_pandas().set_index("opportunity_id")
    assert found.loc["m0", "is_bulk_edited"] == is_bulk
    assert not found.loc["s0", "is_bulk_edited"] or minute == 15
    assert found.loc["m0", "updated_at"] == (at(0) if is_bulk else at(minute))
    assert any(s["what"].startswith("the last change of") for s in _skipped(tables, tmp_path, COMPANY, 20)) == is_bulk


def test_days_without_a_time_are_no_part_of_an_edit_just_after_midnight(tmp_path):
    """60 deals were changed on day 15, nobody knows when; one at half a minute past midnight of it."""
    tables = known(tmp_path, [*edited(60, 0, 15), deal("late", updated_at=at(15 + 0.5 / 1440))])
    found = tables["opportunities"].to_pandas().set_index("opportunity_id")
    assert not found["is_bulk_edited"].any()
    assert found.loc["m0", "updated_at"] == at(15)


def test_the_last_sign_of_life_but_an_edit_of_all_decides_who_is_asleep(tmp_path):
    """Nothing but the edit since day 0 but for m1, whose amount somebody changed on day 45, and m2, who was called."""
    change = [{"opportunity_id": "m1", "field": "amount", "changed_at": at(45.25)}]
    calls = [{"activity_id": "1", "opportunity_id": "m2", "happened_at": at(44)}]
    tables = known(tmp_path, edited(60, 0, 48.5), 50, 50, field_history=change, activities=calls)
    found = tables["opportunities"].to_pandas().set_index("opportunity_id")
    assert found.loc[["m0", "m1", "m2"], "updated_at"].tolist() == [at(0), at(45.25), at(0)]
    assert found.loc[["m0", "m1", "m2"], "last_sign_at"].tolist() == [at(0), at(45.25), at(44)]
    inputs = {name: tables[name] for name in ("opportunities", "stage_visits", "stages", "parameters")} | {"playbook": lists.playbook("en")}
    raised = DuckDB(tmp_path).arrow(Query(sql_beside(lists.__file__, "risk_list"), inputs)).to_pandas()
    signals = raised.groupby("opportunity_id")["signal"].agg(set)
    assert signals["m0"] == {"zombie", "not_updated_7d"}
    assert signals.get("m1", set()) == set()
    assert signals["m2"] == {"not_updated_7d"}


def test_an_edit_of_many_deals_is_a_finding_of_each(tmp_path):
    header = "opportunity_id,stage,owner_id,created_at,updated_at\n"
    rows = "".join(f"m{n},talk,eva,2025-01-01,2025-06-01 03:00:{n % 60:02d}\n" for n in range(60)) + "s,talk,eva,2025-01-01,2025-06-01 04:00\n"
    found = reasons(tmp_path, "opportunities", {"opportunities": header + rows})
    assert found == {line: ("updated_in_bulk",) for line in range(2, 62)}


def test_a_blank_in_a_newer_snapshot_keeps_the_value_before(tmp_path):
    versions = [deal("a", amount_reporting=900, _snapshot=on(5), _verdict="superseded"), deal("a", _snapshot=on(12))]
    assert {float(e["amount"]) for e in known(tmp_path, versions)["episodes"].to_pylist()} == {900.0}
    assert pd.isna(known(tmp_path, [deal("b")])["episodes"].to_pylist()[0]["amount"])
