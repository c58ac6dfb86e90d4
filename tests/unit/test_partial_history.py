"""A stage history that begins later than the deals, or holds only some of them, does not pass its beginning for theirs."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from assets.exports.settings import Configuration
from models.deal_history import UNKNOWN_STAGE, deal_history
from models.exposure import count_exposure
from models.landmarks import open_deals
from models.semi_markov import fit_semi_markov
from models.simulated_world import DEMO
from models.simulator import simulate
from quality.tables.core import CORE
from tests.core_frames import COMPANY, at, judged, on, trusted_tables
from tests.metric_frames import computed, conformed, rows

BEGAN = 100
"""Days from 1 January 2024 to 10 April 2024."""


def deal(name: str, stage: str, created: float, closed: float | None = None, **columns) -> dict:
    status = stage if stage in ("won", "lost") else "open"
    dates = {"created_at": at(created), "closed_at": None if closed is None else at(closed)}
    return {"opportunity_id": name, "pipeline_key": "sales", "stage_key": stage, "status": status, **dates, **columns}


def entered(name: str, stage: str, day: float) -> dict:
    return {"opportunity_id": name, "stage_key": stage, "entered_at": at(day)}


def known(tmp_path, deals: list[dict], history: list[dict], as_of: int = 200, export: int = 200):
    return trusted_tables({"opportunities": judged("opportunities", deals), "stage_history": judged("stage_history", history)}, on(as_of), on(export), tmp_path)


def visits(tables) -> dict[tuple, tuple]:
    """Per deal and stage: day of entry, how it came in, whether the entry and the whole visit are dated, the deal's course, days of dwell."""
    found = tables["stage_visits"].to_pylist()
    return {
        (v["opportunity_id"], v["stage"]): ((v["entered_at"] - at(0)).days, v["entry_kind"], v["is_entry_dated"], v["is_dated"], v["course"], v["dwell_days"])
        for v in found
    }


DEALS = [
    deal("seeded", "third", 10),
    deal("moved", "third", 20),
    deal("young", "second", 110),
    deal("unlogged", "second", 5),
    deal("lost before", "lost", 15, 60),
]
HISTORY = [
    entered("seeded", "second", BEGAN),
    entered("seeded", "third", 120),
    entered("moved", "third", 130),
    entered("young", "first", 110),
    entered("young", "second", 115),
]


def test_stays_under_way_when_the_history_began_are_no_entries_of_that_day(tmp_path):
    tables = known(tmp_path, DEALS, HISTORY)
    assert visits(tables) == {
        ("seeded", "second"): (10, "new", False, False, "partial", 20.0),
        ("seeded", "third"): (120, "advanced", True, True, "partial", 81.0),
        ("moved", "third"): (130, "advanced", True, True, "partial", 71.0),
        ("young", "first"): (110, "new", True, True, "whole", 5.0),
        ("young", "second"): (115, "advanced", True, True, "whole", 86.0),
        ("unlogged", "second"): (5, "new", False, False, "unknown", 1.0),
        ("lost before", "first"): (15, "new", False, False, "unknown", 45.0),
    }
    state = {o["opportunity_id"]: (o["stage"], o["stage_entered_at"], o["course"]) for o in tables["opportunities"].to_pylist()}
    assert state["unlogged"] == ("second", None, "unknown")
    assert state["seeded"] == ("third", at(120), "partial")


def test_as_of_a_day_before_the_history_there_is_none(tmp_path):
    assert {course for *_, course, _ in visits(known(tmp_path, DEALS, HISTORY, as_of=BEGAN - 1)).values()} == {"whole"}


def test_a_history_that_begins_with_the_deals_is_whole(tmp_path):
    """A month between the first creation and the first entry is no sign of a late beginning."""
    tables = known(
        tmp_path, [deal("a", "second", 0), deal("b", "first", 3)], [entered("a", "first", 29), entered("a", "second", 40), entered("b", "first", 30)]
    )
    assert [(v[0], v[2], v[4]) for v in visits(tables).values()] == [(29, True, "whole"), (40, True, "whole"), (30, True, "whole")]


