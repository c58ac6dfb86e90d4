"""Trusted tables from tiny judged exports: where stage entries come from, and which deals exist."""

import duckdb
import pandas as pd
import pytest

from assets.core.calendar import periods, working_days
from assets.core.trusted import stage_dates_sql
from assets.exports.settings import Configuration
from models.settings import Reporting
from tests.core_frames import COMPANY, at, judged, on, trusted_tables


def deal(name: str, stage: str = "first", status: str = "open", created: int | None = 0, **columns) -> dict:
    """One accepted row of the opportunities export."""
    return {
        "opportunity_id": name,
        "pipeline_key": "sales",
        "stage_key": stage,
        "status": status,
        "created_at": None if created is None else at(created),
        **columns,
    }


def entered(name: str, stage: str, day: float) -> dict:
    """One accepted row of the stage history."""
    return {"opportunity_id": name, "stage_key": stage, "entered_at": at(day)}


def known(tmp_path, opportunities, history=(), as_of=20, export=20, **others):
    exported = {"opportunities": judged("opportunities", list(opportunities)), "stage_history": judged("stage_history", list(history)), **others}
    return {name: table.to_pylist() for name, table in trusted_tables(exported, on(as_of), on(export), tmp_path).items()}


def steps(tables) -> list[tuple]:
    """Stage entries as (deal, stage, day of entry, history)."""
    return [(e["opportunity_id"], e["stage"], (e["entered_at"] - at(0)).days, e["history"]) for e in tables["stage_entries"]]


def test_history_of_the_log_is_observed_and_repeats_are_folded(tmp_path):
    history = [entered("a", "first", 1), entered("a", "first", 3), entered("a", "second", 5)]
    assert steps(known(tmp_path, [deal("a", "second")], history)) == [("a", "first", 1, "observed"), ("a", "second", 5, "observed")]


def test_without_a_log_a_deal_begins_in_the_first_stage_on_the_day_of_creation(tmp_path):
    tables = known(tmp_path, [deal("a", "won", "won", created=2, closed_at=at(9))])
    assert steps(tables) == [("a", "first", 2, "derived"), ("a", "won", 9, "derived")]
    assert [(v["exit_kind"], v["dwell_days"]) for v in tables["stage_visits"]] == [("won", 7.0)]


def test_successive_snapshots_rebuild_the_history(tmp_path):
    """Created on day 2, in the first stage on day 5, in the third on day 12, lost without a date by day 19."""
    versions = [
        deal("a", "first", created=2, _snapshot=on(5), _verdict="superseded"),
        deal("a", "third", created=2, _snapshot=on(12), _verdict="superseded"),
        deal("a", "lost", "lost", created=2, _snapshot=on(19)),
    ]
    assert steps(known(tmp_path, versions)) == [("a", "first", 2, "derived"), ("a", "third", 12, "rebuilt"), ("a", "lost", 19, "rebuilt")]
    assert steps(known(tmp_path, versions, as_of=15)) == [("a", "first", 2, "derived"), ("a", "third", 12, "rebuilt")]


def test_the_first_value_of_a_log_that_tells_it_late_holds_before(tmp_path):
    """Only the closing tells an amount, in two snapshots; the row's own is another by now."""
    history = [entered("a", "first", 2), {**entered("a", "won", 9), "amount_reporting": 90}]
    rows = [deal("a", "won", "won", created=2, amount_reporting=95, _snapshot=on(day)) for day in (12, 15)]
    episodes = known(tmp_path, [{**rows[0], "_verdict": "superseded"}, rows[1]], history)["episodes"]
    assert [(e["valid_from"], e["status"], e["amount"]) for e in episodes] == [(at(2), "open", 90), (at(9), "won", 90)]


def test_a_snapshot_that_says_the_same_begins_no_new_state(tmp_path):
    """One amount in three snapshots, of which the second leaves it out, and another in the fourth."""
    money = ((5, 100), (8, None), (12, 100), (19, 200))
    versions = [deal("a", "first", created=2, amount_reporting=amount, _snapshot=on(day), _verdict="superseded") for day, amount in money]
    versions[-1]["_verdict"] = "accepted"
    episodes = known(tmp_path, versions)["episodes"]
    assert [(e["valid_from"], e["amount"]) for e in episodes] == [(at(2), 100), (at(19), 200)]


def changed(name: str, before: str, after: str, day: float) -> dict:
    """One accepted row of a log of changes."""
    return {**entered(name, after, day), "previous_stage_key": before}


