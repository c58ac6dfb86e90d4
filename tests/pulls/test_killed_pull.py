"""A pull that dies: killed while a page is on its way, a full disk, two at once; and past pulls replayed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.configuration import load_configuration
from pipelines.errors import HomeBusyError
from pipelines.pulling import pull as pulling
from pipelines.pulling.errors import NothingToPull, PullError
from pipelines.pulling.pull import replay
from pipelines.pulling.state import PullFolder
from tests.pulls.crm import Company
from tests.pulls.hubspot import FakeHubSpot
from tests.pulls.server import Fault, Reply
from tests.pulls.test_pull import amounts, expected

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120

whatever_the_crm = pytest.mark.parametrize("crm", [FakeHubSpot], indirect=True)

pytestmark = pytest.mark.slow


def killed_pull(company: Company, *more: str, skip: int) -> int:
    """`leadline pull` as a process of its own, killed when it asks for the page of deals after the next ``skip``."""
    started: list[subprocess.Popen] = []

    def kill() -> Reply:
        os.kill(started[0].pid, signal.SIGKILL)
        return Reply({}, 500)

    company.crm.server.faults.append(Fault(company.crm.deals_path, kill, skip))
    arguments = ["pull", "--config", str(company.file), "--exports", str(company.exports), "--home", str(company.folder / "home"), *more]
    started.append(subprocess.Popen([sys.executable, "-m", "pipelines.cli", *arguments], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    started[0].communicate(timeout=PATIENCE_SECONDS)
    return started[0].returncode


def export_files(company: Company) -> dict[str, bytes]:
    files = [path for path in company.exports.rglob("*.parquet") if "pulls" not in path.parts]
    return {str(path.relative_to(company.exports)): path.read_bytes() for path in files}


def test_a_first_pull_killed_in_the_middle_leaves_nothing_to_see_and_the_next_goes_on(company: Company):
    assert killed_pull(company, skip=2) == -signal.SIGKILL
    assert export_files(company) == {}
    asked = len(company.crm.server.asked)
    company.crm.put("2", amount="22")
    (pulled,) = company.pull()
    assert amounts(company) == expected(company)
    assert pulled.whole
    pages = [a for a in company.crm.server.asked[asked:] if company.crm.deals_path in a.path]
    assert {"cursor", "after", "$skiptoken"} & {*pages[0].params} or "/queryAll/" in pages[0].path  # not from the beginning


def test_a_later_pull_killed_in_the_middle_leaves_the_former_files_and_the_next_goes_on(company: Company):
    company.pull()
    before = export_files(company)
    company.crm.server.later(days=1)
    for id in "1234567":
        company.crm.server.later(seconds=1)
        company.crm.put(id, amount=f"{id}1")
    company.crm.server.later(minutes=1)
    assert killed_pull(company, skip=1) == -signal.SIGKILL
    assert export_files(company) == before
    company.crm.server.later(days=1)
    company.crm.delete("6")
    company.pull()
    assert company.snapshots() == ["2026-06-29.parquet", "2026-07-01.parquet"]
    assert amounts(company) == expected(company)
    assert [id for id, row in company.deals().items() if row["is_deleted"]] == ["6"]


@whatever_the_crm
def test_a_pull_that_dies_between_its_files_and_its_state_is_done_again(company: Company, monkeypatch):
    company.pull()
    company.crm.server.later(hours=1)
    company.crm.put("1", amount="11")
    company.crm.server.later(minutes=1)
    with monkeypatch.context() as patched:
        patched.setattr(PullFolder, "remember", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            company.pull()
    after_death = export_files(company)
    company.pull()
    assert export_files(company) == after_death
    assert amounts(company) == expected(company)


@whatever_the_crm
def test_no_table_is_written_before_all_have_come(company: Company):
    company.configure(attempts=1)
    company.file.write_text(company.file.read_text().replace("opportunities/*.parquet}", "opportunities/*.parquet}\n    owners: {files: owners.parquet}"))
    company.crm.server.faults.append(Fault("/objects/deals", company.crm.busy))
    with pytest.raises(PullError):
        company.pull()
    assert export_files(company) == {}
    company.pull()
    assert sorted(export_files(company)) == ["opportunities/2026-06-29.parquet", "owners.parquet"]


@whatever_the_crm
def test_a_half_written_part_is_not_counted(company: Company):
    company.pull()
    torn = company.exports / "pulls" / "changes" / "opportunities" / "00000099.parquet"
    torn.write_bytes(b"PAR1 half of it")
    leftover = company.exports / "opportunities" / ".2026-06-30.parquet.4711"
    leftover.write_bytes(b"PAR1 half of it")
    company.crm.server.later(days=1)
    company.pull()
    assert amounts(company) == expected(company)
    assert not leftover.exists()


@whatever_the_crm
def test_two_pulls_into_one_folder_at_once(company: Company):
    with PullFolder(company.exports).held(), pytest.raises(HomeBusyError, match="another pull into this exports folder"):
        company.pull()


@whatever_the_crm
def test_a_folder_of_another_crm_and_a_broken_state_are_refused(company: Company):
    company.pull()
    state = company.exports / "pulls" / "state.json"
    good = state.read_text()
    state.write_text(good.replace('"hubspot"', '"pipedrive"'))
    with pytest.raises(PullError, match="this folder holds pulls of pipedrive"):
        company.pull()
    state.write_text(good[: len(good) // 2])
    with pytest.raises(PullError, match="cannot be understood"):
        company.pull()
    state.write_text(good)
    company.pull()


@whatever_the_crm
def test_an_export_file_that_is_gone_is_made_anew(company: Company):
    company.pull()
    (company.exports / "opportunities" / "2026-06-29.parquet").unlink()
    (pulled,) = company.pull()
    assert pulled.whole
    assert amounts(company) == expected(company)


@whatever_the_crm
def test_every_past_pull_is_replayed_byte_for_byte(company: Company, monkeypatch):
    company.file.write_text(
        company.file.read_text().replace("opportunities/*.parquet}", "opportunities/*.parquet}\n    stage_history: {files: stage_history.parquet}")
    )
    left = []
    for change in (lambda: None, lambda: company.crm.put("1", amount="1"), lambda: company.crm.delete("2"), lambda: company.crm.put("8", stage="Offer")):
        change()
        company.crm.server.later(hours=9)
        company.pull()
        left.append(export_files(company))
    company.pull(full=True)
    assert len({str(files) for files in left}) == 4
    names = list(PullFolder(company.exports).past())
    assert names[:2] == ["2026-06-29T220700Z", "2026-06-30T070700Z"]
    monkeypatch.setattr(pulling, "Client", None)  # a replay asks no CRM
    for name, files in zip(names, left):
        folder = replay(load_configuration(company.file), company.exports, name)
        assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")} == files
    with pytest.raises(NothingToPull, match="expected: one of 2026-06-29T220700Z"):
        replay(load_configuration(company.file), company.exports, "2026-01-01")
