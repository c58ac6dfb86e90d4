"""In which form a file is found to be: encoding, delimiter, packing, place; and what is asked where that cannot be told."""

import gzip
import io
import zipfile
from datetime import date, datetime
from decimal import Decimal

import fsspec
import pytest
import xlsxwriter

from assets.exports.errors import ExportError, MissingExport, UndeclaredForms, UnreadableFile
from assets.exports.files import exports_folder, find_files
from assets.exports.readers.encoding import readings
from assets.exports.readers.header_row import likely_header_row
from assets.exports.readers.sheet_xml import cell_name
from assets.exports.reading import read_table
from assets.exports.settings import TableSource
from tests.exports_written import configuration, read, write

CHINESE = "商机编号;商机名称\n1;某市智慧城管平台\n2;大数据项目\n"
WESTERN = "opportunity_id;name\n1;Müller & Söhne\n2;Café “Größe” – 5 €\n"


def form_of(tmp_path, content, name="deals.csv", **settings) -> str:
    export = read(tmp_path, content, name=name, **settings)
    assert export.rows.num_rows == 2
    return export.files[0].form


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        (CHINESE, "utf-8", "UTF-8"),
        (CHINESE, "utf-8-sig", "UTF-8 with byte-order mark"),
        (CHINESE, "utf-16", "UTF-16"),
        (CHINESE, "utf-32", "UTF-32"),
        (CHINESE, "gb18030", "GB18030"),
        (CHINESE.replace("某市", "𠀀😀镕"), "gb18030", "GB18030"),
        (WESTERN, "utf-8", "UTF-8"),
        (WESTERN, "cp1252", "Windows-1252"),
        (WESTERN.replace("“Größe” – 5 €", "Größe"), "latin-1", "Windows-1252"),
    ],
)
def test_an_encoding_is_found_and_shown(tmp_path, text, encoding, shown):
    assert form_of(tmp_path, text.encode(encoding), crm="chinese") == f"CSV, {shown}, ';', LF"
    names = read(tmp_path, text.encode(encoding), crm="chinese").rows["opportunity_id"].to_pylist()
    assert names == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "encoding", "possible"),
    [
        ("智慧城管平台项目", "gb18030", ("gb18030",)),
        ("Müller", "cp1252", ("cp1252",)),
        ("£5", "cp1252", ("cp1252",)),
        ("王", "gb18030", ("gb18030",)),
        ("안녕하세요 한국어", "euc_kr", ("gb18030", "euc_kr")),
        ("カタカナ日本", "euc_jp", ("gb18030", "euc_jp")),
        ("Новый договор", "cp1251", ()),
        ("Zażółć gęślą jaźń", "cp1250", ()),
        ("Café", "mac_roman", ()),
        ("Café", "cp437", ()),
        ("Größe", "cp1252", ("cp1252",)),
        ("é é é Größe", "cp1252", ("cp1252",)),
        ("Béé", "cp1252", ("cp1252",)),
        ('1;"Équipe Est"', "cp1252", ("cp1252",)),
        ("1;Équipe Est", "mac_roman", ()),
    ],
)
def test_which_encodings_bytes_may_have(text, encoding, possible):
    assert readings(text.encode(encoding)) == possible


def test_a_wrong_byte_far_behind_others_is_mixed_and_never_another_encoding(tmp_path):
    content = "opportunity_id,name\n1,智慧\n" + "1,plain\n" * 1_100_000
    with pytest.raises(UnreadableFile, match=r"line 1100003, byte .* although the lines before it are: the file mixes encodings"):
        read(tmp_path, content.encode() + b"2,\xd6\xc7\n")


@pytest.mark.parametrize(("delimiter", "shown"), [(",", "','"), (";", "';'"), ("\t", "tab"), ("|", "'|'")])
@pytest.mark.parametrize(("end", "end_shown"), [("\n", "LF"), ("\r\n", "CRLF"), ("\r", "CR")])
def test_a_delimiter_and_line_ends_are_found_and_shown(tmp_path, delimiter, shown, end, end_shown):
    content = end.join([delimiter.join(row) for row in (["opportunity_id", "notes"], ["1", '"a, b; c | d\te"'], ["2", '"say ""hi"""'], [])])
    assert form_of(tmp_path, content) == f"CSV, UTF-8, {shown}, {end_shown}"
    assert read(tmp_path, content, name="deals.csv").rows["notes"].to_pylist() == ["a, b; c | d\te", 'say "hi"']


