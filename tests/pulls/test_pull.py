"""What a pull brings in from each CRM, and that nothing is lost or doubled when things change or go wrong on the way."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from pipelines.pulling.errors import CredentialsError, PullDenied, PullError, PullUnfinished, SchemaError
from tests.pulls.crm import Company
from tests.pulls.hubspot import FakeHubSpot
from tests.pulls.server import Fault, Reply

ALL = [str(n) for n in range(1, 8)]

whatever_the_crm = pytest.mark.parametrize("crm", [FakeHubSpot], indirect=True)
"""What does not depend on the CRM is tested with one."""


def amounts(company: Company) -> dict[str, Decimal]:
    return {id: row["amount"] for id, row in company.deals().items()}


def expected(company: Company) -> dict[str, Decimal]:
    return {deal.id: Decimal(deal.amount).quantize(Decimal("0.01")) for deal in company.crm.deals.values()}


def test_a_first_pull_brings_all_rows_as_leadline_reads_them(company: Company):
    (pulled,) = company.pull()
    assert (pulled.table, pulled.rows, pulled.deleted, pulled.whole) == ("opportunities", 7, 0, True)
    assert company.snapshots() == ["2026-06-29.parquet"]
    assert amounts(company) == expected(company)
    deal = company.deals()["3"]
    assert (deal["stage"], deal["created_at"], deal["is_deleted"]) == ("Talk", datetime(2026, 6, 29, 12, 3), False)
    assert deal["updated_at"] == datetime(2026, 6, 29, 12, 3)
    assert deal["_snapshot"] == date(2026, 6, 29)


def test_the_next_pull_brings_changes_only_and_keeps_yesterdays_file(company: Company):
    company.pull()
    before = (company.exports / "opportunities" / "2026-06-29.parquet").read_bytes()
    company.crm.server.later(days=1)
    company.crm.put("3", stage="Offer", amount="77")
    company.crm.put("8", amount="8")
    company.crm.server.later(minutes=5)
    (pulled,) = company.pull()
    assert (pulled.whole, pulled.received, pulled.rows) == (False, 2, 8)
    assert company.snapshots() == ["2026-06-29.parquet", "2026-06-30.parquet"]
    assert (company.exports / "opportunities" / "2026-06-29.parquet").read_bytes() == before
    assert amounts(company) == expected(company)
    assert company.deals()["3"]["stage"] == "Offer"
    assert company.deals()["3"]["created_at"] == datetime(2026, 6, 29, 12, 3)


@whatever_the_crm
def test_nothing_changed_is_a_snapshot_of_the_new_day_all_the_same(company: Company):
    company.pull()
    company.crm.server.later(days=1)
    (pulled,) = company.pull()
    assert (pulled.received, pulled.rows) == (0, 7)
    assert company.snapshots() == ["2026-06-29.parquet", "2026-06-30.parquet"]


@whatever_the_crm
def test_a_second_pull_on_one_day_replaces_the_days_file(company: Company):
    company.pull()
    company.crm.server.later(hours=2)
    company.crm.put("9")
    company.crm.server.later(minutes=1)
    (pulled,) = company.pull()
    assert company.snapshots() == ["2026-06-29.parquet"]
    assert pulled.rows == 8


def test_a_deleted_deal_stays_as_deleted(company: Company):
    company.pull()
    company.crm.server.later(days=1)
    company.crm.delete("5")
    company.crm.server.later(minutes=5)
    (pulled,) = company.pull()
    assert (pulled.rows, pulled.deleted) == (7, 1)
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["5"]
    company.crm.server.later(days=1)
    company.pull()
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["5"]
    assert company.deals()["5"]["amount"] == Decimal("5000.25")


def test_all_rows_once_more_finds_what_was_purged(company: Company):
    company.configure()
    company.file.write_text(company.file.read_text() + "thresholds: {shrunk_export_share: 0.2}\n")
    company.pull()
    del company.crm.deals["2"]
    company.crm.server.later(days=1)
    (pulled,) = company.pull(full=True)
    assert (pulled.whole, pulled.rows, pulled.deleted) == (True, 7, 1)
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["2"]


@whatever_the_crm
def test_a_user_who_sees_half_of_the_deals_does_not_delete_the_rest(company: Company):
    company.pull()
    before = company.kept()
    for id in ("1", "2", "3", "4"):
        del company.crm.deals[id]
    company.crm.server.later(days=1)
    with pytest.raises(PullError, match="4 of 7 rows known before are not in the list"):
        company.pull(full=True)
    assert company.snapshots() == ["2026-06-29.parquet"]
    assert before != company.kept()  # what came is kept, but no export file changed


def test_rows_that_change_while_pages_are_read_are_neither_lost_nor_doubled(company: Company):
    company.configure(overlap_minutes=0)  # it would bring them with the next pull
    company.pull()
    company.crm.server.later(days=1)
    for id in ALL:
        company.crm.server.later(seconds=1)
        company.crm.put(id, amount="1")
    company.crm.server.later(minutes=1)

    def changed() -> Reply:
        """After the first page: its first row changes, so it moves to the end and all others come one place nearer."""
        company.crm.server.later(seconds=1)
        company.crm.put("1", amount="2")
        return company.crm.answer(company.crm.server.asked[-1])

    company.crm.server.faults.append(Fault(company.crm.deals_path, changed, skip=1))
    company.pull()
    company.pull()
    assert amounts(company) == expected(company)


def test_a_change_during_a_long_list_comes_with_the_next_pull(company: Company):
    company.configure(overlap_minutes=0)

    def changed() -> Reply:
        company.crm.put("1", amount="2")
        company.crm.server.later(hours=1)
        company.crm.put("9", amount="3")
        return company.crm.answer(company.crm.server.asked[-1])

    company.crm.server.faults.append(Fault(company.crm.deals_path, changed, skip=1))
    company.pull()
    company.pull()
    assert amounts(company) == expected(company)


def test_what_the_crm_commits_late_comes_with_the_overlap(company: Company):
    company.pull()
    company.crm.server.now = company.crm.server.now.replace(hour=13, minute=0)  # five minutes before that pull
    company.crm.put("4", amount="4")
    company.crm.server.later(days=1)
    company.pull()
    assert amounts(company) == expected(company)


@whatever_the_crm
@pytest.mark.parametrize(
    "passing",
    [
        Reply({}, 500),
        Reply({}, 503, {"Retry-After": "9"}),
        Reply({"a": list(range(100))}, cut=True),
        Reply(raw=b'{"half": '),
        Reply(raw=b"<html>busy</html>", status=502),
        Reply({}, after=0.5),
    ],
    ids=["500", "503", "cut", "half", "html", "slow"],
)
def test_what_passes_is_asked_again(company: Company, passing: Reply):
    company.configure(timeout_seconds=0.25)
    company.crm.server.faults.append(Fault(company.crm.deals_path, passing, skip=1, times=2))
    company.pull()
    assert amounts(company) == expected(company)
    assert company.waits == ([9.0, 9.0] if "Retry-After" in passing.headers else [0.01, 0.02])


def test_a_busy_crm_is_asked_again_when_it_says(company: Company):
    company.crm.server.faults.append(Fault(company.crm.deals_path, company.crm.busy, skip=1, times=3))
    company.pull()
    asked = company.crm.busy.headers.get("Retry-After")
    assert company.waits == ([float(asked)] * 3 if asked else [0.01, 0.02, 0.04])
    assert amounts(company) == expected(company)


def test_a_crm_that_stays_busy_ends_the_pull_and_the_next_goes_on_there(company: Company):
    company.configure(attempts=3)
    company.crm.server.faults.append(Fault(company.crm.deals_path, company.crm.busy, skip=2, times=3))
    with pytest.raises(PullUnfinished, match=r"gave no answer after 3 attempts: HTTP (429|403)"):
        company.pull()
    assert not (company.exports / "opportunities").exists()
    first = len(company.crm.server.asked)
    company.pull()
    assert amounts(company) == expected(company)
    resumed = [a for a in company.crm.server.asked[first:] if company.crm.deals_path in a.path]
    assert {"cursor", "after", "$skiptoken"} & {*resumed[0].params} or "/queryAll/" in resumed[0].path


@whatever_the_crm
def test_a_wait_longer_than_allowed_is_not_waited_for(company: Company):
    company.crm.server.faults.append(Fault(company.crm.deals_path, Reply({}, 429, {"Retry-After": "86400"})))
    with pytest.raises(PullUnfinished, match="asks to wait 86,400 seconds"):
        company.pull()
    assert company.waits == []


def test_a_page_that_is_not_known_any_more_is_listed_anew(company: Company):
    company.configure(attempts=1)
    company.crm.server.faults.append(Fault(company.crm.deals_path, company.crm.busy, skip=2))
    with pytest.raises(PullUnfinished):
        company.pull()
    company.crm.server.faults.append(Fault(company.crm.deals_path, Reply({"code": "EXPIRED"}, 400)))
    company.crm.put("1", amount="5")
    company.pull()
    assert amounts(company) == expected(company)


def test_a_token_that_expires_on_the_way_is_renewed_once(company: Company):
    company.crm.expire(skip=1)
    company.pull()
    assert amounts(company) == expected(company)
    assert len(company.crm.server.paths("/token")) == 2


def test_a_token_that_is_refused_when_new_is_an_error(company: Company):
    company.crm.server.faults.append(Fault(company.crm.deals_path, company.crm.expired, times=99))
    with pytest.raises(CredentialsError, match="refuses the credentials"):
        company.pull()
    assert len(company.crm.server.paths("/token")) == 2


def test_wrong_credentials(company: Company, monkeypatch):
    monkeypatch.setenv("TEST_CLIENT_SECRET", "wr0ng-but-secret")
    with pytest.raises(CredentialsError, match="the login is refused") as caught:
        company.pull()
    assert "wr0ng" not in str(caught.value)


def test_no_permission_and_no_such_object(company: Company):
    for reply in (company.crm.denied, company.crm.unknown):
        company.crm.server.faults.append(Fault(company.crm.deals_path, reply))
        with pytest.raises(PullDenied, match="does not show this to the user of the pull") as caught:
            company.pull()
        assert "wang@" not in str(caught.value)


def test_an_optional_field_that_vanishes_and_one_that_appears_are_said(company: Company):
    field = {"salesforce": "CloseDate", "hubspot": "closedate", "pipedrive": "title", "dynamics": "name"}[company.crm.name]
    company.pull()
    company.crm.added = ["Custom__c"]
    company.crm.hidden = {field} - {"title"}
    company.crm.server.later(days=1)
    company.crm.put("1", amount="9")
    company.crm.server.later(minutes=1)
    (pulled,) = company.pull()
    vanished = [note for note in pulled.notes if "vanished" in note]
    appeared = [note for note in pulled.notes if "Custom__c" in note]
    assert len(appeared) == 1
    assert len(vanished) == (company.crm.name != "pipedrive")
    assert all(field in note for note in vanished)
    assert amounts(company) == expected(company)


def test_a_required_field_that_vanishes_is_an_error(company: Company):
    fields = {"salesforce": "StageName", "hubspot": "dealstage", "pipedrive": "add_time", "dynamics": "createdon"}
    company.pull()
    company.crm.hidden = {fields[company.crm.name]}
    company.crm.server.later(days=1)
    company.crm.put("1")
    company.crm.server.later(minutes=1)
    with pytest.raises(SchemaError, match=fields[company.crm.name]):
        company.pull()
    assert company.snapshots() == ["2026-06-29.parquet"]


def test_a_field_of_the_companys_own_is_brought_in_for_all_rows(company: Company):
    company.crm.put("1", **{"Custom__c": "red"})
    company.pull()
    company.crm.added = ["Custom__c"]
    company.configure(fields="{opportunities: [Custom__c]}")
    mapped = company.file.read_text().replace("opportunities/*.parquet", "opportunities/*.parquet, columns: {region: Custom__c}")
    company.file.write_text(mapped)
    (pulled,) = company.pull()
    assert pulled.whole
    assert pulled.notes[-1] == "opportunities: all rows are listed once more, because fields came in: Custom__c"
    assert company.deals()["1"]["region"] == "red"


@whatever_the_crm
def test_a_field_that_the_crm_has_not_is_an_error(company: Company):
    company.configure(fields="{opportunities: [Custum__c]}")
    company.crm.added = ["Custom__c"]
    with pytest.raises(PullDenied, match="nearest: Custom__c"):
        company.pull()


@whatever_the_crm
def test_only_the_configured_server_is_asked(company: Company):
    company.pull()
    assert {asked.headers["host"] for asked in company.crm.server.asked} == {company.crm.server.url.removeprefix("http://")}
