"""Where the deals of a simulated company stood at an origin, and how likely each is still being worked on.

What belongs here: what a CRM shows at the end of a day, in the simulator's own numbers (days from its first day, stages
from 0), and the two things about open deals that not even an oracle sees. What does not: anything about days to come
(models/oracle_values.py, models/oracle.py).

A deal that fell silent looks like one that is waiting. What speaks for silence is that nothing happens: the deal does not
leave its stage, nobody touches it, and a close date that has passed is not put off. Each has a known rate, so the
probability of silence follows by Bayes' rule over the days on which it may have begun. The buyer's interest is weighed
together with it, by how often the deal is touched, what was noted, and its not having been won in its present stage.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import softmax, xlogy

from models.simulated_world import CAUSES, FACTOR_CAUSES, Interest, age_bins, calendar_factors, daily_rates
from models.simulator import BAD_NOTES, GOOD_NOTES, SimulatedCompany


@dataclass(frozen=True)
class TrueState:
    """The deals open at the end of day ``day``, one entry each, by deal (its row in the company's opportunities).

    ``pace`` holds the owner's too. ``by_interest`` (deals × `World.interests`) is the probability that the deal has that
    interest and has not fallen silent.
    """

    day: int
    deal: np.ndarray
    stage: np.ndarray
    entered_day: np.ndarray
    amount: np.ndarray
    pace: np.ndarray
    loss: np.ndarray
    by_interest: np.ndarray

    @property
    def is_worked(self) -> np.ndarray:
        """The probability that each deal has not fallen silent."""
        return self.by_interest.sum(axis=1)

    @property
    def age_days(self) -> np.ndarray:
        """Days in the stage."""
        return self.day - self.entered_day


def true_state(company: SimulatedCompany, origin: date) -> TrueState:
    """The state at the end of ``origin``; owners and amounts are those of that day."""
    day = (origin - company.world.start).days
    entries = _known(company, company.stage_history, "entered_at", day)
    newest = entries[entries["deal"].ne(entries["deal"].shift(-1))]
    stage = pd.Index([stage.key for stage in company.world.stages]).get_indexer(newest["stage"])
    newest, stage = newest[stage >= 0], stage[stage >= 0]
    deal, entered = newest["deal"].to_numpy(), newest["day"].to_numpy()

    changes = _known(company, company.field_history, "changed_at", day)
    owner = _in_force(newest["owner_id"], deal, changes, "owner_id")
    amount = pd.to_numeric(_in_force(newest["amount"], deal, changes, "amount")).to_numpy(float)
    expected = (pd.to_datetime(_in_force(newest["expected_close_date"], deal, changes, "expected_close_date")) - pd.Timestamp(company.world.start)).dt.days
    put_off = _last_day(changes[changes["field"] == "expected_close_date"], deal)
    touches = _known(company, company.activities, "happened_at", day)

    owner_pace = company.owner_pace.set_index("owner_id")["pace"]
    state = TrueState(
        day=day,
        deal=deal,
        stage=stage,
        entered_day=entered,
        amount=amount,
        pace=company.latent["pace"].to_numpy()[deal] * owner_pace.reindex(owner).to_numpy(),
        loss=company.latent["loss"].to_numpy()[deal],
        by_interest=np.ones((len(deal), 1)),
    )
    # A date that is put off on the day of entry came with the entry; the deal was worked on then in any case.
    unseen = [_chances_unseen(company, state, kind, expected.to_numpy(), put_off, _last_day(touches, deal)) for kind in company.world.interests]
    worked, silent = (np.stack(parts, axis=1) for parts in zip(*unseen, strict=True))
    prior = _interest_by_touches(company, deal, touches)
    total = (prior * (worked + silent)).sum(axis=1, keepdims=True)
    return replace(state, by_interest=prior * worked / total)


def shock_by_day(company: SimulatedCompany) -> np.ndarray:
    """The factor of each day's month on the pace."""
    return company.shock["pace"].to_numpy()[month_numbers(company)]


def month_numbers(company: SimulatedCompany) -> np.ndarray:
    """Months from the company's first one to that of each day."""
    day = pd.date_range(company.world.start, company.world.end, freq="D")
    return np.asarray((day.year - day[0].year) * 12 + day.month - day[0].month)


def _known(company: SimulatedCompany, frame: pd.DataFrame, time: str, day: int) -> pd.DataFrame:
    """The rows up to the end of ``day`` with the numbers of their ``deal`` and ``day``, in the order given."""
    since = (frame[time] - pd.Timestamp(company.world.start)).dt.days.to_numpy()
    rows = frame[since <= day]
    deal = pd.Index(company.opportunities["opportunity_id"]).get_indexer(rows["opportunity_id"])
    return rows.assign(deal=deal, day=since[since <= day])


def _in_force(at_entry: pd.Series, deal: np.ndarray, changes: pd.DataFrame, field: str) -> pd.Series:
    """The newest value of a field: that of its last change, or of the first entry where it never changed."""
    last = changes[changes["field"] == field].drop_duplicates("deal", keep="last").set_index("deal")["new_value"]
    changed = last.reindex(deal).reset_index(drop=True)
    values = at_entry.reset_index(drop=True)
    return values.astype(object).where(changed.isna(), changed.astype(object))


def _last_day(rows: pd.DataFrame, deal: np.ndarray) -> np.ndarray:
    """The last day of the rows of each deal; before all days where there is none."""
    return rows.groupby("deal")["day"].max().reindex(deal, fill_value=-1).to_numpy()


def _interest_by_touches(company: SimulatedCompany, deal: np.ndarray, touches: pd.DataFrame) -> np.ndarray:
    """Weight of each interest (deals × interests, summing to 1) by the touches up to the last one, and by what was noted."""
    world = company.world
    number = touches.groupby("deal").size().reindex(deal, fill_value=0).to_numpy()
    span = np.maximum(_last_day(touches, deal) - _created_day(company)[deal], 0)
    good, bad = np.zeros(len(deal)), np.zeros(len(deal))
    if "text" in touches:
        good, bad = (touches["text"].isin(notes).groupby(touches["deal"]).sum().reindex(deal, fill_value=0).to_numpy() for notes in (GOOD_NOTES, BAD_NOTES))
    logs = np.stack(
        [
            np.log(kind.share) + number * np.log(kind.activity) - span * kind.activity * world.activities_per_week / 7
            + xlogy(good, kind.good_note) + xlogy(bad, 1 - kind.good_note)
            for kind in world.interests
        ],
        axis=1,
    )  # fmt: skip
    return softmax(logs, axis=1)


def _created_day(company: SimulatedCompany) -> np.ndarray:
    return (company.opportunities["created_at"] - pd.Timestamp(company.world.start)).dt.days.to_numpy()


def _chances_unseen(
    company: SimulatedCompany, state: TrueState, interest: Interest, expected: np.ndarray, put_off: np.ndarray, touched: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of deals with this interest: the chance to see what was seen since the entry into the stage, or the last touch, of a deal
    that is worked on, and of one that has fallen silent.

    ``expected`` is the day on which each deal is expected to close, ``put_off`` the last day on which that changed and
    ``touched`` that of the last activity.
    """
    world = company.world
    factors = calendar_factors(world)
    length = state.age_days
    first = np.cumsum(length) - length
    of = np.repeat(np.arange(len(length)), length)
    age = np.arange(len(of)) - first[of] + 1
    day = state.entered_day[of] + age
    rates = daily_rates(world)
    sums = {name: rates[:, [CAUSES.index(cause) for cause in causes]].sum(axis=1) for name, causes in FACTOR_CAUSES.items()}
    cell = (state.stage[of], age_bins(world, age))
    pace = state.pace[of] * shock_by_day(company)[day]
    total = (
        sums["pace"][cell] * pace
        + sums["win"][cell] * pace * interest.win * factors["win"].to_numpy()[day]
        + sums["loss"][cell] * state.loss[of]
        + sums["none"][cell]
    )
    leaving = total * factors["rate"].to_numpy()[day]
    falls_silent = -np.expm1(-leaving) * rates[state.stage[of], CAUSES.index("silent"), cell[1]] / total

    # Logarithms of the chance that a deal that is worked on shows nothing up to the end of each day.
    # Days before the entry into the stage are the same for a deal that is worked on and for one that fell silent.
    rate = interest.activity * world.activities_per_week / 7
    before_entry = rate * np.maximum(state.entered_day - np.maximum(touched, _created_day(company)[state.deal]), 0)
    touches = rate * (day > touched[of])
    puts_off = world.push_rate * factors["rate"].to_numpy()[day] * (day > expected[of])
    unseen = _running(leaving + touches + puts_off, first, of)
    before = unseen - leaving - puts_off
    # On the day it falls silent it may still have been touched, but not put off.
    possible = (day >= touched[of]) & (day > put_off[of])
    silent = np.bincount(of, weights=np.where(possible, falls_silent * np.exp(-before), 0.0), minlength=len(length))
    worked = np.exp(-np.bincount(of, weights=leaving + touches + puts_off, minlength=len(length)))
    return worked * np.exp(-before_entry), silent * np.exp(-before_entry)


def _running(values: np.ndarray, first: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Running sums that begin anew with each deal."""
    summed = np.concatenate([[0.0], np.cumsum(values)])
    return summed[1:] - summed[first[of]]
