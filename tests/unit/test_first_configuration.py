"""The command that writes a first configuration: the file, the questions, what is refused, and what never appears in it."""

import re
from collections import Counter

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from assets.exports.errors import ExportError, MissingExport, UnreadableFile
from assets.exports.reading import read_table
from pipelines.cli import app
from pipelines.configuration import load_configuration
from pipelines.errors import ConfigurationError, Problem
from pipelines.init import InitError, write_first_configuration, written_lines
from pipelines.proposal.drafting import ProposalError
from pipelines.proposal.propose import CONFIRM
from pipelines.proposal.questions import ASKED, Question, Weight, asked
from pipelines.proposal.writing import scalar, written
from tests.exports_written import write
from tests.init_example import PAGE, page

PERSONAL = ("Zhang San", "zhang.san@example.com", "13800001234", "Li Si")

HEADER = "opportunity_id,name,stage,amount,currency,created_at,closed_at,owner_id,source,product"
STAGES = ("Lead in", "Offer", "Won", "Lost")


def exports(deals: int = 40, header: str = HEADER) -> dict[str, str]:
    """Deals with a history: half of them open, products only on the closed ones."""
    rows, log = [], []
    for n in range(deals):
        course = ["Lead in"] if n % 4 == 0 else ["Lead in", "Offer"] if n % 4 == 1 else ["Lead in", "Offer", STAGES[n % 4]]
        closed = f"2024-03-{n % 20 + 2:02}" if len(course) == 3 else ""
        product = "Basic" if closed else ""
        rows.append(f"D{n},Zhang San {n},{course[-1]},{n}00,EUR,2024-01-{n % 20 + 1:02},{closed},zhang.san@example.com,{'Web' if n % 3 else 'Fair'},{product}")
        log += [f"D{n},{stage},2024-{d + 1:02}-{n % 20 + 2:02}" for d, stage in enumerate(course)]
    owners = "owner_id,name,team,phone\nzhang.san@example.com,Zhang San,East,13800001234\nli@example.com,Li Si,West,13800001235\n"
    return {
        "deals.csv": "\n".join([header, *rows]) + "\n",
        "stage_history.csv": "\n".join(["opportunity_id,stage,entered_at", *log]) + "\n",
        "owners.csv": owners,
    }


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "exports", exports())


def test_a_configuration_is_written_that_loads_and_says_why(folder, tmp_path):
    made = write_first_configuration([str(folder)], tmp_path / "leadline.yaml")
    text = made.path.read_text(encoding="utf-8")
    company = load_configuration(made.path)
    assert [s.key for s in company.pipelines[0].stages] == ["lead_in", "offer"]
    assert (company.pipelines[0].won.spellings, company.pipelines[0].lost.spellings) == (("Won",), ("Lost",))
    assert company.currency == "EUR"
    assert "Order from 90 rows of the stage history: 100% of 30 moves between these stages go forward." in text
    assert "Not product: filled on 0% of open and 100% of closed deals: whether it is there gives the outcome away." in text
    assert "product" not in (*company.segments, *company.immutable_fields)
    assert company.segments == ("team", "source", "amount_band")
    assert company.exports.tables["opportunities"].required == ("created_at",)


def test_the_questions_are_numbered_in_the_file_and_on_the_terminal(folder, tmp_path):
    made = write_first_configuration([str(folder)], tmp_path / "leadline.yaml")
    text, lines = made.path.read_text(encoding="utf-8"), written_lines(made)
    numbers = re.findall(rf"# {CONFIRM} question (\d+)", text)
    assert sorted(numbers) == [str(n) for n in range(1, len(made.proposal.questions) + 1)]
    assert 1 <= len(numbers) <= ASKED
    for number, question in enumerate(made.proposal.questions, start=1):
        assert f"{number}. {question.keys}: {question.proposal}" in lines
        assert f"   otherwise: {question.effect}" in lines
    assert any(line.startswith("  opportunities: deals.csv: 40 read = 40 accepted") for line in lines)


