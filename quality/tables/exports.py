"""Contracts of what a CRM can export, under canonical names: deals and their histories, leads, customers, activities, people.

What belongs here: one table per kind of export, with the rules that a row must satisfy to be trusted. What does not: what is
recorded beside them (quality/tables/export_records.py), any CRM's own headers (assets/exports/crm) and anything computed.

Besides the declared columns every exported row carries ``_file``, ``_line``, ``_part`` (which row of that line it is, 0
where a line is one row), ``_snapshot`` (the file's date, or null), ``_verdict`` (accepted, superseded or rejected) and ``_reasons`` (codes). A rule's column starts with
``ok_`` and is derived where the row is judged (assets/exports/judge.py).
"""

import sqlalchemy as sa

from quality.tables.columns import Rule, column, table

EXPORTS = sa.MetaData()

OPPORTUNITY_TYPES = ("new", "renewal", "expansion")

PHONE = r"\+?[0-9(][0-9 ().\-/]{4,20}[0-9](?:[ ,;]*(?:x|ext\.?|转) ?[0-9]{1,6})?"
EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}"

PARENT_RULES = (
    Rule(
        "unknown_opportunity",
        "ok_opportunity_known",
        "reject",
        "the opportunity is in the opportunities export",
        "export the opportunity too, or correct its id",
    ),
    Rule(
        "parent_rejected",
        "ok_parent_accepted",
        "reject",
        "the opportunity's own row is accepted",
        "mend the opportunity's row; this one then comes back by itself",
    ),
)

opportunities = table(
    EXPORTS,
    "opportunities",
    "One row per opportunity (per snapshot).",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("account_id", "id", "Customer"),
    column("name", "text", "Name of the opportunity", private="text"),
    column("pipeline", "label", "Pipeline"),
    column("opportunity_type", "label", "new, renewal or expansion"),
    column("owner_id", "id", "Owner"),
    column("stage", "label", "Stage as exported"),
    column("stage_entered_at", "time", "Entry of the present stage"),
    column("amount", "original_amount", "Amount in the row's currency", minimum=0, maximum=1e12),
    column("currency", "label", "ISO 4217 code"),
    column("recurring_amount", "original_amount", "Recurring part of the amount, per year", minimum=0),
    column("created_at", "time", "Creation"),
    column("updated_at", "time", "Last change"),
    column("expected_close_date", "date", "Close date that the seller expects"),
    column("closed_at", "time", "Day it was won or lost"),
    column("is_closed", "flag", "Exported closed flag"),
    column("is_won", "flag", "Exported won flag"),
    column("outcome", "label", "Exported outcome: won, lost or open, in the configured spellings"),
    column("loss_reason", "label", "Reason of the loss"),
    column("source", "label", "Lead source"),
    column("industry", "label", "Industry"),
    column("product", "label", "Product"),
    column("region", "label", "Region"),
    column("lead_id", "id", "Lead it came from"),
    column("forecast_category", "label", "Seller's forecast category"),
    column("crm_probability", "share", "Probability shown in the CRM", severity="warning"),
    column("paused_until", "date", "Paused until"),
    column("deleted_at", "time", "Deleted in the CRM"),
    column("is_deleted", "flag", "Exported deleted flag"),
    column("merged_into", "id", "Opportunity that it was merged into"),
    column("proposal_sent_at", "time", "Proposal sent"),
    column("contract_effective_at", "time", "Contract effective"),
    column("first_payment_at", "time", "First payment received"),
    column("discount_share", "share", "Discount", severity="warning"),
    column("payment_term_days", "days", "Payment term", severity="warning"),
    column("next_step", "text", "Next step", private="text"),
    column("notes", "text", "Notes", private="text"),
    rules=(
        Rule(
            "unknown_stage",
            "ok_stage_known",
            "reject",
            "the stage is one of the configured spellings",
            "correct the stage, or add its spelling to the configuration",
        ),
        Rule("unknown_pipeline", "ok_pipeline_known", "reject", "the pipeline is configured", "correct the pipeline, or add it to the configuration"),
        Rule(
            "unknown_currency", "ok_currency_known", "reject", "the currency has an exchange rate", "correct the currency, or add its rate to the configuration"
        ),
        Rule("unknown_owner", "ok_owner_known", "warning", "the owner is in the owners export", "add the owner, or correct the id"),
        Rule("created_in_future", "ok_created_past", "reject", "creation is not after the export date", "correct the creation date"),
        Rule("closed_in_future", "ok_closed_past", "reject", "closing is not after the export date", "correct the close date"),
        Rule("closed_before_created", "ok_closed_after_created", "reject", "closing is not before creation", "correct one of the two dates"),
        Rule("closed_without_date", "ok_closed_dated", "reject", "a closed opportunity has a close date", "enter the close date"),
        Rule(
            "close_date_missing",
            "ok_closed_dated_in_row",
            "warning",
            "a closed opportunity has a close date (else the stage history dates it, or it is left out)",
            "enter the close date",
        ),
        Rule("won_without_amount", "ok_won_amount", "warning", "a won opportunity has an amount", "enter the amount"),
        Rule("stage_missing", "ok_stage_present", "warning", "the opportunity has a stage (else that of the stage history holds)", "enter the stage"),
        Rule(
            "unknown_outcome",
            "ok_outcome_known",
            "warning",
            "the outcome is open, or a configured spelling of won or lost",
            "correct the outcome, or add its spelling to won or lost",
        ),
        Rule(
            "conflicting_versions",
            "ok_versions_agree",
            "warning",
            "rows of one export with the same id have the same amount",
            "keep one row, or give each deal an id of its own",
        ),
        Rule(
            "stage_entered_implausible",
            "ok_stage_entered_then",
            "warning",
            "entry of the present stage is neither before creation nor after the export date",
            "correct the date",
        ),
        Rule("updated_in_future", "ok_updated_past", "warning", "the last change is not after the export date", "correct the date"),
        Rule(
            "contradictory_outcome",
            "ok_outcome_agrees",
            "warning",
            "stage and closed or won flags agree (the configured outcome_from decides)",
            "make the flags agree",
        ),
        Rule(
            "won_without_contract_or_payment",
            "ok_won_evidence",
            "warning",
            "a won opportunity has an effective contract or a first payment",
            "enter the contract date or the payment",
        ),
        Rule(
            "merged_into_unknown",
            "ok_merged_known",
            "warning",
            "the opportunity that it was merged into is another one of the export",
            "export that opportunity too, or correct its id",
        ),
        Rule(
            "updated_in_bulk",
            "ok_updated_alone",
            "warning",
            "the last change was not made to many open opportunities in the same minute (it is no sign of work on any of them)",
            "nothing to mend; leave the date of the last change alone when editing in bulk, if the CRM can",
        ),
        Rule("several_owners", "ok_one_owner", "warning", "open deals of one customer have one owner", "assign the customer to one owner"),
        Rule("owner_missing", "ok_owner_present", "warning", "the opportunity has an owner", "assign an owner"),
        Rule("not_updated_3d", "ok_updated_3d", "warning", "an open opportunity was updated in the last 3 days", "update it"),
        Rule("not_updated_7d", "ok_updated_7d", "warning", "an open opportunity was updated in the last 7 days", "update it; the supervisor looks"),
    ),
)

