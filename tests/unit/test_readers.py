"""From files to typed rows: what is read, with which line, and what is said of what cannot be."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from assets.exports.as_of import choose_as_of
from assets.exports.errors import ExportError, HeaderProblems, MissingExport, SourceProblems, UnreadableFile
from assets.exports.files import day_in_name, find_files
from assets.exports.readers.delimited import BLOCK_BYTES
from assets.exports.reading import FAULTS, read_table, schema_of
from assets.exports.settings import TableSource
from quality.tables import EXPORTED
from tests.exports_written import configuration, read, write


def places(export, *columns):
    return [tuple(row.values()) for row in export.rows.select(["_line", *columns]).to_pylist()]


def faults(export):
    return [(f["_line"], f["column"], f["code"], f["value"]) for f in export.faults.to_pylist()]


# Finding files


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("opportunities-2024-01-31.csv", date(2024, 1, 31)),
        ("20240131_deals.csv", date(2024, 1, 31)),
        ("deals_2024_01_31T0800.csv.gz", date(2024, 1, 31)),
        ("deals 2024.01.31.csv", date(2024, 1, 31)),
        ("商机2024年1月31日.xlsx", date(2024, 1, 31)),
        ("2024-01-01_2024-01-31.csv", date(2024, 1, 31)),
        ("2024-01-31/deals.csv", date(2024, 1, 31)),
        ("deals-20241399.csv", None),
        ("deals-1202401311.csv", None),
        ("deals.csv", None),
    ],
)
def test_the_day_in_a_file_name(name, day):
    assert day_in_name(name) == day


def test_files_are_found_once_and_in_order(tmp_path):
    write(tmp_path, {"b-2024-02-29.csv": "x", "a/b-2024-01-31.csv": "x", "~$b.csv": "x", "c.txt": "x"})
    found = find_files(tmp_path, TableSource(files=["*.csv", "**/*.csv"]), "leads")
    assert [(f.name, f.snapshot, f.bytes) for f in found] == [("a/b-2024-01-31.csv", date(2024, 1, 31), 1), ("b-2024-02-29.csv", date(2024, 2, 29), 1)]


def test_a_missing_folder_file_or_content_is_an_error_that_says_what_is_there(tmp_path):
    source = TableSource(files=["opportunites*.csv"])
    with pytest.raises(MissingExport, match="does not exist"):
        find_files(tmp_path / "none", source, "opportunities")
    write(tmp_path, {"opportunities.csv": "x", "empty.csv": "", "old/deals-20240131.csv": "x"})
    with pytest.raises(MissingExport, match="is a file"):
        find_files(tmp_path / "empty.csv", source, "opportunities")
    with pytest.raises(
        MissingExport, match=r"matches 'opportunites\*.csv'; there is 'empty.csv', 'old/deals-20240131.csv', 'opportunities.csv'; nearest: 'opportunities.csv'"
    ):
        find_files(tmp_path, source, "opportunities")
    assert find_files(tmp_path, source, "leads") == []
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UnreadableFile) as error:
        find_files(tmp_path, TableSource(files=["*.csv"]), "leads")
    assert len(error.value.problems) == 2
    for outside in ("../x.csv", "/etc/passwd"):
        with pytest.raises(SourceProblems, match="below the exports folder"):
            find_files(tmp_path, TableSource(files=[outside]), "leads")


# Delimited text


def test_ids_stay_to_the_letter(tmp_path):
    export = read(tmp_path, "opportunity_id,owner_id\n00000005,NA\n1e5,null\n")
    assert places(export, "opportunity_id", "owner_id") == [(2, "00000005", "NA"), (3, "1e5", "null")]


def test_lines_are_physical_in_spite_of_quotes_blank_lines_and_ragged_rows(tmp_path):
    content = 'opportunity_id,notes,amount\n1,"two\nlines",5\n\n2,5" pipe,x\n3,a\n,,\n"4","three\n\r\nlines",7,8\n5,"say ""hi""",9\n6\n'
    export = read(tmp_path, content)
    assert places(export, "opportunity_id", "amount") == [
        (2, "1", Decimal("5.00")),
        (5, "2", None),
        (6, None, None),
        (8, None, None),
        (11, "5", Decimal("9.00")),
        (12, None, None),
    ]
    assert faults(export) == [
        (5, "amount", "unreadable_amount", "x"),
        (6, None, "ragged_row", None),
        (8, None, "ragged_row", None),
        (12, None, "ragged_row", None),
    ]
    expected = export.faults["expected"].to_pylist()
    assert expected[1] == "3 columns, found 2"
    assert expected[2].startswith("3 columns, found 4 in lines 8 to 10: a quote that is not closed")
    assert (export.files[0].rows, export.files[0].ragged_rows) == (6, 3)
    assert export.rows["notes"].to_pylist()[0] == "two\nlines"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_read(tmp_path, end):
    export = read(tmp_path, end.join(["opportunity_id,notes", "1,a", f'2,"b{end}c"', "3,d", ""]))
    assert places(export, "opportunity_id") == [(2, "1"), (3, "2"), (5, "3")]


