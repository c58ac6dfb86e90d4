"""Loading leadline.yaml: what is accepted, and that every error is reported at once with its line."""

from datetime import date
from pathlib import Path

import pytest

from models.settings import WON
from pipelines.configuration import configuration_notes, load_configuration
from pipelines.configuration_checks import severity_codes
from pipelines.errors import ConfigurationError, Problem

GOOD = """\
name: Example
time_zone: Asia/Shanghai
as_of: 2025-01-31
stages:
  - key: potential
    spellings: [Potential, 潜在客户]
    benchmark_conversion: 0.4
  - key: first_contact
  - key: need_confirmed
  - key: proposal
lost:
  spellings: [Dropped]
  labels: {en: lost, zh: 输单}
other_events: [note]
segments: [source, team]
exports:
  crm: salesforce
  tables:
    opportunities:
      files: "deals*.csv"
      columns: {amount: 金额(万元)}
      stage_dates: {proposal: Proposal on, won: Won on}
"""


@pytest.fixture
def write(tmp_path):
    """Write a configuration and return its path."""

    def written(text: str | bytes) -> Path:
        path = tmp_path / "leadline.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(path)
    return caught.value.problems


def test_a_company_with_one_pipeline_needs_no_list_of_them(write):
    configuration = load_configuration(write(GOOD))
    (pipeline,) = configuration.pipelines
    assert (pipeline.key, [s.key for s in pipeline.stages]) == ("sales", ["potential", "first_contact", "need_confirmed", "proposal"])
    assert (pipeline.lost.spellings, pipeline.won, pipeline.other_events) == (("Dropped",), WON, ("note",))
    assert configuration.as_of == date(2025, 1, 31)
    assert configuration.exports.tables["opportunities"].files == ("deals*.csv",)


def test_several_pipelines_have_keys_and_their_stage_dates_too(write):
    text = """\
name: Example
pipelines:
  - {key: direct, stages: [{key: demo}]}
  - {key: partners, stages: [{key: demo}]}
exports:
  tables:
    opportunities: {files: a.csv, stage_dates: {"direct:demo": Demo, "partner:demo": Demo}}
"""
    assert [(p.line, p.key, p.nearest) for p in problems(write(text))] == [(7, "exports.tables.opportunities.stage_dates.partner:demo", "partners:demo")]
    assert [p.key for p in load_configuration(write(text.replace(', "partner:demo": Demo', ""))).pipelines] == ["direct", "partners"]


