"""The semi-Markov model recovers known hazards, finds drift, and its choice of method can say no."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.deal_backtest import HORIZONS, backtest_deals
from models.deal_choice import choose_method, deal_accuracy, deal_method_choice, gain
from models.deal_history import ADVANCED, LOST, WON, day_number, deal_groups, deal_history
from models.exposure import count_exposure, quarter_positions
from models.landmarks import EVER_DAYS, open_deals
from models.semi_markov import fit_semi_markov
from models.win_probability import count_history, fit_models, win_probabilities
from tests.deal_frames import STAGES, Funnel, draw_deals, won_by_truth

SETTINGS = {"half_life_days": 365.0, "prior_deals": 20.0, "drift_prior_events": 70.0}


def _fitted(funnel: Funnel, deals: int = 6000, seed: int = 5):
    frames = draw_deals(funnel, deals, days=1100, seed=seed)
    history = deal_history(*frames.tables)
    return history, fit_semi_markov(count_exposure(history, 36), history.known_day, 365.0, 70.0)


def test_days_at_risk_and_exits_are_counted_whole():
    frames = draw_deals(Funnel(), deals=400, days=500, seed=1)
    history = deal_history(*frames.tables, groups=deal_groups(frames.opportunities, frames.opportunity_segments, ("source",)))
    exposure = count_exposure(history, 24)
    visits = frames.stage_visits
    end = visits["exited_at"].fillna(pd.Timestamp(frames.as_of))
    # The day of entry counts as one day at risk, so a stay of n days has n + 1.
    assert exposure.days_at_risk.sum() == ((end - visits["entered_at"]).dt.days + 1).sum()
    for cause, kind in ((ADVANCED, "advanced"), (WON, "won"), (LOST, "lost")):
        assert exposure.exits[cause].sum() == (visits["exit_kind"] == kind).sum()
    assert exposure.moves[ADVANCED].sum() == (visits["exit_kind"] == "advanced").sum()


def test_an_origin_inside_a_slot_is_refused():
    history, _ = _fitted(Funnel(), deals=300)
    with pytest.raises(ValueError, match="neither the as-of date"):
        count_exposure(history, 24).slots_known_at(day_number(date(2024, 3, 15)))


def test_places_in_the_quarter_follow_the_fiscal_year():
    days = np.array([day_number(date(2024, 1, 1)), day_number(date(2024, 3, 31)), day_number(date(2024, 2, 15))])
    assert list(quarter_positions(days, 1)) == [0, 8, 4]
    assert list(quarter_positions(days, 2)) == [6, 5, 1]


@pytest.mark.parametrize("days", [30, 90, 365])
def test_win_probabilities_come_back_from_a_known_funnel(days):
    funnel = Funnel()
    history, model = _fitted(funnel)
    won, lost = model.won_and_lost_by(history.known_day + days)
    truth = won_by_truth(funnel, days)
    typical = won[:, 0, 5:60].mean(axis=1)
    assert typical == pytest.approx(truth, abs=0.035)
    assert np.all(won + lost <= 1 + 1e-12)


def test_the_newborn_curve_agrees_with_the_funnel_and_rises():
    funnel = Funnel()
    _, model = _fitted(funnel)
    curve = model.newborn_won_by_lag(400)
    assert np.all(np.diff(curve) >= -1e-12)
    assert curve[[60, 200, 400]] == pytest.approx([won_by_truth(funnel, lag)[0] for lag in (60, 200, 400)], abs=0.03)
    from_last = np.zeros(model.newborn_mix.shape)
    from_last[-1] = 1.0
    assert model.newborn_won_by_lag(60, from_last)[60] == pytest.approx(won_by_truth(funnel, 60)[-1], abs=0.06)


def test_newborn_by_a_day_shrinks_with_later_creation():
    _, model = _fitted(Funnel(), deals=1500)
    by_end = model.newborn_won_by(model.origin_day + 90)
    assert len(by_end) == 90
    assert np.all(np.diff(by_end) <= 1e-12)


@pytest.mark.slow
def test_a_fall_of_the_win_rate_is_found_within_two_months():
    steady, fallen = Funnel(), Funnel(drop_day=1100 - 61, drop=0.5)
    _, before = _fitted(steady, deals=12_000)
    _, after = _fitted(fallen, deals=12_000)
    last = STAGES.index("last")
    assert before.drift[WON, last] == pytest.approx(1.0, abs=0.15)
    assert after.drift[WON, last] < 0.75
    assert after.drift[ADVANCED, 0] == pytest.approx(1.0, abs=0.15)
    # The factor is in the probabilities, not only beside them.
    typical = [model.won_and_lost_by(model.origin_day + 30)[0][last, 0, 5:60].mean() for model in (before, after)]
    assert typical[1] < 0.75 * typical[0]


def test_deals_that_never_end_do_not_count_as_half_won():
    frames = draw_deals(Funnel(), deals=800, days=700, seed=9)
    n = 400
    zombies = pd.DataFrame({"opportunity_id": [f"Z{i:04d}" for i in range(n)], "status": "open", "stage": "first"})
    zombies = zombies.assign(created_at=pd.Timestamp("2022-01-10"), closed_at=pd.NaT)
    stays = zombies.assign(visit_number=1, entered_at=zombies["created_at"], exited_at=pd.NaT, exit_kind=None, next_stage=None)
    stays = stays.assign(seen_at=stays["entered_at"], is_entry_dated=True, course="whole")
    deals = pd.concat([frames.opportunities, zombies], ignore_index=True)
    visits = pd.concat([frames.stage_visits, stays[frames.stage_visits.columns]], ignore_index=True)
    history = deal_history(deals, visits, frames.stages, frames.as_of)
    model = fit_semi_markov(count_exposure(history, 36), history.known_day, 365.0, 70.0)
    won, lost = model.won_and_lost_by(history.known_day + EVER_DAYS)
    assert np.isfinite(won).all()
    assert won[0, 0, -1] < 0.15
    assert lost[0, 0, -1] < 0.5


def test_moves_within_one_day_are_followed_to_their_end():
    # Every deal passes the first two stages on the day it comes in: only same-day chains can carry it.
    frames = draw_deals(Funnel(win=(0.02,) * 3, advance=(0.0,) * 3), deals=1500, days=700, seed=2)
    deals, first = frames.opportunities, frames.stage_visits
    quick = [first.assign(visit_number=k + 1, stage=STAGES[k], exited_at=first["entered_at"], exit_kind="advanced", next_stage=STAGES[k + 1]) for k in (0, 1)]
    visits = pd.concat([*quick, first.assign(visit_number=3, stage="last")]).sort_values(["opportunity_id", "visit_number"])
    history = deal_history(deals, visits, frames.stages, frames.as_of)
    model = fit_semi_markov(count_exposure(history, 24), history.known_day, 365.0, 70.0)
    in_last = np.zeros(model.newborn_mix.shape)
    in_last[-1] = 1.0
    assert model.newborn_won_by_lag(90)[90] == pytest.approx(model.newborn_won_by_lag(90, in_last)[90], abs=0.02)


def test_reasons_add_up_and_win_days_are_in_order():
    frames = draw_deals(Funnel(), deals=3000, days=1000, seed=21)
    groups = deal_groups(frames.opportunities, frames.opportunity_segments, ("source",))
    history = deal_history(*frames.tables, groups=groups)
    models = fit_models(count_history(history, 0), history.known_day, **SETTINGS)
    for result in win_probabilities(models, open_deals(history, history.known_day), np.array([30, 60, 90])).values():
        log_odds = np.log(result.won_ever) - np.log1p(-result.won_ever)
        assert result.base_log_odds + result.contributions.sum(axis=1) == pytest.approx(log_odds, abs=1e-9)
        assert np.all(np.diff(result.win_day, axis=1) >= 0)


def _backtest(history, origins: int):
    counts = count_history(history, origins)
    return backtest_deals(history, lambda day: fit_models(counts, day, **SETTINGS), origins)


def _judged(funnel: Funnel, deals: int, seed: int):
    frames = draw_deals(funnel, deals, days=1000, seed=seed)
    history = deal_history(*frames.tables, groups=deal_groups(frames.opportunities, frames.opportunity_segments, ("source",)))
    scores = _backtest(history, 9)
    return scores, choose_method(scores, seed=1)


@pytest.mark.slow
def test_deals_that_can_be_told_apart_are():
    scores, choice = _judged(Funnel(), deals=2500, seed=31)
    assert choice.tells_deals_apart is True
    assert choice.method in ("stage_rates", "semi_markov")
    table = deal_accuracy(scores, choice.method, seed=1).set_index(["method", "horizon"])
    assert table.loc[(choice.method, "which"), "auc"] > 0.6
    assert table.loc[(choice.method, "month_1"), "log_loss"] < table.loc[("base_rate", "month_1"), "log_loss"]
    assert table["is_published"].sum() == 5


@pytest.mark.slow
def test_without_signal_the_answer_is_the_base_rate():
    # The share of wins is the same in every stage: nothing says which deals win.
    same = Funnel(win=(0.006,) * 3, lose=(0.010,) * 3)
    scores, choice = _judged(same, deals=2500, seed=32)
    assert choice.tells_deals_apart is False
    assert choice.method in ("base_rate", "closing_time")
    assert scores.log_loss[:, scores.methods.index("closing_time"), HORIZONS.index("which")] == pytest.approx(
        scores.log_loss[:, scores.methods.index("base_rate"), HORIZONS.index("which")]
    )


@pytest.mark.slow
def test_a_level_that_follows_the_months_is_no_signal_about_deals():
    # The base rate misses the fall and loses on `ever`; on `which` a method has no gain from that.
    same = Funnel(win=(0.010,) * 3, lose=(0.010,) * 3, drop_day=700, drop=0.3)
    scores, choice = _judged(same, deals=2500, seed=33)
    assert gain(scores, "semi_markov", ("which",), seed=1).mean < 0.25 * gain(scores, "semi_markov", ("ever",), seed=1).mean
    assert choice.tells_deals_apart is False


def test_with_too_few_origins_nothing_is_claimed():
    frames = draw_deals(Funnel(), deals=400, days=150, seed=4)
    history = deal_history(*frames.tables)
    scores = _backtest(history, 12)
    choice = choose_method(scores, seed=1)
    assert choice.tells_deals_apart is None
    assert choice.method == "stage_rates"


@pytest.mark.slow
def test_choices_rest_on_earlier_origins_only():
    scores, _ = _judged(Funnel(), deals=1200, seed=35)
    table = deal_method_choice(scores, seed=1)
    assert list(table["origins_used"]) == list(range(len(table)))
