"""Scores of forecasts beside the oracle's, with standard errors over simulated companies.

What belongs here: what a forecast missed at one origin, and the tables made of that. What does not: forecasts.
"""

from datetime import date

import numpy as np
import pandas as pd

from models.deal_backtest import LEAST_PROBABILITY
from models.revenue import QUANTILES
from models.scoring import crps_of_quantiles
from models.simulator import SimulatedCompany
from tests.benchmarks.forecast_methods import PERIOD_KINDS, Forecast, periods_after

ORACLE = "oracle"
INSIDE_80 = (QUANTILES.index(0.10), QUANTILES.index(0.90))


def won_since(company: SimulatedCompany, origin: date, deal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the open deals were won by each of three month ends (deals × 3), and the bookings of each period."""
    deals = company.opportunities
    won_at = deals["closed_at"].where(deals["is_won"]).to_numpy("datetime64[D]")
    periods = periods_after(origin)
    first, last = (periods[c].to_numpy("datetime64[D]")[:, None] for c in ("period_start", "period_end"))
    inside = (won_at >= first) & (won_at <= last)
    return won_at[deal][:, None] <= last[:3, 0], inside @ deals["amount"].to_numpy(float)


def score(forecast: Forecast, won: np.ndarray, booked: np.ndarray) -> pd.DataFrame:
    """One row per period: log_loss (a sum) over deals, wins and expected_wins, and forecast, actual, crps, inside."""
    rows = pd.DataFrame({"period": PERIOD_KINDS, "forecast": forecast.mean, "actual": booked, "crps": np.abs(forecast.mean - booked), "inside": np.nan})
    rows[["log_loss", "deals", "expected_wins", "wins"]] = np.nan
    if forecast.quantiles is not None:
        rows["crps"] = crps_of_quantiles(forecast.quantiles, QUANTILES, booked)
        low, high = (forecast.quantiles[:, i] for i in INSIDE_80)
        rows["inside"] = ((booked >= low) & (booked <= high)).astype(float)
    if forecast.won_by is not None:
        p = forecast.won_by.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        loss = -np.where(won, np.log(p), np.log1p(-p)).sum(axis=0)
        deals = rows.index < len(loss)
        rows.loc[deals, ["log_loss", "deals", "expected_wins", "wins"]] = np.column_stack([loss, np.full(len(loss), len(p)), p.sum(0), won.sum(0)])
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per method and period (and for ``all`` periods): each score, that ÷ the oracle's, its standard error over
    companies (``_se``), and the numbers of open deals (``deals``) and of ranges (``judged``) it rests on.

    Sums are taken over companies and origins before any division; standard errors are those of the jackknife that leaves
    out one company (``seed``) at a time.
    """
    sums = _by_seed(rows)
    seeds = sums.index.unique("seed")
    whole = _ratios(sums.groupby(["method", "period"]).sum())
    if len(seeds) > 1:
        without = np.stack([_ratios(sums.drop(seed, level="seed").groupby(["method", "period"]).sum()).reindex(whole.index).to_numpy() for seed in seeds])
        n = len(seeds)
        error = np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    else:
        error = np.full(whole.shape, np.nan)
    counts = sums.groupby(["method", "period"])[["deals", "judged"]].sum()
    return whole.join(pd.DataFrame(error, index=whole.index, columns=whole.columns).add_suffix("_se")).join(counts)


def bias_since_change(rows: pd.DataFrame, since: date) -> pd.DataFrame:
    """Bias of the first month ahead by method and months known since the change (columns ``bias`` and ``se``, over companies)."""
    first = rows[rows["period"] == "month_1"]
    origin = pd.to_datetime(first["origin"])
    known = (origin.dt.year - since.year) * 12 + origin.dt.month - since.month + 1
    sums = first.assign(months=known, error=first["forecast"] - first["actual"]).groupby(["method", "months", "seed"])[["error", "actual"]].sum()
    by_company = sums["error"] / sums.groupby(["method", "months"])["actual"].transform("mean")
    found = by_company.groupby(["method", "months"]).agg(["mean", "sem"])
    return found.set_axis(["bias", "se"], axis=1)


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    rows = pd.concat([rows, rows.assign(period="all")], ignore_index=True)
    of_80 = rows["inside"].notna().astype(float)
    error = rows["forecast"] - rows["actual"]
    wide = rows.assign(absolute=error.abs(), error=error, judged=of_80)
    columns = ["log_loss", "deals", "expected_wins", "wins", "absolute", "error", "actual", "crps", "inside", "judged"]
    return wide.groupby(["seed", "method", "period"])[columns].sum()


def _ratios(sums: pd.DataFrame) -> pd.DataFrame:
    found = pd.DataFrame(
        {
            "log_loss": sums["log_loss"] / sums["deals"],
            "wape": sums["absolute"] / sums["actual"],
            "crps": sums["crps"] / sums["actual"],
            "bias": sums["error"] / sums["actual"],
            "deal_bias": sums["expected_wins"] / sums["wins"] - 1,
            "coverage": sums["inside"] / sums["judged"],
        }
    )
    truth = found.xs(ORACLE, level="method")[["log_loss", "wape", "crps"]].reindex(found.index.get_level_values("period")).to_numpy()
    return found.join((found[["log_loss", "wape", "crps"]] / truth).add_suffix("_ratio"))
