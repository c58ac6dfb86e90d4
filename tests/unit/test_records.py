"""Trusted records beside the deals: what is known of them as of a date, joined to the deals that exist then, without a name."""

from decimal import Decimal

import pyarrow as pa
import pytest

from assets.core.records import RECORDS, records_without_export, spellings, target_rows
from assets.exports.settings import Configuration
from models.settings import Target
from pipelines.engine.duckdb import DuckDB
from quality.checks import conformity_sql
from quality.query import Query
from quality.tables import CORE_TABLES
from quality.tables.columns import arrow_type
from tests.core_frames import COMPANY, at, judged, on, trusted_tables

DEALS = [
    {"opportunity_id": name, "pipeline_key": "sales", "stage_key": "first", "status": "open", "created_at": at(day), "account_id": f"account {name}"}
    for name, day in (("a", 0), ("b", 5), ("late", 15))
]


def known(tmp_path, as_of: int = 20, export: int = 20, company: Configuration = COMPANY, deals: list = DEALS, **exported: list[dict]) -> dict[str, list[dict]]:
    tables = {"opportunities": judged("opportunities", deals), **{name: judged(name, rows) for name, rows in exported.items()}}
    found = trusted_tables(tables, on(as_of), on(export), tmp_path, company)
    return {name: found[name].to_pylist() for name in RECORDS}


def of(rows: list[dict], *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in rows]


def test_a_lead_names_its_opportunity_or_is_named_by_it(tmp_path):
    leads = [
        {"lead_id": "1", "captured_at": at(0), "converted_opportunity_id": "a"},
        {"lead_id": "2", "captured_at": at(1), "converted_opportunity_id": "deleted"},
        {"lead_id": "3", "captured_at": at(2)},
        {"lead_id": "4", "captured_at": at(3), "converted_opportunity_id": "late"},
    ]
    deals = [{**DEALS[0]}, {**DEALS[1], "lead_id": "3"}, DEALS[2]]
    wanted = [("1", "a"), ("2", None), ("3", "b")]
    assert of(known(tmp_path, leads=leads, deals=deals)["leads"], "lead_id", "converted_opportunity_id") == [*wanted, ("4", "late")]
    assert of(known(tmp_path, as_of=10, leads=leads, deals=deals)["leads"], "lead_id", "converted_opportunity_id") == [*wanted, ("4", None)]


def test_a_contact_submitted_again_is_a_duplicate_of_the_lead_before(tmp_path):
    leads = [
        {"lead_id": "1", "captured_at": at(3), "phone": "138 1234 5678", "email": "Li@example.com"},
        {"lead_id": "2", "captured_at": at(1), "phone": "13812345678"},
        {"lead_id": "3", "captured_at": at(4), "email": "li@example.com "},
        {"lead_id": "4", "captured_at": at(5), "phone": "00000000", "ok_phone_real": False},
        {"lead_id": "5", "captured_at": at(6), "phone": "00000000", "ok_phone_real": False},
        {"lead_id": "6", "captured_at": at(7), "phone": "", "email": " "},
        {"lead_id": "7", "captured_at": at(8), "phone": "", "email": " "},
    ]
    found = known(tmp_path, leads=leads)["leads"]
    assert of(found, "lead_id", "duplicate_of") == [("1", "2"), ("2", None), ("3", "1"), ("4", None), ("5", None), ("6", None), ("7", None)]


def test_a_lead_as_of_a_date_has_neither_later_times_nor_a_later_status(tmp_path):
    lead = {
        "lead_id": "1", "status": "无效线索", "owner_id": "x", "captured_at": at(1), "recorded_at": at(2), "assigned_at": at(4), "first_touch_at": at(12),
    }  # fmt: skip
    leads = [lead, {"lead_id": "2", "captured_at": at(11)}, {"lead_id": "3"}]
    columns = ("lead_id", "status", "assigned_at", "first_touch_at", "is_known")
    now = [("1", "invalid", at(4), at(12), True), ("2", None, None, None, True), ("3", None, None, None, True)]
    assert of(known(tmp_path, leads=leads)["leads"], *columns) == now
    assert of(known(tmp_path, as_of=10, leads=leads)["leads"], *columns) == [("1", None, at(4), None, False)]


def test_of_versions_the_newest_seen_by_then_is_in_force(tmp_path):
    leads = [
        {"lead_id": "1", "status": "touched", "captured_at": at(1), "_snapshot": on(3), "_verdict": "superseded"},
        {"lead_id": "1", "status": "to nurture", "captured_at": at(1), "_snapshot": on(8), "_verdict": "superseded"},
        {"lead_id": "1", "status": "invalid", "captured_at": at(1), "_snapshot": on(15)},
        {"lead_id": "1", "status": "unreadable", "_snapshot": on(18), "_verdict": "rejected"},
    ]
    assert [of(known(tmp_path, as_of=day, leads=leads)["leads"], "status") for day in (20, 15, 14, 5, 2)] == [
        [("invalid",)], [("invalid",)], [("to nurture",)], [("touched",)], [(None,)],
    ]  # fmt: skip


