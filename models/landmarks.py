"""Where deals stood at the end of a day, and what became of them: the only view of history that models train on.

What belongs here: states of open deals and counts of later outcomes by lag. What does not: rates.

Everything that is read at an origin lies on or before it: an outcome ``lag`` days after landmark day D is used at
an origin only if D + lag ≤ origin, so facts learned later change no earlier result.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from models.deal_history import NEVER, OLDEST_AGE_DAYS, UNKNOWN_STAGE, DealHistory, day_date, day_number

LONGEST_LAG_DAYS = 730
"""Outcomes later than this after their landmark are not counted; the tail is extrapolated."""

EVER_DAYS = 1826
"""What "won in the end" means: within five years. A deal that never ends would otherwise count as half won."""


@dataclass(frozen=True)
class OpenDeals:
    """The deals open at the end of ``day``, one entry each, by deal.

    ``stage`` is `UNKNOWN_STAGE` where nobody recorded it and ``age_days`` (days since the stage was entered) -1 where
    not known; ``deal_age_days`` counts from creation or the first date that is known. ``outcome_day`` and
    ``outcome_won`` say how the deal ended as known today: for judging, never for fitting.
    """

    day: int
    deal: np.ndarray
    stage: np.ndarray
    age_days: np.ndarray
    deal_age_days: np.ndarray
    group: np.ndarray
    outcome_day: np.ndarray
    outcome_won: np.ndarray

    def __len__(self) -> int:
        return len(self.deal)


def month_ends(last: date, months: int) -> tuple[date, ...]:
    """The last days of the ``months`` calendar months that end on or before ``last``, oldest first."""
    ends = []
    day = last + timedelta(days=1)
    for _ in range(months):
        day = day.replace(day=1) - timedelta(days=1)
        ends.append(day)
    return tuple(reversed(ends))


def open_deals(history: DealHistory, day: int) -> OpenDeals:
    """The deals open at the end of day number ``day``.

    At the as-of day itself the stage of a deal whose entry has no date is known too (its age is not).
    """
    if day > history.known_day:
        raise ValueError(f"open deals of {day_date(day)} asked for, but facts are known up to {day_date(history.known_day)} only")
    stay = stays_in_force(history, day)
    deal = history.stay_deal[stay]
    stage = history.stay_stage[stay]
    unknown = stage == UNKNOWN_STAGE
    age = np.where(unknown, -1, day - history.entered_day[stay])
    age = np.where(history.is_entry_dated[stay] | (age >= OLDEST_AGE_DAYS), age, -1)
    if day == history.known_day:
        stage = np.where(unknown, history.stage_now[deal], stage)
    return OpenDeals(
        day=day,
        deal=deal,
        stage=stage,
        age_days=age.astype(np.int32),
        deal_age_days=(day - history.created_day[deal]).astype(np.int32),
        group=history.groups.deal_group[deal],
        outcome_day=history.outcome_day[stay],
        outcome_won=history.outcome_won[stay],
    )


def stays_in_force(history: DealHistory, day: int) -> np.ndarray:
    stay = np.flatnonzero((history.entered_day <= day) & (day < history.exited_day))
    # Where stays of a deal overlap, the later one is its state.
    return stay[np.diff(history.stay_deal[stay], append=-1) != 0]


@dataclass(frozen=True)
class LandmarkCounts:
    """Open deals at month ends and the days after which they were won or lost.

    ``days`` are the landmarks (month ends). ``open`` is landmarks × rows; ``won`` and ``lost`` are landmarks × rows
    × lag days (0 to `LONGEST_LAG_DAYS`). Rows: one per stage, then deals of unknown stage, then, in the last row, the
    deals created in the month that ends there, whose lag counts from creation. ``closed`` (landmarks × stages)
    counts the deals that ended in that month, in each stage they had been in.
    """

    days: np.ndarray
    open: np.ndarray
    won: np.ndarray
    lost: np.ndarray
    closed: np.ndarray

    @property
    def stages(self) -> int:
        """Number of stages."""
        return self.closed.shape[1]


def landmark_counts(history: DealHistory, months: int) -> LandmarkCounts:
    """Count outcomes by lag for the last ``months`` month ends; origins then differ only in what they may read."""
    days = np.array([day_number(d) for d in month_ends(day_date(history.known_day), months)])
    n_stages, lags = len(history.stages), LONGEST_LAG_DAYS + 1
    rows = n_stages + 2
    is_open = np.zeros((len(days), rows), dtype=np.int64)
    won = np.zeros((len(days), rows, lags), dtype=np.int32)
    lost = np.zeros_like(won)
    for i, day in enumerate(days):
        stay = stays_in_force(history, day)
        stage = history.stay_stage[stay].astype(np.int64)
        row = np.where(stage == UNKNOWN_STAGE, n_stages, stage)
        is_open[i] = np.bincount(row, minlength=rows)
        won[i], lost[i] = _by_lag(row, history.outcome_day[stay] - day, history.outcome_won[stay], rows)
    month_of = np.searchsorted(days, np.arange(days[0] if len(days) else 0, history.known_day + 1))
    _count_newborn(history, days, month_of, is_open, won, lost)
    return LandmarkCounts(days, is_open, won, lost, _closed_by_month(history, days))


def _by_lag(row, lag, is_won, rows) -> tuple[np.ndarray, np.ndarray]:
    lags = LONGEST_LAG_DAYS + 1
    counted = lag < lags
    place = row[counted] * lags + lag[counted]
    wins = is_won[counted]
    shape = (rows, lags)
    return (
        np.bincount(place[wins], minlength=rows * lags).reshape(shape),
        np.bincount(place[~wins], minlength=rows * lags).reshape(shape),
    )


def _count_newborn(history, days, month_of, is_open, won, lost) -> None:
    if not len(days):
        return
    first = history.first_stay
    created = history.entered_day[first]
    in_window = (created > days[0]) & (created <= days[-1])
    first, created = first[in_window], created[in_window]
    month = month_of[created - days[0]]
    is_open[:, -1] = np.bincount(month, minlength=len(days))
    lag = history.outcome_day[first] - created
    won[:, -1], lost[:, -1] = _by_lag(month, lag, history.outcome_won[first], len(days))


def _closed_by_month(history, days) -> np.ndarray:
    n_stages = len(history.stages)
    if not len(days):
        return np.zeros((0, n_stages), dtype=np.int64)
    stage, outcome = history.stay_stage.astype(np.int64), history.outcome_day
    counted = (stage >= 0) & (outcome < NEVER) & (outcome <= days[-1])
    month = np.searchsorted(days, outcome[counted])
    return np.bincount(month * n_stages + stage[counted], minlength=len(days) * n_stages).reshape(len(days), n_stages)
