"""The demonstration's exports: the same company in two forms, with every planted fault where the list says it is."""

import csv
import json
from dataclasses import replace

import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

from assets.exports.exported import NO_OWNERS, PARENTS_SQL
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.reading import read_table
from assets.query import Query
from models.simulated_world import DEMO
from pipelines.configuration import load_configuration
from pipelines.demo import chinese, salesforce, write_demo
from pipelines.demo.benchmark import write_benchmark
from pipelines.demo.dirt import MARKUP
from pipelines.demo.names import PROBABILITIES, STAGES, in_chinese
from pipelines.engine.duckdb import DuckDB

FORMS = ("salesforce", "chinese")
SMALL = replace(DEMO, deals=1_500)
END = str(DEMO.end)


class Written:
    """One form as written: its list of faults, its configuration, and every file by physical line."""

    def __init__(self, folder, form):
        self.form, self.demo = form, write_demo(folder, form)
        self.words = {"salesforce": salesforce.WORDS, "chinese": chinese.WORDS}[form]
        self.manifest = json.loads(self.demo.manifest.read_text(encoding="utf-8"))
        self.configuration = load_configuration(self.demo.configuration)
        self.rows = {path.name: self._by_line(path) for path in self.demo.exports.iterdir()}

    def _by_line(self, path):
        if path.suffix == ".xlsx":
            table = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
            return {line: dict(zip(table[0], map(str, row), strict=True)) for line, row in enumerate(table[1:], start=2)}
        encoding = next(e for e in ("utf-8-sig", "gb18030") if _decodes(path, e))
        lines = path.read_text(encoding=encoding).split("\n")
        header = next(csv.reader([lines[0]]))
        rows, line = {}, 1
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file)
            next(reader)
            line = reader.line_num + 1
            for row in reader:
                assert lines[line - 1].startswith(f'"{row[0]}"')
                rows[line] = dict(zip(header, row, strict=True))
                line = reader.line_num + 1
        return rows

    def planted(self, table, kind, code=None):
        """The rows of the file at the lines listed for one kind of fault."""
        found = [p for p in self.manifest["planted"] if p["table"] == table and p["kind"] == kind and (code is None or code in p["codes"])]
        assert found, f"nothing of the kind {kind} is planted in {table}"
        return [self.rows[p["file"]][p["line"]] for p in found]

    def of(self, table):
        """All rows of a table's file."""
        return list(self.rows[self.configuration.exports.tables[table].files[0]].values())


def _decodes(path, encoding):
    try:
        path.read_bytes().decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return {form: Written(tmp_path_factory.mktemp(form), form) for form in FORMS}


@pytest.fixture(params=FORMS)
def written(request, both):
    return both[request.param]


HEADERS = {
    "salesforce": {
        "id": "Id", "stage": "StageName", "created": "CreatedDate", "amount": "Amount", "expected": "CloseDate", "closed": "CloseDate",
        "owner": "OwnerId", "source": "LeadSource", "name": "Name", "currency": "CurrencyIsoCode", "changed": "LastModifiedDate",
        "parent": "OpportunityId", "entered": "CreatedDate", "new": "NewValue", "at": "CreatedDate", "touch": "WhatId", "happened": "CompletedDateTime",
        "user": "Id",
    },
    "chinese": {
        "id": "商机编号", "stage": "销售阶段", "created": "创建时间", "amount": "商机金额(万元)", "expected": "预计成交日期", "closed": "成交日期",
        "owner": "负责人", "source": "商机来源", "name": "商机名称", "currency": "币种", "changed": "最后修改时间",
        "parent": "商机编号", "entered": "进入阶段时间", "new": "修改后", "at": "修改时间", "touch": "商机编号", "happened": "跟进时间",
        "user": "工号",
    },
}  # fmt: skip


def _day(text):
    return pd.Timestamp(text[:10] if text[4] == "-" else text.split(" ")[0].replace("年", "-").replace("月", "-").replace("日", "").replace("/", "-"))


