"""What a deal's features add to its semi-Markov chances: found where it is there, nothing where it is not, never from the future."""

from dataclasses import replace

import numpy as np
import pytest

from models.deal_facts import DealFacts, is_overwritten, trait_codes
from models.deal_history import NEVER, WON, day_date, day_number, deal_history
from models.deal_states import states_of, training_states
from models.features import FEATURES, Feature, design, owner_effects, reason_figures
from models.hazard import fit_hazard_correction, shares_of
from models.landmarks import month_ends, open_deals
from models.win_probability import count_history, fit_models, win_probabilities
from tests.deal_frames import Funnel, draw_deals

SETTINGS = {"half_life_days": 365.0, "prior_deals": 20.0, "drift_prior_events": 70.0}
HORIZONS = np.array([30, 60, 90])


def facts(deals: int, *, episodes=(), touches=(), knows=(), traits=None) -> DealFacts:
    """Facts from episodes (deal, day, amount, close day, owner) and touches (deal, day), in order."""
    columns = list(zip(*episodes)) or [(), (), (), (), ()]
    touched = list(zip(*touches)) or [(), ()]
    return DealFacts(
        *(np.array(c, dtype=kind) for c, kind in zip(columns, (np.int64, np.int64, float, np.int64, np.int64))),
        *(np.array(c, dtype=np.int64) for c in touched),
        frozenset(knows),
        traits or {},
    )


def test_what_is_in_force_at_the_end_of_a_day():
    told = facts(2, episodes=[(0, 10, 100.0, 50, 0), (0, 20, 150.0, 90, 0), (1, 15, np.nan, NEVER, 1)])
    asked = told.in_force(np.array([0, 0, 0, 1, 1]), np.array([9, 10, 25, 14, 15]))
    assert asked.tolist() == [-1, 0, 1, -1, 2]
    assert told.slips.tolist() == [0, 1, 0] and told.pushed_total_days.tolist() == [0, 40, 0]
    assert told.first_amount[:2].tolist() == [100.0, 100.0] and np.isnan(told.first_amount[2])


def test_an_amount_that_becomes_known_late_is_the_first_from_then_on():
    told = facts(1, episodes=[(0, 1, np.nan, NEVER, 0), (0, 5, 80.0, NEVER, 0), (0, 9, 90.0, NEVER, 0)])
    assert np.isnan(told.first_amount[0]) and told.first_amount[1:].tolist() == [80.0, 80.0]


def test_touches_are_counted_up_to_the_day():
    told = facts(2, touches=[(0, 3), (0, 8), (1, 8)])
    deal, day = np.array([0, 0, 0, 1]), np.array([2, 3, 9, 7])
    assert told.last_touch(deal, day).tolist() == [-1, 3, 8, -1]
    assert (told.touches_by(deal, day) - told.touches_by(deal, np.zeros(4, int))).tolist() == [0, 1, 2, 0]


def test_close_dates_overwritten_at_closing_are_recognised():
    closed = np.arange(100, 140)
    honest = facts(40, episodes=[(d, 1, 1.0, int(closed[d]) + 7 * (d % 5) + 3, 0) for d in range(40)])
    overwritten = facts(40, episodes=[(d, 1, 1.0, int(closed[d]), 0) for d in range(40)])
    assert not is_overwritten(honest, np.arange(40), closed)
    assert is_overwritten(overwritten, np.arange(40), closed)
    assert not is_overwritten(overwritten, np.arange(10), closed[:10]), "too few to tell"


def test_small_members_share_a_code():
    members = np.repeat(np.arange(15), np.arange(15, 0, -1))
    codes = trait_codes(members)
    assert codes[members == 0].tolist() == [0] * 15 and set(codes[members >= 12]) == {12}


@pytest.fixture(scope="module")
def history():
    return deal_history(*draw_deals(Funnel(), 3_000, 900, seed=5).tables)


def test_every_field_that_is_needed_is_one_that_facts_know_of():
    assert {f.needs for f in FEATURES} - {None} <= {"amount", "expected_close_date", "owner_id", "activities"}


def test_a_feature_is_left_out_where_its_past_is_not_known(history):
    deals = open_deals(history, history.known_day)
    told = facts(3_000, episodes=[(int(d), 0, 5.0, 20_000, 0) for d in range(3_000)], knows=())
    silent = states_of(history, told, deals, 1)
    telling = states_of(history, replace(told, knows=frozenset({"amount"})), deals, 1)
    assert "amount" not in design(silent).codes and "amount" in design(telling).codes
    assert "expected_close" not in design(telling).codes and "owner" not in design(telling).codes
    assert "amount" not in reason_figures(silent) and "amount" in reason_figures(telling)


def test_training_states_do_not_depend_on_how_many_are_drawn_beside_them(history):
    states = training_states(history, DealFacts.none(), 24, 1)
    assert np.isfinite(design(states.states).values).all()
    assert (states.states.age_days >= 0).all() and (states.outcome_day > states.states.day).all()
    assert len(states.states) == sum(len(open_deals(history, int(day))) for day in np.unique(states.states.day))


