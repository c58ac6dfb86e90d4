"""A company so small that a whole run of it takes seconds, and what is looked at before and after a fault.

What belongs here: its exports, its configuration, running the command on it, what is published. What does not: faults.
"""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.home import Home
from quality.tables import PUBLISHED
from quality.tables.columns import key_columns

DEALS = 120
END = date(2026, 6, 30)
STAGES = ("talk", "offer", "sign")

PERSONAL = ("Zhang San", "Li Si", "Wang Xiaoming", "13800001234", "wang@example.com")
"""What no message may show: names, phones and addresses of the company's exports."""

CONFIGURATION = f"""\
name: Tiny
time_zone: Asia/Shanghai
currency: CNY
as_of: {END}
stages:
  - {{key: talk, spellings: [Talk], benchmark_conversion: 0.7, benchmark_days: 14}}
  - {{key: offer, spellings: [Offer], benchmark_conversion: 0.6, benchmark_days: 20}}
  - {{key: sign, spellings: [Sign], benchmark_conversion: 0.8, benchmark_days: 10}}
won: {{spellings: [Won], labels: {{en: won, zh: 成交}}}}
lost: {{spellings: [Lost], labels: {{en: lost, zh: 输单}}}}
exports:
  tables:
    opportunities: {{files: "deals*.csv", required: [created_at]}}
    stage_history: {{files: "history*.csv"}}
    owners: {{files: owners.csv}}
segments: [source]
reporting: {{weeks: 1, months: 2, quarters: 1}}
forecast: {{origins: 1, draws: 200}}
"""


def exports(end: date = END, deals: int = DEALS) -> dict[str, pd.DataFrame]:
    """The company's exports made at the end of ``end``, as text by file name: deals.csv, history.csv, owners.csv.

    Every deal's life is the same whatever ``end``; an earlier one has seen less of it.
    """
    random = np.random.default_rng(7)
    created = np.datetime64("2025-01-06") + np.sort(random.integers(0, 540, deals)).astype("timedelta64[D]")
    dwell = random.integers(3, 40, (deals, len(STAGES))).astype("timedelta64[D]")
    lost_in = random.choice(len(STAGES) + 1, deals, p=[0.25, 0.25, 0.1, 0.4])
    entered = np.column_stack([created, created[:, None] + np.cumsum(dwell, axis=1)])
    ends_at = np.minimum(lost_in, len(STAGES) - 1)
    closed = np.take_along_axis(entered, ends_at[:, None] + 1, axis=1)[:, 0]
    last = np.datetime64(end)
    is_closed = closed <= last
    reached = np.minimum((entered[:, :-1] <= last).sum(axis=1) - 1, ends_at)
    stage = np.where(is_closed, np.where(lost_in < len(STAGES), "Lost", "Won"), np.array(["Talk", "Offer", "Sign"])[reached])
    touched = np.where(is_closed, closed, np.take_along_axis(entered, np.maximum(reached, 0)[:, None], axis=1)[:, 0])
    opportunities = pd.DataFrame(
        {
            "opportunity_id": [f"D{n:04d}" for n in range(1, deals + 1)],
            "owner_id": np.where(np.arange(deals) % 2, "U1", "U2"),
            "stage": stage,
            "amount": (random.integers(10, 90, deals) * 1000).astype(str),
            "created_at": created.astype(str),
            "updated_at": touched.astype(str),
            "expected_close_date": entered[:, -1].astype(str),
            "closed_at": np.where(is_closed, closed.astype(str), ""),
            "source": np.where(np.arange(deals) % 3, "web", "fair"),
        }
    )[created <= last]
    visits = pd.DataFrame(
        {
            "opportunity_id": np.repeat(opportunities["opportunity_id"], len(STAGES)),
            "stage": np.tile(["Talk", "Offer", "Sign"], len(opportunities)),
            "entered_at": entered[created <= last, :-1].ravel(),
        }
    )
    is_seen = (np.tile(np.arange(len(STAGES)), len(opportunities)) <= np.repeat(ends_at[created <= last], len(STAGES))) & (visits["entered_at"] <= last)
    endings = opportunities.loc[opportunities["closed_at"] != "", ["opportunity_id", "stage", "closed_at"]]
    history = pd.concat([visits[is_seen].astype(str), endings.rename(columns={"closed_at": "entered_at"})], ignore_index=True)
    owners = pd.DataFrame({"owner_id": ["U1", "U2"], "name": ["Zhang San", "Li Si"], "team": ["north", "south"]})
    return {"deals.csv": opportunities.reset_index(drop=True), "history.csv": history, "owners.csv": owners}


