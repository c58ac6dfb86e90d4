"""Which header is which column, and what is said where that cannot be told."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from assets.exports.crm import CRMS, crm_named
from assets.exports.errors import HeaderProblems, SourceProblems
from assets.exports.headers import check_source, map_headers, take_apart
from assets.exports.settings import TableSource
from quality.tables import EXPORTED
from tests.exports_written import configuration

OPPORTUNITIES = EXPORTED["opportunities"]


def mapped(headers: list[str], crm: str = "plain", table: str = "opportunities", **source):
    return map_headers(headers, EXPORTED[table], TableSource(files=["x.csv"], **source), CRMS[crm], "x.csv")


def problems(headers: list[str], **arguments) -> tuple[str, ...]:
    with pytest.raises(HeaderProblems) as error:
        mapped(headers, **arguments)
    return error.value.problems


@pytest.mark.parametrize("header", ["opportunity_id", "Opportunity ID", "\ufeffopportunity_id", "OPPORTUNITY-ID", " opportunity_id "])
def test_case_blanks_and_marks_of_a_header_do_not_matter(header):
    assert mapped([header]).columns["opportunity_id"].position == 0


def test_the_configuration_goes_before_the_crm_and_the_crm_before_nothing():
    found = mapped(["Id", "Amount", "ACV"], crm="salesforce", columns={"amount": "ACV"})
    assert (found.columns["amount"].header, found.unmapped) == ("ACV", ("Amount",))


def test_one_header_may_serve_two_columns():
    found = mapped(["Id", "CloseDate"], crm="salesforce")
    assert found.columns["expected_close_date"].position == found.columns["closed_at"].position == 1


def test_a_header_to_the_letter_goes_before_one_that_is_only_alike():
    assert mapped(["opportunity_id", "amount", "AMOUNT "]).columns["amount"].header == "amount"


def test_declared_preference_settles_headers_that_stand_together_by_design():
    found = mapped(["Id", "ForecastCategory", "ForecastCategoryName"], crm="salesforce")
    assert found.columns["forecast_category"].header == "ForecastCategoryName"


def test_two_headers_for_one_column_are_an_error_that_the_configuration_settles():
    (problem,) = problems(["商机编号", "商机号"], crm="chinese")
    assert "'商机编号', '商机号' all stand for opportunity_id" in problem
    assert "exports.tables.opportunities.columns.opportunity_id" in problem
    assert mapped(["商机编号", "商机号"], crm="chinese", columns={"opportunity_id": "商机号"}).columns["opportunity_id"].position == 1


def test_a_repeated_header_is_an_error_where_it_is_used():
    assert "'amount' stands there 2 times" in problems(["opportunity_id", "amount", "amount"])[0]
    assert mapped(["opportunity_id", "memo", "memo"]).unmapped == ("memo", "memo")


def test_a_missing_required_column_says_what_was_looked_for_and_what_is_there():
    (problem,) = problems(["Opportunity Idd", "StageName"], crm="salesforce")
    assert problem.startswith("x.csv: missing required column opportunity_id: looked for headers Id, Opportunity ID, OppID, opportunity_id")
    assert "the file has 'Opportunity Idd', 'StageName'" in problem
    assert "nearest: 'Opportunity Idd'" in problem
    assert "map it under exports.tables.opportunities.columns" in problem


def test_every_problem_is_reported_at_once():
    found = problems(["amount", "amount", "stage"], columns={"owner_id": "Seller"}, constants={"stage": "Talk"}, required=("region",))
    assert len(found) == 5
    assert any("names the header 'Seller'" in p for p in found)
    assert any("the header 'stage' holds it" in p for p in found)


def test_what_looks_like_a_person_is_not_shown_as_a_header():
    (problem,) = problems(["13800138001", "wang@example.com", "x"])
    assert "13800138001" not in problem
    assert "wang" not in problem
    assert "'x'" in problem


def test_required_columns_follow_from_contract_and_configuration_and_a_constant_fills_one():
    assert "entered_at" in problems(["opportunity_id", "stage"], table="stage_history")[0]
    assert not mapped(["opportunity_id"], required=("region",), constants={"region": "North"}).unmapped
    assert "metric" not in mapped(["period_kind", "period_start", "dimension", "member", "target"], table="targets").columns


@pytest.mark.parametrize(
    ("header", "base", "scale", "percent", "currency"),
    [
        ("金额(万元)", "金额", 10_000, False, None),
        ("预计金额（万元）", "预计金额", 10_000, False, None),
        ("金额（元）", "金额", 1, False, None),
        ("金额/万元", "金额", 10_000, False, None),
        ("合同金额_亿", "合同金额", 100_000_000, False, None),
        ("Amount (k)", "Amount", 1000, False, None),
        ("Amount [USD k]", "Amount", 1000, False, "USD"),
        ("Amount (EUR)", "Amount", None, False, "EUR"),
        ("Amount (in millions)", "Amount", 1_000_000, False, None),
        ("Probability (%)", "Probability", None, True, None),
        ("Amount (converted)", "Amount (converted)", None, False, None),
        ("Amount ()", "Amount ()", None, False, None),
        ("(万元)", "(万元)", None, False, None),
    ],
)
def test_a_header_is_taken_apart(header, base, scale, percent, currency):
    apart = take_apart(header)
    assert (apart.base, apart.scale, apart.is_percent, apart.currency) == (base, None if scale is None else Decimal(scale), percent, currency)


def test_a_unit_does_not_hide_a_header():
    column = mapped(["商机编号", "预计金额（万元）"], crm="chinese").columns["amount"]
    assert (column.position, column.scale) == (1, Decimal(10_000))


def test_the_configuration_of_a_table_is_checked_against_the_contract():
    source = TableSource(files=["x"], columns={"amuont": "A", "stage": "S"}, constants={"stage": "Talk"}, required=["owner"], stage_dates={"talkk": "T"})
    with pytest.raises(SourceProblems) as error:
        check_source(OPPORTUNITIES, source, configuration({"opportunities": {"files": "x"}}))
    assert len(error.value.problems) == 4
    assert "nearest: 'amount'" in error.value.problems[0]
    with pytest.raises(SourceProblems, match="only opportunities have them"):
        check_source(EXPORTED["leads"], TableSource(files=["x"], stage_dates={"talk": "T"}), configuration({"opportunities": {"files": "x"}}))


def test_an_unknown_crm_is_told_the_nearest_one():
    with pytest.raises(SourceProblems, match="nearest: 'salesforce'"):
        crm_named("salesforse")


@pytest.mark.parametrize("crm", CRMS.values(), ids=lambda crm: crm.name)
def test_a_declaration_names_only_tables_and_columns_of_the_contracts(crm):
    for part in (crm.headers, crm.percent, crm.constants):
        for table, columns in part.items():
            assert {*columns} <= {c.name for c in EXPORTED[table].columns}, table


@pytest.mark.parametrize("crm", CRMS.values(), ids=lambda crm: crm.name)
def test_every_spelling_of_a_declaration_is_found(crm):
    for table, columns in crm.headers.items():
        contract = EXPORTED[table].to_metadata(sa.MetaData())
        for column in contract.columns:
            column.nullable = True
        for name, spellings in columns.items():
            for spelling in (s for group in spellings for s in ((group,) if isinstance(group, str) else group)):
                assert map_headers([spelling], contract, TableSource(files=["x"]), crm, "x").columns[name].header == spelling