def test_nothing_personal_is_written_or_said(folder, tmp_path):
    made = write_first_configuration([str(folder)], tmp_path / "leadline.yaml")
    said = made.path.read_text(encoding="utf-8") + "\n".join(written_lines(made))
    assert not [value for value in PERSONAL if value in said]


@pytest.mark.parametrize(
    "personal", ["zhang.san@example.com", "zhang.san＠example.com", "Offer 13800001234", "张三 138 0000 1234", "(010) 6655-4433", "Tel +49 30 1234567"]
)
def test_personal_values_in_a_stage_are_not_quoted(tmp_path, personal):
    rows = "".join(f"D{n},{personal if n == 7 else 'Offer' if n % 2 else 'Lead in'},2024-01-02,5\n" for n in range(20))
    write(tmp_path, {"deals.csv": "opportunity_id,stage,created_at,amount\n" + rows})
    made = write_first_configuration([str(tmp_path)], tmp_path / "out" / "leadline.yaml")
    said = made.path.read_text(encoding="utf-8") + "\n".join(written_lines(made))
    assert personal not in said and "Offer" in said


def test_the_same_files_give_the_same_bytes(folder, tmp_path):
    texts = [write_first_configuration([str(folder)], tmp_path / name).path.read_bytes() for name in ("one.yaml", "two.yaml")]
    assert texts[0] == texts[1]


def test_files_can_be_named_one_by_one(folder, tmp_path):
    made = write_first_configuration([str(folder / "deals.csv"), str(folder / "stage_history.csv")], tmp_path / "leadline.yaml")
    assert set(load_configuration(made.path).exports.tables) == {"opportunities", "stage_history"}
    assert made.folder == str(folder)


def test_a_configuration_that_is_there_is_kept(folder, tmp_path):
    out = tmp_path / "leadline.yaml"
    out.write_text("mine")
    with pytest.raises(InitError, match="is there already"):
        write_first_configuration([str(folder)], out)
    assert out.read_text() == "mine"
    write_first_configuration([str(folder)], out, force=True)
    assert "stages" in out.read_text(encoding="utf-8")


def test_a_proposal_that_does_not_load_leaves_everything_as_it_was(folder, tmp_path, monkeypatch):
    def refused(path):
        raise ConfigurationError(path, [Problem(1, "stages", "at least one entry", "an empty list")])

    monkeypatch.setattr("pipelines.init.load_configuration", refused)
    out = write(tmp_path / "out", {"leadline.yaml": "mine"}) / "leadline.yaml"
    for path in (out, out.with_name("other.yaml")):
        with pytest.raises(ConfigurationError):
            write_first_configuration([str(folder)], path, force=True)
    assert [(path.name, path.read_text()) for path in out.parent.iterdir()] == [("leadline.yaml", "mine")]


def test_a_place_that_cannot_be_written_to_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for out, words in ((tmp_path / "file" / "leadline.yaml", "Not a directory|File exists"), (tmp_path / "folder", "Is a directory")):
        with pytest.raises(InitError, match=rf"cannot be written \(({words})\)"):
            write_first_configuration([str(folder)], out, force=True)


def test_what_cannot_be_proposed_is_refused_and_nothing_is_written(folder, tmp_path):
    out = tmp_path / "leadline.yaml"
    empty = tmp_path / "empty"
    empty.mkdir()
    write(tmp_path, {"notes.docx": "x", "nothing.csv": "", "header.csv": "opportunity_id,stage,amount,created_at\n", "prices.csv": "item,price\na,1\n"})
    refused = [
        ([], MissingExport, "no exports are named"),
        ([str(empty)], MissingExport, "holds no exports"),
        ([str(tmp_path / "gone")], MissingExport, "there is no"),
        ([str(tmp_path / "gone.csv"), str(folder / "deals.csv")], MissingExport, "there is no file"),
        ([str(tmp_path / "notes.docx")], UnreadableFile, "files of this form are not read"),
        ([str(tmp_path / "nothing.csv")], UnreadableFile, "is empty"),
        ([str(tmp_path / "header.csv")], MissingExport, "a header and no rows"),
        ([str(tmp_path / "prices.csv")], MissingExport, "looks like opportunities"),
    ]
    for places, error, words in refused:
        with pytest.raises(error, match=words):
            write_first_configuration(places, out)
    with pytest.raises(InitError, match="there is no template"):
        write_first_configuration([str(folder)], out, template="general_b2c")
    assert not out.exists()


