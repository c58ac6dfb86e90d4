"""The forecasting benchmark: its scores by hand, and that it runs from a company to the page."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.example_worlds import EXAMPLE_WORLDS, SAAS
from models.simulator import simulate
from tests.benchmarks.forecast_methods import PERIOD_KINDS, Forecast, periods_after
from tests.benchmarks.forecast_quality import TITLES, page
from tests.benchmarks.forecast_scores import bias_since_change, score, summary, won_since
from tests.benchmarks.forecasting import CHANGES, judged, origins_of

BOOKED = np.array([10.0, 20.0, 30.0, 60.0])
WON = np.array([[True, True, True], [False, False, True]])


def _rows(mean: float, p: float, method: str, seed: int) -> pd.DataFrame:
    forecast = Forecast(np.full((2, 3), p), BOOKED + mean, (BOOKED + mean)[:, None] + np.arange(-3.0, 4.0))
    return score(forecast, WON, BOOKED).assign(method=method, seed=seed, origin=date(2025, 1, 31))


def test_periods_are_the_three_months_ahead_and_their_total():
    periods = periods_after(date(2024, 12, 31))
    assert periods["period_start"].dt.date.tolist() == [date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1), date(2025, 1, 1)]
    assert periods["period_end"].dt.date.tolist() == [date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31), date(2025, 3, 31)]


def test_scores_by_hand():
    found = _rows(2.0, 0.5, "m", 1).set_index("period")
    assert found["log_loss"].iloc[:3].tolist() == pytest.approx([2 * np.log(2)] * 3)
    assert np.isnan(found.loc["three_months", "log_loss"])
    # The range from p10 to p90 is two below to two above the forecast, which is two too high.
    assert found["inside"].tolist() == [1.0] * 4
    assert _rows(2.1, 0.5, "m", 1)["inside"].tolist() == [0.0] * 4
    assert found["wins"].iloc[:3].tolist() == [1, 1, 2]
    totals = score(Forecast(None, BOOKED + 1), WON, BOOKED)
    assert totals["crps"].tolist() == [1.0] * 4
    assert totals[["log_loss", "inside"]].isna().all(axis=None)


def test_the_summary_divides_sums_by_those_of_the_oracle():
    rows = pd.concat([_rows(mean, p, method, seed) for method, mean, p in (("oracle", 1.0, 0.5), ("m", 3.0, 0.25)) for seed in (1, 2, 3)])
    table = summary(rows)
    assert table.loc["oracle", ["log_loss_ratio", "wape_ratio"]].dropna().eq(1.0).all(axis=None)
    month = table.loc[("m", "month_1")]
    assert month["wape"] == pytest.approx(0.3)
    assert month["wape_ratio"] == pytest.approx(3.0)
    assert month["bias"] == pytest.approx(0.3)
    assert month["deal_bias"] == pytest.approx(-0.5)
    assert month["log_loss_ratio"] == pytest.approx(-(np.log(0.25) + np.log(0.75)) / (2 * np.log(2)))
    assert month["wape_ratio_se"] == pytest.approx(0.0, abs=1e-12)
    assert table.loc[("m", "all"), "judged"] == 12
    spread = summary(pd.concat([rows, _rows(6.0, 0.5, "m", 4), _rows(1.0, 0.5, "oracle", 4)]))
    # Of a mean over companies the jackknife gives the usual standard error.
    assert spread.loc[("m", "month_1"), "wape_se"] == pytest.approx(np.std([0.3, 0.3, 0.3, 0.6], ddof=1) / 2)


def test_won_since_reads_the_truth_of_the_months_ahead():
    company = simulate(replace(SAAS, deals=800), seed=1)
    origin = date(2025, 6, 30)
    won, booked = won_since(company, origin, np.arange(800))
    deals = company.opportunities
    july = deals["is_won"] & deals["closed_at"].between("2025-07-01", "2025-07-31")
    assert booked[0] == deals["amount"][july].sum()
    assert booked[3] == booked[:3].sum()
    # Of all deals those won before are among those won by then.
    assert won[:, 0].sum() == (deals["is_won"] & (deals["closed_at"] <= "2025-07-31")).sum()


def test_origins_leave_three_months_to_judge():
    assert origins_of(SAAS, 4) == [date(2024, 12, 31), date(2025, 3, 31), date(2025, 6, 30), date(2025, 9, 30)]
    assert len(origins_of(SAAS, 10)) == len(origins_of(SAAS, 99)) == 10


@pytest.mark.slow
def test_a_small_company_is_judged_and_written_down():
    world = replace(SAAS, deals=2_500)
    rows = pd.concat([judged(world, seed, 2, ("stage_rates", "semi_markov")) for seed in (1, 2)])
    table = summary(rows)
    assert {"oracle", "stage_rates", "semi_markov", "commit", "ets", "naive_bayes", "aalen_johansen", "run_rate"} <= set(table.index.unique("method"))
    assert set(table.index.unique("period")) == {*PERIOD_KINDS, "all"}
    ratios = table["log_loss_ratio"].dropna()
    assert (ratios >= 0.97).all()
    assert ratios.loc["semi_markov"].max() < ratios.loc["naive_bayes"].min()
    changed = bias_since_change(judged(replace(world, changes=(CHANGES["win"],)), 1, 2, ("stage_rates",), with_simple=False), date(2025, 1, 1))
    written = page(dict.fromkeys(EXAMPLE_WORLDS, table), {("saas", "win"): changed}, range(1, 3), 2)
    for title in TITLES.values():
        assert f"## {title}" in written
    assert "| `semi_markov` |" in written
    assert "nan" not in written.replace("± nan", "")
