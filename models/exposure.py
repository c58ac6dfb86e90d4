"""Days at risk and exits of stage stays, counted once for all origins.

What belongs here: the counts that stage hazards are fitted on. What does not: any hazard.

The calendar is cut into thirds of months (days 1-10, 11-20, 21-end), so that an origin at a month's end, and the
as-of day itself, read whole slots only. The day of entry is an age bin of its own with one "day" at risk: a stay that
ends the day it began is an exit in that bin. A stay that was under way when the history began is at risk from the
day on which its age bin is certain, when it is surely in the last: before that it belongs to no age.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from models.deal_history import CAUSES, NEVER, OLDEST_AGE_DAYS, UNKNOWN_STAGE, WON, DealHistory, day_date, day_number
from models.landmarks import month_ends

AGE_EDGES_DAYS = np.array([0, 1, 2, 4, 8, 15, 22, 31, 46, 61, 91, 121, 181, 271, OLDEST_AGE_DAYS])
"""First day in stage of each age bin; the last is open: from there on a stay's hazards stay as they are."""

WEEKEND_PRIOR_EXITS = 50.0
TWO_YEARS_SLOTS = 72

POSITIONS = 9
"""Places in a fiscal quarter: third of the month within month of the quarter."""


def is_weekend(days: np.ndarray) -> np.ndarray:
    """Whether each day number is a Saturday or Sunday."""
    return (np.asarray(days) + 3) % 7 >= 5