@pytest.mark.parametrize(
    ("encoding", "configured"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030"), ("gb18030", "GBK"), ("utf-16", "utf-16")],
)
def test_encodings(tmp_path, encoding, configured):
    export = read(tmp_path, "商机编号,商机名称\n1,智慧工地管理系统\n".encode(encoding), crm="chinese", source={"encoding": configured})
    assert places(export, "opportunity_id", "name") == [(2, "1", "智慧工地管理系统")]


def test_a_wrong_encoding_is_an_error_with_its_place_and_never_garbled_text(tmp_path):
    text = "opportunity_id,name\n1,a\n2,某市智慧城管平台\n"
    with pytest.raises(UnreadableFile, match=r"export.csv: line 3, byte 29: 0xca is not utf-8 text; it reads as gb18030"):
        read(tmp_path, text.encode("gb18030"), source={"encoding": "utf-8"})
    with pytest.raises(UnreadableFile, match="says gb18030, but the file is UTF-8"):
        read(tmp_path, text, source={"encoding": "gb18030"})
    with pytest.raises(UnreadableFile, match="says iso8859-1, but the file is UTF-8"):
        read(tmp_path, "opportunity_id,name\n1,é\n", source={"encoding": "latin-1"})
    with pytest.raises(UnreadableFile, match="NUL characters as UTF-16-LE without a byte-order mark does; set encoding: utf-16-le"):
        read(tmp_path, "opportunity_id\n1\n".encode("utf-16-le"))
    with pytest.raises(UnreadableFile, match="'utf-9' is not known"):
        read(tmp_path, text, source={"encoding": "utf-9"})


def test_the_place_of_a_wrong_byte_is_right_across_chunks(tmp_path):
    content = b"opportunity_id,name\n" + b"1,\xe6\x9f\x90\n" * 1_000_000 + b"2,\xff\n"
    with pytest.raises(UnreadableFile, match=f"line 1000002, byte {len(content) - 1}: 0xff"):
        read(tmp_path, content)


def test_delimiters_and_compression(tmp_path):
    assert places(read(tmp_path, "opportunity_id;amount\n1;1,5\n", source={"delimiter": ";", "decimal_comma": True}), "amount") == [(2, Decimal("1.50"))]
    assert places(read(tmp_path, "opportunity_id\tamount\n1\t1,500\n", name="a.tsv"), "amount") == [(2, Decimal("1500.00"))]
    packed = gzip.compress(b"opportunity_id,amount\n1,5\n")
    assert places(read(tmp_path, packed, name="a.csv.gz"), "amount") == [(2, Decimal("5.00"))]
    with pytest.raises(UnreadableFile, match="not a whole gzip file"):
        read(tmp_path, packed[:-9], name="b.csv.gz")


def test_header_and_instruction_rows(tmp_path):
    content = "Deals of January\n\nopportunity_id,amount\nrequired,a number\n1,5\n2,x\n"
    export = read(tmp_path, content, source={"header_row": 3, "instruction_rows": 1})
    assert places(export, "opportunity_id") == [(5, "1"), (6, "2")]
    assert faults(export) == [(6, "amount", "unreadable_amount", "x")]
    with pytest.raises(UnreadableFile, match="row 2 should hold the header and is blank"):
        read(tmp_path, content, source={"header_row": 2})


def test_a_header_alone_gives_no_rows(tmp_path):
    export = read(tmp_path, "opportunity_id,amount")
    assert (export.rows.num_rows, export.faults.num_rows, export.files[0].rows) == (0, 0, 0)
    for nothing in ("\n\n", "\ufeff", " , \n"):
        with pytest.raises(UnreadableFile, match="blank"):
            read(tmp_path, nothing)


def test_a_quote_that_is_never_closed_is_an_error(tmp_path):
    with pytest.raises(UnreadableFile, match="record of line 3 is never closed"):
        read(tmp_path, 'opportunity_id,notes\n1,a\n2,"b\n3,c\n4,d\n')
    with pytest.raises(UnreadableFile, match="longer than 16 MB: a quote that is never closed"):
        read(tmp_path, 'opportunity_id,notes\n1,"' + "a\n" * BLOCK_BYTES)


def test_rows_that_a_quote_has_taken_in_are_not_lost_in_silence(tmp_path):
    content = 'opportunity_id,stage,notes,region,amount\n1,a,"b,c,5\n2,a,b,c,5\n3,a,"b",c,5\n4,a,"x, y\nz, w",c,5\n'
    export = read(tmp_path, content)
    assert places(export, "opportunity_id", "notes") == [(2, None, None), (5, "4", "x, y\nz, w")]
    assert export.faults["expected"].to_pylist()[0].startswith("5 columns, several rows in one in lines 2 to 4: a quote")


def test_a_wrong_delimiter_is_said(tmp_path):
    with pytest.raises(UnreadableFile, match="set delimiter: ';'"):
        read(tmp_path, "opportunity_id;stage\n1;a\n", source={"delimiter": ","})
    with pytest.raises(SourceProblems, match="expected one character"):
        read(tmp_path, "opportunity_id||stage\n", source={"delimiter": "||"})


def test_rows_stay_in_order_over_many_batches(tmp_path):
    count = 150_000
    lines = [f"{i},{i}.00,2024-01-01" + (",extra" if i % 50_000 == 7 else "") for i in range(count)]
    notes = "x" * 200
    export = read(tmp_path, "opportunity_id,amount,created_at,notes\n" + "\n".join(f"{line},{notes}" for line in lines) + "\n")
    assert export.rows["_line"].to_numpy().tolist() == list(range(2, count + 2))
    assert export.faults["_line"].to_pylist() == [i + 2 for i in range(7, count, 50_000)]
    assert export.rows["opportunity_id"].drop_null().to_pylist() == [str(i) for i in range(count) if i % 50_000 != 7]


# Workbooks and Parquet


@pytest.fixture
def workbook(tmp_path):
    path = tmp_path / "deals.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Notes").write(0, 0, "nothing here")
        sheet = book.add_worksheet("Deals")
        sheet.write_row(0, 0, ["opportunity_id", "amount", "created_at", "is_won", "phone", "notes"])
        sheet.write_row(1, 0, ["an instruction"])
        sheet.write_string(2, 0, "00000005")
        sheet.write_number(2, 1, 5.0)
        sheet.write_datetime(2, 2, datetime(2024, 3, 5), book.add_format({"num_format": "yyyy-mm-dd"}))
        sheet.write_boolean(2, 3, True)
        sheet.write_number(4, 0, 13800138001)
        sheet.write_formula(4, 1, "=1/0", value="#DIV/0!")
        sheet.write_datetime(4, 2, datetime(2024, 3, 5, 10, 11, 12), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}))
        sheet.write_number(4, 5, 0.1 + 0.2)
        sheet.write_number(5, 0, 1e20)
    return path.read_bytes()


