"""What is read off exports before anybody has described them: files, columns, written forms, outcomes, segments, templates."""

from datetime import datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from assets.exports.crm import CRMS
from assets.exports.errors import UnreadableFile
from assets.exports.headers import map_headers
from assets.exports.proposing.mapping import by_uniqueness, joined_share, looks_like
from assets.exports.proposing.outcomes import StageCount, contradictions, outcomes_of, stage_counts
from assets.exports.proposing.patterns import file_patterns
from assets.exports.proposing.recognise import crm_evidence, mixed_crms
from assets.exports.proposing.segments import amount_bands, changed_fields, splits_of
from assets.exports.proposing.stage_order import follows, history_of, order_stages, side_tracks
from assets.exports.proposing.stage_templates import matching_template, stage_templates
from assets.exports.proposing.stage_words import keys_and_labels, ranked
from assets.exports.proposing.written import date_setting, written_forms
from assets.exports.reading import schema_of
from assets.exports.settings import TableSource
from pipelines.proposal.fields import date_names
from quality.tables import EXPORTED
from tests.opened_sheets import assigned, sheets

DEALS = "Id,StageName,Amount,CloseDate,CreatedDate,OwnerId,AccountId,LeadSource,ForecastCategoryName,LastStageChangeDate\n" + "".join(
    f"D{n},{'Proposal' if n % 2 else 'Closed Won'},{n}00,2024-03-{n:02},2024-01-{n:02},O{n % 3},A{n},Web,Pipeline,2024-02-{n:02}\n" for n in range(1, 10)
)
HISTORY = "OpportunityId,StageName,CreatedDate\n" + "".join(
    f"D{n},{s},2024-02-{n + d:02}\n" for n in range(1, 10) for d, s in enumerate(("Proposal", "Closed Won"))
)


# --- files and tables ---


def test_a_sheet_is_opened_below_its_title_and_above_its_instructions(tmp_path):
    (sheet,) = sheets(tmp_path, {"deals.csv": "Deals of 2024\nid,stage,amount,owner\n必填,必填 从下拉选择,选填 数字,必填\n1,Talk,5,x\n2,Offer,6,y\n"})
    assert (sheet.form.header_row, sheet.form.instruction_rows) == (2, 1)
    assert sheet.header == ("id", "stage", "amount", "owner")
    assert sheet.texts(0).to_pylist() == ["1", "2"]


def test_a_row_of_values_is_no_instruction(tmp_path):
    (sheet,) = sheets(tmp_path, {"deals.csv": "id,notes,stage\n1,请填写,Talk\n2,x,Offer\n"})
    assert sheet.form.instruction_rows is None
    assert sheet.sample.num_rows == 2


def test_a_file_that_is_no_export_is_said_to_be_none(tmp_path):
    with pytest.raises(UnreadableFile, match="files of this form are not read"):
        sheets(tmp_path, {"deals.docx": "text"})


def test_native_files_are_known_by_their_headers(tmp_path):
    crm, found = assigned(sheets(tmp_path, {"one.csv": DEALS, "two.csv": HISTORY, "users.csv": "Id,Name,Department\nO0,n,East\nO1,m,West\nO2,k,East\n"}))
    assert crm == "salesforce"
    assert {table: [s.name for s in files.sheets] for table, files in found.tables.items()} == {
        "opportunities": ["one.csv"],
        "stage_history": ["two.csv"],
        "owners": ["users.csv"],
    }
    assert all(files.columns == {} for files in found.tables.values())


def test_chinese_headers_are_known_and_the_plainest_crm_is_taken(tmp_path):
    deals = "商机编号,商机名称,销售阶段,商机金额(万元),创建时间,负责人\n1,甲项目,报价,5,2024/1/2,张\n2,乙项目,谈判,6,2024/1/3,李\n"
    crm, found = assigned(sheets(tmp_path, {"商机.csv": deals}))
    assert crm in ("chinese", "fxiaoke", "xiaoshouyi", "wukong", "sheets")
    assert found.tables["opportunities"].columns == {}


