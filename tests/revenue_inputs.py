"""Small inputs that the tests of the revenue forecast share.

What belongs here: periods, segments, deals and outlooks as the models take them. What does not: any expectation.
"""

from datetime import date

import numpy as np
import pandas as pd

from models.levels import Intervals, Members
from models.new_business import Donors, NewBusiness
from models.revenue import WonDeals
from models.simulation import PipelineOutlook

AS_OF = date(2025, 1, 31)

PERIODS = pd.DataFrame(
    {
        "period_kind": ["month", "month", "month", "quarter", "quarter"],
        "period_start": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-03-01", "2025-01-01", "2025-04-01"]),
        "period_end": pd.to_datetime(["2025-01-31", "2025-02-28", "2025-03-31", "2025-03-31", "2025-06-30"]),
    }
)
INTERVALS = Intervals.of(PERIODS, AS_OF)
"""January is over; the intervals are February, March and the second quarter."""


def segmented(regions: list[str]) -> Members:
    """Deals in the regions a, b and c, one letter per deal; the rows of names are all, a, b, c."""
    names = pd.DataFrame({"dimension": ["all"] + ["region"] * 3, "member": ["all", "a", "b", "c"]})
    region = np.array(["abc".index(r) + 1 for r in regions], dtype=np.intp)
    return Members(names, np.column_stack([np.zeros_like(region), region]))


def pipeline(n: int, seed: int = 1) -> PipelineOutlook:
    """Open deals with any probabilities, in any region, amounts spread over an order of magnitude."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(len(INTERVALS.ends) + 1), size=n)[:, :-1]
    return PipelineOutlook(p, rng.lognormal(8, 1, n).round(2), np.full(n, 0.4), segmented(list(rng.choice(list("abc"), n))))


def outlook(members: Members, wins: float, log_sd: float = 0.2) -> NewBusiness:
    """New business of ``wins`` in each interval, resembling deals of these members worth 50 to 400."""
    donors = Donors(np.linspace(50.0, 400.0, members.codes.shape[0]), members, 0.3)
    return NewBusiness(np.full((1, len(INTERVALS.ends)), wins), np.array([log_sd]), donors)


def no_outlook() -> NewBusiness:
    """New business of nothing."""
    return NewBusiness(np.zeros((1, len(INTERVALS.ends))), np.array([0.1]), Donors(np.zeros(0), segmented([]), 0.5))


def nothing_won() -> WonDeals:
    """No deal won so far."""
    return WonDeals(np.zeros(0, dtype="datetime64[D]"), np.zeros(0), segmented([]))
