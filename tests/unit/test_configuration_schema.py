"""The schema for editors: current, complete, and of one mind with the loader about whole configurations."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.configuration import load_configuration
from pipelines.configuration_file import read_document
from pipelines.configuration_schema import configuration_schema, schema_text
from tests.unit.test_configuration import GOOD

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(p for folder in ("pipelines", "tests") for p in (ROOT / folder).rglob("*.yaml") if p.name != "expected.yaml")
SCHEMA = configuration_schema()
CHECK = Draft202012Validator(SCHEMA)


def errors_in(path: Path) -> list[str]:
    """Places and messages of what the schema finds wrong."""
    return [f"{e.json_path}: {e.message}" for e in CHECK.iter_errors(read_document(path).data)]


def test_the_committed_schema_is_current():
    committed = (ROOT / "docs" / "leadline.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "write it anew: leadline schema --out docs/leadline.schema.json"


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_committed_configurations_are_valid(path):
    assert load_configuration(path)
    assert errors_in(path) == []


def test_the_readmes_configuration_is_valid(tmp_path):
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "leadline.yaml").write_text(example, encoding="utf-8")
    assert errors_in(tmp_path / "leadline.yaml") == []


@pytest.mark.parametrize(
    ("was", "becomes", "place"),
    [
        ("name: Example", "nmae: Example", "$"),
        ("as_of: 2025-01-31", "language: fr", "$.language"),
        ("as_of: 2025-01-31", "as_of: [2025]", "$.as_of"),
        ("as_of: 2025-01-31", "pipelines: []", "$"),
        ("as_of: 2025-01-31", "thresholds: {zombie_days: 0}", "$.thresholds.zombie_days"),
        ("benchmark_conversion: 0.4", "benchmark_conversion: 40", "$.stages[0].benchmark_conversion"),
        ("benchmark_conversion: 0.4", "replaces: first_contact", "$.stages[0].replaces"),
        ("key: potential", "key: Potential", "$.stages[0].key"),
        ("crm: salesforce", "crm: salesfroce", "$.exports.crm"),
        ("crm: salesforce", "crm: hubspot\n  lookups: {stagse: {files: s.csv}}", "$.exports.lookups"),
        ("benchmark_conversion: 0.4", "required_fields: [amout]", "$.stages[0].required_fields[0]"),
        ("as_of: 2025-01-31", "pull: {crm: salesfroce}", "$.pull"),
        ("opportunities:", "oportunities:", "$.exports.tables"),
        ("{amount:", "{ammount:", "$.exports.tables.opportunities.columns"),
        ("stage_dates:", "required: [amout]\n      stage_dates:", "$.exports.tables.opportunities.required[0]"),
    ],
)
def test_what_the_loader_refuses_by_form_or_name_the_schema_refuses(tmp_path, was, becomes, place):
    assert was in GOOD
    (tmp_path / "leadline.yaml").write_text(GOOD, encoding="utf-8")
    assert errors_in(tmp_path / "leadline.yaml") == []
    (tmp_path / "leadline.yaml").write_text(GOOD.replace(was, becomes), encoding="utf-8")
    assert any(error.startswith(f"{place}: ") for error in errors_in(tmp_path / "leadline.yaml")), errors_in(tmp_path / "leadline.yaml")


def settings_of(schema: dict):
    """Every setting of the schema with its name."""
    yield from schema["properties"].items()
    for name, part in schema["$defs"].items():
        if not name.startswith("columns of "):
            yield from ((f"{name}.{key}", setting) for key, setting in part.get("properties", {}).items())


def test_every_setting_is_explained_and_its_examples_are_valid():
    for name, setting in settings_of(SCHEMA):
        assert setting.get("description"), name
        for example in setting.get("examples", []):
            assert Draft202012Validator({**setting, "$defs": SCHEMA["$defs"]}).is_valid(example), f"{name}: {example!r}"
    assert sum("examples" in setting for _, setting in settings_of(SCHEMA)) >= 8


def test_the_command_prints_and_writes_it(tmp_path):
    assert CliRunner().invoke(app, ["schema"]).output == schema_text()
    assert CliRunner().invoke(app, ["schema", "--out", str(tmp_path / "s.json")]).output == ""
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8")) == SCHEMA
    refused = CliRunner().invoke(app, ["schema", "--out", str(tmp_path / "none" / "s.json")])
    assert (refused.exit_code, "cannot be written" in refused.output) == (2, True)