def test_a_delimiter_is_found_among_ragged_rows_and_decimal_commas(tmp_path):
    content = "opportunity_id;amount;notes\n1;1,5;a\n2;2,5\n"
    assert form_of(tmp_path, content, source={"decimal_comma": True}) == "CSV, UTF-8, ';', LF"


def test_a_title_is_told_from_a_header():
    assert likely_header_row([["Deals of January", ""], ["", ""], ["Id", "Name", "Stage"], ["1", "a", "Talk"]]) == 3
    assert likely_header_row([["Id"], ["1"], ["2"]]) == 1
    assert likely_header_row([["Id", "Name"], ["1", "a"], ["x", "b", "c", "d"], ["2", "b"], ["3", "c"]]) == 1
    assert likely_header_row([["Id", "Name"], ["1", "a", "2024", "5"]]) == 1
    assert likely_header_row([]) == 1


def test_a_configured_header_row_is_believed(tmp_path):
    content = "Deals of January\n\nopportunity_id,stage,amount\n1,Talk,5\n2,Talk,6\n"
    assert form_of(tmp_path, content, source={"header_row": 3}) == "CSV, UTF-8, ',', LF, header in row 3"


# Packing


def packed(entries: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_a_zip_with_one_file_is_that_file(tmp_path):
    content = packed({"x/deals-2024-01-31.csv": CHINESE.encode("gb18030")})
    assert form_of(tmp_path, content, name="deals.zip", crm="chinese") == "zip, CSV, GB18030, ';', LF"
    export = read(tmp_path, content, name="deals.zip", crm="chinese")
    row = export.rows.to_pylist()[0]
    assert (row["_file"], row["_line"], row["_snapshot"]) == ("deals.zip/x/deals-2024-01-31.csv", 2, date(2024, 1, 31))


def test_files_in_a_zip_are_chosen_by_a_pattern_that_leads_into_it(tmp_path):
    write(tmp_path, {"all.zip": packed({"Deals-1.csv": b"opportunity_id\n1\n", "b/Deals-2.csv.gz": gzip.compress(b"opportunity_id\n2\n"), "Leads.csv": b"x"})})
    export = read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "*.zip/Deals-*"}}))
    assert [(f.name, f.form) for f in export.files] == [
        ("all.zip/Deals-1.csv", "zip, CSV, UTF-8, ',', LF"),
        ("all.zip/b/Deals-2.csv.gz", "zip, gzip, CSV, UTF-8, ',', LF"),
    ]
    assert export.rows["opportunity_id"].to_pylist() == ["1", "2"]


def test_names_in_an_archive_of_chinese_windows(tmp_path):
    made = packed({"aabb.csv": b"opportunity_id\n1\n"}).replace(b"aabb.csv", "商机".encode("gb18030") + b".csv")
    write(tmp_path, {"x.zip": made})
    assert [f.name for f in find_files(tmp_path, TableSource(files=["x.zip"]), "leads")] == ["x.zip/商机.csv"]


@pytest.mark.parametrize("form", ["xlsx", "parquet", "jsonl", "csv"])
@pytest.mark.parametrize("packing", ["", "gz", "zip"])
def test_every_form_is_read_however_it_is_packed_and_wherever_it_stands(tmp_path, form, packing):
    content, name = written(form), f"deals.{form}"
    if packing == "gz":
        content, name = gzip.compress(content), f"{name}.gz"
    elif packing == "zip":
        content, name = packed({name: content}), f"{name}.zip"
    filesystem = fsspec.filesystem("memory")
    place = f"memory://exports-{form}-{packing}"
    filesystem.pipe(f"/exports-{form}-{packing}/2024-01-31/{name}", content)
    write(tmp_path, {f"2024-01-31/{name}": content})
    made = configuration({"opportunities": {"files": f"**/{name}"}})
    exports = [read_table(exports_folder(folder), "opportunities", made) for folder in (str(tmp_path), tmp_path.as_uri(), place)]
    for export in exports:
        assert export.rows.equals(exports[0].rows)
        assert [(r["opportunity_id"], r["amount"], r["_snapshot"]) for r in export.rows.to_pylist()] == [
            ("00001", Decimal("5.50"), date(2024, 1, 31)),
            ("00002", None, date(2024, 1, 31)),
        ]
        assert export.files[0].name.startswith(f"2024-01-31/deals.{form}")
        assert export.faults.num_rows == 0


