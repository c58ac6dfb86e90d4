"""The documentation is complete and leads nowhere wrong: what it must mention is read from the code."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from assets.exports.errors import ExportError
from assets.exports.settings import Configuration
from models.settings import Settings
from models.win_probability import METHODS
from pipelines.cli import app
from pipelines.configuration import configuration_notes, load_configuration
from pipelines.configuration_schema import settings_inside
from pipelines.definitions import defs
from pipelines.errors import ConfigurationError, HomeBusyError, HomeError, PublicationError, RunError
from pipelines.explain import NothingKnown
from pipelines.pulling.errors import PullError
from pipelines.run import QualityError
from quality.tables import PUBLISHED
from quality.tables.forecasts import RISK_SIGNALS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
BINARY = {".png", ".xlsx", ".parquet", ".gz", ".sqlite"}


def shell_block(marker: str) -> str:
    """The commands of the README's fenced block that follows the comment ``<!-- marker -->`` on the next line."""
    blocks = re.findall(rf"^<!-- {marker} -->\n```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"README.md has {len(blocks)} blocks marked {marker}"
    return blocks[0]


@pytest.mark.parametrize(("marker", "last"), [("demo", ".venv/bin/leadline demo"), ("test", ".venv/bin/python -m pytest -n 2")])
def test_the_readme_has_one_command_to_try_it_and_one_to_test_it(marker, last):
    command = shell_block(marker).strip()
    assert "\n" not in command
    made, installed, does = command.split(" && ")
    assert made == "python3 -m venv .venv"
    assert installed.startswith(".venv/bin/pip install --quiet --constraint requirements.lock --editable ")
    assert does == last


def test_continuous_integration_runs_the_readmes_own_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extract = re.search(r"^readme_command\(\) .*$", script, re.MULTILINE).group()
    found = subprocess.run(["bash", "-c", f"{extract}\nreadme_command test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found == shell_block("test")


def test_the_readmes_configuration_is_one(tmp_path):
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "leadline.yaml").write_text(example, encoding="utf-8")
    configuration = load_configuration(tmp_path / "leadline.yaml")
    assert configuration.name == "Example Company"
    assert "opportunities" in configuration.exports.tables
    assert all("core stages" in note for note in configuration_notes(configuration))


def test_every_command_and_option_is_in_the_readme():
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        assert f"`leadline {name}`" in README, f"leadline {name}"
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert f"`{option}`" in README, f"{option} of leadline {name}"
            if parameter.envvar:
                assert f"`{parameter.envvar}`" in README


@pytest.mark.parametrize(
    "error", [RunError, ConfigurationError, PublicationError, HomeError, HomeBusyError, ExportError, QualityError, NothingKnown, PullError]
)
def test_every_exit_code_is_in_the_readme(error):
    (listed,) = re.findall(r"^Exit codes.*?\n\n", README, re.DOTALL | re.MULTILINE)
    assert re.search(rf"\b{error.exit_code} [a-z]", listed), f"{error.exit_code} ({error.__name__})"


def settings_of(model: type[Settings], place: str = "") -> Iterator[tuple[str, str, FieldInfo]]:
    """Every setting below ``model``: the group it stands in as the page writes it, its key, its declaration."""
    for key, field in model.model_fields.items():
        yield place, key, field
        inside, mark = settings_inside(key, field.annotation)
        if inside:
            yield from settings_of(inside, f"{place}.{key}{mark}".lstrip("."))


def documented_defaults() -> dict[tuple[str, str], str]:
    """Default as written on the page, by group and key. A heading names the groups that its table describes."""
    found, groups = {}, []
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            groups = re.findall(r"`([^`]+)`", line) or [""]
        elif row := re.match(r"\| `(\w+)` \| (.*?) \| \S", line):
            found |= {(group, row[1]): row[2] for group in groups}
    return found


def test_every_setting_is_documented_with_its_default():
    documented = documented_defaults()
    declared = {(group, key): field for group, key, field in settings_of(Configuration)}
    assert set(documented) == set(declared)
    for place, field in declared.items():
        assert documented[place] == _default_in_words(field, documented[place]), ".".join(place)


def _default_in_words(field: FieldInfo, written: str) -> str:
    """How the page should write a default; ``written`` itself where it is a value in code that equals the default."""
    if field.is_required():
        return "required"
    if isinstance(field.default, Settings):
        return "below"
    if field.default is None:
        return "none"
    if field.default in ((), {}):
        return "empty"
    value = YAML(typ="safe").load(written.strip("`")) if written.startswith("`") else written
    expected = list(field.default) if isinstance(field.default, tuple) else field.default
    return written if value == expected else f"`{expected}`"


def test_every_published_table_and_column_is_in_the_data_dictionary():
    text = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8").split("\n## Trusted tables")[0]
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n### ")[1:]}
    assert set(sections) == set(PUBLISHED)
    for name, contract in PUBLISHED.items():
        assert all(f"| `{c.name}` |" in sections[name] for c in contract.columns), name
        assert f"`{name}`" in README, f"the README's list of tables lacks {name}"


def test_every_metric_column_that_is_a_rate_or_a_time_is_explained():
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in ("funnel_flow", "stage_conversion", "stage_dwell", "win_rates"):
        for c in PUBLISHED[name].columns:
            if c.info["unit"] in ("share", "ratio", "days"):
                assert f"`{c.name}`" in text, f"{name}.{c.name}"


def test_every_blocking_check_signal_and_method_is_explained():
    pages = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("architecture", "metrics", "forecasting")}
    blocking = {spec.name for checks in defs.asset_checks for spec in checks.check_specs if spec.blocking}
    assert [name for name in blocking if f"`{name}`" not in pages["architecture"]] == []
    assert [name for name in RISK_SIGNALS if f"`{name}`" not in pages["metrics"]] == []
    assert [name for name in METHODS if f"| `{name}` |" not in pages["forecasting"]] == []
    assert [group for group in {spec.group_name for spec in defs.resolve_all_asset_specs()} if group not in README] == []


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_internal_link_resolves(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_file_that_a_page_names_is_there(page):
    named = re.findall(r"`((?:assets|models|pipelines|quality|tests|docs|\.ci)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert all((ROOT / name).exists() for name in named), [name for name in named if not (ROOT / name).exists()]


def tracked_files() -> list[Path]:
    """The text files that git tracks or would; without git every file of the project's rooms."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.*") if ".venv" not in p.parts]
    return [ROOT / name for name in names if name and (ROOT / name).is_file() and (ROOT / name).suffix not in BINARY]


def test_no_tracked_file_names_a_machines_folders_or_a_package_registry():
    folders = re.compile(r"(?<![\w.<}>~-])/(?:work|tmp|root|home|Users)/\w")
    registries = re.compile(r"py" + r"pi\.org|python" + r"hosted\.org|\bindex-url\b|/simp" + r"le/|artifactory|nexus\.", re.IGNORECASE)
    files = tracked_files()
    assert len(files) > 100
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        for found in (folders.search(text), registries.search(text)):
            assert found is None or file == Path(__file__), f"{file.relative_to(ROOT)}: {found.group()}"
