"""The faults of real exports, planted in known places of a simulated company's rows.

What belongs here: which rows are spoilt, how, and what must be said of each. What does not: any written form; where
a value is to become unreadable a *word* is noted, which each form of export spells in its own way.

Both forms of export get the same faults in the same deals, so that what is accepted of them is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.simulator import SimulatedCompany
from pipelines.demo.names import PROBABILITIES
from pipelines.demo.sellers import seller_probabilities

REJECTED, SUPERSEDED, ACCEPTED, SET_ASIDE = "rejected", "superseded", "accepted", "value_set_aside"
"""Verdicts: of a row rejected or superseded; accepted, the codes being warnings; accepted without one value."""

CHILDREN = ("stage_history", "field_history", "activities")
MARKUP = ("<script>alert(1)</script>", '=HYPERLINK("http://example.com","open")')
"""Text that a careless report would run."""

_EARLY = pd.Timedelta(days=30)
_AFTER_END = pd.Timedelta(days=45)
_ORPHAN_FIRST = 8_000_000_001
_MODEST_QUANTILE = 0.6
"""Faults go into deals below this quantile of amounts, so that little open amount is rejected."""


@dataclass(frozen=True)
class Fault:
    """One planted row: ``codes`` must be among the reasons given for it (others may be there too)."""

    table: str
    label: int
    kind: str
    codes: tuple[str, ...]
    verdict: str


@dataclass(frozen=True)
class Patch:
    """One value to be replaced by a form's own spelling of ``word`` once the row is text."""

    table: str
    label: int
    column: str
    word: str


@dataclass(frozen=True)
class Dirty:
    """Canonical frames with planted rows (the index labels rows), patches of their text, and the faults in them."""

    frames: dict[str, pd.DataFrame]
    patches: tuple[Patch, ...]
    faults: tuple[Fault, ...]


def plant(company: SimulatedCompany, seed: int) -> Dirty:
    """Plant the faults in the rows of ``company``; equal arguments give equal rows.

    Raises ValueError where the company has too few deals to plant in.
    """
    planting = _Planting(company, seed)
    planting.spoil_opportunities()
    planting.add_versions()
    planting.add_children()
    return planting.result()


def orphaned(frames: dict[str, pd.DataFrame], faults: tuple[Fault, ...]) -> Iterator[Fault]:
    """What follows for the rows that belong to rejected opportunities: they are rejected too.

    A deal whose newest row is rejected and an older one accepted stays in force, and so do its rows.
    """
    opportunities = frames["opportunities"]
    rejected = {f.label: f.codes for f in faults if f.table == "opportunities" and f.verdict == REJECTED}
    ids = opportunities["opportunity_id"]
    in_force = set(ids.drop(index=list(rejected)))
    by_id = {ids[label]: "unknown_opportunity" if "missing_opportunity_id" in codes else "parent_rejected" for label, codes in rejected.items()}
    planted = {(f.table, f.label) for f in faults}
    for table in CHILDREN:
        of_rejected = frames[table]["opportunity_id"].map({i: code for i, code in by_id.items() if i not in in_force})
        for label, code in of_rejected.dropna().items():
            if (table, label) not in planted:
                yield Fault(table, label, "follows_its_opportunity", (code,), REJECTED)


