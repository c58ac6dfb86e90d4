"""Contracts of the funnel metrics.

What belongs here: counts, rates and times of what has happened. What does not: forecasts, lists, scores.
"""

import sqlalchemy as sa

from quality.tables.columns import column, table
from quality.tables.core import PERIOD_KINDS

METRICS = sa.MetaData()


def as_of() -> sa.Column:
    """The first key column of every published table; the lake puts it in."""
    return column("as_of", "date", "Date as of which the row was computed", key=True)


def period() -> tuple[sa.Column, sa.Column]:
    """The two key columns that name a period."""
    return (
        column("period_kind", "label", "week, month or quarter", key=True, values=PERIOD_KINDS),
        column("period_start", "date", "First day of the period", key=True),
    )


def segment() -> tuple[sa.Column, sa.Column]:
    """The two key columns that name a member of a dimension."""
    return (
        column("dimension", "label", "all, or a configured segment", key=True),
        column("member", "label", "all, or one value of the segment; unassigned where none is known", key=True),
    )


funnel_flow = table(
    METRICS,
    "funnel_flow",
    "One row per period, segment member and open stage: movements counted in visits. opening + entered − advanced − regressed − won − lost = closing, exactly.",
    as_of(),
    *period(),
    *segment(),
    column("stage", "id", "Stage key", key=True),
    column("opening", "count", "In the stage at the period's first instant", required=True),
    column("entered_new", "count", "Deals that came in as new", required=True),
    column("entered_advanced", "count", "Came in from an earlier stage", required=True),
    column("entered_regressed", "count", "Came back from a later stage", required=True),
    column("entered_reopened", "count", "Came back after having been won or lost", required=True),
    column("advanced", "count", "Left for a later open stage", required=True),
    column("regressed", "count", "Left for an earlier stage", required=True),
    column("won", "count", "Left as won", required=True),
    column("lost", "count", "Left as lost, shelved and invalid included", required=True),
    column("closing", "count", "In the stage at the period's end (at the as-of date in the partial period)", required=True),
    column("closing_amount", "amount", "Amount of those at closing, as known then", required=True),
    column("closing_paused", "count", "Of those at closing, paused beyond the as-of date; null where the period ended before it"),
    column("template_conversion", "ratio", "(advanced + won) ÷ (opening + entries − lost); null where that is zero"),
    column("is_partial", "flag", "The period is not over at the as-of date", required=True),
)

stage_conversion = table(
    METRICS,
    "stage_conversion",
    "One row per period, segment member and stage: the cohort of deals that first entered the stage in the period. entered = advanced + lost + still_open.",
    as_of(),
    *period(),
    *segment(),
    column("stage", "id", "Stage key", key=True),
    column("entered", "count", "Deals whose first entry of the stage lies in the period and is dated by what happened", required=True),
    column("advanced", "count", "Of those, deals that ever reached a later stage, won included", required=True),
    column("won", "count", "Of those advanced, deals won by the as-of date", required=True),
    column("lost", "count", "Of those, deals lost without having gone further", required=True),
    column("still_open", "count", "Of those, deals open that have not gone further", required=True),
    column("conversion_observed", "share", "First exit of the stage went forward ÷ entered; null where none entered"),
    column("conversion_filled", "share", "Ever reached a later stage ÷ ever reached this one, skipped stages filled, dated by first reach; null where none"),
    column("conversion_eventual", "share", "Share that will go forward in the end: Aalen–Johansen, extrapolated beyond follow-up; null under 10 at risk"),
    column("eventual_low", "share", "Lower end of the 95 % interval of conversion_eventual"),
    column("eventual_high", "share", "Upper end of the 95 % interval of conversion_eventual"),
    column("extrapolated_share", "share", "Part of conversion_eventual that lies beyond the cohort's own follow-up"),
    column("ci_low", "share", "Lower end of the 95 % Wilson interval of conversion_observed"),
    column("ci_high", "share", "Upper end of the 95 % Wilson interval of conversion_observed"),
    column("benchmark", "share", "Configured benchmark conversion of the stage"),
    column("observed_share", "share", "Of those entered, the share whose entry a stage history shows"),
    column(
        "rebuilt_share",
        "share",
        "Of those entered, the share whose entry is rebuilt from successive snapshots; the rest is derived from dates of the opportunity",
    ),
    column("is_partial", "flag", "The period is not over at the as-of date", required=True),
)

