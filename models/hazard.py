"""Corrections of the semi-Markov hazards by everything else that is known of a deal: discrete-time competing risks.

What belongs here: the rows of landmark × half-month that a correction is fitted on, the fit, and its application to open
deals. What does not: the semi-Markov model itself (models/semi_markov.py) and the features (models/features.py).

For each landmark and each of the six half-months after it that a deal enters open, the semi-Markov model expects so many wins
and losses (its hazard of the half-month). A ridge logistic regression finds the log odds of each: slope × the expected log odds,
the slope all but free, + x β for the deal's features, drawn to 0. Rows take part as soon as their half-month has passed,
whether the deal has ended or not (Prentice and Gloeckler 1978, Biometrics 34; landmarking: van Houwelingen 2007,
Scandinavian Journal of Statistics 34).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from sklearn import config_context
from sklearn.linear_model import LogisticRegression

from models.deal_states import HALF_MONTHS_AHEAD, DealStates, TrainingStates
from models.features import Design, design
from models.semi_markov import SemiMarkov

TRAINING_DAYS = 731
LEAST_EXPECTED = 1e-5
LEAST_LEARNED = 0.002
"""Hazard of a half-month below which a row is not learned from: next to nothing can be seen there."""

LARGEST_HAZARD = 0.98
LARGEST_LOG_FACTOR = 4.0
LARGEST_STRETCH = 3.0
PACE_BOUNDS = (0.01, 4.0)

TAIL_SHARE = 0.5
"""How much of a deal's correction still holds beyond the half-months that it was learned on."""

EVENT_FREE_STRIDE = 5
"""One in so many rows without an event is kept, with that weight."""

SLOPE_SD = 3.0
EFFECT_SD = 0.4
"""Prior standard deviations of the slope, wide enough to leave it free, and of the effect of one unit of a feature on the log odds."""

WON_CAUSE, LOST_CAUSE = range(2)


@dataclass(frozen=True)
class HazardCorrection:
    """Log odds of winning and losing in each half-month ahead: ``slope`` × the expected ones, and what features add.

    ``slope`` is (won, lost), ``coefficients`` (won, lost) × design columns, ``by_half_month`` (won, lost) × `HALF_MONTHS_AHEAD`; ``codes`` names the
    feature of each column; ``mean`` (columns) is the usual state, from which reasons are counted.
    """

    slope: np.ndarray
    coefficients: np.ndarray
    by_half_month: np.ndarray
    codes: tuple[str, ...]
    mean: np.ndarray


