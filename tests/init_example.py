"""The worked example of docs/init.md: a small folder, what the command says of it and what it writes.

What belongs here: the folder, and putting what came of it into the page. Run as a program it writes the page anew.
"""

import re
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from typer.testing import CliRunner

from pipelines.cli import app
from tests.exports_written import write

PAGE = Path(__file__).resolve().parents[1] / "docs" / "init.md"

_DEALS = 240
_STAGES = ("Qualified", "Proposal", "Negotiation")
_SHOWN = ("currency", "stages", "segments")
"""Settings that the page shows, in the order of the file."""


def files() -> dict[str, str]:
    """Deals of a CRM that Leadline does not know, with a history and a list of people; no day is above 12, so none shows an order."""
    deals, log = ["deal no,customer,sales agent,stage,value,opened,closed,channel,product"], ["deal no,step,date entered"]
    for n in range(_DEALS):
        course = [*_STAGES[: n % 4 or 3], *(("Won", "Lost", "Won")[n % 3 : n % 3 + 1] if n % 4 == 0 else ())]
        course = [*course[:2], "Qualified", *course[1:]] if n % 12 == 3 else course
        days = [f"{n % 11 + 1:02}/{n % 3 + 1 + entered:02}/2026" for entered in range(len(course))]
        closed = days[-1] if n % 4 == 0 else ""
        product = "Basic" if closed and n % 8 else "Plus" if closed else ""
        deals.append(f"{n + 1},C{n % 80},agent {n % 6 + 1},{course[-1]},{n % 50 + 1}00,{days[0]},{closed},{('web', 'fair', 'partner')[n % 3]},{product}")
        log += [f"{n + 1},{stage},{day}" for stage, day in zip(course, days)]
    people = ["agent,office", *(f"agent {n + 1},{('East', 'West')[n % 2]}" for n in range(6))]
    return {name: "\n".join(lines) + "\n" for name, lines in (("deals.csv", deals), ("log.csv", log), ("people.csv", people))}


def blocks() -> dict[str, str]:
    """The text of every block of the page that follows ``<!-- example: name -->``, by its name."""
    given = files()
    with TemporaryDirectory() as folder, chdir(folder):
        write(Path("exports"), given)
        said = CliRunner().invoke(app, ["init", "exports"]).output
        configuration = Path("leadline.yaml").read_text(encoding="utf-8")
    headers = [f"{name:<14} {text.partition(chr(10))[0].replace(',', ', ')}" for name, text in given.items()]
    return {"files": "\n".join(headers) + "\n", "terminal": said, "configuration": "".join(_setting(configuration, key) for key in _SHOWN)}


def page(text: str) -> str:
    """The page ``text`` with its blocks as they are now."""
    for name, block in blocks().items():
        text, count = re.subn(rf"(<!-- example: {name} -->\n+```\w*\n).*?^```$", lambda m, b=block: f"{m[1]}{b}```", text, flags=re.DOTALL | re.MULTILINE)
        assert count == 1, name
    return text


def _setting(configuration: str, key: str) -> str:
    """One setting at the top of the file, with the comments above it."""
    found = re.search(rf"^(?:#(?! ---).*\n)*{key}:.*\n(?: .*\n)*", configuration, re.MULTILINE)
    assert found, key
    return found[0]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
