"""Semi-Markov model of the sales funnel: hazards by stage, age in stage, group and place in the quarter.

What belongs here: fitting those hazards at an origin, correcting their drift, and the daily backward induction that
turns them into probabilities. What does not: counting (models/exposure.py), per-deal results (models/win_probability.py).

Each day an open deal advances, regresses, is won, is lost or stays; the chances depend on its stage, the days it has
been there, its group and the place of the day in the fiscal quarter. Per stage and cause a ridge Poisson regression is
fitted on aggregated cells, recent slots weighing more. Hazards are then multiplied by
(observed + prior) ÷ (expected + prior) of the last two months, for each cause over all stages and then per stage.
Method: docs/forecasting.md; a multi-state model with competing risks in discrete time.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.linear_model import PoissonRegressor

from models.deal_history import ADVANCED, CAUSES, LOST, REGRESSED, WON
from models.exposure import AGE_EDGES_DAYS, OLDEST_AGE_DAYS, POSITIONS, Exposure, quarter_positions

AVERAGE_POSITION = POSITIONS
"""Index of the hazards averaged over the quarter, after those of its places."""

DRIFT_SLOTS = 6
"""Thirds of months that drift is measured on: two months."""

FIRST_DAY_STEP_SD, AGE_STEP_SD, POSITION_SD, GROUP_SD = 2.0, 0.6, 0.2, 0.3
"""Prior standard deviations of log hazard ratios: day of entry to next day, between neighbouring age bins, of a place
in the quarter and of a group member. They are what the ridge penalty stands for."""

NO_EVENT = 0.5
"""Events that a stage in which a cause has never been seen is credited with, at the rate of all stages."""

LARGEST_DAILY_EXIT = 0.999

_AGE_BIN = np.searchsorted(AGE_EDGES_DAYS, np.arange(OLDEST_AGE_DAYS + 1), side="right") - 1
_NEXT_BIN = np.append(_AGE_BIN[1:], _AGE_BIN[-1])


@dataclass(frozen=True)
class SemiMarkov:
    """Fitted daily hazards as known at ``origin_day``.

    ``hazard`` is causes × (quarter places, then their average) × stages × groups × age bins, the chance per day;
    ``destinations`` (advanced, regressed) × stages × stages; ``age_mix`` stages × groups × age bins the weighted days at
    risk; ``newborn_mix`` stages × groups the shares in which recent deals started; ``drift`` causes × stages the
    factors already in ``hazard``; ``expected_drift_events`` and ``drift_events`` (per cause) what they came from.
    """

    origin_day: int
    fiscal_year_start_month: int
    hazard: np.ndarray
    destinations: np.ndarray
    age_mix: np.ndarray
    newborn_mix: np.ndarray
    drift: np.ndarray

    @cached_property
    def _staying(self) -> np.ndarray:
        return (1.0 - self.hazard.sum(axis=0))[..., _NEXT_BIN]

    @cached_property
    def _entering(self) -> np.ndarray:
        """Per place and group, (I − moves made on the day of entry)⁻¹: chains of moves within one day."""
        same_day = self.hazard[ADVANCED : REGRESSED + 1, ..., 0]
        moves = np.einsum("cpsg,cst->pgst", same_day, self.destinations)
        return np.linalg.inv(np.eye(moves.shape[-1]) - moves)

    def won_and_lost_by(self, end_day: int) -> np.ndarray:
        """P(won) and P(lost) by the end of ``end_day`` from each state at the origin.

        Returns outcomes (won, lost) × stages × groups × age in days (0 … `OLDEST_AGE_DAYS`, the last for all older).
        """
        return self._induct(end_day - self.origin_day, self._positions(end_day))[0]

    def newborn_won_by(self, end_day: int) -> np.ndarray:
        """P(won by the end of ``end_day`` | created on day t), for t = origin + 1 … ``end_day``, mixed as recent deals started."""
        entering = self._induct(end_day - self.origin_day, self._positions(end_day))[1]
        return np.tensordot(entering[:, 0], self.newborn_mix, axes=2)

    @cached_property
    def newborn_curve(self) -> np.ndarray:
        """`newborn_won_by_lag` of deals that start as recent ones did, computed once."""
        return self.newborn_won_by_lag()

    def newborn_won_by_lag(self, lags: int = 400, mix: np.ndarray | None = None) -> np.ndarray:
        """P(won by lag day | created), lags 0 … ``lags``, averaged over the quarter.

        ``mix`` (stages × groups, summing to 1) says how the deals start; by default as recent ones did. For the curve
        of one first stage give all its weight to that stage.
        """
        places = np.full(lags + 1, AVERAGE_POSITION)
        entering = self._induct(lags + 1, places)[1][::-1]
        return np.tensordot(entering[:, 0], self.newborn_mix if mix is None else mix, axes=2)

    def _positions(self, end_day: int) -> np.ndarray:
        return quarter_positions(np.arange(self.origin_day + 1, end_day + 1), self.fiscal_year_start_month)

    def _induct(self, days: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Walk back from the last of ``days`` days to the origin; ``places`` has the quarter place of each day.

        Returns the values at the origin and, per day, the values of entering each stage on that day.
        """
        _, _, n_stages, n_groups, _ = self.hazard.shape
        values = np.zeros((2, n_stages, n_groups, OLDEST_AGE_DAYS + 1))
        entering = np.zeros((days, 2, n_stages, n_groups))
        for day in range(days - 1, -1, -1):
            place = places[day]
            hazard = self.hazard[:, place]
            stay_first_day = 1.0 - hazard[..., 0].sum(axis=0)
            ends = hazard[WON : LOST + 1, ..., 0] + stay_first_day * values[..., 0]
            entered = np.einsum("gst,xtg->xsg", self._entering[place], ends)
            entering[day] = entered
            moved = np.einsum("cst,xtg->cxsg", self.destinations, entered)
            by_bin = np.einsum("csgk,cxsg->xsgk", hazard[: REGRESSED + 1], moved) + hazard[WON : LOST + 1]
            older = np.concatenate([values[..., 1:], values[..., -1:]], axis=-1)
            values = by_bin[..., _NEXT_BIN] + self._staying[place] * older
        return values, entering


