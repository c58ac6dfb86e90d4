"""Runs on exports that were not made for Leadline, against what a person finds in them by hand.

What is expected is counted here from the files' text with pandas alone, or is a literal that somebody once counted;
what is compared is what a run published. The configurations beside this file say why each choice was made.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from assets.forecasts.record import covariates
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake, read_frame
from pipelines.resources import Place
from pipelines.run import Outcome, run_job

CONFIGURATIONS = Path(__file__).parent / "configurations"
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the third-party exports are not beside this checkout (expected {DATA})")

MOVEMENTS = ["entered_new", "entered_advanced", "entered_regressed", "advanced", "regressed", "won", "lost"]


@dataclass(frozen=True)
class Run:
    """A finished run: what it published and what it left in the lake."""

    outcome: Outcome

    def published(self, table: str) -> pd.DataFrame:
        return self.outcome.database.read(table, self.outcome.as_of)

    def lake(self, table: str) -> pd.DataFrame:
        home = self.outcome.home
        return read_frame(Path(Lake(home.lake, DuckDB(home.spill), self.outcome.as_of).parquet(table).path))

    def months(self, table: str) -> pd.DataFrame:
        """The company's rows of a metric by month, as YYYY-MM."""
        rows = self.published(table)
        rows = rows[(rows["period_kind"] == "month") & (rows["dimension"] == "all")]
        return rows.assign(month=pd.to_datetime(rows["period_start"]).dt.strftime("%Y-%m")).set_index("month")

    def log(self) -> pd.Series:
        return self.published("run_log").iloc[0]

    def findings(self) -> dict[str, tuple[int, int]]:
        """Failed and checked rows of every expectation that some row failed, by table and code."""
        found = self.published("data_quality")
        found = found[found["failed"] > 0]
        return {f"{t}.{e}": (f, c) for t, e, f, c in zip(found["table_name"], found["expectation"], found["failed"], found["checked"])}

    def page(self) -> str:
        return self.outcome.home.page.read_text(encoding="utf-8")


def finished(name: str, home: Path) -> Run:
    place = Place(config=str(CONFIGURATIONS / f"{name}.yaml"), exports=str(DATA / name), home=str(home))
    return Run(run_job("leadline", place, None, lambda told: None, debug=True))


@pytest.fixture(scope="module")
def maven(tmp_path_factory) -> Run:
    return finished("maven_crm", tmp_path_factory.mktemp("maven"))


@pytest.fixture(scope="module")
def trailhead(tmp_path_factory) -> Run:
    return finished("salesforce_trailhead", tmp_path_factory.mktemp("trailhead"))


@pytest.fixture(scope="module")
def loans(tmp_path_factory) -> Run:
    return finished("loan_funnel", tmp_path_factory.mktemp("loans"))