def test_an_owner_is_that_of_the_day_before_closing(history):
    """Deals go to owner 1 on the very day they are won: owner 1 has won nothing that anybody could have known."""
    last = {int(deal): int(day) for deal, day in zip(history.stay_deal, history.exited_day)}
    won = {int(d) for d, c in zip(history.stay_deal, history.cause) if c == WON}
    episodes = [row for d in range(3_000) for row in [(d, 0, 1.0, NEVER, 0), *([(d, last[d], 1.0, NEVER, 1)] if d in won else [])]]
    effects = owner_effects(history, facts(3_000, episodes=episodes, knows=["owner_id"]), history.known_day)
    assert effects[1] == pytest.approx(0.0) and abs(effects[0]) < 1e-9


def signalled(history, strength: float):
    """Traits that tell of each deal, with ``strength``, whether it will be won."""
    random = np.random.default_rng(3)
    won = np.zeros(len(history.opportunity_id), bool)
    won[history.stay_deal[history.cause == WON]] = True
    told = random.random(len(won)) < strength
    return np.where(told, won, random.random(len(won)) < 0.5).astype(np.int64)


def log_loss_ratio(history, told: DealFacts) -> float:
    """Log loss of ``hazard`` ÷ that of ``semi_markov``, three months before the end, for winning in two months."""
    day = day_number(month_ends(day_date(history.known_day - 90), 1)[0])
    counts = count_history(history, 6, facts=told)
    deals = open_deals(history, day)
    results = win_probabilities(fit_models(counts, day, **SETTINGS), deals, np.array([60]), horizons_only=True)
    won = deals.outcome_won & (deals.outcome_day <= day + 60)
    loss = {m: -np.where(won, np.log(results[m].won_by[:, 0]), np.log1p(-results[m].won_by[:, 0])).mean() for m in ("semi_markov", "hazard")}
    return loss["hazard"] / loss["semi_markov"]


def test_a_signal_is_found(history):
    assert log_loss_ratio(history, replace(DealFacts.none(), traits={"source": signalled(history, 0.7)})) < 0.9


def test_without_a_signal_next_to_nothing_changes(history):
    assert log_loss_ratio(history, replace(DealFacts.none(), traits={"source": signalled(history, 0.0)})) == pytest.approx(1.0, abs=0.02)


def test_curves_rise_and_reasons_add_up(history):
    told = replace(DealFacts.none(), traits={"source": signalled(history, 0.5)})
    models = fit_models(count_history(history, 0, facts=told), history.known_day, **SETTINGS)
    result = win_probabilities(models, open_deals(history, history.known_day), HORIZONS)["hazard"]
    assert (np.diff(result.won_by, axis=1) >= 0).all() and (np.diff(result.lost_by, axis=1) >= 0).all()
    assert (result.won_by + result.lost_by).max() <= 1 + 1e-12 and (result.won_ever >= result.won_by[:, -1] - 1e-9).all()
    score = np.log(result.won_ever) - np.log1p(-result.won_ever)
    np.testing.assert_allclose(result.base_log_odds + result.contributions.sum(axis=1), score, atol=1e-9)
    unexplained = np.abs(result.contributions[:, result.factors.index("unexplained")])
    shift = np.abs(result.contributions.sum(axis=1))
    assert (unexplained <= 0.1 * shift + 1e-9).mean() >= 0.95


def test_a_change_is_handed_out_in_proportion():
    handed = shares_of(np.array([[0.6], [0.0]]), np.array([[0.2, 0.1], [0.2, 0.1]]))
    assert handed[0].tolist() == pytest.approx([0.4, 0.2, 0.0])
    assert handed.sum(axis=1).tolist() == pytest.approx([0.6, 0.0])


def test_a_new_feature_is_one_entry(history, monkeypatch):
    monkeypatch.setattr("models.features.FEATURES", (*FEATURES, Feature("day_of_month", lambda states: states.day % 30 / 30)))
    assert "day_of_month" in design(states_of(history, DealFacts.none(), open_deals(history, history.known_day), 1)).codes


def test_an_origin_reads_no_landmark_that_came_after_it(history):
    """Where more deals are open than are drawn, later landmarks must not change what an earlier one weighs."""
    training = training_states(history, DealFacts.none(), 24, 1)
    columns = design(training.states)
    origin = day_number(month_ends(day_date(history.known_day - 90), 1)[0])
    model = fit_models(count_history(history, 6), origin, **SETTINGS).semi_markov
    later = training.states.day > origin
    assert later.any()
    changed = replace(training, weight=np.where(later, 7.0, training.weight))
    moved = replace(columns, values=np.where(later[:, None], 9.0, columns.values))
    left, right = fit_hazard_correction(model, training, columns, origin), fit_hazard_correction(model, changed, moved, origin)
    for name in ("slope", "coefficients", "by_half_month", "mean"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
