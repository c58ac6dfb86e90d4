"""The forecast against its targets: how probable it is to make one, the gap, and how much open pipeline covers it.

What belongs here: targets of bookings by period and member, and what the forecast's draws and the record's past say of them.
What does not: where targets come from (assets/forecasts/targets.py) and drawing (models/simulation.py).
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from models.deal_history import day_number
from models.landmarks import open_deals
from models.levels import Members
from models.outlook import CompanyRecord
from models.revenue import RevenueOutlook
from models.settings import Target
from models.simulation import Draws

KEY = ("period_kind", "period_start", "dimension", "member")
MONTHS_PER_QUARTER = 3

EARLIER_PERIODS = {"week": 12, "month": 12, "quarter": 8}
"""How many earlier periods of each kind the coverage that was needed comes from, at the most."""

_LENGTHS = {"week": pd.DateOffset(days=7), "month": pd.DateOffset(months=1), "quarter": pd.DateOffset(months=3)}


def bookings_targets(targets: Sequence[Target], fiscal_year_start_month: int) -> pd.DataFrame:
    """The targets of bookings by `KEY`; that of a quarter without one of its own is the sum of its months' where all have one.

    ``is_sum`` tells these. Of two targets with the same key the later one in the list counts.
    """
    columns = [*KEY, "target"]
    frame = pd.DataFrame([t.model_dump() for t in targets if t.metric == "bookings"], columns=columns)
    frame = frame.assign(period_start=pd.to_datetime(frame["period_start"]).astype("datetime64[us]"), target=frame["target"].astype(float))
    own = frame.drop_duplicates(list(KEY), keep="last").assign(is_sum=False)
    months = own[own["period_kind"] == "month"]
    into_quarter = (months["period_start"].dt.month - fiscal_year_start_month) % 3
    first = months["period_start"].dt.to_period("M") - into_quarter.to_numpy()
    quarters = months.assign(period_kind="quarter", period_start=first.dt.to_timestamp().astype("datetime64[us]"), is_sum=True)
    summed = quarters.groupby([*KEY, "is_sum"], as_index=False).agg(target=("target", "sum"), months=("target", "size"))
    whole = summed.loc[summed["months"] == MONTHS_PER_QUARTER, own.columns]
    return pd.concat([own, whole], ignore_index=True).drop_duplicates(list(KEY), keep="first")


def target_outlook(targets: pd.DataFrame, outlook: RevenueOutlook, drawn: Draws, record: CompanyRecord, as_of: date) -> pd.DataFrame:
    """One row per target of a period and member that is forecast, with the columns of the contract target_outlook.

    ``targets`` is from `bookings_targets`, those that aim at nothing left out; ``drawn`` are the outlook's draws.
    """
    periods, names = outlook.intervals.periods, outlook.members.names
    rows = targets.loc[targets["target"] > 0, [*KEY, "target"]]
    rows = rows.merge(periods[["period_kind", "period_start"]].assign(period=range(len(periods))), on=list(KEY[:2]), validate="m:1")
    rows = rows.merge(names.assign(row=range(len(names))), on=list(KEY[2:]), validate="m:1")
    row, period, target = rows["row"].to_numpy(), rows["period"].to_numpy(), rows["target"].to_numpy()
    cents = outlook.mean_cents()[row, period]
    won, mean = cents[:, 0] / 100, cents[:, 3] / 100
    open_amount = _open_amounts(record, as_of, as_of, periods)[0][row, period]
    is_ahead = outlook.intervals.period_ends[period] > 0
    needed, count = coverage_needed(record, as_of, periods, row, period)
    return rows[[*KEY, "target"]].assign(
        won=won,
        mean=mean,
        p_target=probability_of(target, row, period, outlook, drawn),
        gap=(target - mean).round(2),
        coverage_now=np.divide(open_amount, target - won, out=np.full(len(rows), np.nan), where=(target > won) & is_ahead),
        coverage_needed=needed,
        n=count,
    )


def probability_of(target: np.ndarray, row: np.ndarray, period: np.ndarray, outlook: RevenueOutlook, drawn: Draws) -> np.ndarray:
    """Share of the draws in which what was won and what is drawn make the target, by target.

    ``row`` and ``period`` say which member and period each is of.
    """
    won = outlook.won.by_period(outlook.intervals)[0] / 100
    result = np.zeros(len(target))
    for one in np.unique(period):
        of_period = np.flatnonzero(period == one)
        chosen = outlook.intervals.in_period[one] > 0
        ahead = (drawn.open_pipeline[row[of_period]][:, chosen] + drawn.new_business[row[of_period]][:, chosen]).sum(axis=1)
        # Targets are whole cents; draws are not.
        made = ahead + won[row[of_period], one][:, None] >= target[of_period][:, None] - 0.005
        result[of_period] = made.mean(axis=1)
    return result


def coverage_needed(record: CompanyRecord, as_of: date, periods: pd.DataFrame, row: np.ndarray, period: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much open amount earlier periods had, at the same distance, per amount that was won of it in the period: median and number.

    An earlier period counts where something was open for it. NaN and 0 where past close dates or amounts are not known, and NaN where
    most earlier periods won nothing of what was open.
    """
    ratios = np.full((max(EARLIER_PERIODS.values()), len(row)), np.nan)
    if record.knows_amounts and "expected_close_date" in record.facts.knows:
        for kind in periods["period_kind"].unique():
            of_kind = np.flatnonzero(periods["period_kind"].to_numpy()[period] == kind) if len(period) else np.zeros(0, np.intp)
            for back in range(1, EARLIER_PERIODS[kind] + 1) if len(of_kind) else ():
                opened, won, over = _earlier(record, as_of, periods, kind, back)
                at = (row[of_kind], period[of_kind])
                usable = over[period[of_kind]] & (opened[at] > 0)
                share = np.divide(opened[at], won[at], out=np.full(len(of_kind), np.inf), where=won[at] > 0)
                ratios[back - 1, of_kind] = np.where(usable, share, np.nan)
    count = (~np.isnan(ratios)).sum(axis=0)
    median = np.full(len(row), np.nan)
    known = count > 0
    middle = np.sort(ratios[:, known], axis=0)
    at = np.arange(middle.shape[1])
    low, high = middle[(count[known] - 1) // 2, at], middle[count[known] // 2, at]
    median[known] = np.where(np.isinf(high), np.nan, (low + np.where(np.isinf(high), 0.0, high)) / 2)
    return median, count


def _earlier(record: CompanyRecord, as_of: date, periods: pd.DataFrame, kind: str, back: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Open and later won amounts of the periods ``back`` earlier, from as long before; and whether those are over by now."""
    shift = _LENGTHS[kind] * back
    origin = (pd.Timestamp(as_of) + pd.Timedelta(days=1) - shift - pd.Timedelta(days=1)).date()
    earlier = periods.assign(
        period_start=periods["period_start"] - shift, period_end=periods["period_end"] + pd.Timedelta(days=1) - shift - pd.Timedelta(days=1)
    )
    opened, won = _open_amounts(record, origin, as_of, earlier)
    return opened, won, (earlier["period_end"] <= pd.Timestamp(as_of)).to_numpy()


def _open_amounts(record: CompanyRecord, origin: date, as_of: date, periods: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Open amount at ``origin`` by expected close date, and what was won of these deals in the period by ``as_of`` (members × periods)."""
    deal = open_deals(record.history, day_number(origin)).deal
    amount, close_on = (values[deal] for values in record.in_force(origin))
    first, last = (periods[c].to_numpy("datetime64[D]") for c in ("period_start", "period_end"))
    due = (close_on[:, None] >= first) & (close_on[:, None] <= last)
    some = np.flatnonzero(due.any(axis=1))
    deal, amount, due = deal[some], np.nan_to_num(amount[some]), due[some]
    closed = record.closed_on[deal][:, None]
    landed = due & record.is_won[deal][:, None] & (closed >= first) & (closed <= last) & (closed <= np.datetime64(as_of, "D"))
    members: Members = record.members.take(deal)
    cents = members.sum(np.concatenate([due * np.rint(amount * 100)[:, None], landed * np.rint(np.nan_to_num(record.amount[deal]) * 100)[:, None]], axis=1))
    return cents[:, : len(periods)] / 100, cents[:, len(periods) :] / 100