@cache
def by_hand(name: str) -> pd.DataFrame:
    """A file as text."""
    return pd.read_csv(DATA / name, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def sums_by(month: pd.Series, amount: pd.Series) -> pd.Series:
    return pd.to_numeric(amount).groupby(month).sum()


def assert_months(published: pd.DataFrame, column: str, expected: pd.Series) -> None:
    """The published months hold what was counted by month, and nothing was counted in any other month."""
    assert expected.sum() == pytest.approx(published[column].sum())
    pd.testing.assert_series_equal(published[column].astype(float), expected.reindex(published.index, fill_value=0).astype(float), check_names=False, rtol=1e-9)


def movements(entries: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """What happens in each month and stage, from every entry (deal, stage, day) in the order of time within a deal."""
    rank = {stage: place for place, stage in enumerate(order)}
    stays = entries[entries["stage"] != entries.groupby("deal")["stage"].shift()]
    deal = stays.groupby("deal")
    here, before, after = stays["stage"].map(rank), deal["stage"].shift().map(rank), deal["stage"].shift(-1)
    came = pd.Series("entered_new", index=stays.index).mask(before < here, "entered_advanced").mask(before > here, "entered_regressed")
    left = after.where(after.isin(["won", "lost"])).mask(after.map(rank) > here, "advanced").mask(after.map(rank) < here, "regressed")
    ins = pd.DataFrame({"month": stays["day"].str[:7], "stage": stays["stage"], "movement": came})
    outs = pd.DataFrame({"month": deal["day"].shift(-1).str[:7], "stage": stays["stage"], "movement": left})
    both = pd.concat([ins, outs.dropna()])
    both = both[both["stage"].isin(order)]
    return both.groupby(["month", "stage", "movement"]).size().unstack(fill_value=0).reindex(columns=MOVEMENTS, fill_value=0)


def assert_flows(run: Run, expected: pd.DataFrame, closing: dict[str, int]) -> None:
    """The published flow is the one counted by hand, every month ends as the next begins, and the last with what is open."""
    flow = run.months("funnel_flow").reset_index().set_index(["month", "stage"])
    assert expected.sum().to_dict() == flow[MOVEMENTS].sum().to_dict()
    pd.testing.assert_frame_equal(flow[MOVEMENTS].sort_index(), expected.reindex(flow.index, fill_value=0).sort_index(), check_names=False, check_dtype=False)
    stock = expected[["entered_new", "entered_advanced", "entered_regressed"]].sum(axis=1) - expected[["advanced", "regressed", "won", "lost"]].sum(axis=1)
    stock = stock.unstack(fill_value=0).cumsum()
    by_stage = flow["closing"].unstack()
    pd.testing.assert_frame_equal(by_stage.fillna(0), stock.reindex(by_stage.index).ffill().fillna(0), check_names=False, check_dtype=False)
    assert by_stage.iloc[-1].to_dict() == closing


ROWS = {
    "maven_crm": {
        "opportunities": {"sales_pipeline.csv": 8_800},
        "accounts": {"accounts.csv": 85},
        "owners": {"sales_teams.csv": 35},
    },
    "salesforce_trailhead": {"opportunities": {"Opportunity.csv": 219}, "stage_history": {"Opportunity History.csv": 584}},
    "loan_funnel": {"opportunities": {"cases.csv": 6_426}, "stage_history": {"stage_events.csv.gz": 42_156}},
}


@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        ("maven", "maven_crm"),
        pytest.param("trailhead", "salesforce_trailhead", marks=pytest.mark.slow),
        pytest.param("loans", "loan_funnel", marks=pytest.mark.slow),
    ],
)
def test_every_row_is_read_and_accepted(fixture, name, request):
    run = request.getfixturevalue(fixture)
    for files in ROWS[name].values():
        for file, rows in files.items():
            assert len(by_hand(f"{name}/{file}")) == rows
    all_accepted = {
        table: {file: {"read": n, "accepted": n, "superseded": 0, "rejected": 0} for file, n in files.items()} for table, files in ROWS[name].items()
    }
    log = run.log()
    assert json.loads(log["counts"]) == all_accepted
    total = sum(n for files in ROWS[name].values() for n in files.values())
    assert log[["rows_read", "rows_accepted", "rows_superseded", "rows_rejected"]].tolist() == [total, total, 0, 0]
    assert run.published("rejected_rows").empty
    assert run.published("set_aside_values").empty
    assert f"<strong>{total:,}</strong> rows read" in run.page() or f"{total:,} rows read" in run.page()


@pytest.mark.parametrize(
    ("fixture", "as_of", "found_in"),
    [
        ("maven", "2017-12-31", "opportunities.closed_at"),
        pytest.param("trailhead", "2022-12-24", "stage_history.entered_at", marks=pytest.mark.slow),
        pytest.param("loans", "2011-12-14", "opportunities.created_at", marks=pytest.mark.slow),
    ],
)
def test_the_as_of_date_is_the_newest_fact(fixture, as_of, found_in, request):
    run = request.getfixturevalue(fixture)
    assert run.outcome.as_of.isoformat() == as_of
    assert found_in in run.log()["as_of_from"]


# maven_crm


