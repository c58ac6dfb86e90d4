"""The replayed forecast of an earlier date beside today's: its opening is what was published, its steps are what changed."""

from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from assets.core.calendar import periods
from models.deal_history import day_number
from models.landmarks import open_deals
from models.levels import Intervals
from models.outlook import CompanyRecord, forecast_periods, outlook_of, standing
from models.settings import Reporting
from models.then_and_now import Forecast, carried_to, last_month_end, mean_changes
from models.win_probability import FittedModels, count_history, fit_models, win_probabilities
from tests.company_records import company_record
from tests.deal_frames import DealFrames, Funnel, draw_deals, known_at

DAYS = 620
AS_OF = date(2023, 9, 12)
SINCE = date(2023, 8, 31)
PRIOR = 20.0


@cache
def frames() -> DealFrames:
    drawn = draw_deals(Funnel(), 500, days=DAYS, seed=8)
    deals = drawn.opportunities
    assert drawn.as_of == AS_OF
    assert ((deals["status"] == "won") & (deals["closed_at"] == pd.Timestamp(SINCE))).any(), "a deal won on the earlier day was won by then"
    return drawn


@cache
def known() -> CompanyRecord:
    return company_record(frames())


@cache
def models_of(day: date) -> FittedModels:
    return fitted(known(), day, 1)


def fitted(record: CompanyRecord, day: date, origins: int) -> FittedModels:
    counts = count_history(record.history, origins, facts=record.facts)
    return fit_models(counts, day_number(day), half_life_days=365.0, prior_deals=PRIOR, drift_prior_events=70.0)


@cache
def published_then() -> tuple[CompanyRecord, FittedModels]:
    """The record as it was known at the earlier date, and the models fitted on it."""
    record = company_record(known_at(frames(), SINCE))
    return record, fitted(record, SINCE, 0)


def forecast_of(record: CompanyRecord, models: FittedModels, origin: date, method: str) -> Forecast:
    intervals = Intervals.of(forecast_periods(periods(origin, 1, Reporting()), origin, with_weeks=False), origin)
    deals = open_deals(record.history, day_number(origin))
    at = standing(record, models, deals, intervals, origin, record.members, PRIOR)
    return Forecast(origin, deals, at, outlook_of(win_probabilities(models, deals, intervals.ends, (method,))[method], models, at))


def changed(record: CompanyRecord, method: str, models_now: FittedModels | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    then, today = (models_of(day) if record is known() else fitted(record, day, 1) for day in (SINCE, AS_OF))
    now = forecast_of(record, models_now or today, AS_OF, method)
    table, deals = mean_changes(record, then, periods(AS_OF, 1, Reporting()), now, PRIOR)
    company = table[(table["dimension"] == "all") & (table["period_kind"] == "month") & (table["period_start"] == "2023-09-01")]
    of_quarter = deals[(deals["period_kind"] == "quarter") & (deals["period_start"] == "2023-07-01") & (deals["cause"] == "won")]
    assert set(of_quarter["deal"]) == set(deals.loc[(deals["period_kind"] == "month") & (deals["cause"] == "won"), "deal"]), "won since, not before"
    return company.set_index("cause"), deals[(deals["period_kind"] == "month") & (deals["period_start"] == "2023-09-01")]


def mean_of(forecast: Forecast, month: str) -> float:
    cents = forecast.outlook.mean_cents()[0, :, 3]
    found = forecast.outlook.intervals.periods
    return cents[(found["period_kind"] == "month") & (found["period_start"] == month)][0] / 100


@pytest.mark.parametrize("method", ["base_rate", "stage_rates", "semi_markov", "hazard"])
def test_the_opening_is_what_was_published_then_and_the_closing_what_is_published_now(method):
    record = known()
    table, _ = changed(record, method)
    then, models_then = published_then()
    published = mean_of(forecast_of(then, models_then, SINCE, method), "2023-09-01")
    assert table.loc["opening", "amount"] == pytest.approx(published, abs=0.02)
    assert table.loc["closing", "amount"] == mean_of(forecast_of(record, models_of(AS_OF), AS_OF, method), "2023-09-01")
    causes = table.drop(index=["opening", "closing"])["amount"]
    assert round(table.loc["opening", "amount"] + causes.sum(), 2) == table.loc["closing", "amount"]
    assert {"won", "lost", "created", "progress", "model"} <= set(causes.index)


def test_won_and_lost_deals_bring_their_amount_less_what_was_expected_of_them():
    record = known()
    table, deals = changed(record, "semi_markov")
    gone = record.closed_on > np.datetime64(SINCE)
    won, lost = np.flatnonzero(gone & record.is_won), np.flatnonzero(gone & ~record.is_won)
    assert len(won) and len(lost)
    by_cause = deals.groupby("cause")["deal"].agg(set)
    assert by_cause["won"] == set(won) and by_cause["lost"] <= set(lost)
    expected = deals[deals["cause"] == "won"].set_index("deal")["amount"]
    assert (expected <= record.amount[expected.index]).all() and (expected > 0).any()
    assert table.loc["won", "amount"] == pytest.approx(expected.sum())


def test_a_new_amount_and_a_new_close_date_change_their_own_cause_only_for_their_deals():
    base = known()
    stayed = np.flatnonzero(np.isnat(base.closed_on) & (base.created_on < np.datetime64(SINCE)))[:6]
    raised, put_off = stayed[:3], stayed[3:]
    day = pd.Timestamp(SINCE + timedelta(days=4))
    changes = pd.DataFrame(
        {
            "deal": [*raised, *put_off],
            "day": day,
            "amount": [*(base.amount[raised] * 3), *base.amount[put_off]],
            "close_on": [*(base.created_on[raised] + 60), *np.full(3, np.datetime64("2024-06-30"))],
        }
    )
    record = company_record(frames(), changes)
    for method, moved in (("semi_markov", set()), ("hazard", set(put_off))):
        _, deals = changed(record, method)
        by_cause = deals.groupby("cause")["deal"].agg(set)
        assert by_cause["amount"] == set(raised)
        assert (deals.loc[deals["cause"] == "amount", "amount"] > 0).all()
        assert by_cause.get("timing", set()) == moved


def test_the_same_models_leave_nothing_to_the_models():
    _, deals = changed(known(), "semi_markov", carried_to(models_of(SINCE), day_number(AS_OF)))
    assert "model" not in set(deals["cause"])
    assert "amount" not in set(deals["cause"])


def test_models_of_an_earlier_day_take_the_place_in_the_quarter_from_the_day_they_are_carried_to():
    carried = carried_to(models_of(SINCE), day_number(AS_OF))
    assert carried.semi_markov.origin_day == carried.origin_day == day_number(AS_OF)
    assert carried.semi_markov.hazard is models_of(SINCE).semi_markov.hazard


def test_the_day_compared_with_is_the_end_of_the_month_before():
    assert last_month_end(date(2024, 3, 1)) == date(2024, 2, 29)
    assert last_month_end(date(2024, 3, 31)) == date(2024, 2, 29)