def test_a_stray_early_row_does_not_hide_the_day_on_which_the_history_was_filled(tmp_path):
    """60 deals of the year before all appear on day 100; one row is dated on day 1."""
    older = [deal(f"d{n}", "second", n / 2) for n in range(60)]
    history = [entered(f"d{n}", "second", BEGAN) for n in range(60)] + [entered("stray", "first", 1), entered("late", "second", 150)]
    tables = known(tmp_path, [*older, deal("stray", "first", 1), deal("late", "second", 40)], history)
    found = visits(tables)
    assert {found[f"d{n}", "second"][2] for n in range(60)} == {False}
    assert found["stray", "first"][4] == "whole"
    assert found["late", "second"][:5] == (150, "advanced", True, True, "partial")


def test_what_a_first_snapshot_shows_of_older_deals_is_under_way(tmp_path):
    """No log; snapshots on days 50 and 80: a was in the second stage already, b came there in between, c was closed before."""
    versions = [
        deal("a", "second", 0, _snapshot=on(50), _verdict="superseded"),
        deal("a", "third", 0, _snapshot=on(80)),
        deal("b", "first", 0, _snapshot=on(50), _verdict="superseded"),
        deal("b", "second", 0, _snapshot=on(80)),
        deal("c", "won", 0, 30, _snapshot=on(80)),
    ]
    found = visits(trusted_tables({"opportunities": judged("opportunities", versions)}, on(90), on(80), tmp_path))
    assert found == {
        ("a", "second"): (0, "new", False, False, "partial", 30.0),
        ("a", "third"): (80, "advanced", True, True, "partial", 11.0),
        ("b", "first"): (0, "new", True, True, "whole", 80.0),
        ("b", "second"): (80, "advanced", True, True, "whole", 11.0),
        ("c", "first"): (0, "new", False, False, "unknown", 30.0),
    }


def test_a_stage_that_only_the_newest_export_shows_has_no_date(tmp_path):
    tables = known(tmp_path, [deal("a", "third", 0)], [entered("a", "first", 0)])
    assert [(v[2], v[3]) for v in visits(tables).values()] == [(True, False), (False, False)]


def changed(name: str, before: str, after: str, day: float) -> dict:
    """One row of a log of changes."""
    return {**entered(name, after, day), "previous_stage_key": before}


def test_a_log_of_changes_holds_no_row_of_a_deal_that_never_moved(tmp_path):
    """The log is cut at day 100. Rows tell the stage before, so that the first row of an older deal is a movement, and silence is staying."""
    deals = [
        deal("older", "third", 10),
        deal("young", "second", 110),
        deal("stays", "first", 120),
        deal("skips", "second", 120),
        deal("stayed", "second", 20),
        deal("dropped", "first", 130, 140) | {"status": "lost"},
        deal("closed late", "second", 130, 140) | {"status": "lost"},
        deal("moved unseen", "second", 130, stage_entered_at=at(150)),
    ]
    log = [changed("older", "second", "third", BEGAN), changed("young", "first", "second", 115)]
    assert visits(known(tmp_path, deals, log)) == {
        ("older", "second"): (10, "new", False, False, "partial", 0.0),
        ("older", "third"): (100, "advanced", True, True, "partial", 101.0),
        ("young", "first"): (110, "new", True, True, "whole", 5.0),
        ("young", "second"): (115, "advanced", True, True, "whole", 86.0),
        ("stays", "first"): (120, "new", True, True, "whole", 81.0),
        ("skips", "second"): (120, "new", True, True, "whole", 81.0),
        ("stayed", "second"): (20, "new", False, False, "partial", 101.0),
        ("dropped", "first"): (130, "new", True, True, "whole", 10.0),
        ("closed late", "first"): (130, "new", False, False, "unknown", 10.0),
        ("closed late", "second"): (140, "advanced", False, False, "unknown", 0.0),
        ("moved unseen", "first"): (130, "new", False, False, "unknown", 20.0),
        ("moved unseen", "second"): (150, "advanced", True, True, "unknown", 51.0),
    }