def test_spoilt_values_stand_where_the_list_says(written):
    h, words, planted = HEADERS[written.form], written.words, written.planted
    spoilt = [
        ("opportunities", "unreadable_date", "unreadable_created_at", "created", "unreadable_date"),
        ("opportunities", "unreadable_date", "unreadable_expected_close_date", "expected", "unreadable_date"),
        ("opportunities", "unreadable_amount", None, "amount", "unreadable_amount"),
        ("opportunities", "unknown_stage", None, "stage", "unknown_stage"),
        ("opportunities", "newest_rejected", None, "stage", "unknown_stage"),
        ("opportunities", "missing_id", None, "id", "empty"),
        ("opportunities", "unknown_currency", None, "currency", "unknown_currency"),
        ("opportunities", "won_without_amount", None, "amount", "empty"),
        ("opportunities", "owner_missing", None, "owner", "empty"),
        ("opportunities", "line_break", None, "name", "line_break"),
        ("stage_history", "missing_id", None, "parent", "empty"),
        ("stage_history", "unreadable_date", None, "entered", "unreadable_date"),
        ("field_history", "unreadable_value", None, "new", "unreadable_amount"),
        ("activities", "unreadable_date", None, "happened", "unreadable_date"),
    ]
    for table, kind, code, column, word in spoilt:
        for row in planted(table, kind, code):
            assert row[h[column]] == words[word], (table, kind)


def test_impossible_dates_stand_where_the_list_says(written):
    h, planted = HEADERS[written.form], written.planted
    end = pd.Timestamp(END)
    assert all(_day(row[h["created"]]) > end for row in planted("opportunities", "created_in_future"))
    assert all(_day(row[h["closed"]]) > end for row in planted("opportunities", "closed_in_future"))
    assert all(_day(row[h["closed"]]) < _day(row[h["created"]]) for row in planted("opportunities", "closed_before_created"))
    assert all(_day(row[h["entered"]]) > end for row in planted("stage_history", "future"))
    assert all(_day(row[h["entered"]]) < pd.Timestamp(DEMO.start) for row in planted("stage_history", "before_creation"))
    assert all(_day(row[h["at"]]) > end for row in planted("field_history", "future"))
    assert all(_day(row[h["happened"]]) > end for row in planted("activities", "planned"))


def test_orphans_owners_and_markup_stand_where_the_list_says(written):
    h, planted = HEADERS[written.form], written.planted
    known = {row[h["id"]] for row in written.of("opportunities")}
    for table, column in (("stage_history", "parent"), ("field_history", "parent"), ("activities", "touch")):
        assert not known & {row[h[column]] for row in planted(table, "orphan")}
    users = {row[h["user"]] for row in written.of("owners")}
    assert not users & {row[h["owner"]] for row in planted("opportunities", "unknown_owner")}
    marked = planted("opportunities", "markup")
    assert {row[h["name"]] for row in marked} == set(MARKUP)
    assert {row[h["source"]] for row in marked} > set(MARKUP)


def test_contradictory_flags_stand_where_the_list_says(written):
    rows = written.planted("opportunities", "contradictory_outcome")
    if written.form == "salesforce":
        assert all(row["StageName"] == "Closed Lost" and row["IsWon"] == "true" for row in rows)
    else:
        assert all(row["销售阶段"] == "输单" and row["商机状态"] == "赢单" for row in rows)


def test_copies_repeat_and_older_versions_precede_a_newer_row(written):
    h = HEADERS[written.form]
    for table in ("opportunities", "stage_history", "field_history", "activities", "accounts", "owners"):
        rows = written.of(table)
        assert all(rows.count(row) == 2 for row in written.planted(table, "copy"))
    versions = written.planted("opportunities", "older_version") + written.planted("opportunities", "stale_version")
    for old in versions:
        newer = [row for row in written.of("opportunities") if row[h["id"]] == old[h["id"]] and row != old]
        assert [_day(row[h["changed"]]) > _day(old[h["changed"]]) for row in newer] == [True]


