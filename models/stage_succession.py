"""Stages that were renamed, split or merged: which stage an entry counts as, by its day and the as-of date.

What belongs here: what follows from ``valid_from``, ``valid_to`` and ``replaces`` of the configured stages. What does
not: spellings (assets/exports/judge.py) and the entries themselves (assets/core/stage_entries.sql).

Where one stage takes the place of others (a rename, a merger), everybody knows where an old stay belongs: from the day
of the change on, all of history stands under the new stage. Where several take the place of one (a split), nobody
knows: what was entered before the change stands under the old stage, and such a stay lasts until the deal leaves all
its parts, so that being sorted into one of them is no move.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from models.settings import Pipeline, Stage

ALWAYS, FOREVER = date(1, 1, 1), date(9999, 12, 31)


@dataclass(frozen=True)
class Stretch:
    """From ``first_day`` to ``last_day`` an entry of the stage ``configured`` counts as ``counts_as``.

    ``split_from`` is the split stage that ``counts_as`` is, or is a part of: a stay that began in it lasts until the
    deal leaves all of its parts.
    """

    configured: str
    first_day: date
    last_day: date
    counts_as: str
    split_from: str | None


@dataclass(frozen=True)
class Standing:
    """A stage that deals may have been in as of a date, with its position and the days of entries under its name."""

    stage: Stage
    position: int
    first_day: date | None
    last_day: date | None


class StageSuccession:
    """The stages of one pipeline as of a date, by their keys in the configuration."""

    def __init__(self, pipeline: Pipeline, as_of: date):
        self._stages = {s.key: s for s in pipeline.stages}
        self._as_of = as_of
        self._parts = {key: [s.key for s in pipeline.stages if key in s.replaces] for key in self._stages}
        self.changed_on = {key: changed for key, s in self._stages.items() if (changed := self._change(s)) is not None and changed <= as_of}

    def _change(self, stage: Stage) -> date | None:
        """The first day on which others have taken the place of ``stage``; None where none does."""
        parts = self._parts[stage.key]
        if not parts:
            return None
        if stage.valid_to is not None:
            return stage.valid_to + timedelta(days=1)
        return min((first for part in parts if (first := self._stages[part].valid_from) is not None), default=None)

    def final(self, key: str) -> set[str]:
        """The stages, of those valid at the as-of date, that have taken the place of ``key``: itself where none has."""
        if key not in self.changed_on:
            return {key}
        return set().union(*(self.final(part) for part in self._parts[key]))

    def restated(self, key: str) -> str:
        """The stage under which stays that began in ``key`` before it was replaced stand as of the date."""
        if key not in self.changed_on:
            return key
        if len(self._parts[key]) == 1:
            return self.restated(self._parts[key][0])
        final = self.final(key)
        return next(iter(final)) if len(final) == 1 else key

    def is_split(self, key: str) -> bool:
        """Whether the stage was split by the as-of date, so that what was entered before stays under its name."""
        return key in self.changed_on and self.restated(key) == key

    def counts_as(self, key: str, day: date) -> str:
        """The stage that an entry of ``key`` on ``day`` counts as.

        The name of a stage that had been replaced by then stands for the first of those that replaced it, the name of
        one that did not exist yet for the first of those that it replaces.
        """
        stage = self._stages[key]
        if key in self.changed_on and day >= self.changed_on[key]:
            return self.counts_as(self._parts[key][0], day)
        # A stage that takes in another and was there before has no first day: only the other's entries are restated.
        if stage.replaces and stage.valid_from is not None and stage.valid_from > day:
            return self.counts_as(stage.replaces[0], day)
        return self.restated(key)

    def split_from(self, key: str) -> str | None:
        """The split stage that ``key`` is, or is a part of."""
        return next((old for old in self._stages if self.is_split(old) and key in {old, *self.final(old)}), None)

    def stretches(self) -> Iterator[Stretch]:
        """What entries of each configured stage count as, day by day; after the as-of date nothing changes."""
        days = sorted({ALWAYS} | {d for s in self._stages.values() for d in (s.valid_from, self._change(s)) if d is not None and d <= self._as_of})
        for key in self._stages:
            begun = [(day, self.counts_as(key, day)) for day in days]
            begun = [b for n, b in enumerate(begun) if n == 0 or b[1] != begun[n - 1][1]]
            ends = [*(day - timedelta(days=1) for day, _ in begun[1:]), FOREVER]
            for (first, counted), last in zip(begun, ends):
                yield Stretch(key, first, last, counted, self.split_from(counted))

    def standing(self) -> Iterator[Standing]:
        """The stages as of the date in their order.

        A split stage has the position of the last of its parts: who leaves it forward has passed them all.
        """
        counted = {s.counts_as for s in self.stretches()}
        present = [s for s in self._stages.values() if s.key in counted and not self.is_split(s.key)]
        places = {s.key: n for n, s in enumerate(present, start=1)}
        for stage in self._stages.values():
            if stage.key in places:
                yield Standing(stage, places[stage.key], *self._days(stage))
            elif stage.key in counted:
                yield Standing(stage, max(places[part] for part in self.final(stage.key)), *self._days(stage))

    def _days(self, stage: Stage) -> tuple[date | None, date | None]:
        mine = [s for s in self.stretches() if s.counts_as == stage.key]
        # A stage that is new and replaces nothing keeps entries that are dated before it, but is not skipped before it.
        first = stage.valid_from if not stage.replaces else min(s.first_day for s in mine)
        last = self.changed_on[stage.key] - timedelta(days=1) if stage.key in self.changed_on else stage.valid_to
        return (None if first in (None, ALWAYS) else first), last
