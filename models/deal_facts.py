"""What is known of deals beside their stage: amounts, expected close dates, owners, touches, traits; as arrays.

What belongs here: what was in force at the end of a day. What does not: stays in
stages (models/deal_history.py) and anything computed from these values (models/features.py).

A field whose past is not known holds its final value throughout, which gives the outcome away (a close date overwritten at
closing, an owner changed at closing). Such fields are not in ``knows`` and no feature reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.deal_history import NEVER

FIELDS = ("amount", "expected_close_date", "owner_id", "activities")
"""What a feature may read the past of."""

_DAYS = 2**20
"""More than the number of days that any date lies after 1970: a deal and a day are one number."""

OVERWRITTEN_SHARE = 0.2
"""From this share of closed deals on whose close date of weeks before was the very day of closing, it was written afterwards."""

OVERWRITTEN_DAYS = 21
LEAST_CLOSED_DEALS = 20

MOST_MEMBERS = 12


@dataclass(frozen=True)
class DealFacts:
    """Values in force from a day on, one entry per episode, by deal and time; and the days of touches, by deal and day.

    ``deal`` points into the record's deals; ``from_day`` counts days from 1970-01-01; ``amount`` is NaN, ``close_day``
    `NEVER` and ``owner`` (a code) -1 where none is known. ``knows`` names the `FIELDS` whose past is known. ``traits``
    holds by name a code per deal: segments that were known when the deal was created and do not change.
    """

    deal: np.ndarray
    from_day: np.ndarray
    amount: np.ndarray
    close_day: np.ndarray
    owner: np.ndarray
    touched_deal: np.ndarray
    touched_day: np.ndarray
    knows: frozenset[str]
    traits: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def none(cls) -> "DealFacts":
        """Nothing is known but the stages."""
        days, values = np.zeros(0, np.int64), np.zeros(0)
        return cls(days, days, values, days, days, days, days, frozenset())

    def in_force(self, deal: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The episode of each deal in force at the end of each day; -1 where none had begun."""
        place = np.searchsorted(self._key, deal.astype(np.int64) * _DAYS + day, side="right") - 1
        found = (place >= 0) & (self.deal[np.maximum(place, 0)] == deal) if len(self.deal) else np.zeros(len(deal), bool)
        return np.where(found, place, -1)

    def touches_by(self, deal: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Position after the last touch of each deal at or before each day; differences of positions count touches."""
        return np.searchsorted(self._touch_key, deal.astype(np.int64) * _DAYS + day, side="right")

    def last_touch(self, deal: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Day of the last touch at or before each day; -1 where there was none."""
        place = self.touches_by(deal, day) - 1
        found = (place >= 0) & (self.touched_deal[np.maximum(place, 0)] == deal) if len(self.touched_deal) else np.zeros(len(deal), bool)
        return np.where(found, self.touched_day[np.maximum(place, 0)] if len(self.touched_day) else 0, -1)

    @cached_property
    def first_amount(self) -> np.ndarray:
        """The first known amount of each episode's deal, up to the episode; NaN where there is none yet."""
        count = len(self.amount)
        if not count:
            return self.amount
        place = np.arange(count)
        begins = np.diff(self.deal, prepend=-1) != 0
        earliest = np.minimum.reduceat(np.where(np.isnan(self.amount), count, place), np.flatnonzero(begins))
        at = earliest[np.cumsum(begins) - 1]
        return np.where(at <= place, self.amount[np.minimum(at, count - 1)], np.nan)

    @cached_property
    def slips(self) -> np.ndarray:
        """How often the close date had been put off, by episode."""
        return self._running(self._pushed_days > 0)

    @cached_property
    def pushed_total_days(self) -> np.ndarray:
        """Days by which the close date had been put off in all, by episode."""
        return self._running(self._pushed_days)

    @cached_property
    def _pushed_days(self) -> np.ndarray:
        """Days by which each episode puts the close date off; 0 where it does not."""
        same = np.diff(self.deal, prepend=-1) == 0
        before = np.concatenate([[NEVER], self.close_day[:-1]]) if len(self.close_day) else self.close_day
        known = same & (self.close_day < NEVER) & (before < NEVER)
        return np.where(known, np.maximum(self.close_day.astype(np.int64) - before, 0), 0)

    def _running(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values`` over the episodes of a deal up to each."""
        total = np.cumsum(values.astype(np.int64))
        start = np.searchsorted(self.deal, self.deal, side="left")
        return total - (total[start] - values[start]) if len(total) else total

    @cached_property
    def _key(self) -> np.ndarray:
        return self.deal.astype(np.int64) * _DAYS + self.from_day

    @cached_property
    def _touch_key(self) -> np.ndarray:
        return self.touched_deal.astype(np.int64) * _DAYS + self.touched_day


def trait_codes(member: np.ndarray) -> np.ndarray:
    """Codes of the largest `MOST_MEMBERS` members of a segment, by size, one more for all others; ties by their own order."""
    values, place, sizes = np.unique(member, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.lexsort((values, -sizes))] = np.arange(len(values))
    return np.minimum(rank[place], MOST_MEMBERS)


def is_overwritten(facts: DealFacts, deal: np.ndarray, closed_day: np.ndarray) -> bool:
    """Whether close dates were written when deals closed, without a record of what stood there before.

    ``deal`` and ``closed_day`` are the closed deals. An honest date of three weeks before is the day of closing once in a
    while; one that was overwritten always is.
    """
    then = facts.in_force(deal, closed_day - OVERWRITTEN_DAYS)
    usable = (then >= 0) & (facts.close_day[np.maximum(then, 0)] < NEVER) if len(facts.deal) else np.zeros(len(deal), bool)
    if usable.sum() < LEAST_CLOSED_DEALS:
        return False
    return bool((facts.close_day[then[usable]] == closed_day[usable]).mean() >= OVERWRITTEN_SHARE)