def test_a_workbook_reads_as_a_person_sees_it(tmp_path, workbook):
    export = read(tmp_path, workbook, name="deals.xlsx", source={"sheet": "Deals", "instruction_rows": 1})
    assert places(export, "opportunity_id", "amount", "created_at", "is_won", "notes") == [
        (3, "00000005", Decimal("5.00"), datetime(2024, 3, 5), True, None),
        (5, "13800138001", None, datetime(2024, 3, 5, 10, 11, 12), None, "0.3"),
        (6, "100000000000000000000", None, None, None, None),
    ]
    assert faults(export) == [(5, "amount", "unreadable_amount", "#DIV/0!")]


def test_what_is_wrong_with_a_workbook_is_said(tmp_path, workbook):
    with pytest.raises(UnreadableFile, match="no sheet 'Dealz'; the workbook has 'Notes', 'Deals'; nearest: 'Deals'"):
        read(tmp_path, workbook, name="deals.xlsx", source={"sheet": "Dealz"})
    with pytest.raises(UnreadableFile, match="row 9 should hold the header"):
        read(tmp_path, workbook, name="deals.xlsx", source={"header_row": 9})
    with pytest.raises(UnreadableFile, match=r"is text, not an Excel workbook; give it a name that ends in \.csv"):
        read(tmp_path, "opportunity_id\n1\n", name="deals.xlsx")
    with pytest.raises(UnreadableFile, match=r"expected a name that ends in \.csv"):
        read(tmp_path, "x", name="deals.pdf")


