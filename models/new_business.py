"""Business from deals not yet created: how many will be created, when such deals are won, and what they bring.

What belongs here: the forecast of creations, its convolution with the win curve of newborn deals, and the pool of
recent wins that new wins will resemble. What does not: the win curve itself (semi_markov.py) and drawing (simulation.py).

Monthly creations follow a log-linear Poisson model with a damped trend and yearly harmonics, ridge-penalised, and an
autoregressive residual (docs/forecasting.md; damped trend: Gardner and McKenzie 1985, Management Science 31).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from sklearn.linear_model import PoissonRegressor

from models.levels import ONE_DAY, Members

DAYS_PER_MONTH = 365.25 / 12
HISTORY_MONTHS = 36
TREND_DAMPING = 0.9
"""A month's trend is this share of the month before's, so that growth levels off."""

TREND_PRIOR_SD = 0.3
"""Growth of the log of creations per year to expect before seeing any."""

SEASON_PRIOR_SD = 0.2
"""Size of each yearly harmonic on the log scale to expect before seeing any."""

MONTH_PRIOR_SD = 0.15
"""What a calendar month adds to the smooth season, on the log scale, to expect before seeing any."""

RESIDUAL_PRIOR_SD = 0.1
RESIDUAL_PRIOR_MONTHS = 6.0
"""Month-to-month spread of log creations beyond chance, and the months of evidence it counts for."""

WEEKDAY_PRIOR_DEALS = 20.0

DONOR_DAYS = 365
DONORS_AT_LEAST = 30


@dataclass(frozen=True)
class CreationForecast:
    """Expected creations in each calendar month ahead, the rest of a partial month included.

    Arrays by month: ``first_day`` and ``last_day`` in days after the as-of date (1 is tomorrow), ``creations``
    expected in those days, ``log_sd`` the standard deviation of the log of that expectation.
    """

    first_day: np.ndarray
    last_day: np.ndarray
    creations: np.ndarray
    log_sd: np.ndarray


@dataclass(frozen=True)
class Donors:
    """Recent wins that stand for wins to come: a new win has the segments of one of them, each as likely as another.

    ``amounts`` (m), their segment ``members``, and ``log_bandwidth``: a new win's amount is the donor's times a
    lognormal factor of mean 1 with that log-sd (smoothed bootstrap, Silverman 1986).
    """

    amounts: np.ndarray
    members: Members
    log_bandwidth: float

    @property
    def mean(self) -> float:
        """Mean amount of a new win."""
        return float(self.amounts.mean()) if len(self.amounts) else 0.0

    @property
    def cv(self) -> float:
        """Standard deviation of a new win's amount ÷ its mean; 0 where the mean is."""
        if self.mean == 0:
            return 0.0
        second_moment = (self.amounts**2).mean() * np.exp(self.log_bandwidth**2)
        return float(np.sqrt(max(second_moment / self.mean**2 - 1, 0.0)))


@dataclass(frozen=True)
class NewBusiness:
    """Wins to expect from deals not yet created.

    ``wins`` (months of creation × J intervals), ``log_sd`` by month of creation, ``donors``. All months move
    together in a draw: what is uncertain is mostly the level.
    """

    wins: np.ndarray
    log_sd: np.ndarray
    donors: Donors

    def expected_wins(self) -> np.ndarray:
        """Expected wins by member and interval (M × J)."""
        return self._by_member(np.ones(len(self.donors.amounts)))

    def expected_amounts(self) -> np.ndarray:
        """Expected amounts by member and interval (M × J)."""
        return self._by_member(self.donors.amounts)

    def expected_squares(self) -> np.ndarray:
        """λ · E[X²] by member and interval (M × J): the variance that chance alone leaves."""
        return self._by_member(self.donors.amounts**2 * np.exp(self.donors.log_bandwidth**2))

    def _by_member(self, values: np.ndarray) -> np.ndarray:
        per_win = self.donors.members.sum(values) / max(len(values), 1)
        return np.outer(per_win, self.wins.sum(axis=0))