class _Planting:
    def __init__(self, company: SimulatedCompany, seed: int):
        self._company = company
        self._rng = np.random.default_rng(seed)
        self._end = pd.Timestamp(company.world.end)
        self._frames = {
            "opportunities": company.opportunities.assign(
                is_deleted=False, currency="CNY", markup="", crm_probability=seller_probabilities(company.opportunities, seed)
            ),
            "stage_history": company.stage_history.copy(),
            "field_history": company.field_history.copy(),
            "activities": company.activities.copy(),
            "accounts": company.accounts.copy(),
            "owners": company.owners.copy(),
            "targets": company.targets.copy(),
        }
        self._copies: list[tuple[str, pd.DataFrame]] = []
        self._patches: list[Patch] = []
        self._faults: list[Fault] = []
        self._orphans = 0
        opportunities = company.opportunities
        modest = opportunities["amount"] <= opportunities["amount"].quantile(_MODEST_QUANTILE)
        moved = opportunities["opportunity_id"].map(company.stage_history["opportunity_id"].value_counts()) >= 3
        usable = opportunities[modest & moved]
        self._pools = {
            kind: list(self._rng.permutation(usable.index[usable["is_closed"].eq(closed) & usable["is_won"].eq(won)]))
            for kind, closed, won in (("open", False, False), ("won", True, True), ("lost", True, False))
        }

    def _take(self, kind: str, count: int) -> list[int]:
        pool = self._pools[kind]
        if len(pool) < count:
            raise ValueError(f"too few {kind} deals to plant faults in: simulate at least 1,500 deals")
        taken, self._pools[kind] = pool[:count], pool[count:]
        return [int(label) for label in taken]

    def _note(self, table: str, labels: list[int], kind: str, code: str | None, verdict: str, *patches: tuple[str, str]) -> None:
        self._faults += [Fault(table, label, kind, (code,) if code else (), verdict) for label in labels]
        self._patches += [Patch(table, label, column, word) for label in labels for column, word in patches]

    def spoil_opportunities(self) -> None:
        """Faults within the rows of existing deals."""
        rows = self._frames["opportunities"]
        note = self._note

        note("opportunities", self._take("lost", 3), "unreadable_date", "unreadable_created_at", REJECTED, ("created_at", "unreadable_date"))
        note("opportunities", self._take("open", 4), "unreadable_amount", "unreadable_amount", SET_ASIDE, ("amount", "unreadable_amount"))
        note("opportunities", self._take("open", 3), "unreadable_date", "unreadable_expected_close_date", SET_ASIDE, ("expected_close_date", "unreadable_date"))
        note("opportunities", self._take("open", 2) + self._take("lost", 2), "unknown_stage", "unknown_stage", REJECTED, ("stage", "unknown_stage"))
        note("opportunities", self._take("lost", 3), "missing_id", "missing_opportunity_id", REJECTED, ("opportunity_id", "empty"))
        note("opportunities", self._take("lost", 2), "unknown_currency", "unknown_currency", REJECTED, ("currency", "unknown_currency"))
        note("opportunities", self._take("won", 2), "won_without_amount", "won_without_amount", ACCEPTED, ("amount", "empty"))
        note("opportunities", self._take("open", 2), "owner_missing", "owner_missing", ACCEPTED, ("owner_id", "empty"))
        note("opportunities", self._take("open", 1), "line_break", None, ACCEPTED, ("name", "line_break"))

        labels = self._take("open", 2)
        rows.loc[labels, "created_at"] = self._end + _AFTER_END + pd.Timedelta(hours=10)
        rows.loc[labels, "expected_close_date"] = self._end + 2 * _AFTER_END
        note("opportunities", labels, "created_in_future", "created_in_future", REJECTED)

        labels = self._take("won", 1) + self._take("lost", 1)
        rows.loc[labels, ["closed_at", "expected_close_date"]] = self._end + _AFTER_END
        note("opportunities", labels, "closed_in_future", "closed_in_future", REJECTED)

        labels = self._take("won", 1) + self._take("lost", 2)
        early = rows.loc[labels, "created_at"].dt.normalize() - _EARLY
        rows.loc[labels, "closed_at"] = early
        rows.loc[labels, "expected_close_date"] = early
        note("opportunities", labels, "closed_before_created", "closed_before_created", REJECTED)

        labels = self._take("lost", 4)
        rows.loc[labels, "is_won"] = True
        note("opportunities", labels, "contradictory_outcome", "contradictory_outcome", ACCEPTED)

        labels = self._take("open", 1) + self._take("lost", 2)
        rows.loc[labels, "owner_id"] = "0055g8000000001AAA"
        note("opportunities", labels, "unknown_owner", "unknown_owner", ACCEPTED)

        labels = self._take("won", 2) + self._take("lost", 2)
        rows.loc[labels, "markup"] = [MARKUP[i % 2] for i in range(4)]
        rows.loc[labels[1:3], "source"] = [MARKUP[1], MARKUP[0]]
        note("opportunities", labels, "markup", None, ACCEPTED)

    def add_versions(self) -> None:
        """Copies and older versions of whole rows."""
        self._add("opportunities", self._as_created(self._take("won", 3) + self._take("lost", 3)), "older_version", None, SUPERSEDED)

        newest = self._take("open", 1) + self._take("lost", 1)
        self._note("opportunities", newest, "newest_rejected", "unknown_stage", REJECTED, ("stage", "unknown_stage"))
        self._add("opportunities", self._as_created(newest), "stale_version", None, ACCEPTED)

        self._copy("opportunities", self._take("won", 2) + self._take("open", 2) + self._take("lost", 2))
        for table, count in (("stage_history", 5), ("field_history", 2), ("activities", 2), ("accounts", 2), ("owners", 1)):
            self._copy(table, self._any(table, count))

    def add_children(self) -> None:
        """Rows of history and activities that no accepted deal can own, or that cannot be."""
        rejected, note = REJECTED, self._add
        start = pd.Timestamp(self._company.world.start)
        later = self._end + _AFTER_END + pd.Timedelta(hours=9)

        note("stage_history", self._orphan("stage_history", 4), "orphan", "unknown_opportunity", rejected)
        note("stage_history", self._like("stage_history", 3), "unreadable_date", "unreadable_entered_at", rejected, ("entered_at", "unreadable_date"))
        note("stage_history", self._like("stage_history", 2), "missing_id", "missing_opportunity_id", rejected, ("opportunity_id", "empty"))
        note("stage_history", self._like("stage_history", 3), "unknown_stage", "unknown_stage", rejected, ("stage", "unknown_stage"))
        note("stage_history", self._like("stage_history", 2).assign(entered_at=later), "future", "entered_in_future", rejected)
        note("stage_history", self._like("stage_history", 2).assign(entered_at=start - _EARLY), "before_creation", "entered_before_created", rejected)

        note("field_history", self._orphan("field_history", 2), "orphan", "unknown_opportunity", rejected)
        note("field_history", self._like("field_history", 2).assign(changed_at=later), "future", "changed_in_future", rejected)
        amounts = self._like("field_history", 2, self._frames["field_history"]["field"] == "amount")
        amounts["changed_at"] += pd.Timedelta(minutes=1)
        note("field_history", amounts, "unreadable_value", "unreadable_new_value", rejected, ("new_value", "unreadable_amount"))

        note("activities", self._orphan("activities", 2), "orphan", "unknown_opportunity", rejected)
        note("activities", self._new_activities(2), "unreadable_date", "unreadable_happened_at", rejected, ("happened_at", "unreadable_date"))
        note("activities", self._new_activities(2).assign(happened_at=later), "planned", "happened_in_future", ACCEPTED)

    def result(self) -> Dirty:
        """Rows in the order a CRM gives them (by change or by deal and time), copies at the end as after a paging error."""
        order = {
            "opportunities": ["updated_at", "opportunity_id"],
            "stage_history": ["opportunity_id", "entered_at"],
            "field_history": ["opportunity_id", "changed_at"],
            "activities": ["opportunity_id", "happened_at"],
        }
        for table, columns in order.items():
            self._frames[table] = self._frames[table].sort_values(columns, kind="stable")
        for table, copies in self._copies:
            self._frames[table] = pd.concat([self._frames[table], copies])
        return Dirty(self._frames, tuple(self._patches), tuple(self._faults))

    def _clean(self, table: str) -> pd.Index:
        """Labels of untouched rows, of children those whose opportunity is untouched."""
        rows = self._frames[table]
        touched = {f.label for f in self._faults if f.table == table}
        free = rows.index.difference(list(touched))
        if table in CHILDREN:
            spoilt = {f.label for f in self._faults if f.table == "opportunities"}
            known = self._frames["opportunities"]["opportunity_id"].drop(index=list(spoilt))
            free = free[rows.loc[free, "opportunity_id"].isin(known)]
        return free

    def _any(self, table: str, count: int, among: pd.Series | None = None) -> list[int]:
        free = self._clean(table)
        if among is not None:
            free = free[among[free]]
        return [int(label) for label in self._rng.choice(free, size=count, replace=False)]

    def _new_labels(self, table: str, rows: pd.DataFrame) -> pd.DataFrame:
        used = [self._frames[table], *(copies for name, copies in self._copies if name == table)]
        first = max(frame.index.max() for frame in used) + 1
        return rows.set_axis(range(first, first + len(rows)))

    def _add(self, table: str, rows: pd.DataFrame, kind: str, code: str | None, verdict: str, *patches: tuple[str, str]) -> None:
        added = self._new_labels(table, rows)
        self._frames[table] = pd.concat([self._frames[table], added])
        self._note(table, list(added.index), kind, code, verdict, *patches)

    def _copy(self, table: str, labels: list[int]) -> None:
        """Of equal rows the last one counts, so it is the earlier that is superseded."""
        copies = self._new_labels(table, self._frames[table].loc[labels])
        self._copies.append((table, copies))
        self._note(table, labels, "copy", None, SUPERSEDED)

    def _as_created(self, labels: list[int]) -> pd.DataFrame:
        """The rows as they stood when the deals were created."""
        rows = self._frames["opportunities"].loc[labels]
        first = self._company.stage_history.drop_duplicates("opportunity_id").set_index("opportunity_id").loc[rows["opportunity_id"]]
        then = {column: first[column].to_numpy() for column in ("stage", "amount", "expected_close_date", "owner_id")}
        proposed = first["stage"].map(PROBABILITIES).to_numpy()
        return rows.assign(**then, crm_probability=proposed, updated_at=rows["created_at"], closed_at=pd.NaT, is_closed=False, is_won=False, loss_reason=None)

    def _like(self, table: str, count: int, among: pd.Series | None = None) -> pd.DataFrame:
        return self._frames[table].loc[self._any(table, count, among)]

    def _new_activities(self, count: int) -> pd.DataFrame:
        first = len(self._frames["activities"]) + 1
        ids = [f"00T5g{number:010d}AAA" for number in range(first, first + count)]
        return self._like("activities", count).assign(activity_id=ids)

    def _orphan(self, table: str, count: int) -> pd.DataFrame:
        first = _ORPHAN_FIRST + self._orphans
        self._orphans += count
        rows = self._new_activities(count) if table == "activities" else self._like(table, count)
        return rows.assign(opportunity_id=[f"0065g{number:010d}AAA" for number in range(first, first + count)])
