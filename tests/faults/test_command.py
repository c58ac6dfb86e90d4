"""What a person sees when something is wrong with what the command is given, and that the last good reports stay.

What belongs here: faults of configuration, exports, arguments and data, through the command. What does not: faults
of disks and databases (test_command_storage.py) and of processes (test_killed.py).
"""

import json
from collections.abc import Callable

import pandas as pd
import pytest

from tests.faults.command import DEALS, END, Company, assert_refused, assert_republished, exports, founded, refused, say, tables


def no_folder(company: Company) -> None:
    company.exports.rename(company.folder / "elsewhere")


def no_file(company: Company) -> None:
    (company.exports / "deals.csv").rename(company.exports / "deal.csv")


def a_folder(company: Company) -> None:
    (company.exports / "deals.csv").unlink()
    (company.exports / "deals.csv").mkdir()


def an_empty_file(company: Company) -> None:
    (company.exports / "deals.csv").write_bytes(b"")


def missing_columns(company: Company) -> None:
    company.write(deals=exports()["deals.csv"].rename(columns={"opportunity_id": "number", "created_at": "made"}))


def duplicate_columns(company: Company) -> None:
    company.write(deals=exports()["deals.csv"].rename(columns={"source": "amount"}))


def no_header(company: Company) -> None:
    (company.exports / "deals.csv").write_text("13800001234,wang@example.com,5\n13800001234,wang@example.com,6\n", encoding="utf-8")


def not_text(company: Company) -> None:
    (company.exports / "deals.csv").write_bytes(bytes(range(256)) * 20)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (no_folder, ["the exports folder", "exports does not exist", "name another folder"]),
        (no_file, ["no file below", "matches 'deals*.csv'", "there is 'deal.csv', 'history.csv'", "nearest: 'deal.csv'", "exports.tables.opportunities.files"]),
        (a_folder, ["'deals.csv' is a folder", "expected a file"]),
        (an_empty_file, ["the file 'deals.csv' is empty (0 bytes)", "export it again"]),
        (
            missing_columns,
            [
                "deals.csv: missing required column opportunity_id",
                "deals.csv: missing required column created_at",
                "the file has 'number'",
                "map it under exports.tables.opportunities.columns",
            ],
        ),
        (duplicate_columns, ["the header 'amount' stands there 2 times", "rename or remove all but one"]),
        (no_header, ["missing required column opportunity_id", "(hidden: looks like a value, not a name)"]),
        (not_text, ["deals.csv: line 2, byte 129: 0x80 is not utf-8 text", "export it again as UTF-8"]),
    ],
)
def test_exports_that_cannot_be_read(company: Company, fault: Callable, words: list[str]):
    company.configure(f"as_of: {END}\n", "")  # then they are read before the job starts, which is quicker
    former = company.published()
    fault(company)
    assert_refused(company, former, 6, *words)


def test_exports_that_cannot_be_read_within_the_job(company: Company):
    former = company.published()
    missing_columns(company)
    assert_refused(company, former, 6, "deals.csv: missing required column opportunity_id", "deals.csv: missing required column created_at")


def test_five_errors_of_the_configuration_are_told_at_once(company: Company):
    former = company.published()
    for right, wrong in (
        ("time_zone: Asia/Shanghai", "time_zone: Asia/Shangai"),
        ("currency: CNY", "currency: yuan"),
        ("benchmark_conversion: 0.7,", "benchmark_conversion: 70,"),
        ("segments: [source]", "segments: [sauce]"),
        ("stage_history: {", "stage_histroy: {"),
    ):
        company.configure(right, wrong)
    said = assert_refused(
        company,
        former,
        2,
        "leadline.yaml: 5 errors in the configuration",
        "leadline.yaml:2 time_zone: found 'Asia/Shangai'",
        "did you mean Asia/Shanghai?",
        "leadline.yaml:3 currency: found 'yuan'; expected a currency as three capital letters, such as CNY",
        "benchmark_conversion: found 70",
        "did you mean source?",
        "did you mean stage_history?",
    )
    assert [line[:2] for line in said.err.splitlines()[1:] if line] == ["1.", "2.", "3.", "4.", "5."]


def test_no_configuration(company: Company):
    former = company.published()
    company.configuration.unlink()
    assert_refused(company, former, 2, "no such file")
    company.configuration.mkdir()
    assert_refused(company, former, 2, "found a folder; expected a file")