def test_parquet_keeps_every_digit(tmp_path):
    moment = datetime(2024, 3, 5, 1, 2, 3, 4000)
    table = pa.table(
        {
            "opportunity_id": pa.array([1, 2]),
            "name": pa.array(["00005", "b"]).dictionary_encode(),
            "amount": pa.array([1.5e7, float("nan")]),
            "recurring_amount": pa.array([Decimal("1234.50"), None]),
            "created_at": pa.array([moment, None], pa.timestamp("ns")),
            "updated_at": pa.array([moment.replace(tzinfo=UTC), None], pa.timestamp("us", "Asia/Shanghai")),
            "expected_close_date": pa.array([date(2024, 3, 5), None]),
            "is_won": pa.array([True, None]),
            "crm_probability": pa.array([1e-7, 0.3]),
            "tags": pa.array([["a"], None]),
        }
    )
    pq.write_table(table, tmp_path / "deals.parquet")
    export = read(tmp_path, (tmp_path / "deals.parquet").read_bytes(), name="deals.parquet", time_zone="Asia/Shanghai")
    row = export.rows.to_pylist()[0]
    assert (row["opportunity_id"], row["name"], row["amount"], row["recurring_amount"]) == ("1", "00005", Decimal("15000000.00"), Decimal("1234.50"))
    assert (row["created_at"], row["updated_at"]) == (moment, moment.replace(hour=9))
    assert (row["expected_close_date"], row["is_won"], row["crm_probability"]) == (date(2024, 3, 5), True, 1e-7)
    assert (places(export, "amount")[1], export.faults.num_rows) == ((2, None), 0)
    assert [header for _, header in export.unmapped] == ["tags"]
    with pytest.raises(UnreadableFile, match="'tags' holds list"):
        read(tmp_path, (tmp_path / "deals.parquet").read_bytes(), name="deals.parquet", source={"columns": {"notes": "tags"}})
    with pytest.raises(UnreadableFile, match="not a whole Parquet file"):
        read(tmp_path, (tmp_path / "deals.parquet").read_bytes()[:-20], name="deals.parquet")


# Typed exports


@pytest.mark.parametrize("table", EXPORTED)
def test_every_table_reads_under_its_canonical_names(tmp_path, table):
    contract = EXPORTED[table]
    of_unit = {"time": "2024-01-02", "date": "2024-01-02", "flag": "true", "label": "x", "id": "007", "text": "t"}
    written = ",".join(of_unit.get(c.info["unit"], "1") for c in contract.columns)
    export = read(tmp_path, ",".join(c.name for c in contract.columns) + f"\n{written}\n", table=table, name="export-2024-01-31.csv")
    assert export.rows.schema.equals(schema_of(contract))
    assert export.faults.schema.equals(FAULTS)
    assert (export.rows.num_rows, export.faults.num_rows, export.absent, export.unmapped) == (1, 0, (), ())
    row = export.rows.to_pylist()[0]
    assert None not in row.values()
    assert (row["_file"], row["_line"], row["_snapshot"]) == ("export-2024-01-31.csv", 2, date(2024, 1, 31))


def test_a_table_without_files_or_configuration_says_so(tmp_path):
    write(tmp_path, {"opportunities.csv": "opportunity_id\n1\n"})
    configured = configuration({"opportunities": {"files": "opportunities.csv"}, "leads": {"files": "lead*.csv"}})
    leads, accounts = (read_table(tmp_path, table, configured) for table in ("leads", "accounts"))
    assert (leads.rows.num_rows, accounts.rows.num_rows) == (0, 0)
    assert "matches 'lead*.csv'" in leads.note
    assert "not configured" in accounts.note
    assert leads.rows.schema.equals(schema_of(EXPORTED["leads"]))


