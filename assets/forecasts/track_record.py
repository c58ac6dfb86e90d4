"""The record beside the models: what people called, and what was published at earlier as-of dates, scored like any forecast.

What belongs here: handing calls and earlier publications to the models and adding their rows to the forecast's tables. What
does not: estimates and scores (models), reading the report database (pipelines).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from assets.exports.settings import Configuration
from assets.query import Engine, Parquet, Query
from models.calls import CALL_METHODS, call_baselines, call_record, past_calls
from models.deal_history import day_number
from models.landmarks import month_ends
from models.levels import Members
from models.live_record import score_published, still_ahead
from models.outlook import CompanyRecord
from models.revenue_backtest import actual_totals, backtest_members
from models.scoring import score_all
from models.win_probability import FittedModels
from quality.masking import id_masks

MOST_ORIGINS = 60
"""Month ends at which calls are scored, at most; the calendar usually begins later."""

CALLED_MEMBERS_SQL = """
-- Whom a deal belongs to among those who may call, whether or not owner and team are configured as segments.
WITH numbered AS (SELECT row_number() OVER (ORDER BY opportunity_id) - 1 AS deal, owner_id, team FROM opportunities)
SELECT deal AS opportunity_id, 'all' AS dimension, 'all' AS member FROM numbered
UNION ALL SELECT deal, 'owner', coalesce(nullif(trim(owner_id), ''), 'unassigned') FROM numbered
UNION ALL SELECT deal, 'team', coalesce(nullif(trim(team), ''), 'unassigned') FROM numbered
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Past:
    """What is on record beside the models: ``calls`` (contract forecast_calls), the members that may be called (None without
    calls), and ``published`` forecasts of earlier as-of dates with members as in the lake."""

    calls: pd.DataFrame
    called: Members | None
    published: pd.DataFrame


def past_of(
    calls: pd.DataFrame, published: pd.DataFrame, opportunities: Parquet, record: CompanyRecord, company: Configuration, engine: Engine, mask_key: bytes
) -> Past:
    """The past of one company, its published members unmasked."""
    calls = calls[calls["category"].isin(list(CALL_METHODS))]
    called = None
    if len(calls):
        rows = engine.arrow(Query(CALLED_MEMBERS_SQL, {"opportunities": opportunities})).to_pandas(strings_to_categorical=True)
        called = Members.of(rows, np.arange(len(record.amount)))
    names = record.members.names if called is None else pd.concat([record.members.names, called.names], ignore_index=True)
    return Past(calls, called, unmasked(published, names, company, mask_key))


def unmasked(published: pd.DataFrame, names: pd.DataFrame, company: Configuration, mask_key: bytes) -> pd.DataFrame:
    """Published rows with the members that are masked in the report database as they stand in the lake.

    A mask is made anew from every member known today; what none of them gives stays as it is, and is not scored.
    """
    if published.empty:
        return published
    masks = [_shown(names, dimension, company, mask_key) for dimension in names["dimension"].unique()]
    shown = pd.concat(masks, ignore_index=True).drop_duplicates(["dimension", "shown"])
    beside = published.merge(shown, left_on=["dimension", "member"], right_on=["dimension", "shown"], how="left", suffixes=("", "_known"), validate="m:1")
    return beside.assign(member=beside["member_known"].fillna(beside["member"]))[list(published.columns)]


def _shown(names: pd.DataFrame, dimension: str, company: Configuration, mask_key: bytes) -> pd.DataFrame:
    members = names.loc[names["dimension"] == dimension, "member"].drop_duplicates()
    masks = id_masks(set(members) - {"all", "unassigned"}, mask_key, people=dimension == "owner" and company.mask_owners)
    return pd.DataFrame({"dimension": dimension, "member": members, "shown": members.map(lambda member: masks.get(member, member))})


def with_track_record(
    tables: dict[str, pd.DataFrame],
    past: Past,
    record: CompanyRecord,
    fitted: Callable[[int], FittedModels],
    calendar: pd.DataFrame,
    company: Configuration,
    as_of: date,
) -> dict[str, pd.DataFrame]:
    """The forecast's tables with the rows of calls and of earlier publications, and the table call_record."""
    choices = tables["method_choice"]
    chosen = choices.loc[choices["question"] == "deals", ["origin", "method"]]
    scored = [tables["forecast_accuracy"], *_calls_scored(past, record, fitted, chosen, calendar, company, as_of), *_live(past, record, calendar, as_of)]
    accuracy = _joined(scored)
    baselines = _joined([tables["forecast_baselines"], call_baselines(past.calls, calendar, as_of)])
    return {**tables, "forecast_baselines": baselines, "forecast_accuracy": accuracy, "call_record": call_record(accuracy, chosen)}


def _calls_scored(
    past: Past,
    record: CompanyRecord,
    fitted: Callable[[int], FittedModels],
    chosen: pd.DataFrame,
    calendar: pd.DataFrame,
    company: Configuration,
    as_of: date,
) -> list[pd.DataFrame]:
    """Past calls, and the model as of the same origins for the teams and people that called."""
    if past.called is None:
        return []
    origins = month_ends(as_of - timedelta(days=1), MOST_ORIGINS)
    calls = past_calls(past.calls, calendar, [day for day in origins if pd.Timestamp(day) >= past.calls["called_at"].min().normalize()], as_of)
    over = calendar[calendar["period_end"] <= pd.Timestamp(as_of)].merge(calls[["period_kind", "period_start"]].drop_duplicates(), validate="1:1")
    scored = score_all(calls.assign(p10=np.nan, p90=np.nan), actual_totals(record, past.called, over)).assign(kind="replayed")
    who = scored.loc[scored["dimension"] != "all", ["dimension", "member"]].drop_duplicates()
    rows = np.flatnonzero(pd.MultiIndex.from_frame(past.called.names).isin(pd.MultiIndex.from_frame(who)))
    methods = {day_number(origin.date()): method for origin, method in chosen.itertuples(index=False) if origin >= calls["origin"].min()}
    settings = company.forecast
    replayed = backtest_members(
        record, fitted, methods, past.called, rows, calendar, prior_deals=settings.prior_deals, shock_sd=settings.shock_prior
    )  # fmt: skip
    return [scored, replayed]


def _live(past: Past, record: CompanyRecord, calendar: pd.DataFrame, as_of: date) -> list[pd.DataFrame]:
    published = still_ahead(past.published, calendar)
    periods = published[["period_kind", "period_start"]].drop_duplicates()
    over = calendar[calendar["period_end"] <= pd.Timestamp(as_of)].merge(periods, validate="1:1")
    if over.empty:
        return []
    members = [record.members, *([] if past.called is None else [past.called])]
    actuals = pd.concat([actual_totals(record, m, over) for m in members], ignore_index=True)
    return [score_published(published, actuals.drop_duplicates(["period_kind", "period_start", "dimension", "member"]))]


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows in the columns of the first; empty frames do not take part, as they would blur the types."""
    held = [frame[list(frames[0].columns)] for frame in frames if len(frame)]
    return pd.concat(held, ignore_index=True) if held else frames[0]
