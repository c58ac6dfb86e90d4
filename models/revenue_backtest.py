"""How good revenue forecasts were at past month ends, and whether they beat the simple methods.

What belongs here: replaying the revenue forecast at each origin and scoring it beside the baselines. What does not:
the forecast itself (models/outlook.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from models.deal_history import day_date
from models.landmarks import open_deals
from models.levels import Intervals, Members
from models.outlook import CompanyRecord, company_total_of, forecast_periods, member_totals_of, standing
from models.revenue import HALF_WIDTH_80
from models.scoring import score_totals
from models.simulation import excess_shock
from models.threads import in_threads
from models.win_probability import FittedModels, win_probabilities

BASELINES = ("run_rate", "same_period_last_year", "weighted_pipeline")

_ACCURACY = [
    "origin", "period_kind", "period_start", "dimension", "member", "method", "kind", "lead_months",
    "forecast", "p10", "p90", "actual", "error", "absolute_error", "inside_80",
]  # fmt: skip


@dataclass(frozen=True)
class RevenueBacktest:
    """``accuracy``: rows of forecast_accuracy (kind replayed); ``chance_sd``: the sd that chance alone left, by row of it."""

    accuracy: pd.DataFrame
    chance_sd: pd.Series

    def shock_sd(self, method: str, prior: float, prior_weight: float, before: pd.Timestamp | None = None) -> float:
        """Log-sd of the common shock from what ``method`` missed by one month ahead, at origins judged by ``before``."""
        rows = self.accuracy
        chosen = (rows["method"] == method) & (rows["period_kind"] == "month") & (rows["lead_months"] == 1) & (rows["dimension"] == "all")
        if before is not None:
            chosen &= rows["period_start"] + pd.offsets.MonthEnd(1) <= before
        picked = rows[chosen]
        return excess_shock(
            picked["actual"].to_numpy(), picked["forecast"].to_numpy(), self.chance_sd[chosen].to_numpy(), prior=prior, prior_weight=prior_weight
        )


def backtest_revenue(
    record: CompanyRecord,
    fitted: Callable[[int], FittedModels],
    origin_days: np.ndarray,
    calendar: pd.DataFrame,
    *,
    prior_deals: float,
    shock_sd: float,
) -> RevenueBacktest:
    """Replay every method at every origin for the company as a whole and score what is over by the as-of day.

    ``fitted`` gives the models as known at an origin (day number). A method is its win probabilities carried through
    to revenue; the baselines stand beside them.
    """
    company = Members(record.members.names.iloc[:1], np.zeros((len(record.amount), 1), dtype=np.intp))
    today = day_date(record.history.known_day)

    def replayed(day: int) -> pd.DataFrame | None:
        origin = day_date(day)
        periods = _scored_periods(calendar, origin, today)
        if periods.empty:
            return None
        intervals = Intervals.of(periods, origin)
        models = fitted(day)
        open_then = open_deals(record.history, day)
        results = win_probabilities(models, open_then, intervals.ends, horizons_only=True)
        at = standing(record, models, open_then, intervals, origin, company, prior_deals)
        forecasts = [company_total_of(result, models, at, shock_sd=shock_sd).rename(columns={"mean": "forecast"}) for result in results.values()]
        simple = at.baselines[at.baselines["method"].isin(BASELINES)].rename(columns={"value": "forecast"})
        forecasts.append(simple.assign(p10=np.nan, p90=np.nan, noise_floor=np.nan))
        scored = score_totals(pd.concat(forecasts, ignore_index=True), actual_totals(record, company, periods), origin)
        floors = pd.concat(forecasts, ignore_index=True)[["period_kind", "period_start", "method", "noise_floor"]]
        return scored.merge(floors, on=["period_kind", "period_start", "method"], validate="m:1")

    rows = [scored for scored in in_threads(replayed, origin_days.tolist()) if scored is not None]
    if not rows:
        return RevenueBacktest(pd.DataFrame(columns=_ACCURACY), pd.Series(dtype=float))
    accuracy = pd.concat(rows, ignore_index=True).assign(kind="replayed")
    chance_sd = accuracy["noise_floor"] * accuracy["forecast"] / HALF_WIDTH_80
    return RevenueBacktest(accuracy[_ACCURACY], chance_sd)


def _scored_periods(calendar: pd.DataFrame, origin: date, today: date) -> pd.DataFrame:
    """The periods that were ahead of the origin and are over by now: only those can be scored."""
    periods = forecast_periods(calendar, origin, with_weeks=False)
    return periods[(periods["period_end"] > pd.Timestamp(origin)) & (periods["period_end"] <= pd.Timestamp(today))]


def backtest_members(
    record: CompanyRecord,
    fitted: Callable[[int], FittedModels],
    methods: Mapping[int, str],
    members: Members,
    rows: np.ndarray,
    calendar: pd.DataFrame,
    *,
    prior_deals: float,
    shock_sd: float,
) -> pd.DataFrame:
    """Rows of forecast_accuracy for the members ``rows`` of ``members.names``, by the method of each origin (day number).

    A deal belongs to the member that it belongs to today, also at past origins, in the forecast as in the actual.
    """
    today = day_date(record.history.known_day)

    def replayed(day: int) -> pd.DataFrame | None:
        origin = day_date(day)
        periods = _scored_periods(calendar, origin, today)
        if periods.empty:
            return None
        intervals, models, open_then = Intervals.of(periods, origin), fitted(day), open_deals(record.history, day)
        result = win_probabilities(models, open_then, intervals.ends, (methods[day],), horizons_only=True)[methods[day]]
        at = standing(record, models, open_then, intervals, origin, members, prior_deals)
        totals = member_totals_of(result, models, at, rows, shock_sd=shock_sd).rename(columns={"mean": "forecast"})
        return score_totals(totals, actual_totals(record, members, periods), origin)

    scored = [frame for frame in in_threads(replayed, sorted(methods)) if frame is not None] if len(rows) else []
    return pd.concat(scored, ignore_index=True).assign(kind="replayed")[_ACCURACY] if scored else pd.DataFrame(columns=_ACCURACY)


def actual_totals(record: CompanyRecord, members: Members, periods: pd.DataFrame) -> pd.DataFrame:
    """Amount won by every member in each of the periods, by what is known today: period_kind, period_start, dimension, member, actual."""
    won = record.won_by(day_date(record.history.known_day), members)
    cents = np.rint(np.nan_to_num(won.amount) * 100)
    totals = np.empty((len(members.names), len(periods)))
    for column, (first, last) in enumerate(zip(*(periods[c].to_numpy("datetime64[D]") for c in ("period_start", "period_end")), strict=True)):
        inside = np.flatnonzero((won.closed_on >= first) & (won.closed_on <= last))
        totals[:, column] = won.members.take(inside).sum(cents[inside]) / 100
    names, count = members.names, len(periods)
    return pd.DataFrame(
        {
            **{c: np.tile(periods[c].to_numpy(), len(names)) for c in ("period_kind", "period_start")},
            **{c: np.repeat(names[c].to_numpy(), count) for c in ("dimension", "member")},
            "actual": totals.reshape(-1),
        }
    )


def revenue_method_choice(accuracy: pd.DataFrame, published: Mapping[pd.Timestamp, str]) -> pd.DataFrame:
    """Rows of method_choice for the question ``revenue``, one per origin.

    ``published`` says, by origin, whose win probabilities would have been published there (chosen on earlier origins);
    its revenue is judged beside the baseline with the lowest WAPE over the months that were over by the origin. Scores
    are absolute errors ÷ actual over the whole months ahead of that origin.
    """
    months = accuracy[(accuracy["period_kind"] == "month") & (accuracy["dimension"] == "all")]
    rows = []
    for origin, method in published.items():
        before = months[months["period_start"] + pd.offsets.MonthEnd(1) <= origin]
        judged = months[months["origin"] == origin]
        baseline = _least_wape(before[before["method"].isin(BASELINES)])
        rows.append(
            {
                "origin": origin,
                "question": "revenue",
                "method": method,
                "score": _wape(judged[judged["method"] == method]),
                "baseline_score": _wape(judged[judged["method"] == baseline]),
                "origins_used": before["origin"].nunique(),
            }
        )
    return pd.DataFrame(rows, columns=["origin", "question", "method", "score", "baseline_score", "origins_used"])


def _wape(rows: pd.DataFrame) -> float:
    total = rows["actual"].sum()
    return float(rows["absolute_error"].sum() / total) if total > 0 else float("nan")


def _least_wape(rows: pd.DataFrame) -> str:
    scores = {method: _wape(group) for method, group in rows.groupby("method")}
    known = {method: score for method, score in scores.items() if not np.isnan(score)}
    return min(known, key=known.get) if known else BASELINES[0]
