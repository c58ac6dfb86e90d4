"""The forecast as assets: probabilities, revenue, baselines, and the backtest that chooses between methods.

What belongs here: wiring models to tables. What does not: estimates (models) and queries (record.py).
The rolling backtest and the forecast share one fit per origin, so they are one computation with several tables.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import dagster as dg
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from assets.declare import asset_arguments
from assets.exports.settings import Configuration
from assets.forecasts.changes import explained_mean, pipeline_changes
from assets.forecasts.reasons import reasons
from assets.forecasts.record import company_record
from assets.forecasts.scenarios import scenario_table
from assets.forecasts.targets import with_targets
from assets.forecasts.track_record import Past, past_of, with_track_record
from assets.query import Engine, Parquet
from models.deal_backtest import LEAST_CLOSED_DEALS, backtest_deals
from models.deal_calls import reliability_tables, with_deal_calls
from models.deal_choice import choose_method, deal_accuracy, deal_method_choice
from models.deal_history import day_number
from models.deal_states import states_of
from models.features import reason_figures
from models.landmarks import OpenDeals, month_ends, open_deals
from models.levels import Intervals
from models.outlook import SHORT_CYCLE_DAYS, CompanyRecord, forecast_periods, outlook_of, rounded, stage_names, standing
from models.revenue import revenue_table
from models.revenue_backtest import backtest_revenue, revenue_method_choice
from models.targets import bookings_targets, target_outlook
from models.then_and_now import Forecast
from models.threads import in_threads
from models.win_probability import FittedModels, WinProbabilities, count_history, fit_models, win_probabilities
from quality.tables.forecasts import FORECASTS

GROUP = "forecasts"
DAY_HORIZONS = (30, 60, 90)

_TABLES = (
    "win_probability", "win_timing", "revenue_forecast", "forecast_baselines", "forecast_accuracy", "deal_accuracy", "method_choice",
    "reliability", "call_record", "forecast_changes", "forecast_change_deals", "target_outlook", "scenarios",
)  # fmt: skip


def _out(name: str) -> dg.AssetOut:
    arguments = asset_arguments(FORECASTS.tables[name], GROUP)
    return dg.AssetOut(key=arguments["name"], **{k: arguments[k] for k in ("group_name", "description", "metadata")})


@dg.multi_asset(outs={name: _out(name) for name in _TABLES}, partitions_def=asset_arguments(FORECASTS.tables["win_timing"], GROUP)["partitions_def"])
def forecast(
    opportunities: Parquet,
    stage_visits: Parquet,
    episodes: Parquet,
    opportunity_segments: Parquet,
    activities: Parquet,
    forecast_calls: pd.DataFrame,
    parameters: Parquet,
    stages: pd.DataFrame,
    calendar: pd.DataFrame,
    targets: pd.DataFrame,
    published_forecasts: dg.ResourceParam[pd.DataFrame],
    mask_key: dg.ResourceParam[bytes],
    company: dg.ResourceParam[Configuration],
    engine: dg.ResourceParam[Engine],
    as_of: dg.ResourceParam[date],
) -> Iterator[dg.Output]:
    record = company_record(opportunities, stage_visits, episodes, opportunity_segments, activities, stages, company, engine, as_of)
    # Many small products: threads only wait for each other, and their number would show in the last digits.
    with threadpool_limits(limits=1):
        past = past_of(forecast_calls, published_forecasts, opportunities, record, company, engine, mask_key)
        tables = forecast_tables(record, past, calendar, with_targets(company, targets), as_of)
    del record
    pipeline = pipeline_changes(engine, episodes, opportunity_segments, calendar, parameters)
    tables["forecast_changes"] = pd.concat([pipeline, tables["forecast_changes"]], ignore_index=True)
    for name, table in tables.items():
        yield dg.Output(table, name)


def forecast_tables(record: CompanyRecord, past: Past, calendar: pd.DataFrame, company: Configuration, as_of: date) -> dict[str, pd.DataFrame]:
    """Every table of this file, by name, without ``as_of``."""
    settings, today = company.forecast, day_number(as_of)
    counts = count_history(record.history, settings.origins, company.fiscal_year_start_month, facts=record.facts)

    @cache
    def fitted(day: int):
        return fit_models(counts, day, settings.half_life_days, settings.prior_deals, settings.drift_prior_events)

    # Origins are independent of each other; the backtest then finds each fitted.
    origins = map(day_number, month_ends(as_of - timedelta(days=1), settings.origins))
    in_threads(fitted, [*(day for day in origins if record.history.closed_by(day) >= LEAST_CLOSED_DEALS), today])
    scores = backtest_deals(record.history, fitted, settings.origins)
    choice = choose_method(scores, settings.seed)
    replayed = backtest_revenue(record, fitted, scores.origin_days, calendar, prior_deals=settings.prior_deals, shock_sd=settings.shock_prior)
    shock = replayed.shock_sd(choice.method, settings.shock_prior, settings.shock_prior_weight)
    periods = forecast_periods(calendar, as_of, with_weeks=record.median_cycle_days(as_of) < SHORT_CYCLE_DAYS)
    intervals = Intervals.of(periods, as_of)
    open_now = open_deals(record.history, today)
    models = fitted(today)
    result = win_probabilities(models, open_now, intervals.ends, (choice.method,))[choice.method]
    within = win_probabilities(models, open_now, np.array(DAY_HORIZONS), (choice.method,), horizons_only=True)[choice.method]
    at = standing(record, models, open_now, intervals, as_of, record.members, settings.prior_deals)
    outlook = outlook_of(result, models, at)
    drawn = outlook.draw(draws=settings.draws, seed=settings.seed, shock_sd=shock)
    revenue = revenue_table(outlook, drawn)
    aims = bookings_targets(company.targets, company.fiscal_year_start_month)
    now = Forecast(as_of, open_now, at, outlook)
    by_deals = deal_method_choice(scores, settings.seed)
    by_revenue = revenue_method_choice(replayed.accuracy, dict(zip(by_deals["origin"], by_deals["method"])))
    tables = {
        "win_probability": _win_probability(record, models, open_now, result, within, at.amounts, as_of),
        "win_timing": _win_timing(record, result, intervals),
        "revenue_forecast": revenue if record.knows_money else revenue.iloc[:0],
        "forecast_baselines": at.baselines,
        "forecast_accuracy": replayed.accuracy,
        "deal_accuracy": with_deal_calls(deal_accuracy(scores, choice.method, settings.seed), scores),
        "method_choice": pd.concat([by_deals, by_revenue], ignore_index=True),
        "target_outlook": target_outlook(aims if record.knows_money else aims.iloc[:0], outlook, drawn, record, as_of),
        "scenarios": scenario_table(record, models, now, drawn, revenue, aims, settings, shock),
        **explained_mean(record, fitted, scores.origin_days, calendar, now, settings.prior_deals),
        "reliability": reliability_tables(scores),
    }
    return with_track_record(tables, past, record, fitted, calendar, company, as_of)


def _win_probability(
    record: CompanyRecord,
    models: FittedModels,
    open_now: OpenDeals,
    result: WinProbabilities,
    within: WinProbabilities,
    amounts: pd.DataFrame,
    as_of: date,
) -> pd.DataFrame:
    by_day = rounded(within)[0]
    p_won = np.maximum(np.round(result.won_ever, 8), by_day[:, -1])
    stage = np.array([*record.history.stages, "unknown"], dtype=object)[record.history.stage_now[result.deal]]
    close = [pd.Timestamp(as_of) + pd.to_timedelta(pd.Series(days).round(), unit="D") for days in result.win_day.T]
    return pd.DataFrame(
        {
            "opportunity_id": record.history.opportunity_id[result.deal],
            "stage": stage,
            "owner_id": record.owner_id[result.deal],
            "amount": amounts["amount"].to_numpy(),
            "amount_if_won": amounts["amount_if_won"].to_numpy(),
            "p_won": p_won,
            **{f"p_won_{days}d": by_day[:, i] for i, days in enumerate(DAY_HORIZONS)},
            "expected_close_date": close[1].to_numpy(),
            "close_date_p10": close[0].to_numpy(),
            "close_date_p90": close[2].to_numpy(),
            "expected_amount": (p_won * amounts["amount_if_won"].to_numpy()).round(2),
            "reasons": reasons(result, _figures(record, models, open_now)),
            "model": result.method,
        }
    )


def _figures(record: CompanyRecord, models: FittedModels, open_now: OpenDeals) -> dict[str, dict[str, np.ndarray]]:
    """What the reasons are about, deal by deal: the figures of its state and the stage's key."""
    states = states_of(record.history, record.facts, open_now, models.fiscal_year_start_month)
    return {"stage": {"stage": stage_names(record, open_now)}, **reason_figures(states)}