def test_maven_deals_are_in_the_state_of_their_row(maven):
    text = by_hand("maven_crm/sales_pipeline.csv")
    deals = maven.lake("opportunities")
    assert text["deal_stage"].value_counts().to_dict() == {"Won": 4_238, "Lost": 2_473, "Engaging": 1_589, "Prospecting": 500}
    assert deals["stage"].value_counts().to_dict() == {"won": 4_238, "lost": 2_473, "engaging": 1_589, "prospecting": 500}
    assert deals["status"].value_counts().to_dict() == {"won": 4_238, "lost": 2_473, "open": 2_089}
    # Nobody knows since when a deal has been prospected for, what an open deal is worth or what a lost one would have been.
    assert deals.loc[deals["stage"] == "prospecting", ["created_at", "stage_entered_at"]].isna().all(axis=None)
    assert deals.loc[deals["status"] != "won", "amount"].isna().all()
    assert not deals.loc[deals["status"] == "won", "amount"].isna().any()
    left_out = {(entry["what"], entry["why"]) for entry in json.loads(maven.log()["skipped"])}
    assert ("flow, conversion and dwell of 500 opportunities", "no date is known for any of their stages") in left_out
    assert any(what == "own amounts of 2089 open opportunities" for what, _ in left_out)


def test_maven_months_are_those_counted_by_hand(maven):
    text = by_hand("maven_crm/sales_pipeline.csv")
    won, lost = text[text["deal_stage"] == "Won"], text[text["deal_stage"] == "Lost"]
    assert set(lost["close_value"]) == {"0"}
    published = maven.months("win_rates")
    closed_in, lost_in = won["close_date"].str[:7], lost["close_date"].str[:7]
    assert_months(published, "created", text.loc[text["engage_date"] != "", "engage_date"].str[:7].value_counts())
    assert_months(published, "won", closed_in.value_counts())
    assert_months(published, "lost", lost_in.value_counts())
    assert_months(published, "won_amount", sums_by(closed_in, won["close_value"]))
    december = published.loc["2017-12"]
    assert december[["won", "lost", "won_amount", "open"]].tolist() == [511, 140, 1_131_573, 2_089]
    assert december["win_rate_count"] == pytest.approx(511 / 651)
    # A rate by value would be 100 %, as lost deals have none.
    assert published.loc[published["lost"] > 0, "win_rate_value"].isna().all()
    days = (pd.to_datetime(won["close_date"]) - pd.to_datetime(won["engage_date"])).dt.days
    in_december = days[closed_in == "2017-12"]
    assert december["cycle_mean_days"] == pytest.approx(in_december.mean())


def test_maven_flow_begins_with_the_engagement(maven):
    text = by_hand("maven_crm/sales_pipeline.csv")
    engaged = text[text["engage_date"] != ""]
    begun = pd.DataFrame({"deal": engaged["opportunity_id"], "stage": "engaging", "day": engaged["engage_date"]})
    closed = text[text["close_date"] != ""]
    ended = pd.DataFrame({"deal": closed["opportunity_id"], "stage": closed["deal_stage"].str.lower(), "day": closed["close_date"]})
    expected = movements(pd.concat([begun, ended]).sort_values(["deal", "day"], kind="stable"), ["prospecting", "engaging"])
    assert expected.sum().to_dict() == dict(zip(MOVEMENTS, [8_300, 0, 0, 0, 0, 4_238, 2_473]))
    assert_flows(maven, expected, {"engaging": 1_589})


def test_maven_findings_accounts_and_teams(maven):
    text = by_hand("maven_crm/sales_pipeline.csv")
    worked = text[text["deal_stage"].isin(["Prospecting", "Engaging"]) & (text["account"] != "")]
    shared = worked.groupby("account")["sales_agent"].transform("nunique") > 1
    assert maven.findings() == {"opportunities.several_owners": (shared.sum(), len(worked))}
    accounts = maven.lake("exported_accounts").set_index("account_id")
    assert accounts.loc["Acme Corporation", "annual_revenue"] == 1_100_040_000  # 1100.04 million
    assert accounts["industry"].eq("technolgy").sum() == 12  # a misspelling is nobody's error but the exporter's: kept to the letter
    assert accounts["region"].eq("Philipines").sum() == by_hand("maven_crm/accounts.csv")["office_location"].eq("Philipines").sum() == 1
    teams = by_hand("maven_crm/sales_teams.csv")
    assert len(set(teams["sales_agent"]) - set(text["sales_agent"])) == 5
    assert set(text["sales_agent"]) <= set(teams["sales_agent"])
    office = text["sales_agent"].map(teams.set_index("sales_agent")["regional_office"])
    members = maven.lake("opportunity_segments")
    sizes = members.groupby("dimension")["member"].value_counts()
    assert sizes["team"].to_dict() == office.value_counts().to_dict()
    assert sizes["product"].to_dict() == text["product"].value_counts().to_dict()
    assert sizes["product"]["GTXPro"] == 1_480
    assert "GTX Pro" not in sizes["product"].index