def test_a_log_of_changes_tells_where_a_deal_began(tmp_path):
    history = [changed("a", "second", "third", 9), changed("a", "first", "second", 5)]
    wanted = [("a", "first", 2, "derived"), ("a", "second", 5, "observed"), ("a", "third", 9, "observed")]
    assert steps(known(tmp_path, [deal("a", "third", created=2)], history)) == wanted
    # What a later change left was the stage before it, too.
    assert steps(known(tmp_path, [deal("a", "third", created=2)], history, as_of=4)) == wanted[:1]
    late = [changed("a", "second", "third", 9)]
    assert steps(known(tmp_path, [deal("a", "third", created=2)], late, as_of=4)) == [("a", "second", 2, "derived")]
    # Without a day of creation, or with one after the change, nobody knows since when.
    assert steps(known(tmp_path, [deal("a", "third", created=None)], late)) == [("a", "third", 9, "observed")]


def test_a_log_of_closings_alone_is_silent_about_the_beginning_of_a_deal_that_keeps_its_last_stage(tmp_path):
    kept = known(tmp_path, [deal("a", "second", "won", created=2, closed_at=at(9))], [entered("a", "won", 9)])
    assert steps(kept) == [("a", "first", 2, "derived"), ("a", "second", 9, "rebuilt"), ("a", "won", 9, "observed")]
    # Where closing is a stage the log is that of the stages: the deal was created as closed.
    moved = known(tmp_path, [deal("a", "won", "won", created=2, closed_at=at(9))], [entered("a", "won", 9)])
    assert steps(moved) == [("a", "won", 9, "observed")]


@pytest.mark.parametrize(("stage_entered_at", "expected"), [(None, ("a", "second", 9, "rebuilt")), (at(6), ("a", "second", 6, "derived"))])
def test_a_closed_deal_in_its_last_open_stage_was_there_before_it_closed(tmp_path, stage_entered_at, expected):
    lost = deal("a", "second", "lost", created=2, closed_at=at(9), stage_entered_at=stage_entered_at)
    assert steps(known(tmp_path, [lost])) == [("a", "first", 2, "derived"), expected, ("a", "lost", 9, "derived")]


def test_a_stage_that_the_log_does_not_show_is_dated_by_the_export(tmp_path):
    tables = known(tmp_path, [deal("a", "third")], [entered("a", "first", 1)])
    assert steps(tables) == [("a", "first", 1, "observed"), ("a", "third", 20, "rebuilt")]


def test_closing_of_the_row_ends_an_open_log_and_not_before_its_last_entry(tmp_path):
    tables = known(tmp_path, [deal("a", "won", "won", closed_at=at(5))], [entered("a", "second", 5.5)])
    assert [(e["stage"], e["entered_at"]) for e in tables["stage_entries"]] == [("second", at(5.5)), ("won", at(5.5))]


def test_a_return_after_a_loss_is_reopened(tmp_path):
    history = [entered("a", "second", 1), entered("a", "lost", 4), entered("a", "first", 6)]
    visits = known(tmp_path, [deal("a", "first")], history)["stage_visits"]
    assert [(v["stage"], v["entry_kind"], v["exit_kind"]) for v in visits] == [("second", "new", "lost"), ("first", "reopened", None)]


@pytest.mark.parametrize(("deleted", "there"), [({"is_deleted": True}, False), ({"deleted_at": at(10)}, False), ({"deleted_at": at(30)}, True)])
def test_deleted_deals_leave_all_of_history(tmp_path, deleted, there):
    assert bool(known(tmp_path, [deal("a", **deleted)])["opportunities"]) is there


def test_a_deal_without_any_date_exists_and_has_no_visit(tmp_path):
    tables = known(tmp_path, [deal("a", "second", created=None)])
    assert [(o["stage"], o["stage_entered_at"]) for o in tables["opportunities"]] == [("second", None)]
    assert tables["stage_visits"] == []


def test_a_replay_marks_fields_whose_value_of_then_is_not_known(tmp_path):
    rows = [deal("a", source="web", industry="steel", forecast_category="commit")]
    assert known(tmp_path, rows)["opportunities"][0]["without_history"] is None
    replayed = known(tmp_path, rows, as_of=10)["opportunities"][0]
    assert "industry" in replayed["without_history"].split(",")
    assert "source" not in replayed["without_history"].split(","), "source is declared immutable"
    assert replayed["forecast_category"] is None


def test_every_deal_has_one_member_per_dimension(tmp_path):
    tables = known(tmp_path, [deal("a", source=" web ", owner_id=None)])
    members = {s["dimension"]: s["member"] for s in tables["opportunity_segments"]}
    assert members == {"all": "all", "source": "web", "owner": "unassigned"}
    assert set(COMPANY.segments) | {"all"} == set(members)


def test_the_fiscal_year_is_named_by_the_year_in_which_it_ends():
    rows = periods(on(0), 4, Reporting()).set_index(["period_kind", "period_start"])
    quarter = rows.loc[("quarter", pd.Timestamp("2023-10-01"))]
    assert (quarter["fiscal_year"], quarter["fiscal_quarter"], quarter["period_end"]) == (2024, 3, pd.Timestamp("2023-12-31"))
    assert rows.loc[("week", pd.Timestamp("2024-01-01")), "is_partial"]
    assert rows[rows["is_reported"]].groupby("period_kind").size().to_dict() == {"month": 25, "quarter": 9, "week": 13}