def test_plain_words_are_no_crm(tmp_path):
    deals = "deal id,sales agent,account,deal stage,engage date,close date,close value\n" + "".join(
        f"{n},p{n % 3},c{n},Won,2024-01-0{n},2024-02-0{n},{n}000\n" for n in range(1, 8)
    )
    people = "sales agent,manager,regional office\np0,m,East\np1,m,West\np2,k,East\n"
    accounts = "account,sector,revenue,employees\n" + "".join(f"c{n},x,{n}0,{n}\n" for n in range(1, 8))
    crm, found = assigned(sheets(tmp_path, {"accounts.csv": accounts, "deals.csv": deals, "people.csv": people, "prices.csv": "item,price\na,1\nb,2\n"}))
    assert crm == "plain"
    assert found.tables["accounts"].columns["account_id"] == "account"
    assert found.tables["opportunities"].columns == {
        "opportunity_id": "deal id", "owner_id": "sales agent", "account_id": "account", "stage": "deal stage",
        "created_at": "engage date", "closed_at": "close date", "amount": "close value",
    }  # fmt: skip
    assert found.tables["owners"].columns == {"owner_id": "sales agent", "manager_id": "manager", "team": "regional office"}
    assert list(found.unknown) == ["prices.csv"]


def test_a_history_is_known_by_ids_that_repeat_and_join(tmp_path):
    cases = "case_id,registered_at,amount_requested\n" + "".join(f"{n},2024-01-0{n},{n}00\n" for n in range(1, 8))
    events = "ref,stage,entered_at\n" + "".join(f"{n},{s},2024-02-0{n}\n" for n in range(1, 8) for s in ("A", "B"))
    _, found = assigned(sheets(tmp_path, {"cases.csv": cases, "log.csv": events}))
    assert found.tables["stage_history"].columns == {"opportunity_id": "ref"}
    assert found.tables["stage_history"].evidence["opportunity_id"] == "its values are those of opportunity_id in the opportunities"


def test_a_name_stands_for_a_missing_id_only_if_it_is_different_everywhere(tmp_path):
    header = "Name,StageName,Amount,CreatedDate,Account.Name,LeadSource,ForecastCategoryName"
    rows = [f"n{n},Proposal,5,2024-01-01,a,Web,Pipeline" for n in range(5)]
    _, found = assigned(sheets(tmp_path, {"Opportunity.csv": "\n".join([header, *rows])}))
    assert found.tables["opportunities"].columns == {"opportunity_id": "Name"}
    assert found.tables["opportunities"].is_named_id
    _, found = assigned(sheets(tmp_path, {"Opportunity.csv": "\n".join([header, *rows, rows[0]])}))
    assert found.tables == {}


def test_snapshots_are_one_table_and_a_file_of_ids_is_a_lookup(tmp_path):
    deals = "deal_id,deal_pipeline_stage_id,property_dealname,property_amount,property_createdate\n1,s1,a,5,2024-01-01\n2,s2,b,6,2024-01-02\n"
    stages = "stage_id,label,pipeline_id,display_order\ns1,Talk,p,0\ns2,Offer,p,1\n"
    crm, found = assigned(sheets(tmp_path, {"deals-2024-01-31.csv": deals, "deals-2024-02-29.csv": deals, "deal_pipeline_stage.csv": stages}))
    assert crm == "hubspot"
    assert [s.name for s in found.tables["opportunities"].sheets] == ["deals-2024-01-31.csv", "deals-2024-02-29.csv"]
    assert {name: [s.name for s in files] for name, files in found.lookups.items()} == {"stages": ["deal_pipeline_stage.csv"]}


def test_two_crms_are_told_apart_by_headers_that_only_they_have(tmp_path):
    hubspot = "deal_id,deal_pipeline_id,deal_pipeline_stage_id,property_dealname,property_amount,property_closedate\n1,p,s,n,5,2024-01-01\n"
    opened = sheets(tmp_path, {"hubspot deals.csv": hubspot, "Opportunity.csv": DEALS})
    assert mixed_crms(crm_evidence(opened, CRMS), CRMS) == {"hubspot": ("hubspot deals.csv",), "salesforce": ("Opportunity.csv",)}
    assert mixed_crms(crm_evidence(opened[:1], CRMS), CRMS) == {"salesforce": ("Opportunity.csv",)}