def fit_semi_markov(exposure: Exposure, origin_day: int, half_life_days: float, drift_prior_events: float) -> SemiMarkov:
    """Fit the hazards known at ``origin_day`` (the as-of day or a month's end in the window of ``exposure``)."""
    known = exposure.slots_known_at(origin_day)
    weight = 0.5 ** ((origin_day - exposure.slot_last_day[:known]) / half_life_days)
    position = exposure.slot_position[:known]
    in_position = (position[None, :] == np.arange(POSITIONS)[:, None]) * weight
    days_at_risk = np.tensordot(in_position, exposure.days_at_risk[:known], axes=1)
    exits = np.stack([np.tensordot(in_position, by_slot, axes=1) for by_slot in exposure.exits[:, :known]])

    hazard = _fitted_hazards(days_at_risk, exits, _design(exposure.group_members))
    destinations = _destinations(np.tensordot(exposure.moves[:, :known], weight, axes=(1, 0)), exposure.pipeline)
    # A stage from which nothing is known to be reachable keeps its deals.
    hazard[: REGRESSED + 1] *= (destinations.sum(axis=-1) > 0)[:, None, :, None, None]
    recent = slice(max(known - DRIFT_SLOTS, 0), known)
    drift = _drift(hazard, exposure.days_at_risk[recent], exposure.exits[:, recent], position[recent], drift_prior_events)
    hazard = hazard * drift[:, None, :, None, None]
    total = hazard.sum(axis=0, keepdims=True)
    hazard *= np.minimum(1.0, LARGEST_DAILY_EXIT / np.maximum(total, LARGEST_DAILY_EXIT))
    created = np.tensordot(weight, exposure.created[:known], axes=1)
    return SemiMarkov(
        origin_day=origin_day,
        fiscal_year_start_month=exposure.fiscal_year_start_month,
        hazard=np.concatenate([hazard, hazard.mean(axis=1, keepdims=True)], axis=1),
        destinations=destinations,
        age_mix=days_at_risk.sum(axis=0),
        newborn_mix=created / max(created.sum(), 1.0) if created.sum() else np.full(created.shape, 1.0 / created.size),
        drift=drift,
    )


