"""The probabilities that the demonstration's sellers enter in their CRM.

What belongs here: how sellers move away from what the CRM proposes. What does not: the true chances of the deals,
which nobody in the company knows (models/simulator.py).
"""

import numpy as np
import pandas as pd

from pipelines.demo.names import PROBABILITIES

OWN_VIEW_SHARE = 0.6
"""Share of open deals whose seller enters a probability of his own; the others stand at the stage's."""

_STREAM = 5
_OWNERS_SD, _DEALS_SD = 9.0, 12.0
_HOPE = 4.0
_STEP = 5


def seller_probabilities(opportunities: pd.DataFrame, seed: int) -> pd.Series:
    """Per cent entered for every opportunity: of a closed deal 100 or 0, of an open one the stage's or its seller's own.

    Sellers hope a little, each has a leaning of his own, and they enter steps of five. Equal arguments give equal
    values, and the draws take nothing from those of the simulation.
    """
    rng = np.random.default_rng([seed, _STREAM])
    by_stage = opportunities["stage"].map(PROBABILITIES)
    owner, owners = pd.factorize(opportunities["owner_id"])
    leaning = rng.normal(_HOPE, _OWNERS_SD, len(owners))[owner]
    own_view = by_stage + leaning + rng.normal(0.0, _DEALS_SD, len(opportunities))
    stepped = (_STEP * (own_view / _STEP).round()).clip(_STEP, 100 - _STEP)
    is_own = ~opportunities["is_closed"] & (rng.random(len(opportunities)) < OWN_VIEW_SHARE)
    return by_stage.where(~is_own, stepped).astype("int64")