def test_days_in_names_become_a_pattern_unless_it_takes_others(tmp_path):
    *dated, other = [s.file for s in sheets(tmp_path, dict.fromkeys(["deals-2024-01-31.csv", "deals-2024-02-29.csv", "deals-lost.csv"], "a,b\n1,2\n"))]
    assert file_patterns(dated, []) == ("deals-*.csv",)
    assert file_patterns(dated, [other]) == ("deals-2024-01-31.csv", "deals-2024-02-29.csv")


def test_values_decide_what_a_header_can_be(tmp_path):
    (sheet,) = sheets(tmp_path, {"x.csv": "when,money,code,day\n2024-01-02,5,a1,3/4/2024\n2024-02-03,¥6.5万,a2,13/4/2024\n,7,a3,\n"})
    assert [looks_like(sheet, p, "time") for p in range(4)] == [True, False, False, True]
    assert [looks_like(sheet, p, "original_amount") for p in range(3)] == [False, True, False]
    assert by_uniqueness(sheet, (), ()) == 2
    assert by_uniqueness(sheet, (), (2,)) is None
    assert joined_share(pa.array(["a", "b", "c"]), pa.array(["a", "b"])) == pytest.approx(2 / 3)


def test_evidence_comes_from_the_header_that_the_run_reads(tmp_path):
    """Of two headers that differ in blanks and case only, the one to the letter is read, wherever it stands."""
    text = "Opportunity ID,STAGE,opportunity_id,stage,amount,created_at\n" + "".join(f"same,Old,D{n},New,5,2024-01-0{n}\n" for n in range(1, 6))
    (sheet,) = sheets(tmp_path, {"deals.csv": text})
    crm, found = assigned([sheet])
    deals = found.tables["opportunities"]
    read = map_headers(sheet.header, EXPORTED["opportunities"], TableSource(files=("deals.csv",)), CRMS[crm], "deals.csv").columns
    assert deals.columns == {}
    assert deals.positions == {name: column.position for name, column in read.items()} == {"opportunity_id": 2, "stage": 3, "amount": 4, "created_at": 5}


# --- written forms ---


def of_dates(folder, *days, amounts=("5", "6", "7")):
    rows = "".join(f'D{n},{day},"{amounts[n % len(amounts)]}",Talk\n' for n, day in enumerate(days))
    _, found = assigned(sheets(folder, {"deals.csv": "opportunity_id,created_at,amount,stage\n" + rows}))
    return written_forms(found.tables["opportunities"], CRMS["plain"])


@pytest.mark.parametrize(
    ("days", "order", "proof"),
    [
        (("03/04/2024", "25/03/2024"), "day", "25/03/2024 (deals.csv, created_at)"),
        (("03/04/2024", "03/25/2024"), "month", "03/25/2024 (deals.csv, created_at)"),
    ],
)
def test_one_row_proves_the_order_of_day_and_month(tmp_path, days, order, proof):
    forms = of_dates(tmp_path, *days)
    assert {"day": forms.order.day_first, "month": forms.order.month_first} == {order: proof, ({"day", "month"} - {order}).pop(): None}
    assert date_setting(forms, CRMS["plain"], order) == (("%d/%m/%Y",) if order == "day" else ("%m/%d/%Y",))


def test_nothing_proves_an_order_where_no_number_is_above_twelve(tmp_path):
    forms = of_dates(tmp_path, "03/04/2024", "05/06/2024 10:30")
    assert (forms.order.texts, forms.order.day_first, forms.order.month_first) == (2, None, None)
    assert forms.order.forms["day"] == ("%d/%m/%Y", "%d/%m/%Y %H:%M")


def test_a_day_that_there_is_in_neither_order_proves_none(tmp_path):
    order = of_dates(tmp_path, "03/04/2024", "25/26/2024").order
    assert (order.texts, order.day_first, order.month_first) == (2, None, None)


def test_unambiguous_dates_need_no_form_and_serials_do(tmp_path):
    forms = of_dates(tmp_path, "2024-01-02", "2024/3/4")
    assert forms.order is None and date_setting(forms, CRMS["plain"], "day") == ()
    assert date_setting(of_dates(tmp_path, "45000", "45001.5"), CRMS["plain"], "day") == ("excel",)


