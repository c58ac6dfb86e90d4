"""Contracts of the forecast tables.

What belongs here: what is expected, how sure it is and how good earlier expectations were. Amounts are in the
reporting currency; ``error`` is forecast − actual.
"""

import sqlalchemy as sa

from quality.tables.columns import column, table
from quality.tables.metrics import as_of, period, segment

FORECASTS = sa.MetaData()

CALL_VERDICTS = ("sandbags", "happy_ears", "neither", "too_few")

COMPONENTS = ("won", "open_pipeline", "new_business", "total")

DEAL_CAUSES = ("won", "lost", "created", "amount", "timing", "progress", "model")

win_probability = table(
    FORECASTS,
    "win_probability",
    "One row per open opportunity.",
    as_of(),
    column("opportunity_id", "id", "Opportunity", key=True),
    column("stage", "id", "Stage key", required=True),
    column("owner_id", "id", "Owner"),
    column("amount", "amount", "Amount at the as-of date; null where none is known", minimum=0),
    column("amount_if_won", "amount", "Amount to expect if it is won", required=True, minimum=0),
    column("p_won", "share", "Probability that it is won in the end", required=True),
    column("p_won_30d", "share", "Probability that it is won within 30 days of the as-of date", required=True),
    column("p_won_60d", "share", "Probability that it is won within 60 days", required=True),
    column("p_won_90d", "share", "Probability that it is won within 90 days", required=True),
    column("expected_close_date", "date", "Median day of winning, given that it is won"),
    column("close_date_p10", "date", "Day by which one in ten such wins has come"),
    column("close_date_p90", "date", "Day by which nine in ten such wins have come"),
    column("expected_amount", "amount", "p_won × amount_if_won", required=True, minimum=0),
    column("reasons", "json", "List of codes and figures, in log-odds against the company's base rate; they add up to the score", required=True),
    column("model", "label", "Method that gave the probabilities", required=True),
)

win_timing = table(
    FORECASTS,
    "win_timing",
    "One row per open opportunity and period, from the one that holds the as-of date to three months ahead.",
    as_of(),
    column("opportunity_id", "id", "Opportunity", key=True),
    *period(),
    column("p_won_in_period", "share", "Probability that it is won in the period (in what is left of it)", required=True),
    column("p_won_by_end", "share", "Probability that it is won by the period's end", required=True),
    column("p_lost_by_end", "share", "Probability that it is lost by the period's end", required=True),
)

revenue_forecast = table(
    FORECASTS,
    "revenue_forecast",
    "One row per period, segment member and component. Means add up over components, members and periods; quantiles do not.",
    as_of(),
    *period(),
    *segment(),
    column("component", "label", "won so far, from today's open pipeline, from deals not yet created, and their total", key=True, values=COMPONENTS),
    column("mean", "amount", "Expected amount", required=True, minimum=0),
    *(column(f"p{q:02d}", "amount", f"{q} % quantile", required=True, minimum=0) for q in (5, 10, 25, 50, 75, 90, 95)),
    column("expected_wins", "number", "Expected number of deals won", required=True, minimum=0),
    column("noise_floor", "ratio", "Half-width of the 80 % range that chance alone leaves, as a share of the mean total; null where the mean is 0"),
    column("method", "label", "Method that gave the open-pipeline part", required=True),
)

forecast_baselines = table(
    FORECASTS,
    "forecast_baselines",
    "One row per period that is not over at the as-of date, segment member and simple method, shown beside every forecast.",
    as_of(),
    *period(),
    *segment(),
    column(
        "method",
        "label",
        "weighted_pipeline, run_rate, same_period_last_year, crm_probability; call_commit, call_best_case: what people called, newest by the as-of date",
        key=True,
    ),
    column("value", "amount", "Amount that the method expects for the whole period, won so far included", required=True),
)

forecast_accuracy = table(
    FORECASTS,
    "forecast_accuracy",
    "One row per past origin, period, segment member and method that can be scored at the as-of date.",
    as_of(),
    column("origin", "date", "Date as of which the forecast was made", key=True),
    *period(),
    *segment(),
    column("method", "label", "Method", key=True),
    column("kind", "label", "Published at the time, or recomputed later as of then", key=True, values=("live", "replayed")),
    column("lead_months", "count", "Months from the origin to the period: 1 for the first whole month after it", required=True),
    column("forecast", "amount", "Mean forecast of the total", required=True),
    column("p10", "amount", "10 % quantile; null for methods that give a number only"),
    column("p90", "amount", "90 % quantile"),
    column("actual", "amount", "Amount won in the period", required=True),
    column("error", "amount", "forecast − actual", required=True),
    column("absolute_error", "amount", "Absolute error", required=True),
    column("inside_80", "flag", "actual lies in [p10, p90]; null where there is no range"),
)

