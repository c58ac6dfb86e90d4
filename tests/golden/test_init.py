"""Exports that were not made for Leadline: what is proposed, at most five answers, and a check whose counts are those made by hand.

What is expected is counted here from the files' text, or is a literal that somebody counted. An answer is a setting that a
person corrects; all else stands as it was proposed.
"""

import csv
import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from assets.exports.source import ExportSource
from pipelines.configuration import load_configuration
from pipelines.demo import write_demo
from pipelines.engine.duckdb import DuckDB
from pipelines.init import write_first_configuration
from pipelines.lake import Lake
from pipelines.proposal.trial import tried
from pipelines.resources import Place
from pipelines.run import QualityError, run_job
from quality.query import Query
from quality.tables import PUBLISHED
from tests.third_party import DATA, NEEDS_DATA

pytestmark = pytest.mark.slow

SHORT = "reporting: {weeks: 2, months: 3, quarters: 2}\nforecast: {origins: 6, draws: 200}\n"
"""Settings that save most of a run's time."""


@dataclass(frozen=True)
class Confirmed:
    """A proposal after a person's answers: the configuration's file, how many questions were asked, verdicts and reasons by table."""

    path: Path
    questions: int
    verdicts: dict[str, tuple[int, int, int, int]]
    reasons: dict[str, dict[str, int]]


def confirmed(name: str, folder: Path, answers: dict, as_of: date) -> Confirmed:
    """What is proposed for a folder, with ``answers`` (settings by their place, such as ``exports.crm``) put in."""
    made = write_first_configuration([str(DATA / name)], folder / "leadline.yaml")
    yaml = YAML()
    data = yaml.load(made.path.read_text(encoding="utf-8"))
    for place, value in answers.items():
        *parents, key = place.split(".")
        part = data
        for parent in parents:
            part = part[parent]
        part[key] = value
    with made.path.open("w", encoding="utf-8") as file:
        yaml.dump(data, file)
    company = load_configuration(made.path)
    found = tried(ExportSource(DATA / name, company), company, as_of)
    verdicts = {table: (t.read, t.accepted, t.superseded, t.rejected) for table, t in found.items()}
    return Confirmed(made.path, len(made.proposal.questions), verdicts, {table: dict(t.reasons) for table, t in found.items() if t.rejected})


@dataclass(frozen=True)
class Published:
    """What a run published: verdicts and reasons by table as in `Confirmed`, from the run log and from rejected_rows; rows by table."""

    verdicts: dict[str, tuple[int, int, int, int]]
    reasons: dict[str, dict[str, int]]
    rows: dict[str, int]


