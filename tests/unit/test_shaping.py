"""What a declaration says beyond headers: rows of several tables, wide columns, ids that another file explains, dated stages."""

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from assets.exports.crm import CRMS
from assets.exports.crm.declaration import Crm, Filled
from assets.exports.errors import HeaderProblems, SourceProblems, UnreadableFile
from assets.exports.headers import map_headers
from assets.exports.judge import NO_PARENTS, Judged, exchange_rates, judge
from assets.exports.lookups import Lookups
from assets.exports.reading import read_table
from assets.exports.settings import Configuration, TableSource
from assets.exports.source import ExportSource, with_merged
from assets.exports.stage_dates import dated_stages, stage_names
from assets.query import Query
from assets.reports.quality_tables import meanings, rejected_rows_sql
from pipelines.engine.duckdb import DuckDB
from quality.tables import EXPORTED
from tests.exports_written import configuration, write

HEADER = "achievement_id,obj_name,type,year,january,february,march,status\n"


def several_pipelines(**lookups) -> Configuration:
    """Two pipelines with a stage of the same spelling."""
    return Configuration.model_validate(
        {
            "name": "Test",
            "pipelines": [
                {"key": key, "spellings": [label], "stages": [{"key": "talk", "spellings": ["Talk"]}]} for key, label in (("a", "Alpha"), ("b", "Beta"))
            ],
            "exports": {"crm": "hubspot", "tables": {"opportunities": {"files": "deals.csv"}}, "lookups": lookups},
        }
    )


def test_a_month_that_cannot_be_read_is_a_fault_of_its_own_row(tmp_path):
    folder = write(tmp_path, {"t.csv": f"{HEADER}1,Ann,3,2026,100,abc,,1\n2,Ben,3,2026,,,,1\n3,Cora,3,2026,x,y,7,1\n"})
    company = configuration({"opportunities": {"files": "o.csv"}, "targets": {"files": "t.csv"}}, "wukong")
    read = read_table(folder, "targets", company)
    found = read.rows.select(["_line", "_part", "period_start", "member", "target"]).to_pylist()
    assert [(r["_line"], r["_part"], r["period_start"].month, r["member"], r["target"]) for r in found] == [
        (2, 0, 1, "Ann", 100.0),
        (2, 1, 2, "Ann", None),
        (4, 0, 1, "Cora", None),
        (4, 1, 2, "Cora", None),
        (4, 2, 3, "Cora", 7.0),
    ]
    assert read.faults.select(["_line", "_part", "value"]).to_pylist() == [
        {"_line": 2, "_part": 1, "value": "abc"},
        {"_line": 4, "_part": 0, "value": "x"},
        {"_line": 4, "_part": 1, "value": "y"},
    ]
    assert [(file.rows, file.passed_over) for file in read.files] == [(5, 1)]
    engine = DuckDB(tmp_path / "spill")
    day = datetime(2026, 6, 30).date()
    neighbours = Judged(NO_PARENTS, pa.table({"owner_id": pa.array([], pa.string())}), exchange_rates(company, None, day))
    judged = judge("targets", read.rows, read.faults, company, engine, day, neighbours)
    assert judged["_verdict"].to_pylist() == ["accepted", "rejected", "rejected", "rejected", "accepted"]
    assert judged["_reasons"].to_pylist() == [[], *[["unreadable_target"]] * 3, []]
    run = pa.table({"as_of": [day], "fix_by_hours": [24]})
    first_seen = pa.table(
        {"export": pa.array([], pa.string()), "line": pa.array([], pa.int64()), "reasons": pa.array([], pa.string()), "first_seen": pa.array([], pa.date32())}
    )
    nobody = pa.table({name: pa.array([], pa.string()) for name in ("opportunity_id", "owner_id", "_verdict")})
    explained = {"meanings": meanings(company, ["targets"]), "exported_opportunities": nobody}
    tables = {"exported_targets": judged, "run": run, "first_seen": first_seen, **explained}
    listed = engine.arrow(Query(f"SELECT line, reasons FROM ({rejected_rows_sql(['targets'])}) ORDER BY line", tables)).to_pylist()
    assert [row["line"] for row in listed] == [2, 4]
    assert listed[1]["reasons"].count("unreadable_target") == 1


