"""Expectations of requirement kinds that span rows: each fires on the planted row and on no other."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from assets.exports.exported import NO_OWNERS, PARENTS_SQL
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.reading import read_table
from assets.exports.settings import Configuration
from assets.query import Query
from pipelines.engine.duckdb import DuckDB
from tests.exports_written import configuration, write

TODAY = date(2025, 6, 30)
OPPORTUNITIES = "opportunity_id,account_id,owner_id,stage,created_at,closed_at\n"
HISTORY = "opportunity_id,stage,entered_at,exited_at\n"
LEADS = "lead_id,account_name,captured_at,phone,email,need\n"


def reasons(folder: Path, table: str, files: dict[str, str], **company) -> dict[int, tuple[str, ...]]:
    """Codes of the findings by line of ``table``, of those that have any (leaving out timeliness)."""
    tables = {name: {"files": f"{name}.csv"} for name in ("opportunities", *files)}
    configured = configuration(tables, **company)
    write(folder, {f"{name}.csv": text for name, text in {"opportunities": OPPORTUNITIES, **files}.items()})
    engine = DuckDB(folder)
    found = _judged(folder, table, configured, engine, _neighbours(folder, table, configured, engine)).select(["_line", "_reasons"]).to_pylist()
    kept = {row["_line"]: tuple(code for code in row["_reasons"] if not code.startswith("not_updated")) for row in found}
    return {line: codes for line, codes in kept.items() if codes}


def _neighbours(folder: Path, table: str, configured: Configuration, engine: DuckDB, owners: pa.Table = NO_OWNERS) -> Judged:
    """What judging needs to know: of other tables than opportunities and leads the judged opportunities, too."""
    alone = Judged(NO_PARENTS, owners, exchange_rates(configured, None, TODAY))
    if table in ("opportunities", "leads"):
        return alone
    above = _judged(folder, "opportunities", configured, engine, alone)
    return replace(alone, parents=engine.arrow(Query(PARENTS_SQL, {"exported_opportunities": above})))


def _judged(folder, table, configured, engine, neighbours) -> pa.Table:
    typed = read_table(folder, table, configured)
    return judge(table, typed.rows, typed.faults, configured, engine, TODAY, neighbours)


def test_open_deals_of_one_customer_with_several_owners(tmp_path):
    """K1 has two owners; K2's second owner works a closed deal; K3's deals have one owner."""
    rows = "a,K1,eva,talk,2025-01-01,\nb,K1,max,talk,2025-01-01,\nc,K2,eva,talk,2025-01-01,\nd,K2,max,won,2025-01-01,2025-02-01\ne,K3,eva,talk,2025-01-01,\nf,,max,talk,2025-01-01,\n"
    found = reasons(tmp_path, "opportunities", {"opportunities": OPPORTUNITIES + rows})
    assert {line: codes for line, codes in found.items() if "several_owners" in codes} == {2: ("several_owners",), 3: ("several_owners",)}


def test_entry_before_the_exit_of_the_stage_before(tmp_path):
    """a leaves on the 10th and enters the next stage on the 8th; b enters it the moment it left; a row twice is no overlap."""
    deals = "a,K,eva,talk,2025-01-01,\nb,K,eva,talk,2025-01-01,\n"
    history = "a,talk,2025-01-01,2025-01-10\na,talk,2025-01-08,\nb,talk,2025-01-02 08:00,2025-01-05 09:00\nb,talk,2025-01-02 08:00,2025-01-05 09:00\nb,talk,2025-01-05 09:00,\n"
    found = reasons(tmp_path, "stage_history", {"opportunities": OPPORTUNITIES + deals, "stage_history": HISTORY + history})
    assert found == {3: ("entered_before_previous_exit",)}


def test_leads_submitted_again(tmp_path):
    """The phone is compared by its digits, the e-mail without case; a need again after 45 days is a new one."""
    rows = (
        "1,Acme,2025-01-01,+49 30 1234598,Eva@Example.com,CRM for 40 people\n"
        "2,Beta,2025-01-02,0049-30 99 887 71,max@example.com,a new website\n"
        "3,Acme,2025-01-20,+49 30 555 66 71,,CRM for 40 people\n"
        "4,Gamma,2025-02-01,+49301234598,,spare parts\n"
        "5,Delta,2025-02-02,,eva@example.com,training\n"
        "6,Acme,2025-03-06,+49 30 777 12 90,,CRM for 40 people\n"
    )
    assert reasons(tmp_path, "leads", {"leads": LEADS + rows}) == {4: ("repeated_need",), 5: ("repeated_contact",), 6: ("repeated_contact",)}


@pytest.mark.parametrize(
    "need, code",
    [("大概有需求", "vague_need"), ("Maybe interested", "vague_need"), ("", "no_intent"), ("无意向", "no_intent"), ("not interested", "no_intent")],
)
def test_needs_that_say_nothing(tmp_path, need, code):
    rows = f"1,A,2025-01-01,+49 30 1234598,,40 seats by May\n2,B,2025-01-01,+49 30 9988771,,{need}\n"
    assert reasons(tmp_path, "leads", {"leads": LEADS + rows}) == {3: (code,)}


@pytest.mark.parametrize("phone, codes", [("00000000", ("placeholder_phone",)), ("1234567", ("placeholder_phone",)), ("call me", ("phone_format",))])
def test_phones_that_nobody_can_call(tmp_path, phone, codes):
    rows = f"1,A,2025-01-01,138-0013-8000,,40 seats\n2,B,2025-01-01,(030) 99 88 77-1 ext. 12,,chairs\n3,C,2025-01-01,{phone},,desks\n"
    assert reasons(tmp_path, "leads", {"leads": LEADS + rows}) == {4: codes}


def test_addresses_and_configured_formats(tmp_path):
    rows = "LX001,A,2025-01-01,,a@example.com,40 seats\nLX2,B,2025-01-01,,b@example,chairs\n"
    found = reasons(tmp_path, "leads", {"leads": LEADS + rows}, formats={"leads.lead_id": "LX[0-9]{3}"})
    assert found == {3: ("email_format", "lead_id_format")}


def judged_rows(folder: Path, table: str, files: dict[str, str], owners: pa.Table = NO_OWNERS, **company) -> list[dict]:
    """All rows of one table with their verdicts."""
    configured = configuration({name: {"files": f"{name}.csv"} for name in ("opportunities", *files)}, **company)
    write(folder, {f"{name}.csv": text for name, text in {"opportunities": OPPORTUNITIES, **files}.items()})
    engine = DuckDB(folder)
    return _judged(folder, table, configured, engine, _neighbours(folder, table, configured, engine, owners)).to_pylist()


def test_a_value_outside_bounds_that_only_warn_is_set_aside(tmp_path):
    text = "opportunity_id,stage,created_at,crm_probability,amount\na,talk,2025-01-01,150%,100\nb,talk,2025-01-01,40%,-500\n"
    a, b = judged_rows(tmp_path, "opportunities", {"opportunities": text}, severities={"amount_out_of_range": "warning"})
    assert (a["_verdict"], a["crm_probability"], a["amount_reporting"]) == ("accepted", None, 100)
    assert a["_set_aside"] == [{"column": "crm_probability", "value": "1.5", "expected": "crm_probability is at least 0 and at most 1"}]
    assert (b["_verdict"], b["crm_probability"], b["amount"], b["amount_reporting"]) == ("accepted", 0.4, None, None)


def test_an_amount_without_a_rate_is_not_taken_for_the_reporting_currency(tmp_path):
    text = "opportunity_id,stage,created_at,amount,currency\na,talk,2025-01-01,10000000,JPY\nb,talk,2025-01-01,7,\nc,talk,2025-01-01,2,USD\n"
    rows = judged_rows(tmp_path, "opportunities", {"opportunities": text}, currency="EUR", exchange_rates={"USD": 0.5})
    assert [row["amount_reporting"] for row in rows] == [None, 7, 1]


def test_an_owner_is_unknown_also_where_an_exported_owner_has_no_id(tmp_path):
    text = "opportunity_id,stage,created_at,owner_id\na,talk,2025-01-01,eva\nb,talk,2025-01-01,nobody\n"
    rows = judged_rows(tmp_path, "opportunities", {"opportunities": text}, owners=pa.table({"owner_id": ["eva"]}))
    assert [row["ok_owner_known"] for row in rows] == [True, False]


def test_only_the_newest_version_of_a_row_is_to_be_mended(tmp_path):
    """a is wrong in both files, b was wrong and is mended, c became wrong: two are to be mended, and c's last accepted version is in force."""
    header = "opportunity_id,stage,created_at\n"
    write(tmp_path, {"deals-2025-06-01.csv": header + "a,?,2025-01-01\nb,?,2025-01-01\nc,talk,2025-01-01\n"})
    write(tmp_path, {"deals-2025-06-02.csv": header + "a,?,2025-01-01\nb,talk,2025-01-01\nc,?,2025-01-01\n"})
    configured = configuration({"opportunities": {"files": "deals*.csv"}})
    rows = _judged(tmp_path, "opportunities", configured, DuckDB(tmp_path), Judged(NO_PARENTS, NO_OWNERS, exchange_rates(configured, None, TODAY))).to_pylist()
    to_mend = [(row["opportunity_id"], row["_snapshot"].day) for row in rows if row["_is_current"] and row["_verdict"] == "rejected"]
    assert to_mend == [("a", 2), ("c", 2)]
    assert [(row["opportunity_id"], row["_is_stale"]) for row in rows if row["_verdict"] == "accepted"] == [("c", True), ("b", False)]


