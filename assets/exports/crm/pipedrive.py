"""Pipedrive: names of its API and the labels of exports from the English pages.

Status (open, won, lost, deleted) stands beside the stage, which a closed deal keeps. Deals name stages and pipelines by id:
the lookups ``stages`` and ``pipelines`` say what they are called.
"""

from assets.exports.crm.declaration import Crm, Filled, Lookup, Part

_USER = (("owner_id", "user_id", "user_id.value", "user_id.id", "Deal - Owner", "Owner"),)
_DELETED = {"deleted": "true", "open": "false", "won": "false", "lost": "false"}

CRM = Crm(
    name="pipedrive",
    headers={
        "opportunities": {
            "opportunity_id": (("id", "Deal - ID", "ID", "deal_id"),),
            "account_id": (("org_id", "org_id.value", "Deal - Organization ID", "Deal - Organization", "Organization"),),
            "name": (("title", "Deal - Title", "Title"),),
            "pipeline": (("pipeline_id", "Deal - Pipeline", "Pipeline"),),
            "opportunity_type": (("label", "label_ids", "Deal - Label", "Label"),),
            "owner_id": _USER,
            "stage": (("stage_id", "Deal - Stage", "Stage"),),
            # A deal that never changed its stage has been there since it was added.
            "stage_entered_at": (Filled(("stage_change_time", "Deal - Last stage change", "Last stage change", "add_time", "Deal - Deal created")),),
            "amount": (("value", "Deal - Value", "Value"),),
            "currency": (("currency", "Deal - Currency of Value", "Deal - Currency", "Currency"),),
            "recurring_amount": (("arr", "Deal - ARR", "ARR"),),
            "created_at": (("add_time", "Deal - Deal created", "Deal created"),),
            "updated_at": (("update_time", "Deal - Update time", "Update time"),),
            "expected_close_date": (("expected_close_date", "Deal - Expected close date", "Expected close date"),),
            "closed_at": (
                Filled(("won_time", "lost_time", "close_time", "Deal - Won time", "Deal - Lost time", "Deal - Deal closed on", "Won time", "Lost time")),
            ),
            "outcome": (("status", "Deal - Status", "Status"),),
            "is_deleted": (("deleted", "is_deleted", "status", "Deal - Status", "Status"),),
            "loss_reason": (("lost_reason", "Deal - Lost reason", "Lost reason"),),
            "source": (("channel", "origin", "Deal - Source channel", "Source channel"),),
            "lead_id": (("lead_id", "origin_id"),),
            "crm_probability": (("probability", "Deal - Probability", "Probability"),),
        },
        "stage_history": {
            "opportunity_id": (("item_id", "deal_id", "data.item_id"),),
            "stage": (("new_value", "data.new_value"),),
            "previous_stage": (("old_value", "data.old_value"),),
            "entered_at": (("log_time", "data.log_time", "time", "timestamp"),),
        },
        "field_history": {
            "opportunity_id": (("item_id", "deal_id", "data.item_id"),),
            "field": (("field_key", "data.field_key"),),
            "old_value": (("old_value", "data.old_value"),),
            "new_value": (("new_value", "data.new_value"),),
            "changed_at": (("log_time", "data.log_time", "time", "timestamp"),),
        },
        "leads": {
            "lead_id": (("id", "Lead - ID"),),
            "source": (("source_name", "channel", "Lead - Source", "Lead - Source channel"),),
            "captured_at": (("add_time", "Lead - Lead created"),),
            "account_name": (("organization_name", "Lead - Organization", "organization_id"),),
            "contact": (("person_name", "Lead - Contact person", "person_id"),),
            "need": (("title", "Lead - Title"),),
            "budget": (("value.amount", "value", "Lead - Value"),),
            "status": (("is_archived", "Lead - Lead status"),),
            "owner_id": (("owner_id", "Lead - Owner"),),
        },
        "accounts": {
            "account_id": (("id", "Organization - ID", "ID"),),
            "name": (("name", "Organization - Name", "Name"),),
            "industry": (("industry", "Organization - Industry", "Industry"),),
            "annual_revenue": (("annual_revenue", "Organization - Annual revenue", "Annual revenue"),),
            "employees": (("employee_count", "Organization - Number of employees", "Number of employees"),),
            "region": (("address_country", "country_code", "Organization - Country of Address", "Country"),),
            "tier": (("label", "Organization - Label", "Label"),),
        },
        "contact_roles": {
            "opportunity_id": (("deal_id", "Deal - ID"),),
            "contact_id": (("person_id", "person.id", "Person - ID"),),
            "role": (("role", "Person - Role", "Person - Job title"),),
        },
        "activities": {
            "activity_id": (("id", "Activity - ID", "ID"),),
            "opportunity_id": (("deal_id", "Activity - Deal ID", "Deal ID"),),
            "lead_id": (("lead_id", "Activity - Lead ID"),),
            "kind": (("type", "Activity - Type", "Type"),),
            "happened_at": (Filled(("marked_as_done_time", "Activity - Marked as done time", "due_date", "Activity - Due date", "Due date", "add_time")),),
            "owner_id": (("owner_id", "user_id", "assigned_to_user_id", "Activity - Assigned to user", "Assigned to user"),),
            "text": (Filled(("note", "Activity - Note", "subject", "Activity - Subject", "Subject")),),
        },
        "owners": {
            "owner_id": (("id", "user_id", "User - ID", "ID"),),
            "name": (("name", "User - Name", "Name"),),
            "team": (("team", "team_name", "Team", "role_id"),),
        },
        "targets": {
            "period_start": (("duration.start", "duration_start", "Start"),),
            "member": (("assignee.id", "assignee_id", "Assignee"),),
            "target": (("expected_outcome.target", "expected_outcome_target", "Target"),),
        },
    },
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "owner"}},
    percent={"opportunities": ("crm_probability",)},
    values={
        "opportunities": {"is_deleted": _DELETED, "outcome": {"deleted": "lost"}},
        "activities": {"kind": {"email": "mail", "lunch": "visit"}},
        "leads": {"status": {"true": "archived", "false": "open", "1": "archived", "0": "open"}},
    },
    parts={
        "stage_history": (Part(when=(("field_key", "data.field_key"),), only={("field_key", "data.field_key"): ("stage_id",)}),),
        # An activity that is not done is a plan and no touch.
        "activities": (Part(leave_out={("done", "Activity - Done", "Done"): ("0", "false", "to do"), ("is_deleted", "deleted"): ("1", "true")}),),
    },
    lookups={
        "stages": Lookup(
            key=(("id", "Stage - ID"),),
            value=(("name", "Stage - Name"),),
            columns={"opportunities": ("stage",), "stage_history": ("stage", "previous_stage")},
            pipeline=("pipeline_id",),
        ),
        "pipelines": Lookup(key=("id",), value=("name",), columns={"opportunities": ("pipeline",)}),
    },
    outcome_beside_stage=True,
    # A lead's title is what it is about, no position of its contact.
    taken={"leads": ("title",)},
)