def test_rows_of_rejected_deals_are_listed_and_no_others(written):
    h = HEADERS[written.form]
    verdict = {p["line"]: p["verdict"] for p in written.manifest["planted"] if p["table"] == "opportunities"}
    rows = written.rows[written.configuration.exports.tables["opportunities"].files[0]]
    in_force = {row[h["id"]] for line, row in rows.items() if verdict.get(line) != "rejected"}
    for table, column in (("stage_history", "parent"), ("field_history", "parent"), ("activities", "touch")):
        listed = {p["line"] for p in written.manifest["planted"] if p["table"] == table and p["verdict"] == "rejected"}
        file = written.rows[written.configuration.exports.tables[table].files[0]]
        assert {line for line, row in file.items() if row[h[column]] not in in_force} <= listed
        follows = {p["line"] for p in written.manifest["planted"] if p["table"] == table and p["kind"] == "follows_its_opportunity"}
        assert follows.isdisjoint({line for line, row in file.items() if row[h[column]] in in_force})


def test_counts_are_those_of_the_files_and_few_enough_are_rejected(written):
    for table, count in written.manifest["rows"].items():
        assert count["read"] == len(written.of(table)) == count["accepted"] + count["superseded"] + count["rejected"]
        assert count["rejected"] < 0.05 * count["read"]
    h, ids = HEADERS[written.form], {}
    rejected = {p["line"] for p in written.manifest["planted"] if p["table"] == "opportunities" and p["verdict"] == "rejected"}
    rows = written.rows[written.configuration.exports.tables["opportunities"].files[0]]
    closed = {"Closed Won", "Closed Lost", "赢单", "输单"}
    for line, row in rows.items():
        amount = pd.to_numeric(row[h["amount"]], errors="coerce")
        if row[h["stage"]] not in closed and pd.notna(amount):
            ids[line] = amount
    assert sum(amount for line, amount in ids.items() if line in rejected) < 0.1 * sum(ids.values())


def test_files_have_the_encodings_of_real_exports(both):
    def beginning(form, name):
        return (both[form].demo.exports / name).read_bytes()

    assert beginning("salesforce", "Opportunity.csv").isascii()
    assert beginning("chinese", "人员.csv").startswith(b"\xef\xbb\xbf")
    assert beginning("chinese", "阶段历史.csv").decode("gb18030").startswith('"商机编号"')
    with pytest.raises(UnicodeDecodeError):
        beginning("chinese", "阶段历史.csv").decode("utf-8")


def test_sellers_enter_probabilities_of_their_own(both):
    rows = pd.DataFrame(both["salesforce"].of("opportunities"))
    entered, stage = pd.to_numeric(rows["Probability"]), rows["StageName"]
    proposed = stage.map({english: PROBABILITIES[key] for key, (english, _) in STAGES.items()})
    is_open = proposed.between(1, 99)
    assert 0.4 < (entered != proposed)[is_open].mean() < 0.65
    assert (entered % 5 == 0).all() and entered[is_open].between(5, 95).all()
    assert set(entered[stage == "Closed Won"]) == {100}


COMPARED = {
    "opportunities": (
        "opportunity_id account_id opportunity_type owner_id amount created_at updated_at expected_close_date loss_reason "
        "source industry product region forecast_category crm_probability"
    ),
    "stage_history": "opportunity_id entered_at amount expected_close_date forecast_category",
    "field_history": "opportunity_id changed_at old_value new_value",
    "activities": "activity_id opportunity_id owner_id happened_at",
    "accounts": "account_id industry annual_revenue employees region",
    "owners": "owner_id team",
    "targets": "period_kind period_start dimension member metric target",
}
"""What both forms hold of each table; stages, flags and kinds are spelled in each one's own way."""


