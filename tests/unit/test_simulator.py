"""The simulated company: reproducible, consistent, and true to the rates it declares."""

from dataclasses import fields, replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.example_worlds import EXAMPLE_WORLDS
from models.simulated_world import (
    CAUSES,
    DEMO,
    FACTOR_CAUSES,
    Change,
    Interest,
    Member,
    age_bins,
    calendar_factors,
    daily_rates,
    destinations,
    expected_monthly_arrivals,
)
from models.simulator import GOOD_NOTES, simulate

SMALL = replace(DEMO, start=date(2025, 7, 1), deals=300)


def _neutral(members):
    return tuple(Member(m.name, m.share) for m in members)


PLAIN = replace(
    DEMO,
    deals=5_000,
    sources=_neutral(DEMO.sources),
    industries=_neutral(DEMO.industries),
    regions=_neutral(DEMO.regions),
    products=_neutral(DEMO.products),
    types=_neutral(DEMO.types),
    owner_sd=0.0,
    shock_sd=0.0,
    surge=1.0,
    lull=1.0,
    weekend=1.0,
    amount_elasticity=0.0,
)
"""No factor but the rates themselves."""

FULL = replace(DEMO, deals=5_000, reassigned=0.0)
"""Every factor; owners stay, so that the owner at entry is the owner of the whole visit."""


@pytest.fixture(scope="module")
def company():
    return simulate(DEMO, seed=11)


def _frames(company):
    return {f.name: getattr(company, f.name) for f in fields(company) if f.name != "world"}


def test_equal_seeds_give_equal_frames_and_others_do_not():
    first, again, other = (_frames(simulate(SMALL, seed)) for seed in (1, 1, 2))
    for name, frame in first.items():
        pd.testing.assert_frame_equal(frame, again[name])
    assert not first["stage_history"].equals(other["stage_history"])


def _visits(company):
    """One row per stay in an open stage: stage, days of entry and end, cause of the end (-1: still there)."""
    world = company.world
    numbers = {**{stage.key: i for i, stage in enumerate(world.stages)}, "won": len(world.stages), "lost": len(world.stages) + 1}
    entries = company.stage_history.merge(company.latent, on="opportunity_id", validate="m:1").merge(company.owner_pace, on="owner_id", suffixes=("", "_owner"))
    entries = entries.sort_values(["opportunity_id", "entered_at"], kind="stable").reset_index(drop=True)
    start = pd.Timestamp(world.start)
    stage = entries["stage"].map(numbers).to_numpy()
    day = (entries["entered_at"] - start).dt.days.to_numpy()
    last = entries["opportunity_id"].ne(entries["opportunity_id"].shift(-1)).to_numpy()
    following, next_day = np.roll(stage, -1), np.roll(day, -1)
    silent_day = (entries["silent_at"] - start).dt.days
    cause = np.full(len(entries), -1)
    possible = daily_rates(world).sum(axis=2) > 0
    for number, ways in enumerate(destinations(world).T[:-1]):
        ways = np.append(np.where(possible[:, number], ways, -9), [-9, -9])
        cause = np.where(~last & (ways[stage] == following), number, cause)
    cause = np.where(last & silent_day.notna(), CAUSES.index("silent"), cause)
    end = np.where(last, silent_day.fillna(world.days - 1), next_day).astype(int)
    visits = pd.DataFrame({"stage": stage, "day": day, "end": end, "cause": cause, "pace": entries["pace"] * entries["pace_owner"], "loss": entries["loss"]})
    return visits[stage < len(world.stages)]


def _expected(company, visits):
    """Exits that the truth leads one to expect of the days these visits were at risk: (stage, cause, age bin)."""
    world = company.world
    factors = calendar_factors(world)
    length = (visits["end"] - visits["day"]).to_numpy()
    of = np.repeat(np.arange(len(visits)), length)
    age = np.arange(len(of)) - np.repeat(np.cumsum(length) - length, length) + 1
    stage, pace, loss = (visits[name].to_numpy()[of] for name in ("stage", "pace", "loss"))
    day = visits["day"].to_numpy()[of] + age
    month = (factors["day"].dt.to_period("M").astype("int64") - factors["day"].dt.to_period("M").astype("int64").iloc[0]).to_numpy()
    pace = pace * company.shock["pace"].to_numpy()[month[day]]
    age_bin = age_bins(world, age)
    rates = daily_rates(world)[stage, :, age_bin]
    factor = {"pace": pace, "win": pace * factors["win"].to_numpy()[day], "loss": loss, "none": np.ones(len(of))}
    for name, causes in FACTOR_CAUSES.items():
        for cause in causes:
            rates[:, CAUSES.index(cause)] *= factor[name]
    total = rates.sum(axis=1, keepdims=True)
    exits = rates / total * -np.expm1(-total * factors["rate"].to_numpy()[day][:, None])
    expected = np.zeros((len(world.stages), len(CAUSES), len(world.age_edges) + 1))
    for cause in range(len(CAUSES)):
        np.add.at(expected, (stage, cause, age_bin), exits[:, cause])
    return expected