def written(form: str) -> bytes:
    """Two opportunities, the second without amount."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    if form == "xlsx":
        with xlsxwriter.Workbook(content) as book:
            sheet = book.add_worksheet()
            for row, values in enumerate([["opportunity_id", "amount"], ["00001", 5.5], ["00002"]]):
                sheet.write_row(row, 0, values)
    elif form == "parquet":
        pq.write_table(pa.table({"opportunity_id": ["00001", "00002"], "amount": [5.5, None]}), content)
    elif form == "jsonl":
        return b'{"opportunity_id": "00001", "amount": 5.50}\n{"amount": null, "opportunity_id": "00002"}\n'
    else:
        return b"opportunity_id,amount\n00001,5.50\n00002,\n"
    return content.getvalue()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("memory://nowhere", "the exports folder memory://nowhere/? does not exist"),
        ("abc://bucket/x", "exports in abc:// cannot be read; name a local folder, or a URL such as s3://bucket/folder"),
    ],
)
def test_a_place_that_cannot_be_read_is_said(place, words):
    with pytest.raises(MissingExport, match=words):
        find_files(exports_folder(place), TableSource(files=["*.csv"]), "leads")


def test_credentials_in_a_place_are_not_shown():
    from upath import UPath

    from assets.exports.files import shown_place

    assert shown_place(UPath("memory://me:secret@exports/x")) == "memory://***@exports/x"


# JSON lines and workbooks


def test_keys_of_json_lines_may_come_in_any_order_or_not_at_all(tmp_path):
    content = (
        '{"opportunity_id": "00005", "amount": 1.50, "is_won": true, "a/b": "x", "say \\"hi\\"": 1}\n'
        '\n{"owner.id": "007", "opportunity_id": 12345678901234567890123, "amount": null, "created_at": "2024-01-31T08:00:00Z", "ignored": {"a": [1]}}\n'
    )
    source = {"columns": {"owner_id": "owner.id", "name": "a/b", "notes": 'say "hi"'}}
    export = read(tmp_path, content, name="deals.jsonl", source=source)
    assert export.files[0].form == "JSON lines, UTF-8"
    names = ("_line", "opportunity_id", "amount", "is_won", "name", "notes", "owner_id", "created_at")
    assert [tuple(row[n] for n in names) for row in export.rows.to_pylist()] == [
        (1, "00005", Decimal("1.50"), True, "x", "1", None, None),
        (3, "12345678901234567890123", None, None, None, None, "007", datetime(2024, 1, 31, 8)),
    ]
    assert [header for _, header in export.unmapped] == ["ignored"]


def test_serial_dates_of_a_workbook_in_either_count(tmp_path):
    for options in ({}, {"date_1904": True}):
        content = io.BytesIO()
        with xlsxwriter.Workbook(content, options) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, ["opportunity_id", "created_at"])
            sheet.write_string(1, 0, "00001")
            sheet.write_datetime(1, 1, datetime(2024, 3, 5), book.add_format({"num_format": "yyyy/m/d"}))
        assert read(tmp_path, content.getvalue(), name="deals.xlsx").rows["created_at"].to_pylist() == [datetime(2024, 3, 5)]


def test_cells_are_named_as_a_spreadsheet_does():
    assert [cell_name(cell) for cell in ((0, 0), (1, 25), (2, 26), (3, 701), (4, 702))] == ["A1", "Z2", "AA3", "ZZ4", "AAA5"]


def test_a_formula_with_a_stored_value_is_that_value(tmp_path):
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["opportunity_id", "amount", "other"])
        sheet.write_string(1, 0, "1")
        sheet.write_formula(1, 1, "=2*3", None, 6)
        sheet.write_formula(1, 2, "=2*3", None, "")  # no column is read from it
    assert read(tmp_path, content.getvalue(), name="deals.xlsx").rows["amount"].to_pylist() == [Decimal("6.00")]


# Questions about written forms


def days(*values: str) -> str:
    return "opportunity_id,created_at\n" + "".join(f"{n},{value}\n" for n, value in enumerate(values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["05/03/2024", "25/03/2024"], 'line 3 (25/03/2024) can only be day first, and no line only month first; add dates: ["%d/%m/%Y"] under'),
        (["05-03-24", "05-25-24"], 'line 3 (05-25-24) can only be month first, and no line only day first; add dates: ["%m-%d-%y"] under'),
        (["05/03/2024", "6/3/2024 4:05 PM"], 'no line shows it; look up how the CRM writes days and add dates: ["%d/%m/%Y", "%d/%m/%Y %I:%M %p"] (day first)'),
        (["25.03.2024", "03.25.2024"], "line 2 (25.03.2024) can only be day first and line 3 (03.25.2024) only month first, so the column mixes both"),
        (["45291", "45292.5"], "numbers of five digits, as in line 2, may be days as Excel counts them; if so, add dates: [excel] under"),
        (["1709636706000", "2024-03-05"], "numbers of 13 digits, as in line 2, may be milliseconds since 1970; if so, add dates: [epoch_ms] under"),
    ],
)
def test_an_order_that_is_not_declared_is_a_question_with_its_evidence(tmp_path, values, words):
    with pytest.raises(UndeclaredForms) as error:
        read(tmp_path, days(*values))
    assert words in str(error.value)
    assert "export.csv: created_at: " in str(error.value)


def test_the_setting_that_a_question_names_answers_it(tmp_path):
    export = read(tmp_path, days("05/03/2024 16:05:06", "25/03/2024"), source={"dates": ["%d/%m/%Y", "%d/%m/%Y %H:%M:%S"]})
    assert export.rows["created_at"].to_pylist() == [datetime(2024, 3, 5, 16, 5, 6), datetime(2024, 3, 25)]


def test_single_values_of_another_form_are_set_aside_with_the_evidence(tmp_path):
    export = read(tmp_path, days("2024-03-05", "2024/3/6", "25/03/2024"))
    (fault,) = export.faults.to_pylist()
    assert (fault["_line"], fault["value"]) == (4, "25/03/2024")
    assert "line 4 (25/03/2024) can only be day first" in fault["expected"]
    declared = read(tmp_path, days("05/03/2024", "03/25/2024"), source={"dates": ["%d/%m/%Y"]})
    assert "order of day and month" not in declared.faults["expected"].to_pylist()[0]


def test_a_decimal_comma_among_points_is_a_question(tmp_path):
    content = 'opportunity_id;amount\n1;"1.234,50"\n2;1.234\n3;5\n'
    with pytest.raises(UndeclaredForms, match=r"amount: line 2 \(1.234,50\) can only be written with a decimal comma; add decimal_comma: true"):
        read(tmp_path, content)
    assert read(tmp_path, content, source={"decimal_comma": True}).rows["amount"].to_pylist() == [Decimal("1234.50"), Decimal("1234.00"), Decimal("5.00")]


def test_questions_of_several_files_and_columns_come_together(tmp_path):
    write(tmp_path, {name: "opportunity_id,created_at,updated_at\n1,25/03/2024,45291\n" for name in ("a.csv", "b.csv")})
    with pytest.raises(ExportError) as error:
        read_table(tmp_path, "opportunities", configuration({"opportunities": {"files": "*.csv"}}))
    assert len(error.value.problems) == 4


def test_a_reading_that_breaks_off_is_said(tmp_path, monkeypatch):
    place = "memory://breaks-off"
    fsspec.filesystem("memory").pipe("/breaks-off/deals.csv", b"opportunity_id\n1\n")
    made = configuration({"opportunities": {"files": "deals.csv"}})
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFile.read", lambda *_: (_ for _ in ()).throw(ConnectionResetError("reset")))
    with pytest.raises(UnreadableFile, match=r"deals\.csv: the reading of it broke off \(ConnectionResetError\); try again"):
        read_table(exports_folder(place), "opportunities", made)
