"""Win probabilities of open deals in one form for every method, with reasons that add up.

What belongs here: from fitted models and open deals to per-deal probabilities, timing and reasons. What does not:
fitting, judging (models/deal_backtest.py), amounts.

Methods, from the least to the most that they read of a deal:

- ``base_rate``: nothing; the company's rate by horizon.
- ``closing_time``: stage, age and group tell *when* it closes; *which* deals win is the company's rate for all.
- ``stage_rates``: the stage.
- ``semi_markov``: stage, age in stage, group and calendar.
- ``hazard``: the same, each deal's hazards corrected by its features (models/hazard.py).
"""

from dataclasses import dataclass

import numpy as np

from models.deal_facts import DealFacts
from models.deal_history import DealHistory
from models.deal_states import HALF_MONTHS_AHEAD, TrainingStates, next_half_months, states_of, training_states
from models.exposure import AGE_EDGES_DAYS, OLDEST_AGE_DAYS, Exposure, count_exposure
from models.features import Design, design
from models.hazard import HazardCorrection, corrected_curves, fit_hazard_correction, shares_of
from models.landmarks import EVER_DAYS, LandmarkCounts, OpenDeals, landmark_counts
from models.semi_markov import SemiMarkov, fit_semi_markov
from models.stage_rates import TRAILING_LANDMARKS, StageRates, fit_stage_rates
from models.threads import in_threads

METHODS = ("base_rate", "closing_time", "stage_rates", "semi_markov", "hazard")

LEAST_CLOSED_DEALS = 60
"""Closed deals below which only the rates are candidates."""

LEAST_CLOSED_FOR_FEATURES = 200
"""Closed deals below which features are not learned from."""

TRAINING_MONTHS = 24

TIMING_GRID_DAYS = np.array([0, 3, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 545, 730, EVER_DAYS])
"""Days after the origin between which the day of winning is interpolated."""

CALENDAR_DAYS = 183
"""Days ahead up to which the place in the quarter and the day of the week are followed."""

WIN_DAY_QUANTILES = (0.1, 0.5, 0.9)

LEAST_PROBABILITY = 1e-6
"""Probabilities are kept this far from 0 and 1 in log-odds."""


@dataclass(frozen=True)
class WinProbabilities:
    """Probabilities of the deals open at the end of ``origin_day``, one row per deal (``deal`` points into the history).

    ``won_by`` and ``lost_by`` are deals × ``horizon_days`` (days after the origin, ascending): they do not fall with the
    horizon and add up to at most 1. ``won_ever`` is within five years. ``win_day`` is deals × (p10, median, p90): days
    after the origin of winning, given that it is won; not a number where timing was not asked for.
    ``contributions`` is deals × ``factors``: log-odds that, added in this order to ``base_log_odds``, give the log-odds
    of ``won_ever``; for a deal of unknown stage all are 0.
    """

    method: str
    origin_day: int
    deal: np.ndarray
    horizon_days: np.ndarray
    won_by: np.ndarray
    lost_by: np.ndarray
    won_ever: np.ndarray
    win_day: np.ndarray
    base_log_odds: float
    factors: tuple[str, ...]
    contributions: np.ndarray


@dataclass(frozen=True)
class Counts:
    """What all origins are fitted from: outcomes by landmark, days at risk by slot, and a sample of states with their features."""

    history: DealHistory
    facts: DealFacts
    landmarks: LandmarkCounts
    exposure: Exposure
    training: TrainingStates
    columns: Design