def test_a_header_and_no_rows(company: Company):
    former = company.published()
    company.write(deals=exports()["deals.csv"].iloc[:0])
    assert_refused(company, former, 7, "opportunities: not_empty: the export has a header and no rows", "what was published before stands", "export it again")


def test_an_export_shrunk_by_half(company: Company):
    former = company.published()
    company.write(deals=exports()["deals.csv"].iloc[: DEALS // 2 - 1])
    assert_refused(company, former, 7, "opportunities: not_shrunk: 59 rows after 120 in the last published run", "thresholds.shrunk_export_share")


def test_a_newer_snapshot_shrunk_by_half(company: Company):
    former = company.published()
    company.write(**{"deals-2026-06-30": exports()["deals.csv"].iloc[: DEALS // 2 - 1]})
    assert_refused(company, former, 7, "opportunities: not_shrunk: 59 rows after 120")


@pytest.mark.slow
def test_an_optional_export_that_was_there_before_is_gone(company: Company):
    former = company.published()
    (company.exports / "history.csv").unlink()
    assert_refused(company, former, 7, "stage_history: not_shrunk: 0 rows after 364 in the last published run")


def misspelt(deals: pd.DataFrame, count: int) -> pd.DataFrame:
    return deals.assign(stage=deals["stage"].mask(deals.index < count, "Tlak"), name="for Wang Xiaoming, 13800001234")


@pytest.mark.slow
def test_many_unknown_stages_and_what_check_lists_and_mending_them(company: Company):
    former = company.published()
    company.write(deals=misspelt(exports()["deals.csv"], 30))
    words = (
        "opportunities: few_rows_rejected: 30 of 120 rows rejected (25.0%; at most 5.0%: thresholds.rejected_rows_share)",
        "unknown_stage: 30 rows, the first at deals.csv, line 2; expected: the stage is one of the configured spellings",
        "to do: correct the stage, or add its spelling to the configuration",
        "mend the rows at the source (leadline check lists them)",
    )
    assert_refused(company, former, 7, *words)

    checked = company.run(command="check")
    refused(checked, 7, *words)
    assert "opportunities: 120 read = 90 accepted + 0 superseded + 30 rejected" in checked.out
    assert "  reject: unknown_stage: 30 of 120 rows" in checked.out
    assert "  rejected: deals.csv, line 2: unknown_stage" in checked.out
    assert "  and 10 more rejected rows" in checked.out
    assert "stage_history: 364 read" not in checked.out  # never judged in this run: its parents were stopped; only its forms are told
    assert company.published() == former

    company.write(deals=exports()["deals.csv"])
    assert company.run().exit_code == 0
    assert_republished(company, former)


def test_many_unreadable_dates(company: Company):
    former = company.published()
    deals = exports()["deals.csv"]
    company.write(deals=deals.assign(created_at=deals["created_at"].mask(deals.index % 10 == 3, "13/31/2025")))
    assert_refused(
        company,
        former,
        7,
        "few_rows_rejected: 12 of 120 rows rejected (10.0%",
        "unreadable_created_at: 12 rows, the first at deals.csv, line 5",
        "declare its form in the configuration",
    )


def test_much_open_amount_in_few_rejected_rows(company: Company):
    former = company.published()
    deals = exports()["deals.csv"]
    open_deals = deals.index[deals["closed_at"] == ""]
    deals.loc[open_deals[0], ["amount", "created_at"]] = ["900000", "soon"]
    company.write(deals=deals)
    said = assert_refused(company, former, 7, "little_open_amount_rejected: 900,000.00 of", "at most 10.0%: thresholds.rejected_open_amount_share")
    assert "unreadable_created_at: 1 row, the first at" in said.err
    assert "few_rows_rejected" not in said.err


def test_an_expectation_made_critical(company: Company):
    former = company.published()
    company.configure("segments:", "severities: {opportunities.unknown_stage: critical}\nsegments:")
    company.write(deals=misspelt(exports()["deals.csv"], 1))
    assert_refused(company, former, 7, "opportunities: no_critical_failure: unknown_stage: 1 of 120 rows", "the stage is one of the configured spellings")


@pytest.fixture(scope="module")
def dirty(published_company: Company, tmp_path_factory) -> Company:
    """The company after a run on exports with a few bad rows: line 2 an unknown stage, 3 two bad dates, 4 a bad amount."""
    company = published_company.copied(tmp_path_factory.mktemp("dirty") / "company")
    deals = misspelt(exports()["deals.csv"], 1)
    deals.loc[1, ["created_at", "closed_at"]] = ["31 Feb", "later"]
    deals.loc[:1, "amount"] = "1000"  # little, because a deal in an unknown stage may be open
    deals.loc[2, "amount"] = "about 5"
    company.write(deals=deals)
    said = company.run()
    assert said.exit_code == 0, said.err
    return company


def rows_of(company: Company, table: str) -> pd.DataFrame:
    from pipelines.report_db import ReportDatabase

    return ReportDatabase(company.home.report_database_url).read(table, END)


def test_a_few_bad_rows_are_listed_with_every_reason(dirty: Company):
    rejected = rows_of(dirty, "rejected_rows")
    parents = rejected[rejected["table_name"] == "opportunities"].set_index("line")
    codes = {line: [reason["code"] for reason in json.loads(reasons)] for line, reasons in parents["reasons"].items()}
    assert codes == {2: ["unknown_stage"], 3: ["unreadable_closed_at", "unreadable_created_at"]}
    assert set(parents["export"]) == {"deals.csv"}
    assert parents["opportunity_id"].tolist() == ["D0001", "D0002"]
    children = rejected[rejected["table_name"] == "stage_history"]
    assert set(children["opportunity_id"]) == {"D0001", "D0002"}
    assert {json.loads(r)[0]["code"] for r in children["reasons"]} == {"parent_rejected"}


def test_a_few_bad_values_are_set_aside(dirty: Company):
    aside = rows_of(dirty, "set_aside_values")
    assert aside[["export", "line", "column_name", "value"]].to_numpy().tolist() == [["deals.csv", 4, "amount", "about 5"]]
    assert "1234.5" in aside["reason"].item()
    findings = rows_of(dirty, "data_quality").set_index("expectation")
    assert findings.loc["unreadable_amount", ["severity", "failed"]].tolist() == ["warning", 1]


def test_rows_read_are_accepted_superseded_or_rejected(dirty: Company):
    log = rows_of(dirty, "run_log").sort_values("finished_at").iloc[-1]
    assert log["rows_read"] == log["rows_accepted"] + log["rows_superseded"] + log["rows_rejected"] == DEALS + 364 + 2
    files = [file for table in json.loads(log["counts"]).values() for file in table.values()]
    assert sum(file["read"] for file in files) == log["rows_read"]
    assert log["rows_rejected"] == len(rows_of(dirty, "rejected_rows"))


def test_debug_shows_the_traceback_and_the_message_and_keeps_the_exit_code(company: Company):
    company.write(deals=misspelt(exports()["deals.csv"], 30))
    said = company.run("--debug")
    assert said.exit_code == 7
    assert "Traceback (most recent call last)" in said.err and "QualityError" in said.err
    assert "leadline: a check failed, so nothing was published" in said.err


@pytest.mark.slow
def test_an_earlier_date_leaves_the_page_of_the_newest_one(company: Company):
    former = company.published()
    said = company.run("--as-of", "2026-05-31")
    assert said.exit_code == 0, said.err
    assert company.published()["page"] == former["page"]
    earlier = company.home.path / "report-2026-05-31.html"
    assert f"report page:   {earlier}" in said.out
    assert "31 May 2026" in earlier.read_text(encoding="utf-8")
    assert "won in 2026-05: " in said.out and "forecast 2026-06: " in said.out


@pytest.mark.slow
def test_check_publishes_nothing(tmp_path):
    company = founded(tmp_path / "company")
    said = company.run(command="check")
    assert said.exit_code == 0, said.err
    assert "opportunities: 120 read = 120 accepted + 0 superseded + 0 rejected\n  deals.csv: CSV, UTF-8, ',', LF, 120 rows\n" in said.out
    assert "stage_history: 364 read = 364 accepted" in said.out
    assert not company.home.page.exists()
    assert not company.home.report_database.exists()


@pytest.mark.slow
def test_no_opportunity_existed_by_the_day_asked_for(company: Company):
    former = company.published()
    assert_refused(company, former, 7, "no opportunity is known as of this date", "choose a later as-of date", more=("--as-of", "2020-01-01"))


@pytest.mark.parametrize(
    ("more", "exit_code", "words"),
    [
        (["--as-of", "2004-12-31"], 2, ["the as-of date 2004-12-31 is too early", "expected: a day from 2005-01-01 on"]),
        (["--as-of", "2099-01-01"], 2, ["the as-of date 2099-01-01 lies in the future", "the newest export is of"]),
        (["--report-db", "mysql://me:secret@host/reports"], 3, ["a URL that begins with mysql://", "sqlite:///path/to/reports.sqlite"]),
        (["--report-db", "reports.sqlite"], 3, ["text that is not a database URL"]),
        (["--report-db", "postgresql://me:secret@127.0.0.1:1/reports"], 3, ["127.0.0.1 does not answer", "me:***@127.0.0.1:1", "pg_isready"]),
        (["--report-db", "sqlite:////"], 3, ["is a folder"]),
    ],
)
def test_values_of_options_that_cannot_be_used(company: Company, more: list[str], exit_code: int, words: list[str]):
    former = company.published()
    assert "secret" not in assert_refused(company, former, exit_code, *words, more=tuple(more)).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--config", "leadline.yaml", "--exports", ".", "--as-of", "2026-13-01"], ["--as-of", "2026-13-01"]),
        (["run", "--exports", "."], ["Missing option '--config'"]),
        (["demo", "--form", "sap"], ["--form", "'salesforce'"]),
        (["publish"], ["No such command 'publish'"]),
    ],
)
def test_arguments_that_there_are_not(arguments: list[str], words: list[str]):
    said = say(*arguments)
    assert said.exit_code == 2
    assert all(w in said.err for w in words), said.err


def test_a_file_in_place_of_the_home_folder(company: Company):
    place = company.folder / "taken"
    place.write_text("a letter", encoding="utf-8")
    said = say("run", "--config", str(company.configuration), "--exports", str(company.exports), "--home", str(place))
    refused(said, 4, "a file stands where a folder should be", str(place), "choose another home folder")
    assert place.read_text(encoding="utf-8") == "a letter"


def test_a_fault_of_leadline_is_told_without_values(company: Company, monkeypatch):
    former = company.published()

    def broken(*_arguments, **_settings):
        raise ValueError("could not convert 'Wang Xiaoming' to a number")

    with monkeypatch.context() as within_a_step:
        within_a_step.setattr("assets.core.trusted.stage_dates_sql", broken)
        assert_refused(company, former, 1, "the step stage_dates failed: ValueError at assets/core/trusted.py, line ", "run again with --debug")
    monkeypatch.setattr("assets.exports.exported.judge", broken)
    assert_refused(company, former, 1, "the command failed: ValueError at assets/exports/exported.py, line ", "run again with --debug")


@pytest.mark.slow
def test_an_earlier_day_uses_only_what_was_known_then(company: Company, tmp_path):
    day = pd.Timestamp("2026-03-31").date()
    said = company.run("--as-of", str(day))
    assert said.exit_code == 0, said.err
    then = founded(tmp_path / "then")
    then.write(**{name.removesuffix(".csv"): frame for name, frame in exports(day).items()})
    then.configure(f"as_of: {END}", f"as_of: {day}")
    assert then.run().exit_code == 0
    of_day = {name: [row for row in rows if row[0] == str(day)] for name, rows in tables(company.home.report_database).items()}
    known_then = tables(then.home.report_database)
    for name in ("funnel_flow", "stage_conversion", "stage_dwell", "win_rates", "win_probability", "win_timing", "revenue_forecast"):
        assert of_day[name], name
        assert of_day[name] == known_then[name], name


@pytest.mark.slow
def test_a_rerun_into_a_server_gives_the_same_tables(company: Company, postgres_url):
    from pipelines.report_db import ReportDatabase
    from quality.tables import PUBLISHED

    server = Company(company.folder, postgres_url.render_as_string(hide_password=False))
    of_runs = []
    for _ in range(2):
        said = server.run()
        assert said.exit_code == 0, said.err
        assert "postgresql://leadline:***@" in said.out
        of_runs.append({name: ReportDatabase(postgres_url).read(name, END) for name in PUBLISHED if name != "run_log"})
    for name, first in of_runs[0].items():
        pd.testing.assert_frame_equal(first, of_runs[1][name], check_exact=True)
        pd.testing.assert_frame_equal(first, rows_of(company, name), check_exact=True)
    assert len(ReportDatabase(postgres_url).read("run_log", END)) == 2