stage_history = table(
    EXPORTS,
    "stage_history",
    "One row per stage entry.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("pipeline", "label", "Pipeline"),
    column("stage", "label", "Stage as exported", key=True),
    column("entered_at", "time", "Entry", key=True),
    column("exited_at", "time", "Exit"),
    column("previous_stage", "label", "Stage that was left for it, in a log of changes: it tells where a deal began"),
    column("amount", "original_amount", "Amount at that time", minimum=0, maximum=1e12),
    column("expected_close_date", "date", "Expected close date at that time"),
    column("forecast_category", "label", "Forecast category at that time"),
    column("owner_id", "id", "Owner at that time"),
    rules=(
        *PARENT_RULES,
        Rule(
            "unknown_stage",
            "ok_stage_known",
            "reject",
            "the stage is one of the configured spellings",
            "correct the stage, or add its spelling to the configuration",
        ),
        Rule("entered_in_future", "ok_entered_past", "reject", "entry is not after the export date", "correct the entry date"),
        Rule(
            "entered_before_created", "ok_entered_after_created", "reject", "entry is not before the opportunity's creation day", "correct one of the two dates"
        ),
        Rule(
            "entered_after_closed",
            "ok_entered_before_closed",
            "warning",
            "entry is not after the opportunity's close day",
            "correct one of the two dates, or reopen the deal",
        ),
        Rule("exited_before_entered", "ok_exited_after_entered", "reject", "exit is not before entry", "correct one of the two dates"),
        Rule("exited_in_future", "ok_exited_past", "warning", "exit is not after the export date", "correct the exit date"),
        Rule(
            "entered_before_previous_exit",
            "ok_entered_after_previous_exit",
            "warning",
            "entry is not before the exit of the stage before it",
            "correct one of the two dates",
        ),
    ),
)

field_history = table(
    EXPORTS,
    "field_history",
    "One row per changed field.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("field", "label", "Canonical name of the field (amount, expected_close_date, owner_id, stage)", key=True),
    column("old_value", "text", "Value before", private="text"),
    column("new_value", "text", "Value after", private="text"),
    column("changed_at", "time", "When it changed", key=True),
    rules=(
        *PARENT_RULES,
        Rule("changed_in_future", "ok_changed_past", "reject", "the change is not after the export date", "correct the date"),
        Rule("unreadable_old_value", "ok_old_value_read", "warning", "the old value reads as the field's own kind", "correct the value"),
        Rule("unreadable_new_value", "ok_new_value_read", "reject", "the new value reads as the field's own kind", "correct the value"),
    ),
)

