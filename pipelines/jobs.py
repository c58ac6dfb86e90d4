"""Jobs: what runs together, for one as-of date at a time.

What belongs here: jobs and their selections. What does not: assets, resources.
"""

import dagster as dg

from assets.declare import AS_OF

leadline = dg.define_asset_job(
    "leadline",
    selection=dg.AssetSelection.all(),
    partitions_def=AS_OF,
    description="From exports to the published forecast, as of the partition's date.",
)

check_exports = dg.define_asset_job(
    "check_exports",
    selection=dg.AssetSelection.groups("exports"),
    partitions_def=AS_OF,
    description="Reads and judges the exports; nothing is published.",
)

JOBS = [leadline, check_exports]
