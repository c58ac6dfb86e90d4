"""Contracts of what a CRM can export besides deals, leads and people: aims, payments, records of what is done in a deal, rates.

What belongs here: those tables, with the rules that a row must satisfy to be trusted. What does not: deals and their
histories, leads, customers, activities and people (quality/tables/exports.py).
"""

from quality.tables.columns import column, table
from quality.tables.exports import EXPORTS, PARENT_RULES

targets = table(
    EXPORTS,
    "targets",
    "One row per period, unit and metric.",
    column("period_kind", "label", "week, month or quarter", key=True, values=("week", "month", "quarter")),
    column("period_start", "date", "First day of the period", key=True),
    column("dimension", "label", "all, team or owner", key=True),
    column("member", "label", "all, or the team or owner", key=True),
    column("metric", "label", "What is aimed at; bookings by default", key=True),
    column("target", "number", "Target in the metric's own unit", required=True),
)

forecast_calls = table(
    EXPORTS,
    "forecast_calls",
    "One row per call: what a person committed.",
    column("period_kind", "label", "week, month or quarter; null: month", values=("week", "month", "quarter")),
    column("period_start", "date", "First day of the period", key=True),
    column("dimension", "label", "owner, team or all", key=True),
    column("member", "label", "Owner, team or all", key=True),
    column("category", "label", "commit or best case", key=True),
    column("amount", "original_amount", "Amount called, in the reporting currency", required=True),
    column("called_at", "time", "When", key=True),
    periods="period_kind",
)

payments = table(
    EXPORTS,
    "payments",
    "One row per payment due.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("kind", "label", "prepayment, progress or final", key=True),
    column("due_at", "date", "Due", key=True),
    column("paid_at", "date", "Paid"),
    column("amount", "original_amount", "Amount, in the currency of the opportunity", required=True),
    rules=PARENT_RULES,
)

satisfaction = table(
    EXPORTS,
    "satisfaction",
    "One row per survey answer.",
    column("account_id", "id", "Customer", key=True),
    column("surveyed_at", "date", "When", key=True),
    column("score", "number", "Score", required=True),
)

assessments = table(
    EXPORTS,
    "assessments",
    "One row per assessed item.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("assessed_at", "time", "When", key=True),
    column("item", "label", "What was assessed", key=True),
    column("value", "text", "Value", required=True),
    column("evidence_ref", "text", "Evidence"),
    column("assessed_by", "id", "Who"),
    column("reviewed_by", "id", "Reviewer"),
    rules=PARENT_RULES,
)

milestones = table(
    EXPORTS,
    "milestones",
    "One row per thing done.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("kind", "label", "What was done", key=True),
    column("happened_at", "time", "When", key=True),
    column("document_ref", "text", "Document"),
    column("customer_feedback", "text", "Feedback", private="text"),
    column("next_action", "text", "Next action", private="text"),
    rules=PARENT_RULES,
)

obstacles = table(
    EXPORTS,
    "obstacles",
    "One row per obstacle.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("kind", "label", "Kind", key=True),
    column("description", "text", "Description", private="text"),
    column("countermeasure", "text", "Countermeasure", private="text"),
    column("owner_id", "id", "Responsible"),
    column("due_at", "date", "To be solved by"),
    column("opened_at", "time", "Opened", key=True),
    column("closed_at", "time", "Solved"),
    rules=PARENT_RULES,
)

follow_up_plans = table(
    EXPORTS,
    "follow_up_plans",
    "One row per planned follow-up.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("stage", "label", "Stage of follow-up"),
    column("goal", "text", "Goal", private="text"),
    column("content", "text", "Content", private="text"),
    column("owner_id", "id", "Responsible"),
    column("due_at", "date", "Due", key=True),
    column("opened_at", "time", "Opened"),
    column("closed_at", "time", "Done"),
    rules=PARENT_RULES,
)

support_requests = table(
    EXPORTS,
    "support_requests",
    "One row per request for support.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("kind", "label", "Kind", key=True),
    column("due_at", "date", "Needed by"),
    column("expected_output", "text", "Expected output", private="text"),
    column("is_accepted", "flag", "Accepted"),
    column("refusal_reason", "text", "Reason of a refusal", private="text"),
    column("rating", "number", "Rating, 1 to 10", minimum=1, maximum=10, severity="warning"),
    column("opened_at", "time", "Opened", key=True),
    column("closed_at", "time", "Answered"),
    rules=PARENT_RULES,
)

improvement_actions = table(
    EXPORTS,
    "improvement_actions",
    "One row per measure.",
    column("stage", "label", "Bottleneck stage", key=True),
    column("measure", "text", "Measure", key=True),
    column("owner_id", "id", "Responsible"),
    column("due_at", "date", "Due"),
    column("acceptance", "text", "Acceptance test"),
    column("opened_at", "time", "Opened", key=True),
    column("closed_at", "time", "Closed"),
)

exchange_rates = table(
    EXPORTS,
    "exchange_rates",
    "One row per currency and day from which a rate holds.",
    column("currency", "label", "ISO 4217 code", key=True),
    column("valid_from", "date", "First day", key=True),
    column("rate", "number", "Reporting currency per unit", required=True, minimum=0),
)

splits = table(
    EXPORTS,
    "splits",
    "One row per owner's share of an opportunity.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("owner_id", "id", "Owner", key=True),
    column("share", "share", "Share", required=True),
    rules=PARENT_RULES,
)