def test_files_with_different_headers_join(tmp_path):
    write(tmp_path, {"a-2024-01-31.csv": "opportunity_id,amount(k),extra\n1,5,x\n", "b-2024-02-29.csv": "opportunity_id,stage\n1,Talk\n"})
    export = read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "*.csv"}}))
    assert [(r["_file"], r["amount"], r["stage"], r["_snapshot"]) for r in export.rows.to_pylist()] == [
        ("a-2024-01-31.csv", Decimal("5000.00"), None, date(2024, 1, 31)),
        ("b-2024-02-29.csv", None, "Talk", date(2024, 2, 29)),
    ]
    assert export.unmapped == (("a-2024-01-31.csv", "extra"),)
    assert "amount" not in export.absent
    assert "region" in export.absent


def test_problems_of_several_files_come_together(tmp_path):
    write(tmp_path, {"a.csv": "x\n1\n", "b.csv": b"opportunity_id\n\xff\n", "c.csv": "y\n1\n"})
    with pytest.raises(ExportError) as error:
        read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "*.csv"}}))
    assert [p.split(":")[0] for p in error.value.problems] == ["a.csv", "b.csv", "c.csv"]
    (tmp_path / "b.csv").unlink()
    with pytest.raises(HeaderProblems):
        read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "*.csv"}}))


def test_constants_and_stage_dates(tmp_path):
    content = "opportunity_id,first talk,won on\n1,2024/1/5,2024-02-01 10:00\n2,soon,\n"
    export = read(tmp_path, content, source={"constants": {"currency": "USD", "amount": "1.5k"}, "stage_dates": {"talk": "First Talk", "won": "won on"}})
    assert places(export, "currency", "amount", "stage_date:talk", "stage_date:won") == [
        (2, "USD", Decimal("1500.00"), datetime(2024, 1, 5), datetime(2024, 2, 1, 10)),
        (3, "USD", Decimal("1500.00"), None, None),
    ]
    assert faults(export) == [(3, "stage_date:talk", "unreadable_stage_date", "soon")]
    with pytest.raises(SourceProblems, match=r"constants.amount: 'much' cannot be read"):
        read(tmp_path, content, source={"constants": {"amount": "much"}})
    with pytest.raises(HeaderProblems, match=r"stage_dates.talk names the header 'talked'"):
        read(tmp_path, content, source={"stage_dates": {"talk": "talked"}})


def test_a_fault_keeps_the_beginning_of_its_value_and_says_what_was_expected(tmp_path):
    export = read(tmp_path, f"opportunity_id,created_at\n1,{'9' * 600}\n")
    fault = export.faults.to_pylist()[0]
    assert fault["value"] == "9" * 400
    assert "ISO 8601" in fault["expected"]


def test_an_amount_in_another_currency_is_not_taken_for_the_companys(tmp_path):
    content = "opportunity_id,amount,currency\n1,$1.2M,\n2,$5,CNY\n3,5,\n"
    export = read(tmp_path, content, currency="CNY")
    assert places(export, "amount", "currency") == [(2, Decimal("1200000.00"), "USD"), (3, None, "CNY"), (4, Decimal("5.00"), None)]
    assert faults(export) == [(3, "amount", "unreadable_amount", "$5")]
    assert places(read(tmp_path, "opportunity_id,Amount (EUR k)\n1,5\n2,\n"), "amount", "currency") == [(2, Decimal("5000.00"), "EUR"), (3, None, None)]


def test_a_field_history_has_canonical_fields_and_values(tmp_path):
    content = (
        'OpportunityId,Field,OldValue,NewValue,CreatedDate\n1,StageName,A,B,2024-01-01\n1,Amount,,"1,500",2024-01-01\n1,close date,05/03/2024,x,2024-01-01\n'
    )
    export = read(tmp_path, content, table="field_history", crm="salesforce", exports={"dates": ["%d/%m/%Y"]})
    assert places(export, "field", "old_value", "new_value") == [
        (2, "stage", "A", "B"),
        (3, "amount", None, "1500.00"),
        (4, "expected_close_date", "2024-03-05", "x"),
    ]


def test_salesforce_probabilities_are_percent(tmp_path):
    assert places(read(tmp_path, "Id,Probability\n1,45\n2,100\n", crm="salesforce"), "crm_probability") == [(2, 0.45), (3, 1.0)]