deal_accuracy = table(
    FORECASTS,
    "deal_accuracy",
    "One row per method and horizon: how past win probabilities compare with what happened, over all origins.",
    as_of(),
    column("method", "label", "Method", key=True),
    column(
        "horizon",
        "label",
        "month_1, month_2, month_3: won by the end of that month after the origin; ever: won, of those closed since; which: as ever, with every method given each origin's own share of wins: it compares and is no forecast",
        key=True,
    ),
    column("deals", "count", "Pairs of origin and open deal whose outcome at the horizon is known", required=True),
    column("origins", "count", "Origins they come from", required=True),
    column("base_rate", "share", "Share of them that were won"),
    column("log_loss", "number", "Mean log loss"),
    column("brier", "number", "Mean squared error of the probability"),
    column("auc", "share", "Chance that a won deal was rated above another"),
    column("calibration_error", "share", "Expected calibration error in ten equally filled bins"),
    column("gain", "number", "Log loss of the base rate less the method's, per deal: positive is better"),
    column("gain_low", "number", "Lower end of the 95 % interval of gain, bootstrapped over origins"),
    column("gain_high", "number", "Upper end of the 95 % interval of gain"),
    column("accuracy", "share", "Share of deals called right by saying won from a probability of 0.5 on"),
    column("majority_rate", "share", "Share that is right when every deal is given the more frequent outcome"),
    column("callable_share", "share", "Share of deals, the surest first, whose predicted certainty is 85 % on average: those that can be called"),
    column("callable_deals", "count", "Number of those"),
    column("callable_accuracy", "share", "Share of those that were called right"),
    column("is_published", "flag", "This method gives the published probabilities", required=True),
)

reliability = table(
    FORECASTS,
    "reliability",
    "One row per method, horizon (as in deal_accuracy) and bin of predicted probability: the reliability table of past win probabilities.",
    as_of(),
    column("method", "label", "Method", key=True),
    column("horizon", "label", "month_1, month_2, month_3, ever or which, as in deal_accuracy", key=True),
    column("bin", "position", "Bin, from the least probable; up to ten that hold about as many deals each", key=True),
    column("deals", "count", "Pairs of origin and open deal in the bin", required=True),
    column("predicted", "share", "Mean predicted probability", required=True),
    column("observed", "share", "Share that was won", required=True),
    column("observed_low", "share", "Lower end of the 95 % Wilson interval of observed, as if deals were independent", required=True),
    column("observed_high", "share", "Upper end of that interval", required=True),
)

call_record = table(
    FORECASTS,
    "call_record",
    "One row per segment member, category and kind of period that somebody called before: how these calls compare with what was won.",
    as_of(),
    *segment(),
    column("category", "label", "commit or best case", key=True, values=("commit", "best case")),
    column("period_kind", "label", "Kind of the periods called", key=True, values=("week", "month", "quarter")),
    column(
        "n",
        "count",
        "Periods that are over and were called at a month's end before they were: each counts once, as it stood at the last month's end before it began, else at the first within",
        required=True,
    ),
    column("mean_error_share", "ratio", "Σ |call − actual| ÷ Σ actual; null where nothing was won"),
    column("bias_share", "number", "Σ (call − actual) ÷ Σ actual: positive where too much was called"),
    column("bias_low", "number", "Lower end of the 95 % interval of bias_share; null under two periods"),
    column("bias_high", "number", "Upper end of that interval"),
    column("n_compared", "count", "Those of the periods for which the model was replayed as of the same origin", required=True),
    column("inside_model", "count", "Calls of these that lay inside the model's 80 % range", required=True),
    column("helped", "count", "Calls of these that were nearer to the actual than the model's mean", required=True),
    column("helped_low", "share", "Lower end of the 95 % Wilson interval of helped ÷ n_compared"),
    column("helped_high", "share", "Upper end of that interval"),
    column("model_error_share", "ratio", "The model's Σ |mean − actual| ÷ Σ actual over the n_compared periods"),
    column("call_error_share", "ratio", "The calls' own over the same periods"),
    column(
        "verdict", "label", "What the interval of the bias says; a best case that lies above is what it is meant to be", required=True, values=CALL_VERDICTS
    ),
)

method_choice = table(
    FORECASTS,
    "method_choice",
    "One row per origin: which method was chosen on origins before it, and how it then did beside the others.",
    as_of(),
    column("origin", "date", "Origin at which the choice applied", key=True),
    column("question", "label", "deals (win probability) or revenue (totals)", key=True, values=("deals", "revenue")),
    column("method", "label", "Method that did best on earlier origins", required=True),
    column("score", "number", "Its score at this origin: log loss, or absolute error over actual"),
    column("baseline_score", "number", "The best baseline's score at this origin, chosen likewise on earlier ones"),
    column("origins_used", "count", "Earlier origins that the choice rests on", required=True),
)

