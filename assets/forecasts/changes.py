"""What changed since the end of the month before: the two subjects of forecast_changes, and the deals behind the forecast's.

What belongs here: putting the explanations into the tables of their contracts. What does not: the attribution itself
(models/mean_changes.py; forecast_changes.sql for the open pipeline).
"""

import numpy as np
import pandas as pd

from assets.query import Engine, Parquet, Query, sql_beside
from models.deal_history import day_number
from models.outlook import CompanyRecord
from models.then_and_now import FittedAt, Forecast, last_month_end, mean_changes
from quality.tables.forecasts import FORECASTS


def explained_mean(
    record: CompanyRecord, fitted: FittedAt, origin_days: np.ndarray, calendar: pd.DataFrame, now: Forecast, prior_deals: float
) -> dict[str, pd.DataFrame]:
    """forecast_changes of the subject forecast, and forecast_change_deals; without rows where the earlier date has no fit of today's method.

    ``origin_days`` are those that can be fitted: at others too little had closed to say anything.
    """
    since = day_number(last_month_end(now.origin))
    if not record.knows_money or since not in origin_days or now.outlook.method not in fitted(since).methods:
        return {name: _empty(name) for name in ("forecast_changes", "forecast_change_deals")}
    table, deals = mean_changes(record, fitted(since), calendar, now, prior_deals)
    dated = {"since": pd.Timestamp(last_month_end(now.origin))}
    ids = record.history.opportunity_id.to_numpy()[deals["deal"]]
    return {
        "forecast_changes": table.assign(**dated, subject="forecast"),
        "forecast_change_deals": deals.drop(columns="deal").assign(**dated, opportunity_id=ids),
    }


def pipeline_changes(engine: Engine, episodes: Parquet, opportunity_segments: Parquet, calendar: pd.DataFrame, parameters: Parquet) -> pd.DataFrame:
    """forecast_changes of the subject pipeline."""
    tables = {"episodes": episodes, "opportunity_segments": opportunity_segments, "calendar": calendar, "parameters": parameters}
    changes = engine.arrow(Query(sql_beside(__file__, "forecast_changes"), tables)).to_pandas(date_as_object=False)
    return changes.assign(amount=changes["amount"].astype(float))


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=[c.name for c in FORECASTS.tables[name].columns if c.name != "as_of"])
