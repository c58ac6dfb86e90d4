"""What is one CRM's own: history tables, cursors, links, and limits of its interface."""

import json
from datetime import UTC, datetime

import pytest

from assets.exports.pulling import PULLS
from assets.exports.pulling.declaration import Ask, Request
from pipelines.pulling.errors import PullUnfinished, SchemaError
from quality.tables import EXPORTED
from tests.pulls.crm import Company
from tests.pulls.dynamics import API, FakeDynamics
from tests.pulls.hubspot import FakeHubSpot
from tests.pulls.pipedrive import FakePipedrive
from tests.pulls.salesforce import FakeSalesforce
from tests.pulls.server import Fault, Reply

salesforce = pytest.mark.parametrize("crm", [FakeSalesforce], indirect=True)
hubspot = pytest.mark.parametrize("crm", [FakeHubSpot], indirect=True)
pipedrive = pytest.mark.parametrize("crm", [FakePipedrive], indirect=True)
dynamics = pytest.mark.parametrize("crm", [FakeDynamics], indirect=True)

STAGE_HISTORY = ("opportunities/*.parquet}", "opportunities/*.parquet}\n    stage_history: {files: stage_history.parquet}\n    owners: {files: owners.parquet}")


def with_history(company: Company, **settings) -> None:
    company.configure(**settings)
    company.file.write_text(company.file.read_text().replace(*STAGE_HISTORY))


@pytest.mark.parametrize("name", PULLS)
def test_columns_are_those_of_the_contracts_and_required_ones_are_there(name):
    for table, sources in PULLS[name].tables.items():
        contract = EXPORTED[table]
        for source in sources:
            columns = {column.name.removesuffix(" (%)") for column in source.columns}
            assert columns - {c.name for c in contract.columns} <= {"hs_merged_object_ids"}, (table, source.object)
            assert {c.name for c in contract.columns if not c.nullable} <= columns, (table, source.object)
    assert list(PULLS[name].tables)[-1] == "opportunities"  # last, so that what refers to a deal finds it


@salesforce
def test_salesforce_stage_history_and_a_table_without_rows(company: Company):
    with_history(company)
    company.pull()
    company.crm.server.later(days=1)
    company.crm.put("3", stage="Offer")
    company.crm.server.later(minutes=1)
    history, owners, deals = company.pull()
    assert (history.table, history.rows, history.received) == ("stage_history", 8, 1)
    assert (owners.rows, deals.received) == (0, 1)
    assert [row["stage"] for row in company.raw("stage_history") if row["opportunity_id"] == "3"] == ["Talk", "Offer"]


@salesforce
def test_salesforce_asks_since_the_former_pull_less_the_overlap(company: Company):
    company.configure(overlap_minutes=30)
    company.pull()
    company.pull()
    queries = [asked.params["q"] for asked in company.crm.server.asked if "q" in asked.params]
    assert "WHERE" not in queries[0]
    assert "WHERE SystemModstamp >= 2026-06-29T12:37:00Z ORDER BY SystemModstamp, Id" in queries[1]


@salesforce
def test_salesforce_amounts_keep_their_digits(company: Company):
    company.crm.put("1", amount="10000000.9")
    company.crm.put("2", amount="12500000")

    def with_an_exponent() -> Reply:
        answer = company.crm.answer(company.crm.server.asked[-1])
        return Reply(raw=json.dumps(answer.body).replace("12500000.0", "1.25E7").encode())

    company.crm.server.faults.append(Fault("/queryAll", with_an_exponent, times=9))
    company.pull()
    assert {id: str(row["amount"]) for id, row in company.deals().items() if id in "12"} == {"1": "10000000.90", "2": "12500000.00"}


@hubspot
def test_hubspot_stage_history_and_owners(company: Company):
    with_history(company)
    company.pull()
    company.crm.server.later(days=1)
    company.crm.put("3", stage="Offer")
    company.crm.server.later(minutes=1)
    history, owners, _ = company.pull()
    assert (history.rows, history.received) == (8, 2)
    assert [(row["stage"], row["entered_at"][:10]) for row in company.raw("stage_history") if row["opportunity_id"] == "3"] == [
        ("Talk", "2026-06-29"),
        ("Offer", "2026-06-30"),
    ]
    assert [(row["name"], row["team"]) for row in company.raw("owners")] == [("An Owner", "north")]
    assert owners.rows == 1