def test_two_crms_are_not_mixed(tmp_path):
    salesforce = "Id,StageName,Amount,CloseDate,CreatedDate,LeadSource,ForecastCategoryName,LastStageChangeDate\nD1,Offer,5,2024-03-01,2024-01-01,Web,Pipeline,2024-02-01\n"
    hubspot = "deal_id,deal_pipeline_id,deal_pipeline_stage_id,property_dealname,property_amount,property_closedate\n1,p,s,n,5,2024-01-01\n"
    write(tmp_path, {"Opportunity.csv": salesforce, "hubspot deals.csv": hubspot})
    with pytest.raises(ProposalError, match="opportunities of 2 CRMs are mixed"):
        write_first_configuration([str(tmp_path)], tmp_path / "leadline.yaml")


def test_an_ambiguous_order_of_day_and_month_is_asked_and_a_proven_one_is_not(tmp_path):
    rows = {"unclear": "D1,Offer,5,03/04/2024\nD2,Lead in,6,05/06/2024\n", "proven": "D1,Offer,5,03/04/2024\nD2,Lead in,6,25/06/2024\n"}
    for name, text in rows.items():
        write(tmp_path / name, {"deals.csv": "opportunity_id,stage,amount,created_at\n" + text})
        made = write_first_configuration([str(tmp_path / name)], tmp_path / f"{name}.yaml")
        assert load_configuration(made.path).exports.tables["opportunities"].dates == ("%d/%m/%Y",)
        assert [q.weight for q in made.proposal.questions if q.weight == Weight.DATES] == ([Weight.DATES] if name == "unclear" else [])
    assert "25/06/2024 (deals.csv, created_at) proves it" in (tmp_path / "proven.yaml").read_text(encoding="utf-8")


def test_a_template_gives_criteria_and_keeps_the_stages_it_does_not_know(tmp_path):
    rows = "".join(f"D{n},{stage},2024-01-0{n + 1},5\n" for n, stage in enumerate(["Proposal", "Legal check", "Negotiation", "Potential"]))
    write(tmp_path, {"deals.csv": "opportunity_id,stage,created_at,amount\n" + rows})
    made = write_first_configuration([str(tmp_path)], tmp_path / "leadline.yaml", template="general_b2b")
    stages = {s.key: s for s in load_configuration(made.path).pipelines[0].stages}
    assert stages["proposal"].spellings == ("Proposal",)
    assert stages["proposal"].exit.zh == "客户提出异议或进入谈判"
    assert stages["need_confirmed"].spellings == ()
    assert "Legal check" in {spelling for s in stages.values() for spelling in s.spellings}


def test_several_pipelines_have_stages_of_their_own(tmp_path):
    rows = "".join(f"D{n},{'Renewals' if n % 2 else 'New'},{'Check' if n % 2 else 'Offer'},2024-01-02,5\n" for n in range(20))
    write(tmp_path, {"deals.csv": "opportunity_id,pipeline,stage,created_at,amount\n" + rows})
    company = load_configuration(write_first_configuration([str(tmp_path)], tmp_path / "leadline.yaml").path)
    assert {(p.key, p.spellings, tuple(s.spellings for s in p.stages)) for p in company.pipelines} == {
        ("new", ("New",), (("Offer",),)),
        ("renewals", ("Renewals",), (("Check",),)),
    }