forecast_changes = table(
    FORECASTS,
    "forecast_changes",
    "One row per earlier date, subject, period, segment member and cause. For each the causes add up, to the cent, from opening to closing.",
    as_of(),
    column("since", "date", "The earlier as-of date", key=True),
    column("subject", "label", "pipeline (open amount by expected close date) or forecast (mean)", key=True, values=("pipeline", "forecast")),
    *period(),
    *segment(),
    column(
        "cause",
        "label",
        "opening, a cause of change, or closing. Of the forecast: won (amount less prior expectation), lost, created (less the new business used up), amount, timing (expected close date), progress (stage and time), new_business, model; none of rates, which are one per currency for all dates of a run",
        key=True,
    ),
    column("amount", "amount", "Amount, signed: what the cause adds", required=True),
    column("deals", "count", "Deals concerned", required=True),
)

forecast_change_deals = table(
    FORECASTS,
    "forecast_change_deals",
    "One row per opportunity, period and cause behind forecast_changes of the subject forecast, where the cause adds something.",
    as_of(),
    column("since", "date", "The earlier as-of date", key=True),
    *period(),
    column("opportunity_id", "id", "Opportunity", key=True),
    column("cause", "label", "won, lost, created, amount, timing, progress or model", key=True, values=DEAL_CAUSES),
    column("amount", "amount", "Amount, signed: what the cause adds to the period's mean by this opportunity", required=True),
)

target_outlook = table(
    FORECASTS,
    "target_outlook",
    "One row per period and segment member that is forecast and has a target of bookings.",
    as_of(),
    *period(),
    *segment(),
    column("target", "amount", "Target; that of a quarter without one of its own is the sum of its months'", required=True, minimum=0),
    column("won", "amount", "Won in the period so far", required=True, minimum=0),
    column("mean", "amount", "Expected amount of the whole period", required=True, minimum=0),
    column("p_target", "share", "Probability of making the target: share of the forecast's draws that do", required=True),
    column("gap", "amount", "target − mean: positive where less is expected", required=True),
    column(
        "coverage_now", "ratio", "Open amount with an expected close date in the period ÷ (target − won); null where the target is made or the period is over"
    ),
    column(
        "coverage_needed",
        "ratio",
        "Median over earlier periods, seen from as long before: open amount with an expected close date in the period ÷ what was won of it in the period; null where past close dates or amounts are not known, or nothing was won of it in most",
    ),
    column("n", "count", "Earlier periods that the median is of", required=True),
)

LEVERS = ("win_rate", "cycle", "creation", "deal_size")

scenarios = table(
    FORECASTS,
    "scenarios",
    "One row per month or quarter that is not over, scenario, lever and what it is restricted to: what the company's total would be.",
    as_of(),
    *period(),
    column(
        "scenario",
        "label",
        "better or worse by a tenth; close_gap: the smallest change that makes the mean the target",
        key=True,
        values=("better", "worse", "close_gap"),
    ),
    column("lever", "label", "win_rate, cycle (days to winning), creation (of deals), deal_size", key=True, values=LEVERS),
    *segment(),
    column("stage", "id", "Stage key of the deals that the lever is restricted to; all where it is not", key=True),
    column("factor", "ratio", "What the lever is multiplied by; null where none up to double (for the cycle: half) closes the gap"),
    column("mean", "amount", "Expected amount of the company's period", minimum=0),
    *(column(f"p{q}", "amount", f"{q} % quantile", minimum=0) for q in (10, 50, 90)),
    column("change", "amount", "Mean less the published mean"),
    column("closes_gap", "flag", "The mean makes the company's target; null where it has none"),
)

audit_sample = table(
    FORECASTS,
    "audit_sample",
    "One row per open opportunity to check by hand in the week of the as-of date: the same for everybody who asks.",
    as_of(),
    column("week_start", "date", "Monday of the week", key=True),
    column("opportunity_id", "id", "Opportunity", key=True),
    column("owner_id", "id", "Owner; unassigned where there is none", required=True),
    column("stage", "id", "Stage key", required=True),
    column("amount", "amount", "Amount at the as-of date; null where none is known"),
)

RISK_SIGNALS = ("stage_overtime", "zombie", "not_updated_7d")

risk_list = table(
    FORECASTS,
    "risk_list",
    "One row per open opportunity and signal.",
    as_of(),
    column("opportunity_id", "id", "Opportunity", key=True),
    column("signal", "label", "Signal: stage_overtime, zombie or not_updated_7d", key=True),
    column("stage", "id", "Stage key", required=True),
    column("owner_id", "id", "Owner"),
    column("amount", "amount", "Amount at the as-of date; null where none is known"),
    column("evidence", "text", "The figures that raise the signal", required=True),
    column("suggested_action", "text", "What the playbook suggests", required=True),
)
