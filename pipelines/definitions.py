"""The one Definitions of Leadline: wiring, nothing else."""

import dagster as dg

from assets.core import records, trusted
from assets.exports import exported
from assets.exports.judge import expected_of
from assets.forecasts import forecasts
from assets.metrics import METRIC_ASSETS
from assets.reports import lists, quality_tables
from pipelines.jobs import JOBS
from pipelines.publication import publication
from pipelines.pulling.assets import pull_tables
from pipelines.resources import resources
from quality.checks import computed_checks, exported_checks
from quality.model_checks import forecast_checks
from quality.tables import COMPUTED, CORE_TABLES

defs = dg.Definitions(
    assets=[
        *exported.ASSETS,
        *dg.load_assets_from_modules([records, trusted, forecasts, lists, quality_tables]),
        *METRIC_ASSETS,
        publication,
        pull_tables,
    ],
    asset_checks=[*exported_checks(expected_of), *computed_checks([*CORE_TABLES, *COMPUTED]), forecast_checks()],
    jobs=JOBS,
    resources=resources(),
    executor=dg.in_process_executor,
)
