"""HubSpot: names of its API, warehouse copies (``property_`` before each) and the labels of exports from the English pages.

Deals name stages and pipelines by id: the lookups ``stages`` and ``pipelines`` say what they are called, deleted ones
included. HubSpot has one close date for what is expected and for what happened, as Salesforce does.
"""

from assets.exports.crm.declaration import Crm, Filled, Link, Lookup, Part, Spelling


def _property(name: str, *labels: str) -> tuple[Spelling, ...]:
    """The spellings of a property: in a warehouse copy, by the API, in an export."""
    return ((f"property_{name}", name, *labels),)


_OWNER = _property("hubspot_owner_id", "owner_id", "Owner", "Activity assigned to")
_DEAL_OF_ENGAGEMENT = {"opportunity_id": Link("engagement_deals", key=("engagement_id", ("hs_object_id", "id")), numbered="activity_id")}

_TEXT_PROPERTIES = ("call_body", "meeting_body", "note_body", "email_text", "task_body", "call_title", "meeting_title", "email_subject", "task_subject")
_TEXT = (Filled((*(f"{prefix}hs_{name}" for name in _TEXT_PROPERTIES for prefix in ("property_", "")), "body", "title")),)


def _engagement(kind: str, *names: str, leave_out: dict[tuple[str, ...], tuple[str, ...]] | None = None) -> Part:
    """The part for engagements of one kind, known by any of ``names``; they are joined to their deals."""
    when = tuple(f"{prefix}{name}" for name in names for prefix in ("property_", ""))
    return Part(
        when=(when,), constants={"kind": kind}, links=_DEAL_OF_ENGAGEMENT, leave_out={("_fivetran_deleted", "archived"): ("true",), **(leave_out or {})}
    )