def test_a_shelved_deal_is_lost_for_that_reason(tmp_path):
    text = "opportunity_id,stage,created_at,closed_at,loss_reason\na,已搁置,2025-01-01,2025-02-01,\nb,lost,2025-01-01,2025-02-01,\nc,无效,2025-01-01,2025-02-01,price\n"
    rows = judged_rows(tmp_path, "opportunities", {"opportunities": text}, pipelines=[{"stages": [{"key": "talk"}]}])
    assert [(row["status"], row["loss_reason"]) for row in rows] == [("lost", "已搁置"), ("lost", None), ("lost", "price")]


def test_the_history_names_the_pipeline_of_each_entry(tmp_path):
    """The deal is in the second pipeline now; its first entry was in the first one."""
    pipelines = [{"key": "one", "stages": [{"key": "talk"}]}, {"key": "two", "stages": [{"key": "quote"}]}]
    deals = "opportunity_id,stage,created_at,pipeline\na,quote,2025-01-01,two\n"
    history = "opportunity_id,stage,entered_at,pipeline\na,talk,2025-01-01,one\na,quote,2025-02-01,two\n"
    assert reasons(tmp_path, "stage_history", {"opportunities": deals, "stage_history": history}, pipelines=pipelines) == {}


def test_a_payment_is_in_the_currency_of_its_opportunity(tmp_path):
    deals = "opportunity_id,owner_id,stage,created_at,amount,currency\na,eva,talk,2025-01-01,10,EUR\nb,eva,talk,2025-01-01,10,\nc,eva,talk,2025-01-01,10,XXX\n"
    due = "opportunity_id,kind,due_at,amount\na,final,2025-03-01,100\nb,final,2025-03-01,100\nc,final,2025-03-01,100\nd,final,2025-03-01,100\n"
    rows = judged_rows(tmp_path, "payments", {"opportunities": deals, "payments": due}, currency="CNY", exchange_rates={"EUR": 8})
    assert [(row["opportunity_id"], row["amount_reporting"], row["_reasons"]) for row in rows] == [
        ("a", 800, []), ("b", 100, []), ("c", None, ["parent_rejected"]), ("d", 100, ["unknown_opportunity"]),
    ]  # fmt: skip