def test_first_changes_of_many_older_deals_on_one_day_do_not_fill_a_log(tmp_path):
    """60 older deals are moved on day 100 at once; the log of changes says what they left."""
    deals = [deal(f"d{n}", "second", 70 + n / 2) for n in range(60)]
    found = visits(known(tmp_path, deals, [changed(f"d{n}", "first", "second", BEGAN) for n in range(60)]))
    assert {found[f"d{n}", "second"][:5] for n in range(60)} == {(BEGAN, "advanced", True, True, "whole")}


def metrics(tables, tmp_path) -> dict[str, pd.DataFrame]:
    return computed({name: conformed(table.to_pandas(), CORE.tables[name]) for name, table in tables.items() if name in CORE.tables}, tmp_path)


def test_metrics_count_what_is_dated_and_say_how_it_is_known(tmp_path):
    found = metrics(known(tmp_path, DEALS, HISTORY), tmp_path)
    flow = rows(found["funnel_flow"], "month", "2024-04-01")
    assert flow.loc["second", ["opening", "entered_new", "entered_advanced", "advanced", "closing"]].tolist() == [2, 0, 1, 1, 2]
    quarter = rows(found["stage_conversion"], "quarter", "2024-04-01")
    assert quarter["entered"].to_dict() == {"first": 1, "second": 1, "third": 2}
    assert quarter["conversion_filled"].to_dict() == {"first": 1.0, "second": 0.0, "third": 0.0}
    assert set(quarter["observed_share"]) == {1.0}
    dwell = found["stage_dwell"]
    assert dwell[(dwell["dimension"] == "all") & (dwell["period_kind"] == "quarter")].groupby("stage")["visits"].sum().to_dict() == {
        "first": 1,
        "second": 1,
        "third": 2,
    }


def test_the_model_knows_the_stage_and_not_the_age_of_what_was_under_way(tmp_path):
    history = _history_of(known(tmp_path, DEALS, HISTORY), on(200))
    today = {history.opportunity_id[d]: (s, a) for d, s, a in zip(*(getattr(open_deals(history, _day(110)), f) for f in ("deal", "stage", "age_days")))}
    assert today == {"seeded": (1, -1), "moved": (UNKNOWN_STAGE, -1), "young": (0, 0), "unlogged": (UNKNOWN_STAGE, -1)}
    exposure = count_exposure(history, 24)
    assert exposure.exits.sum(axis=(1, 3, 4))[0].tolist() == [1, 0, 0], "of the stage whose stay began before the history the exit has no age"
    assert exposure.created.sum(axis=(0, 2)).tolist() == [1, 0, 0], "only the young deal is known to have started where it is first seen"


def test_a_stay_of_unknown_age_is_at_risk_once_it_is_surely_old(tmp_path):
    deals = [deal("a", "third", 0), deal("b", "first", 150)]
    history = _history_of(known(tmp_path, deals, [entered("a", "third", BEGAN), entered("b", "first", 150)], as_of=600, export=600), on(600))
    at_risk = count_exposure(history, 24).days_at_risk.sum(axis=(0, 2))
    assert at_risk[2].tolist() == [0] * 14 + [600 - BEGAN - 366 + 1]
    (found,) = (a for d, a in zip(open_deals(history, _day(600)).deal, open_deals(history, _day(600)).age_days) if d == 0)
    assert found == 500


def _day(number: int) -> int:
    return (at(number) - pd.Timestamp(0)).days


def _history_of(tables, as_of: date):
    frames = {name: tables[name].to_pandas() for name in ("opportunities", "stage_visits", "stages")}
    stays = frames["stage_visits"]
    return deal_history(frames["opportunities"], stays[stays["course"] != "unknown"], frames["stages"], as_of)


WORLD = replace(DEMO, deals=4000)
CUT = pd.Timestamp(WORLD.start) + pd.DateOffset(months=18)


