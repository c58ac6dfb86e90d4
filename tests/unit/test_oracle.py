"""The oracle: right against forward simulation, calibrated, and blind to what nobody could see."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.oracle import MONTHS, oracle
from models.oracle_state import month_numbers, shock_by_day, true_state
from models.oracle_values import DaysAhead, Nodes, shock_paths, values
from models.scoring import coverage, log_losses
from models.simulated_funnel import Funnel
from models.simulated_world import DEMO, Interest, calendar_factors
from models.simulator import simulate

WORLD = replace(DEMO, start=date(2024, 7, 1), end=date(2025, 12, 31), deals=900, reopened=0.0, reassigned=0.0, shock_sd=0.25)
ORIGIN = date(2025, 9, 30)


@pytest.fixture(scope="module")
def company():
    return simulate(WORLD, seed=2)


def _went_on(company, state, copies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The funnel restarted from the open deals' state, each ``copies`` times, with one draw of the shocks to come.

    Returns by copy and deal whether it was won by the end of each of three months, and its amount at the end.
    """
    world, rng = company.world, np.random.default_rng(seed)
    deals = len(state.deal)
    of = np.tile(np.arange(deals), copies)
    factors, shock, month = calendar_factors(world), shock_by_day(company).copy(), month_numbers(company)
    level = np.log(shock[state.day])
    for ahead in range(1, MONTHS + 1):
        level = world.shock_correlation * level + world.shock_sd * np.sqrt(1 - world.shock_correlation**2) * rng.standard_normal()
        shock[month == month[state.day] + ahead] = np.exp(level)
    funnel = Funnel(
        world, rng, created_day=np.full(len(of), world.days), amount=state.amount[of].astype(np.int64), pace=state.pace[of], loss=state.loss[of], interest=np.ones(len(of)),
        owner=np.zeros(len(of), np.int64), owner_team=np.zeros(1, np.int64), owner_pace=np.ones(1), rate=factors["rate"].to_numpy(),
        win=factors["win"].to_numpy(), shock=shock,
    )  # fmt: skip
    funnel.stage[:], funnel.entered_day[:] = state.stage[of], state.entered_day[of]
    funnel._live[:] = rng.random(len(of)) < state.is_worked[of]
    for day in range(state.day + 1, world.days):
        funnel._leave(day, np.flatnonzero(funnel._live))
    ends = (pd.date_range(state_date(company, state), periods=MONTHS + 1, freq="ME")[1:] - pd.Timestamp(world.start)).days.to_numpy()
    won = (funnel.stage == len(world.stages))[:, None] & (funnel.entered_day[:, None] <= ends)
    return won.reshape(copies, deals, MONTHS), funnel.amount.reshape(copies, deals)


def state_date(company, state) -> pd.Timestamp:
    return pd.Timestamp(company.world.start) + pd.Timedelta(days=state.day)


def test_probabilities_and_amounts_are_those_of_forward_simulation(company):
    found = oracle(company, ORIGIN)
    runs, copies = 80, 10
    drawn = [_went_on(company, found.state, copies, seed) for seed in range(runs)]
    shares = np.stack([won.mean(axis=0) for won, _ in drawn])
    # Copies of one run share the shock, so runs are what is independent.
    # Of few wins the spread between runs is badly known; it is at least that of independent draws.
    alone = np.sqrt(found.won_by * (1 - found.won_by) / (runs * copies))
    error = np.maximum(shares.std(axis=0, ddof=1) / np.sqrt(runs), alone)
    difference = (shares.mean(axis=0) - found.won_by) / np.maximum(error, 0.002)
    assert len(found.won_by) > 60
    assert np.abs(difference).max() < 4.5
    assert np.abs(difference.mean(axis=0)).max() < 1.0
    booked = np.array([(won[:, :, -1] * amount).sum(axis=1) for won, amount in drawn])
    assert booked.mean() == pytest.approx(found.open_mean[-1], abs=4 * booked.mean(axis=1).std(ddof=1) / np.sqrt(runs))


@pytest.mark.slow
def test_what_is_forecast_comes_true_on_average():
    """Over seeds and origins: wins as many as expected, bookings too, and inside the ranges as often as they say."""
    misses, variances, inside, errors, sds = [], [], [], [], []
    for seed in range(8):
        made = simulate(WORLD, seed)
        deals = made.opportunities
        won_at = deals["closed_at"].where(deals["is_won"])
        for origin in pd.to_datetime(["2025-03-31", "2025-06-30", "2025-09-30"]):
            found = oracle(made, origin.date())
            end = origin + pd.Timedelta(days=int(found.horizon_days[-1]))
            won = won_at.iloc[found.state.deal].le(end).to_numpy()
            p = found.won_by[:, -1]
            misses.append((won - p).sum())
            variances.append((p * (1 - p)).sum())
            booked = deals["amount"][(won_at > origin) & (won_at <= end)].sum()
            low, high = found.quantiles(np.array([0.1, 0.9]))[-1]
            inside.append((low, high, booked))
            errors.append(booked - found.mean[-1])
            sds.append(np.sqrt(found.variance[-1]))
    # Deals of a company share its shocks, so the spread between companies is what counts.
    assert abs(np.sum(misses)) < 3 * np.sqrt(np.sum(variances) * 2)
    assert abs(np.mean(np.array(errors) / np.array(sds))) < 3 / np.sqrt(len(errors))
    low, high, booked = np.array(inside).T
    assert 0.6 <= coverage(low, high, booked)["share"] <= 0.97