def test_calls_for_a_month_and_a_quarter_that_begin_on_one_day_are_two(tmp_path):
    header = "period_kind,period_start,dimension,member,category,amount,called_at\n"
    calls = "month,2025-04-01,all,all,commit,100,2025-04-02\nquarter,2025-04-01,all,all,commit,300,2025-04-02\n,2025-04-01,all,all,commit,1,2025-04-02\n"
    rows = judged_rows(tmp_path, "forecast_calls", {"forecast_calls": header + calls + "quarter,2025-04-01,all,all,commit,310,2025-04-02\n"})
    assert [row["_verdict"] for row in rows] == ["accepted", "superseded", "accepted", "accepted"]


def test_an_amount_that_is_quoted_keeps_its_digits_and_a_phone_in_a_text_does_not(tmp_path):
    text = "opportunity_id,stage,created_at,amount,expected_close_date,closed_at\n"
    text += "a,talk,2025-01-01,about 1500000,ask 415 555 0123,\nb,talk,2025-01-01,ask 13812345678,,\n"
    a, b = judged_rows(tmp_path, "opportunities", {"opportunities": text})
    assert [(aside["column"], aside["value"]) for aside in a["_set_aside"]] == [("amount", "about 1500000"), ("expected_close_date", "ask 41****23")]
    assert [aside["value"] for aside in b["_set_aside"]] == ["ask 138****5678"]