def test_maven_account_is_never_an_explanation(maven):
    text = by_hand("maven_crm/sales_pipeline.csv")
    is_closed = text["deal_stage"].isin(["Won", "Lost"])
    without = text["account"] == ""
    assert (without & ~is_closed).sum() == 1_425  # 68 % of the open ones
    assert (without & is_closed).sum() == 0
    assert covariates(maven.outcome.company) == ("product",)
    assert set(maven.lake("opportunity_segments")["dimension"]) == {"all", "product", "team", "owner"}


def test_maven_forecast_says_that_deal_level_signal_is_no_better_than_the_base_rate(maven):
    deals = maven.published("win_probability")
    assert len(deals) == 2_089
    assert set(deals["model"]) <= {"base_rate", "closing_time"}
    which = maven.published("deal_accuracy").set_index(["horizon", "method"]).loc["which"]
    assert which["is_published"].astype(bool).sum() == 1
    # The richest method is judged, too, and tells winners from losers no better than chance.
    richest = which.loc["semi_markov"]
    assert richest["gain_low"] < 0
    assert richest["auc"] == pytest.approx(0.5, abs=0.05)
    said = f"The deal-level signal is no better than the base rate: on {richest['deals']:,} past deals"
    assert said in maven.page()


def test_maven_unknown_amounts_are_those_of_the_product(maven):
    """One product is sold for 55, another for 26,768: an average over both would be nobody's forecast."""
    text = by_hand("maven_crm/sales_pipeline.csv").set_index("opportunity_id")
    expected = maven.published("win_probability").set_index("opportunity_id")["amount_if_won"]
    by_product = expected.groupby(text["product"].reindex(expected.index)).mean()
    won = text[text["deal_stage"] == "Won"]
    sold_for = pd.to_numeric(won["close_value"]).groupby(won["product"]).mean()
    assert by_product.rank().to_dict() == sold_for.rank().to_dict()
    enough = won["product"].value_counts() > 400
    pd.testing.assert_series_equal(by_product[enough], sold_for[enough], check_names=False, rtol=0.05, atol=100)


def test_maven_lists_say_what_is_not_known(maven):
    risks = maven.published("risk_list")
    engaged = by_hand("maven_crm/sales_pipeline.csv").query("deal_stage == 'Engaging'")
    # Nobody expected a close date, so none has passed; a deal without any date cannot be late.
    assert not risks["evidence"].str.contains(r"\?|expected close").any()
    assert set(risks["opportunity_id"]) <= set(engaged["opportunity_id"])
    # Neither changes nor activities are exported, so that nobody can say whether a deal is worked on: none is called a zombie.
    assert set(risks["signal"]) == {"stage_overtime"}
    days = (pd.Timestamp("2018-01-01") - pd.to_datetime(engaged["engage_date"])).dt.days
    closed = by_hand("maven_crm/sales_pipeline.csv").query("deal_stage in ['Won', 'Lost']")
    average = (pd.to_datetime(closed["close_date"]) - pd.to_datetime(closed["engage_date"])).dt.days.mean()
    assert len(risks) == (days > 1.5 * average).sum()
    assert f"each counted once at its gravest: Overtime in stage: {risks['opportunity_id'].nunique():,} deals" in maven.page()


# salesforce_trailhead


def iso_day(british: pd.Series) -> pd.Series:
    """31/12/2022 as 2022-12-31."""
    return british.str[6:10] + "-" + british.str[3:5] + "-" + british.str[0:2]


TRAILHEAD_STAGES = {
    "Prospecting": "prospecting",
    "Qualification": "qualification",
    "Value Proposition": "value_proposition",
    "Negotiation/Review": "negotiation",
    "Closed Won": "won",
    "Closed Lost": "lost",
}


@pytest.fixture(scope="module")
def trailhead_history() -> pd.DataFrame:
    """Every stage entry of the file, by deal in the order of time, which is also the order of its lines."""
    text = by_hand("salesforce_trailhead/Opportunity History.csv")
    entries = pd.DataFrame({"deal": text["OppID"], "stage": text["StageName"].map(TRAILHEAD_STAGES), "day": iso_day(text["CreatedDate"])})
    assert not entries.duplicated(["deal", "day"]).any()
    return entries.sort_values(["deal", "day"], kind="stable")