def test_texts_that_repeat_are_read_as_single_ones_are(tmp_path):
    rows = ["x, NA ,2024-01-31, about 5 ,yes", 'x," ",31 Jan,,no', "y,a,2024-02-30,1.5k,maybe"]
    header = "opportunity_id,stage,created_at,amount,is_won\n"
    source = {"empty": ["NA"]}
    once = [read(tmp_path, f"{header}{row}\n", source=source) for row in rows]
    many = read(tmp_path, header + "".join(f"{row}\n" for row in rows * 20), source=source)
    for column in ("opportunity_id", "stage", "created_at", "amount", "is_won"):
        assert many.rows[column].to_pylist() == [export.rows[column][0].as_py() for export in once] * 20, column
    told = [(f["column"], f["value"], f["expected"]) for export in once for f in export.faults.to_pylist()]
    assert [(f["column"], f["value"]) for f in many.faults.to_pylist()] == [(column, value) for column, value, _ in told] * 20
    assert len(told) == 4


def test_reading_twice_gives_the_same(tmp_path):
    content = "opportunity_id,amount,created_at\n" + "".join(f"{i},{i}.5,2024-01-{i % 31 + 1:02}\n" for i in range(5000))
    assert read(tmp_path, content).rows.equals(read(tmp_path, content).rows)


# The as-of date


def _as_of(folder, configured):
    return choose_as_of(folder, configured, lambda table: read_table(folder, table, configured))


def _daily(days):
    return "opportunity_id,created_at\n" + "".join(f"{i},{day}\n" for i, day in enumerate(days))


def test_the_as_of_date_is_declared_or_in_a_name_or_the_newest_fact(tmp_path):
    write(tmp_path, {"deals-2024-01-31.csv": "opportunity_id,created_at\n1,2024-05-01\n"})
    tables = {"opportunities": {"files": "deals*.csv"}}
    assert _as_of(tmp_path, configuration(tables, as_of=date(2024, 6, 1))) == (date(2024, 6, 1), "declared as as_of in the configuration")
    day, source = _as_of(tmp_path, configuration(tables))
    assert (day, "deals-2024-01-31.csv" in source) == (date(2024, 1, 31), True)
    (tmp_path / "deals-2024-01-31.csv").rename(tmp_path / "deals.csv")
    day, source = _as_of(tmp_path, configuration(tables))
    assert (day, "opportunities.created_at" in source) == (date(2024, 5, 1), True)
    write(tmp_path, {"deals.csv": "opportunity_id\n1\n"})
    with pytest.raises(ExportError, match="declare as_of"):
        _as_of(tmp_path, configuration(tables))


def test_mistyped_years_do_not_move_the_as_of_date(tmp_path):
    tables = {"opportunities": {"files": "deals.csv"}}
    many = [f"2024-{m:02}-{d:02}" for m in range(1, 7) for d in range(1, 29)] * 2
    few = ["2024-01-05", "2024-02-07", "2024-03-01", "2024-04-09", "2024-05-20", "2024-06-28"]
    for days in (many, few):
        write(tmp_path, {"deals.csv": _daily([*days, "2099-01-31"])})
        day, source = _as_of(tmp_path, configuration(tables))
        assert day == date(2024, 6, 28)
        assert "1 of later days" in source


def test_only_a_closed_deals_close_date_is_past(tmp_path):
    rows = [("a", "Talk", "2024-01-10", "2024-09-30"), ("b", "Won", "2024-01-11", "2024-01-20"), ("c", "Talk", "2024-01-12", "2024-12-31")]
    write(tmp_path, {"deals.csv": "Id,StageName,CreatedDate,CloseDate\n" + "".join(",".join(row) + "\n" for row in rows)})
    assert _as_of(tmp_path, configuration({"opportunities": {"files": "deals.csv"}}, crm="salesforce"))[0] == date(2024, 1, 20)


def test_planned_activities_do_not_move_the_as_of_date_far(tmp_path):
    created = [f"2024-{m:02}-{d:02}" for m in (1, 2, 3) for d in range(1, 29)]
    activities = [*created, "2024-03-30", *(f"2024-04-{d:02}" for d in range(10, 31))]
    write(tmp_path, {"deals.csv": _daily(created), "acts.csv": "activity_id,happened_at\n" + "".join(f"{i},{day}\n" for i, day in enumerate(activities))})
    tables = {"opportunities": {"files": "deals.csv"}, "activities": {"files": "acts.csv"}}
    assert _as_of(tmp_path, configuration(tables))[0] == date(2024, 3, 30)
