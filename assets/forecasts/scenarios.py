"""The table of scenarios from a forecast and its draws.

What belongs here: handing to models/scenarios.py what it needs of a forecast. What does not: any lever.
"""

import numpy as np
import pandas as pd

from models.outlook import CompanyRecord, newborn_win_curve, rounded, stage_names
from models.scenarios import ScenarioInputs, scenario_rows
from models.settings import Forecasting
from models.simulation import Draws
from models.then_and_now import Forecast
from models.win_probability import TIMING_GRID_DAYS, FittedModels, win_probabilities
from quality.tables.forecasts import FORECASTS

LONGEST_DAYS = 730
"""How far win curves are read: twice the farthest period's end and more."""


def scenario_table(
    record: CompanyRecord,
    models: FittedModels,
    now: Forecast,
    drawn: Draws,
    revenue: pd.DataFrame,
    targets: pd.DataFrame,
    settings: Forecasting,
    shock_sd: float,
) -> pd.DataFrame:
    """Rows of scenarios; none where no amount is known."""
    if not record.knows_money:
        return pd.DataFrame(columns=[c.name for c in FORECASTS.tables["scenarios"].columns if c.name != "as_of"])
    method, ends = now.outlook.method, now.outlook.intervals.ends
    # The days between which the published days of winning are interpolated have been computed: they cost nothing more.
    grid_days = np.union1d(ends, TIMING_GRID_DAYS[TIMING_GRID_DAYS <= LONGEST_DAYS])
    curves = win_probabilities(models, now.open_deals, grid_days, (method,), horizons_only=True)[method]
    inputs = ScenarioInputs(
        outlook=now.outlook,
        curve=rounded(curves)[0],
        grid_days=grid_days,
        newborn_curve=newborn_win_curve(models, method, 2 * int(now.outlook.intervals.edges[-1])),
        creations=now.standing.creations,
        stage=stage_names(record, now.open_deals),
        drawn=drawn,
        seed=settings.seed,
        shock_sd=shock_sd,
    )
    return scenario_rows(inputs, revenue, targets[targets["target"] > 0])