def quarter_positions(days: np.ndarray, fiscal_year_start_month: int) -> np.ndarray:
    """Place of each day number in its fiscal quarter, 0 to 8."""
    stamps = np.asarray(days).astype("datetime64[D]")
    months = stamps.astype("datetime64[M]")
    month_of_quarter = (months.astype(np.int64) % 12 + 1 - fiscal_year_start_month) % 3
    third = np.minimum((stamps - months).astype(np.int64) // 10, 2)
    return (3 * month_of_quarter + third).astype(np.int64)


@dataclass(frozen=True)
class Exposure:
    """Counts by calendar slot.

    ``slot_last_day`` and ``slot_position`` describe the slots. ``days_at_risk`` is slots × stages × groups × age bins;
    ``exits`` causes × slots × stages × groups × age bins; ``moves`` (advanced, regressed) × slots × stages × stages;
    ``created`` slots × stages × groups counts deals by the first recorded stage; ``closed`` the wins and losses per
    slot; ``weekend_days`` and ``weekend_exits`` the Saturdays and Sundays per slot and the exits on them.
    """

    known_day: int
    first_day: int
    fiscal_year_start_month: int
    pipeline: np.ndarray
    group_members: np.ndarray
    slot_last_day: np.ndarray
    slot_position: np.ndarray
    days_at_risk: np.ndarray
    exits: np.ndarray
    moves: np.ndarray
    created: np.ndarray
    closed: np.ndarray
    weekend_days: np.ndarray
    weekend_exits: np.ndarray

    @property
    def slot_days(self) -> np.ndarray:
        """Length of each slot in days."""
        return np.diff(self.slot_last_day, prepend=self.first_day - 1)

    def day_factors(self, known: int) -> tuple[float, float]:
        """What a working day and a day of the weekend multiply the mean chance of an exit by, from the last two years of ``known`` slots.

        Their mean over a week is 1; shrunk to even days by `WEEKEND_PRIOR_EXITS` exits.
        """
        # The same slots whatever the window began with: an origin must not depend on what is asked beside it.
        recent = slice(max(known - TWO_YEARS_SLOTS, 0), known)
        weekend, days = self.weekend_days[recent].sum(), self.slot_days[recent].sum()
        on_weekend, exits = self.weekend_exits[recent].sum(), self.exits[:, recent].sum()
        prior = WEEKEND_PRIOR_EXITS * np.array([weekend, days - weekend]) / max(days, 1)
        rate = (np.array([on_weekend, exits - on_weekend]) + prior) / np.maximum([weekend, days - weekend], 1)
        at_weekend, working = rate * 7 / (2 * rate[0] + 5 * rate[1]) if rate.sum() > 0 else (1.0, 1.0)
        return float(working), float(at_weekend)

    def slots_known_at(self, origin_day: int) -> int:
        """Number of slots that an origin may read.

        Raises ValueError where the origin is neither the as-of day nor the end of a slot: part of a slot would lie in
        its future.
        """
        if origin_day == self.known_day:
            return len(self.slot_last_day)
        known = int(np.searchsorted(self.slot_last_day, origin_day, side="right"))
        if known == 0 or self.slot_last_day[known - 1] != origin_day:
            raise ValueError(
                f"{day_date(origin_day)} cannot be an origin: it is neither the as-of date {day_date(self.known_day)} nor a month's end "
                "inside the training window"
            )
        return known


def count_exposure(history: DealHistory, months: int, fiscal_year_start_month: int = 1) -> Exposure:
    """Count days at risk and exits in the last ``months`` months up to the as-of day.

    Each age bin of a stay is an interval of calendar days; a difference array over days and one cumulative sum per
    bin turns all of them into daily counts at risk.
    """
    first_day, slot_starts = _slots(history.known_day, months)
    span = history.known_day - first_day + 1
    slot_of_day = np.searchsorted(slot_starts, np.arange(first_day, history.known_day + 1), side="right") - 1
    n_slots, n_stages, n_groups, n_bins = len(slot_starts), len(history.stages), history.groups.count, len(AGE_EDGES_DAYS)

    last_day = np.minimum(history.exited_day, history.known_day)
    stay = np.flatnonzero((history.stay_stage != UNKNOWN_STAGE) & (last_day >= first_day))
    entered, last = history.entered_day[stay], last_day[stay]
    group = history.groups.deal_group[history.stay_deal[stay]].astype(np.int64)
    unit = history.stay_stage[stay].astype(np.int64) * n_groups + group
    units = n_stages * n_groups

    at_risk = np.empty((n_slots, units, n_bins), dtype=np.int64)
    dated = history.is_entry_dated[stay]
    alive = np.arange(len(stay))
    next_edges = np.append(AGE_EDGES_DAYS[1:], NEVER // 2)
    for k, (edge, next_edge) in enumerate(zip(AGE_EDGES_DAYS, next_edges, strict=True)):
        alive = alive[last[alive] - entered[alive] >= edge]
        start = np.maximum(entered[alive] + edge, first_day)
        stop = np.minimum(entered[alive].astype(np.int64) + next_edge - 1, last[alive])
        inside = (start <= stop) & (dated[alive] | (edge == OLDEST_AGE_DAYS))
        row = unit[alive[inside]] * (span + 1)
        change = np.bincount(row + (start[inside] - first_day), minlength=units * (span + 1))
        change -= np.bincount(row + (stop[inside] - first_day + 1), minlength=units * (span + 1))
        daily = np.cumsum(change.reshape(units, span + 1)[:, :span], axis=1)
        at_risk[:, :, k] = np.add.reduceat(daily, slot_starts - first_day, axis=1).T

    ended = np.flatnonzero(history.cause[stay] >= 0)
    age_bin = np.searchsorted(AGE_EDGES_DAYS, np.maximum(last[ended] - entered[ended], 0), side="right") - 1
    cause = history.cause[stay[ended]].astype(np.int64)
    slot = slot_of_day[last[ended] - first_day]
    place = ((cause * n_slots + slot) * units + unit[ended]) * n_bins + age_bin
    of_known_age = dated[ended] | (age_bin == n_bins - 1)
    exits = np.bincount(place[of_known_age], minlength=len(CAUSES) * n_slots * units * n_bins)

    shape = (n_stages, n_groups, n_bins)
    return Exposure(
        known_day=history.known_day,
        first_day=first_day,
        fiscal_year_start_month=fiscal_year_start_month,
        pipeline=history.pipeline,
        group_members=history.groups.members,
        slot_last_day=np.append(slot_starts[1:] - 1, history.known_day),
        slot_position=quarter_positions(slot_starts, fiscal_year_start_month),
        days_at_risk=at_risk.reshape(n_slots, *shape),
        exits=exits.reshape(len(CAUSES), n_slots, *shape),
        moves=_moves(history, stay[ended], slot, cause, n_slots),
        created=_created(history, first_day, slot_of_day, n_slots),
        closed=np.bincount(slot[cause >= WON], minlength=n_slots),
        weekend_days=np.bincount(slot_of_day[is_weekend(np.arange(first_day, history.known_day + 1))], minlength=n_slots),
        weekend_exits=np.bincount(slot[is_weekend(last[ended])], minlength=n_slots),
    )


def _slots(known_day: int, months: int) -> tuple[int, np.ndarray]:
    ends = month_ends(day_date(known_day), months)
    firsts = [date(d.year, d.month, 1) for d in ends]
    if day_date(known_day) not in ends:
        firsts.append(day_date(known_day).replace(day=1))
    starts = np.array([day_number(first) + offset for first in firsts for offset in (0, 10, 20)])
    return int(starts[0]), starts[starts <= known_day]


def _moves(history, ended, slot, cause, n_slots) -> np.ndarray:
    n_stages = len(history.stages)
    target = history.next_stage[ended].astype(np.int64)
    moved = (cause < WON) & (target >= 0)
    source = history.stay_stage[ended].astype(np.int64)
    place = ((cause * n_slots + slot) * n_stages + source) * n_stages + target
    return np.bincount(place[moved], minlength=2 * n_slots * n_stages**2).reshape(2, n_slots, n_stages, n_stages)


def _created(history, first_day, slot_of_day, n_slots) -> np.ndarray:
    n_stages, n_groups = len(history.stages), history.groups.count
    first = history.first_stay
    # A deal's first stay may be in a stage nobody recorded; its next one is where it starts as far as is known.
    following = np.minimum(first + 1, max(len(history.stay_deal) - 1, 0))
    unknown = history.stay_stage[first] == UNKNOWN_STAGE
    start = np.where(unknown & (history.stay_deal[following] == history.stay_deal[first]), following, first)
    stage, entered = history.stay_stage[start].astype(np.int64), history.entered_day[start]
    used = (stage >= 0) & (entered >= first_day) & history.starts_known[history.stay_deal[start]]
    unit = stage[used] * n_groups + history.groups.deal_group[history.stay_deal[start[used]]]
    place = slot_of_day[entered[used] - first_day] * (n_stages * n_groups) + unit
    return np.bincount(place, minlength=n_slots * n_stages * n_groups).reshape(n_slots, n_stages, n_groups)
