"""Contracts of the trusted tables beside the deals: leads, contacts' roles, activities, targets, calls, payments, answers to surveys.

What belongs here: accepted records as known at the as-of date, joined to the deals that exist then. What does not: deals and
their histories (quality/tables/core.py), and anything counted. Nothing here holds a name, phone, e-mail or free text.

``is_known`` is false where the record was first seen after the as-of date: facts with a date of their own hold all the same, and
everything else in it may have been different then.
"""

from quality.tables.columns import column, table
from quality.tables.core import CORE, PERIOD_KINDS

_IS_KNOWN = "Seen by the as-of date; where not, what has no date of its own stands at a later value"

leads = table(
    CORE,
    "leads",
    "One row per lead captured by the as-of date.",
    column("lead_id", "id", "Lead", key=True),
    column("status", "label", "touched, to nurture or invalid, else as exported; null where the lead was seen later only"),
    column("owner_id", "id", "Owner"),
    column("team", "label", "Team of the owner at the as-of date"),
    column("source", "label", "Source"),
    column("industry", "label", "Industry"),
    column("region", "label", "Region"),
    column("captured_at", "time", "Captured"),
    column("recorded_at", "time", "Recorded in the CRM"),
    column("assigned_at", "time", "Assigned to its owner; null while it was not"),
    column("first_touch_at", "time", "First touch; null while there was none"),
    column("converted_opportunity_id", "id", "Opportunity that it became and that exists at the as-of date; named by the lead, else by the opportunity"),
    column("duplicate_of", "id", "Lead captured before it with the same phone, else with the same e-mail; placeholders of phones aside"),
    column("need_type", "label", "Kind of need"),
    column("urgency", "label", "Urgency"),
    column("annual_revenue", "original_amount", "Customer's annual revenue"),
    column("budget", "original_amount", "Budget"),
    column("budget_stated", "flag", "A budget was stated"),
    column("authority", "flag", "BANT: the contact may decide"),
    column("need_confirmed", "flag", "BANT: the need is confirmed"),
    column("timeline", "flag", "BANT: a date is known"),
    column("need_match_share", "share", "How much of the need is matched"),
    column("is_known", "flag", _IS_KNOWN, required=True),
)

contact_roles = table(
    CORE,
    "contact_roles",
    "One row per contact on an opportunity that exists at the as-of date.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("contact_id", "id", "Contact; a mask where the id is a name, an e-mail or a phone, equal for equal ids", key=True),
    column("role", "label", "decision maker, influencer or user, else as exported"),
    column("first_contacted_at", "time", "First contacted; null while not"),
    column("is_known", "flag", _IS_KNOWN, required=True),
)

activities = table(
    CORE,
    "activities",
    "One row per touch by the as-of date, without its text; those of an opportunity that does not exist then are left out.",
    column("activity_id", "id", "Activity", key=True),
    column("opportunity_id", "id", "Opportunity"),
    column("lead_id", "id", "Lead"),
    column("kind", "label", "call, visit, mail, chat, demo, web visit, download or event, else as exported"),
    column("happened_at", "time", "When", required=True),
    column("owner_id", "id", "Who"),
    column("direction", "label", "inbound or outbound, else as exported"),
)

targets = table(
    CORE,
    "targets",
    "One row per period, unit and metric: those of the configuration, and the exported ones that it does not set.",
    column("period_kind", "label", "week, month or quarter", key=True, values=PERIOD_KINDS),
    column("period_start", "date", "First day of the period", key=True),
    column("dimension", "label", "all, team or owner", key=True),
    column("member", "label", "all, or the team or owner", key=True),
    column("metric", "label", "What is aimed at", key=True),
    column("target", "number", "Target in the metric's own unit", required=True),
)

forecast_calls = table(
    CORE,
    "forecast_calls",
    "One row per call made by the as-of date; earlier calls stay.",
    column("period_kind", "label", "Kind of the period called", key=True, values=PERIOD_KINDS),
    column("period_start", "date", "First day of the period", key=True),
    column("dimension", "label", "owner, team or all", key=True),
    column("member", "label", "Owner, team or all", key=True),
    column("category", "label", "commit or best case, else as exported", key=True),
    column("called_at", "time", "When", key=True),
    column("amount", "amount", "Amount called", required=True),
    column("is_latest", "flag", "The newest call for this period, unit and category", required=True),
)

payments = table(
    CORE,
    "payments",
    "One row per payment due of an opportunity that exists at the as-of date.",
    column("opportunity_id", "id", "Opportunity", key=True),
    column("kind", "label", "prepayment, progress or final, else as exported", key=True),
    column("due_at", "date", "Due; may lie after the as-of date", key=True),
    column("paid_at", "date", "Paid; null while it was not"),
    column("amount", "amount", "Amount; null where its currency has no rate"),
    column("is_known", "flag", _IS_KNOWN, required=True),
)

satisfaction = table(
    CORE,
    "satisfaction",
    "One row per survey answer given by the as-of date.",
    column("account_id", "id", "Customer", key=True),
    column("surveyed_at", "date", "When", key=True),
    column("score", "number", "Score", required=True),
    column("has_opportunity", "flag", "The customer has an opportunity that exists at the as-of date", required=True),
)