@pytest.mark.parametrize("world", [PLAIN, FULL], ids=["rates alone", "with every factor"])
def test_exits_by_stage_cause_and_age_come_as_often_as_the_truth_says(world):
    company = simulate(world, seed=5)
    visits = _visits(company)
    expected = _expected(company, visits)
    ended = visits[visits["cause"] >= 0]
    observed = np.zeros_like(expected)
    np.add.at(observed, (ended["stage"], ended["cause"], age_bins(world, (ended["end"] - ended["day"]).to_numpy())), 1)
    assert np.abs((observed - expected) / np.sqrt(expected + 1)).max() < 4.5
    by_cause = observed.sum(axis=2), expected.sum(axis=2)
    assert np.abs((by_cause[0] - by_cause[1]) / np.sqrt(by_cause[1] + 1)).max() < 4
    assert expected[expected > 100].size > 30


def test_arrivals_follow_trend_and_season():
    world = replace(DEMO, deals=40_000, yearly_growth=0.3)
    drawn = np.random.default_rng(3).multinomial(world.deals, calendar_factors(world)["arrival_share"])
    monthly = pd.Series(drawn, index=calendar_factors(world)["day"]).resample("MS").sum()
    expected = expected_monthly_arrivals(world)
    assert (np.abs(monthly - expected) < 5 * np.sqrt(expected)).all()
    assert expected.iloc[24:36].sum() / expected.iloc[:12].sum() == pytest.approx(1.3**2, rel=0.03)


def test_stage_entries_are_ordered_and_end_where_the_deal_stands(company):
    history, deals = company.stage_history, company.opportunities.set_index("opportunity_id")
    same = history["opportunity_id"].eq(history["opportunity_id"].shift())
    assert (history["entered_at"].dt.normalize().diff()[same] > pd.Timedelta(0)).all()
    assert (history["stage"].ne(history["stage"].shift())[same]).all()
    last = history.groupby("opportunity_id").last()
    assert last["stage"].equals(deals["stage"])
    assert last["amount"].equals(deals["amount"])
    first = history.groupby("opportunity_id")["entered_at"].first()
    assert first.equals(deals["created_at"].rename("entered_at"))


def test_closed_deals_closed_after_they_were_created_and_on_their_close_date(company):
    deals = company.opportunities
    closed = deals[deals["is_closed"]]
    assert (closed["closed_at"] > closed["created_at"].dt.normalize()).all()
    assert closed["closed_at"].equals(closed["expected_close_date"])
    assert deals.loc[~deals["is_closed"], "closed_at"].isna().all()
    assert deals.loc[deals["stage"] == "lost", "loss_reason"].notna().all()
    assert deals["updated_at"].max() < pd.Timestamp(DEMO.end) + pd.Timedelta(days=1)


def test_changes_chain_from_value_to_value_up_to_the_present_one(company):
    changes = company.field_history.sort_values(["opportunity_id", "field", "changed_at"])
    same = changes[["opportunity_id", "field"]].eq(changes[["opportunity_id", "field"]].shift()).all(axis=1)
    assert changes["old_value"][same].equals(changes["new_value"].shift()[same])
    assert (changes["old_value"] != changes["new_value"]).all()
    newest = changes.groupby(["field", "opportunity_id"])["new_value"].last()
    deals = company.opportunities.set_index("opportunity_id")
    shown = {"amount": deals["amount"].astype(str), "expected_close_date": deals["expected_close_date"].dt.strftime("%Y-%m-%d"), "owner_id": deals["owner_id"]}
    for field, values in shown.items():
        assert (newest[field] == values.reindex(newest[field].index)).all()
        assert len(newest[field]) > 20


def test_silent_deals_stay_open_and_nothing_about_them_changes(company):
    deals = company.opportunities.merge(company.latent, on="opportunity_id", validate="1:1")
    silent = deals[deals["silent_at"].notna()]
    assert len(silent) > 50
    assert not silent["is_closed"].any()
    assert (silent["updated_at"] < silent["silent_at"] + pd.Timedelta(days=1)).all()