def test_rows_that_would_stop_the_run_are_asked_about_and_listed(tmp_path):
    files = exports()
    log = files["stage_history.csv"].splitlines()
    files["stage_history.csv"] = "\n".join([log[0], *(line.replace(",2024-01-", ",2023-01-") for line in log[1:])]) + "\n"
    write(tmp_path, files)
    made = write_first_configuration([str(tmp_path)], tmp_path / "out.yaml")
    first = made.proposal.questions[0]
    assert (first.weight, first.proposal) == (Weight.STOPS, "stage_history.entered_before_created: warning")
    assert "40 of 90 rows of stage_history (entered_before_created: 40)" in first.evidence
    assert made.proposal.verdicts["stage_history"].rejected == 0


@pytest.mark.slow
def test_old_versions_of_rows_stop_no_run_and_are_not_asked_about(tmp_path):
    """Of dated exports the newest counts, as in the run: what it mends is nobody's to answer for, and what it breaks is not outweighed by the others."""
    header, *rows = exports(38)["deals.csv"].splitlines()
    good = [row.replace(",2024-03-", ",2024-06-") for row in rows]
    bad = [row.replace(",2024-03-", ",2023-03-") for row in rows]
    for name, snapshots in (("mended", (bad, good)), ("broken", (good, good[:34] + bad[34:]))):
        days = ("2024-06-30", "2024-07-31")
        write(tmp_path / name, {f"deals-{day}.csv": "\n".join([header, *lines]) + "\n" for day, lines in zip(days, snapshots)})
        made = write_first_configuration([str(tmp_path / name)], tmp_path / f"{name}.yaml")
        run = CliRunner().invoke(app, ["check", "--config", str(made.path), "--exports", str(tmp_path / name), "--home", str(tmp_path / f"home {name}")])
        stops = [q for q in made.proposal.questions if q.weight == Weight.STOPS]
        assert run.exit_code == 0, run.output
        assert [q.proposal for q in stops] == ([] if name == "mended" else ["opportunities.closed_before_created: warning"])
        assert not stops or "2 of 38 rows of opportunities (closed_before_created: 2)" in stops[0].evidence


def test_rows_that_would_stop_the_run_are_judged_again_and_not_read_again(tmp_path, monkeypatch):
    read = Counter()

    def counted(folder, table, company):
        read[table] += 1
        return read_table(folder, table, company)

    monkeypatch.setattr("assets.exports.source.read_table", counted)
    files = exports()
    header, *log = files["stage_history.csv"].splitlines()
    files["stage_history.csv"] = "\n".join([header, *(line.replace(",2024-01-", ",2023-01-") for line in log)]) + "\n"
    made = write_first_configuration([str(write(tmp_path, files))], tmp_path / "out.yaml")
    assert "severities" in made.proposal.data
    assert {table: read[table] for table in made.proposal.tables} == {"opportunities": 1, "stage_history": 1, "owners": 1}


def test_a_table_that_cannot_be_read_is_left_out_and_named(tmp_path):
    files = exports()
    header, *rows = files["stage_history.csv"].splitlines()
    files["stage_history.csv"] = "\n".join([f"{header},entered_at", *(f"{row},2024-01-01" for row in rows)]) + "\n"
    write(tmp_path, files)
    made = write_first_configuration([str(tmp_path)], tmp_path / "out.yaml")
    assert "stage_history" not in load_configuration(made.path).exports.tables
    assert "stage_history" in made.proposal.unused
    assert "stage_history (stage_history.csv) is left out" in made.path.read_text(encoding="utf-8")


# --- the command ---


def test_the_command_says_where_the_file_is_and_its_exit_codes(folder, tmp_path):
    out = tmp_path / "leadline.yaml"
    done = CliRunner().invoke(app, ["init", str(folder), "--out", str(out)])
    assert done.exit_code == 0 and f"leadline check --config {out} --exports {folder}" in done.output
    assert CliRunner().invoke(app, ["init", str(folder), "--out", str(out)]).exit_code == InitError.exit_code == 2
    assert CliRunner().invoke(app, ["init", str(tmp_path / "gone"), "--out", str(out), "--force"]).exit_code == ExportError.exit_code == 6