def test_silence_is_weighed_by_what_was_visible():
    """Among many open deals, the expected number of those still worked on is the true one; who is silent is mostly told."""
    made = simulate(replace(WORLD, deals=6_000), seed=1)
    state = true_state(made, ORIGIN)
    silent = made.latent["silent_at"].iloc[state.deal].lt(pd.Timestamp(ORIGIN) + pd.Timedelta(days=1)).to_numpy()
    p = state.is_worked
    assert silent.sum() > 40
    assert abs((~silent).sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
    assert p[silent].mean() < 0.3 < 0.9 < p[~silent].mean()


@pytest.mark.slow
def test_interest_is_weighed_by_touches_and_notes():
    """The posterior of a keen buyer is calibrated, better than its share, and better still with notes."""
    kinds = (Interest(0.4, win=2.0, activity=1.6, good_note=0.8), Interest(0.6, win=0.4, activity=0.7, good_note=0.3))
    gains = []
    for noted in (0.0, 0.5):
        made = simulate(replace(WORLD, deals=4_000, interests=kinds, noted=noted), seed=1)
        state = true_state(made, ORIGIN)
        keen = (made.latent["interest"].to_numpy() == 0)[state.deal]
        is_open_to_all = state.is_worked > 0.9
        p = (state.by_interest[:, 0] / state.is_worked)[is_open_to_all]
        keen = keen[is_open_to_all]
        assert abs(keen.sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
        assert p[keen].mean() > p[~keen].mean() + 0.1
        gains.append(log_losses(keen, p).mean())
        found = oracle(made, ORIGIN)
        won_at = made.opportunities["closed_at"].where(made.opportunities["is_won"]).iloc[found.state.deal]
        won = won_at.le(pd.Timestamp(ORIGIN) + pd.Timedelta(days=int(found.horizon_days[0]))).to_numpy()
        p_won = found.won_by[:, 0]
        assert abs(won.sum() - p_won.sum()) < 4 * np.sqrt((p_won * (1 - p_won)).sum()) + 0.15 * won.sum()
    assert gains[1] < gains[0] - 0.05


def test_the_future_is_not_seen(company):
    """Nothing changes where everything that happened after the origin is taken away."""
    after = pd.Timestamp(ORIGIN) + pd.Timedelta(days=1)
    times = {"stage_history": "entered_at", "field_history": "changed_at", "activities": "happened_at"}
    cut = {name: getattr(company, name)[getattr(company, name)[time] < after] for name, time in times.items()}
    unseen = replace(company, **cut, latent=company.latent.assign(silent_at=pd.NaT))
    usual, blind = oracle(company, ORIGIN), oracle(unseen, ORIGIN)
    assert np.array_equal(usual.won_by, blind.won_by)
    assert np.array_equal(usual.mean, blind.mean)


def test_an_origin_without_three_months_ahead_is_refused(company):
    with pytest.raises(ValueError, match="looks to 2026-01-31"):
        oracle(company, date(2025, 10, 31))


def test_a_change_that_lies_ahead_is_in_the_truth(company):
    usual = oracle(company, ORIGIN)
    days = slice(usual.state.day + 1, None)
    factors = calendar_factors(company.world).iloc[days]
    nodes = Nodes.covering(usual.state.pace, usual.state.loss)
    paths = np.repeat(shock_paths(company.world, 0.0, 1), len(factors), axis=1)
    won = [
        values(company.world, nodes, DaysAhead(factors["rate"].to_numpy(), factors["win"].to_numpy() * win, paths), usual.horizon_days).newborn[0, -1, 0].mean()
        for win in (1.0, 0.8)
    ]
    # A deal that is not won today may still be won tomorrow: most of a fifth comes back.
    assert 0.9 < won[1] / won[0] < 0.98


def test_the_polynomial_through_the_nodes_is_exact_for_polynomials():
    pace, loss = np.exp(np.linspace(-1, 1, 30)), np.exp(np.linspace(-0.5, 0.7, 30))
    nodes = Nodes.covering(pace, loss)

    def smooth(x, y):
        return 1 + np.log(x) ** 3 - np.log(x) * np.log(y) ** 2

    np.testing.assert_allclose(nodes.weights(pace, loss) @ smooth(nodes.pace, nodes.loss), smooth(pace, loss), atol=1e-9)


def test_paths_of_the_shock_have_the_moments_of_the_process():
    levels = np.log(shock_paths(WORLD, 0.2, 3))
    correlation, spread = WORLD.shock_correlation, WORLD.shock_sd * np.sqrt(1 - WORLD.shock_correlation**2)
    np.testing.assert_allclose(levels.mean(axis=0), 0.2 * correlation ** np.arange(1, 4))
    np.testing.assert_allclose(levels.var(axis=0), spread**2 * np.cumsum(correlation ** (2 * np.arange(3))))
