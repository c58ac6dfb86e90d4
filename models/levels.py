"""The levels at which a forecast is published: days add up to periods, deals add up to segment members.

What belongs here: the bookkeeping that makes every level of a forecast add up. What does not: any estimate.

Weeks, months and quarters overlap, so nothing is simulated or rounded per period. The boundaries of all periods cut
the days ahead into disjoint intervals; every period is a sum of whole intervals. Likewise each deal has exactly one
member per dimension, so every dimension is a partition of the same deals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse

ONE_DAY = np.timedelta64(1, "D")


def whole_days(times: Sequence) -> np.ndarray:
    """Times or dates as calendar days (datetime64[D]); a missing one is NaT."""
    return pd.to_datetime(pd.Series(times)).to_numpy(dtype="datetime64[us]").astype("datetime64[D]")


@dataclass(frozen=True)
class Intervals:
    """Disjoint intervals of the days after the as-of date, and the periods as sums of them.

    ``periods`` has K rows with period_kind, period_start and period_end (last day, inclusive). Interval j of J covers
    the days ``edges[j] + 1`` to ``edges[j + 1]`` after the as-of date; ``edges[0]`` is 0. ``in_period`` (K × J) is 1
    where the interval lies in the period; a period that began earlier consists of its intervals and of what is past.
    """

    as_of: np.datetime64
    periods: pd.DataFrame
    edges: np.ndarray
    in_period: np.ndarray

    @classmethod
    def of(cls, periods: pd.DataFrame, as_of: date) -> "Intervals":
        """Cut the days after ``as_of`` at every start and end of the given periods.

        Raises ValueError where no day of any period lies after the as-of date.
        """
        origin = np.datetime64(as_of, "D")
        periods = periods[["period_kind", "period_start", "period_end"]].reset_index(drop=True)
        before_first = ((whole_days(periods["period_start"]) - ONE_DAY) - origin).astype(int)
        last = (whole_days(periods["period_end"]) - origin).astype(int)
        edges = np.unique(np.concatenate([[0], before_first, last]).clip(min=0))
        if len(edges) < 2:
            raise ValueError(f"none of the {len(periods)} periods has a day after {as_of}; hand in periods that end after the as-of date")
        in_period = (edges[None, :-1] >= before_first[:, None]) & (edges[None, 1:] <= last[:, None])
        covered = in_period.any(axis=0)
        if not covered.all():
            gap = int(np.flatnonzero(~covered)[0])
            raise ValueError(f"no period holds the days {edges[gap] + 1} to {edges[gap + 1]} after {as_of}; periods follow each other without a gap")
        return cls(origin, periods, edges, in_period.astype(float))

    @property
    def ends(self) -> np.ndarray:
        """Days from the as-of date to the end of each interval (J): where a win model is to be evaluated."""
        return self.edges[1:]

    @property
    def period_ends(self) -> np.ndarray:
        """Days from the as-of date to the last day of each period (K); not positive where it is over."""
        return (whole_days(self.periods["period_end"]) - self.as_of).astype(int)

    @property
    def past_days(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last day (K, datetime64[D]) of what is past of each period; the last lies before the first where nothing is."""
        first, last = whole_days(self.periods["period_start"]), whole_days(self.periods["period_end"])
        return first, np.minimum(last, self.as_of)

    @property
    def remaining_share(self) -> np.ndarray:
        """Share of each period's days that lie after the as-of date (K)."""
        first, last = whole_days(self.periods["period_start"]), whole_days(self.periods["period_end"])
        length = (last - first).astype(int) + 1
        return np.clip(self.period_ends, 0, length) / length

    def split(self, p_won_by_end: np.ndarray) -> np.ndarray:
        """P(won in interval) (n × J) from P(won by the end of each period) (n × K).

        Raises ValueError where an interval ends with no period, so that nothing is known there.
        """
        ends = self.period_ends
        missing = np.setdiff1d(self.ends, ends)
        if len(missing):
            raise ValueError(f"no period ends {missing[0]} days after {self.as_of}; evaluate the win model at Intervals.ends instead")
        by_edge = p_won_by_end[:, [int(np.flatnonzero(ends == end)[0]) for end in self.ends]]
        return np.diff(by_edge, axis=1, prepend=0.0).clip(min=0.0)

    def sum_to_periods(self, by_interval: np.ndarray) -> np.ndarray:
        """Values by interval (… × J) added up to periods (… × K); whole numbers below 2^53 stay exact."""
        return by_interval @ self.in_period.T