def _design(group_members: np.ndarray) -> np.ndarray:
    """Covariates of the cells (quarter place × group × age bin), each scaled by its prior standard deviation.

    Age enters as steps from bin to bin, so that the ridge draws neighbours together rather than all to one level.
    """
    n_groups, n_bins = len(group_members), len(AGE_EDGES_DAYS)
    steps = (np.arange(n_bins)[:, None] > np.arange(n_bins - 1)) * np.r_[FIRST_DAY_STEP_SD, np.full(n_bins - 2, AGE_STEP_SD)]
    places = POSITION_SD * np.eye(POSITIONS)
    members = [GROUP_SD * (column[:, None] == np.unique(column)) for column in group_members.T if len(np.unique(column)) > 1]
    groups = np.concatenate([np.zeros((n_groups, 0)), *members], axis=1)
    shape = (POSITIONS, n_groups, n_bins)
    blocks = (
        np.broadcast_to(places[:, None, None, :], (*shape, places.shape[1])),
        np.broadcast_to(groups[None, :, None, :], (*shape, groups.shape[1])),
        np.broadcast_to(steps[None, None, :, :], (*shape, steps.shape[1])),
    )
    return np.concatenate(blocks, axis=-1).reshape(POSITIONS * n_groups * n_bins, -1)


def _fitted_hazards(days_at_risk: np.ndarray, exits: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Daily hazards, causes × places × stages × groups × age bins, from weighted counts of the same shape."""
    hazard = np.zeros(exits.shape)
    shape = (exits.shape[1], *exits.shape[3:])
    for stage in range(exits.shape[2]):
        at_risk = days_at_risk[:, stage].ravel()
        used = at_risk > 0
        for cause in range(len(CAUSES)):
            events = exits[cause, :, stage].ravel()
            everywhere = exits[cause].sum() / max(days_at_risk.sum(), 1.0)
            if events.sum() < NO_EVENT and everywhere > 0:
                hazard[cause, :, stage] = (events.sum() + NO_EVENT) / (at_risk.sum() + NO_EVENT / everywhere)
            elif everywhere > 0:
                model = PoissonRegressor(alpha=1.0 / at_risk.sum(), solver="newton-cholesky", tol=1e-8)
                model.fit(design[used], events[used] / at_risk[used], sample_weight=at_risk[used])
                hazard[cause, :, stage] = model.predict(design).reshape(shape)
    return hazard


def _destinations(moves: np.ndarray, pipeline: np.ndarray) -> np.ndarray:
    """Shares of the stages that deals move on or back to; half a move to the neighbour stands in for none seen."""
    n_stages = len(pipeline)
    neighbour = (pipeline[:-1] == pipeline[1:]) * NO_EVENT
    counts = moves + np.stack([np.diag(neighbour, 1), np.diag(neighbour, -1)]) if n_stages > 1 else moves.astype(float)
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts, dtype=float), where=total > 0)


def _drift(hazard, days_at_risk, exits, position, prior_events) -> np.ndarray:
    """Factors causes × stages by which recent exits differ from expected ones, shrunk by ``prior_events``."""
    expected = np.einsum("ctsgk,tsgk->cs", hazard[:, position], days_at_risk)
    observed = exits.sum(axis=(1, 3, 4))
    overall = (observed.sum(axis=1) + prior_events) / (expected.sum(axis=1) + prior_events)
    expected = expected * overall[:, None]
    return overall[:, None] * (observed + prior_events) / (expected + prior_events)
