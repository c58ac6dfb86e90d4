"""A company's record from the small funnel of tests/deal_frames.py, with amounts and expected close dates that may change.

What belongs here: made-up episodes around drawn deals. What does not: any expectation.
"""

from datetime import timedelta

import numpy as np
import pandas as pd

from models.deal_facts import DealFacts
from models.deal_history import NEVER, deal_groups, deal_history
from models.levels import Members, whole_days
from models.outlook import CompanyRecord
from tests.deal_frames import DealFrames


def company_record(
    frames: DealFrames, changes: pd.DataFrame | None = None, knows: frozenset[str] = frozenset({"amount", "expected_close_date"})
) -> CompanyRecord:
    """The record of drawn deals as known at their ``as_of``.

    A deal's amount goes by its number, its close date is 60 days after creation. ``changes`` has deal (a position), day, amount and
    close_on of later states, by deal and day.
    """
    deals = frames.opportunities
    created, closed = whole_days(deals["created_at"]), whole_days(deals["closed_at"])
    number = deals["opportunity_id"].str[1:].astype(int).to_numpy()
    first = pd.DataFrame({"deal": range(len(deals)), "day": created, "amount": 1000.0 + 10 * (number % 50), "close_on": created + 60})
    states = first if changes is None else pd.concat([first, changes]).astype({"day": "datetime64[us]", "close_on": "datetime64[us]"})
    states = states.sort_values(["deal", "day"], kind="stable", ignore_index=True)
    states = states[pd.to_datetime(states["day"]) < pd.Timestamp(frames.as_of + timedelta(days=1))].reset_index(drop=True)
    day, close_on = whole_days(states["day"]), whole_days(states["close_on"])
    following = states["deal"].shift(-1) == states["deal"]
    nothing = np.zeros(0, np.int64)
    segments = pd.concat([frames.opportunity_segments, deals[["opportunity_id"]].assign(dimension="all", member="all")])
    history = deal_history(*frames.tables, groups=deal_groups(deals, frames.opportunity_segments, ("source",)))
    return CompanyRecord(
        history=history,
        facts=DealFacts(
            states["deal"].to_numpy(np.int64), day.astype(np.int64), states["amount"].to_numpy(float),
            np.where(np.isnat(close_on), NEVER, close_on.astype(np.int64)), np.zeros(len(states), np.int64), nothing, nothing, knows,
        ),
        members=Members.of(segments, deals["opportunity_id"]),
        created_on=created,
        closed_on=closed,
        owner_id=np.full(len(deals), None, dtype=object),
        is_won=deals["status"].eq("won").to_numpy(),
        amount=states.groupby("deal")["amount"].last().to_numpy(float),
        crm_probability=np.full(len(deals), np.nan),
        default_probability=np.full(len(history.stages), np.nan),
        episode_deal=states["deal"].to_numpy(np.int32),
        episode_from=day.astype("datetime64[us]"),
        episode_to=np.where(following, np.append(day[1:], np.datetime64("NaT")).astype("datetime64[us]"), np.datetime64("NaT", "us")),
        episode_amount=states["amount"].to_numpy(float),
        episode_close_on=close_on,
        final_ratios=pd.DataFrame({"opportunity_id": [], "stage": [], "amount": [], "final_amount": [], "closed_on": pd.to_datetime([])}),
        knows_amounts=True,
    )  # fmt: skip
