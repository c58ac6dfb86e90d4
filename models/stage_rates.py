"""Empirical-Bayes win and loss rates per stage and horizon, and the base rate: the simple methods.

What belongs here: rates that look at nothing but the stage (or at nothing at all). What does not: age, groups,
calendar; those are the semi-Markov model's.

For each stage the cumulative incidence of winning and of losing is estimated from monthly landmarks of the trailing
24 months (Aalen-Johansen with competing risks; landmarks weighted by age with a half-life). A landmark takes part in
lag k only if D + k ≤ origin, so open deals censor and do not bias "ever". Each stage's curve is then shrunk as a
whole towards the pooled curve, as a beta-binomial rate with a prior of ``prior_deals``: a mixture of two incidence
curves is one too, so rates rise with the horizon and won + lost ≤ 1 by construction.
"""

from dataclasses import dataclass

import numpy as np

from models.landmarks import EVER_DAYS, LONGEST_LAG_DAYS, LandmarkCounts

TRAILING_LANDMARKS = 24
PRIOR_OUTCOMES = 1.0
PRIOR_WIN_SHARE = 0.23
PRIOR_CYCLE_DAYS = 90.0
"""What is expected of a company of which nothing is known, with the weight of one outcome: the illustrative benchmarks of
opportunity conversion and cycle (docs/configuration.md)."""

LEAST_AT_RISK = 5.0
"""Weighted deals at risk below which a curve is not followed further but extrapolated."""