@pytest.mark.parametrize("table", COMPARED)
def test_both_forms_read_back_to_the_same_rows(both, table):
    columns = COMPARED[table].split()
    frames = []
    for form, written in both.items():
        rows = read_table(written.demo.exports, table, written.configuration).rows.to_pandas()
        rows = in_chinese(rows) if form == "salesforce" else rows
        if table == "stage_history":
            rows = rows.dropna(subset=["opportunity_id", "entered_at"]).sort_values(["opportunity_id", "entered_at"], kind="stable")
            rows = rows[rows[["opportunity_id", "stage"]].ne(rows[["opportunity_id", "stage"]].shift()).any(axis=1)]
        frames.append(rows[columns].replace(salesforce.WORDS["unreadable_amount"], chinese.WORDS["unreadable_amount"]).reset_index(drop=True))
    pd.testing.assert_frame_equal(*frames)
    assert frames[0].notna().any().all()


def _judged(written, tmp_path):
    """Every table of one form with its verdicts, by name."""
    configuration, engine, tables = written.configuration, DuckDB(tmp_path), {}
    rates = exchange_rates(configuration, None, DEMO.end)
    parents, owners = NO_PARENTS, NO_OWNERS
    for table in ("owners", "opportunities", "stage_history", "field_history", "activities", "accounts", "targets"):
        typed = read_table(written.demo.exports, table, configuration)
        judged = judge(table, typed.rows, typed.faults, configuration, engine, DEMO.end, Judged(parents, owners, rates))
        if table == "owners":
            owners = judged.select(["owner_id"])
        if table == "opportunities":
            parents = engine.arrow(Query(PARENTS_SQL, {"exported_opportunities": judged}))
        tables[table] = judged.to_pandas().set_index("_line")
    return tables


@pytest.mark.slow
def test_every_row_is_judged_as_the_list_says(written, tmp_path):
    judged = _judged(written, tmp_path)
    for table, count in written.manifest["rows"].items():
        verdicts = judged[table]["_verdict"].value_counts()
        assert {v: int(verdicts.get(v, 0)) for v in ("accepted", "superseded", "rejected")} == {v: count[v] for v in ("accepted", "superseded", "rejected")}
    for planted in written.manifest["planted"]:
        row = judged[planted["table"]].loc[planted["line"]]
        assert row["_verdict"] == ("accepted" if planted["verdict"] == "value_set_aside" else planted["verdict"]), planted
        assert set(planted["codes"]) <= set(row["_reasons"]), planted


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_equal_arguments_give_equal_bytes(tmp_path, form):
    for name in ("first", "again"):
        write_demo(tmp_path / name, form, SMALL, seed=3)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(files) == 9
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_configuration_declares_the_last_day_of_its_world(tmp_path):
    world = replace(SMALL, start=DEMO.start.replace(year=2022), end=DEMO.end.replace(year=2025))
    demo = write_demo(tmp_path, "salesforce", world)
    assert load_configuration(demo.configuration).as_of == world.end


def test_a_company_too_small_for_all_faults_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1,500 deals"):
        write_demo(tmp_path, "salesforce", replace(DEMO, deals=100))


def test_benchmark_exports_have_the_deals_asked_for_and_can_be_read(tmp_path):
    exports = write_benchmark(tmp_path, deals=2_000, seed=1)
    configuration = load_configuration(tmp_path / "leadline.yaml")
    opportunities = read_table(exports, "opportunities", configuration)
    history = read_table(exports, "stage_history", configuration)
    assert opportunities.rows.num_rows == 2_000 == len(opportunities.rows["opportunity_id"].unique())
    assert opportunities.faults.num_rows == history.faults.num_rows == 0
    assert 4.2 < history.rows.num_rows / 2_000 < 5.8
    assert set(configuration.exports.tables) == {"opportunities", "stage_history", "owners", "targets"}
