"""Contracts of the trusted tables: accepted rows and what is built straight from them.

What belongs here: facts about deals as known at the as-of date. What does not: counts, rates, forecasts.
All times are wall-clock times in the company's time zone; a fact counts if it lies before the first instant
after the as-of date.
"""

import sqlalchemy as sa

from quality.tables.columns import column, table

CORE = sa.MetaData()

HISTORY_KINDS = ("observed", "derived", "rebuilt")
COURSES = ("whole", "partial", "unknown")
ENTRY_KINDS = ("new", "advanced", "regressed", "reopened")
EXIT_KINDS = ("advanced", "regressed", "won", "lost")
STATUSES = ("open", "won", "lost")
PERIOD_KINDS = ("week", "month", "quarter")

stages = table(
    CORE,
    "stages",
    "One row per stage that deals are or were in as of the date, won and lost included.",
    column("stage", "id", "Stage key; `pipeline:stage` where the company has several pipelines", key=True),
    column("pipeline", "label", "Pipeline the stage belongs to", required=True),
    column(
        "position",
        "position",
        "Order in its pipeline from 1; won is one past the last, lost is 0; a stage that was split has the place of the last of its parts",
        required=True,
    ),
    column("kind", "label", "What being in it means", required=True, values=STATUSES),
    column("label_en", "text", "English name", required=True),
    column("label_zh", "text", "Chinese name", required=True),
    column("benchmark_conversion", "share", "Configured conversion to expect; null where none is set"),
    column("benchmark_days", "days", "Configured dwell to expect; null where none is set"),
    column("default_probability", "share", "Configured probability of winning from here; null where none is set"),
    column("first_day", "date", "First day on which an entry counts as this stage; null: always"),
    column("last_day", "date", "Last day on which an entry counts as this stage; null: still"),
)

stage_periods = table(
    CORE,
    "stage_periods",
    "One row per configured stage and stretch of days in which its name stands for one and the same stage: renamed, split and merged stages.",
    column("stage", "id", "Stage key of the configuration, won and lost included", key=True),
    column("first_day", "date", "First day of the stretch", key=True),
    column("last_day", "date", "Last day of the stretch", required=True),
    column("counts_as", "id", "Stage key that an entry on these days counts as", required=True),
    column("split_from", "id", "The split stage that counts_as is, or is a part of; null where there is none"),
)

owner_teams = table(
    CORE,
    "owner_teams",
    "One row per person and stretch of days in one team, known by the as-of date; stretches of one person do not overlap.",
    column("owner_id", "id", "Person", key=True),
    column("first_day", "date", "First day; 0001-01-01: always", key=True),
    column("last_day", "date", "Last day; 9999-12-31: still", required=True),
    column("team", "label", "Team"),
)

calendar = table(
    CORE,
    "calendar",
    "One row per reporting period, past and forecast.",
    column("period_kind", "label", "week (from Monday), month or quarter of the fiscal year", key=True, values=PERIOD_KINDS),
    column("period_start", "date", "First day", key=True),
    column("period_end", "date", "Last day, inclusive", required=True),
    column("is_reported", "flag", "Started by the as-of date and inside the reporting window", required=True),
    column("is_partial", "flag", "The as-of date lies before its last day", required=True),
    column("fiscal_year", "count", "Fiscal year, named by the calendar year in which it ends", required=True),
    column("fiscal_quarter", "count", "Quarter of the fiscal year that holds the first day", required=True, minimum=1, maximum=4),
)

working_days = table(
    CORE,
    "working_days",
    "One row per calendar day.",
    column("day", "date", "The day", key=True),
    column("is_working", "flag", "Neither a weekend nor a public holiday; a working weekend counts", required=True),
    column("number", "count", "Working days from the table's first day up to and including this one", required=True),
)

parameters = table(
    CORE,
    "parameters",
    "The one row of settings that SQL joins: the as-of date and the limits of the configuration.",
    column("as_of", "date", "As-of date", key=True),
    column("as_of_end", "time", "First instant after the as-of date; a fact counts if it lies before", required=True),
    column("export_date", "date", "Date of the newest export", required=True),
    column("overtime_factor", "ratio", "A visit is overtime beyond this multiple of the stage's average", required=True),
    column("overtime_minimum_visits", "count", "Completed visits that an average needs; below, the benchmark is used", required=True),
    column("zombie_days", "count", "Days without anything happening that make a zombie", required=True),
    column("zombie_close_overdue_days", "count", "Days past the expected close date that make a zombie", required=True),
    column("small_sample", "count", "Counts below this are shown greyed", required=True),
    column("audit_sample_share", "share", "Share of each owner's open opportunities to check by hand every week", required=True),
    column("vanished", "label", "What became of open opportunities that the newest export lacks", required=True, values=("open", "deleted")),
    column("language", "label", "Language of the reports", required=True, values=("en", "zh")),
    column("mask_owners", "flag", "Names of owners are masked", required=True),
)

