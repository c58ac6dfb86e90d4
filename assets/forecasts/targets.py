"""The company's targets: those of its configuration and those that are exported.

What belongs here: bringing both together. What does not: what a forecast says of them (models/targets.py).
"""

import pandas as pd

from assets.exports.settings import Configuration
from models.settings import Target


def with_targets(company: Configuration, targets: pd.DataFrame) -> Configuration:
    """The company with the trusted targets: those of its configuration and the exported ones."""
    rows = targets.assign(period_start=targets["period_start"].dt.date)[list(Target.model_fields)].to_dict("records")
    return company.model_copy(update={"targets": tuple(Target(**row) for row in rows)})
