"""A small funnel with known daily hazards, drawn into the core tables, for tests of win probabilities."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

STAGES = ("first", "second", "last")
START = pd.Timestamp("2022-01-01")


@dataclass(frozen=True)
class Funnel:
    """Chances per day, one per stage; from ``drop_day`` on those of winning are multiplied by ``drop``."""

    win: tuple[float, ...] = (0.0, 0.002, 0.02)
    lose: tuple[float, ...] = (0.012, 0.008, 0.010)
    advance: tuple[float, ...] = (0.03, 0.02, 0.0)
    drop_day: int = 10**6
    drop: float = 1.0


@dataclass(frozen=True)
class DealFrames:
    """Core tables as known at the end of ``as_of``."""

    opportunities: pd.DataFrame
    stage_visits: pd.DataFrame
    stages: pd.DataFrame
    opportunity_segments: pd.DataFrame
    as_of: date

    @property
    def tables(self) -> tuple:
        """Arguments of `deal_history`."""
        return self.opportunities, self.stage_visits, self.stages, self.as_of


def draw_deals(funnel: Funnel, deals: int, days: int, seed: int) -> DealFrames:
    """Draw ``deals`` created evenly over ``days``; groups have nothing to do with the outcome."""
    random = np.random.default_rng(seed)
    win, lose, advance = (np.array(rates) for rates in (funnel.win, funnel.lose, funnel.advance))
    created = np.sort(random.integers(0, days - 1, deals))
    stage, entered, closed = np.full(deals, -1), np.zeros(deals, int), np.full(deals, -1)
    status = np.full(deals, "open", dtype=object)
    stays = []
    for day in range(days):
        live = np.flatnonzero((stage >= 0) & (closed < 0))
        at = stage[live]
        wins = win[at] * (funnel.drop if day >= funnel.drop_day else 1.0)
        bounds = np.cumsum(np.stack([wins, lose[at], advance[at]]), axis=0)
        fate = (random.random(len(live)) >= bounds).sum(axis=0)
        for code, kind in enumerate(("won", "lost", "advanced")):
            gone = live[fate == code]
            stays.append(pd.DataFrame({"deal": gone, "stage": stage[gone], "from": entered[gone], "to": day, "kind": kind}))
            if kind == "advanced":
                stage[gone] += 1
                entered[gone] = day
            else:
                status[gone], closed[gone] = kind, day
        new = np.flatnonzero(created == day)
        stage[new], entered[new] = 0, day
    left = np.flatnonzero((closed < 0) & (stage >= 0))
    stays.append(pd.DataFrame({"deal": left, "stage": stage[left], "from": entered[left], "to": -1, "kind": None}))
    visits = pd.concat(stays, ignore_index=True).sort_values(["deal", "stage"], kind="stable", ignore_index=True)
    ids, names = np.array([f"D{n:06d}" for n in range(deals)]), np.array([*STAGES, "won"])
    following = np.where(visits["kind"] == "advanced", names[visits["stage"] + 1], visits["kind"])
    return DealFrames(
        opportunities=pd.DataFrame(
            {
                "opportunity_id": ids,
                "status": status,
                "stage": np.where(closed < 0, names[np.maximum(stage, 0)], status),
                "created_at": _times(created),
                "closed_at": _times(closed),
            }
        ),
        stage_visits=pd.DataFrame(
            {
                "opportunity_id": ids[visits["deal"]],
                "visit_number": visits.groupby("deal").cumcount() + 1,
                "stage": names[visits["stage"]],
                "entered_at": _times(visits["from"]),
                "seen_at": _times(visits["from"]),
                "is_entry_dated": True,
                "course": "whole",
                "exited_at": _times(visits["to"]),
                "exit_kind": visits["kind"],
                "next_stage": following,
            }
        ),
        stages=pd.DataFrame(
            {
                "stage": [*STAGES, "won", "lost"],
                "pipeline": "sales",
                "position": [1, 2, 3, 4, 0],
                "kind": ["open", "open", "open", "won", "lost"],
                "last_day": pd.NaT,
            }
        ),
        opportunity_segments=pd.DataFrame({"opportunity_id": ids, "dimension": "source", "member": random.choice(["web", "fair", "partner"], deals)}),
        as_of=(START + timedelta(days=days - 1)).date(),
    )


def known_at(frames: DealFrames, day: date) -> DealFrames:
    """The same tables as they stood at the end of an earlier ``day``: nothing later is in them."""
    end = pd.Timestamp(day) + pd.Timedelta(days=1)
    visits = frames.stage_visits.loc[frames.stage_visits["entered_at"] < end].copy()
    staying = ~(visits["exited_at"] < end)
    visits.loc[staying, ["exit_kind", "next_stage"]] = None
    visits.loc[staying, "exited_at"] = pd.NaT
    deals = frames.opportunities.loc[frames.opportunities["created_at"] < end].copy()
    still_open = ~(deals["closed_at"] < end)
    newest = visits.groupby("opportunity_id")["stage"].last()
    deals.loc[still_open, "status"] = "open"
    deals.loc[still_open, "stage"] = deals.loc[still_open, "opportunity_id"].map(newest)
    deals.loc[still_open, "closed_at"] = pd.NaT
    segments = frames.opportunity_segments
    return DealFrames(deals, visits, frames.stages, segments.loc[segments["opportunity_id"].isin(deals["opportunity_id"])], day)


def won_by_truth(funnel: Funnel, days: int) -> np.ndarray:
    """P(won within ``days``) from each stage, by the chain's own matrix."""
    n = len(STAGES)
    step = np.zeros((n + 2, n + 2))
    step[n, n] = step[n + 1, n + 1] = 1.0
    for s in range(n):
        step[s, n], step[s, n + 1] = funnel.win[s], funnel.lose[s]
        if s + 1 < n:
            step[s, s + 1] = funnel.advance[s]
        step[s, s] = 1.0 - step[s].sum()
    return np.linalg.matrix_power(step, days)[:n, n]


def _times(days) -> pd.Series:
    days = pd.Series(np.asarray(days))
    return (START + pd.to_timedelta(days, unit="D")).where(days >= 0)
