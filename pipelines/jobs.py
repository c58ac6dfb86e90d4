"""Jobs: what runs together, for one as-of date at a time.

What belongs here: jobs and their selections; their partitions are those of the assets. What does not: assets,
resources.
"""

import dagster as dg

from assets.forecasts.forecasts import forecast

leadline = dg.define_asset_job(
    "leadline",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("pulls"),
    description="From exports to the published forecast, as of the partition's date.",
)

backtest = dg.define_asset_job(
    "backtest",
    selection=dg.AssetSelection.assets(forecast).upstream(),
    description="From exports to the record of every method at past month ends; nothing is published.",
)

check_exports = dg.define_asset_job(
    "check_exports",
    selection=dg.AssetSelection.groups("exports"),
    description="Reads and judges the exports; nothing is published.",
)

pull = dg.define_asset_job(
    "pull",
    selection=dg.AssetSelection.groups("pulls"),
    description="Pulls from the CRM what changed, into the exports folder; goes on where a pull stopped.",
)

JOBS = [leadline, backtest, check_exports, pull]