leads = table(
    EXPORTS,
    "leads",
    "One row per lead.",
    column("lead_id", "id", "Lead", key=True),
    column("source", "label", "Source"),
    column("captured_at", "time", "Captured"),
    column("recorded_at", "time", "Recorded in the CRM"),
    column("assigned_at", "time", "Assigned to its owner"),
    column("account_name", "text", "Customer's name", private="name"),
    column("industry", "label", "Industry"),
    column("region", "label", "Region"),
    column("annual_revenue", "original_amount", "Customer's annual revenue", minimum=0),
    column("contact", "text", "Contact's name", private="name"),
    column("title", "text", "Contact's position"),
    column("phone", "text", "Phone", private="phone", pattern=PHONE),
    column("email", "text", "E-mail", private="email", pattern=EMAIL),
    column("need", "text", "Need in words", private="text"),
    column("need_type", "label", "Kind of need"),
    column("need_tags", "text", "Tags"),
    column("urgency", "label", "Urgency"),
    column("budget_stated", "flag", "A budget was stated"),
    column("budget", "original_amount", "Budget", minimum=0),
    column("authority", "flag", "BANT: the contact may decide"),
    column("need_confirmed", "flag", "BANT: the need is confirmed"),
    column("timeline", "flag", "BANT: a date is known"),
    column("need_match_share", "share", "How much of the need is matched", severity="warning"),
    column("status", "label", "touched, to nurture, invalid"),
    column("owner_id", "id", "Owner"),
    column("first_touch_at", "time", "First touch"),
    column("converted_opportunity_id", "id", "Opportunity it became"),
    rules=(
        Rule("captured_in_future", "ok_captured_past", "reject", "capture is not after the export date", "correct the date"),
        Rule("repeated_contact", "ok_contact_once", "warning", "no earlier lead has the same phone or e-mail", "merge the leads"),
        Rule("repeated_need", "ok_need_once", "warning", "the same customer stated no such need in the days before (duplicate_need_days)", "merge the leads"),
        Rule("vague_need", "ok_need_clear", "warning", "the need is more than a vague word (vague_words)", "ask what is needed, how much and by when"),
        Rule(
            "no_intent",
            "ok_intent_stated",
            "warning",
            "the need is stated and is not that there is none (no_intent_words)",
            "state the need, or mark the lead invalid",
        ),
        Rule("placeholder_phone", "ok_phone_real", "warning", "the phone is not one digit repeated or a run of digits", "enter the number that was called"),
        Rule("recorded_late", "ok_recorded_in_time", "warning", "recorded within 24 hours of capture", "record leads the same day"),
    ),
)

accounts = table(
    EXPORTS,
    "accounts",
    "One row per customer.",
    column("account_id", "id", "Customer", key=True),
    column("name", "text", "Name", private="name"),
    column("industry", "label", "Industry"),
    column("annual_revenue", "original_amount", "Annual revenue", minimum=0),
    column("employees", "count", "Employees", severity="warning"),
    column("region", "label", "Region"),
    column("tier", "label", "Strategic tier"),
)

contact_roles = table(
    EXPORTS,
    "contact_roles",
    "One row per contact on an opportunity.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("contact_id", "id", "Contact", key=True),
    column("role", "label", "decision maker, influencer, user"),
    column("first_contacted_at", "time", "First contacted"),
    rules=PARENT_RULES,
)

activities = table(
    EXPORTS,
    "activities",
    "One row per touch.",
    column("activity_id", "id", "Activity", key=True),
    column("opportunity_id", "id", "Opportunity"),
    column("lead_id", "id", "Lead"),
    column("kind", "label", "call, visit, mail, chat, demo, web visit, download, event"),
    column("happened_at", "time", "When", required=True),
    column("owner_id", "id", "Who"),
    column("direction", "label", "inbound or outbound"),
    column("text", "text", "Text", private="text"),
    rules=(
        *PARENT_RULES,
        Rule("happened_in_future", "ok_happened_past", "warning", "it is not after the export date (a planned activity is not a fact yet)", "correct the date"),
    ),
)

owners = table(
    EXPORTS,
    "owners",
    "One row per person and period of belonging to a team.",
    column("owner_id", "id", "Person", key=True),
    column("name", "text", "Name", private="name"),
    column("team", "label", "Team"),
    column("manager_id", "id", "Manager"),
    column("valid_from", "date", "First day in the team; null: always"),
    column("valid_to", "date", "Last day in the team; null: still"),
    rules=(
        Rule("team_period_ends_before_it_begins", "ok_team_period", "reject", "the last day in a team is not before the first", "correct one of the two dates"),
        Rule(
            "overlapping_team_periods",
            "ok_team_periods_apart",
            "warning",
            "a person's period in a team begins after the one before it has ended (else the later one holds from its first day)",
            "end the earlier period the day before the later one begins",
        ),
        Rule(
            "team_period_gap",
            "ok_team_periods_join",
            "warning",
            "a person's period in a team begins the day after the one before it has ended (in between the person has no team)",
            "correct one of the two dates, or enter the team in between",
        ),
    ),
    periods="valid_from",
)