def hazards_of(won: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hazards of winning and losing in each step, given open before it, from cumulative probabilities (… × steps)."""
    open_before = np.maximum(1.0 - np.concatenate([np.zeros((*won.shape[:-1], 1)), (won + lost)[..., :-1]], axis=-1), 1e-9)
    return np.diff(won, axis=-1, prepend=0.0) / open_before, np.diff(lost, axis=-1, prepend=0.0) / open_before


def fit_hazard_correction(model: SemiMarkov, training: TrainingStates, columns: Design, origin_day: int) -> HazardCorrection:
    """Fit on the landmarks of the two years before the origin and the half-months that had passed by it.

    ``columns`` is the design of ``training.states``; ``model`` is the semi-Markov model of the same origin.
    """
    expected = _expected(model, training.states)
    steps = np.arange(1, HALF_MONTHS_AHEAD + 1)
    ends = training.boundaries[np.minimum(training.landmark[:, None] + steps, len(training.boundaries) - 1)]
    begins = np.concatenate([training.states.day[:, None], ends[:, :-1]], axis=1)
    within = (training.states.day <= origin_day) & (training.states.day > origin_day - TRAINING_DAYS)
    usable = (ends <= origin_day) & (training.outcome_day[:, None] > begins) & within[:, None]
    ended = usable & (training.outcome_day[:, None] <= ends)
    row, step = np.nonzero(usable)
    event = ended[row, step]
    kept = event | ((row + step) % EVENT_FREE_STRIDE == 0)
    row, step, event = row[kept], step[kept], event[kept]
    # A state that was drawn for many is still one observation: on the whole weights say as much as there are states.
    weight = training.weight[row] / training.weight[within].mean() * np.where(event, 1.0, EVENT_FREE_STRIDE) if len(row) else np.zeros(0)
    won = training.outcome_won[row]
    x = np.concatenate([columns.values[row], (step[:, None] == np.arange(HALF_MONTHS_AHEAD)).astype(float)], axis=1)
    coefficients = np.zeros((2, 1 + x.shape[1]))
    for cause, happened in ((WON_CAUSE, event & won), (LOST_CAUSE, event & ~won)):
        likely = expected[cause, row, step] >= LEAST_LEARNED
        coefficients[cause] = _fit(x[likely], happened[likely], expected[cause, row[likely], step[likely]], weight[likely])
    deals = columns.values.shape[1]
    mean = np.average(columns.values[within], axis=0, weights=training.weight[within]) if within.any() else np.zeros(deals)
    return HazardCorrection(coefficients[:, 0], coefficients[:, 1 : 1 + deals], coefficients[:, 1 + deals :], columns.codes, mean)


def _fit(x: np.ndarray, happened: np.ndarray, expected: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Slope on the expected log odds, and coefficients."""
    neutral = np.concatenate([[1.0], np.zeros(x.shape[1])])
    if not 0 < happened.sum() < len(happened):
        return neutral
    # A deal is seen from up to six landmarks in each half-month: its evidence counts once.
    scale = np.concatenate([[SLOPE_SD], np.full(x.shape[1], EFFECT_SD)])
    design = np.concatenate([logit(np.clip(expected, LEAST_EXPECTED, LARGEST_HAZARD))[:, None], x], axis=1)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        model = LogisticRegression(C=1.0 / HALF_MONTHS_AHEAD, solver="newton-cholesky", tol=1e-5, fit_intercept=False, max_iter=50)
        model.fit(design * scale, happened, sample_weight=weight)
    return model.coef_[0] * scale


def _expected(model: SemiMarkov, states: DealStates) -> np.ndarray:
    """Semi-Markov hazards (won, lost) × states × half-months ahead."""
    tables = model.half_month_tables(HALF_MONTHS_AHEAD)
    age = np.minimum(states.age_days, tables.shape[-1] - 1)
    cumulative = tables[:, :, states.stage, states.group, age].transpose(1, 2, 0)
    return np.stack(hazards_of(cumulative[0], cumulative[1]))


def corrected_curves(
    correction: HazardCorrection, states: DealStates, won: np.ndarray, lost: np.ndarray, lags: np.ndarray, half_months: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves of winning and losing (states × ``lags``) with every half-month's hazards corrected, and what each feature adds.

    ``won`` and ``lost`` are the uncorrected curves; ``half_months`` (days after the origin) are among ``lags``. Between two ends
    a curve rises as the uncorrected one does; beyond the last the odds of winning keep `TAIL_SHARE` of the correction. Deals
    of unknown stage are not corrected. The third result is states × distinct codes of the correction: log odds of winning in a half-month.
    """
    columns = design(states)
    is_known = states.stage >= 0
    log_factors = np.where(is_known, correction.coefficients @ columns.values.T, 0.0)
    at = np.searchsorted(lags, half_months)
    hazard_won, hazard_lost = hazards_of(won[:, at], lost[:, at])
    by_half_month = np.where(is_known[None, :, None], correction.by_half_month[:, None, :], 0.0)
    shifts = np.clip(log_factors[:, :, None] + by_half_month, -LARGEST_LOG_FACTOR, LARGEST_LOG_FACTOR)
    slope = np.where(is_known, correction.slope[:, None], 1.0)[:, :, None]
    before = np.clip(np.stack([hazard_won, hazard_lost]), LEAST_EXPECTED, LARGEST_HAZARD)
    hazard_won, hazard_lost = expit(slope * logit(before) + shifts) * (np.stack([hazard_won, hazard_lost]) > 0)
    shrink = np.minimum(1.0, LARGEST_HAZARD / np.maximum(hazard_won + hazard_lost, 1e-12))
    hazard_won, hazard_lost = hazard_won * shrink, hazard_lost * shrink
    surviving = np.cumprod(1.0 - hazard_won - hazard_lost, axis=1)
    open_before = np.concatenate([np.ones((len(won), 1)), surviving[:, :-1]], axis=1)
    won_at, lost_at = np.cumsum(open_before * hazard_won, axis=1), np.cumsum(open_before * hazard_lost, axis=1)

    shift = np.clip(log_factors[WON_CAUSE] - log_factors[LOST_CAUSE], -LARGEST_LOG_FACTOR, LARGEST_LOG_FACTOR)
    new_won, new_lost = np.zeros_like(won), np.zeros_like(lost)
    for old, at_ends, new in ((won, won_at, new_won), (lost, lost_at, new_lost)):
        _between(old, at_ends, lags, at, new)
    last_before, last_now = before[:, :, -1].sum(axis=0), hazard_won[:, -1] + hazard_lost[:, -1]
    pace = np.clip(last_now / last_before, *PACE_BOUNDS)
    _beyond(won, lost, new_won, new_lost, at[-1], surviving[:, -1], TAIL_SHARE * shift, pace)
    # What hastens winning raises the odds of it in the end, by winning sooner and by closing at all.
    usual = columns.values - correction.mean
    effect = correction.coefficients[WON_CAUSE] * usual * is_known[:, None]
    codes = tuple(dict.fromkeys(correction.codes))
    of_code = np.array([codes.index(code) for code in correction.codes])
    return new_won, new_lost, np.stack([effect[:, of_code == i].sum(axis=1) for i in range(len(codes))], axis=1)


def _between(old: np.ndarray, at_ends: np.ndarray, lags: np.ndarray, at: np.ndarray, new: np.ndarray) -> None:
    """Fill ``new`` up to the last half-month's end: between two ends in proportion to the uncorrected curve."""
    zero = np.zeros(len(old))
    for i, place in enumerate(at):
        first = at[i - 1] if i else -1
        low_old, low_new = (old[:, first], at_ends[:, i - 1]) if i else (zero, zero)
        rise_old, rise_new = old[:, place] - low_old, at_ends[:, i] - low_new
        for column in range(first + 1, place + 1):
            even = (lags[column] - (lags[first] if i else 0)) / max(lags[place] - (lags[first] if i else 0), 1)
            part = np.divide(old[:, column] - low_old, rise_old, out=np.full(len(old), even), where=rise_old > 0)
            new[:, column] = low_new + part * rise_new


def _beyond(won, lost, new_won, new_lost, last: int, surviving: np.ndarray, shift: np.ndarray, pace: np.ndarray) -> None:
    """Fill the curves beyond the last half-month: what is open then closes at the ``pace`` of that half-month, at shifted odds."""
    if last + 1 >= won.shape[1]:
        return
    open_before = np.maximum(1.0 - won[:, last] - lost[:, last], 1e-9)
    won_later, lost_later = ((curve[:, last + 1 :] - curve[:, [last]]) / open_before[:, None] for curve in (won, lost))
    closed = won_later + lost_later
    slowed = np.divide(1 - (1 - np.clip(closed, 0.0, 1.0)) ** pace[:, None], closed, out=np.ones_like(closed), where=closed > 0)
    won_later, lost_later = won_later * slowed, lost_later * slowed
    share = won_later[:, -1] / np.maximum(won_later[:, -1] + lost_later[:, -1], 1e-12)
    odds = np.exp(shift)
    new_share = share * odds / (share * odds + 1 - share)
    more = np.divide(new_share, share, out=np.ones_like(share), where=share > 0)
    less = np.divide(1 - new_share, 1 - share, out=np.ones_like(share), where=share < 1)
    new_won[:, last + 1 :] = new_won[:, [last]] + surviving[:, None] * won_later * more[:, None]
    new_lost[:, last + 1 :] = new_lost[:, [last]] + surviving[:, None] * lost_later * less[:, None]


def shares_of(change: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """A change of log odds (deals × 1) handed out to its ``effects`` (deals × codes), with what they do not explain in a last column.

    Effects are on the log odds of winning in a half-month, the change is of winning in the end. So they are stretched, all of a deal alike and at most
    `LARGEST_STRETCH` times either way; what is still missing goes to each in proportion to its size, at most as much again as all of them
    weigh together. The rest is said to be unexplained.
    """
    total = effects.sum(axis=1, keepdims=True)
    stretch = np.divide(change, total, out=np.ones_like(change), where=np.abs(total) > 1e-9)
    handed = effects * np.clip(stretch, 1 / LARGEST_STRETCH, LARGEST_STRETCH)
    weight = np.abs(handed).sum(axis=1, keepdims=True)
    missing = np.clip(change - handed.sum(axis=1, keepdims=True), -weight, weight)
    handed = handed + missing * np.divide(np.abs(handed), weight, out=np.zeros_like(handed), where=weight > 0)
    return np.concatenate([handed, change - handed.sum(axis=1, keepdims=True)], axis=1)
