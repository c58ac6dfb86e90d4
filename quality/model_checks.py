"""Checks of the forecast by its own track record: is it honest, and is it worth publishing.

What belongs here: what must hold of the tables that judge a forecast. What does not: the judging (models/deal_backtest.py,
models/revenue_backtest.py). docs/forecasting.md has a paragraph for each check: what triggers it and what to do.
"""

from collections.abc import Callable, Iterable

import dagster as dg
import pandas as pd

from models.settings import Company, Thresholds

LEAST_DEALS = 200
"""Pairs of origin and deal below which a share says too little to raise an alarm."""

LEAST_ORIGINS = 6
RECENT_ORIGINS = 3

Verdict = tuple[bool, str]


def no_time_overlap(accuracy: pd.DataFrame, deals: pd.DataFrame, choice: pd.DataFrame, limits: Thresholds) -> Verdict:
    """No forecast is scored on a month that was over at its origin."""
    months = accuracy[accuracy["period_kind"] == "month"]
    over = int((months["period_start"] + pd.offsets.MonthEnd(1) <= months["origin"]).sum())
    words = f"{over} of {len(months)} scored months were over at their origin"
    return over == 0, words + ("" if over == 0 else "; a replay reads its own future: report this as a defect, with run_log.versions")


def not_too_good(accuracy: pd.DataFrame, deals: pd.DataFrame, choice: pd.DataFrame, limits: Thresholds) -> Verdict:
    """Of the deals that closed, the published method does not know nearly always which are won: no honest record allows that."""
    published = deals[deals["is_published"] & (deals["horizon"] == "which") & (deals["deals"] >= LEAST_DEALS)]
    if published.empty or pd.isna(published["auc"].iloc[0]):
        return True, "too few closed deals to tell"
    auc = float(published["auc"].iloc[0])
    words = f"AUC {auc:.3f} at telling won from lost deals ahead of time (at most {limits.suspicious_auc:g}: thresholds.suspicious_auc)"
    remedy = (
        "; a field that is filled in or overwritten at closing gives the outcome away: look which reasons weigh most in win_probability, and take "
        "the field out of immutable_fields or export its history"
    )
    return auc <= limits.suspicious_auc, words + ("" if auc <= limits.suspicious_auc else remedy)


def calibrated(accuracy: pd.DataFrame, deals: pd.DataFrame, choice: pd.DataFrame, limits: Thresholds) -> Verdict:
    """Of deals given a probability about that share is won."""
    months = deals[deals["is_published"] & deals["horizon"].str.startswith("month_") & (deals["deals"] >= LEAST_DEALS)]
    if months.empty:
        return True, "too few deals to tell"
    worst = months.loc[months["calibration_error"].idxmax()]
    words = f"calibration error {worst['calibration_error']:.3f} at {worst['horizon']} (at most {limits.calibration_error:g}: thresholds.calibration_error)"
    is_fine = worst["calibration_error"] <= limits.calibration_error
    return bool(is_fine), words + ("" if is_fine else "; read probabilities with care and see whether the way deals are worked has changed lately")


def beats_baselines(accuracy: pd.DataFrame, deals: pd.DataFrame, choice: pd.DataFrame, limits: Thresholds) -> Verdict:
    """The method chosen on earlier origins missed revenue by less than the simple method that was then the best."""
    judged = choice[choice["question"] == "revenue"].dropna(subset=["score", "baseline_score"])
    if len(judged) < LEAST_ORIGINS:
        return True, f"{len(judged)} origins judged; too few to tell"
    own, simple = judged["score"].mean(), judged["baseline_score"].mean()
    words = f"missed revenue by {own:.1%} of what was won, the best simple method by {simple:.1%} (mean of {len(judged)} origins)"
    return bool(own <= simple), words + ("" if own <= simple else "; take the simple method's number from forecast_baselines until this changes")


def no_drift(accuracy: pd.DataFrame, deals: pd.DataFrame, choice: pd.DataFrame, limits: Thresholds) -> Verdict:
    """The last months were not all missed in one direction by more than usual."""
    published = deals.loc[deals["is_published"], "method"]
    rows = accuracy[(accuracy["period_kind"] == "month") & (accuracy["lead_months"] == 1) & (accuracy["dimension"] == "all")]
    rows = rows[rows["method"].isin(published.head(1)) & (rows["kind"] == "replayed") & (rows["forecast"] > 0)].sort_values("origin")
    miss = (rows["error"] / rows["forecast"]).to_numpy(float)
    if len(miss) < LEAST_ORIGINS + RECENT_ORIGINS:
        return True, f"{len(miss)} months judged; too few to tell"
    recent, before = miss[-RECENT_ORIGINS:], miss[:-RECENT_ORIGINS]
    bound = 2 * before.std(ddof=1) / RECENT_ORIGINS**0.5
    is_steady = abs(recent.mean() - before.mean()) <= bound or not ((recent > 0).all() or (recent < 0).all())
    words = f"the last {RECENT_ORIGINS} months were missed by {recent.mean():+.1%} of the forecast, those before by {before.mean():+.1%} (alarm beyond ±{bound:.1%})"
    return bool(is_steady), words + (
        "" if is_steady else "; something has changed: prices, the market, the way stages are used; expect a bias until the models have seen it"
    )


CHECKS: dict[str, tuple[str, bool, Callable[..., Verdict]]] = {
    "no_time_overlap": ("nothing is judged on what was known when it was made", True, no_time_overlap),
    "not_too_good": ("no field gives the outcome away", True, not_too_good),
    "calibrated": ("probabilities come true as often as they say", False, calibrated),
    "beats_baselines": ("revenue is missed by less than by the best simple method", False, beats_baselines),
    "no_drift": ("the last months were not all missed in one direction", False, no_drift),
}
"""Each check with what holds where it passes, and whether a failure stops the run."""


def forecast_checks() -> dg.AssetChecksDefinition:
    """The model checks, as checks of the asset ``deal_accuracy``."""
    beside = ("forecast_accuracy", "method_choice")
    specs = [
        dg.AssetCheckSpec(name, asset="deal_accuracy", additional_deps=list(beside), blocking=stops, description=words)
        for name, (words, stops, _) in CHECKS.items()
    ]

    @dg.multi_asset_check(
        name="checks_of_the_forecast",
        specs=specs,
        ins={name: dg.AssetIn(name) for name in ("deal_accuracy", *beside)},
    )
    def check(
        deal_accuracy: pd.DataFrame, forecast_accuracy: pd.DataFrame, method_choice: pd.DataFrame, company: dg.ResourceParam[Company]
    ) -> Iterable[dg.AssetCheckResult]:
        for name, (_, stops, judge) in CHECKS.items():
            passed, words = judge(forecast_accuracy, deal_accuracy, method_choice, company.thresholds)
            severity = dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN
            yield dg.AssetCheckResult(passed=passed, check_name=name, asset_key="deal_accuracy", severity=severity, description=words)

    return check
