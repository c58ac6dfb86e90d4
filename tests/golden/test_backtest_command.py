"""`leadline backtest` on the demonstration company: tables and page agree, and nothing is published."""

import re

import pandas as pd
import pytest

from pipelines.demo import write_demo
from tests.faults.command import say

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest")
    made = write_demo(folder / "demo", "chinese")
    arguments = ["--config", str(made.configuration), "--exports", str(made.exports), "--home", str(folder / "home")]
    said = say("backtest", *arguments, "--origins", "7", "--out", str(folder / "out"))
    assert said.exit_code == 0, said.err
    return folder, arguments, said


def test_tables_and_page_are_written_and_nothing_is_published(judged):
    folder, _, said = judged
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "backtest.html", "call_record.csv", "deal_accuracy.csv", "forecast_accuracy.csv", "method_choice.csv", "reliability.csv",
    ]  # fmt: skip
    assert not (folder / "home" / "reports.sqlite").exists() and not (folder / "home" / "report.html").exists()
    assert "7 个预测日" in said.out and str(folder / "out" / "backtest.html") in said.out


def test_the_page_shows_the_figures_of_the_tables(judged):
    folder, _, _ = judged
    page = (folder / "out" / "backtest.html").read_text(encoding="utf-8")
    deals = pd.read_csv(folder / "out" / "deal_accuracy.csv")
    published = deals[deals["is_published"] & (deals["horizon"] == "month_1")].iloc[0]
    assert f"{published['log_loss']:.3f}" in page and f"{100 * published['majority_rate']:.1f}%" in page
    assert deals["origins"].max() == 7
    accuracy = pd.read_csv(folder / "out" / "forecast_accuracy.csv")
    ours = accuracy[(accuracy["method"] == published["method"]) & (accuracy["period_kind"] == "month") & (accuracy["lead_months"] == 1)]
    assert f"{100 * ours['absolute_error'].sum() / ours['actual'].sum():.1f}%" in page
    assert f"{int(ours['inside_80'].astype(bool).sum())} / {len(ours)}" in page
    reliability = pd.read_csv(folder / "out" / "reliability.csv")
    sums = reliability.groupby(["method", "horizon"])["deals"].sum()
    assert (deals.set_index(["method", "horizon"])["deals"] == sums.reindex(pd.MultiIndex.from_frame(deals[["method", "horizon"]])).to_numpy()).all()
    assert re.search(r'<html lang="zh-CN">', page)


def test_what_cannot_be_done_is_said_as_by_the_other_commands(judged, tmp_path):
    _, arguments, _ = judged
    (tmp_path / "file").write_text("x")
    said = say("backtest", *arguments, "--origins", "1", "--out", str(tmp_path / "file"))
    assert said.exit_code == 4 and "what to do" in said.err
    assert say("backtest", *arguments, "--origins", "0").exit_code == 2
    assert say("backtest", *arguments, "--as-of", "1990-01-01").exit_code == 2