opportunity_versions = table(
    CORE,
    "opportunity_versions",
    "One row per trusted version of an opportunity: the newest of each snapshot, amounts in the reporting currency.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("seen_on", "date", "Date of the snapshot, or of the export where its file has none", key=True),
    column("is_current", "flag", "The version in force at the as-of date, or the first one where none is that old", required=True),
    column("is_known", "flag", "Seen by the as-of date; what is not is used only for facts with a date of their own", required=True),
    column("is_vanished", "flag", "Open when last seen, and not in the newest export that is not younger than the as-of date", required=True),
    column("pipeline", "label", "Pipeline", required=True),
    column("stage", "id", "Stage key in the row; null where the row has none"),
    column("status", "label", "Status in the row, by the configured outcome_from; null where the row has none", values=STATUSES),
    column("stage_entered_at", "time", "Entry of that stage, where exported"),
    column("owner_id", "id", "Owner"),
    column("account_id", "id", "Customer"),
    column("opportunity_type", "label", "new, renewal or expansion"),
    column("amount", "amount", "Amount"),
    column("currency", "label", "Currency of the export"),
    column("created_at", "time", "Creation"),
    column("closed_at", "time", "Day it was won or lost"),
    column("expected_close_date", "date", "Expected close date"),
    column("loss_reason", "label", "Reason of the loss"),
    column("source", "label", "Lead source"),
    column("industry", "label", "Industry"),
    column("product", "label", "Product"),
    column("region", "label", "Region"),
    column("forecast_category", "label", "Seller's forecast category"),
    column("crm_probability", "share", "Probability shown in the CRM"),
    column("paused_until", "date", "Paused until"),
    column("updated_at", "time", "Last change"),
    column("is_stale", "flag", "The newest version was rejected", required=True),
)

stage_dates = table(
    CORE,
    "stage_dates",
    'One row per stage that the opportunity\'s own row dates ("date entered stage X" columns).',
    column("opportunity_id", "id", "Opportunity", key=True),
    column("stage", "id", "Stage key, won and lost included", key=True),
    column("entered_at", "time", "Entry", required=True),
)

stage_entries = table(
    CORE,
    "stage_entries",
    "One row per entry of an opportunity into a stage, won and lost included, repeats of the same stage folded into one.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("entry_number", "count", "1 for the first", key=True, minimum=1),
    column("stage", "id", "Stage key", required=True),
    column("kind", "label", "open, won or lost", required=True, values=STATUSES),
    column("position", "position", "Position of the stage in its pipeline; one past the last for won, 0 for lost", required=True),
    column("entered_at", "time", "Entry; creation where the stay was under way when the history began", required=True),
    column("seen_at", "time", "First instant at which it is known to be in the stage; the entry itself where that is dated", required=True),
    column("left_at", "time", "Exit as exported beside the entry; null where none is exported or it lies after the as-of date"),
    column("history", "label", "How the entry is known", required=True, values=HISTORY_KINDS),
    column("is_dated", "flag", "False where nothing dates the entry: the stay was under way when the history began, or no history holds it", required=True),
    column("course", "label", "How much of the deal's way is known: whole, partial (since the history began) or unknown", required=True, values=COURSES),
)