def test_decimal_commas_and_spellings_of_nothing_are_found(tmp_path):
    forms = of_dates(tmp_path, "2024-01-02", "-", "2024-01-03", amounts=("1.234,50", "5", "N/A"))
    assert forms.decimal_comma == "deals.csv, amount"
    assert forms.empty == ("-", "N/A")
    assert of_dates(tmp_path, "2024-01-02", amounts=("1,234.50",)).decimal_comma is None


# --- stages ---


def entries(*courses: str) -> pa.Table:
    """One deal per text such as ``a b c``: a stage a day."""
    rows = [
        {"opportunity_id": str(n), "stage": stage, "entered_at": datetime(2024, 1, 1) + timedelta(days=d)}
        for n, course in enumerate(courses)
        for d, stage in enumerate(course.split())
    ]
    return pa.Table.from_pylist(rows)


def test_the_order_has_the_fewest_moves_backward():
    found = order_stages("cab", history_of(entries("a b c", "a c", "b c", "a b", "c b")))
    assert found.stages == ("a", "b", "c")
    assert (found.forward, found.total) == (5, 6)


def test_moves_within_one_instant_show_no_order():
    table = entries("a b")
    same = table.set_column(2, "entered_at", pa.array([datetime(2024, 1, 1)] * 2))
    assert history_of(same).moves == {}


def test_more_stages_than_are_ordered_exactly_are_ordered_too():
    names = [f"s{n:02}" for n in range(18)]
    found = order_stages(reversed(names), history_of(entries(" ".join(names), " ".join(names[::2]), " ".join(names[3:]))))
    assert found.stages == tuple(names)


def test_events_beside_the_funnel_are_known_by_their_names_and_by_deals_that_lack_them():
    history = history_of(entries("A_IN A_OUT", "A_IN A_OUT", "A_IN O_SENT O_BACK A_OUT", "A_IN A_OUT"))
    assert side_tracks(history) == ("O_BACK", "O_SENT")
    assert side_tracks(history_of(entries("A_IN O_SENT A_OUT O_BACK"))) == ()


def test_outcomes_are_known_by_name_unless_deals_go_on():
    history = history_of(entries("talk declined offer won", "talk declined offer won", "talk offer lost"))
    found = outcomes_of({}, history)
    assert (found.won, found.lost, found.open) == (("won",), ("lost",), ("declined", "offer", "talk"))
    assert outcomes_of({}, history_of(entries("talk declined", "talk offer"))).lost == ("declined",)


def test_a_closing_in_several_steps_is_won_in_all_of_them():
    history = history_of(entries("talk approved registered activated", "talk approved registered activated", "talk declined"))
    assert follows(history, history.deals)["approved"] == {"registered", "activated"}
    assert outcomes_of({}, history).won == ("activated", "approved", "registered")


def test_flags_tell_outcomes_whose_names_do_not_and_contradictions_are_counted():
    counts = {"x": StageCount(10, 1.0, 1.0), "y": StageCount(10, 0.0, 1.0), "z": StageCount(10, 0.0, 0.0), "Closed Won": StageCount(10, 0.3, 0.4)}
    found = outcomes_of(counts, None, ["进行中", "赢单", "已搁置"])
    assert (found.won, found.lost, found.open) == (("Closed Won", "x", "赢单"), ("y", "已搁置"), ("z",))
    assert contradictions(counts, found) == 6


@pytest.mark.parametrize("name", ["商务成交", "Close", "Contract Review", "签约跟进", "Winter campaign"])
def test_names_that_only_sound_like_outcomes_are_stages(name):
    assert outcomes_of({name: StageCount(5)}, None).open == (name,)


def test_names_tell_a_place_in_the_funnel():
    assert ranked(["Negotiation/Review", "Prospecting", "Proposal/Price Quote", "Qualification"]) == (
        ("Prospecting", "Qualification", "Proposal/Price Quote", "Negotiation/Review"),
        4,
    )
    assert ranked(["立项", "签约跟进", "线索", "报价"])[0] == ("线索", "立项", "报价", "签约跟进")
    assert ranked(["xyz", "Proposal"]) == (("Proposal", "xyz"), 1)


