"""Expectations of requirement kinds that span rows: each fires on the planted row and on no other."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from assets.exports.exported import NO_OWNERS, PARENTS_SQL
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.reading import read_table
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
    rates = exchange_rates(configured, None, TODAY)
    parents = NO_PARENTS
    if table not in ("opportunities", "leads"):
        above = _judged(folder, "opportunities", configured, engine, Judged(NO_PARENTS, NO_OWNERS, rates))
        parents = engine.arrow(Query(PARENTS_SQL, {"exported_opportunities": above}))
    found = _judged(folder, table, configured, engine, Judged(parents, NO_OWNERS, rates)).select(["_line", "_reasons"]).to_pylist()
    kept = {row["_line"]: tuple(code for code in row["_reasons"] if not code.startswith("not_updated")) for row in found}
    return {line: codes for line, codes in kept.items() if codes}


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
