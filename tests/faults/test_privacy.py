"""E-mails, phones and names of exports reach no published table, page, message or `leadline why`; ids stay keys."""

import json
import re
import sqlite3
from contextlib import closing

import pytest

from tests.faults.command import Company, exports, founded, say, tables

pytestmark = pytest.mark.slow

SECRETS = ("13812345678", "13987654321", "zhang.san", "13800001234", "li@example.com", "wang.wu")
OWNERS = {"U1": "13812345678", "U2": "zhang.san@example.com"}


@pytest.fixture(scope="module")
def private(tmp_path_factory) -> Company:
    """A company whose owners go by phone and e-mail, with such values in a segment, in an amount and in the targets."""
    company = founded(tmp_path_factory.mktemp("private") / "company")
    files = exports()
    deals = files["deals.csv"].replace({"owner_id": OWNERS})
    deals.loc[deals.index % 5 == 0, "source"] = "via wang.wu@example.com"
    deals.loc[deals.index % 7 == 0, "source"] = "via wu@example.com"
    deals.loc[2, "amount"] = "ask 13987654321 or li@example.com"
    deals.loc[1, "created_at"] = "13800001234"
    deals.loc[0, "owner_id"] = "li@example.com"
    company.write(deals=deals, owners=files["owners.csv"].replace({"owner_id": OWNERS}), history=files["history.csv"])
    company.configure(
        "segments: [source]",
        "segments: [source, owner]\ntargets: [{period_start: 2026-07-01, dimension: owner, member: '13812345678', target: 5}]",
    )
    said = company.run()
    assert said.exit_code == 0, said.err
    assert not [secret for secret in SECRETS if secret in said.out + said.err]
    return company


def column(company: Company, sql: str) -> list:
    with closing(sqlite3.connect(company.home.report_database)) as connection:
        return [value for (value,) in connection.execute(sql)]


def test_nothing_that_names_a_person_is_published(private: Company):
    published = json.dumps(tables(private.home.report_database), default=str)
    page = private.home.page.read_text(encoding="utf-8")
    assert not [secret for secret in SECRETS if secret in published]
    assert not [secret for secret in SECRETS if secret in page]
    assert "z***@example.com~" in page and "138****5678~" in page
    assert re.search(r"Zhang San \(138\*\*\*\*5678~[0-9a-f]{6}\)", page)  # a name still finds its masked id


def test_masked_ids_join_and_differ(private: Company):
    of_deals = set(column(private, "SELECT DISTINCT owner_id FROM win_probability"))
    of_segments = set(column(private, "SELECT DISTINCT member FROM win_rates WHERE dimension = 'owner'"))
    assert len(of_deals) >= 2 and of_deals <= of_segments
    sources = set(column(private, "SELECT DISTINCT member FROM win_rates WHERE dimension = 'source'"))
    assert len([name for name in sources if name.startswith("v") or "w***@example.com" in name]) == 2
    assert {name.split("~")[0] for name in sources if "~" in name} == {"via w***@example.com"}


def test_values_are_set_aside_masked(private: Company):
    assert column(private, "SELECT value FROM set_aside_values WHERE column_name = 'amount'") == ["ask 139****4321 or l***@example.com"]


def test_a_target_of_a_masked_owner_stays_his(private: Company):
    cells = private.home.page.read_text(encoding="utf-8")
    assert cells.count("138****5678~") >= 2


def test_a_rerun_gives_the_same_masks(private: Company, tmp_path):
    company = private.copied(tmp_path / "again")
    former = company.published()
    assert company.run().exit_code == 0
    again = company.published()
    assert {name for name in again if again[name] != former[name]} <= {"run_log", "page"}


def test_why_masks_what_it_quotes(private: Company):
    said = say("why", "deals.csv:2", "deals.csv:3", "deals.csv:4", "D0004", "--home", str(private.home.path))
    assert said.exit_code == 0, said.err
    assert not [secret for secret in SECRETS if secret in said.out]
    assert "138****5678~" in said.out or "z***@example.com~" in said.out
    assert "created_at: found '138****1234'" in said.out


@pytest.mark.slow
def test_names_of_owners_are_masked_where_configured(private: Company, tmp_path):
    company = private.copied(tmp_path / "masked")
    company.configure("segments:", "mask_owners: true\nsegments:")
    files = exports()
    names = {"U1": "张伟", "U2": "李娜"}
    company.write(deals=files["deals.csv"].replace({"owner_id": names}), owners=files["owners.csv"].replace({"owner_id": names}))
    assert company.run().exit_code == 0
    published = json.dumps(tables(company.home.report_database), default=str, ensure_ascii=False) + company.home.page.read_text(encoding="utf-8")
    said = say("why", "D0004", "--home", str(company.home.path))
    assert not [name for name in (*names.values(), "Zhang San") if name in published + said.out]
    assert "张*~" in published and ("张*~" in said.out or "李*~" in said.out)