CRM = Crm(
    name="hubspot",
    headers={
        "opportunities": {
            "opportunity_id": (("deal_id", "hs_object_id", "Record ID", "id"),),
            "account_id": (("Primary Associated Company ID", "Associated Company IDs", "company_id", "Associated Company"),),
            "name": _property("dealname", "Deal Name"),
            "pipeline": (("deal_pipeline_id", "property_pipeline", "pipeline"),),
            "opportunity_type": _property("dealtype", "Deal Type"),
            "owner_id": _property("hubspot_owner_id", "owner_id", "Deal owner"),
            "stage": (("deal_pipeline_stage_id", "property_dealstage", "dealstage", "Deal Stage"),),
            "stage_entered_at": _property("hs_v2_date_entered_current_stage", "Date entered current stage"),
            "amount": _property("amount"),
            "currency": _property("deal_currency_code", "Currency"),
            "recurring_amount": _property("hs_arr", "Annual recurring revenue"),
            "created_at": _property("createdate", "Create Date"),
            "updated_at": _property("hs_lastmodifieddate", "Last Modified Date"),
            "expected_close_date": _property("closedate", "Close Date"),
            "closed_at": _property("closedate", "Close Date"),
            "is_closed": _property("hs_is_closed", "Is Deal Closed?"),
            "is_won": _property("hs_is_closed_won", "Is Closed Won"),
            "loss_reason": _property("closed_lost_reason", "Closed Lost Reason"),
            "source": _property("hs_analytics_source", "Original Traffic Source", "Original Source Type", "Deal source"),
            "industry": ("property_industry", "Industry"),
            "forecast_category": _property("hs_manual_forecast_category", "Forecast category"),
            "crm_probability": _property("hs_deal_stage_probability", "Deal probability"),
            "is_deleted": (("is_deleted", "_fivetran_deleted", "archived"),),
            "next_step": _property("hs_next_step", "Next step"),
            "notes": _property("description", "Deal Description"),
        },
        "stage_history": {
            "opportunity_id": (("deal_id", "objectId", "Record ID"),),
            "stage": ("value",),
            "entered_at": (("date_entered", "timestamp", "_fivetran_start"),),
        },
        "field_history": {
            "opportunity_id": (("deal_id", "objectId", "Record ID"),),
            "field": (("name", "property"),),
            "new_value": ("value",),
            "changed_at": ("timestamp",),
        },
        "leads": {
            "lead_id": (("contact_id", "hs_object_id", "Record ID", "id"),),
            "source": _property("hs_analytics_source", "Original Traffic Source", "Original Source Type"),
            "captured_at": _property("createdate", "Create Date"),
            "account_name": _property("company", "Company name"),
            "industry": _property("industry"),
            "region": _property("country", "Country/Region", "property_state", "state"),
            "annual_revenue": _property("annualrevenue", "Annual Revenue"),
            "contact": _property("lastname", "Last Name"),
            "title": _property("jobtitle", "Job Title"),
            "phone": _property("phone", "Phone Number"),
            "email": _property("email"),
            "status": _property("hs_lead_status", "Lead Status", "property_lifecyclestage", "lifecyclestage"),
            "owner_id": _property("hubspot_owner_id", "Contact owner"),
            "first_touch_at": _property("hs_sa_first_engagement_date", "First outreach date"),
        },
        "accounts": {
            "account_id": (("company_id", "hs_object_id", "Record ID", "id"),),
            "name": _property("name", "Company name"),
            "industry": _property("industry"),
            "annual_revenue": _property("annualrevenue", "Annual Revenue"),
            "employees": _property("numberofemployees", "Number of Employees"),
            "region": _property("country", "Country/Region", "property_state", "state"),
            "tier": _property("hs_ideal_customer_profile", "Ideal Customer Profile Tier"),
        },
        "contact_roles": {
            "opportunity_id": ("deal_id",),
            "contact_id": ("contact_id",),
            "role": (("label", "association_label", "type"),),
        },
        "activities": {
            "activity_id": (("engagement_id", "hs_object_id", "Record ID", "id"),),
            "opportunity_id": (("deal_id", "Associated Deal IDs"),),
            "kind": (("type", "engagement_type", "hs_engagement_type", "Activity type"),),
            "happened_at": (
                Filled(("property_hs_timestamp", "hs_timestamp", "property_hs_meeting_start_time", "hs_meeting_start_time", "start_time", "Activity date")),
            ),
            "owner_id": _OWNER,
            "direction": (("property_hs_call_direction", "hs_call_direction", "property_hs_email_direction", "hs_email_direction"),),
            "text": _TEXT,
        },
        "owners": {
            "owner_id": (("owner_id", "id"),),
            "name": (("name", "last_name", "lastName", "email"),),
            "team": ("Team",),
        },
        "targets": {
            "period_start": _property("hs_start_datetime", "Start date"),
            "member": _property("hs_assignee_user_id", "Assignee", "hubspot_owner_id"),
            "target": _property("hs_target_amount", "Target amount"),
        },
    },
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "owner"}},
    values={
        "opportunities": {"opportunity_type": {"newbusiness": "new", "new business": "new", "existingbusiness": "expansion", "existing business": "expansion"}},
        "activities": {
            "kind": {
                "call": "call",
                "email": "mail",
                "incoming_email": "mail",
                "forwarded_email": "mail",
                "meeting": "meeting",
                "note": "note",
                "task": "task",
            },
            "direction": {"inbound": "inbound", "outbound": "outbound", "incoming_email": "inbound", "email": "outbound", "forwarded_email": "outbound"},
        },
    },
    parts={
        # The history of all properties is one table: its rows of the stage are the stage history.
        "stage_history": (Part(when=(("name", "property"),), only={("name", "property"): ("dealstage",)}),),
        "activities": (
            Part(when=(("deal_id", "Associated Deal IDs"),)),
            _engagement(
                "meeting",
                "hs_meeting_start_time",
                "hs_meeting_title",
                "hs_meeting_outcome",
                "start_time",
                "meeting_outcome",
                leave_out={("property_hs_meeting_outcome", "hs_meeting_outcome", "meeting_outcome"): ("CANCELED", "NO_SHOW", "RESCHEDULED")},
            ),
            _engagement("call", "hs_call_title", "hs_call_duration", "hs_call_direction", "hs_call_status"),
            _engagement("mail", "hs_email_subject", "hs_email_direction"),
            _engagement(
                "task",
                "hs_task_status",
                "hs_task_subject",
                leave_out={("property_hs_task_status", "hs_task_status"): ("NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED")},
            ),
            _engagement("note", "hs_note_body"),
            Part(links=_DEAL_OF_ENGAGEMENT, leave_out={("_fivetran_deleted", "archived"): ("true",)}),
        ),
        "owners": (Part(when=("Team",)), Part(links={"team": Link("owner_teams", key=("owner_id", "id"))})),
    },
    lookups={
        "stages": Lookup(
            key=(("stage_id", "Stage ID", "id"),),
            value=(("label", "Stage name"),),
            columns={"opportunities": ("stage",), "stage_history": ("stage",)},
            pipeline=(("pipeline_id", "Pipeline ID"),),
        ),
        "pipelines": Lookup(key=(("pipeline_id", "Pipeline ID", "id"),), value=(("label", "Pipeline name"),), columns={"opportunities": ("pipeline",)}),
        "merged_deals": Lookup(
            key=(("merged_deal_id", "property_hs_merged_object_ids", "hs_merged_object_ids", "Merged record IDs"),),
            value=(("deal_id", "hs_object_id", "Record ID", "id"),),
            separator=";",
        ),
        "engagement_deals": Lookup(key=("engagement_id",), value=("deal_id",)),
        "owner_teams": Lookup(key=("owner_id",), value=("team_id",), leave_out={("is_team_primary", "primary"): ("false",)}),
        "teams": Lookup(key=(("team_id", "id"),), value=("name",), columns={"owners": ("team",)}),
    },
    stage_dates=(
        r"(?:property_)?hs_v2_date_entered_(?P<stage>\w+)",
        r"(?:property_)?hs_date_entered_(?P<stage>\w+)",
        r'Date entered "(?P<stage>.+?)(?: \((?P<pipeline>[^()]+)\))?"',
    ),
)
