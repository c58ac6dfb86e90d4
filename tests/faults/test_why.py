"""What `leadline why` says of deals and of rows of exports, and what it says when nothing is known."""

import json

import pandas as pd
import pytest

from pipelines.report_db import ReportDatabase
from tests.faults.command import END, PERSONAL, Company, exports, refused, say

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dirty(published_company: Company, tmp_path_factory) -> Company:
    """The company after a run on exports with a few bad rows: line 2 an unknown stage, 3 two bad dates, 4 a bad amount, 5 an older copy."""
    company = published_company.copied(tmp_path_factory.mktemp("why") / "company")
    deals = exports()["deals.csv"]
    deals.loc[0, "stage"] = "ask 13800001234"
    deals.loc[1, ["created_at", "closed_at"]] = ["31 Feb", "later, wang@example.com"]
    deals.loc[:1, "amount"] = "1000"  # little, because a deal in an unknown stage may be open
    deals.loc[2, "amount"] = "about 5, call 13800001234"
    copied = deals.loc[[3]].assign(updated_at="2024-01-01")
    company.write(deals=pd.concat([deals.iloc[:3], copied, deals.iloc[3:]], ignore_index=True))
    said = company.run()
    assert said.exit_code == 0, said.err
    return company


def why(company: Company, *asked: str):
    said = say("why", *asked, "--home", str(company.home.path))
    assert not [w for w in PERSONAL if w in said.out + said.err]
    return said


def test_why_explains_a_rejected_row(dirty: Company):
    said = why(dirty, "deals.csv:3")
    assert said.exit_code == 0, said.err
    assert "rejected: deals.csv, line 3 (opportunities); first seen 2026-06-30, to be mended by 2026-07-02 00:00" in said.out
    assert "of opportunity D0002, owner_id U1" in said.out
    assert "unreadable_created_at: created_at: found '31 Feb'; expected: " in said.out
    assert "unreadable_closed_at: closed_at: found 'later, w***@example.com'; expected: " in said.out
    assert "to do: correct the value at the source, or declare its form in the configuration" in said.out


def test_why_quotes_what_a_rule_found_masked_and_says_what_to_do(dirty: Company):
    said = why(dirty, "deals.csv:2")
    assert "unknown_stage: stage: found 'ask 138****1234'; expected: the stage is one of the configured spellings" in said.out
    assert "to do: correct the stage, or add its spelling to the configuration" in said.out


def test_a_rejected_child_is_its_opportunitys_owners_to_mend(dirty: Company):
    rejected = ReportDatabase(dirty.home.report_database_url).read("rejected_rows", END)
    children = rejected[rejected["table_name"] == "stage_history"]
    assert children.set_index("opportunity_id")["owner_id"].to_dict() == {"D0001": "U2", "D0002": "U1"}


def test_reasons_name_column_expectation_and_remedy(dirty: Company):
    rejected = ReportDatabase(dirty.home.report_database_url).read("rejected_rows", END).set_index(["table_name", "line"])
    closed, created = json.loads(rejected.loc[("opportunities", 3), "reasons"])
    assert (closed["column"], created["column"]) == ("closed_at", "created_at")
    assert created["expected"] == "the value can be read in one of the declared forms" and created["remedy"].startswith("correct the value at the source")
    (stage,) = json.loads(rejected.loc[("opportunities", 2), "reasons"])
    assert stage["column"] is None and stage["remedy"] == "correct the stage, or add its spelling to the configuration"


def test_why_says_what_became_of_a_row_that_was_not_rejected(dirty: Company):
    said = why(dirty, "deals.csv:4", "deals.csv:5", "deals.csv:6")
    assert said.exit_code == 0, said.err
    assert "accepted: deals.csv, line 4 (opportunities) of the opportunity D0003" in said.out
    assert "set aside: amount: found 'about 5, call 138****1234'; expected: " in said.out
    assert "superseded: a newer version of it, or an equal row, is in force: deals.csv, line 5 (opportunities) of the opportunity D0004" in said.out
    assert "accepted: deals.csv, line 6 (opportunities) of the opportunity D0004" in said.out


def test_why_prints_what_is_found_before_it_names_what_is_not(dirty: Company):
    said = why(dirty, "D9999", "deals.csv:3", "nowhere.csv:3")
    assert said.exit_code == 8
    assert "rejected: deals.csv, line 3" in said.out
    assert "is called 'D9999' or 'nowhere.csv:3' as of 2026-06-30" in said.err


def test_why_explains_an_opportunity(dirty: Company):
    open_deal = ReportDatabase(dirty.home.report_database_url).read("win_probability", END)["opportunity_id"].iloc[0]
    said = why(dirty, open_deal, "D0001")
    assert said.exit_code == 0, said.err
    for words in (
        f"{open_deal}, as of 2026-06-30",
        "state: ",
        "visit: ",
        "win_probability: ",
        "exported in opportunities: file deals.csv, line ",
        "D0001, as of",
    ):
        assert words in said.out
    assert "rejected: deals.csv, line 2 (opportunities)" in said.out


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["D9999"], ["no opportunity and no row of an export is called 'D9999' as of 2026-06-30", "FILE:LINE"]),
        (["deals.csv:999"], ["is called 'deals.csv:999'", "FILE:LINE of a row"]),
        (["D0001' OR 1=1 --"], ["no opportunity and no row"]),
        (["D0001", "--as-of", "2020-01-01"], ["nothing has been published as of 2020-01-01", "the newest are 2026-06-30"]),
        (["D0001", "--home", "nowhere"], ["nothing has been published here", "name another folder with --home"]),
    ],
)
def test_why_knows_nothing_of_it(dirty: Company, tmp_path, monkeypatch, asked: list[str], words: list[str]):
    monkeypatch.chdir(tmp_path)
    said = say("why", "--home", str(dirty.home.path), *asked)
    refused(said, 8, *words)
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []
