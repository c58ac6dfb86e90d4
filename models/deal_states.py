"""Open deals at the ends of days, as the features read them, and the sample of past ones that models are trained on.

What belongs here: which deals stood where at which landmark, and what became of them by when. What does not: what is
computed from a state (models/features.py) and any fit.

Landmarks are the 15th and the last day of each month; the time between two of them is a *half-month*, the step of the
hazard model. An origin reads a landmark's outcomes only up to itself.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np

from models.deal_facts import DealFacts
from models.deal_history import OLDEST_AGE_DAYS, REGRESSED, UNKNOWN_STAGE, DealHistory, day_date, day_number
from models.landmarks import OpenDeals, stays_in_force

HALF_MONTHS_AHEAD = 6
"""Half-months from a landmark whose outcomes are modelled: three months."""

MOST_STATES_A_LANDMARK = 520
"""States drawn at a landmark: 25,000 in two years; 60,000 gained nothing (docs/forecasting.md)."""

_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class DealStates:
    """Pairs of a day and a deal open at its end. ``stay`` points into the history's stays, ``deal`` into its deals.

    ``age_days`` (in the stage) is -1 where it is not known, ``stage`` `UNKNOWN_STAGE` likewise.
    """

    history: DealHistory
    facts: DealFacts
    fiscal_year_start_month: int
    day: np.ndarray
    deal: np.ndarray
    stay: np.ndarray
    stage: np.ndarray
    age_days: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    @cached_property
    def deal_age_days(self) -> np.ndarray:
        """Days since the deal was created, or since the first day that is known of it."""
        return self.day - self.history.created_day[self.deal]

    @cached_property
    def group(self) -> np.ndarray:
        """Group of each deal."""
        return self.history.groups.deal_group[self.deal].astype(np.int64)

    @cached_property
    def episode(self) -> np.ndarray:
        """Episode in force; -1 where none is known."""
        return self.facts.in_force(self.deal, self.day)

    @cached_property
    def moves(self) -> np.ndarray:
        """Stays before the present one."""
        return self.stay - self.history.first_stay[np.searchsorted(self.history.stay_deal[self.history.first_stay], self.deal)]

    @cached_property
    def regressions(self) -> np.ndarray:
        """How often the deal had gone back a stage."""
        total = np.cumsum(self.history.cause == REGRESSED)
        first = self.stay - self.moves
        before = np.where(self.stay > 0, total[np.maximum(self.stay - 1, 0)], 0)
        return before - np.where(first > 0, total[np.maximum(first - 1, 0)], 0)

    def of_episode(self, values: np.ndarray, missing: float = np.nan) -> np.ndarray:
        """Values by episode, for each state; ``missing`` where no episode is known."""
        if not len(values):
            return np.full(len(self), missing)
        return np.where(self.episode >= 0, values[np.maximum(self.episode, 0)], missing)


@dataclass(frozen=True)
class TrainingStates:
    """A sample of states at the landmarks of the record, and how their deals ended.

    ``boundaries`` are the landmarks with those of the half-months beyond; ``landmark`` points into them. ``weight`` is how
    many open deals a state stands for; ``outcome_day`` is `NEVER` where the deal has not ended.
    """

    states: DealStates
    boundaries: np.ndarray
    landmark: np.ndarray
    weight: np.ndarray
    outcome_day: np.ndarray
    outcome_won: np.ndarray


def half_months(first: int, last: int) -> np.ndarray:
    """The 15ths and month ends from day number ``first`` to ``last``, ascending."""
    days = []
    month = day_date(first).replace(day=1)
    while day_number(month) <= last:
        following = (month + timedelta(days=31)).replace(day=1)
        days += [day_number(month) + 14, day_number(following) - 1]
        month = following
    days = np.array(days, dtype=np.int64)
    return days[(days >= first) & (days <= last)]


def states_of(history: DealHistory, facts: DealFacts, open_deals: OpenDeals, fiscal_year_start_month: int) -> DealStates:
    """The states of the deals open at the end of one day."""
    stay = stays_in_force(history, open_deals.day)
    day = np.full(len(stay), open_deals.day, dtype=np.int64)
    return DealStates(history, facts, fiscal_year_start_month, day, open_deals.deal.astype(np.int64), stay, open_deals.stage, open_deals.age_days)


def training_states(history: DealHistory, facts: DealFacts, months: int, fiscal_year_start_month: int) -> TrainingStates:
    """Draw states at the landmarks of the last ``months`` months; every origin then reads those that lie before it.

    Where more deals are open than are drawn, those with the smallest scrambled numbers are, so that the same ones are
    drawn again. Deals of unknown stage or age are left out: the models that learn from states have nothing to say of them.
    """
    ended = history.known_day - 1
    first = day_number((day_date(history.known_day) - timedelta(days=round(months * 365.25 / 12))).replace(day=1))
    landmarks = half_months(first, ended)
    boundaries = half_months(first, history.known_day + 31 * (HALF_MONTHS_AHEAD + 2) // 2)
    parts, weights = [], []
    for day in landmarks:
        stay = stays_in_force(history, int(day))
        age = day - history.entered_day[stay]
        usable = (history.stay_stage[stay] != UNKNOWN_STAGE) & (history.is_entry_dated[stay] | (age >= OLDEST_AGE_DAYS))
        stay = stay[usable]
        drawn = _drawn(history.stay_deal[stay], int(day))
        parts.append(stay[drawn])
        weights.append(np.full(len(drawn), len(stay) / max(len(drawn), 1)))
    counts = [len(part) for part in parts]
    stay = np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)
    landmark = np.repeat(np.searchsorted(boundaries, landmarks), counts)
    day = np.repeat(landmarks, counts).astype(np.int64)
    deal = history.stay_deal[stay].astype(np.int64)
    states = DealStates(history, facts, fiscal_year_start_month, day, deal, stay, history.stay_stage[stay], (day - history.entered_day[stay]).astype(np.int32))
    return TrainingStates(states, boundaries, landmark, np.concatenate([np.zeros(0), *weights]), history.outcome_day[stay], history.outcome_won[stay])


def _drawn(deal: np.ndarray, day: int) -> np.ndarray:
    """Positions of the deals drawn at a landmark, ascending."""
    if len(deal) <= MOST_STATES_A_LANDMARK:
        return np.arange(len(deal))
    with np.errstate(over="ignore"):
        scrambled = (deal.astype(np.uint64) + np.uint64(day) * np.uint64(1_000_003)) * _SCRAMBLE
        scrambled = (scrambled ^ (scrambled >> np.uint64(29))) * _SCRAMBLE
    return np.sort(np.argpartition(scrambled, MOST_STATES_A_LANDMARK)[:MOST_STATES_A_LANDMARK])


def next_half_months(day: int, count: int) -> np.ndarray:
    """The next ``count`` landmarks after a day."""
    return half_months(day + 1, day + 16 * (count + 1))[:count]