def published(found: Confirmed, name: str) -> Published:
    """A run of a folder on a confirmed proposal, with settings that save most of its time."""
    with found.path.open("a", encoding="utf-8") as file:
        file.write(SHORT)
    outcome = run_job("leadline", Place(config=str(found.path), exports=str(DATA / name), home=str(found.path.parent / "home")), None, lambda told: None)
    tables = {table: outcome.database.read(table, outcome.as_of) for table in PUBLISHED}
    log = tables["run_log"].iloc[0]
    verdicts = {
        table: tuple(sum(file[part] for file in files.values()) for part in ("read", "accepted", "superseded", "rejected"))
        for table, files in json.loads(log["counts"]).items()
    }
    assert log[["rows_read", "rows_accepted", "rows_superseded", "rows_rejected"]].tolist() == [sum(part) for part in zip(*verdicts.values())]
    reasons: dict[str, Counter] = defaultdict(Counter)
    for table, told in zip(tables["rejected_rows"]["table_name"], tables["rejected_rows"]["reasons"]):
        reasons[table].update(reason["code"] for reason in json.loads(told))
    assert outcome.home.page.is_file()
    return Published(verdicts, {table: dict(codes) for table, codes in reasons.items()}, {table: len(rows) for table, rows in tables.items()})


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a file as text, headers without outer blanks."""
    path = DATA / name
    with gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig", newline="") as file:
        return [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]


def all_accepted(count: int) -> tuple[int, int, int, int]:
    return count, count, 0, 0


@NEEDS_DATA
def test_maven_without_an_answer(tmp_path):
    found = confirmed("maven_crm", tmp_path, {}, date(2017, 12, 31))
    assert found.questions <= 5
    deals = rows_of("maven_crm/sales_pipeline.csv")
    wanted = {"opportunities": all_accepted(8_800), "accounts": all_accepted(85), "owners": all_accepted(35)}
    assert found.verdicts == wanted
    assert len({row["opportunity_id"] for row in deals}) == len(deals) == 8_800
    company = load_configuration(found.path)
    assert company.exports.crm == "plain"
    assert {row["deal_stage"] for row in deals} == {s for stage in company.pipelines[0].stages for s in stage.spellings} | {"Won", "Lost"}
    source = company.exports.tables["opportunities"]
    assert (source.empty, source.stage_dates) == (("0",), {"engaging": "engage_date"})
    assert {row["close_value"] for row in deals if row["deal_stage"] == "Lost"} == {"0"}
    # The account is missing on 68 % of the open deals and on no closed one.
    assert "account_id" not in company.immutable_fields
    assert company.segments == ("team", "owner", "product")
    run = published(found, "maven_crm")
    assert (run.verdicts, run.reasons) == (wanted, {})
    assert run.rows["win_probability"] == sum(row["deal_stage"] in ("Prospecting", "Engaging") for row in deals) == 2_089


@NEEDS_DATA
def test_loans_after_one_step_of_the_offers_is_made_a_stage(tmp_path):
    stages = ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED"]
    answers = {
        "stages": [*({"key": s.lower(), "spellings": [s]} for s in stages), {"key": "returned", "spellings": ["O_SENT_BACK"]}],
        "other_events": ["O_SELECTED", "O_CREATED", "O_SENT", "O_CANCELLED", "O_DECLINED", "O_ACCEPTED"],
        "time_zone": "Europe/Amsterdam",
    }
    proposed = load_configuration(write_first_configuration([str(DATA / "loan_funnel")], tmp_path / "proposed.yaml").path).pipelines[0]
    assert [s.spellings for s in proposed.stages] == [(s,) for s in stages]
    assert set(proposed.won.spellings) == {"A_APPROVED", "A_REGISTERED", "A_ACTIVATED"}
    assert set(proposed.lost.spellings) == {"A_DECLINED", "A_CANCELLED"}
    assert set(proposed.other_events) == {*answers["other_events"], "O_SENT_BACK"}
    found = confirmed("loan_funnel", tmp_path, answers, date(2011, 12, 14))
    assert found.questions <= 5
    cases, events = rows_of("loan_funnel/cases.csv"), rows_of("loan_funnel/stage_events.csv.gz")
    assert {row["case_id"] for row in events} <= {row["case_id"] for row in cases}
    wanted = {"opportunities": all_accepted(len(cases)), "stage_history": all_accepted(len(events))}
    assert found.verdicts == wanted
    assert (len(cases), len(events)) == (6_426, 42_156)
    run = published(found, "loan_funnel")
    assert (run.verdicts, run.reasons) == (wanted, {})
    ends = {"A_APPROVED", "A_REGISTERED", "A_ACTIVATED", "A_DECLINED", "A_CANCELLED"}
    ended = {row["case_id"] for row in events if row["stage"] in ends}
    assert run.rows["win_probability"] == len(cases) - len(ended)


@NEEDS_DATA
def test_trailhead_without_an_answer(tmp_path):
    found = confirmed("salesforce_trailhead", tmp_path, {}, date(2022, 12, 24))
    assert found.questions <= 5
    company = load_configuration(found.path)
    assert [s.spellings[0] for s in company.pipelines[0].stages] == ["Prospecting", "Qualification", "Value Proposition", "Negotiation/Review"]
    assert set(company.exports.tables["opportunities"].dates) == {"%d/%m/%Y", "%d/%m/%Y %H:%M"}
    assert company.severities == {"stage_history.entered_before_created": "warning"}
    assert not {"source", "opportunity_type"} & {*company.segments, *company.immutable_fields}
    wanted = {"opportunities": all_accepted(219), "stage_history": all_accepted(584)}
    assert found.verdicts == wanted
    rejecting = confirmed("salesforce_trailhead", tmp_path / "strict", {"severities": {}}, date(2022, 12, 24))
    iso = {row["Id"]: "-".join(reversed(row["CreatedDate"].split("/"))) for row in rows_of("salesforce_trailhead/Opportunity.csv")}
    early = sum("-".join(reversed(row["CreatedDate"].split("/"))) < iso[row["OppID"]] for row in rows_of("salesforce_trailhead/Opportunity History.csv"))
    assert rejecting.verdicts["stage_history"] == (584, 584 - early, 0, early) == (584, 541, 0, 43)
    assert rejecting.reasons["stage_history"] == {"entered_before_created": early}
    run = published(found, "salesforce_trailhead")
    assert (run.verdicts, run.reasons) == (wanted, {})
    stages = [row["StageName"] for row in rows_of("salesforce_trailhead/Opportunity.csv")]
    assert run.rows["win_probability"] == sum(not stage.startswith("Closed") for stage in stages) > 0


@NEEDS_DATA
def test_the_salesforce_demo_with_a_stricter_answer(tmp_path):
    answers = {"as_of": "2015-07-08", "severities": {}, "thresholds": {"rejected_rows_share": 0.06}}
    found = confirmed("salesforce_demo", tmp_path, answers, date(2015, 7, 8))
    assert found.questions <= 5
    company = load_configuration(found.path)
    assert [s.spellings[0] for s in company.pipelines[0].stages] == [
        "Prospecting", "Qualification", "Needs Analysis", "Value Proposition", "Perception Analysis", "Proposal/Price Quote", "Negotiation/Review",
    ]  # fmt: skip
    created = {row["Name"]: row["CreatedDate"] for row in rows_of("salesforce_demo/DTC_Opportunity.csv")}
    history = rows_of("salesforce_demo/DTC_OpportunityHistory.csv")
    early = sum(row["CreatedDate"] < created[row["OpportunityName"]] for row in history)
    done = [row for row in rows_of("salesforce_demo/DTC_Task.csv") if row["Status"] == "Completed"]
    wanted = {
        "opportunities": all_accepted(1_999),
        "stage_history": (387, 387 - early, 0, early),
        "accounts": all_accepted(1_001),
        "activities": all_accepted(len(done) + 1_999),
    }
    assert found.verdicts == wanted
    assert (early, found.reasons) == (21, {"stage_history": {"entered_before_created": 21}})
    run = published(found, "salesforce_demo")
    assert (run.verdicts, run.reasons) == (wanted, found.reasons)
    assert all(day[:10] <= "2015-07-08" for day in created.values())
    stages = [row["StageName"] for row in rows_of("salesforce_demo/DTC_Opportunity.csv")]
    assert run.rows["win_probability"] == sum(not stage.startswith("Closed") for stage in stages)


@NEEDS_DATA
def test_native_tables_of_salesforce(tmp_path):
    """All their deals are deleted, so a run says that there is none and publishes nothing."""
    answers = {"as_of": "2019-11-30", "severities": {}, "thresholds": {"rejected_rows_share": 0.4}}
    found = confirmed("salesforce_native", tmp_path, answers, date(2019, 11, 30))
    assert found.questions <= 5
    about = sum(row["what_id"].startswith("006") for name in ("task", "event") for row in rows_of(f"salesforce_native/sf_{name}_data.csv"))
    early = sum(
        row["is_closed"] == "true" and row["close_date"][:10] < row["created_date"][:10] for row in rows_of("salesforce_native/sf_opportunity_data.csv")
    )
    assert (about, early) == (7, 1)
    assert found.verdicts == {
        "owners": all_accepted(10),
        "opportunities": (10, 10 - early, 0, early),
        "stage_history": (10, 10 - early, 0, early),
        "leads": all_accepted(1),
        "accounts": all_accepted(10),
        "activities": (20, 20 - about, 0, about),
    }
    assert found.reasons["opportunities"] == {"closed_before_created": 1}
    company = load_configuration(found.path)
    assert company.exports.lookups["roles"].files == ("sf_user_role_data.csv",)
    assert {row["is_deleted"] for row in rows_of("salesforce_native/sf_opportunity_data.csv")} == {"true"}
    with pytest.raises(QualityError, match="no opportunity is known as of this date; all were created later or are deleted") as stopped:
        published(found, "salesforce_native")
    assert not stopped.value.outcome.database.as_of_dates()


@NEEDS_DATA
def test_native_tables_of_hubspot(tmp_path):
    answers = {"as_of": "2023-07-09", "severities": {}, "thresholds": {"rejected_rows_share": 1.0}}
    found = confirmed("hubspot_native", tmp_path, answers, date(2023, 7, 9))
    assert found.questions <= 5
    known = {row["deal_id"] for row in rows_of("hubspot_native/deal_data.csv")}
    assert not known & {
        row["deal_id"] for name in ("deal_stage", "deal_property_history", "deal_contact") for row in rows_of(f"hubspot_native/{name}_data.csv")
    }
    wanted = {
        "owners": all_accepted(100),
        "opportunities": all_accepted(44),
        "stage_history": (14, 0, 0, 14),
        "field_history": (100, 0, 0, 100),
        "leads": all_accepted(22),
        "accounts": all_accepted(24),
        "contact_roles": (11, 0, 0, 11),
        "activities": all_accepted(101),
    }
    assert found.verdicts == wanted
    assert {reason for table in found.reasons.values() for reason in table} == {"unknown_opportunity"}
    assert set(load_configuration(found.path).exports.lookups) == {"stages", "pipelines", "merged_deals", "engagement_deals", "owner_teams", "teams"}
    run = published(found, "hubspot_native")
    nothing_known = {table: {"unknown_opportunity": rejected} for table, (_, _, _, rejected) in wanted.items() if rejected}
    assert (run.verdicts, run.reasons) == (wanted, nothing_known)
    assert run.rows["win_probability"] == len(known) == 44


@NEEDS_DATA
def test_chinese_templates_after_the_day_is_told(tmp_path):
    found = confirmed("zh_templates", tmp_path, {"as_of": "2026-06-30"}, date(2026, 6, 30))
    assert found.questions <= 5
    wanted = {"opportunities": all_accepted(4), "accounts": all_accepted(3)}
    assert found.verdicts == wanted
    company = load_configuration(found.path)
    assert [s.spellings for s in company.pipelines[0].stages] == [("线索",), ("立项",), ("报价",), ("签约跟进",)]
    assert (company.currency, company.time_zone, company.language) == ("CNY", "Asia/Shanghai", "zh")
    source = company.exports.tables["opportunities"]
    assert (source.instruction_rows, source.columns["opportunity_id"]) == (1, "商机名称")
    run = published(found, "zh_templates")
    assert (run.verdicts, run.reasons) == (wanted, {})
    assert run.rows["win_probability"] == 4  # 进行中, all of them


@NEEDS_DATA
@pytest.mark.parametrize("folder", ["leads", "government_sales"])
def test_folders_without_opportunities_are_said_to_have_none(tmp_path, folder):
    from assets.exports.errors import MissingExport

    with pytest.raises(MissingExport, match="looks like opportunities"):
        write_first_configuration([str(DATA / folder)], tmp_path / "leadline.yaml")
    assert not (tmp_path / "leadline.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["salesforce", "chinese"])
def test_the_demonstration_is_judged_as_by_its_own_configuration(tmp_path, form):
    demo = write_demo(tmp_path, form)
    made = write_first_configuration([str(demo.exports)], tmp_path / "proposed.yaml")
    assert len(made.proposal.questions) <= 5
    planted = json.loads(demo.manifest.read_text(encoding="utf-8"))["rows"]
    found = {t: {"read": v.read, "accepted": v.accepted, "superseded": v.superseded, "rejected": v.rejected} for t, v in made.proposal.verdicts.items()}
    assert found == planted
    rejected = [judged_rows(path, demo.exports, tmp_path / path.stem) for path in (demo.configuration, made.path)]
    assert rejected[0] == rejected[1]


def judged_rows(configuration: Path, exports: Path, home: Path) -> dict[str, list[tuple]]:
    """File, line and verdict of every row that a check does not simply accept, by table."""
    outcome = run_job("check_exports", Place(config=str(configuration), exports=str(exports), home=str(home), report_db=""), None, lambda told: None)
    engine = DuckDB(outcome.home.spill)
    lake = Lake(outcome.home.lake, engine, outcome.as_of)
    sql = "SELECT CAST(_file AS VARCHAR) AS file, _line, _verdict FROM exported WHERE _verdict <> 'accepted' ORDER BY ALL"
    return {
        table: [tuple(row.values()) for row in engine.arrow(Query(sql, {"exported": lake.parquet(f"exported_{table}")})).to_pylist()]
        for table in outcome.company.exports.tables
    }