@pytest.mark.slow
def test_trailhead_findings_are_those_found_by_hand(trailhead, trailhead_history):
    text = by_hand("salesforce_trailhead/Opportunity.csv")
    stage = text["StageName"].map(TRAILHEAD_STAGES)
    is_closed = stage.isin(["won", "lost"])
    assert is_closed.sum() == 146
    assert (is_closed & (text["IsClosed"] == "FALSE")).sum() == 115
    flags = pd.Series("open", index=text.index).mask(text["IsClosed"] == "TRUE", "lost").mask(text["IsWon"] == "TRUE", "won")
    contradictory = int((flags != stage.where(is_closed, "open")).sum())
    created = trailhead_history["deal"].map(dict(zip(text["Id"], iso_day(text["CreatedDate"]))))
    early = int((trailhead_history["day"] < created).sum())
    assert (contradictory, early) == (137, 43)
    worked = text[~is_closed]
    shared = worked.groupby("AccountId")["OwnerId"].transform("nunique") > 1
    changed = text[text["LastStageChangeDate"] != ""]
    before_created = iso_day(changed["LastStageChangeDate"]) < iso_day(changed["CreatedDate"])
    assert trailhead.findings() == {
        "opportunities.contradictory_outcome": (137, 219),
        # All were last modified in March or May, by the loading: all but one in the same minute, which is nobody's work.
        "opportunities.updated_in_bulk": (72, 73),
        "opportunities.not_updated_3d": (1, 1),
        "opportunities.not_updated_7d": (1, 1),
        "opportunities.several_owners": (shared.sum(), len(worked)),
        "opportunities.stage_entered_implausible": (before_created.sum(), len(changed)),
        "opportunities.won_without_amount": (1, 89),
        "stage_history.entered_before_created": (43, 584),
    }
    assert set(trailhead.published("data_quality").query("failed > 0")["severity"]) == {"warning"}
    assert "contradictory_outcome" in trailhead.page()


@pytest.mark.slow
def test_trailhead_outcome_is_the_stage_and_where_the_history_ends(trailhead, trailhead_history):
    text = by_hand("salesforce_trailhead/Opportunity.csv").set_index("Id")
    stage = text["StageName"].map(TRAILHEAD_STAGES)
    deals = trailhead.lake("opportunities").set_index("opportunity_id")
    assert deals["stage"].to_dict() == stage.to_dict()
    assert deals["status"].value_counts().to_dict() == {"won": 89, "open": 73, "lost": 57}
    last = trailhead_history.groupby("deal").last()
    is_closed = deals["status"] != "open"
    assert (last.loc[is_closed[is_closed].index, "stage"] == stage[is_closed]).all()
    closed_on = deals.loc[is_closed, "closed_at"].dt.strftime("%Y-%m-%d")
    assert closed_on.to_dict() == iso_day(text["CloseDate"])[is_closed].to_dict() == last.loc[closed_on.index, "day"].to_dict()
    amount = pd.to_numeric(text["Amount"]).rename("amount")
    pd.testing.assert_series_equal(deals["amount"], amount.reindex(deals.index), check_names=False)
    assert amount.isna().sum() == 2


@pytest.mark.slow
def test_trailhead_months_are_those_counted_by_hand(trailhead):
    text = by_hand("salesforce_trailhead/Opportunity.csv")
    won, lost = text[text["StageName"] == "Closed Won"], text[text["StageName"] == "Closed Lost"]
    published = trailhead.months("win_rates")
    closed_in = iso_day(won["CloseDate"]).str[:7]
    assert_months(published, "created", iso_day(text["CreatedDate"]).str[:7].value_counts())
    assert_months(published, "won", closed_in.value_counts())
    assert_months(published, "lost", iso_day(lost["CloseDate"]).str[:7].value_counts())
    assert_months(published, "won_amount", sums_by(closed_in, won["Amount"]))
    assert published.loc["2022-04", ["won", "won_amount"]].tolist() == [16, 6_565_820]