def test_the_team_of_a_lead_is_its_owners_of_the_day(tmp_path):
    owners = [{"owner_id": "x", "team": "north", "valid_to": on(9)}, {"owner_id": "x", "team": "south", "valid_from": on(10)}]
    leads = [{"lead_id": "1", "owner_id": "x", "captured_at": at(1)}]
    assert [known(tmp_path, as_of=day, leads=leads, owners=owners)["leads"][0]["team"] for day in (9, 10)] == ["north", "south"]


def test_contacts_are_those_of_deals_that_exist_and_named_by_nothing_but_masks(tmp_path):
    roles = [
        {"opportunity_id": "a", "contact_id": "003A1", "role": "决策者", "first_contacted_at": at(2)},
        {"opportunity_id": "a", "contact_id": "王小明", "role": "End User"},
        {"opportunity_id": "a", "contact_id": "wang@example.com", "role": "Champion", "first_contacted_at": at(12)},
        {"opportunity_id": "b", "contact_id": "王小明", "role": None},
        {"opportunity_id": "b", "contact_id": "13812345678", "role": "Influencer"},
        {"opportunity_id": "late", "contact_id": "003A1", "role": "user"},
    ]
    now = known(tmp_path, contact_roles=roles)["contact_roles"]
    ids = {(row["opportunity_id"], row["role"]): row["contact_id"] for row in now}
    assert ids["a", "decision maker"] == "003A1" and ids["a", "user"] == ids["b", None]
    assert not [shown for shown in ids.values() if "王小" in shown or "wang" in shown or "1234" in shown]
    assert sorted(ids, key=str) == sorted(
        [("a", "decision maker"), ("a", "user"), ("a", "Champion"), ("b", None), ("b", "influencer"), ("late", "user")], key=str
    )
    earlier = known(tmp_path, as_of=10, contact_roles=roles)["contact_roles"]
    assert {(row["opportunity_id"], row["role"], row["is_known"]) for row in earlier} == {
        ("a", "decision maker", False), ("a", "user", False), ("b", None, False), ("b", "influencer", False),
    }  # fmt: skip


def test_activities_are_those_of_the_past_and_of_deals_that_exist(tmp_path):
    activities = [
        {"activity_id": "1", "opportunity_id": "a", "kind": "电话", "happened_at": at(3), "direction": "Outbound", "text": "call Wang, 13812345678"},
        {"activity_id": "2", "lead_id": "7", "kind": "Email", "happened_at": at(10.5)},
        {"activity_id": "3", "opportunity_id": "late", "kind": "工厂参观", "happened_at": at(4)},
        {"activity_id": "4", "opportunity_id": "b", "kind": "visit", "happened_at": at(11)},
    ]
    columns = ("activity_id", "opportunity_id", "lead_id", "kind", "direction")
    first = [("1", "a", None, "call", "outbound"), ("2", None, "7", "mail", None)]
    assert of(known(tmp_path, as_of=10, activities=activities)["activities"], *columns) == first
    now = known(tmp_path, activities=activities)["activities"]
    assert of(now, *columns) == [*first, ("3", "late", None, "工厂参观", None), ("4", "b", None, "visit", None)]
    assert "Wang" not in str(now)


def test_a_corrected_activity_is_corrected_from_the_day_on_which_it_was_seen(tmp_path):
    activities = [
        {"activity_id": "1", "kind": "call", "happened_at": at(2), "_snapshot": on(3), "_verdict": "superseded"},
        {"activity_id": "1", "kind": "visit", "happened_at": at(2), "_snapshot": on(12)},
        {"activity_id": "2", "kind": "mail", "happened_at": at(4), "_snapshot": on(12)},
    ]
    assert of(known(tmp_path, as_of=11, activities=activities)["activities"], "kind") == [("call",), ("mail",)]
    assert of(known(tmp_path, activities=activities)["activities"], "kind") == [("visit",), ("mail",)]


def test_a_configured_target_goes_before_an_exported_one(tmp_path):
    month = {"period_kind": "month", "period_start": on(0), "dimension": "all", "member": "all", "metric": "bookings"}
    company = COMPANY.model_copy(update={"targets": (Target(period_start=on(0), target=100),)})
    exported = [{**month, "target": 90.0}, {**month, "dimension": "team", "member": "north", "target": 40.0}]
    assert of(known(tmp_path, company=company, targets=exported)["targets"], "dimension", "member", "target") == [
        ("all", "all", 100.0),
        ("team", "north", 40.0),
    ]
    revised = [{**month, "target": 90.0, "_snapshot": on(3), "_verdict": "superseded"}, {**month, "target": 95.0, "_snapshot": on(12)}]
    assert [known(tmp_path, as_of=day, targets=revised)["targets"][0]["target"] for day in (10, 12)] == [90.0, 95.0]