stage_hazards = table(
    METRICS,
    "stage_hazards",
    "One row per stage and whole day of age in it at which visits of the trailing 12 months joined, left or were last seen, over the company: "
    "how visits of that age leave. conversion_eventual of a young cohort is continued by it.",
    as_of(),
    column("stage", "id", "Stage key", key=True),
    column("age_days", "count", "Whole days in the stage", key=True),
    column("at_risk", "number", "Visits in the stage at that age; one that is last seen within the day counts half", required=True),
    column("forward", "count", "Of those, left forward (advanced or won) within the day of age", required=True),
    column("otherwise", "count", "Of those, left otherwise (regressed or lost) within the day of age", required=True),
    column("forward_hazard", "share", "forward ÷ at_risk", required=True),
    column("other_hazard", "share", "otherwise ÷ at_risk", required=True),
    column("eventual", "share", "Of visits that reach this age, the share that will leave forward in the end", required=True),
    column("standard_error", "number", "Standard error of eventual (Greenwood, delta method)", required=True),
)

stage_dwell = table(
    METRICS,
    "stage_dwell",
    "One row per period, segment member and stage: the visits that began in the period.",
    as_of(),
    *period(),
    *segment(),
    column("stage", "id", "Stage key", key=True),
    column("visits", "count", "Visits that began in the period, of those whose beginning, and end if any, is dated by what happened", required=True),
    column("completed", "count", "Of those, ended by the as-of date", required=True),
    column("mean_days", "days", "Mean of completed visits"),
    column("median_days", "days", "Median of completed visits"),
    column("p75_days", "days", "75 % quantile of completed visits"),
    column("p90_days", "days", "90 % quantile of completed visits"),
    column("min_days", "days", "Shortest completed visit"),
    column("max_days", "days", "Longest completed visit"),
    column("km_median_days", "days", "Kaplan–Meier median over all visits, any exit being the event; null when not reached"),
    column("mean_working_days", "days", "Mean of completed visits in working days"),
    column("mean_transition_lag_days", "days", "Mean of entry less the exported exit of the stage before; null where none is exported", minimum=-100_000),
    column("overtime", "count", "Visits, open ones included, longer than 1.5 × the stage's average", required=True),
    column("overtime_share", "share", "overtime ÷ visits"),
    column(
        "reference_days", "days", "The stage's average that overtime is measured by: completed visits of the last 12 months where n ≥ 10, else the benchmark"
    ),
    column("benchmark_days", "days", "Configured benchmark dwell of the stage"),
    column("observed_share", "share", "Of the visits, the share whose entry a stage history shows"),
    column(
        "rebuilt_share", "share", "Of the visits, the share whose entry is rebuilt from successive snapshots; the rest is derived from dates of the opportunity"
    ),
    column("is_partial", "flag", "The period is not over at the as-of date", required=True),
)

win_rates = table(
    METRICS,
    "win_rates",
    "One row per period and segment member.",
    as_of(),
    *period(),
    *segment(),
    column("created", "count", "Opportunities created in the period", required=True),
    column("won", "count", "Opportunities won in the period (by close date)", required=True),
    column("lost", "count", "Opportunities lost in the period (by close date)", required=True),
    column("open", "count", "Open at the period's end (at the as-of date in the partial period)", required=True),
    column("win_rate_count", "share", "won ÷ (won + lost)"),
    column("win_rate_low", "share", "Lower end of its 95 % Wilson interval"),
    column("win_rate_high", "share", "Upper end of its 95 % Wilson interval"),
    column("win_rate_value", "share", "Amount won ÷ amount won and lost, of deals with an amount; null where none of those lost has one"),
    column("win_rate_created", "share", "Of those created in the period, won by the as-of date ÷ created"),
    column("won_amount", "amount", "Amount won in the period", required=True),
    column("mean_amount", "amount", "Mean amount of those won"),
    column("cycle_mean_days", "days", "Mean from creation to winning of those won in the period"),
    column(
        "cycle_median_days",
        "days",
        "Median from creation to closing, Kaplan–Meier over those created in the period: won is the event, others are censored at closing or the as-of date; null when not reached",
    ),
    column("velocity", "amount", "Open at the period's end × mean won amount × win rate ÷ mean cycle: amount per day"),
    column("is_partial", "flag", "The period is not over at the as-of date", required=True),
)