@pytest.mark.slow
def test_trailhead_flow_is_the_history_and_what_the_rows_add_to_it(trailhead, trailhead_history):
    text = by_hand("salesforce_trailhead/Opportunity.csv").set_index("Id")
    stage = text["StageName"].map(TRAILHEAD_STAGES)
    # 21 open deals stand in another stage than their history ends in: seen in the export, so dated by it.
    last = trailhead_history.groupby("deal")["stage"].last()
    moved = stage[stage != last.reindex(stage.index)]
    assert len(moved) == 21
    assert not moved.isin(["won", "lost"]).any()
    entries = trailhead.lake("stage_entries")
    assert set(entries.loc[entries["history"] == "rebuilt", "opportunity_id"]) == set(moved.index)
    assert set(entries["history"]) == {"observed", "rebuilt"}
    seen = pd.DataFrame({"deal": moved.index, "stage": moved.to_numpy(), "day": "2022-12-24"})
    order = ["prospecting", "qualification", "value_proposition", "negotiation"]
    expected = movements(pd.concat([trailhead_history, seen]).sort_values(["deal", "day"], kind="stable"), order)
    assert_flows(trailhead, expected, {"prospecting": 14, "qualification": 15, "value_proposition": 19, "negotiation": 25})
    # 34 wins and 13 losses are the first thing that their history shows: they count as won and lost, in no stage's flow.
    first = trailhead_history.groupby("deal")["stage"].first().value_counts()
    assert first[["won", "lost"]].tolist() == [34, 13]
    assert expected[["won", "lost"]].sum().tolist() == [89 - 34, 57 - 13]


@pytest.mark.slow
def test_trailhead_forecast_covers_every_open_deal(trailhead):
    deals = trailhead.published("win_probability")
    assert len(deals) == 73
    assert deals["model"].nunique() == 1
    if set(deals["model"]) == {"base_rate"}:
        assert "The deal-level signal is no better than the base rate" in trailhead.page()


# loan_funnel

LOAN_STAGES = {
    "A_SUBMITTED": "submitted",
    "A_PARTLYSUBMITTED": "submitted",
    "A_PREACCEPTED": "preaccepted",
    "A_ACCEPTED": "accepted",
    "A_FINALIZED": "finalized",
    "O_SENT_BACK": "offer_returned",
    "A_APPROVED": "won",
    "A_REGISTERED": "won",
    "A_ACTIVATED": "won",
    "A_DECLINED": "lost",
    "A_CANCELLED": "lost",
}
LOAN_ORDER = ["submitted", "preaccepted", "accepted", "finalized", "offer_returned"]

LOAN_COHORTS = {
    "submitted": (6_426, 3_513, 2_909, 4),
    "preaccepted": (3_513, 2_425, 953, 135),
    "accepted": (2_425, 2_384, 39, 2),
    "finalized": (2_384, 1_343, 574, 467),
    "offer_returned": (1_343, 905, 352, 86),
}
"""Applications that ever entered a stage, and of those gone further, lost there, still there."""


@pytest.fixture(scope="module")
def loan_events() -> pd.DataFrame:
    """Every step that is a stage, in the order of time; the text's own wall-clock time is Amsterdam's."""
    text = by_hand("loan_funnel/stage_events.csv.gz")
    zone = text["entered_at"].str[-6:]
    assert set(zone[text["entered_at"] < "2011-10-30T02"]) == {"+02:00"}
    assert set(zone[text["entered_at"] >= "2011-10-30T03"]) == {"+01:00"}  # from 2 to 3 o'clock there were two hours
    entries = pd.DataFrame({"deal": text["case_id"], "stage": text["stage"].map(LOAN_STAGES), "day": text["entered_at"].str[:23]})
    return entries.dropna().sort_values(["deal", "day"], kind="stable")


@pytest.mark.slow
def test_loans_are_where_their_last_step_left_them(loans, loan_events):
    last = loan_events.groupby("deal").last()
    deals = loans.lake("opportunities").set_index("opportunity_id")
    assert deals["stage"].to_dict() == last["stage"].to_dict()
    assert deals["status"].value_counts().to_dict() == {"lost": 4_827, "won": 905, "open": 694}
    text = by_hand("loan_funnel/stage_events.csv.gz")
    assert text.loc[text["stage"].isin(["A_DECLINED", "A_CANCELLED"]), "stage"].value_counts().to_dict() == {"A_DECLINED": 3_767, "A_CANCELLED": 1_060}
    # Offers run beside: all their steps but the 1,403 returns were accepted and make no entry.
    assert text["stage"].isin(loans.outcome.company.pipelines[0].other_events).sum() == text["stage"].str.startswith("O_").sum() - 1_403 == 12_037
    entries = loans.lake("stage_entries")
    assert set(entries["history"]) == {"observed"}
    assert set(entries["stage"]) == {*LOAN_ORDER, "won", "lost"}
    assert loans.findings() == {}