def test_hubspot_search_goes_on_by_time_and_by_position_only_within_one_instant():
    (source, _) = PULLS["hubspot"].tables["opportunities"]
    request = source.first(Ask(("dealname",), "2026-06-29T12:00:00Z"))
    begin = str(round(datetime(2026, 6, 29, 12, tzinfo=UTC).timestamp() * 1000))
    assert request.json["filterGroups"][0]["filters"][0]["value"] == begin

    def answer(time: str, after: str) -> dict:
        return {"results": [{"id": "1", "properties": {"hs_lastmodifieddate": time}}], "paging": {"next": {"after": after}}}

    later = source.page(request, answer("2026-06-29T12:00:05Z", "100")).next
    assert (later.json["filterGroups"][0]["filters"][0]["value"], "after" in later.json) == (str(int(begin) + 5000), False)
    same = source.page(later, answer("2026-06-29T12:00:05Z", "100")).next
    assert (same.json["filterGroups"], same.json["after"]) == (later.json["filterGroups"], "100")


@hubspot
def test_hubspot_deals_merged_into_another_are_deleted(company: Company):
    company.pull()
    company.crm.server.later(days=1)
    company.crm.put("1", hs_merged_object_ids="2;3")
    company.crm.hidden = set()
    for id in ("2", "3"):
        del company.crm.deals[id]
    company.crm.server.later(minutes=1)
    # The field is known to HubSpot and so asked for.
    company.crm.added = ["hs_merged_object_ids"]
    company.pull()
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["2", "3"]


@pipedrive
def test_pipedrive_won_and_lost_are_stages(company: Company):
    page = {"data": [{"id": 1, "status": "won", "stage_id": 13, "add_time": "2026-06-01T00:00:00Z", "update_time": "2026-06-02T00:00:00Z"}]}
    company.crm.server.faults.append(Fault("/deals", Reply({**page, "additional_data": {}})))
    company.pull()
    assert company.deals()["1"]["stage"] == "won"


@dynamics
def test_dynamics_lists_all_rows_anew_where_the_changes_are_not_known_any_more(company: Company):
    company.pull()
    company.crm.server.later(days=1)
    company.crm.delete("4")
    company.crm.put("5", amount="55")
    company.crm.oldest = 99
    (pulled,) = company.pull()
    assert pulled.whole
    assert "no longer knows what changed" in pulled.notes[-1]
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["4"]
    assert str(company.deals()["5"]["amount"]) == "55.00"


@dynamics
def test_dynamics_without_change_tracking_is_an_error(company: Company):
    company.crm.server.faults.append(Fault(f"{API}/opportunities", Reply({"value": []})))
    with pytest.raises(SchemaError, match="without the address of later changes"):
        company.pull()


@dynamics
def test_a_link_to_another_server_is_not_followed(company: Company):
    company.crm.server.faults.append(Fault(f"{API}/opportunities", Reply({"value": [], "@odata.nextLink": "https://127.0.0.2/api?$skiptoken=1"})))
    with pytest.raises(SchemaError, match=r"leads to another server, 127\.0\.0\.2"):
        company.pull()


@dynamics
def test_a_list_that_stopped_goes_on_and_deletions_since_then_are_seen(company: Company):
    company.configure(attempts=1)
    company.crm.server.faults.append(Fault(f"{API}/opportunities", company.crm.busy, skip=2))
    with pytest.raises(PullUnfinished):
        company.pull()
    company.crm.delete("1")
    company.pull()
    assert len(company.deals()) == 7
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["1"]


def test_a_request_can_be_kept_and_sent_again():
    from pipelines.pulling.state import KeptRequest

    request = Request("/a", {"b": "c"}, {"d": [1]}, {"e": "f"})
    assert KeptRequest.model_validate_json(KeptRequest.of(request).model_dump_json()).request() == request