def test_a_working_weekend_counts_and_a_holiday_does_not():
    """China 2026: 14 February (Saturday) is worked, 16 to 23 February are holidays."""
    days = working_days(pd.Timestamp("2026-02-13").date(), pd.Timestamp("2026-02-24").date(), "CN").set_index("day")["is_working"]
    assert days[days].index.day.tolist() == [13, 14, 24]
    assert working_days(on(0), on(6), None)["number"].iloc[-1] == 5


def test_a_loss_between_snapshots_stays_when_the_deal_comes_back(tmp_path):
    """Created and open on day 2, lost on day 8 (seen on day 10), open again on day 15: the loss and the return are history."""
    versions = [
        deal("a", "second", created=2, _snapshot=on(2), _verdict="superseded"),
        deal("a", "lost", "lost", created=2, closed_at=at(8), _snapshot=on(10), _verdict="superseded"),
        deal("a", "second", created=2, _snapshot=on(15)),
    ]
    tables = known(tmp_path, versions)
    assert [(e["stage"], (e["entered_at"] - at(0)).days) for e in tables["stage_entries"]] == [("first", 2), ("second", 2), ("lost", 8), ("second", 15)]
    assert [v["entry_kind"] for v in tables["stage_visits"]] == ["new", "advanced", "reopened"]


def test_a_closing_without_any_date_is_no_closing_on_the_day_of_the_export(tmp_path):
    """a was open in an earlier snapshot, so the next one dates its loss; b is closed in the only export, nobody knows since when."""
    history = [entered("a", "first", 1), entered("b", "first", 1)]
    versions = [
        deal("a", "first", _snapshot=on(5), _verdict="superseded"),
        deal("a", "lost", "lost", _snapshot=on(12)),
        deal("b", "lost", "lost", _snapshot=on(12)),
    ]
    tables = known(tmp_path, versions, history)
    assert steps(tables) == [("a", "first", 1, "observed"), ("a", "lost", 12, "rebuilt")]
    assert {o["opportunity_id"]: (o["status"], o["closed_at"]) for o in tables["opportunities"]} == {"a": ("lost", at(12)), "b": ("lost", None)}


def test_stage_dates_belong_to_their_pipeline():
    company = Configuration.model_validate(
        {
            "name": "Two",
            "pipelines": [{"key": "one", "stages": [{"key": "talk"}]}, {"key": "two", "stages": [{"key": "talk"}]}],
            "exports": {"tables": {"opportunities": {"files": "o.csv", "stage_dates": {"one:talk": "In talk", "two:won": "Won on"}}}},
        }
    )
    rows = [
        {"opportunity_id": "a", "pipeline_key": "one", "stage_date:one:talk": at(1), "stage_date:two:won": at(2)},
        {"opportunity_id": "b", "pipeline_key": "two", "stage_date:two:won": at(3)},
    ]
    exported = judged("opportunities", rows, ("one:talk", "two:won"))
    found = duckdb.sql(stage_dates_sql(company).replace("exported_opportunities", "exported")).fetchall()
    assert exported.num_rows == 2
    assert sorted(found) == [("a", "one:talk", at(1)), ("b", "two:won", at(3))]


def test_a_date_of_the_deal_beside_the_log_does_not_hide_the_exit(tmp_path):
    """The log's row and a "date entered" column tell the same entry: the log's is the one that is marked, with its exit."""
    company = Configuration.model_validate(
        COMPANY.model_dump() | {"exports": {"tables": {"opportunities": {"files": "o.csv", "stage_dates": {"first": "In first"}}}}}
    )
    exported = {
        "opportunities": judged("opportunities", [deal("a", "second") | {"stage_date:first": at(1)}], ("first",)),
        "stage_history": judged("stage_history", [entered("a", "first", 1) | {"exited_at": at(4)}, entered("a", "second", 6)]),
    }
    tables = trusted_tables(exported, on(20), on(20), tmp_path, company)
    assert [(e["stage"], e["history"], e["left_at"]) for e in tables["stage_entries"].to_pylist()] == [
        ("first", "observed", at(4)),
        ("second", "observed", None),
    ]
    assert [v["transition_lag_days"] for v in tables["stage_visits"].to_pylist()] == [None, 2.0]


def test_the_lag_between_leaving_a_stage_and_entering_the_next(tmp_path):
    history = [entered("a", "first", 1) | {"exited_at": at(4)}, entered("a", "second", 6) | {"exited_at": at(9)}, entered("a", "third", 8)]
    visits = known(tmp_path, [deal("a", "third")], history)["stage_visits"]
    assert [v["transition_lag_days"] for v in visits] == [None, 2.0, -1.0]