def forecast_creations(created: np.ndarray, as_of: date, days_ahead: int) -> CreationForecast:
    """Expected creations of the next ``days_ahead`` days, by calendar month, from the days of creation known so far.

    ``created`` (datetime64[D]) may hold NaT and days after the as-of date; both are left out. The first day of the
    record only marks where it begins (a first export often holds everything at once) and is not counted. Up to 36
    months are used. With under 6 months of record the level alone is fitted, from 6 a trend, from 18 one yearly
    harmonic, from 24 two. Nothing on record gives zero creations.
    """
    origin = np.datetime64(as_of, "D")
    this_month = origin.astype("datetime64[M]")
    ahead = np.arange((origin + days_ahead).astype("datetime64[M]") - this_month + 1).astype(int)
    starts = (this_month + ahead).astype("datetime64[D]")
    ends = (this_month + ahead + 1).astype("datetime64[D]") - ONE_DAY
    first_day = np.maximum((starts - origin).astype(int), 1)
    last_day = np.minimum((ends - origin).astype(int), days_ahead)
    future = last_day >= first_day
    ahead, first_day, last_day = ahead[future], first_day[future], last_day[future]

    weights = _weekday_weights(created, origin)
    counts, exposure, back = _monthly_counts(created, origin, weights)
    if counts.sum() == 0:
        return CreationForecast(first_day, last_day, np.zeros(len(ahead)), np.full(len(ahead), RESIDUAL_PRIOR_SD))
    calendar_month = int(this_month.astype(int)) % 12
    fitted, rates, terms = _fit(counts, exposure, back, ahead, calendar_month)

    residual = np.log((counts + 0.5) / (fitted + 0.5))
    whole = exposure >= 0.5
    persistence, spread = _residual_process(residual[whole], fitted[whole])
    last, lag = (residual[whole][-1], np.maximum(ahead - back[whole][-1], 1)) if whole.any() else (0.0, np.maximum(ahead, 1))
    level = (spread**2 + 1 / (fitted.mean() + 0.5)) * terms / max(exposure.sum(), 0.5)
    innovation = spread**2 * (1 - persistence ** (2 * lag)) / (1 - persistence**2)
    months = _mean_months(origin + first_day, origin + last_day, weights)
    return CreationForecast(first_day, last_day, rates * months * np.exp(persistence**lag * last), np.sqrt(innovation + level))


def _weekday_weights(created: np.ndarray, origin: np.datetime64) -> np.ndarray:
    """How many deals are created on each day of the week, Thursday first as 1970-01-01 was; 1 in the mean.

    A month of 23 working days brings a seventh more than one of 20. Shrunk to even days with `WEEKDAY_PRIOR_DEALS` for each.
    """
    known = created[~np.isnat(created)]
    known = known[(known <= origin) & (known > origin - HISTORY_MONTHS * 30)]
    counts = np.bincount(known.astype(np.int64) % 7, minlength=7) + WEEKDAY_PRIOR_DEALS
    return counts / counts.mean()


def _mean_months(first: np.ndarray, last: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Length in mean months of spans of days, each day counting as its day of the week does."""
    start = first.min()
    days = np.arange(start, last.max() + ONE_DAY).astype(np.int64)
    passed = np.concatenate([[0.0], np.cumsum(weights[days % 7])])
    return (passed[(last - start).astype(int) + 1] - passed[(first - start).astype(int)]) / DAYS_PER_MONTH


def _monthly_counts(created: np.ndarray, origin: np.datetime64, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Creations, length in mean months and months before this one (0, −1, …) of each month on record, oldest first."""
    created = created[~np.isnat(created)]
    created = created[created <= origin]
    if len(created) == 0 or created.min() == origin:
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=int)
    this_month = origin.astype("datetime64[M]")
    begin = max(created.min() + ONE_DAY, (this_month - HISTORY_MONTHS).astype("datetime64[D]"))
    months = np.arange(begin.astype("datetime64[M]"), this_month + 1)
    counted = created[created >= begin].astype("datetime64[M]")
    counts = np.bincount((counted - months[0]).astype(int), minlength=len(months)).astype(float)
    starts = np.maximum(months.astype("datetime64[D]"), begin)
    ends = np.minimum((months + 1).astype("datetime64[D]") - ONE_DAY, origin)
    return counts, _mean_months(starts, ends, weights), (months - this_month).astype(int)