@dataclass(frozen=True)
class FittedModels:
    """The models as known at ``origin_day``; ``semi_markov`` and ``correction`` are None where too few deals had closed."""

    origin_day: int
    fiscal_year_start_month: int
    history: DealHistory
    facts: DealFacts
    rates: StageRates
    semi_markov: SemiMarkov | None
    correction: HazardCorrection | None

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that can be applied."""
        if self.semi_markov is None:
            return ("base_rate", "stage_rates")
        return METHODS if self.correction is not None else tuple(m for m in METHODS if m != "hazard")


def count_history(history: DealHistory, origins: int, fiscal_year_start_month: int = 1, training_months: int = 36, facts: DealFacts | None = None) -> Counts:
    """Count once what the fits at the as-of day and at the last ``origins`` month ends need.

    Without ``facts`` the features are those of stages and ages alone.
    """
    facts = DealFacts.none() if facts is None else facts
    training = training_states(history, facts, TRAINING_MONTHS + origins, fiscal_year_start_month)
    return Counts(
        history=history,
        facts=facts,
        landmarks=landmark_counts(history, TRAILING_LANDMARKS + origins),
        exposure=count_exposure(history, training_months + origins, fiscal_year_start_month),
        training=training,
        columns=design(training.states),
    )


def fit_models(counts: Counts, origin_day: int, half_life_days: float, prior_deals: float, drift_prior_events: float) -> FittedModels:
    """Fit every model on what was known at ``origin_day`` (the as-of day or a month's end)."""
    closed = counts.exposure.closed[: counts.exposure.slots_known_at(origin_day)].sum()
    semi_markov = fit_semi_markov(counts.exposure, origin_day, half_life_days, drift_prior_events) if closed >= LEAST_CLOSED_DEALS else None
    learns = semi_markov is not None and closed >= LEAST_CLOSED_FOR_FEATURES
    return FittedModels(
        origin_day=origin_day,
        fiscal_year_start_month=counts.exposure.fiscal_year_start_month,
        history=counts.history,
        facts=counts.facts,
        rates=fit_stage_rates(counts.landmarks, origin_day, half_life_days, prior_deals),
        semi_markov=semi_markov,
        correction=fit_hazard_correction(semi_markov, counts.training, counts.columns, origin_day) if learns else None,
    )


def win_probabilities(
    models: FittedModels, deals: OpenDeals, horizon_days: np.ndarray, methods: tuple[str, ...] | None = None, horizons_only: bool = False
) -> dict[str, WinProbabilities]:
    """Probabilities of ``deals`` by each of ``methods`` (by default all that can be applied).

    ``horizon_days`` are ascending days after the origin. With ``horizons_only`` the probabilities "ever", the days of
    winning and the reasons are left out (not a number), which saves most of the work: a backtest does not need them.
    """
    methods = models.methods if methods is None else methods
    horizons = np.asarray(horizon_days, dtype=np.int64)
    half_months = next_half_months(models.origin_day, HALF_MONTHS_AHEAD) - models.origin_day
    asked = [horizons] if horizons_only else [horizons, TIMING_GRID_DAYS]
    lags = np.unique(np.concatenate([*asked, half_months] if models.correction is not None and "hazard" in methods else asked))
    states = _states(deals)
    results = {}
    if "base_rate" in methods:
        row = np.full(len(states.stage), models.rates.base_row)
        results["base_rate"] = _by_rates("base_rate", models.rates, states, row, lags, horizons)
    if "stage_rates" in methods:
        row = np.where(states.stage < 0, models.rates.base_row, states.stage)
        results["stage_rates"] = _by_rates("stage_rates", models.rates, states, row, lags, horizons)
    if models.semi_markov is not None and {"closing_time", "semi_markov", "hazard"} & set(methods):
        curves = _semi_markov_curves(models, states, lags)
        results.update(_by_semi_markov(models, states, lags, horizons, curves))
        if models.correction is not None and "hazard" in methods:
            results["hazard"] = _by_hazard(models, deals, states, lags, half_months, horizons, curves, results["semi_markov"])
    return {method: results[method] for method in METHODS if method in results and method in methods}


@dataclass(frozen=True)
class _States:
    """The distinct states among open deals: everything is computed once per state and handed out by ``of_deal``."""

    deals: OpenDeals
    stage: np.ndarray
    group: np.ndarray
    age_days: np.ndarray
    of_deal: np.ndarray


def _states(deals: OpenDeals) -> _States:
    age = np.clip(deals.age_days, -1, OLDEST_AGE_DAYS).astype(np.int64)
    n_ages, n_groups = OLDEST_AGE_DAYS + 2, int(deals.group.max(initial=0)) + 1
    code = ((deals.stage.astype(np.int64) + 1) * n_groups + deals.group) * n_ages + age + 1
    distinct, of_deal = np.unique(code, return_inverse=True)
    unit = distinct // n_ages
    return _States(deals, unit // n_groups - 1, unit % n_groups, distinct % n_ages - 1, of_deal)


def _by_rates(method, rates, states, row, lags, horizons) -> WinProbabilities:
    won, lost = rates.by(lags)
    base = _log_odds(rates.won_ever[rates.base_row])
    if lags[-1] < EVER_DAYS:
        return _result(method, states, lags, horizons, won[row], lost[row], *_not_asked(row), base, ())
    factors = () if method == "base_rate" else ("stage",)
    steps = np.zeros((len(row), 0)) if method == "base_rate" else (_log_odds(rates.won_ever) - base)[row][:, None]
    return _result(method, states, lags, horizons, won[row], lost[row], rates.won_ever[row], steps, base, factors)


def _semi_markov_curves(models, states, lags) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """P(won by) and P(lost by) (states × lags); then by lag the tables of all states and their means over age bins."""
    model, rates = models.semi_markov, models.rates
    near = lags[: max(int(np.searchsorted(lags, CALENDAR_DAYS, side="right")), 1)]
    tables = np.stack(in_threads(model.won_and_lost_by, (model.origin_day + near).tolist()))
    if len(near) < len(lags):
        # What is open at the last of the near days goes on as it does in a quarter in the mean.
        within = model.won_and_lost_within(tuple(lags[len(near) - 1 :].tolist()))
        still_open, mean_open = (1.0 - t.sum(axis=0) for t in (tables[-1], within[0]))
        share = np.divide(still_open, mean_open, out=np.ones_like(still_open), where=mean_open > 1e-12)
        tables = np.concatenate([tables, tables[-1] + (within[1:] - within[0]) * share])
    by_age = _bin_means(tables)
    mix = model.age_mix + 1e-9
    over_ages = np.einsum("hxsgk,sk->hxsg", by_age, mix.sum(1) / mix.sum((1, 2))[:, None])
    base_won, base_lost = rates.by(lags)

    stage, group, age = np.maximum(states.stage, 0), states.group, np.maximum(states.age_days, 0)
    won_lost = tables[:, :, stage, group, age]
    without_age = states.age_days < 0
    won_lost[:, :, without_age] = over_ages[:, :, stage[without_age], group[without_age]]
    unknown = states.stage < 0
    won_lost[:, :, unknown] = np.stack([base_won[rates.base_row], base_lost[rates.base_row]], axis=1)[:, :, None]
    return won_lost[:, 0].T, won_lost[:, 1].T, tables, by_age


def _by_semi_markov(models, states, lags, horizons, curves) -> dict[str, WinProbabilities]:
    won, lost, tables, by_age = curves
    rates, base_row = models.rates, models.rates.base_row
    stage, age, without_age = np.maximum(states.stage, 0), np.maximum(states.age_days, 0), states.age_days < 0
    base = _log_odds(rates.won_ever[base_row])
    share = rates.won_ever[base_row] / (rates.won_ever[base_row] + rates.lost_ever[base_row]) if rates.has_outcomes else 0.5
    closed = won + lost
    if lags[-1] < EVER_DAYS:
        left_out = _not_asked(stage)
        return {
            "closing_time": _result("closing_time", states, lags, horizons, share * closed, (1 - share) * closed, *left_out, base, ()),
            "semi_markov": _result("semi_markov", states, lags, horizons, won, lost, *left_out, base, ()),
        }
    ever = int(np.searchsorted(lags, EVER_DAYS))
    of_stage, of_age = _stage_and_age(tables[ever, 0], by_age[ever, 0], models.semi_markov.age_mix + 1e-9)
    stage_log_odds = _log_odds(of_stage)[stage]
    age_log_odds = np.where(without_age, stage_log_odds, _log_odds(of_age)[stage, age])
    steps = np.stack([stage_log_odds - base, age_log_odds - stage_log_odds, _log_odds(won[:, ever]) - age_log_odds], axis=1)
    steps[states.stage < 0] = 0.0
    factors = ("stage", "age_in_stage", "group")
    ever_won = share * closed[:, ever]
    closing = (_log_odds(ever_won) - base)[:, None]
    won_closing, lost_closing = share * closed, (1 - share) * closed
    return {
        "closing_time": _result("closing_time", states, lags, horizons, won_closing, lost_closing, ever_won, closing, base, ("closing",)),
        "semi_markov": _result("semi_markov", states, lags, horizons, won, lost, won[:, ever], steps, base, factors),
    }


def _by_hazard(models, deals, states, lags, half_months, horizons, curves, uncorrected) -> WinProbabilities:
    """The semi-Markov curves of each deal with its own factors; a deal of unknown stage keeps its own."""
    of_deal = states.of_deal
    own = states_of(models.history, models.facts, deals, models.fiscal_year_start_month)
    won, lost, shifts = corrected_curves(models.correction, own, curves[0][of_deal], curves[1][of_deal], lags, half_months)
    each = _States(deals, deals.stage, deals.group, deals.age_days, np.arange(len(deals)))
    base = uncorrected.base_log_odds
    if lags[-1] < EVER_DAYS:
        return _result("hazard", each, lags, horizons, won, lost, *_not_asked(deals.stage), base, ())
    ever = won[:, int(np.searchsorted(lags, EVER_DAYS))]
    changed = (_log_odds(ever) - _log_odds(uncorrected.won_ever))[:, None]
    codes = tuple(dict.fromkeys(models.correction.codes))
    steps = np.concatenate([uncorrected.contributions, shares_of(changed, shifts)], axis=1)
    return _result("hazard", each, lags, horizons, won, lost, ever, *_merged(steps, (*uncorrected.factors, *codes, "unexplained"), base))


def _merged(steps: np.ndarray, factors: tuple[str, ...], base: float) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """Contributions of factors of the same code added up, in the order in which codes first appear."""
    codes = tuple(dict.fromkeys(factors))
    merged = np.stack([steps[:, [i for i, f in enumerate(factors) if f == code]].sum(axis=1) for code in codes], axis=1)
    return merged, base, codes


def _not_asked(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(won ever) and reasons where only horizons are wanted."""
    return np.full(len(row), np.nan), np.zeros((len(row), 0))


def _result(method, states, lags, horizons, won, lost, ever, steps, base, factors) -> WinProbabilities:
    # Rounding may leave a curve falling by 1e-17 or a sum above 1 by as much.
    won, lost = np.maximum.accumulate(won, axis=1), np.maximum.accumulate(lost, axis=1)
    won = np.clip(won, 0.0, 1.0)
    lost = np.clip(lost, 0.0, 1.0 - won)
    wanted = np.searchsorted(lags, horizons)
    return WinProbabilities(
        method=method,
        origin_day=states.deals.day,
        deal=states.deals.deal,
        horizon_days=horizons,
        won_by=won[:, wanted][states.of_deal],
        lost_by=lost[:, wanted][states.of_deal],
        won_ever=np.clip(ever, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)[states.of_deal],
        win_day=_win_days(lags, won)[states.of_deal],
        base_log_odds=float(base),
        factors=factors,
        contributions=steps[states.of_deal],
    )


def _win_days(lags: np.ndarray, won: np.ndarray) -> np.ndarray:
    """Days after the origin by which the quantiles of winning, given that it is won, are reached."""
    days = np.full((len(won), len(WIN_DAY_QUANTILES)), np.nan)
    if lags[-1] < EVER_DAYS:
        return days
    rows = np.arange(len(won))
    for i, quantile in enumerate(WIN_DAY_QUANTILES):
        level = quantile * won[:, -1]
        right = np.clip((won < level[:, None]).sum(axis=1), 1, len(lags) - 1)
        low, high = won[rows, right - 1], won[rows, right]
        part = np.divide(level - low, high - low, out=np.zeros_like(level), where=high > low)
        days[:, i] = lags[right - 1] + np.clip(part, 0, 1) * (lags[right] - lags[right - 1])
    days[won[:, -1] <= 0] = np.nan
    return days


def _bin_means(tables: np.ndarray) -> np.ndarray:
    """Mean over the days of each age bin, along the last axis."""
    widths = np.diff(np.append(AGE_EDGES_DAYS, OLDEST_AGE_DAYS + 1))
    return np.add.reduceat(tables, AGE_EDGES_DAYS, axis=-1) / widths


def _stage_and_age(table, by_age, mix) -> tuple[np.ndarray, np.ndarray]:
    """P(won ever) of a stage over its usual ages and groups, and of a stage and age over its usual groups."""
    of_stage = (by_age * mix).sum((1, 2)) / mix.sum((1, 2))
    group_share = mix.sum(2) / mix.sum((1, 2))[:, None]
    return of_stage, np.einsum("sga,sg->sa", table, group_share)


def _log_odds(probability):
    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(p) - np.log1p(-p)
