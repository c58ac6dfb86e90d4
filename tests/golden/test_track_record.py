"""A company that is published month after month: its calls and its earlier forecasts are found and scored as worked out here."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.faults.command import Company, founded, say, tables

pytestmark = pytest.mark.slow

MARCH, MAY, JUNE = "2026-03-31", "2026-05-15", "2026-06-30"
CALLERS = (("all", "all", 400_000), ("owner", "U1", 200_000), ("team", "south", 80_000))


def calls() -> pd.DataFrame:
    """Three callers, every month from October on, four days before it begins; best case is half as much again."""
    rows = [
        ("month", month.date(), dimension, member, category, amount * factor, (month - pd.Timedelta(days=4)).date())
        for month in pd.date_range("2025-10-01", "2026-07-01", freq="MS")
        for dimension, member, amount in CALLERS
        for category, factor in (("Commit", 1.0), ("Best Case", 1.5))
    ]
    return pd.DataFrame(rows, columns=["period_kind", "period_start", "dimension", "member", "category", "amount", "called_at"])


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Company:
    """The tiny company, published as of March, the middle of May and June."""
    company = founded(tmp_path_factory.mktemp("track") / "company")
    company.write(calls=calls())
    company.configure("owners: {files: owners.csv}", "owners: {files: owners.csv}\n    forecast_calls: {files: calls.csv}")
    company.configure("origins: 1", "origins: 8")
    company.configure("segments: [source]", "segments: [source, owner]\nmask_owners: true")
    for day in (MARCH, MAY, JUNE):
        said = company.run("--as-of", day)
        assert said.exit_code == 0, said.err
    return company


def rows(company: Company, sql: str) -> pd.DataFrame:
    with closing(sqlite3.connect(company.home.report_database)) as connection:
        return pd.read_sql_query(sql, connection)


def won(company: Company, month: str, **of: str) -> int:
    """What was won in a month by the exports themselves."""
    deals = pd.read_csv(company.exports / "deals.csv", dtype=str, keep_default_na=False)
    chosen = (deals["stage"] == "Won") & deals["closed_at"].str.startswith(month)
    for column, value in of.items():
        chosen &= deals[column] == value
    return int(deals.loc[chosen, "amount"].astype(int).sum())


def test_what_was_published_is_scored_against_what_was_won_since(published):
    live = rows(published, f"SELECT * FROM forecast_accuracy WHERE as_of = '{JUNE}' AND kind = 'live'")
    total = "SELECT * FROM revenue_forecast WHERE component = 'total' AND dimension = 'all' AND period_kind = 'month'"
    then = rows(published, f"{total} AND as_of IN ('{MARCH}', '{MAY}')")
    then = then[(then["period_start"] <= "2026-06-01") & ~((then["as_of"] == MARCH) & (then["period_start"] == "2026-03-01"))]
    assert len(then) == 5  # April to June as of March, May and June as of May
    for row in then.itertuples():
        (found,) = live[
            (live["origin"] == row.as_of)
            & (live["period_start"] == row.period_start)
            & (live["period_kind"] == "month")
            & (live["dimension"] == "all")
            & (live["method"] == row.method)
        ].to_dict("records")
        actual = won(published, row.period_start[:7])
        assert (found["forecast"], found["p10"], found["p90"], found["actual"]) == (row.mean, row.p10, row.p90, actual)
        assert found["error"] == pytest.approx(row.mean - actual) and found["inside_80"] == (row.p10 <= actual <= row.p90)
    assert set(live["dimension"]) == {"all", "source", "owner", "team"}
    assert not rows(published, f"SELECT * FROM forecast_accuracy WHERE as_of = '{MARCH}' AND kind = 'live'").shape[0]


def test_members_are_scored_as_published(published):
    web = rows(
        published,
        f"SELECT * FROM forecast_accuracy WHERE as_of = '{JUNE}' AND kind = 'live' AND dimension = 'source' AND member = 'web' "
        f"AND origin = '{MARCH}' AND period_start = '2026-04-01' AND period_kind = 'month' AND p10 IS NOT NULL",
    )
    assert web["actual"].tolist() == [won(published, "2026-04", source="web")]


def test_calls_stand_beside_the_forecast_and_are_scored(published):
    ahead = rows(published, f"SELECT period_start, method, value FROM forecast_baselines WHERE as_of = '{JUNE}' AND method LIKE 'call%' AND dimension = 'all'")
    assert sorted(ahead.itertuples(index=False, name=None)) == [("2026-07-01", "call_best_case", 600_000), ("2026-07-01", "call_commit", 400_000)]
    scored = rows(published, f"SELECT * FROM forecast_accuracy WHERE as_of = '{JUNE}' AND kind = 'replayed' AND method = 'call_commit' AND dimension = 'owner'")
    assert len(scored) == 9 and set(scored["lead_months"]) == {1}
    april = scored[scored["period_start"] == "2026-04-01"].iloc[0]
    assert (april["origin"], april["forecast"], april["actual"]) == (MARCH, 200_000, won(published, "2026-04", owner_id="U1"))


def test_the_record_of_a_caller_adds_up(published):
    record = rows(published, f"SELECT * FROM call_record WHERE as_of = '{JUNE}' AND dimension = 'all' AND category = 'commit'").iloc[0]
    months = [str(month)[:7] for month in pd.date_range("2025-10-01", "2026-06-01", freq="MS")]
    actual = [won(published, month) for month in months]
    assert record["n"] == 9 and record["verdict"] == "happy_ears"
    assert record["bias_share"] == pytest.approx((400_000 * 9 - sum(actual)) / sum(actual))
    assert record["mean_error_share"] == pytest.approx(sum(abs(400_000 - a) for a in actual) / sum(actual))
    everybody = rows(published, f"SELECT dimension, member, n_compared FROM call_record WHERE as_of = '{JUNE}' AND category = 'commit'")
    assert everybody.values.tolist() == [["all", "all", 8], ["owner", "U1", 8], ["team", "south", 8]]


def test_a_rerun_of_a_date_and_a_backfill_leave_the_record_as_it_is(published, tmp_path):
    company = published.copied(tmp_path / "again")
    former = tables(company.home.report_database)
    assert company.run("--as-of", "2026-04-30").exit_code == 0  # recomputed after later dates: no forecast of its time
    assert company.run("--as-of", JUNE).exit_code == 0
    again = tables(company.home.report_database)
    for name in former:
        if name != "run_log":
            assert [row for row in again[name] if row[0] != "2026-04-30"] == former[name], name


def test_a_fault_in_what_was_published_stops_the_run_and_changes_nothing(published, tmp_path):
    company = published.copied(tmp_path / "harmed")
    with closing(sqlite3.connect(company.home.report_database)) as connection, connection:
        connection.execute(f"UPDATE revenue_forecast SET mean = 'harmed' WHERE as_of = '{MARCH}'")
    former, page = tables(company.home.report_database), Path(company.home.page).read_bytes()
    said = company.run("--as-of", JUNE)
    assert said.exit_code == 3 and "revenue_forecast" in said.err and "what to do" in said.err
    assert tables(company.home.report_database) == former and Path(company.home.page).read_bytes() == page


def test_a_fresh_home_has_no_live_record(published, tmp_path):
    company = published.copied(tmp_path / "fresh")
    shutil.rmtree(company.home.path)
    assert company.run("--as-of", JUNE).exit_code == 0
    assert not len(rows(company, "SELECT 1 FROM forecast_accuracy WHERE kind = 'live'"))


def test_a_frozen_forecast_stays_and_is_scored_when_its_period_is_over(published, tmp_path):
    company = published.copied(tmp_path / "frozen")
    home = ("--home", str(company.home.path))
    for wrong, word in (
        (("--period", "2026-03"), "ends 2026-03-31"),
        (("--period", "2027-03"), "no month"),
        (("--period", "2026-06", "--on", "2026-07-01"), "cannot be frozen"),
    ):
        said = say("freeze", *home, *wrong, "--as-of", MARCH)
        assert said.exit_code == 8 and word in said.err and "what to do" in said.err
    said = say("freeze", *home, "--period", "2026-06", "--as-of", MARCH, "--by", "Wang Wu", "--on", "2026-04-02")
    assert said.exit_code == 0 and "as of 2026-03-31" in said.out, said.err
    former = tables(company.home.report_database)
    assert say("freeze", *home, "--period", "2026-06", "--as-of", MARCH).out.startswith("stood frozen")
    assert say("freeze", *home, "--period", "2026-06", "--as-of", MAY).exit_code == 8
    assert tables(company.home.report_database) == former
    (row,) = rows(company, "SELECT * FROM forecast_of_record").to_dict("records")
    assert (row["period_kind"], row["period_start"], row["frozen_at"]) == ("month", "2026-06-01", "2026-04-02")
    assert "Wang Wu" not in str(row) and row["frozen_by"].startswith("W***")

    assert company.run("--as-of", MARCH).exit_code == 0  # published once more: what is frozen stays
    assert company.run("--as-of", JUNE).exit_code == 0
    assert rows(company, "SELECT * FROM forecast_of_record").to_dict("records") == [row]
    (scored,) = rows(company, f"SELECT * FROM forecast_accuracy WHERE as_of = '{JUNE}' AND method = 'of_record'").to_dict("records")
    actual = won(company, "2026-06")
    assert (scored["origin"], scored["kind"], scored["forecast"], scored["p10"], scored["p90"]) == (MARCH, "live", row["mean"], row["p10"], row["p90"])
    assert (scored["actual"], scored["lead_months"]) == (actual, 3) and scored["error"] == pytest.approx(row["mean"] - actual)