def test_check_says_what_each_choice_does(folder, tmp_path):
    out, files = tmp_path / "leadline.yaml", exports()
    write(folder, {"deals.csv": files["deals.csv"].replace("D0,Zhang San 0,Lead in", "D0,Zhang San 0,Mystery")})
    write_first_configuration([str(folder)], out)
    text = out.read_text(encoding="utf-8")
    YAML(typ="safe").load(text)
    # A stage that nobody lists any more.
    out.write_text(re.sub(r"\n  - \{key: mystery.*", "", text), encoding="utf-8")
    told = CliRunner().invoke(app, ["check", "--config", str(out), "--exports", str(folder), "--home", str(tmp_path / "home")]).output
    assert "what each choice does:" in told
    assert "opportunities: stage 'Won' is won: 10 rows" in told
    assert "opportunities: stage 'Mystery' is unknown, rejected: 1 rows" in told
    assert "stage_history: stage 'Lead in' is lead_in: 40 rows" in told
    assert "owners: 1 in the opportunities, 0 of 40 rows without one" in told
    assert "opportunities: dates: 60 by ISO 8601" in told
    assert "owners: owners.csv: nobody reads 'phone'" in told
    assert told.count("still to be confirmed: leadline.yaml:") >= 2
    assert not [value for value in PERSONAL if value in told]


@pytest.mark.slow
def test_check_says_what_each_choice_does_in_the_companys_language(folder, tmp_path):
    out = tmp_path / "leadline.yaml"
    write(folder, {"deals.csv": exports()["deals.csv"].replace("2024-01-01", "soon")})
    write_first_configuration([str(folder)], out)
    out.write_text(out.read_text(encoding="utf-8").replace("language: en", "language: zh").replace("required: [created_at]", "required: []"), encoding="utf-8")
    told = CliRunner().invoke(app, ["check", "--config", str(out), "--exports", str(folder), "--home", str(tmp_path / "home")]).output
    _, choices = told.split("各项设置的效果：\n")
    lines = [line for line in choices.splitlines() if line.startswith("  ")]
    assert lines[0] == "  opportunities：阶段 'Lead in' 为 lead_in：10 行"
    assert "  负责人：商机中共 1 人，40 行中 0 行没有负责人" in lines
    assert "  opportunities：日期：按 ISO 8601 读取 58 个，无格式可读取 2 个" in lines
    assert "  owners：owners.csv：未读取的列 'phone'" in lines
    assert sum(line.startswith("  待确认：leadline.yaml:") for line in lines) >= 2
    assert not [line for line in lines if "：" not in line]


def test_the_worked_example_of_the_page_is_what_the_command_writes():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "write it anew: python -m tests.init_example"


# --- how it is written ---


@pytest.mark.parametrize(
    "value", ["yes", "No", "a: b", "a #b", "- a", "%d/%m", "", " a", "[x]", "0", "1e5", "2024-01-01", "null", "é\n", "Ünï", "{a}", "a, b", "*", "&a", "!x"]
)
def test_every_text_comes_back_from_yaml_as_it_was(value):
    data = {"a": value, "b": [value, value], "c": {"d": value}, "e": [{"f": value, "g": {"h": value}}]}
    assert YAML(typ="safe", pure=True).load(written(data, {})) == data


def test_numbers_and_flags_are_written_plainly():
    assert [scalar(v) for v in (True, 1, 2.0, 0.25, None, "Closed Won", "商机")] == ["true", "1", "2", "0.25", "null", "Closed Won", "商机"]


def test_comments_cannot_break_out_of_their_line():
    text = written({"a": 1}, {("a",): ["first\nb: 2\r\nc: 3\u2028d: 4\x85e: 5"]})
    assert YAML(typ="safe").load(text) == {"a": 1}


def test_five_questions_are_asked_the_gravest_first():
    questions = [Question(weight, (), f"k{n}", "", "e", "") for n, weight in enumerate([*Weight, Weight.STOPS])]
    first, rest = asked(reversed(questions))
    assert [q.weight for q in first] == sorted(q.weight for q in questions)[:ASKED]
    assert len(rest) == len(questions) - ASKED