def test_keys_are_valid_and_different():
    named = keys_and_labels(["Proposal", "proposal", "报价", "9/x==", "Won"])
    keys = [key for key, _ in named]
    assert keys == ["proposal", "proposal_2", "proposal_3", "stage_4", "won_5"]
    assert (named[0][1].zh, named[2][1].en) == ("方案", "proposal")


# --- segments ---


def deals(**columns) -> tuple[pa.Table, pa.ChunkedArray]:
    """Typed opportunities, the first half of them open."""
    count = len(next(iter(columns.values())))
    schema = schema_of(EXPORTED["opportunities"])
    table = pa.table([pa.chunked_array([pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type)]) for f in schema], schema=schema)
    return table, pa.chunked_array([pa.array([n < count // 2 for n in range(count)])])


def test_a_field_that_closed_deals_alone_have_gives_the_outcome_away():
    table, is_open = deals(source=["web", "fair"] * 20, product=[None] * 20 + ["a", "b"] * 10, region=["x"] * 40, account_id=[None] * 20 + ["k"] * 20)
    found = splits_of(table, is_open, None, None, 1)
    assert list(found.segments) == ["source"]
    assert found.refused["product"] == "filled on 0% of open and 100% of closed deals: whether it is there gives the outcome away"
    assert "gives the outcome away" in found.refused["account_id"]
    assert found.refused["region"] == "one value only"
    assert "product" not in found.immutable and "account_id" not in found.immutable


def test_a_field_that_was_changed_is_not_immutable():
    table, is_open = deals(source=["web", "fair"] * 20, industry=["x", "y"] * 20)
    changes = changed_fields(pa.table({"field": ["source", "source", "amount"]}))
    assert changes == {"source": 2, "amount": 1}
    assert list(splits_of(table, is_open, None, changes, 1).immutable) == ["industry"]
    assert list(splits_of(table, is_open, None, None, 1).immutable) == ["source", "industry"]


def test_teams_and_pipelines_are_split_by_where_there_are_several():
    table, is_open = deals(owner_id=["p", "q"] * 20)
    owners = pa.table({"team": ["East", "West"]})
    assert list(splits_of(table, is_open, owners, None, 2).segments) == ["pipeline", "team", "owner"]
    assert list(splits_of(table, is_open, owners.slice(1), None, 1).segments) == ["owner"]


def test_amount_bands_part_the_amounts():
    table, _ = deals(amount=[Decimal(n) for n in range(1, 301)])
    assert amount_bands(table) == (100.0, 200.0)
    assert amount_bands(table.slice(0, 5)) == ()


def test_a_date_is_that_of_the_stage_it_is_called_like():
    assert date_names(["engage_date", "close_date"], ["Engaging", "Prospecting"]) == {"Engaging": "engage_date"}
    assert date_names(["offer_sent", "offer_opened"], ["Offer made"]) == {}


def test_stages_are_counted_with_their_flags():
    table, _ = deals(stage=["a", " a", "b", None], is_won=[True, True, None, True], is_closed=[None, True, False, None])
    assert stage_counts(table) == {"a": StageCount(2, 1.0, 1.0), "b": StageCount(1, None, 0.0)}
    assert pc.sum(pa.array([c.deals for c in stage_counts(table).values()])).as_py() == 3


# --- templates ---


def test_every_template_is_whole():
    templates = stage_templates()
    assert {*templates} >= {"general_b2b", "opportunity_management", "six_phases", "saas", "industrial_bidding", "consumer", "education"}
    for name, template in templates.items():
        assert len({s.key for s in template.stages}) == len(template.stages) <= 6, name
        for stage in template.stages:
            assert stage.labels and stage.entry and stage.exit, f"{name}.{stage.key}"
    for stage in templates["opportunity_management"].stages:
        assert stage.actions and stage.output and stage.cadence_days, stage.key


def test_a_template_is_offered_where_it_knows_most_stages():
    assert matching_template(["初步沟通", "需求确认", "方案展示", "商务谈判"]) == "general_b2b"
    assert matching_template(["Demo", "Trial", "Negotiation"]) == "saas"
    assert matching_template(["Demo", "x", "y", "z"]) is None
    assert matching_template(["Potential", "Proposal", "Negotiation", "x", "y", "z"]) is None