def _win_timing(record: CompanyRecord, result: WinProbabilities, intervals: Intervals) -> pd.DataFrame:
    won, lost = rounded(result)
    ends, starts = intervals.period_ends, (intervals.periods["period_start"].to_numpy("datetime64[D]") - intervals.as_of).astype(int) - 1
    at = {int(day): column for column, day in enumerate(intervals.ends)}
    nothing = np.zeros((len(won), 1))
    won, lost = np.hstack([nothing, won]), np.hstack([nothing, lost])
    until = [at.get(int(day), -1) + 1 if day > 0 else 0 for day in ends]
    since = [at.get(int(day), -1) + 1 if day > 0 else 0 for day in starts]
    deals, periods = len(won), len(ends)
    return pd.DataFrame(
        {
            "opportunity_id": np.repeat(record.history.opportunity_id[result.deal].to_numpy(), periods),
            "period_kind": np.tile(intervals.periods["period_kind"].to_numpy(), deals),
            "period_start": np.tile(intervals.periods["period_start"].to_numpy(), deals),
            "p_won_in_period": np.round(won[:, until] - won[:, since], 8).clip(min=0.0).ravel(),
            "p_won_by_end": won[:, until].ravel(),
            "p_lost_by_end": lost[:, until].ravel(),
        }
    )
