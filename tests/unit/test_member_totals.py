"""Totals replayed for single members: they add up to the company, and the whole is the company's own."""

import numpy as np
import pandas as pd

from models.outlook import of_member
from models.revenue import WonDeals, forecast_company_total
from tests.revenue_inputs import INTERVALS, outlook, pipeline, segmented

REGIONS = list("aabbbc")


def totals(row: int) -> pd.DataFrame:
    won = WonDeals(np.array(["2025-01-10", "2025-01-20", "2025-01-31"], dtype="datetime64[D]"), np.array([100.0, 30.0, np.nan]), segmented(list("abc")))
    parts = of_member(pipeline(40), outlook(segmented(REGIONS), 3.0), won, row)
    return forecast_company_total(*parts, INTERVALS, shock_sd=0.1, method="hazard")


def test_members_add_up_to_the_company():
    company = totals(0)["mean"].to_numpy()
    regions = sum(totals(row)["mean"].to_numpy() for row in (1, 2, 3))
    assert np.abs(regions - company).max() < 0.03  # three amounts rounded to cents


def test_the_whole_is_the_company():
    won = WonDeals(np.zeros(0, dtype="datetime64[D]"), np.zeros(0), segmented([]))
    inputs = (pipeline(40), outlook(segmented(REGIONS), 3.0), won)
    whole = forecast_company_total(*of_member(*inputs, 0), INTERVALS, shock_sd=0.1, method="hazard")
    pd.testing.assert_frame_equal(whole, forecast_company_total(*inputs, INTERVALS, shock_sd=0.1, method="hazard"))


def test_a_member_has_a_wider_range_for_its_size_than_the_company():
    company, region = totals(0).iloc[1], totals(3).iloc[1]
    assert (region["p90"] - region["p10"]) / region["mean"] > (company["p90"] - company["p10"]) / company["mean"]


def test_a_member_without_deals_or_wins_is_expected_to_win_nothing():
    nothing = of_member(pipeline(0), outlook(segmented(["a"]), 2.0), WonDeals(np.zeros(0, dtype="datetime64[D]"), np.zeros(0), segmented([])), 2)
    assert (forecast_company_total(*nothing, INTERVALS, shock_sd=0.1, method="hazard")[["mean", "p10", "p90"]] == 0).all(axis=None)
