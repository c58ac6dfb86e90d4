"""`leadline pull` and the job `pull` from outside, and a run on what they leave."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines.configuration import load_configuration
from pipelines.definitions import defs
from pipelines.home import Home
from pipelines.pulling.assets import RETRIES
from pipelines.pulling.pull import tables_to_pull
from pipelines.resources import Place
from tests.faults.command import refused, say, tables
from tests.pulls.crm import Company
from tests.pulls.hubspot import FakeHubSpot
from tests.pulls.pipedrive import FakePipedrive
from tests.pulls.salesforce import FakeSalesforce
from tests.pulls.server import Fault

PROJECT = Path(__file__).parents[2]
SHORT = "reporting: {weeks: 1, months: 2, quarters: 1}\nforecast: {origins: 1, draws: 200}\n"

whatever_the_crm = pytest.mark.parametrize("crm", [FakeHubSpot], indirect=True)


def places(company: Company) -> list[str]:
    return ["--config", str(company.file), "--exports", str(company.exports), "--home", str(company.folder / "home")]


@whatever_the_crm
def test_the_command_says_what_came_and_where_it_is(company: Company):
    said = say("pull", *places(company))
    assert said.exit_code == 0, said.err
    first, *notes = said.out.splitlines()
    assert first == f"opportunities: 7 rows came (all); 7 rows: {company.exports / 'opportunities' / '2026-06-29.parquet'}"
    assert notes[0].startswith("opportunities: deals has no field for opportunity_type, ")
    company.crm.server.later(days=1)
    company.crm.delete("7")
    company.crm.server.later(minutes=1)
    assert say("pull", *places(company)).out.startswith("opportunities: 1 rows came (changes); 7 rows, 1 deleted in the CRM: ")
    again = say("pull", *places(company), "--replay", "2026-06-29T130700Z")
    assert again.out == f"export files as of the pull 2026-06-29T130700Z: {company.exports / 'pulls' / 'replays' / '2026-06-29T130700Z'}\n"


@whatever_the_crm
def test_arguments_that_name_nothing(company: Company):
    refused(say("pull", *places(company), "--only", "leads"), 2, "--only names leads", "are a pull's: opportunities")
    refused(say("pull", *places(company), "--replay", "yesterday"), 2, "there was no pull yesterday", "no pull at all")
    company.file.write_text(company.file.read_text().split("pull:")[0])
    refused(say("pull", *places(company)), 2, "says nothing of a CRM to pull", "docs/pulling.md")


@whatever_the_crm
def test_a_failed_pull_has_an_exit_code_of_its_own_and_says_what_to_do(company: Company, monkeypatch):
    monkeypatch.delenv("TEST_CLIENT_SECRET")
    refused(say("pull", *places(company)), 9, "the environment has no TEST_CLIENT_SECRET", "what to do: set it for the user")
    with Home(company.folder / "home").lock():
        refused(say("pull", *places(company)), 5, "another run is under way")


@pytest.mark.parametrize("crm", [FakeSalesforce], indirect=True)
def test_a_table_is_pulled_where_its_file_is_read(company: Company):
    text = company.file.read_text()
    more = "    stage_history: {files: stage_history.parquet}\n    owners: {files: people.xlsx}\n    targets: {files: '*.parquet'}\n"
    company.file.write_text(text.replace("opportunities/*.parquet}\n", "opportunities/*.parquet}\n" + more))
    configuration = load_configuration(company.file)
    assert tables_to_pull(configuration) == ("stage_history", "opportunities")
    assert tables_to_pull(configuration, ["opportunities"]) == ("opportunities",)


@pytest.mark.slow
@pytest.mark.parametrize("crm", [FakePipedrive], indirect=True)
def test_a_run_reads_what_pulls_left_and_a_deleted_deal_leaves_all_of_history(company: Company):
    company.file.write_text(company.file.read_text() + SHORT)
    company.pull()
    company.crm.server.later(days=1)
    company.crm.put("3", stage="Offer")
    company.crm.put("4", stage="Offer")
    company.crm.server.later(minutes=1)
    company.pull()
    run = ["run", *places(company)]
    assert (first := say(*run)).exit_code == 0, first.err
    company.crm.server.later(days=1)
    company.crm.delete("4")
    company.crm.server.later(minutes=1)
    company.pull()
    assert (second := say(*run)).exit_code == 0, second.err
    assert "as of 2026-07-01 (the newest day in the file names of opportunities" in second.out
    published = tables(company.folder / "home" / "reports.sqlite")
    deals = {day: {row[1] for row in published["win_probability"] if str(row[0]) == day} for day in ("2026-06-30", "2026-07-01")}
    assert deals == {"2026-06-30": set("1234567"), "2026-07-01": set("123567")}


@whatever_the_crm
def test_the_job_pulls_and_shows_no_secret(company: Company):
    def executed(raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        job = defs.resolve_job_def("pull")
        place = Place(config=str(company.file), exports=str(company.exports), home=str(company.folder / "home"))
        with dg.DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(instance=instance, resources={**job.resource_defs, "place": place}, raise_on_error=raise_on_error)

    result = executed()
    (made,) = [event for event in result.all_events if event.is_step_materialization]
    assert made.asset_key == dg.AssetKey("pulled_opportunities")
    assert made.materialization.metadata["dagster/row_count"].value == 7
    company.crm.expire()
    company.crm.server.faults.append(Fault("/token", company.crm.refused_login, skip=1))
    failed = executed(raise_on_error=False)
    assert not failed.success
    (failure,) = [event for event in failed.all_events if event.is_step_failure]  # not tried again: a person must act
    assert "the login is refused" in str(failure.event_specific_data)
    recorded = "".join(str(event) for event in (*result.all_events, *failed.all_events))
    assert [name for name in company.crm.credentials if name in recorded and f"TEST_{name.upper()}" in recorded] == []
    assert "s3cret" not in recorded
    assert "t0ken-number" not in recorded


def test_pulls_are_tried_again_and_no_run_waits_for_them():
    pulled = {key for key in defs.resolve_asset_graph().get_all_asset_keys() if key.path[-1].startswith("pulled_")}
    assert dg.AssetKey("pulled_stage_history") in pulled
    assert defs.resolve_job_def("leadline").asset_layer.executable_asset_keys & pulled == set()
    assert defs.resolve_job_def("pull").asset_layer.selected_asset_keys == pulled
    steps = {node.name: node.definition.retry_policy for node in defs.resolve_job_def("leadline").nodes}
    assert set(steps.values()) == {None}
    assert [node.definition.retry_policy for node in defs.resolve_job_def("pull").nodes] == [RETRIES]


@pytest.mark.slow
def test_a_run_loads_no_http_client():
    code = "import sys, pipelines.definitions, pipelines.summary, pipelines.cli; sys.exit(bool({'httpx', 'tenacity'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
