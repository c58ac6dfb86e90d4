"""Companies that have nothing of something: each gets a page and tables, and no number that nobody can know."""

import pytest

from pipelines.report_db import ReportDatabase
from tests.faults.command import END, Company, exports, founded

pytestmark = pytest.mark.slow


@pytest.fixture
def company(tmp_path) -> Company:
    return founded(tmp_path)


def rows_of(company: Company, table: str):
    return ReportDatabase(company.home.report_database_url).read(table, END)


def published(company: Company, **files) -> None:
    company.write(**files)
    said = company.run()
    assert said.exit_code == 0, said.err


def test_nothing_is_open(company: Company):
    made = exports(END)
    deals = made["deals.csv"][made["deals.csv"]["closed_at"] != ""]
    history = made["history.csv"][made["history.csv"]["opportunity_id"].isin(deals["opportunity_id"])]
    published(company, deals=deals, history=history)
    assert rows_of(company, "win_probability").empty
    forecast = rows_of(company, "revenue_forecast").set_index(["dimension", "period_kind", "component"]).loc["all"].loc["month"]
    assert (forecast.loc["open_pipeline", "mean"] == 0).all()
    assert forecast.loc["new_business", "mean"].sum() > 0


def test_nothing_has_closed_yet(company: Company):
    """One deal: it is neither lost for certain nor won for certain."""
    made = exports(END)
    deals = made["deals.csv"][made["deals.csv"]["closed_at"] == ""].iloc[:1]
    history = made["history.csv"][made["history.csv"]["opportunity_id"].isin(deals["opportunity_id"])]
    published(company, deals=deals, history=history)
    deal = rows_of(company, "win_probability").iloc[0]
    assert 0.2 < deal["p_won"] < 0.3


def test_no_amount_is_known(company: Company):
    made = exports(END)
    published(company, deals=made["deals.csv"].assign(amount=""), history=made["history.csv"])
    assert len(rows_of(company, "win_probability")) > 0
    assert rows_of(company, "revenue_forecast").empty