def test_the_demonstration_is_as_big_as_it_says(company):
    deals = company.opportunities
    assert len(deals) == DEMO.deals >= 2_000
    wins = deals[deals["is_won"]].groupby(deals["closed_at"].dt.to_period("M")).size().iloc[-24:]
    assert 20 <= wins.mean() <= 40
    assert (~deals["is_closed"]).sum() > 150
    entries = company.stage_history["opportunity_id"].value_counts()
    assert 3.5 < entries.mean() < 6
    assert (company.stage_history["stage"].groupby(company.stage_history["opportunity_id"]).first() == "first_contact").all()
    assert (company.opportunities["amount"] % DEMO.amount_step == 0).all()


def test_wins_bunch_at_quarter_ends():
    wins = simulate(replace(DEMO, deals=10_000), seed=4).opportunities.query("is_won")["closed_at"]
    to_end = (wins.dt.to_period("Q").dt.end_time.dt.normalize() - wins).dt.days
    assert (to_end < DEMO.surge_days).mean() > 1.4 * DEMO.surge_days / 91


def test_a_contradictory_world_is_refused():
    short = replace(DEMO.stages[0], lose=(0.01,))
    with pytest.raises(ValueError, match=r"first_contact: lose has 1 rates; expected 7"):
        simulate(replace(SMALL, stages=(short, *DEMO.stages[1:])), seed=1)
    with pytest.raises(ValueError, match=r"region East belongs to 0 teams"):
        simulate(replace(SMALL, teams=DEMO.teams[1:]), seed=1)


def test_changes_are_in_force_from_their_day_on():
    changes = (Change(date(2026, 1, 1), win=0.8, creation=1.5), Change(date(2026, 4, 1), win=0.5, amount=2.0))
    usual, changed = calendar_factors(SMALL), calendar_factors(replace(SMALL, changes=changes))
    ratio = (changed["win"] / usual["win"]).groupby(changed["day"].dt.to_period("M")).mean()
    assert ratio.iloc[:6].tolist() == [1.0] * 6
    assert ratio.iloc[6:].tolist() == pytest.approx([0.8] * 3 + [0.4] * 3)
    assert changed["amount"].groupby(changed["day"].dt.to_period("M")).max().tolist() == [1.0] * 9 + [2.0] * 3
    created = (changed["arrival_share"] / usual["arrival_share"]).to_numpy()
    assert created[-1] / created[0] == pytest.approx(1.5)
    assert changed["arrival_share"].sum() == pytest.approx(1.0)


def test_a_change_of_prices_moves_amounts_and_nothing_else():
    before, after = (simulate(replace(SMALL, changes=changes), seed=1) for changes in ((), (Change(date(2026, 1, 1), amount=2.0),)))
    later = before.opportunities["created_at"] >= "2026-01-01"
    first = [company.stage_history.groupby("opportunity_id")["amount"].first() for company in (before, after)]
    assert ((first[1] / first[0]).to_numpy() == np.where(later, 2.0, 1.0)).all()
    assert before.latent.equals(after.latent)
    assert before.opportunities["stage"].equals(after.opportunities["stage"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "wins", "cycle_days"), [("saas", 105, 40), ("enterprise", 13, 240), ("small_business", 790, 12)])
def test_example_worlds_are_as_big_as_they_say(name, wins, cycle_days):
    deals = pd.concat([simulate(EXAMPLE_WORLDS[name], seed).opportunities for seed in (41, 42)])
    won = deals[deals["is_won"] & (deals["closed_at"] >= "2025-01-01")]
    assert len(won) / 24 == pytest.approx(wins, rel=0.3)
    assert (won["closed_at"] - won["created_at"]).dt.days.mean() == pytest.approx(cycle_days, rel=0.2)


def test_interest_moves_winning_touches_and_notes_and_is_off_by_default():
    kinds = (Interest(0.5, win=2.0, activity=2.0, good_note=0.9), Interest(0.5, win=0.5, activity=0.5, good_note=0.2))
    company = simulate(replace(DEMO, deals=4_000, interests=kinds, noted=0.3), seed=1)
    deals = company.opportunities.assign(interest=company.latent["interest"]).set_index("opportunity_id")
    touches = company.activities.assign(interest=company.activities["opportunity_id"].map(deals["interest"]))
    win_rate = deals.groupby("interest")["is_won"].mean()
    assert win_rate[0] > win_rate[1] + 0.05
    days = (deals["closed_at"].fillna(pd.Timestamp(DEMO.end)) - deals["created_at"]).dt.days.groupby(deals["interest"]).sum()
    per_day = touches.groupby("interest").size() / days
    assert per_day[0] > 2.5 * per_day[1]
    assert touches["text"].notna().mean() == pytest.approx(0.3, abs=0.02)
    good = touches["text"].dropna().isin(GOOD_NOTES).groupby(touches["interest"]).mean()
    assert good.tolist() == pytest.approx([0.9, 0.2], abs=0.03)
    assert "text" not in simulate(SMALL, seed=1).activities
