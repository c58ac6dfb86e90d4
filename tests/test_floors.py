"""The floors of the house: imports only point downward, and each floor stays clear of what it must not know."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "models": set(),
    "quality": {"models"},
    "assets": {"models", "quality"},
    "pipelines": {"models", "quality", "assets"},
}
FORBIDDEN = {
    "models": {"dagster", "sqlalchemy", "duckdb", "great_expectations", "pyarrow", "pathlib", "os", "io", "time", "ruamel"},
}
FILES = sorted(path for floor in ALLOWED for path in (ROOT / floor).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every module that a file imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("import_module", "__import__"):
            names |= {argument.value.split(".")[0] for argument in node.args if isinstance(argument, ast.Constant)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downward(path):
    floor = path.relative_to(ROOT).parts[0]
    names = imported(path)
    assert names & set(ALLOWED) - {floor} <= ALLOWED[floor], f"{floor} imports from a floor above it"
    assert not names & FORBIDDEN.get(floor, set()), f"{floor} must not know these"


def test_only_the_expectations_import_great_expectations():
    users = {str(path.relative_to(ROOT)) for path in FILES if "great_expectations" in imported(path)}
    assert users == {"quality/expectations.py"}


def test_nothing_below_the_edge_reads_the_clock():
    """Only pipelines/resources.py, publication.py and home.py may ask what time it is."""
    edge = {"pipelines/resources.py", "pipelines/publication.py", "pipelines/home.py"}
    asking = {
        str(path.relative_to(ROOT))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "today", "utcnow")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("datetime", "date", "pd", "time")
    }
    assert asking <= edge, f"these read the clock: {asking - edge}"


def test_the_rooms_at_the_top_are_those_of_the_house():
    tracked = {p.name for p in ROOT.iterdir() if not p.name.startswith(".") and p.name not in ("leadline-home", "__pycache__")}
    rooms = {"pipelines", "assets", "models", "quality", "tests", "docs"}
    files = {"workspace.yaml", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "requirements.lock", "leadline.yaml"}
    assert tracked <= rooms | files, f"not a room of the house: {tracked - rooms - files}"
