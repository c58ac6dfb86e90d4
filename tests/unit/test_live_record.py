"""Which earlier publications count as forecasts of their time, and how they are scored."""

from datetime import date, datetime

import numpy as np
import pandas as pd

from assets.exports.settings import Configuration
from assets.forecasts.track_record import unmasked
from models.live_record import last_of_each_month, published_at_the_time, score_published, still_ahead
from quality.masking import id_masks
from tests.core_frames import COMPANY

DAYS = [date(2025, 1, 31), date(2025, 2, 14), date(2025, 2, 28), date(2025, 3, 31)]


def at(hour: int) -> datetime:
    return datetime(2025, 4, 1, hour)


def test_what_was_published_in_order_counts():
    first = dict(zip(DAYS, map(at, (1, 2, 3, 4)), strict=True))
    assert published_at_the_time(first, date(2025, 3, 31)) == tuple(DAYS[:3])
    assert published_at_the_time(first, date(2025, 4, 30)) == tuple(DAYS)
    assert published_at_the_time({}, date(2025, 4, 30)) == ()


def test_a_date_recomputed_after_a_later_one_is_no_forecast_of_the_time():
    first = dict(zip(DAYS, map(at, (1, 9, 3, 4)), strict=True))
    assert published_at_the_time(first, date(2025, 3, 31)) == (DAYS[0], DAYS[2])
    # And so a backfill changes nothing in what is published for a later date once more.
    assert published_at_the_time({day: first[day] for day in (DAYS[0], DAYS[2], DAYS[3])}, date(2025, 3, 31)) == (DAYS[0], DAYS[2])


def test_of_members_the_last_publication_of_a_month_is_kept():
    assert last_of_each_month(DAYS) == (DAYS[0], DAYS[2], DAYS[3])


PUBLISHED = pd.DataFrame(
    {
        "origin": pd.to_datetime(["2025-01-31", "2025-01-31", "2025-02-14"]),
        "period_kind": "month",
        "period_start": pd.to_datetime(["2025-02-01", "2025-01-01", "2025-02-01"]),
        "dimension": "all",
        "member": "all",
        "method": ["hazard", "hazard", "run_rate"],
        "forecast": [100.0, 90.0, 70.0],
        "p10": [80.0, 90.0, np.nan],
        "p90": [120.0, 90.0, np.nan],
    }
)
MONTHS = pd.date_range("2025-01-01", "2025-06-01", freq="MS")
CALENDAR = pd.DataFrame({"period_kind": "month", "period_start": MONTHS, "period_end": MONTHS + pd.offsets.MonthEnd(0)})


def test_live_rows_have_error_range_and_lead_and_leave_out_what_was_over():
    ahead = still_ahead(PUBLISHED, CALENDAR)
    actuals = ahead.loc[:0, ["period_kind", "period_start", "dimension", "member"]].assign(actual=125.0)
    rows = score_published(ahead, actuals)
    assert rows[["method", "kind", "lead_months", "error", "absolute_error"]].values.tolist() == [
        ["hazard", "live", 1, -25.0, 25.0],
        ["run_rate", "live", 0, -55.0, 55.0],
    ]
    assert rows["inside_80"].tolist() == [False, pd.NA]


def test_masked_members_are_found_again_by_their_own_masks():
    company = Configuration.model_validate({**COMPANY.model_dump(), "mask_owners": True})
    names = pd.DataFrame({"dimension": ["all", "owner", "owner"], "member": ["all", "Zhang San", "Li Si"]})
    masks = id_masks({"Zhang San", "Li Si"}, b"key", people=True)
    shown = pd.concat([PUBLISHED.head(1).assign(dimension="owner", member=member) for member in (*masks.values(), "gone")], ignore_index=True)
    assert sorted(unmasked(shown, names, company, b"key")["member"]) == ["Li Si", "Zhang San", "gone"]