def test_a_year_that_wide_columns_need_is_asked_for(tmp_path):
    folder = write(tmp_path, {"t.csv": "obj_name,january\nAnn,1\n"})
    with pytest.raises(HeaderProblems, match="looked for headers year, 年份"):
        read_table(folder, "targets", configuration({"opportunities": {"files": "o.csv"}, "targets": {"files": "t.csv"}}, "wukong"))


def test_a_row_with_too_few_fields_keeps_its_place_among_shaped_ones(tmp_path):
    folder = write(tmp_path, {"t.csv": f"{HEADER}1,Ann,3,2026,1,2,,1\n2,Ben\n3,Cora,3,2026,3,,,1\n"})
    read = read_table(folder, "targets", configuration({"opportunities": {"files": "o.csv"}, "targets": {"files": "t.csv"}}, "wukong"))
    assert list(zip(read.rows["_line"].to_pylist(), read.rows["_part"].to_pylist())) == [(2, 0), (2, 1), (3, 0), (4, 0)]
    assert read.faults["code"].to_pylist() == ["ragged_row"]


def test_a_header_that_is_repeated_among_wide_rows_is_one_broken_row(tmp_path):
    folder = write(tmp_path, {"t.csv": f"{HEADER}1,Ann,3,2026,1,2,,1\n{HEADER}2,Ben,3,2026,3,,,1\n"})
    read = read_table(folder, "targets", configuration({"opportunities": {"files": "o.csv"}, "targets": {"files": "t.csv"}}, "wukong"))
    assert list(zip(read.rows["_line"].to_pylist(), read.rows["_part"].to_pylist())) == [(2, 0), (2, 1), (3, 0), (4, 0)]
    (fault,) = read.faults.to_pylist()
    assert (fault["_line"], fault["code"], "found the header again" in fault["expected"]) == (3, "ragged_row", True)
    assert [(file.rows, file.ragged_rows, file.passed_over) for file in read.files] == [(4, 1, 0)]


def test_texts_that_repeat_are_translated_as_single_ones_are(tmp_path):
    calls = ["z1,Deals,2026-01-01,Completed", "z1,Accounts,2026-01-01,Completed", ",,2026-01-02,Completed", "z2,deals,x,Completed"]
    tasks = ["006A00000000001AAA,2026-01-01", "001A00000000001AAA,2026-01-01", "006A00000000001AAA,"]
    deals = ["7,Alpha,won", "8,p1,lost", "7,,"]
    lookups = {"lookups": {"stages": {"files": "s.csv"}, "pipelines": {"files": "p.csv"}}}
    for crm, table, header, rows, exports, columns in (
        ("zoho", "activities", "Record Id,Related To Id,Related To Module,Call Start Time,Call Status", calls, {}, ("opportunity_id", "happened_at")),
        ("salesforce", "activities", "Id,WhatId,ActivityDate", tasks, {}, ("opportunity_id", "happened_at")),
        ("hubspot", "opportunities", "deal_id,dealstage,pipeline,outcome", deals, lookups, ("stage", "pipeline", "outcome")),
    ):
        lines = {"once.csv": rows, "many.csv": rows * 20}
        files = {name: "\n".join([header, *(f"{n},{row}" for n, row in enumerate(of))]) + "\n" for name, of in lines.items()}
        folder = write(tmp_path / crm, {**files, "s.csv": "stage_id,label\n7,Talk\n", "p.csv": "pipeline_id,label\np1,Alpha\n"})
        once, many = (read_table(folder, table, configuration({"opportunities": {"files": name}, table: {"files": name}}, crm, exports)) for name in lines)
        for column in columns:
            assert many.rows[column].to_pylist() == once.rows[column].to_pylist() * 20, (crm, column)
            assert len({*once.rows[column].to_pylist()}) > 1, (crm, column)
        assert many.faults["value"].to_pylist() == once.faults["value"].to_pylist() * 20


CALLS = "engagement_id,hs_call_title,hs_timestamp\n1,one,2026-01-01\n2,two,2026-01-02\n3,none,2026-01-03\n"


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("engagement_id,deal_id\n2,20\n1,10\n2,21\n", [("1", "10"), ("2/20", "20"), ("2/21", "21"), ("3", None)]),
        ("engagement_id,deal_id\n", [("1", None), ("2", None), ("3", None)]),
        (None, [("1", None), ("2", None), ("3", None)]),
    ],
)
def test_an_engagement_is_a_row_for_every_deal_that_it_is_about(links, expected, tmp_path):
    folder = write(tmp_path, {"calls.csv": CALLS, **({"links.csv": links} if links else {})})
    exports = {"lookups": {"engagement_deals": {"files": "links.csv"}}} if links else {}
    company = configuration({"opportunities": {"files": "o.csv"}, "activities": {"files": "calls.csv"}}, "hubspot", exports)
    rows = read_table(folder, "activities", company).rows.to_pylist()
    assert [(row["activity_id"], row["opportunity_id"]) for row in rows] == expected
    assert {row["kind"] for row in rows} == {"call"}


