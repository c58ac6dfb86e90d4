"""The company's targets: those of its configuration and those that are exported.

What belongs here: bringing both together. What does not: what a forecast says of them (models/targets.py).
"""

import pandas as pd

from assets.exports.settings import Configuration
from models.settings import Target


def with_targets(company: Configuration, exported: pd.DataFrame) -> Configuration:
    """The company with the accepted exported targets besides those of its configuration, which go first."""
    configured = {(t.period_kind, t.period_start, t.dimension, t.member, t.metric) for t in company.targets}
    accepted = exported[exported["_verdict"] == "accepted"]
    rows = zip(accepted["period_kind"], accepted["period_start"].dt.date, accepted["dimension"], accepted["member"], accepted["metric"], accepted["target"])
    added = [Target(**dict(zip(Target.model_fields, row))) for row in rows if row[:5] not in configured]
    return company.model_copy(update={"targets": (*company.targets, *added)})
