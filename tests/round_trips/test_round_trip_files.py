"""One company in every form of file: read back, the core tables are those that were computed without any file."""

import csv
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.exports.reading import read_table
from quality.tables import EXPORTED
from tests.round_trips import file_forms
from tests.round_trips.company import WORLD, Company, configuration, exported, simulated
from tests.round_trips.file_forms import FileForm, Packing, delimited, json_lines, parquet, plain, preceded, workbook
from tests.round_trips.plain_tables import CHINESE, ODD, WESTERN, in_words, text_tables, with_numbers_for_ids
from tests.round_trips.stored import COMPARED, assert_same_files, read_back, reference, verdicts

FORMS = {
    "comma": delimited(),
    "semicolon": delimited(";"),
    "tab": delimited("\t", suffix=".tsv"),
    "pipe": delimited("|", suffix=".txt"),
    "everything quoted": delimited(quoting=csv.QUOTE_ALL),
    "CRLF": delimited(end="\r\n"),
    "CR": delimited(end="\r", quoting=csv.QUOTE_ALL),
    "UTF-8 with byte-order mark": delimited(encoding="utf-8-sig"),
    "UTF-16": delimited("\t", encoding="utf-16", suffix=".txt"),
    "GB18030": delimited(encoding="gb18030"),
    "Latin-1": delimited(";", encoding="latin-1"),
    "title above the header": preceded(delimited(";"), "Export of all deals\n\n", header_row=3),
    "workbook": workbook(),
    "workbook of text": workbook(dates="text", numbers=False),
    "workbook with titles": workbook(titles=2, header_row=3),
    "workbook with instructions": workbook(notes=2, instruction_rows=2),
    "workbook of serial numbers": replace(workbook(dates="serial"), settings={"dates": ["excel"]}),
    "Parquet of text": parquet(typed=False),
    "Parquet of types": parquet(typed=True),
    "JSON lines": json_lines(),
    "JSON lines without blanks": json_lines(sparse=True, suffix=".ndjson"),
}

PACKINGS = {
    "gzip": file_forms.gzipped,
    "an archive per table": file_forms.zipped_alone,
    "an archive of all": file_forms.zipped_together,
    "several files per table": file_forms.in_parts,
    "a dated file": file_forms.dated(WORLD.end),
    "the same file twice": file_forms.twice,
}

QUICK_ROWS = {"tab", "CR", "UTF-16", "GB18030", "Latin-1", "workbook with instructions", "Parquet of types", "JSON lines without blanks"}
QUICK_TABLES = {"GB18030"}
"""The forms whose rows and whose core tables the quick suite compares."""


def _each(names, quick: set[str]) -> list:
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@cache
def company(words: str) -> Company:
    """The company with odd words and ids, and with Chinese or western ones."""
    return in_words(with_numbers_for_ids(simulated()), {**ODD, **(WESTERN if words == "western" else CHINESE)})


def words_of(name: str) -> str:
    """Whose words a form of file can hold."""
    return "western" if name == "Latin-1" else "chinese"


def written(folder: Path, form: FileForm, packing: Packing, of: Company) -> dict:
    """The company's tables written below ``folder``, and the configuration's part about exports that reads them."""
    folder.mkdir()
    tables = {name: {"files": packing(folder, name, table, form), **form.settings} for name, table in text_tables(of).items()}
    return {"crm": "plain", "tables": tables}


def round_trip(tmp_path: Path, form: FileForm, packing: Packing = plain, words: str = "chinese"):
    exports = written(tmp_path / "exports", form, packing, company(words))
    return read_back(tmp_path / "exports", configuration(exports), tmp_path)


@pytest.mark.parametrize("name", _each(FORMS, QUICK_ROWS))
def test_every_form_of_file_is_read_to_the_same_rows_on_its_lines(tmp_path, name):
    form, known = FORMS[name], company(words_of(name))
    settings = configuration(written(tmp_path / "exports", form, plain, known))
    for table, wanted in exported(known).items():
        read = read_table(tmp_path / "exports", table, settings)
        columns = [column.name for column in EXPORTED[table].columns]
        assert read.faults.num_rows == 0
        assert read.rows.select(columns).equals(wanted.select(columns)), table
        assert read.rows["_line"].to_pylist() == form.lines(text_tables(known)[table]).tolist(), table


@pytest.mark.parametrize("name", _each(FORMS, QUICK_TABLES))
def test_every_form_of_file_gives_the_same_core_tables_byte_for_byte(tmp_path, name):
    tables, core = round_trip(tmp_path, FORMS[name], words=words_of(name))
    assert_same_files(core, reference(company(words_of(name))))
    assert verdicts(tables) == {table: {"accepted"} for table in tables}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["comma", "workbook", "Parquet of types", "JSON lines"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_gives_the_same_core_tables_byte_for_byte(tmp_path, packing, form):
    tables, core = round_trip(tmp_path, FORMS[form], PACKINGS[packing])
    assert_same_files(core, reference(company("chinese")))
    wanted = {"accepted", "superseded"} if packing == "the same file twice" else {"accepted"}
    assert verdicts(tables) == {table: wanted for table in tables}


@pytest.mark.slow
def test_the_same_content_under_two_dates_gives_the_same_core_tables_but_for_the_versions(tmp_path):
    _, core = round_trip(tmp_path, FORMS["comma"], file_forms.dated(date(2026, 6, 29), WORLD.end))
    wanted = reference(company("chinese"))
    assert_same_files(core, wanted, [name for name in COMPARED if name != "opportunity_versions"])
    versions, single = pq.read_table(core["opportunity_versions"]), pq.read_table(wanted["opportunity_versions"])
    assert versions.num_rows == 2 * single.num_rows
    newest = versions.filter(versions["is_current"])
    assert newest.equals(single)