def test_every_call_stays_and_the_newest_by_then_is_marked(tmp_path):
    call = {"period_start": on(0), "dimension": "owner", "member": "x", "category": "Commit"}
    calls = [
        {**call, "called_at": at(1), "amount": Decimal(100)},
        {**call, "called_at": at(9), "amount": Decimal(80)},
        {**call, "called_at": at(12), "amount": Decimal(120)},
        {**call, "called_at": at(3), "amount": Decimal(300), "period_kind": "quarter"},
        {**call, "called_at": at(4), "amount": Decimal(150), "category": "最佳"},
    ]
    columns = ("period_kind", "category", "called_at", "amount", "is_latest")
    others = [("month", "best case", at(4), Decimal(150), True), ("quarter", "commit", at(3), Decimal(300), True)]
    assert sorted(of(known(tmp_path, as_of=10, forecast_calls=calls)["forecast_calls"], *columns)) == sorted(
        [*others, ("month", "commit", at(1), Decimal(100), False), ("month", "commit", at(9), Decimal(80), True)]
    )
    now = known(tmp_path, forecast_calls=calls)["forecast_calls"]
    assert [row["amount"] for row in now if row["is_latest"] and row["period_kind"] == "month" and row["category"] == "commit"] == [Decimal(120)]


def test_a_payment_made_later_is_still_due(tmp_path):
    payments = [
        {"opportunity_id": "a", "kind": "预付款", "due_at": on(4), "paid_at": on(12), "amount": Decimal(10), "amount_reporting": Decimal(70)},
        {"opportunity_id": "a", "kind": "final", "due_at": on(60), "amount": Decimal(20), "amount_reporting": Decimal(140)},
        {"opportunity_id": "late", "kind": "final", "due_at": on(60), "amount": Decimal(20), "amount_reporting": None},
    ]
    columns = ("opportunity_id", "kind", "paid_at", "amount")
    assert sorted(of(known(tmp_path, as_of=11, payments=payments)["payments"], *columns)) == [
        ("a", "final", None, Decimal(140)), ("a", "prepayment", None, Decimal(70)),
    ]  # fmt: skip
    assert of(known(tmp_path, payments=payments)["payments"], "opportunity_id", "paid_at") == [("a", None), ("a", on(12)), ("late", None)]


def test_answers_are_those_given_by_then(tmp_path):
    answers = [
        {"account_id": "account a", "surveyed_at": on(3), "score": 4.0},
        {"account_id": "account a", "surveyed_at": on(12), "score": 5.0},
        {"account_id": "stranger", "surveyed_at": on(2), "score": 1.0},
    ]
    columns = ("account_id", "score", "has_opportunity")
    first = [("account a", 4.0, True), ("stranger", 1.0, False)]
    assert of(known(tmp_path, as_of=11, satisfaction=answers)["satisfaction"], *columns) == first
    assert len(known(tmp_path, as_of=12, satisfaction=answers)["satisfaction"]) == 3


@pytest.mark.parametrize("name", [name for name in RECORDS if name != "targets"])
def test_without_an_export_a_table_is_empty_and_has_its_columns(name):
    table = records_without_export(COMPANY)[name]
    assert table.num_rows == 0
    assert [(f.name, f.type) for f in table.schema] == [(c.name, arrow_type(c)) for c in CORE_TABLES[name].columns]
    named = COMPANY.model_copy(update={"exports": COMPANY.exports.model_copy(update={"tables": {**COMPANY.exports.tables, name: None}})})
    assert name not in records_without_export(named)


def test_without_an_export_the_targets_are_those_of_the_configuration():
    company = COMPANY.model_copy(update={"targets": (Target(period_start=on(0), target=1), Target(period_start=on(0), target=2))})
    assert target_rows(company)["target"].tolist() == [2.0]
    assert records_without_export(company)["targets"].equals(target_rows(company))
    assert list(target_rows(COMPANY).columns) == [c.name for c in CORE_TABLES["targets"].columns]


def test_no_record_holds_a_column_that_names_a_person():
    private = {"contact", "title", "phone", "email", "account_name", "need", "text", "notes", "name"}
    assert not [(name, c.name) for name in RECORDS for c in CORE_TABLES[name].columns if c.name in private or c.info["unit"] == "text"]


def test_a_spelling_means_one_value():
    assert not spellings().duplicated(["field", "spelling"]).any()
    assert (spellings()["spelling"] == spellings()["spelling"].str.lower()).all()


def test_records_keep_their_contracts(tmp_path):
    """As the check of a run asks it, of one spelled in several ways."""
    payments = [{"opportunity_id": "a", "kind": kind, "due_at": on(4), "amount_reporting": Decimal(70)} for kind in ("final", "尾款", "Final")]
    calls = [{"period_start": on(0), "dimension": "all", "member": "all", "category": c, "called_at": at(1), "amount": Decimal(1)} for c in ("commit", "承诺")]
    found = known(tmp_path, payments=payments, forecast_calls=calls)
    for name in ("payments", "forecast_calls"):
        assert len(found[name]) == 1
        broken = DuckDB(tmp_path).arrow(Query(conformity_sql(CORE_TABLES[name]), {"computed": pa.Table.from_pylist(found[name])}))
        assert not any(broken.to_pylist()[0].values()), name
