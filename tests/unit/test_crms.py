"""Every CRM's declaration reads the CRM's own files: a fixture per CRM, with what a person finds in it.

``expected.yaml`` beside a fixture's files says what they hold; what is compared is what a run would judge and build.
"""

import csv
import re
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from assets.exports.crm import CRMS
from assets.exports.crm.declaration import Crm, Part, spelled
from assets.exports.errors import HeaderProblems
from assets.exports.reading import read_table
from pipelines.configuration import load_configuration
from quality.tables import EXPORTED
from tests.crm_exports import JudgedExports, judged_exports

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "crm"
NAMES = sorted(folder.name for folder in FIXTURES.iterdir())

QUICK = ("dynamics", "sheets")
"""The CRMs that the quick suite reads: between them they have most of what a declaration can say."""

EACH = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]

QUICK = ("dynamics", "sheets")
"""The CRMs that the quick suite reads: between them they have most of what a declaration can say."""

EACH = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@cache
def expected(name: str) -> dict:
    """What a person finds in a fixture."""
    return YAML(typ="safe").load((FIXTURES / name / "expected.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The judged exports of a fixture, each computed once."""

    @cache
    def of(name: str) -> JudgedExports:
        return judged_exports(FIXTURES / name / "leadline.yaml", FIXTURES / name, tmp_path_factory.mktemp(name))

    return of


def test_every_crm_has_a_fixture_and_a_page():
    assert [*NAMES, "chinese", "plain"] == [*sorted({*CRMS} - {"chinese", "plain"}), "chinese", "plain"]
    pages = FIXTURES.parents[2] / "docs" / "crm"
    assert {page.stem for page in pages.glob("*.md")} == {*NAMES, "README"}


@pytest.mark.parametrize("name", EACH)
def test_every_row_is_counted_and_every_rejection_has_its_reasons(name, judged):
    exports, wanted = judged(name), expected(name)
    tables = exports.configuration.exports.tables
    assert {t: list(exports.counts(t).values()) for t in tables} == wanted["counts"]
    assert exports.passed_over == wanted["passed_over"]
    assert {*exports.notes} == {*wanted["passed_over"]}
    found = {t: {place: [code for code in codes if not code.startswith("not_updated")] for place, codes in exports.reasons(t).items()} for t in tables}
    assert {t: reasons for t, reasons in found.items() if reasons} == wanted["rejected"]


@pytest.mark.parametrize("name", EACH)
def test_every_value_is_read(name, judged):
    exports, wanted = judged(name), expected(name)
    for table in exports.configuration.exports.tables:
        assert exports.values(table) == wanted["rows"][table], table


@pytest.mark.parametrize("name", EACH)
def test_the_history_is_that_of_the_files(name, judged):
    assert judged(name).entries() == expected(name)["entries"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sheets"])
@pytest.mark.parametrize("table", ["opportunities", "stage_history"])
def test_a_fixture_has_every_column_that_its_crm_declares(name, table):
    configuration = load_configuration(FIXTURES / name / "leadline.yaml")
    absent = read_table(FIXTURES / name, table, configuration).absent
    assert {*absent} & {*CRMS[name].headers[table]} == set()


@pytest.mark.parametrize("name", EACH)
def test_the_order_of_columns_does_not_matter(name, tmp_path):
    for path in (FIXTURES / name).glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file, (tmp_path / path.name).open("w", encoding="utf-8", newline="") as turned:
            csv.writer(turned).writerows(row[::-1] for row in csv.reader(file))
    configuration = load_configuration(FIXTURES / name / "leadline.yaml")
    for table in configuration.exports.tables:
        there, turned = read_table(FIXTURES / name, table, configuration), read_table(tmp_path, table, configuration)
        assert turned.rows.equals(there.rows), table
        assert {*turned.headers} == {*there.headers}, table


@pytest.mark.parametrize("name", EACH)
def test_a_renamed_header_is_named_by_the_configuration_and_a_custom_one_is_listed(name, tmp_path):
    configuration = load_configuration(FIXTURES / name / "leadline.yaml")
    there = read_table(FIXTURES / name, "opportunities", configuration)
    header = next(header for _, column, header in there.headers if column == "opportunity_id")
    for path in (FIXTURES / name).glob("*.csv"):
        lines = path.read_text(encoding="utf-8").splitlines()
        first = ",".join("Our number" if cell == header else cell for cell in lines[0].split(","))
        (tmp_path / path.name).write_text("\n".join([f"{first},Our_Field__c", *(f"{line},x" for line in lines[1:])]) + "\n", encoding="utf-8")
    source = configuration.exports.tables["opportunities"]
    renamed = source.model_copy(update={"columns": {**source.columns, "opportunity_id": "Our number"}})
    tables = {**configuration.exports.tables, "opportunities": renamed}
    mapped = configuration.model_copy(update={"exports": configuration.exports.model_copy(update={"tables": tables, "lookups": {}})})
    read = read_table(tmp_path, "opportunities", mapped)
    assert read.rows["opportunity_id"].equals(there.rows["opportunity_id"])
    assert "Our_Field__c" in {header for _, header in read.unmapped}


def test_without_the_id_it_is_said_which_headers_were_looked_for(tmp_path):
    (tmp_path / "opportunity.csv").write_text("Nummer,StageName\n1,Proposal\n", encoding="utf-8")
    configuration = load_configuration(FIXTURES / "salesforce" / "leadline.yaml")
    only = configuration.exports.model_copy(update={"lookups": {}})
    with pytest.raises(HeaderProblems, match="looked for headers Id, Opportunity ID, OppID"):
        read_table(tmp_path, "opportunities", configuration.model_copy(update={"exports": only}))


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_on_a_crms_page_is_one(name, tmp_path):
    page = (FIXTURES.parents[2] / "docs" / "crm" / f"{name}.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "leadline.yaml").write_text(f"name: Example\nstages: [{{key: talk}}]\n{example}", encoding="utf-8")
    assert load_configuration(tmp_path / "leadline.yaml").exports.crm == name
    assert all(f"`{lookup}`" in page for lookup in CRMS[name].lookups)


def parts(crm: Crm) -> list[tuple[str, Part]]:
    """Every part of a declaration with its table."""
    return [(table, part) for table, of_table in crm.parts.items() for part in of_table]


@pytest.mark.parametrize("crm", CRMS.values(), ids=lambda crm: crm.name)
def test_parts_lookups_and_translations_name_only_what_there_is(crm):
    for mapping in (crm.values, crm.keep_if, crm.taken):
        for table, columns in mapping.items():
            assert {*columns} <= {c.name for c in EXPORTED[table].columns}, table
    for table, part in parts(crm):
        columns = {c.name for c in EXPORTED[table].columns}
        named = {*part.headers, *part.constants, *part.values, *part.keep_if, *part.links}
        named |= {part.wide.label, part.wide.value} if part.wide else set()
        named |= {link.numbered for link in part.links.values() if link.numbered}
        assert named | ({part.dated_by_file} if part.dated_by_file else set()) <= columns, table
        assert all(link.lookup in crm.lookups for link in part.links.values())
    for lookup in crm.lookups.values():
        assert spelled(lookup.key)
        for table, columns in lookup.columns.items():
            assert {*columns} <= {c.name for c in EXPORTED[table].columns}, table