def test_five_errors_are_reported_at_once_with_their_lines(write):
    text = (
        GOOD.replace("Asia/Shanghai", "Asia/Shangai")
        .replace("benchmark_conversion: 0.4", "benchmark_conversion: 40")
        .replace("[source, team]", "[sorce]")
        .replace("crm: salesforce", "crm: salesfroce")
        .replace("{amount:", "{ammount:")
    )
    path = write(text)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(path)
    assert [(p.line, p.key, p.found, p.nearest) for p in caught.value.problems] == [
        (2, "time_zone", "'Asia/Shangai'", "Asia/Shanghai"),
        (7, "stages[0].benchmark_conversion", "40", None),
        (15, "segments[0]", "'sorce'", "source"),
        (17, "exports.crm", "'salesfroce'", "salesforce"),
        (21, "exports.tables.opportunities.columns.ammount", "'ammount'", "amount"),
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 5 errors in the configuration"
    assert lines[2] == "2. leadline.yaml:7 stages[0].benchmark_conversion: found 40; expected a number of at most 1 (40 % is written 0.4)"
    assert all(line.startswith(f"{n}. leadline.yaml:") for n, line in enumerate(lines[1:], start=1))


@pytest.mark.parametrize(
    ("was", "becomes", "line", "key", "says"),
    [
        ("name: Example", "nmae: Example", 1, "nmae", "did you mean name?"),
        ("as_of: 2025-01-31", "as_of: 2025-13-31", 3, "as_of", "expected a date, such as 2025-01-31"),
        ("as_of: 2025-01-31", "reporting: {weeks: 0}", 3, "reporting.weeks", "expected a number of at least 1"),
        ("as_of: 2025-01-31", "reporting: 13", 3, "reporting", "expected settings with names of their own"),
        ("as_of: 2025-01-31", "language: fr", 3, "language", "expected one of en, zh"),
        ("as_of: 2025-01-31", "currency: yuan", 3, "currency", "three capital letters"),
        ("as_of: 2025-01-31", "amount_bands: [2, 1]", 3, "amount_bands", "amount bands ascend"),
        ("as_of: 2025-01-31", "name: Again", 3, "name", "it stands at line 1 too"),
        ("as_of: 2025-01-31", "pipelines: []", 3, "pipelines", "expected either pipelines, or stages, lost, other_events at the top level"),
        ("as_of: 2025-01-31", "severities: {unknown_stag: warning}", 3, "severities.unknown_stag", "did you mean unknown_stage?"),
        (
            "as_of: 2025-01-31",
            "severities: {opportunities.unknown_stage: bad}",
            3,
            "severities.opportunities.unknown_stage",
            "expected one of warning",
        ),
        ("as_of: 2025-01-31", "targets: [{period_start: 2025-01-02, target: 1}]", 3, "targets[0].period_start", "the first day of a month"),
        (
            "as_of: 2025-01-31",
            "targets: [{period_start: 2025-01-01, target: 1, member: East}]",
            3,
            "targets[0].member",
            "member East beside dimension all",
        ),
        (
            "as_of: 2025-01-31",
            "targets: [{period_kind: quarter, period_start: 2025-02-01, target: 1}]",
            3,
            "targets[0].period_start",
            "first day of a fiscal quarter",
        ),
        ("key: potential", "key: Potential", 5, "stages[0].key", "lower-case letters"),
        ("key: potential", "key: proposal", 10, "stages[3].key", "a key that no other stage has"),
        ("Potential, ", "first_CONTACT, ", 8, "stages[1].key", "it stands for potential already"),
        ("Dropped", "潜在客户", 12, "lost.spellings[0]", "it stands for potential already"),
        ("spellings: [Potential, 潜在客户]", "spellings: Potential", 6, "stages[0].spellings", "expected a list"),
        ("[Potential, 潜在客户]", "[1]", 6, "stages[0].spellings[0]", "expected text (in quotes"),
        ("as_of: 2025-01-31", "vanished: gone", 3, "vanished", "expected one of open, deleted"),
        ("key: proposal", "{key: proposal, replaces: [first_contct], valid_from: 2025-03-01}", 10, "stages[3].replaces[0]", "did you mean first_contact?"),
        ("key: proposal", "{key: proposal, replaces: [first_contact]}", 10, "stages[3].replaces", "no valid_from beside replaces: first_contact"),
        ("key: proposal", "{key: proposal, valid_from: 2025-03-01, valid_to: 2025-02-01}", 10, "stages[3].valid_to", "a day not before valid_from"),
        ("key: proposal", "{key: proposal, valid_from: March}", 10, "stages[3].valid_from", "a date, such as 2025-01-31"),
        ("key: proposal", "{key: proposal, replaces: potential}", 10, "stages[3].replaces", "expected a list"),
        ("key: proposal", "{key: proposal, valid_form: 2025-03-01}", 10, "stages[3].valid_form", "did you mean valid_from?"),
        ("opportunities:", "opportunity:", 19, "exports.tables.opportunity", "did you mean opportunities?"),
        ("opportunities:", "leads:", 18, "exports.tables", "no table opportunities"),
        ("columns:", "required: [amout]\n      columns:", 21, "exports.tables.opportunities.required[0]", "did you mean amount?"),
        ("{proposal:", "{propsal:", 22, "exports.tables.opportunities.stage_dates.propsal", "did you mean proposal?"),
    ],
)
def test_each_error_says_where_and_what(write, was, becomes, line, key, says):
    assert was in GOOD
    assert any((p.line, p.key) == (line, key) and says in p.in_file("leadline.yaml") for p in problems(write(GOOD.replace(was, becomes))))


SPLIT = """\
  - key: need_confirmed
    spellings: [Need]
  - {key: need_named, spellings: [NEED], replaces: [need_confirmed], valid_from: 2025-03-01}
  - {key: need_signed, replaces: [need_confirmed], valid_from: 2025-03-02}
"""


def test_all_that_is_wrong_with_dated_stages_is_said_at_once(write):
    """The parts begin on different days, one also takes the place of another stage, and two spell alike."""
    text = GOOD.replace("  - key: need_confirmed\n", SPLIT)
    assert [(p.line, p.key) for p in problems(write(text))] == [(12, "stages[4].valid_from")]
    worse = text.replace("need_signed, replaces: [need_confirmed]", "need_signed, spellings: [Need], replaces: [need_confirmed, potential]")
    assert [(p.line, p.key) for p in problems(write(worse))] == [
        (12, "stages[4].replaces"),
        (12, "stages[4].spellings[0]"),
        (12, "stages[4].valid_from"),
    ]
    assert load_configuration(write(text.replace("2025-03-02", "2025-03-01"))).pipelines[0].stages[4].key == "need_signed"


def test_a_misspelt_name_is_one_error_not_two(write):
    assert len(problems(write(GOOD.replace("name: Example", "nmae: Example")))) == 1
    assert len(problems(write(GOOD.replace("opportunities:", "oportunities:")))) == 1


def test_what_is_required_and_missing_is_named(write):
    assert [(p.key, p.expected.split(",")[0]) for p in problems(write("language: en\n"))] == [
        ("exports", "exports"),
        ("name", "name"),
        ("pipelines", "stages"),
    ]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("", None, "an empty file"),
        ("# nothing\n", None, "an empty file"),
        ("- a\n- b\n", 1, "found a list"),
        ("name: x\nstages: [a\nexports: b\n", 3, "not YAML"),
        ("name: x\n\tlanguage: en\n", 2, "not YAML"),
        ("name: !!python/object/apply:os.system [echo]\n", 1, "not YAML"),
        ("name: &a [x]\nsegments: [*a, *a]\n", 2, "the alias *a"),
        ("name: \x01\n", None, "control characters"),
        ("name: x\nlanguage: 中文\n".encode("gb18030"), 2, "may be GB18030"),
        ("name: x\n".encode("utf-16"), 1, "looks like UTF-16"),
    ],
)
def test_what_is_no_configuration_at_all(write, content, line, says):
    first = problems(write(content))[0]
    assert first.line == line
    assert says in first.in_file("leadline.yaml")


def test_a_byte_order_mark_does_no_harm(write):
    assert load_configuration(write("\ufeff" + GOOD)).name == "Example"


def test_missing_files_and_folders(tmp_path):
    assert "no such file" in str(problems(tmp_path / "none.yaml")[0].found)
    assert "perhaps" in problems(tmp_path)[0].expected


def test_notes_are_no_errors(write):
    assert configuration_notes(load_configuration(write(GOOD))) == (
        "segments: team is read from the owners export, and none is configured: every deal will be unassigned",
    )
    short = load_configuration(write(GOOD.replace("  - key: first_contact\n", "").replace(", team", "")))
    assert configuration_notes(short) == ("pipeline sales has 4 core stages, won counted; 5 to 7 are usual",)


def test_severities_may_name_every_expectation():
    assert {
        "unknown_stage",
        "opportunities.unknown_stage",
        "amount_out_of_range",
        "activities.missing_happened_at",
        "missing_amount",
    } <= severity_codes()