opportunities = table(
    CORE,
    "opportunities",
    "One row per accepted opportunity that exists at the as-of date, in its state at that date.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("pipeline", "label", "Pipeline", required=True),
    column("status", "label", "State at the as-of date", required=True, values=STATUSES),
    column("stage", "id", "Stage key at the as-of date; of a closed deal the won or lost key", required=True),
    column("stage_entered_at", "time", "Entry of that stage; null where nothing dates it"),
    column("owner_id", "id", "Owner at the as-of date"),
    column("account_id", "id", "Customer"),
    column("opportunity_type", "label", "new, renewal or expansion, where exported"),
    column("amount", "amount", "Amount at the as-of date; null where none is known", minimum=0),
    column("currency", "label", "Currency of the export, before conversion"),
    column("created_at", "time", "Creation; null where the export has none"),
    column("closed_at", "time", "Day it was won or lost; null while open"),
    column("expected_close_date", "date", "Close date that the seller expects, at the as-of date"),
    column("loss_reason", "label", "Reason of a lost deal as exported"),
    column("source", "label", "Lead source"),
    column("industry", "label", "Industry"),
    column("product", "label", "Product"),
    column("region", "label", "Region"),
    column("team", "label", "Team of the owner at the as-of date"),
    column("forecast_category", "label", "Seller's forecast category"),
    column("crm_probability", "share", "Probability shown in the CRM; never a model input"),
    column("paused_until", "date", "Paused until; a paused deal stays open"),
    column("updated_at", "time", "Last change that the export shows; where it was made to many deals at once, the last one of this deal alone"),
    column("last_activity_at", "time", "Newest activity by the as-of date; null where no activities are exported"),
    column("last_sign_at", "time", "Newest change, dated stage entry or activity, edits of many deals at once aside"),
    column("is_bulk_edited", "flag", "The last change that the export shows was made to many deals in one minute", required=True),
    column("is_vanished", "flag", "Open, and not in the newest export by the as-of date", required=True),
    column(
        "course",
        "label",
        "How much of its way through the stages is known: whole, partial (since the history began) or unknown; null where it has no date at all",
        values=COURSES,
    ),
    column("is_stale", "flag", "The newest version was rejected and the last accepted one is in force", required=True),
    column("without_history", "text", "Names of fields whose value at the as-of date is not known and stands at a later one, comma-separated"),
)

episodes = table(
    CORE,
    "episodes",
    "One row per change of an opportunity, in force in [valid_from, valid_to).",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("valid_from", "time", "First instant of the state", key=True),
    column("valid_to", "time", "First instant after the state; null while in force at the as-of date"),
    column("status", "label", "open, won or lost", required=True, values=STATUSES),
    column("stage", "id", "Stage key", required=True),
    column("amount", "amount", "Amount; null where none was known", minimum=0),
    column("expected_close_date", "date", "Close date that the seller expected"),
    column("owner_id", "id", "Owner"),
    column("history", "label", "How the state is known", required=True, values=HISTORY_KINDS),
)

stage_visits = table(
    CORE,
    "stage_visits",
    "One row per stay of an opportunity in an open stage, censored at the as-of date.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("visit_number", "count", "1 for the first stay of the deal in any stage", key=True, minimum=1),
    column("stage", "id", "Stage key", required=True),
    column("position", "position", "Position of the stage in its pipeline", required=True),
    column("entered_at", "time", "Entry; creation where the stay was under way when the history began", required=True),
    column("seen_at", "time", "First instant at which it is known to be in the stage; the entry itself where that is dated", required=True),
    column("entry_kind", "label", "How it came in", required=True, values=ENTRY_KINDS),
    column("exited_at", "time", "Exit; null while in the stage at the as-of date"),
    column("exit_kind", "label", "How it left; null while in the stage", values=EXIT_KINDS),
    column("next_stage", "id", "Stage key it left for, won and lost included; null while in the stage"),
    column("next_position", "position", "Position of next_stage; one past the last for won, 0 for lost; null while in the stage"),
    column("is_first", "flag", "First stay of the deal in this stage", required=True),
    column("is_latest", "flag", "Newest stay of the deal in this stage", required=True),
    column("owner_id", "id", "Owner at the visit's end (at the as-of date while in the stage)"),
    column("team", "label", "Team of that owner on that day"),
    column("amount", "amount", "Amount at the visit's end; null where none was known", minimum=0),
    column("dwell_days", "days", "Exit, or the first instant after the as-of date, less entry; at least so much where nothing dates the entry", required=True),
    column("dwell_working_days", "days", "Working days after the day of entry up to the day of exit (or the as-of date); null before the calendar's first day"),
    column(
        "transition_lag_days",
        "days",
        "Entry less the exported exit of the stage before; negative where they overlap, null where none is exported",
        minimum=-100_000,
    ),
    column("history", "label", "How the entry is known", required=True, values=HISTORY_KINDS),
    column("is_entry_dated", "flag", "The entry is dated by what happened, not by where the history or the exports begin", required=True),
    column("is_dated", "flag", "The entry is dated, and so is the exit where there is one", required=True),
    column("course", "label", "How much of the deal's way is known: whole, partial (since the history began) or unknown", required=True, values=COURSES),
)

opportunity_segments = table(
    CORE,
    "opportunity_segments",
    "One row per opportunity and dimension: its one member, as known at the as-of date.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("dimension", "label", "all, or a configured segment", key=True),
    column("member", "label", "all, a value of the segment, or unassigned", required=True),
)