def test_rows_of_merged_deals_are_no_orphans_and_their_deals_name_the_one_that_stays(tmp_path):
    deals = "deal_id,dealstage\n1,talk\n2,talk\n"
    folder = write(tmp_path, {"deals.csv": deals, "merged.csv": "deal_id,hs_merged_object_ids\n1,2; 3\n"})
    company = configuration({"opportunities": {"files": "deals.csv"}}, "hubspot", {"lookups": {"merged_deals": {"files": "merged.csv"}}})
    assert read_table(folder, "opportunities", company).rows["merged_into"].to_pylist() == [None, "1"]
    merged = Lookups(folder, company, CRMS["hubspot"]).ids("merged_deals")
    assert merged.to_pylist() == ["2", "3"]
    known = pa.table({f.name: pa.array(["2"] if f.name == "opportunity_id" else [None], f.type) for f in NO_PARENTS.schema}, schema=NO_PARENTS.schema)
    parents = with_merged(known, merged).to_pylist()
    assert [(row["opportunity_id"], row["is_accepted"]) for row in parents] == [("2", None), ("3", True)]


@pytest.mark.parametrize(
    ("lookups", "message"),
    [
        ({"stagse": {"files": "s.csv"}}, "hubspot has no such lookup.*nearest: 'stages'"),
        ({"stages": {"files": "none.csv"}}, "exports.lookups.stages.files: no file of the exports folder matches 'none.csv'"),
        ({"stages": {"files": "../s.csv"}}, r"^exports.lookups.stages.files: the pattern '../s.csv' is not a path below the exports folder"),
        ({"stages": {"files": "empty.csv"}}, r"^lookup stages: the file 'empty.csv' is empty"),
        ({"stages": {"files": "s.csv"}}, "s.csv: looked for headers stage_id, Stage ID, id; the file has 'number', 'label'"),
        ({"stages": {"files": "s.csv", "key": "numbre"}}, "looked for headers numbre; .*nearest: 'number'; name it under exports.lookups.stages.key"),
    ],
)
def test_what_is_wrong_with_a_lookup_is_said_with_what_to_do(lookups, message, tmp_path):
    folder = write(tmp_path, {"deals.csv": "deal_id,dealstage\n1,7\n", "s.csv": "number,label\n7,Talk\n", "empty.csv": ""})
    with pytest.raises((SourceProblems, HeaderProblems, UnreadableFile), match=message):
        read_table(folder, "opportunities", configuration({"opportunities": {"files": "deals.csv"}}, "hubspot", {"lookups": lookups}))


def test_headers_of_a_lookup_are_named_by_the_configuration(tmp_path):
    folder = write(tmp_path, {"deals.csv": "deal_id,dealstage\n1,7\n2,8\n", "s.csv": "number,label\n7,Talk\n"})
    company = configuration({"opportunities": {"files": "deals.csv"}}, "hubspot", {"lookups": {"stages": {"files": "s.csv", "key": "number"}}})
    assert read_table(folder, "opportunities", company).rows["stage"].to_pylist() == ["Talk", "8"]


def test_a_stage_that_two_pipelines_share_is_dated_by_the_file_of_stages(tmp_path):
    deals = "deal_id,pipeline,hs_v2_date_entered_11,hs_date_entered_11,hs_v2_date_entered_22\n1,a,2026-01-01,2026-01-05,\n2,b,,,2026-02-01\n3,a,,2026-01-05,\n"
    folder = write(
        tmp_path, {"deals.csv": deals, "s.csv": "stage_id,label,pipeline_id\n11,Talk,p1\n22,Talk,p2\n", "p.csv": "pipeline_id,label\np1,Alpha\np2,Beta\n"}
    )
    company = several_pipelines(stages={"files": "s.csv"}, pipelines={"files": "p.csv"})
    rows = read_table(folder, "opportunities", company).rows
    assert [str(day)[:10] for day in rows["stage_date:a:talk"].to_pylist()] == ["2026-01-01", "None", "2026-01-05"]
    assert [str(day)[:10] for day in rows["stage_date:b:talk"].to_pylist()] == ["None", "2026-02-01", "None"]


