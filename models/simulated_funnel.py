"""The daily steps of a simulated funnel: who leaves which stage when, and what changes on the way.

What belongs here: the state of all deals as arrays and one day's step. What does not: frames, names, times of day
(models/simulator.py). Deals, owners, days and stages are numbers from 0; won is the number of stages, lost one more.
"""

import numpy as np
import pandas as pd

from models.simulated_world import CAUSES, FACTOR_CAUSES, World, age_bins, daily_rates, destinations

FIELDS = ("amount", "expected_close_date", "owner_id")
"""Fields whose changes are recorded."""

_LAST_DATE_DAYS = 1_500
"""No close date is set further ahead than this."""


class Funnel:
    """All deals of a simulated company, advanced day by day by `run`.

    After it ``stage``, ``entered_day``, ``amount``, ``expected_day``, ``owner`` and ``silent_day`` (-1: never) hold
    each deal's state at the end of the last day.
    """

    def __init__(
        self,
        world: World,
        rng: np.random.Generator,
        *,
        created_day: np.ndarray,
        amount: np.ndarray,
        pace: np.ndarray,
        loss: np.ndarray,
        interest: np.ndarray,
        owner: np.ndarray,
        owner_team: np.ndarray,
        owner_pace: np.ndarray,
        rate: np.ndarray,
        win: np.ndarray,
        shock: np.ndarray,
    ):
        """``created_day`` ascends; ``interest`` is each deal's factor on winning; ``rate``, ``win`` and ``shock`` are the factors of each day."""
        self._world, self._rng = world, rng
        self.created_day = created_day
        self.amount, self.owner = amount.copy(), owner.copy()
        self._pace, self._loss, self._owner_team, self._owner_pace = pace, loss, owner_team, owner_pace
        self._rate, self._win, self._shock, self._interest = rate, win, shock, interest
        deals = len(created_day)
        self.stage = np.zeros(deals, np.int8)
        self.entered_day = np.zeros(deals, np.int32)
        self.expected_day = np.zeros(deals, np.int32)
        self.silent_day = np.full(deals, -1, np.int32)
        self._live = np.zeros(deals, bool)
        self._rates = daily_rates(world)
        self._sums = {name: self._rates[:, _columns(name), :].sum(axis=1) for name in FACTOR_CAUSES}
        self._bin_of_age = age_bins(world, np.arange(world.age_edges[-1] + 2))
        self._destinations = destinations(world)
        self._month_end = _month_ends(world)
        self._reassigned_on = self._reassignments()
        self._return_day = np.full(deals, -1, np.int32)
        self._return_stage = np.zeros(deals, np.int8)
        self._returning = np.empty(0, np.int64)
        self._moves: list[tuple[np.ndarray, ...]] = []
        self._move_count = 0
        self._changes: list[tuple[np.ndarray, ...]] = []

    def run(self) -> None:
        """Go through all days."""
        first = np.searchsorted(self.created_day, np.arange(self._world.days + 1))
        active = np.empty(0, np.int64)
        for day in range(self._world.days):
            self._leave(day, active)
            self._put_off(day, active)
            back = self._returning[self._return_day[self._returning] == day]
            new = np.arange(first[day], first[day + 1])
            self._come_back(day, back)
            self._arrive(day, new)
            self._reassign(day)
            active = np.concatenate([active[self._live[active]], back, new])

    def moves(self) -> dict[str, np.ndarray]:
        """One entry per stage entry in the order of days: deal, day, stage, and amount, expected_day, owner then."""
        return _columns_of(self._moves, ("deal", "day", "stage", "amount", "expected_day", "owner"))

    def changes(self) -> dict[str, np.ndarray]:
        """One entry per changed field: deal, day, field, old, new, and the move it came with (-1: none)."""
        return _columns_of(self._changes, ("deal", "day", "field", "old", "new", "move"))

    def _leave(self, day: int, active: np.ndarray) -> None:
        stage = self.stage[active]
        age_bin = self._bin_of_age[np.minimum(day - self.entered_day[active], len(self._bin_of_age) - 1)]
        pace = self._pace[active] * self._owner_pace[self.owner[active]] * self._shock[day]
        total = self._sums["pace"][stage, age_bin] * pace
        winning = pace * self._win[day] * self._interest[active]
        total += self._sums["win"][stage, age_bin] * winning
        total += self._sums["loss"][stage, age_bin] * self._loss[active] + self._sums["none"][stage, age_bin]
        hit = np.flatnonzero(self._rng.random(len(active)) < -np.expm1(-total * self._rate[day]))
        deal, stage = active[hit], stage[hit]
        rates = self._rates[stage, :, age_bin[hit]]
        rates[:, _columns("pace")] *= pace[hit, None]
        rates[:, _columns("win")] *= winning[hit, None]
        rates[:, _columns("loss")] *= self._loss[deal, None]
        upto = rates.cumsum(axis=1)
        cause = (upto < (self._rng.random(len(deal)) * upto[:, -1])[:, None]).sum(axis=1)
        silent = cause == CAUSES.index("silent")
        self.silent_day[deal[silent]] = day
        self._live[deal[silent]] = False
        self._move(day, deal[~silent], self._destinations[stage[~silent], cause[~silent]])

    def _move(self, day: int, deal: np.ndarray, to: np.ndarray) -> None:
        world, rng, count = self._world, self._rng, len(self._world.stages)
        mean = np.array([*(s.requote_mean for s in world.stages), 1.0, 1.0])[to]
        sd = np.array([*(s.requote_sd for s in world.stages), 0.0, 0.0])[to]
        share = np.array([*(s.requoted for s in world.stages), world.discounted, 0.0])[to]
        factor = np.where(to == count, 1 - 2 * world.discount_mean * rng.random(len(deal)), mean * np.exp(rng.normal(0.0, 1.0, len(deal)) * sd - sd**2 / 2))
        quoted = np.maximum(np.round(self.amount[deal] * factor / world.amount_step), 1) * world.amount_step
        amount = np.where(rng.random(len(deal)) < share, quoted, self.amount[deal]).astype(np.int64)
        closed = to >= count
        expected = np.where(closed, day, self.expected_day[deal])
        returning = deal[(to == count + 1) & (rng.random(len(deal)) < world.reopened)]
        self._return_stage[returning] = self.stage[returning]
        self._return_day[returning] = day + 1 + np.floor(rng.exponential(world.reopen_days, len(returning)))
        self._returning = np.concatenate([self._returning, returning])
        self._live[deal[closed]] = False
        self._enter(day, deal, to, amount, expected)

    def _enter(self, day: int, deal: np.ndarray, to: np.ndarray, amount: np.ndarray, expected: np.ndarray) -> None:
        move = self._move_count + np.arange(len(deal))
        self._change(day, deal, "amount", self.amount, amount, move)
        self._change(day, deal, "expected_close_date", self.expected_day, expected, move)
        self.stage[deal], self.entered_day[deal] = to, day
        self._record(day, deal)

    def _record(self, day: int, deal: np.ndarray) -> None:
        self._moves.append((deal, np.full(len(deal), day), self.stage[deal], self.amount[deal], self.expected_day[deal], self.owner[deal]))
        self._move_count += len(deal)

    def _change(self, day: int, deal: np.ndarray, field: str, values: np.ndarray, new: np.ndarray, move: np.ndarray) -> None:
        """Set ``values`` of the deals to ``new`` and record those that changed."""
        old = values[deal]
        changed = np.flatnonzero(new != old)
        one = np.ones(len(changed), np.int64)
        self._changes.append((deal[changed], day * one, FIELDS.index(field) * one, old[changed].astype(np.int64), new[changed].astype(np.int64), move[changed]))
        values[deal] = new

    def _put_off(self, day: int, active: np.ndarray) -> None:
        """Sellers of live deals that did not move today put off close dates that have passed."""
        world = self._world
        late = active[(self.expected_day[active] < day) & self._live[active] & (self.entered_day[active] < day)]
        late = late[self._rng.random(len(late)) < -np.expm1(-world.push_rate * self._rate[day])]
        new = self._close_date(day, world.push_days, world.push_sd, len(late))
        self._change(day, late, "expected_close_date", self.expected_day, new, np.full(len(late), -1))

    def _close_date(self, day: int, median: float, sd: float, size: int) -> np.ndarray:
        ahead = np.ceil(self._rng.lognormal(np.log(median), sd, size)).clip(1, _LAST_DATE_DAYS).astype(np.int64)
        at_month_end = self._rng.random(size) < self._world.month_end_share
        return np.where(at_month_end, self._month_end[day + ahead], day + ahead)

    def _arrive(self, day: int, deal: np.ndarray) -> None:
        self.entered_day[deal] = day
        self.expected_day[deal] = self._close_date(day, self._world.close_days, self._world.close_sd, len(deal))
        self._live[deal] = True
        self._record(day, deal)

    def _come_back(self, day: int, deal: np.ndarray) -> None:
        self._returning = self._returning[self._return_day[self._returning] > day]
        expected = self._close_date(day, self._world.push_days, self._world.push_sd, len(deal))
        self._live[deal] = True
        self._enter(day, deal, self._return_stage[deal], self.amount[deal], expected)

    def _reassignments(self) -> tuple[np.ndarray, np.ndarray]:
        """Deals to be reassigned and the index at which those of each day begin."""
        deals = len(self.created_day)
        chosen = np.flatnonzero(self._rng.random(deals) < self._world.reassigned)
        day = self.created_day[chosen] + 1 + self._rng.integers(0, 120, len(chosen))
        order = np.argsort(day, kind="stable")
        return chosen[order], np.searchsorted(day[order], np.arange(self._world.days + 1))

    def _reassign(self, day: int) -> None:
        """In the evening live deals go to another owner of the team, where there is one."""
        deals, first = self._reassigned_on
        deal = deals[first[day] : first[day + 1]]
        deal = deal[self._live[deal]]
        team = self._owner_team[self.owner[deal]]
        size = np.bincount(self._owner_team)[team]
        start = np.searchsorted(self._owner_team, team)
        step = 1 + np.floor(self._rng.random(len(deal)) * (size - 1)).astype(np.int64)
        new = start + (self.owner[deal] - start + step) % size
        self._change(day, deal, "owner_id", self.owner, new, np.full(len(deal), -1))


def _columns(name: str) -> list[int]:
    """Numbers of the causes that a factor multiplies."""
    return [CAUSES.index(cause) for cause in FACTOR_CAUSES[name]]


def _columns_of(parts: list[tuple[np.ndarray, ...]], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[number] for part in parts]) for number, name in enumerate(names)}


def _month_ends(world: World) -> np.ndarray:
    """The last day of the month of each day, past the end as far as close dates reach."""
    days = pd.date_range(world.start, periods=world.days + _LAST_DATE_DAYS + 1, freq="D")
    return np.asarray((days + pd.offsets.MonthEnd(0) - days[0]).days)
