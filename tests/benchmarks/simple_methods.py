"""Simple methods that a forecast has to beat, as companies and CRMs use them.

What belongs here: methods that only the benchmark knows. What does not: the simple methods that Leadline publishes
itself (models/baselines.py), which the benchmark takes from there.
"""

import warnings

import numpy as np
import pandas as pd
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from models.deal_history import NEVER, WON, day_number
from models.levels import whole_days
from models.new_business import wins_of_creations, won_by_ends
from models.outlook import CompanyRecord
from models.revenue import QUANTILES
from tests.benchmarks.forecast_methods import PERIOD_KINDS, AtOrigin, Forecast

PUBLISHED = {"weighted_pipeline": "weighted_pipeline", "run_rate": "run_rate", "seasonal_naive": "same_period_last_year"}
"""What Leadline calls its own baselines, by their names here."""

NAIVE_BAYES_FIELDS = ("source", "industry", "region", "product", "opportunity_type")
INCIDENCE_DAYS = 730
_ETS_REPETITIONS = 500
_ETS_MONTHS = 36


def simple_forecasts(record: CompanyRecord, at: AtOrigin, seed: int) -> dict[str, Forecast]:
    """Every simple method at one origin."""
    return {
        **{name: Forecast(None, _published(at, method)) for name, method in PUBLISHED.items()},
        "commit": _commit(record, at),
        "ets": _ets(at, seed),
        "naive_bayes": _naive_bayes(record, at),
        "aalen_johansen": _aalen_johansen(record, at),
    }


def _published(at: AtOrigin, method: str) -> np.ndarray:
    rows = at.standing.baselines.query("method == @method").set_index("period_kind")["value"]
    return rows.reindex(list(PERIOD_KINDS)).to_numpy(float)


def _months_of(by_month: np.ndarray) -> np.ndarray:
    """Three months and their sum."""
    return np.append(by_month, by_month.sum())


def _commit(record: CompanyRecord, at: AtOrigin) -> Forecast:
    """The whole amount of the open deals that are expected to close in the period."""
    amount, day = _open_amounts(record, at)
    periods = at.standing.intervals.periods
    first, last = (whole_days(periods[c]) for c in ("period_start", "period_end"))
    return Forecast(None, np.nan_to_num(amount) @ ((day[:, None] >= first) & (day[:, None] <= last)))


def _open_amounts(record: CompanyRecord, at: AtOrigin) -> tuple[np.ndarray, np.ndarray]:
    """Amount and expected close date of the open deals as they stood."""
    amount, close_on = record.in_force(at.origin)
    deal = at.standing.open_deals.deal
    return amount[deal], close_on[deal]


def _ets(at: AtOrigin, seed: int) -> Forecast:
    """Exponential smoothing of the logarithm of monthly bookings; trend and season where the corrected AIC wants them."""
    won = at.standing.won
    month = pd.Series(pd.DatetimeIndex(won.closed_on.astype("datetime64[us]")).to_period("M"))
    bookings = pd.Series(won.amount).groupby(month).sum()
    whole = pd.period_range(end=pd.Period(at.origin, "M"), periods=_ETS_MONTHS, freq="M")
    series = bookings.reindex(whole, fill_value=0.0)
    # A month without bookings, as a young company has, has no logarithm: what came after the last one is used.
    empty = np.flatnonzero(series.to_numpy() <= 0)
    series = np.log(series.iloc[empty[-1] + 1 if len(empty) else 0 :])
    forms = [{}, {"trend": "add", "damped_trend": True}]
    forms += [{**form, "seasonal": "add", "seasonal_periods": 12} for form in forms] if len(series) >= 30 else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [ETSModel(series, error="add", **form).fit(disp=False) for form in forms]
        best = min(fits, key=lambda fit: fit.aicc)
        paths = best.simulate(3, anchor="end", repetitions=_ETS_REPETITIONS, rng=np.random.default_rng(seed))
    drawn = np.exp(paths.to_numpy().reshape(3, -1))
    drawn = np.vstack([drawn, drawn.sum(axis=0)])
    # The median of each month is the point forecast: the error judged is absolute.
    return Forecast(None, np.median(drawn, axis=1), np.quantile(drawn, QUANTILES, axis=1).T)


