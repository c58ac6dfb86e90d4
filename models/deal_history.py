"""All deals and their stays in stages as arrays of whole days: what every win-probability model reads.

What belongs here: the change from tables to arrays, once per run, and nothing that depends on an origin. What does
not: any rate or probability.

A fact of day d is known at the end of day d. So a stay is in force at the end of day D if entered_day ≤ D <
exited_day, and a model fitted at an origin reads only days up to it.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

NEVER = np.int32(2**30)
"""A day that does not come: the exit of a stay that has not ended."""

UNKNOWN_STAGE = np.int8(-1)

OLDEST_AGE_DAYS = 366
"""From this age in a stage on nothing depends on the age any more. A stay that was under way when the history began has an
unknown age until it is surely that old."""

ADVANCED, REGRESSED, WON, LOST = range(4)
CAUSES = ("advanced", "regressed", "won", "lost")
"""Causes by which a stay ends, in the order of their codes; -1 while it has not ended."""

EPOCH = date(1970, 1, 1).toordinal()

MOST_GROUPS = 36
"""Groups that deals are split into at the most; the cost of semi-Markov tables grows with them."""


def day_number(day: date) -> int:
    """Days from 1970-01-01 to ``day``."""
    return day.toordinal() - EPOCH


def day_date(number: int) -> date:
    """The calendar day of a day number."""
    return date.fromordinal(int(number) + EPOCH)


@dataclass(frozen=True)
class Groups:
    """A low-cardinality split of the deals: ``deal_group`` (int16, one per deal) points into ``names``.

    ``members`` (groups × dimensions, int) says which member of each dimension a group has; effects are additive
    over dimensions.
    """

    deal_group: np.ndarray
    names: tuple[str, ...]
    members: np.ndarray

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.names)


@dataclass(frozen=True)
class DealHistory:
    """Deals (one entry per deal) and stays (one per stay, by deal and order) as known at ``known_day``.

    Days are int32 counted from 1970-01-01. ``stay_stage`` indexes ``stages`` (all pipelines' open stages one after
    the other) and is `UNKNOWN_STAGE` for time in which a deal was open in a stage nobody recorded; ``cause`` indexes
    `CAUSES`. ``outcome_day`` and ``outcome_won`` belong to a stay: the first win or loss of its deal at or after it
    (`NEVER` and False if none). ``stage_now`` is the stage at ``known_day`` even where its entry has no date.

    ``is_entry_dated`` is False for a stay that was under way when the history began: ``entered_day`` is then the day from
    which it is known to be in its stage, and its age is unknown (left truncation). ``starts_known`` (one per deal)
    is False for deals that are older than the history: where they started is not known.
    """

    known_day: int
    stages: tuple[str, ...]
    pipeline: np.ndarray
    opportunity_id: pd.Index
    groups: Groups
    created_day: np.ndarray
    starts_known: np.ndarray
    stage_now: np.ndarray
    first_stay: np.ndarray
    stay_deal: np.ndarray
    stay_stage: np.ndarray
    entered_day: np.ndarray
    is_entry_dated: np.ndarray
    exited_day: np.ndarray
    cause: np.ndarray
    next_stage: np.ndarray
    outcome_day: np.ndarray
    outcome_won: np.ndarray

    def closed_by(self, day: int) -> int:
        """Number of wins and losses known at the end of ``day``."""
        return int(((self.cause >= WON) & (self.exited_day <= day)).sum())


def deal_history(
    opportunities: pd.DataFrame,
    stage_visits: pd.DataFrame,
    stages: pd.DataFrame,
    as_of: date,
    groups: Groups | None = None,
) -> DealHistory:
    """Turn the core tables into arrays.

    Reads of ``opportunities``: opportunity_id, status, stage, created_at, closed_at; of ``stage_visits``:
    opportunity_id, visit_number, stage, seen_at (the entry where it is dated), is_entry_dated, exited_at, exit_kind,
    next_stage, course; of ``stages``: stage, pipeline, position, kind, last_day (of a stage that there is no more).
    ``groups`` is from `deal_groups` on the same opportunities.

    Time in which a deal was open without a recorded stage becomes a stay in an unknown stage: from creation to the
    first recorded entry, or to the outcome of a deal that has no history. An open deal without any date counts as
    created on the as-of day, since that is when it was first known; a closed one without any date is left out.

    Raises ValueError where a visit names no known opportunity or stage.
    """
    known = day_number(as_of)
    # Stages that there are no more stand last, so that those of today are neighbours.
    declared = (
        stages.loc[stages["kind"] == "open"]
        .sort_values(["pipeline", "position"], kind="stable")
        .sort_values("last_day", key=pd.isna, ascending=False, kind="stable")
    )
    stage_index = pd.Index(declared["stage"].astype("str"))
    deals = pd.Index(opportunities["opportunity_id"].astype("str"))
    n_deals = len(deals)

    visit_deal = _run_codes(stage_visits["opportunity_id"], deals)
    visits = pd.DataFrame(
        {
            "deal": visit_deal,
            "stage": _codes(stage_visits["stage"], stage_index),
            "entered": _days(stage_visits["seen_at"]),
            "dated": stage_visits["is_entry_dated"].to_numpy(bool),
            "exited": _days(stage_visits["exited_at"]),
            "cause": _codes(stage_visits["exit_kind"], pd.Index(CAUSES)),
            "next": _codes(stage_visits["next_stage"], stage_index),
        }
    )
    if (visits["deal"] < 0).any() or (visits["stage"] < 0).any():
        strange = stage_visits.loc[((visits["deal"] < 0) | (visits["stage"] < 0)).to_numpy(), "stage"].iloc[0]
        raise ValueError(
            f"stage_visits holds a visit of stage {strange!r} whose opportunity or stage is not in opportunities or stages; build the three tables from one run"
        )
    numbers = stage_visits["visit_number"].to_numpy()
    if not _is_sorted(visit_deal, numbers):
        visits = visits.iloc[np.lexsort((numbers, visit_deal))]
    visits = visits.loc[visits["entered"].to_numpy() <= known]

    closed = (opportunities["status"] != "open").to_numpy() & (_days(opportunities["closed_at"]) <= known)
    is_open = (opportunities["status"] == "open").to_numpy()
    closed_day = np.where(closed, _days(opportunities["closed_at"]), NEVER).astype(np.int32)
    outcome = np.where((opportunities["status"] == "won").to_numpy(), WON, LOST).astype(np.int8)

    visits = _with_unrecorded_time(visits, _days(opportunities["created_at"]), is_open, closed_day, outcome, known)
    deal = visits["deal"].to_numpy(np.int32)
    cause = visits["cause"].to_numpy(np.int8)
    exited = visits["exited"].to_numpy(np.int32)
    ended = (exited <= known) & (cause >= 0)
    exited, cause = np.where(ended, exited, NEVER).astype(np.int32), np.where(ended, cause, -1).astype(np.int8)
    outcome_day, outcome_won = _outcomes(deal, exited, cause)
    first_stay = np.flatnonzero(np.diff(deal, prepend=-1) != 0).astype(np.int32)
    entered = visits["entered"].to_numpy(np.int32)
    created = np.full(n_deals, NEVER, dtype=np.int32)
    created[deal[first_stay]] = entered[first_stay]
    starts_known = np.ones(n_deals, dtype=bool)
    starts_known[visit_deal[(stage_visits["course"] != "whole").to_numpy()]] = False
    return DealHistory(
        known_day=known,
        stages=tuple(stage_index),
        pipeline=_neighbourhoods(declared),
        opportunity_id=deals,
        groups=groups if groups is not None else one_group(n_deals),
        created_day=created,
        starts_known=starts_known,
        stage_now=np.where(is_open, _codes(opportunities["stage"], stage_index), UNKNOWN_STAGE).astype(np.int8),
        first_stay=first_stay,
        stay_deal=deal,
        stay_stage=visits["stage"].to_numpy(np.int8),
        entered_day=entered,
        is_entry_dated=visits["dated"].to_numpy(bool),
        exited_day=exited,
        cause=cause,
        next_stage=np.where(cause < WON, visits["next"].to_numpy(), -1).astype(np.int8),
        outcome_day=outcome_day,
        outcome_won=outcome_won,
    )


def one_group(n_deals: int) -> Groups:
    """All deals in one group: no covariate."""
    return Groups(np.zeros(n_deals, dtype=np.int16), ("all",), np.zeros((1, 0), dtype=np.int64))


def deal_groups(opportunities: pd.DataFrame, opportunity_segments: pd.DataFrame, dimensions: tuple[str, ...]) -> Groups:
    """Split the deals by the members of ``dimensions``, at most `MOST_GROUPS` ways.

    ``opportunity_segments`` has one row per opportunity and dimension (other dimensions may be absent). Only
    dimensions that were known at creation belong here: a field without history would tell the outcome. The largest
    members of a dimension stay apart, the rest are ``other``.
    """
    deals = pd.Index(opportunities["opportunity_id"])
    if not dimensions:
        return one_group(len(deals))
    kept = min(12, int(MOST_GROUPS ** (1 / len(dimensions))))
    codes, labels = [], []
    for dimension in dimensions:
        rows = opportunity_segments.loc[opportunity_segments["dimension"] == dimension]
        member = pd.Series("unassigned", index=range(len(deals)), dtype="str")
        member.iloc[deals.get_indexer(pd.Index(rows["opportunity_id"]))] = rows["member"].to_numpy()
        sizes = member.value_counts().reset_index().sort_values(["count", "index"], ascending=[False, True])["index"]
        names = list(sizes if len(sizes) <= kept else sizes.iloc[: kept - 1])
        code = pd.Index(names).get_indexer(member)
        codes.append(np.where(code < 0, len(names), code))
        labels.append([*names, "other"])
    place = np.zeros(len(deals), dtype=np.int64)
    for code, names in zip(codes, labels, strict=True):
        place = place * len(names) + code
    _, first, group = np.unique(place, return_index=True, return_inverse=True)
    members = np.stack(codes, axis=1)[first]
    names = tuple(" / ".join(labels[d][m] for d, m in enumerate(row)) for row in members)
    return Groups(group.reshape(-1).astype(np.int16), names, members)


def _neighbourhoods(declared: pd.DataFrame) -> np.ndarray:
    """A number per open stage, equal for stages that deals may be expected to move between: those of one pipeline.

    A stage that there is no more is nobody's neighbour: nothing moves into it.
    """
    gone = declared["last_day"].notna()
    return pd.factorize(declared["pipeline"].astype("str") + np.where(gone, " until " + declared["stage"].astype("str"), ""))[0].astype(np.int8)


def _with_unrecorded_time(visits, created, is_open, closed_day, outcome, known) -> pd.DataFrame:
    """Visits with stays in an unknown stage before the first visit, instead of any, and after the last of an open deal."""
    n_deals = len(created)
    deal = visits["deal"].to_numpy()
    is_first = np.diff(deal, prepend=-1) != 0
    is_last = np.diff(deal, append=n_deals) != 0
    first_entry = np.full(n_deals, NEVER)
    first_entry[deal[is_first]] = visits["entered"].to_numpy()[is_first]
    exit_known = (visits["exited"].to_numpy() <= known) & (visits["cause"].to_numpy() >= 0)
    # A closed deal whose last visit has no exit ended when the deal closed.
    ends_with_deal = is_last & ~exit_known & (closed_day[deal] <= known)
    visits = visits.assign(exited=np.where(ends_with_deal, closed_day[deal], visits["exited"]), cause=np.where(ends_with_deal, outcome[deal], visits["cause"]))
    last_exit = np.full(n_deals, NEVER)
    last_exit[deal[is_last]] = np.where(exit_known[is_last], visits["exited"].to_numpy()[is_last], NEVER)
    has_visit = first_entry < NEVER

    before = np.flatnonzero((created < first_entry) & has_visit)
    alone = np.flatnonzero(~has_visit & ((created <= known) | is_open) & (is_open | ((closed_day < NEVER) & (created <= closed_day))))
    after = np.flatnonzero(has_visit & is_open & (last_exit < NEVER))
    if not len(before) + len(alone) + len(after):
        return visits
    unrecorded = [
        _stays(before, created[before], first_entry[before], np.int8(ADVANCED)),
        _stays(alone, np.minimum(created[alone], known), closed_day[alone], np.where(is_open[alone], -1, outcome[alone])),
    ]
    stays = pd.concat([*unrecorded, visits, _stays(after, last_exit[after], NEVER, -1)], ignore_index=True)
    return stays.iloc[np.argsort(stays["deal"].to_numpy(), kind="stable")]


def _stays(deal, entered, exited, cause) -> pd.DataFrame:
    columns = {"deal": deal.astype(np.int32), "stage": UNKNOWN_STAGE, "entered": entered, "exited": exited, "cause": cause, "next": np.int8(-1)}
    columns |= {"dated": True}
    return pd.DataFrame(columns, index=range(len(deal))).astype({"entered": np.int32, "exited": np.int32, "cause": np.int8})


def _outcomes(deal, exited, cause) -> tuple[np.ndarray, np.ndarray]:
    """Day and kind of the first win or loss at or after each stay."""
    n = len(deal)
    position = np.where(cause >= WON, np.arange(n, dtype=np.int32), np.int32(n))
    following = np.minimum.accumulate(position[::-1])[::-1]
    place = np.minimum(following, max(n - 1, 0))
    found = (following < n) & (deal[place] == deal) if n else np.zeros(0, dtype=bool)
    return np.where(found, exited[place], NEVER).astype(np.int32), found & (cause[place] == WON)


def _days(times: pd.Series) -> np.ndarray:
    """Whole days since 1970-01-01; `NEVER` where there is none."""
    stamps = pd.to_datetime(times).to_numpy("datetime64[D]")
    return np.where(np.isnat(stamps), NEVER, stamps.astype(np.int64)).astype(np.int32)


def _codes(values: pd.Series, names: pd.Index) -> np.ndarray:
    """Position of each value in ``names``, -1 where it is not there; each distinct value is looked up once."""
    codes, distinct = pd.factorize(values)
    found = np.append(names.get_indexer(pd.Index(distinct, dtype=names.dtype)), -1)
    return found[codes].astype(np.int8)


def _run_codes(ids: pd.Series, deals: pd.Index) -> np.ndarray:
    """Position of each id in ``deals``; equal neighbours are looked up once, as the table comes sorted by id."""
    ids = ids.astype("str")
    starts = (ids != ids.shift()).to_numpy()
    found = deals.get_indexer(pd.Index(ids[starts])).astype(np.int32)
    return found[np.cumsum(starts) - 1] if len(ids) else np.zeros(0, dtype=np.int32)


def _is_sorted(deal: np.ndarray, number: np.ndarray) -> bool:
    step = np.diff(deal)
    return bool(np.all((step > 0) | ((step == 0) & (np.diff(number) > 0))))
