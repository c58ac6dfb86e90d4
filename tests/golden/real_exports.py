"""Runs on exports that were not made for Leadline, against what a person finds in them by hand.

What is expected is counted here from the files' text with pandas alone, or is a literal that somebody once counted;
what is compared is what a run published. The configurations beside this file say why each choice was made.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake, read_frame
from pipelines.resources import Place
from pipelines.run import Outcome, run_job
from tests.third_party import DATA

CONFIGURATIONS = Path(__file__).parent / "configurations"
MOVEMENTS = ["entered_new", "entered_advanced", "entered_regressed", "advanced", "regressed", "won", "lost"]


@dataclass(frozen=True)
class Run:
    """A finished run: what it published and what it left in the lake."""

    outcome: Outcome

    def published(self, table: str) -> pd.DataFrame:
        return self.outcome.database.read(table, self.outcome.as_of)

    def lake(self, table: str) -> pd.DataFrame:
        home = self.outcome.home
        return read_frame(Path(Lake(home.lake, DuckDB(home.spill), self.outcome.as_of).parquet(table).path))

    def months(self, table: str) -> pd.DataFrame:
        """The company's rows of a metric by month, as YYYY-MM."""
        rows = self.published(table)
        rows = rows[(rows["period_kind"] == "month") & (rows["dimension"] == "all")]
        return rows.assign(month=pd.to_datetime(rows["period_start"]).dt.strftime("%Y-%m")).set_index("month")

    def log(self) -> pd.Series:
        return self.published("run_log").iloc[0]

    def findings(self) -> dict[str, tuple[int, int]]:
        """Failed and checked rows of every expectation that some row failed, by table and code."""
        found = self.published("data_quality")
        found = found[found["failed"] > 0]
        return {f"{t}.{e}": (f, c) for t, e, f, c in zip(found["table_name"], found["expectation"], found["failed"], found["checked"])}

    def page(self) -> str:
        return self.outcome.home.page.read_text(encoding="utf-8")


def finished(name: str, home: Path) -> Run:
    place = Place(config=str(CONFIGURATIONS / f"{name}.yaml"), exports=str(DATA / name), home=str(home))
    return Run(run_job("leadline", place, None, lambda told: None, debug=True))


@cache
def by_hand(name: str) -> pd.DataFrame:
    """A file as text."""
    return pd.read_csv(DATA / name, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def sums_by(month: pd.Series, amount: pd.Series) -> pd.Series:
    return pd.to_numeric(amount).groupby(month).sum()


def assert_months(published: pd.DataFrame, column: str, expected: pd.Series) -> None:
    """The published months hold what was counted by month, and nothing was counted in any other month."""
    assert expected.sum() == pytest.approx(published[column].sum())
    pd.testing.assert_series_equal(published[column].astype(float), expected.reindex(published.index, fill_value=0).astype(float), check_names=False, rtol=1e-9)


def movements(entries: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """What happens in each month and stage, from every entry (deal, stage, day) in the order of time within a deal."""
    rank = {stage: place for place, stage in enumerate(order)}
    stays = entries[entries["stage"] != entries.groupby("deal")["stage"].shift()]
    deal = stays.groupby("deal")
    here, before, after = stays["stage"].map(rank), deal["stage"].shift().map(rank), deal["stage"].shift(-1)
    came = pd.Series("entered_new", index=stays.index).mask(before < here, "entered_advanced").mask(before > here, "entered_regressed")
    left = after.where(after.isin(["won", "lost"])).mask(after.map(rank) > here, "advanced").mask(after.map(rank) < here, "regressed")
    ins = pd.DataFrame({"month": stays["day"].str[:7], "stage": stays["stage"], "movement": came})
    outs = pd.DataFrame({"month": deal["day"].shift(-1).str[:7], "stage": stays["stage"], "movement": left})
    both = pd.concat([ins, outs.dropna()])
    both = both[both["stage"].isin(order)]
    return both.groupby(["month", "stage", "movement"]).size().unstack(fill_value=0).reindex(columns=MOVEMENTS, fill_value=0)


def assert_flows(run: Run, expected: pd.DataFrame, closing: dict[str, int]) -> None:
    """The published flow is the one counted by hand, every month ends as the next begins, and the last with what is open."""
    flow = run.months("funnel_flow").reset_index().set_index(["month", "stage"])
    assert expected.sum().to_dict() == flow[MOVEMENTS].sum().to_dict()
    pd.testing.assert_frame_equal(flow[MOVEMENTS].sort_index(), expected.reindex(flow.index, fill_value=0).sort_index(), check_names=False, check_dtype=False)
    stock = expected[["entered_new", "entered_advanced", "entered_regressed"]].sum(axis=1) - expected[["advanced", "regressed", "won", "lost"]].sum(axis=1)
    stock = stock.unstack(fill_value=0).cumsum()
    by_stage = flow["closing"].unstack()
    pd.testing.assert_frame_equal(by_stage.fillna(0), stock.reindex(by_stage.index).ffill().fillna(0), check_names=False, check_dtype=False)
    assert by_stage.iloc[-1].to_dict() == closing


ROWS = {
    "maven_crm": {
        "opportunities": {"sales_pipeline.csv": 8_800},
        "accounts": {"accounts.csv": 85},
        "owners": {"sales_teams.csv": 35},
    },
    "salesforce_trailhead": {"opportunities": {"Opportunity.csv": 219}, "stage_history": {"Opportunity History.csv": 584}},
    "loan_funnel": {"opportunities": {"cases.csv": 6_426}, "stage_history": {"stage_events.csv.gz": 42_156}},
}


def assert_every_row_is_accepted(run: Run, name: str) -> None:
    """Rows are those of the files, all of them accepted, in the log and on the page; nothing is rejected or set aside."""
    for files in ROWS[name].values():
        for file, rows in files.items():
            assert len(by_hand(f"{name}/{file}")) == rows
    all_accepted = {
        table: {file: {"read": n, "accepted": n, "superseded": 0, "rejected": 0} for file, n in files.items()} for table, files in ROWS[name].items()
    }
    log = run.log()
    assert json.loads(log["counts"]) == all_accepted
    total = sum(n for files in ROWS[name].values() for n in files.values())
    assert log[["rows_read", "rows_accepted", "rows_superseded", "rows_rejected"]].tolist() == [total, total, 0, 0]
    assert run.published("rejected_rows").empty
    assert run.published("set_aside_values").empty
    assert f"<strong>{total:,}</strong> rows read" in run.page() or f"{total:,} rows read" in run.page()


def assert_as_of(run: Run, as_of: str, found_in: str) -> None:
    """The as-of date is the newest fact, and the log says which that is."""
    assert run.outcome.as_of.isoformat() == as_of
    assert found_in in run.log()["as_of_from"]