@dataclass(frozen=True)
class Members:
    """The members of all dimensions, and to which of them each deal belongs.

    ``names`` has M rows with dimension and member, (all, all) first, then by dimension and member. ``codes`` (n × D)
    holds for each deal and dimension its row in ``names``.
    """

    names: pd.DataFrame
    codes: np.ndarray

    @classmethod
    def of(cls, opportunity_segments: pd.DataFrame, opportunity_ids: Sequence[str]) -> "Members":
        """Codes of the given deals, in their order, from rows of opportunity_id, dimension and member.

        Raises ValueError where a deal lacks a member in some dimension or the dimension ``all`` is missing.
        """
        dimension, dimensions = pd.factorize(opportunity_segments["dimension"])
        if "all" not in dimensions:
            raise ValueError("opportunity_segments has no dimension 'all'; every deal has the member ('all', 'all')")
        value, values = pd.factorize(opportunity_segments["member"])
        pair, pairs = pd.factorize(dimension * len(values) + value)
        names = pd.DataFrame({"dimension": dimensions[pairs // len(values)], "member": values[pairs % len(values)]})
        names = names.assign(others=names["dimension"].ne("all")).sort_values(["others", "dimension", "member"]).drop(columns="others")
        row = np.empty(len(names), dtype=np.intp)
        row[names.index] = np.arange(len(names))
        member, names = row[pair], names.reset_index(drop=True)
        column = pd.Index(names["dimension"].unique()).get_indexer(dimensions)[dimension]
        ids = pd.Index(opportunity_ids)
        deal = ids.get_indexer(opportunity_segments["opportunity_id"])
        known = deal >= 0
        codes = np.full((len(ids), len(dimensions)), -1, dtype=np.intp)
        codes[deal[known], column[known]] = member[known]
        if (codes < 0).any():
            lacking = names["dimension"].unique()[int(np.flatnonzero((codes < 0).any(axis=0))[0])]
            raise ValueError(
                f"{int((codes < 0).any(axis=1).sum())} deals have no member in some dimension, first {lacking}; "
                "opportunity_segments has one row per deal and dimension, 'unassigned' where nothing is known"
            )
        return cls(names, codes)

    def take(self, deals: np.ndarray) -> "Members":
        """The same names for some of the deals, given as a mask or as positions."""
        return Members(self.names, self.codes[deals])

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Values by deal (n × anything) added up to members (M × anything), in a fixed order."""
        deals, dimensions = self.codes.shape
        belongs = sparse.csr_array(
            (np.ones(deals * dimensions), (self.codes.ravel(), np.repeat(np.arange(deals), dimensions))),
            shape=(len(self.names), deals),
        )
        return belongs @ values

    def whole_cents(self, amounts: np.ndarray) -> np.ndarray:
        """Amounts by member and interval (M × J), none negative, as whole cents that add up exactly (int64).

        Rounding each amount by itself would leave members that do not add up to the company. So the company's running
        sum over intervals is rounded, which keeps every run of intervals, and so every period, within a cent of
        its exact amount; then in each interval the running sum over the members of a dimension, stretched to the
        company's rounded amount, is rounded. Differences of rounded running sums are never negative, each is within a
        cent and a half of the exact amount, and they add up by construction (cascade rounding).
        """
        cents = amounts * 100.0
        company = np.diff(np.rint(np.cumsum(cents[0])), prepend=0.0)
        rounded = np.zeros(cents.shape, dtype=np.int64)
        for rows in self.names.groupby("dimension", sort=False).indices.values():
            running = np.cumsum(cents[rows], axis=0)
            stretch = np.divide(company, running[-1], out=np.zeros_like(company), where=running[-1] > 0)
            rounded[rows] = np.diff(np.rint(running * stretch), axis=0, prepend=0.0).astype(np.int64)
        return rounded
