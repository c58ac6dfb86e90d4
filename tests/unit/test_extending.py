"""Every addition of docs/extending.md, made in a copy of the project exactly as it stands there, works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.report_db import ReportDatabase
from quality.tables import PUBLISHED
from quality.tables.columns import column, table
from quality.tables.metrics import METRICS, as_of, period, segment
from tests.faults.command import CONFIGURATION, END, exports, written

ROOT = Path(__file__).resolve().parents[2]
_ADDITION = re.compile(r"^<!-- (new file|append to|change): (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def additions() -> list[tuple[str, str, str]]:
    """What the page adds: how, the file, the text."""
    return _ADDITION.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))


def make(addition: tuple[str, str, str], project: Path) -> None:
    """Make one addition in ``project``."""
    how, name, text = addition
    path = project / name
    if how == "new file":
        assert not path.exists(), f"{name} is there already; the page needs another example"
        path.write_text(text, encoding="utf-8")
        return
    before = path.read_text(encoding="utf-8")
    if how == "append to":
        path.write_text(f"{before.rstrip()}\n\n\n{text}", encoding="utf-8")
        return
    old, new = ("".join(line[1:] for line in text.splitlines(keepends=True) if line[0] in (sign, " ")) for sign in "-+")
    assert before.count(f"\n{old}") == 1, f"{name} has {old!r} {before.count(f'{chr(10)}{old}')} times and not once; correct docs/extending.md"
    path.write_text(before.replace(f"\n{old}", f"\n{new}", 1), encoding="utf-8")


def python(project: Path, *arguments: str) -> str:
    """What this Python prints when it runs a module of the project."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    return done.stdout


@pytest.mark.slow
def test_the_additions_of_the_page_work(tmp_path):
    project = tmp_path / "leadline"
    for floor in ("assets", "models", "pipelines", "quality", "tests", "docs"):
        shutil.copytree(ROOT / floor, project / floor, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", project)
    made = additions()
    assert {how for how, _, _ in made} == {"new file", "append to", "change"}
    for addition in made:
        make(addition, project)

    (project / "docs" / "data-dictionary.md").write_text(python(project, "pipelines.dictionary"), encoding="utf-8")
    python(project, "pytest", "tests/unit/test_meadow.py", "tests/unit/test_contracts.py", "tests/test_floors.py")

    (project / "asked.py").write_text("from models.features import FEATURES\nprint([f.code for f in FEATURES])\n", encoding="utf-8")
    assert "'round_amount'" in python(project, "asked")

    written(exports(), tmp_path / "exports")
    (tmp_path / "leadline.yaml").write_text(CONFIGURATION, encoding="utf-8")
    where = ("--config", str(tmp_path / "leadline.yaml"), "--exports", str(tmp_path / "exports"), "--home", str(tmp_path / "home"))
    python(project, "pipelines.cli", "run", *where)

    metric = table(METRICS.__class__(), "lost_amounts", "As on the page.", as_of(), *period(), *segment(), column("lost", "count", "Lost"))
    report = table(
        METRICS.__class__(), "owner_outlook", "As on the page.", as_of(), column("owner_id", "id", "Owner", key=True), column("open_deals", "count", "Open")
    )
    database = ReportDatabase(f"sqlite:///{tmp_path / 'home' / 'reports.sqlite'}", {**PUBLISHED, "lost_amounts": metric, "owner_outlook": report})
    assert database.read("lost_amounts", END)["lost"].sum() > 0
    assert database.read("owner_outlook", END)["open_deals"].sum() == len(database.read("win_probability", END))
