"""What the models read of a deal's state: one entry per feature.

What belongs here: the registry `FEATURES` and the columns of a design that it leads to. What does not: where values come from
(models/deal_states.py) and any fit. To add a feature, add one entry.

Everything is known at the end of the state's day and depends on nothing later. Numbers are scaled so that one unit is a large
difference, the same for every company and origin; what is not known adds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.deal_facts import DealFacts
from models.deal_history import NEVER, WON, DealHistory
from models.deal_states import DealStates
from models.exposure import POSITIONS, quarter_positions

OWNER_DAYS = 540
OWNER_PRIOR_DEALS = 20.0

MOST_OWNERS = 60
"""Owners up to whom each has an effect of their own; of more only the share of wins is read."""

QUIET_EDGES_DAYS = (4.0, 8.0, 15.0, 22.0, 31.0, 46.0, 61.0, 91.0)
CLOSE_EDGES_DAYS = (-90.0, -30.0, 0.0, 15.0, 30.0, 60.0, 90.0)


@dataclass(frozen=True)
class Feature:
    """One property of a state.

    ``compute`` gives a value per state, NaN where it is not known; with ``edges`` it is cut into buckets, each an effect of
    its own. ``needs`` names what of the record's past it reads (one of `models.deal_facts.FIELDS`): it is left out where that
    is not known.
    """

    code: str
    compute: Callable[[DealStates], np.ndarray]
    needs: str | None = None
    edges: tuple[float, ...] = ()


def _log_days(days: np.ndarray) -> np.ndarray:
    """Days on a log scale on which a month is about 0 and a year 1."""
    return (np.log1p(np.maximum(days, 0.0)) - np.log(31.0)) / np.log(12.0)


def _age(states: DealStates) -> np.ndarray:
    return np.where(states.age_days < 0, np.nan, _log_days(states.age_days.astype(float)))


def _deal_age(states: DealStates) -> np.ndarray:
    return _log_days(states.deal_age_days.astype(float))


def _pace(states: DealStates) -> np.ndarray:
    """Days of the deal's life per stage that it has come through."""
    return _log_days(states.deal_age_days / (1.0 + np.maximum(states.stage, 0)))


def _amount(states: DealStates) -> np.ndarray:
    """Log amount less the mean of the open deals of the same day; a unit is a factor of e²."""
    log = _log_amount(states.of_episode(states.facts.amount))
    day, place = np.unique(states.day, return_inverse=True)
    known = ~np.isnan(log)
    total, count = np.bincount(place[known], log[known], len(day)), np.bincount(place[known], minlength=len(day))
    return (log - (total / np.maximum(count, 1))[place]) / 2


def _amount_change(states: DealStates) -> np.ndarray:
    now, first = states.of_episode(states.facts.amount), states.of_episode(states.facts.first_amount)
    return np.clip(2 * (_log_amount(now) - _log_amount(first)), -2, 2)


def _log_amount(amount: np.ndarray) -> np.ndarray:
    return np.log(np.where(amount > 0, amount, np.nan))


def days_to_close(states: DealStates) -> np.ndarray:
    """Days from the state's day to the expected close date; NaN where none is known."""
    close = states.of_episode(states.facts.close_day, missing=NEVER)
    return np.where(close < NEVER, close - states.day, np.nan)


def _pushed(states: DealStates) -> np.ndarray:
    return np.log1p(states.of_episode(states.facts.pushed_total_days)) / np.log(91.0)


def _slips(states: DealStates) -> np.ndarray:
    return np.minimum(states.of_episode(states.facts.slips), 5.0) / 2


def _regressions(states: DealStates) -> np.ndarray:
    return np.minimum(states.regressions, 3.0)


def _moves(states: DealStates) -> np.ndarray:
    return (np.minimum(states.moves, 8.0) - states.stage) / 2


def _quiet_days(states: DealStates) -> np.ndarray:
    """Days since the last touch, or since creation."""
    last = states.facts.last_touch(states.deal, states.day)
    begun = states.history.created_day[states.deal]
    return (states.day - np.maximum(last, begun)).astype(float)


def _touches(states: DealStates) -> np.ndarray:
    """Touches in the last 30 days."""
    count = states.facts.touches_by(states.deal, states.day) - states.facts.touches_by(states.deal, states.day - 30)
    return np.log1p(count) - 1


def _owner(states: DealStates) -> np.ndarray:
    """Log ratio of the owner's share of wins to that of all, closed in the last 540 days, shrunk by 20 deals."""
    owner = states.of_episode(states.facts.owner, missing=-1).astype(np.int64)
    effect = np.full(len(states), np.nan)
    for day in np.unique(states.day):
        rows = np.flatnonzero((states.day == day) & (owner >= 0))
        effect[rows] = owner_effects(states.history, states.facts, int(day))[owner[rows]]
    return 2 * effect