def _naive_bayes(record: CompanyRecord, at: AtOrigin) -> Forecast:
    """Won share by stage reached and segments, taken for independent, as Odoo does; won when the seller says it closes.

    A deal whose expected close date has passed counts for the first month.
    """
    history, day, deals = record.history, day_number(at.origin), at.standing.open_deals
    ended = (history.cause >= WON) & (history.exited_day <= day)
    closed, won = history.stay_deal[ended], history.cause[ended] == WON
    highest = np.full(len(record.amount), -1)
    known = history.entered_day <= day
    np.maximum.at(highest, history.stay_deal[known], history.stay_stage[known])
    stages = len(history.stages)
    reached = highest[closed][:, None] >= np.arange(stages)
    # A won deal has been through every stage, whether or not it was recorded.
    reached[won] = True
    evidence = np.log(_share(won.sum(), len(won)) / _share((~won).sum(), len(won))) + np.zeros(len(deals))
    evidence += np.log((reached[won].sum(0) + 0.1) / (won.sum() + 0.1) / ((reached[~won].sum(0) + 0.1) / ((~won).sum() + 0.1)))[np.maximum(deals.stage, 0)]
    for field in NAIVE_BAYES_FIELDS:
        column = np.flatnonzero(record.members.names["dimension"].to_numpy()[record.members.codes[0]] == field)[0]
        member = record.members.codes[:, column]
        evidence += _evidence(member[closed], won, member.max() + 1)[member[deals.deal]]
    probability = 1 / (1 + np.exp(-evidence))
    amount, close_on = _open_amounts(record, at)
    ends = np.datetime64(at.origin, "D") + at.standing.intervals.ends
    won_by = probability[:, None] * (close_on[:, None] <= ends)
    expected = np.nan_to_num(amount) @ np.diff(won_by, axis=1, prepend=0.0)
    return Forecast(won_by, _months_of(expected))


def _share(part: int, of: int) -> float:
    return (part + 0.1) / (of + 0.2)


def _evidence(member: np.ndarray, won: np.ndarray, members: int) -> np.ndarray:
    """Log of P(member | won) ÷ P(member | lost), with a tenth of a deal added to every count."""
    of_won, of_lost = (np.bincount(member[chosen], minlength=members) + 0.1 for chosen in (won, ~won))
    return np.log(of_won / of_won.sum()) - np.log(of_lost / of_lost.sum())


def _aalen_johansen(record: CompanyRecord, at: AtOrigin) -> Forecast:
    """Cumulative incidence of winning by days since creation, of the deals created in the last two years; stages are ignored."""
    day, deals, ends = day_number(at.origin), at.standing.open_deals, at.standing.intervals.ends
    won_by_age, open_at_age = _incidence(record, day)
    last = len(won_by_age) - 1
    age = np.minimum(deals.deal_age_days, last)
    later = np.minimum(age[:, None] + ends, last)
    still_open = open_at_age[age]
    won_by = np.divide(won_by_age[later] - won_by_age[age][:, None], still_open[:, None], out=np.zeros(later.shape), where=still_open[:, None] > 0)
    opened = at.standing.amounts["amount_if_won"].to_numpy() @ np.diff(won_by, axis=1, prepend=0.0)
    new = wins_of_creations(at.standing.creations, won_by_ends(won_by_age, at.standing.intervals.edges)).sum(axis=0) * at.standing.donors.mean
    return Forecast(won_by.clip(0.0, 1.0), _months_of(opened + new))


def _incidence(record: CompanyRecord, day: int) -> tuple[np.ndarray, np.ndarray]:
    """P(won by age) and P(still open at age), by age in days, as known at ``day``."""
    history = record.history
    first = history.first_stay
    created, ended, won = history.entered_day[first], history.outcome_day[first], history.outcome_won[first]
    used = (created > day - INCIDENCE_DAYS) & (created <= day)
    created, won = created[used], won[used]
    is_known = ended[used] <= min(day, NEVER - 1)
    age = np.where(is_known, ended[used], day) - created
    wins, losses, left = (np.bincount(age[chosen], minlength=INCIDENCE_DAYS) for chosen in (is_known & won, is_known & ~won, age >= 0))
    at_risk = np.maximum(left[::-1].cumsum()[::-1], 1)
    survival = np.cumprod(1 - (wins + losses) / at_risk)
    return np.cumsum(np.concatenate([[1.0], survival[:-1]]) * wins / at_risk), survival
