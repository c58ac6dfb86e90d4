"""What is said of targets: the probability by the draws, the gap, and the coverage by the expected close dates."""

from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.levels import Intervals
from models.new_business import Donors, NewBusiness
from models.outlook import CompanyRecord
from models.revenue import RevenueOutlook, WonDeals
from models.settings import Target
from models.simulation import PipelineOutlook
from models.targets import bookings_targets, coverage_needed, probability_of, target_outlook
from tests.company_records import company_record
from tests.deal_frames import Funnel, draw_deals
from tests.revenue_inputs import INTERVALS, nothing_won, outlook, pipeline, segmented

AS_OF = date(2023, 9, 12)
PERIODS = pd.DataFrame(
    {
        "period_kind": ["month", "month"],
        "period_start": pd.to_datetime(["2023-09-01", "2023-10-01"]),
        "period_end": pd.to_datetime(["2023-09-30", "2023-10-31"]),
    }
)


def ahead(won: WonDeals | None = None, seed: int = 1) -> RevenueOutlook:
    deals = pipeline(40, seed)
    return RevenueOutlook(deals, outlook(deals.members, 2.0), won or nothing_won(), INTERVALS, "m")


def test_a_quarters_target_is_its_own_or_the_sum_of_its_three_months():
    def month(number: int, target: float, **other) -> Target:
        return Target(period_start=date(2025, number, 1), target=target, **other)

    own = Target(period_kind="quarter", period_start=date(2025, 4, 1), target=50.0)
    aims = [month(1, 1.0), month(2, 2.0), month(3, 3.0), *(month(n, 10.0) for n in (4, 5, 6)), own, month(7, 9.0), month(1, 8.0, metric="calls")]
    frame = bookings_targets(aims, 1)
    quarters = frame[frame["period_kind"] == "quarter"].set_index("period_start")["target"]
    assert quarters.to_dict() == {pd.Timestamp("2025-01-01"): 6.0, pd.Timestamp("2025-04-01"): 50.0}
    shifted = bookings_targets(aims, 2)
    assert shifted.loc[shifted["is_sum"], "period_start"].tolist() == [pd.Timestamp("2025-02-01"), pd.Timestamp("2025-05-01")]
    assert bookings_targets([], 1).empty


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), level=st.floats(0, 2), row=st.integers(0, 3), period=st.integers(0, 4))
def test_the_probability_is_that_of_the_published_quantiles(seed, level, row, period):
    """A target at a quantile of the draws is made with that probability, and none is more probable than a smaller one."""
    of = ahead(WonDeals(np.array(["2025-01-10"], dtype="datetime64[D]"), np.array([777.25]), segmented(["b"])), seed)
    drawn = of.draw(draws=200, seed=seed, shock_sd=0.05)
    target = level * of.mean_cents()[row, period, 3] / 100
    chosen = np.full(2, row), np.full(2, period)
    lower, upper = probability_of(np.array([target, target * 1.3]), *chosen, of, drawn)
    assert upper <= lower <= 1
    total = of.won.by_period(INTERVALS)[0][row, period] / 100 + ((drawn.open_pipeline + drawn.new_business)[row] * INTERVALS.in_period[period][:, None]).sum(
        axis=0
    )
    assert lower == pytest.approx((total >= target - 0.005).mean(), abs=1e-3)
    certain = probability_of(np.array([0.0, total.max() + 1]), *chosen, of, drawn)
    assert certain.tolist() == [1.0, 0.0]


@cache
def known() -> CompanyRecord:
    return company_record(draw_deals(Funnel(), 500, days=620, seed=8))


def test_coverage_needed_is_the_median_of_earlier_periods_seen_from_as_long_before():
    record = known()
    needed, count = coverage_needed(record, AS_OF, PERIODS, np.array([0, 0]), np.array([0, 1]))
    ratios = []
    for back in range(1, 13):
        start = pd.Timestamp("2023-09-01") - pd.DateOffset(months=back)
        end, origin = start + pd.offsets.MonthEnd(1), pd.Timestamp("2023-09-13") - pd.DateOffset(months=back) - pd.Timedelta(days=1)
        created, closed, due = record.created_on, record.closed_on, record.created_on + 60
        is_open = (created <= origin.to_datetime64()) & ~(closed <= origin.to_datetime64())
        of_period = is_open & (due >= start.to_datetime64()) & (due <= end.to_datetime64())
        landed = of_period & record.is_won & (closed >= start.to_datetime64()) & (closed <= end.to_datetime64())
        ratios.append(record.amount[of_period].sum() / record.amount[landed].sum() if landed.any() else np.inf)
    assert count[0] == 12
    assert count[1] == 11, "of October a year ago nothing but eleven later months are over"
    assert needed[0] == pytest.approx(np.median(ratios))


def test_coverage_needed_is_not_said_where_past_close_dates_are_not_known():
    record = company_record(draw_deals(Funnel(), 60, days=620, seed=8), knows=frozenset())
    needed, count = coverage_needed(record, AS_OF, PERIODS, np.array([0]), np.array([0]))
    assert np.isnan(needed).all() and count.tolist() == [0]


def test_a_row_per_target_that_is_forecast():
    record = known()
    deals, members = pipeline(40), record.members.take(np.arange(40))
    of = RevenueOutlook(
        PipelineOutlook(deals.p_won[:, :2], deals.amount_if_won, deals.amount_cv, members),
        NewBusiness(np.full((1, 2), 2.0), np.array([0.2]), Donors(np.linspace(50.0, 400.0, 40), members, 0.3)),
        record.won_by(AS_OF, record.members),
        Intervals.of(PERIODS, AS_OF),
        "m",
    )
    aims = bookings_targets(
        [
            Target(period_start=date(2023, 9, 1), target=90_000.0),
            Target(period_start=date(2023, 10, 1), target=1.0),
            Target(period_start=date(2024, 9, 1), target=5.0),
            Target(period_start=date(2023, 9, 1), dimension="owner", member="nobody", target=5.0),
            Target(period_start=date(2023, 10, 1), dimension="team", target=0.0),
        ],
        1,
    )
    table = target_outlook(aims, of, of.draw(draws=200, seed=1, shock_sd=0.0), record, AS_OF).set_index("period_start")
    assert list(table.index) == [pd.Timestamp("2023-09-01"), pd.Timestamp("2023-10-01")]
    september = table.loc["2023-09-01"]
    cents = of.mean_cents()[0, 0]
    assert (september["won"], september["mean"]) == (cents[0] / 100, cents[3] / 100) and september["won"] > 0
    assert september["gap"] == pytest.approx(90_000 - september["mean"])
    is_open = np.isnat(record.closed_on)
    due = (record.created_on + 60 >= np.datetime64("2023-09-01")) & (record.created_on + 60 <= np.datetime64("2023-09-30"))
    assert september["coverage_now"] == pytest.approx(record.amount[is_open & due].sum() / (90_000 - september["won"]))
    assert table.loc["2023-10-01", "p_target"] > 0.99