@pytest.mark.slow
def test_loan_cohorts_are_those_counted_by_hand(loans, loan_events):
    first = loan_events.drop_duplicates(["deal", "stage"]).pivot(index="deal", columns="stage", values="day")
    published = loans.months("stage_conversion").reset_index()
    columns = ["entered", "advanced", "lost", "still_open"]
    assert {s: tuple(int(n) for n in rows[columns].sum()) for s, rows in published.groupby("stage")} == LOAN_COHORTS
    for place, stage in enumerate(LOAN_ORDER):
        entered = first[first[stage].notna()]
        further = entered[[*LOAN_ORDER[place + 1 :], "won"]].notna().any(axis=1)
        lost = ~further & entered["lost"].notna()
        cohorts = pd.DataFrame({"entered": 1, "advanced": further, "lost": lost, "still_open": ~further & ~lost, "won": entered["won"].notna()})
        expected = cohorts.astype(int).groupby(entered[stage].str[:7]).sum()
        shown = published[published["stage"] == stage].set_index("month")
        pd.testing.assert_frame_equal(shown[[*columns, "won"]], expected[[*columns, "won"]], check_names=False, check_dtype=False)
        # Nothing ever went back, so that the first exit decides.
        assert (shown["conversion_observed"] == shown["advanced"] / shown["entered"]).all()
        assert (shown["conversion_eventual"].dropna() >= shown["conversion_observed"] - 1e-9).all()


@pytest.mark.slow
def test_loan_flow_is_that_of_the_steps(loans, loan_events):
    expected = movements(loan_events, LOAN_ORDER)
    assert expected.sum().to_dict() == dict(zip(MOVEMENTS, [6_426, 9_665, 0, 9_665, 0, 905, 4_827]))
    assert_flows(loans, expected, {stage: counts[-1] for stage, counts in LOAN_COHORTS.items()})


@pytest.mark.slow
def test_loan_months_are_those_of_amsterdam(loans, loan_events):
    cases = by_hand("loan_funnel/cases.csv").set_index("case_id")
    assert cases["registered_at"].min() == "2011-10-01T00:38:44.546+02:00"  # still September in UTC
    published = loans.months("win_rates")
    closed = loan_events[loan_events["stage"].isin(["won", "lost"])].drop_duplicates("deal").set_index("deal")
    closed_in, is_won = closed["day"].str[:7], closed["stage"] == "won"
    assert_months(published, "created", cases["registered_at"].str[:7].value_counts())
    assert_months(published, "won", closed_in[is_won].value_counts())
    assert_months(published, "lost", closed_in[~is_won].value_counts())
    assert_months(published, "won_amount", sums_by(closed_in[is_won], cases.loc[closed.index[is_won], "amount_requested"]))
    assert published.loc["2011-10", "created"] == 2_393
    assert published.loc["2011-12", "open"] == 694


@pytest.mark.slow
def test_loan_forecast_rests_on_the_stage_and_says_that_it_cannot_be_judged(loans):
    """Ten weeks hold one month's end whose outcomes are known: too few to say of any method that it is better."""
    deals = loans.published("win_probability")
    assert len(deals) == 694
    assert set(deals["model"]) == {"stage_rates"}
    by_stage = deals.groupby("stage")["p_won"].mean()
    assert by_stage["offer_returned"] > by_stage["finalized"] > by_stage["preaccepted"]
    # Of the returned offers that were decided 72 % were approved.
    assert by_stage["offer_returned"] == pytest.approx(905 / (905 + 352), abs=0.05)
    cases = by_hand("loan_funnel/cases.csv").set_index("case_id")
    known = pd.to_numeric(cases["amount_requested"]).reindex(deals["opportunity_id"])
    assert deals["amount"].tolist() == known.tolist()
    page = loans.page()
    assert "cannot be judged yet" in page
    assert "— to —" not in page
