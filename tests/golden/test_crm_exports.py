"""Native tables and templates of CRMs that were not made for Leadline, read and judged, against plain counts of their text.

None of them is run as a whole: the native tables hold scrambled rows of which every deal is deleted or nothing joins, the
leads and invoice lines are no opportunities. The configurations beside this file say why each choice was made.
"""

import csv
from collections import Counter
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from assets.exports.errors import MissingExport
from assets.exports.reading import TypedExport, read_table
from pipelines.configuration import load_configuration
from tests.crm_exports import JudgedExports, judged_exports
from tests.third_party import DATA, NEEDS_DATA

CONFIGURATIONS = Path(__file__).parent / "configurations"

pytestmark = NEEDS_DATA


@cache
def by_hand(name: str, encoding: str = "utf-8-sig") -> tuple[dict[str, str], ...]:
    """The rows of a file as text, headers and values without outer blanks."""
    with (DATA / name).open(encoding=encoding, newline=None) as file:
        return tuple({k.strip(): (v or "").strip() for k, v in row.items()} for row in csv.DictReader(file))


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The judged exports of a folder, each computed once."""

    @cache
    def of(name: str) -> JudgedExports:
        return judged_exports(CONFIGURATIONS / f"{name}.yaml", DATA / name, tmp_path_factory.mktemp(name))

    return of


def table_of(name: str, table: str) -> TypedExport:
    return read_table(DATA / name, table, load_configuration(CONFIGURATIONS / f"{name}.yaml"))


def failures(exports: JudgedExports, table: str) -> Counter:
    """How many rows failed each expectation."""
    return Counter(code for codes in exports.tables[table]["_reasons"].to_pylist() for code in codes)


def counts(read: int, rejected: int = 0) -> dict[str, int]:
    return {"read": read, "accepted": read - rejected, "superseded": 0, "rejected": rejected}


@pytest.mark.slow
def test_salesforce_native_tables_are_read_by_their_own_names(judged):
    exports = judged("salesforce_native")
    deals = by_hand("salesforce_native/sf_opportunity_data.csv")
    early = [row["id"] for row in deals if row["is_closed"] == "true" and row["close_date"][:10] < row["created_date"][:10]]
    assert exports.counts("opportunities") == counts(len(deals), len(early)) == counts(10, 1)
    assert failures(exports, "opportunities")["closed_before_created"] == 1
    assert failures(exports, "opportunities")["crm_probability_out_of_range"] == sum(float(row["probability"]) > 100 for row in deals) == 1
    # All are deleted, so that none is part of any history.
    assert {row["is_deleted"] for row in deals} == {"true"}
    assert exports.entries() == {}
    history = by_hand("salesforce_native/sf_opportunity_history_data.csv")
    assert exports.counts("stage_history") == counts(len(history), sum(row["id"] in early for row in history)) == counts(10, 1)
    entered = dict(zip(exports.tables["stage_history"]["opportunity_id"].to_pylist(), exports.tables["stage_history"]["entered_at"].to_pylist()))
    assert {key: str(value) for key, value in entered.items()} == {row["id"]: row["_fivetran_start"] for row in history}


def test_salesforce_native_activities_keep_only_ids_of_opportunities_and_leads(judged):
    exports = judged("salesforce_native")
    tasks, events = by_hand("salesforce_native/sf_task_data.csv"), by_hand("salesforce_native/sf_event_data.csv")
    about = [row["what_id"] for row in (*tasks, *events) if row["what_id"].startswith("006")]
    assert Counter(row["what_id"][:3] for row in (*tasks, *events)) == {"006": 7, "001": 5, "": 8}
    # The tasks are of another day's opportunities.
    assert not {*about} & {row["id"] for row in by_hand("salesforce_native/sf_opportunity_data.csv")}
    assert exports.counts("activities") == counts(20, len(about))
    activities = exports.tables["activities"].to_pylist()
    assert Counter(row["opportunity_id"] for row in activities) == Counter([*about, *[None] * (20 - len(about))])
    assert [row["lead_id"] for row in activities if row["lead_id"]] == [row["who_id"] for row in tasks if row["who_id"].startswith("00Q")]
    assert {t: exports.counts(t) for t in ("leads", "accounts", "owners")} == {"leads": counts(1), "accounts": counts(10), "owners": counts(10)}


@pytest.mark.slow
def test_hubspot_native_tables_are_read_by_their_own_names(judged):
    exports = judged("hubspot_native")
    deals = by_hand("hubspot_native/deal_data.csv")
    known = {row["deal_id"] for row in deals}
    assert exports.counts("opportunities") == counts(len(deals)) == counts(44)
    assert failures(exports, "opportunities") == {"owner_missing": sum(row["owner_id"] == "" for row in deals)}
    assert failures(exports, "opportunities")["owner_missing"] == 22
    created = exports.tables["opportunities"]["created_at"].to_pylist()
    assert [str(day) for day in created] == [row["property_createdate"] for row in deals]
    stages, properties = by_hand("hubspot_native/deal_stage_data.csv"), by_hand("hubspot_native/deal_property_history_data.csv")
    assert not known & {row["deal_id"] for row in (*stages, *properties)}
    assert exports.counts("stage_history") == counts(len(stages), len(stages)) == counts(14, 14)
    assert exports.passed_over == {"stage_history": sum(row["name"] != "dealstage" for row in properties)} == {"stage_history": 100}
    assert exports.counts("field_history") == counts(100, 100)
    assert exports.counts("contact_roles") == counts(11, sum(row["deal_id"] not in known for row in by_hand("hubspot_native/deal_contact_data.csv")))
    meetings, calls = by_hand("hubspot_native/engagement_meeting_data.csv"), by_hand("hubspot_native/engagement_call_data.csv")
    assert Counter(exports.tables["activities"]["kind"].to_pylist()) == {"meeting": len(meetings), "call": len(calls)} == {"meeting": 100, "call": 1}
    starts = sorted(datetime.fromisoformat(row["start_time"]) for row in meetings)
    read = exports.tables["activities"].to_pylist()
    assert sorted(row["happened_at"] for row in read if row["kind"] == "meeting") == starts
    teams = {row["id"]: row["name"] for row in by_hand("hubspot_native/team_data.csv")}
    of_owner = {row["owner_id"]: teams[row["team_id"]] for row in by_hand("hubspot_native/owner_team_data.csv") if row["is_team_primary"] == "true"}
    owners = exports.tables["owners"].to_pylist()
    assert {row["owner_id"]: row["team"] for row in owners if row["team"]} == {
        key: team for key, team in of_owner.items() if key in {o["owner_id"] for o in owners}
    }
    assert len(owners) == len(by_hand("hubspot_native/owner_data.csv")) == 100


@pytest.mark.slow
def test_salesforce_demo_is_joined_by_name(judged):
    exports = judged("salesforce_demo")
    deals, history = by_hand("salesforce_demo/DTC_Opportunity.csv"), by_hand("salesforce_demo/DTC_OpportunityHistory.csv")
    created = {row["Name"]: row["CreatedDate"] for row in deals}
    assert exports.counts("opportunities") == counts(len(deals)) == counts(1_999)
    early = [row for row in history if row["CreatedDate"] < created[row["OpportunityName"]]]
    assert exports.counts("stage_history") == counts(len(history), len(early)) == counts(387, 21)
    assert {code for codes in exports.reasons("stage_history").values() for code in codes} == {"entered_before_created"}
    tasks, events = by_hand("salesforce_demo/DTC_Task.csv"), by_hand("salesforce_demo/DTC_Event.csv")
    done = [row for row in tasks if row["Status"] == "Completed"]
    assert exports.counts("activities") == counts(len(done) + len(events)) == counts(190 + 1_999)
    assert exports.passed_over == {"activities": len(tasks) - len(done)} == {"activities": 1_809}
    planned = sum(row["ActivityDate"] > "2015-07-08" for row in (*done, *events))
    assert failures(exports, "activities") == {"happened_in_future": planned} == {"happened_in_future": 924}
    assert exports.counts("accounts") == counts(1_001)


@pytest.mark.slow
def test_salesforce_demo_deals_are_in_the_state_of_their_row(judged):
    spelled = {s.spellings[0]: s.key for s in judged("salesforce_demo").configuration.pipelines[0].stages} | {"Closed Won": "won", "Closed Lost": "lost"}
    wanted = {row["Name"]: spelled[row["StageName"]] for row in by_hand("salesforce_demo/DTC_Opportunity.csv")}
    assert {row["opportunity_id"]: row["stage"] for row in judged("salesforce_demo").trusted["opportunities"].to_pylist()} == wanted
    assert Counter(wanted.values())["won"] == 1_345


def test_chinese_templates_pass_over_their_instructions_and_read_ten_thousands(judged):
    exports = judged("zh_templates")
    found = [(v["opportunity_id"], v["stage"], v["amount"], v.get("expected_close_date")) for v in exports.values("opportunities")]
    assert found == [
        ("某市智慧城管平台", "报价", "6800000", "2026-05-30"),
        ("XX集团数字化转型项目", "签约跟进", "5200000", "2026-03-31"),
        ("智慧工地管理系统", "立项", "3500000", None),
        ("供应链金融平台", "线索", "2800000", None),
    ]
    assert exports.counts("opportunities") == counts(4)
    assert [row["status"] for row in exports.trusted["opportunities"].to_pylist()] == ["open"] * 4
    assert exports.entries() == {}  # no date of any kind: nobody knows since when
    assert [row["tier"] for row in exports.values("accounts")] == ["物业", "商业", "工厂"]


def test_leads_without_opportunities_are_read_but_cannot_be_run():
    with pytest.raises(MissingExport, match="table opportunities: no file"):
        table_of("leads", "opportunities")
    read = table_of("leads", "leads")
    leads = by_hand("leads/x_education_leads.csv")
    assert (read.rows.num_rows, read.faults.num_rows) == (len(leads), 0) == (9_240, 0)
    sources = Counter(source for source in read.rows["source"].to_pylist())
    assert sources == Counter(row["Lead Source"] or None for row in leads)
    assert (sources["Google"], sources["google"], sources["testone"]) == (2_868, 5, 1)
    regions = Counter(row["City"] if row["City"] != "Select" else None for row in leads)
    regions[None] += regions.pop("", 0)
    assert Counter(read.rows["region"].to_pylist()) == regions
    assert {"Tags", "Lead Quality", "Lead Profile"} <= {header for _, header in read.unmapped}


def test_government_sales_are_read_to_the_penny_and_their_months_to_the_day():
    read = table_of("government_sales", "opportunities")
    lines = by_hand("government_sales/G-Cloud-Total-Spend-13-12-13.csv", "latin-1")
    assert (read.rows.num_rows, read.faults.num_rows) == (len(lines), 0) == (4_699, 0)
    assert {line["For_Month"][-1] for line in lines} == {"l"}
    assert [f"{day:%Y-%m-%d}l" for day in read.rows["closed_at"].to_pylist()] == [line["For_Month"] for line in lines]
    amounts = [Decimal(line["Total_Charge"].replace(",", "")) for line in lines]
    assert sum(read.rows["amount"].to_pylist()) == pytest.approx(sum(amounts), abs=Decimal("0.01") * len(lines))
    assert sum(amount < 0 for amount in read.rows["amount"].to_pylist()) == sum(amount < 0 for amount in amounts) > 0