def written(files: dict[str, pd.DataFrame], folder: Path) -> Path:
    """Write exports as CSV below ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in files.items():
        frame.to_csv(folder / name, index=False, lineterminator="\n")
    return folder


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    exit_code: int
    out: str
    err: str


@dataclass(frozen=True)
class Company:
    """A folder with exports, leadline.yaml and a home folder; ``report_db`` is its database's URL, if not in the home."""

    folder: Path
    report_db: str = ""

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def configuration(self) -> Path:
        return self.folder / "leadline.yaml"

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    def arguments(self, command: str, *more: str) -> list[str]:
        """Arguments of ``leadline run`` or ``leadline check`` on this company."""
        places = ["--config", str(self.configuration), "--exports", str(self.exports), "--home", str(self.home.path)]
        return [command, *places, *(["--report-db", self.report_db] if self.report_db and command != "check" else []), *more]

    def run(self, *more: str, command: str = "run") -> Said:
        """Run the command in this process."""
        return say(*self.arguments(command, *more))

    def write(self, **files: pd.DataFrame) -> None:
        """Replace exports, by file name without .csv."""
        written({f"{name}.csv": frame for name, frame in files.items()}, self.exports)

    def configure(self, former: str, new: str) -> None:
        """Replace a part of the configuration that is there."""
        text = self.configuration.read_text(encoding="utf-8")
        assert former in text
        self.configuration.write_text(text.replace(former, new), encoding="utf-8")

    def copied(self, folder: Path) -> "Company":
        """This company with all that it has published, in another folder."""
        return replace(self, folder=Path(copytree(self.folder, folder)))

    def published(self) -> dict[str, object]:
        """The page and every row of the report file, to be compared before and after a fault."""
        return {"page": hashlib.sha256(self.home.page.read_bytes()).hexdigest(), **tables(self.home.report_database)}


def founded(folder: Path) -> Company:
    """The company with its exports and configuration in ``folder``, before its first run."""
    company = Company(folder)
    written(exports(), company.exports)
    company.configuration.write_text(CONFIGURATION, encoding="utf-8")
    return company


def say(*arguments: str) -> Said:
    """Run ``leadline`` with ``arguments`` in this process."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def tables(report_database: Path) -> dict[str, list[tuple]]:
    """Every row of every table of a report file, in the order of the key."""
    # Not read-only, because then SQLite would leave its two files beside the report file.
    with closing(sqlite3.connect(f"file:{report_database}?mode=rw", uri=True)) as connection:
        order = {name: ", ".join(key_columns(contract)) for name, contract in PUBLISHED.items()}
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY {keys}").fetchall() for name, keys in order.items()}


def refused(said: Said, exit_code: int, *words: str) -> None:
    """The command ended with ``exit_code`` and said every one of ``words``, no traceback and nothing personal."""
    assert said.exit_code == exit_code, said.err
    assert said.err.startswith("leadline: ")
    missing = [w for w in words if w not in said.err]
    assert not missing, said.err
    assert "Traceback" not in said.err
    assert not [w for w in PERSONAL if w in said.err + said.out]


def assert_refused(company: Company, former: dict, exit_code: int, *words: str, more: tuple[str, ...] = ()) -> Said:
    """A run is refused (see `refused`), prints no result, and what was published is as ``former``."""
    said = company.run(*more)
    refused(said, exit_code, *words)
    assert said.out == ""
    assert company.published() == former
    return said


def assert_republished(company: Company, former: dict) -> None:
    """A rerun published the same as ``former`` and added itself to the run log; the page names the run."""
    rerun = company.published()
    assert {name for name in rerun if rerun[name] != former[name]} <= {"run_log", "page"}
    assert len(rerun["run_log"]) == len(former["run_log"]) + 1


def leftovers(company: Company) -> list[Path]:
    """Files in the home folder that were meant to be renamed or removed."""
    return [path for path in company.home.path.rglob(".*") if path.is_file()]