@pytest.fixture(scope="module")
def recovered(tmp_path_factory):
    """The metrics of one simulated company with its whole log, with a log that begins after 18 months, and with one filled on that day."""
    made = simulate(WORLD, seed=3)
    company = _company_of_world()
    log = made.stage_history
    before = log[log["entered_at"] < CUT].groupby("opportunity_id").tail(1)
    filled = before[~before["stage"].isin(["won", "lost"])].assign(entered_at=CUT)
    logs = {"whole": log, "moves": log[log["entered_at"] >= CUT], "filled": pd.concat([filled, log[log["entered_at"] >= CUT]])}
    found = {}
    for name, part in logs.items():
        folder = tmp_path_factory.mktemp(name)
        tables = trusted_tables(_exported(made, part), WORLD.end, WORLD.end, folder, company)
        frames = {key: tables[key].to_pandas() for key in ("opportunities", "stage_visits", "stages")}
        found[name] = (metrics(tables, folder), _history_of(tables, WORLD.end), frames)
    return found


def _company_of_world() -> Configuration:
    stages = [{"key": s.key} for s in WORLD.stages]
    return Configuration.model_validate({**COMPANY.model_dump(), "segments": (), "pipelines": [{"key": "sales", "stages": stages}]})


def _exported(made, log: pd.DataFrame) -> dict:
    deals = made.opportunities.assign(pipeline_key="sales", stage_key=made.opportunities["stage"])
    deals["status"] = deals["stage"].where(deals["stage"].isin(["won", "lost"]), "open")
    kept = ["opportunity_id", "pipeline_key", "stage_key", "status", "created_at", "closed_at"]
    history = log[["opportunity_id", "entered_at"]].assign(stage_key=log["stage"])
    listed = [{k: (None if v is pd.NaT else v) for k, v in row.items()} for row in deals[kept].to_dict("records")]
    return {"opportunities": judged("opportunities", listed), "stage_history": judged("stage_history", history.to_dict("records"))}


def _quarters(metric: pd.DataFrame) -> pd.DataFrame:
    """The company's quarters after the cut, by quarter and stage."""
    chosen = metric[(metric["dimension"] == "all") & (metric["period_kind"] == "quarter") & (pd.to_datetime(metric["period_start"]) >= CUT)]
    return chosen.set_index(["period_start", "stage"])


@pytest.mark.slow
@pytest.mark.parametrize("log", ["moves", "filled"])
def test_conversion_of_a_cut_off_history_is_that_of_the_whole(recovered, log):
    truth, found = (_quarters(recovered[name][0]["stage_conversion"]) for name in ("whole", log))
    both = truth.join(found, suffixes=("_true", ""), how="inner")
    both = both[both["entered_true"] >= 30]
    assert len(both) >= 15
    inside = both["conversion_observed_true"].between(both["ci_low"], both["ci_high"])
    assert inside.all(), both[~inside]
    # Deals that had been in the stage before the history began are counted again where they come back: few.
    assert (both["entered"] / both["entered_true"]).between(0.85, 1.15).all()
    filled = both.dropna(subset=["conversion_filled", "conversion_filled_true"])
    assert (filled["conversion_filled"] - filled["conversion_filled_true"]).abs().max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("log", ["moves", "filled"])
def test_dwell_of_a_cut_off_history_is_that_of_the_whole(recovered, log):
    truth, found = (_quarters(recovered[name][0]["stage_dwell"]) for name in ("whole", log))
    both = truth.join(found, suffixes=("_true", ""), how="inner")
    both = both[both["completed_true"] >= 30]
    assert len(both) >= 15
    for column in ("mean_days", "km_median_days"):
        assert (both[column] / both[f"{column}_true"]).dropna().between(0.85, 1.15).all(), column


@pytest.mark.slow
@pytest.mark.parametrize("log", ["moves", "filled"])
def test_the_model_fitted_on_a_cut_off_history_expects_what_the_whole_does(recovered, log):
    """Among deals in their stages for 5 to 60 days: P(won within 90 days)."""
    expected = {}
    for name in ("whole", log):
        history = recovered[name][1]
        model = fit_semi_markov(count_exposure(history, 17), history.known_day, 365.0, 70.0)
        expected[name] = model.won_and_lost_by(history.known_day + 90)[0][:, 0, 5:60].mean(axis=1)
    assert np.abs(expected[log] - expected["whole"]).max() < 0.02
