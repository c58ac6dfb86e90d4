"""Credentials are found where the configuration says, and stand in nothing that is shown or kept."""

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from assets.exports.pull_settings import CredentialSource
from assets.exports.pulling import PULLS
from pipelines.configuration import load_configuration
from pipelines.errors import ConfigurationError
from pipelines.pulling.credentials import Credentials, find_credentials
from pipelines.pulling.errors import CredentialsError
from tests.faults.command import say
from tests.pulls.crm import SECRETS, Company
from tests.pulls.hubspot import FakeHubSpot
from tests.pulls.server import Fault, Reply

PROJECT = Path(__file__).parents[2]

whatever_the_crm = pytest.mark.parametrize("crm", [FakeHubSpot], indirect=True)


def hidden(company: Company) -> list[str]:
    return [*(SECRETS[name] for name in company.crm.credentials), "t0ken-number"]


def arguments(company: Company, *more: str) -> list[str]:
    return ["pull", "--config", str(company.file), "--exports", str(company.exports), "--home", str(company.folder / "home"), *more]


def assert_no_secret(company: Company, *texts: str) -> None:
    kept = company.kept().decode("latin-1") if company.exports.exists() else ""
    assert [secret for secret in hidden(company) for text in (*texts, kept) if secret in text] == []


def test_no_secret_shows_when_all_goes_well_or_nothing_does(company: Company, caplog):
    caplog.set_level(logging.DEBUG)
    said = say(*arguments(company))
    assert (said.exit_code, "7 rows came (all)" in said.out) == (0, True), said.err

    secrets = [SECRETS[name] for name in company.crm.credentials]

    def echo(status: int, *more: str) -> Reply:
        """An error that says all secrets back."""
        return Reply(dict.fromkeys(("errorCode", "category", "code", "message", "error"), " ".join([*secrets, *more])), status)

    company.crm.server.faults += [Fault("/token", echo(400)), Fault(company.crm.deals_path, lambda: echo(422, company.crm.token()))]
    failures = [say(*arguments(company)), say(*arguments(company))]
    company.crm.expire()
    company.crm.server.faults.append(Fault("/token", company.crm.refused_login, skip=1))
    failures.append(say(*arguments(company)))
    assert [f.exit_code for f in failures] == [9, 9, 9], [f.err for f in failures]
    assert_no_secret(company, said.out, said.err, caplog.text, *(f.out + f.err for f in failures))
    assert "***" in failures[0].err + failures[1].err


@whatever_the_crm
def test_no_secret_shows_in_a_traceback(company: Company):
    company.crm.server.faults.append(Fault(company.crm.deals_path, company.crm.expired, times=99))
    command = [sys.executable, "-m", "pipelines.cli", *arguments(company, "--debug")]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 9
    assert "Traceback" in ended.stderr
    assert "CredentialsError" in ended.stderr
    assert_no_secret(company, ended.stdout, ended.stderr)


def test_credentials_show_nothing_of_themselves():
    credentials = Credentials({"client_id": "abc", "client_secret": "abcdef"})
    assert repr(credentials) == "Credentials(client_id=***, client_secret=***)"
    assert credentials.scrubbed("say abcdef and abc") == "say *** and ***"


def test_a_file_of_credentials_is_for_its_owner_alone(tmp_path: Path):
    file = tmp_path / "credentials.yaml"
    file.write_text('access_token: "acc3ss"\n')
    source = CredentialSource(file="credentials.yaml")
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(CredentialsError, match=f"mode 0{mode:o}"):
            find_credentials(source, PULLS["hubspot"], tmp_path / "leadline.yaml")
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    credentials, login = find_credentials(source, PULLS["hubspot"], tmp_path / "leadline.yaml")
    assert (credentials.filled("{access_token}"), login.token) == ("acc3ss", "access_token")


@pytest.mark.parametrize("content", ["acc3ss", "access_token: [acc3ss", "access_token: 12345\n", "- acc3ss\n", "access_token: \n", b"\xff acc3ss"])
def test_a_file_that_cannot_be_understood_is_not_shown(tmp_path: Path, content):
    file = tmp_path / "credentials.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    with pytest.raises(CredentialsError, match="cannot be understood") as caught:
        find_credentials(CredentialSource(file="credentials.yaml"), PULLS["hubspot"], tmp_path / "leadline.yaml")
    assert "acc3ss" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_missing_credentials_are_named(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    cases = {
        "no NOT_THERE": CredentialSource(environment={"client_id": "NOT_THERE"}),
        "there are none": CredentialSource(),
        "no such file": CredentialSource(file="none.yaml"),
    }
    for words, source in cases.items():
        with pytest.raises(CredentialsError, match=words):
            find_credentials(source, PULLS["salesforce"], tmp_path / "leadline.yaml")


@whatever_the_crm
def test_what_is_wrong_with_the_settings_is_said_at_once_without_a_secret(company: Company):
    text = company.file.read_text()
    text = text.replace("client_id: TEST_CLIENT_ID", "client_id: s3cret-typed-here").replace("client_secret:", "client_secert:")
    text = text.replace(f"login_url: {company.crm.server.url}", "login_url: http://example.com").replace("batch_rows: 1", "batch_rows: 0")
    text = text.replace("opportunities/*.parquet", "deals*.csv") + "  fields: {oportunities: [a]}\n  attemps: 3\n"
    company.file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(company.file)
    shown = str(caught.value)
    assert {problem.key for problem in caught.value.problems} == {
        "exports.tables.opportunities.files",
        "pull.login_url",
        "pull.credentials.environment.client_id",
        "pull.credentials.environment.client_secert",
        "pull.batch_rows",
        "pull.fields.oportunities",
        "pull.attemps",
    }
    assert "s3cret" not in shown
    for words in (
        "begins with https://",
        "the name of an environment variable",
        "did you mean client_secret",
        "did you mean attempts",
        "a pattern that holds opportun",
    ):
        assert words in shown, shown


def test_an_unknown_crm_and_one_without_an_address(tmp_path: Path):
    base = "name: T\nstages: [{key: a}]\nexports: {tables: {opportunities: {files: '*/*.parquet'}}}\n"
    for pull, expected in (("{crm: hubspott}", "did you mean hubspot"), ("{crm: salesforce}", "no address of salesforce")):
        (tmp_path / "leadline.yaml").write_text(f"{base}pull: {pull}\n")
        with pytest.raises(ConfigurationError, match=expected):
            load_configuration(tmp_path / "leadline.yaml")
    assert os.listdir(tmp_path) == ["leadline.yaml"]