def _fit(counts: np.ndarray, exposure: np.ndarray, back: np.ndarray, ahead: np.ndarray, calendar_month: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Fitted counts of the past months, rates per mean month of the months ahead, and the number of terms."""
    record = exposure.sum()
    harmonics = 2 if record >= 24 else 1 if record >= 18 else 0
    with_trend = record >= 6
    rate = counts.sum() / record
    if not with_trend:
        return rate * exposure, np.full(len(ahead), rate), 1

    def features(months: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * ((calendar_month + months) % 12) / 12
        season = [f(k * angle) for k in range(1, harmonics + 1) for f in (np.sin, np.cos)]
        # A holiday month falls out of any smooth season: with two years on record every month has a say of its own.
        of_year = ((calendar_month + months) % 12)[:, None] == np.arange(12 if harmonics == 2 else 0)
        return np.column_stack([elapsed / 12 * TREND_PRIOR_SD, *(SEASON_PRIOR_SD * s for s in season), MONTH_PRIOR_SD * of_year])

    past = features(back, back)
    damped = TREND_DAMPING * (1 - TREND_DAMPING**ahead) / (1 - TREND_DAMPING)
    dispersion, mean = 1.0, np.zeros(0)
    # The second fit weighs the penalty against the spread that the first one found: counts vary more than Poisson.
    for _ in range(2):
        model = PoissonRegressor(alpha=dispersion / record, tol=1e-8, max_iter=1000)
        model.fit(past, counts / exposure, sample_weight=exposure)
        mean = model.predict(past) * exposure
        freedom = max(len(counts) - past.shape[1] - 1, 1)
        dispersion = max(1.0, float(((counts - mean) ** 2 / mean).sum() / freedom))
    return mean, model.predict(features(ahead, damped)), past.shape[1] + 1


def _residual_process(residual: np.ndarray, fitted: np.ndarray) -> tuple[float, float]:
    """Lag-one correlation of the log residuals, shrunk to 0, and their sd beyond Poisson chance, shrunk to the prior."""
    n = len(residual)
    if n == 0:
        return 0.0, RESIDUAL_PRIOR_SD
    square = (residual**2).sum()
    persistence = (residual[1:] * residual[:-1]).sum() / square * n / (n + 6) if square > 0 else 0.0
    excess = max(square - (1 / (fitted + 0.5)).sum(), 0.0)
    variance = (excess + RESIDUAL_PRIOR_MONTHS * RESIDUAL_PRIOR_SD**2) / (n + RESIDUAL_PRIOR_MONTHS)
    return float(np.clip(persistence, 0.0, 0.8)), float(np.sqrt(variance))


def recent_wins(closed_on: np.ndarray, amounts: np.ndarray, members: Members, as_of: date) -> Donors:
    """The donors of new wins: deals won in the last 365 days, or the last 30 wins where those are fewer.

    Arrays by won deal: day of winning (datetime64[D]), amount (NaN where unknown: left out), segment members.
    """
    origin = np.datetime64(as_of, "D")
    known = np.flatnonzero((closed_on <= origin) & np.isfinite(amounts))
    newest_first = known[np.argsort(-closed_on[known].astype(int), kind="stable")]
    recent = int((closed_on[known] > origin - DONOR_DAYS).sum())
    chosen = newest_first[: max(recent, DONORS_AT_LEAST)]
    return Donors(amounts[chosen], members.take(chosen), _bandwidth(amounts[chosen]))


def _bandwidth(amounts: np.ndarray) -> float:
    """Silverman's rule on the log scale; 0.5 where there are too few amounts to tell."""
    logs = np.log(amounts[amounts > 0])
    if len(logs) < 5:
        return 0.5
    low, high = np.quantile(logs, [0.25, 0.75])
    return float(0.9 * min(logs.std(ddof=1), (high - low) / 1.34) * len(logs) ** -0.2)


def won_by_ends(win_by_lag: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """P(won by the end of each interval | created on each day ahead) (days × J) from a curve that knows no calendar.

    ``win_by_lag`` [l] is P(won by the end of the l-th day after the day of creation); beyond its end it stays at its
    last value. The first row is tomorrow.
    """
    lag = edges[None, 1:] - np.arange(1, edges[-1] + 1)[:, None]
    return np.where(lag >= 0, win_by_lag[lag.clip(0, len(win_by_lag) - 1)], 0.0)


def wins_of_creations(forecast: CreationForecast, won_by: np.ndarray) -> np.ndarray:
    """Expected wins by month of creation and interval (months × J) from P(won by each end | created on each day) (days × J)."""
    wins = np.zeros((len(forecast.creations), won_by.shape[1]))
    for month, (first, last, creations) in enumerate(zip(forecast.first_day, forecast.last_day, forecast.creations, strict=True)):
        wins[month] = np.diff(won_by[first - 1 : last], axis=1, prepend=0.0).mean(axis=0) * creations
    return wins


def creations_within(forecast: CreationForecast, days: int) -> CreationForecast:
    """The part of a forecast that falls in its first ``days`` days; a month's creations are even over its days, as in `wins_of_creations`."""
    last_day = np.minimum(forecast.last_day, days)
    share = (last_day - forecast.first_day + 1) / (forecast.last_day - forecast.first_day + 1)
    begun = share > 0
    return CreationForecast(forecast.first_day[begun], last_day[begun], (forecast.creations * share)[begun], forecast.log_sd[begun])


def forecast_new_business(creations: CreationForecast, won_by: np.ndarray, donors: Donors) -> NewBusiness:
    """Wins to expect from deals created after the as-of date: creations × P(won by each end | day of creation), with the donors' amounts.

    Without any donor there is no amount and no segment to give to a win, so none is expected.
    """
    wins = wins_of_creations(creations, won_by)
    m = len(donors.amounts)
    if m == 0:
        return NewBusiness(np.zeros_like(wins), creations.log_sd, donors)
    # The mean amount and the win curve rest on about as many wins as there are donors.
    sampling_variance = (1 + donors.cv**2) / m
    return NewBusiness(wins, np.sqrt(creations.log_sd**2 + sampling_variance), donors)