def test_a_date_of_a_stage_that_may_be_either_pipelines_is_a_question():
    header = ['Date entered "Talk"', 'Date entered "Talk (Beta)"', 'Date entered "Other (Beta)"', "hs_v2_date_entered_talk"]
    names = stage_names(several_pipelines())
    assert dated_stages(header[1:3], CRMS["hubspot"], names, "d.csv") == {"b:talk": [0]}
    with pytest.raises(HeaderProblems, match=r"may date a:talk or b:talk; name it under exports.tables.opportunities.stage_dates"):
        dated_stages(header[:1], CRMS["hubspot"], names, "d.csv")


def test_configured_stage_dates_go_before_those_that_are_found(tmp_path):
    folder = write(tmp_path, {"deals.csv": "deal_id,hs_v2_date_entered_talk,Talked\n1,2026-01-01,2026-03-01\n"})
    company = configuration({"opportunities": {"files": "deals.csv", "stage_dates": {"talk": "Talked"}}}, "hubspot")
    read = read_table(folder, "opportunities", company)
    assert read.rows["stage_date:talk"].to_pylist() == [datetime(2026, 3, 1)]
    assert [header for _, header in read.unmapped] == ["hs_v2_date_entered_talk"]


def test_columns_that_fill_each_other_take_a_zero_last_and_state_one_unit(tmp_path):
    content = "opportunityid,actualvalue,estimatedvalue\n1,120,100\n2,,100\n3,0.00,100\n4,0,\n5,abc,100\n"
    folder = write(tmp_path, {"o.csv": content})
    read = read_table(folder, "opportunities", configuration({"opportunities": {"files": "o.csv"}}, "dynamics"))
    assert read.rows["amount"].to_pylist() == [Decimal(120), Decimal(100), Decimal(100), Decimal(0), None]
    assert read.faults["value"].to_pylist() == ["abc"]
    crm = Crm("x", {"opportunities": {"opportunity_id": ("id",), "amount": (Filled(("Actual", "Estimate")),)}})
    with pytest.raises(HeaderProblems, match="state different units"):
        map_headers(["id", "Actual (k)", "Estimate"], EXPORTED["opportunities"], TableSource(files=["x"]), crm, "x.csv")


def test_an_id_of_another_kind_is_no_value(tmp_path):
    content = "Id,WhatId,ActivityDate\n1,006A00000000001AAA,2026-01-01\n2,001A00000000001AAA,2026-01-01\n3,Opportunity for Fir,2026-01-01\n"
    folder = write(tmp_path, {"task.csv": content})
    company = configuration({"opportunities": {"files": "o.csv"}, "activities": {"files": "task.csv"}}, "salesforce")
    assert read_table(folder, "activities", company).rows["opportunity_id"].to_pylist() == ["006A00000000001AAA", None, "Opportunity for Fir"]


def test_a_declaration_is_extended_with_preferred_headers():
    base = Crm("base", {"opportunities": {"stage": ("Phase",), "amount": (("Value", "Worth"),)}})
    more = base.extended("more", {"opportunities": {"amount": ("Price",)}, "leads": {"lead_id": ("Lead",)}}, outcome_beside_stage=True)
    assert more.headers["opportunities"] == {"stage": ("Phase",), "amount": (("Price", "Value", "Worth"),)}
    assert (more.name, more.headers["leads"], more.outcome_beside_stage, base.headers["opportunities"]["amount"]) == (
        "more",
        {"lead_id": (("Lead",),)},
        True,
        (("Value", "Worth"),),
    )


def test_a_header_of_the_stage_that_nothing_knows_is_told_with_the_headers_that_nothing_reads(tmp_path):
    folder = write(tmp_path, {"o.csv": "Id,Name,StageName,Amount\n006A,One,Talk,5\n", "p.csv": "Id,Name,Sales Phase,Amount\n006A,One,Talk,5\n"})
    told = {}
    for file in ("o.csv", "p.csv"):
        source = ExportSource(folder, configuration({"opportunities": {"files": file}}, "salesforce"))
        source.typed("opportunities")
        told[file] = source.notes.get("opportunities", "")
    assert told["o.csv"] == ""
    assert "no header is known as that of the stage" in told["p.csv"] and "Sales Phase" in told["p.csv"]