def owner_effects(history: DealHistory, facts: DealFacts, day: int) -> np.ndarray:
    """Effect of each owner code as known at the end of ``day``; the owner of a closed deal is that of the day before it closed."""
    owners = int(facts.owner.max(initial=-1)) + 1
    closed = np.flatnonzero((history.cause >= WON) & (history.exited_day <= day) & (history.exited_day > day - OWNER_DAYS))
    place = facts.in_force(history.stay_deal[closed], history.exited_day[closed] - 1)
    owner = np.where(place >= 0, facts.owner[np.maximum(place, 0)], -1)
    closed, owner = closed[owner >= 0], owner[owner >= 0]
    deals, wins = np.bincount(owner, minlength=owners), np.bincount(owner[history.cause[closed] == WON], minlength=owners)
    if not wins.sum():
        return np.zeros(owners)
    share = wins.sum() / deals.sum()
    return np.log((wins + OWNER_PRIOR_DEALS * share) / (deals + OWNER_PRIOR_DEALS) / share)


def _place_in_quarter(states: DealStates) -> np.ndarray:
    return quarter_positions(states.day + 1, states.fiscal_year_start_month).astype(float)


FEATURES = (
    Feature("age_in_stage", _age),
    Feature("age_in_stage", lambda states: _age(states) ** 2),
    Feature("deal_age", _deal_age),
    Feature("deal_age", _pace),
    Feature("quarter", _place_in_quarter, edges=tuple(float(p) for p in range(1, POSITIONS))),
    Feature("moves", _moves),
    Feature("regressions", _regressions),
    Feature("amount", _amount, needs="amount"),
    Feature("amount_change", _amount_change, needs="amount"),
    Feature("expected_close", days_to_close, needs="expected_close_date", edges=CLOSE_EDGES_DAYS),
    Feature("pushed", _pushed, needs="expected_close_date"),
    Feature("pushed", _slips, needs="expected_close_date"),
    Feature("owner", _owner, needs="owner_id"),
    Feature("activity", _quiet_days, needs="activities", edges=QUIET_EDGES_DAYS),
    Feature("activity", _touches, needs="activities"),
)
"""Every feature; entries of one code are one reason."""


@dataclass(frozen=True)
class Design:
    """Columns of states: ``values`` (states × columns, float64) and the feature ``codes`` that each column belongs to."""

    values: np.ndarray
    codes: tuple[str, ...]


def design(states: DealStates) -> Design:
    """The columns of the features whose past is known, and of the deals' segments and owners."""
    stages = len(states.history.stages)
    in_stage = states.stage[:, None] == np.arange(stages)
    columns, codes = [in_stage.astype(float)], ["stage"] * stages
    for feature in FEATURES:
        if feature.needs is not None and feature.needs not in states.facts.knows:
            continue
        own = _columns(feature, feature.compute(states))
        columns.append(own)
        codes += [feature.code] * own.shape[1]
    for name, code in states.facts.traits.items():
        own = code[states.deal][:, None] == np.arange(code.max(initial=0) + 1)
        columns.append(own.astype(float))
        codes += [name] * own.shape[1]
    owners = int(states.facts.owner.max(initial=-1)) + 1
    if "owner_id" in states.facts.knows and owners <= MOST_OWNERS:
        columns.append((states.of_episode(states.facts.owner, missing=-1)[:, None] == np.arange(owners)).astype(float))
        codes += ["owner"] * owners
    return Design(np.concatenate(columns, axis=1), tuple(codes))


def _columns(feature: Feature, value: np.ndarray) -> np.ndarray:
    if not feature.edges:
        return np.nan_to_num(value, nan=0.0)[:, None]
    bucket = np.where(np.isnan(value), -1, np.searchsorted(feature.edges, value, side="right"))
    return (bucket[:, None] == np.arange(-1, len(feature.edges) + 1)).astype(float)


def reason_figures(states: DealStates) -> dict[str, dict[str, np.ndarray]]:
    """The plain figures behind each feature's code, by name and state; NaN where one is not known."""
    facts, known = states.facts, states.facts.knows
    figures = {
        "age_in_stage": {"days": np.where(states.age_days < 0, np.nan, states.age_days)},
        "deal_age": {"days": states.deal_age_days.astype(float)},
        "moves": {"times": states.moves.astype(float)},
        "regressions": {"times": states.regressions.astype(float)},
    }
    if "amount" in known:
        now = states.of_episode(facts.amount)
        change = 100 * (now / np.where(states.of_episode(facts.first_amount) > 0, states.of_episode(facts.first_amount), np.nan) - 1)
        figures |= {"amount": {"amount": now}, "amount_change": {"percent": np.round(change, 1)}}
    if "expected_close_date" in known:
        figures |= {"expected_close": {"days_ahead": days_to_close(states)}}
        figures |= {"pushed": {"times": states.of_episode(facts.slips), "days": states.of_episode(facts.pushed_total_days)}}
    if "activities" in known:
        count = facts.touches_by(states.deal, states.day) - facts.touches_by(states.deal, states.day - 30)
        figures["activity"] = {"quiet_days": _quiet_days(states), "touches": count.astype(float)}
    return figures
