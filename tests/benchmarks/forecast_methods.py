"""The forecasts of Leadline's own methods at past origins of a simulated company.

What belongs here: every call into the models, in one place. What does not: the simple methods that only the benchmark
knows (simple_methods.py) and scores (forecast_scores.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from models.deal_history import day_number
from models.landmarks import open_deals
from models.levels import Intervals, Members
from models.outlook import CompanyRecord, Standing, outlook_of, standing
from models.revenue import QUANTILE_COLUMNS, revenue_table
from models.settings import Forecasting
from models.win_probability import count_history, fit_models, win_probabilities

PERIOD_KINDS = ("month_1", "month_2", "month_3", "three_months")
DRAWS = 1_000
SETTINGS = Forecasting()


@dataclass(frozen=True)
class Forecast:
    """One method at one origin: P(won by) of the open deals (deals × three month ends), the mean of the company's bookings
    in each of `PERIOD_KINDS` and their quantiles (periods × levels); None or NaN where the method says nothing."""

    won_by: np.ndarray | None
    mean: np.ndarray
    quantiles: np.ndarray | None = None


@dataclass(frozen=True)
class AtOrigin:
    """What every method finds at an origin, and what Leadline's methods make of it."""

    origin: date
    standing: Standing
    forecasts: dict[str, Forecast]


def periods_after(origin: date) -> pd.DataFrame:
    """The three months after a month's end, and all three as one period."""
    ends = pd.date_range(pd.Timestamp(origin) + pd.Timedelta(days=1), periods=3, freq="ME")
    starts = [pd.Timestamp(origin + timedelta(days=1)), *(ends[:-1] + pd.Timedelta(days=1))]
    return pd.DataFrame({"period_kind": PERIOD_KINDS, "period_start": [*starts, starts[0]], "period_end": [*ends, ends[-1]]})


def own_forecasts(record: CompanyRecord, origins: Sequence[date], methods: tuple[str, ...] | None, seed: int) -> Iterator[AtOrigin]:
    """Fit on what was known at each origin and forecast, by ``methods`` (None: all that can be applied there)."""
    months_back = (record.history.known_day - day_number(min(origins))) // 28 + 1
    counts = count_history(record.history, months_back, facts=record.facts)
    company = Members(record.members.names.iloc[:1], np.zeros((len(record.amount), 1), dtype=np.intp))
    for origin in origins:
        models = fit_models(counts, day_number(origin), SETTINGS.half_life_days, SETTINGS.prior_deals, SETTINGS.drift_prior_events)
        chosen = None if methods is None else tuple(m for m in methods if m in models.methods)
        intervals = Intervals.of(periods_after(origin), origin)
        deals = open_deals(record.history, day_number(origin))
        results = win_probabilities(models, deals, intervals.ends, chosen, horizons_only=True)
        at = standing(record, models, deals, intervals, origin, company, SETTINGS.prior_deals)
        forecasts = {}
        for method, result in results.items():
            outlook = outlook_of(result, models, at)
            table = revenue_table(outlook, outlook.draw(draws=DRAWS, seed=seed, shock_sd=SETTINGS.shock_prior))
            total = table[table["component"] == "total"].set_index("period_kind").loc[list(PERIOD_KINDS)]
            forecasts[method] = Forecast(result.won_by, total["mean"].to_numpy(), total[list(QUANTILE_COLUMNS)].to_numpy())
        yield AtOrigin(origin, at, forecasts)