@dataclass(frozen=True)
class StageRates:
    """Cumulative probabilities by days after the origin.

    ``won`` and ``lost`` are rows × lag days (0 … `LONGEST_LAG_DAYS`), ``won_ever`` and ``lost_ever`` one per row. Rows: one
    per stage; the last but one is the pooled rate of all open deals (the base rate, and what a deal of unknown stage
    gets); the last is a deal just created.
    """

    origin_day: int
    won: np.ndarray
    lost: np.ndarray
    won_ever: np.ndarray
    lost_ever: np.ndarray

    @property
    def base_row(self) -> int:
        """Row of the pooled rate."""
        return len(self.won) - 2

    @property
    def newborn_row(self) -> int:
        """Row of a deal just created."""
        return len(self.won) - 1

    @property
    def has_outcomes(self) -> bool:
        """Whether any deal that was open at a landmark had ended by the origin: else all rates are 0 and say nothing."""
        return bool(self.won_ever[self.base_row] + self.lost_ever[self.base_row] > 0)

    def by(self, horizon_days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(won by) and P(lost by) at ``horizon_days`` after the origin, rows × horizons.

        Beyond the longest lag the curves go in a straight line to "ever" at `EVER_DAYS`.
        """
        lags = np.asarray(horizon_days)
        inside = np.minimum(lags, LONGEST_LAG_DAYS)
        beyond = np.clip((lags - LONGEST_LAG_DAYS) / (EVER_DAYS - LONGEST_LAG_DAYS), 0, 1)
        won = self.won[:, inside] + beyond * (self.won_ever[:, None] - self.won[:, inside])
        lost = self.lost[:, inside] + beyond * (self.lost_ever[:, None] - self.lost[:, inside])
        return won, lost

    def newborn_won_by_lag(self, lags: int = 400) -> np.ndarray:
        """P(won by lag day | created), lags 0 … ``lags``, without regard to stage."""
        return self.won[self.newborn_row, : lags + 1]


def fit_stage_rates(counts: LandmarkCounts, origin_day: int, half_life_days: float, prior_deals: float) -> StageRates:
    """Fit the rates known at ``origin_day``."""
    use = (counts.days <= origin_day).nonzero()[0][-TRAILING_LANDMARKS:]
    days = counts.days[use]
    weight = 0.5 ** ((origin_day - days) / half_life_days)
    known = np.arange(LONGEST_LAG_DAYS + 1)[None, :] <= (origin_day - days)[:, None]
    is_open, won, lost = counts.open[use], counts.won[use], counts.lost[use]

    n_stages = counts.stages
    pooled = slice(0, n_stages + 1)
    curves = [_incidence(is_open[:, s], won[:, s], lost[:, s], weight, known) for s in range(n_stages)]
    base = _incidence(is_open[:, pooled].sum(1), won[:, pooled].sum(1), lost[:, pooled].sum(1), weight, known)
    newborn = _incidence(is_open[:, -1], won[:, -1], lost[:, -1], weight, known)

    # The same deal stands at several landmarks, so the evidence of a stage is counted in deals that have ended.
    evidence = (weight[:, None] * counts.closed[use]).sum(0)
    # A company that has closed nothing yet, or only lost, is not certain to go on so.
    ended = max(evidence.max(initial=0.0), 0.0)
    base, newborn = (_with_prior(curves, ended / (ended + PRIOR_OUTCOMES)) for curves in (base, newborn))
    own = (evidence / (evidence + prior_deals))[:, None]
    stage_curves = np.array(curves).reshape(n_stages, 2, LONGEST_LAG_DAYS + 2).transpose(1, 0, 2)
    shrunk = own * stage_curves + (1 - own) * np.array(base)[:, None, :]
    won_by, lost_by = np.concatenate([shrunk, np.array([base, newborn]).transpose(1, 0, 2)], axis=1)
    return StageRates(origin_day, won_by[:, :-1], lost_by[:, :-1], won_by[:, -1], lost_by[:, -1])


def _with_prior(curves: tuple[np.ndarray, np.ndarray], own: float) -> tuple[np.ndarray, np.ndarray]:
    """Incidence of winning and losing mixed, with the weight ``own``, with what is expected before any outcome is known."""
    closed = -np.expm1(-np.append(np.arange(LONGEST_LAG_DAYS + 1), EVER_DAYS) / PRIOR_CYCLE_DAYS)
    return tuple(own * curve + (1 - own) * share * closed for curve, share in zip(curves, (PRIOR_WIN_SHARE, 1 - PRIOR_WIN_SHARE), strict=True))


def _incidence(is_open, won, lost, weight, known) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative incidence of winning and losing by lag, with "ever" appended at the end.

    A landmark whose lag k has not passed leaves the risk set before k.
    """
    ended = np.cumsum(won + lost, axis=1)
    before = np.concatenate([np.zeros((len(ended), 1), dtype=ended.dtype), ended[:, :-1]], axis=1)
    at_risk = (weight[:, None] * known * (is_open[:, None] - before)).sum(0)
    wins = (weight[:, None] * known * won).sum(0)
    losses = (weight[:, None] * known * lost).sum(0)
    followed = at_risk >= LEAST_AT_RISK
    end = int(np.argmin(followed)) if not followed.all() else len(followed)
    divisor = np.where(np.arange(len(at_risk)) < end, at_risk, np.inf)
    win_hazard, loss_hazard = wins / divisor, losses / divisor
    surviving = np.cumprod(1 - win_hazard - loss_hazard)
    open_before = np.concatenate([[1.0], surviving[:-1]])
    won_by, lost_by = np.cumsum(open_before * win_hazard), np.cumsum(open_before * loss_hazard)

    # What is still open at the end of follow-up goes on ending as fast and as well as in its second half, up to
    # EVER_DAYS; a pseudo-exit at the overall share steadies few late exits.
    late = slice(end // 2, end)
    late_exits = wins[late].sum() + losses[late].sum()
    share = (wins[:end].sum() + 0.5) / (wins[:end].sum() + losses[:end].sum() + 1)
    late_share = (wins[late].sum() + share) / (late_exits + 1)
    late_hazard = late_exits / max(at_risk[late].sum(), 1.0)
    left = max(0.0, 1.0 - won_by[-1] - lost_by[-1]) * -np.expm1(-late_hazard * (EVER_DAYS - end))
    return np.append(won_by, won_by[-1] + left * late_share), np.append(lost_by, lost_by[-1] + left * (1 - late_share))
