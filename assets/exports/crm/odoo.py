"""Odoo: technical names of its models and the labels of exports from the English pages.

Leads and opportunities are one model (crm.lead), told apart by their type. Won is a stage; lost is what was archived,
and keeps the stage it was lost in. Changes of the stage are in the tracking values of its messages.
"""

from assets.exports.crm.declaration import Crm, Filled, Lookup, Part

_TYPE = ("type", "Type")
_USER = (("user_id/id", "user_id/.id", "Salesperson/ID", "Salesperson/External ID", "user_id", "Salesperson"),)
_RECORD = (("res_id", "mail_message_id/res_id", "Message/Related Document ID", "Related Document ID", "Document ID"),)
_FIELD = ("field_id/name", "field_id", "Field", "field")
_OLD = (Filled(("old_value_char", "Old Value Char", "old_value_datetime", "old_value_float", "old_value_monetary", "old_value_text")),)
_NEW = (Filled(("new_value_char", "New Value Char", "new_value_datetime", "new_value_float", "new_value_monetary", "new_value_text")),)
_CHANGED = (("create_date", "mail_message_id/date", "Message/Date", "Created on", "Date"),)

CRM = Crm(
    name="odoo",
    headers={
        "opportunities": {
            "opportunity_id": ((".id", "ID", "id", "External ID"),),
            "account_id": (("partner_id/.id", "partner_id/id", "Customer/ID", "partner_id", "Customer", "partner_name", "Company Name"),),
            "name": (("name", "Opportunity"),),
            "pipeline": (("team_id", "Sales Team"),),
            "opportunity_type": (("tag_ids", "Tags"),),
            "owner_id": _USER,
            "stage": (("stage_id", "Stage"),),
            "stage_entered_at": (("date_last_stage_update", "Last Stage Update"),),
            "amount": (("expected_revenue", "Expected Revenue", "planned_revenue"),),
            "currency": (("company_currency", "Currency", "company_currency/name"),),
            "recurring_amount": (("recurring_revenue", "Recurring Revenues"),),
            "created_at": (("create_date", "Created on"),),
            "updated_at": (("write_date", "Last Updated on"),),
            "expected_close_date": (("date_deadline", "Expected Closing"),),
            "closed_at": (("date_closed", "Closed Date"),),
            "outcome": (("won_status", "Won/Lost", "Is Won", "active", "Active"),),
            "loss_reason": (("lost_reason_id", "Lost Reason", "lost_reason"),),
            "source": (("source_id", "Source"),),
            "region": (("country_id", "Country", "state_id", "State"),),
            "crm_probability": (("probability", "Probability"),),
            "notes": (("description", "Notes"),),
        },
        "stage_history": {"opportunity_id": _RECORD, "stage": _NEW, "previous_stage": _OLD, "entered_at": _CHANGED},
        "field_history": {"opportunity_id": _RECORD, "field": (_FIELD,), "old_value": _OLD, "new_value": _NEW, "changed_at": _CHANGED},
        "leads": {
            "lead_id": ((".id", "ID", "id", "External ID"),),
            "source": (("source_id", "Source"),),
            "captured_at": (("create_date", "Created on"),),
            "assigned_at": (("date_open", "Assignment Date"),),
            "account_name": (("partner_name", "Company Name"),),
            "region": (("country_id", "Country", "state_id", "State"),),
            "contact": (("contact_name", "Contact Name"),),
            "title": (("function", "Job Position"),),
            "phone": (("phone", "Phone", "mobile", "Mobile"),),
            "email": (("email_from", "Email"),),
            "need": (("description", "Notes"),),
            "need_tags": (("tag_ids", "Tags"),),
            "urgency": (("priority", "Priority"),),
            "status": (("stage_id", "Stage"),),
            "owner_id": _USER,
        },
        "accounts": {
            "account_id": ((".id", "ID", "id", "External ID"),),
            "name": (("name", "Name", "complete_name"),),
            "industry": (("industry_id", "Industry"),),
            "region": (("country_id", "Country", "state_id", "State"),),
            "tier": (("grade_id", "Partner Level", "category_id", "Tags"),),
        },
        "contact_roles": {
            "opportunity_id": (("opportunity_ids/.id", "opportunity_ids/id", "Opportunities/ID", "Opportunities"),),
            "contact_id": ((".id", "ID", "id", "External ID"),),
            "role": (("function", "Job Position"),),
        },
        "activities": {
            "activity_id": ((".id", "ID", "id", "External ID"),),
            "opportunity_id": (("res_id", "Related Document ID"),),
            "kind": (("mail_activity_type_id", "Mail Activity Type", "message_type", "Type", "activity_type_id", "Activity Type"),),
            "happened_at": (Filled(("date_done", "Done Date", "date", "Date", "date_deadline", "Due Date")),),
            "owner_id": (("user_id", "Assigned to", "author_id", "Author"),),
            "text": (Filled(("body", "Contents", "note", "Note", "subject", "Subject", "summary", "Summary")),),
        },
        "owners": {
            "owner_id": ((".id", "ID", "id", "External ID"),),
            "name": (("name", "Name"),),
            "team": (("sale_team_id", "User Sales Team", "crm_team_ids", "Sales Teams", "Sales Team"),),
        },
        "targets": {"period_start": (("date_from", "Month"),), "member": (("name", "Sales Team"),), "target": (("invoiced_target", "Invoicing Target"),)},
    },
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "team"}},
    percent={"opportunities": ("crm_probability",)},
    values={
        "opportunities": {
            "outcome": {"pending": "open", "won": "won", "lost": "lost", "false": "lost", "0": "lost", "no": "lost", "true": "", "1": "", "yes": ""}
        },
        "activities": {"kind": {"email": "mail", "phone call": "call", "upload document": "task", "to-do": "task", "to do": "task", "comment": "note"}},
    },
    parts={
        "opportunities": (Part(only={_TYPE: ("opportunity",)}),),
        "leads": (Part(only={_TYPE: ("lead",)}),),
        "stage_history": (Part(only={_FIELD: ("stage_id", "stage", "stage (crm.lead)", "stage (lead)", "阶段")}),),
        # Messages are of every model; what the system writes by itself is no touch.
        "activities": (
            Part(
                only={("model", "res_model", "Related Document Model"): ("crm.lead", "lead/opportunity", "lead")},
                leave_out={("message_type",): ("notification", "user_notification", "auto_comment")},
            ),
        ),
    },
    lookups={
        "stages": Lookup(
            key=((".id", "id", "ID"),), value=(("name", "Stage Name"),), columns={"opportunities": ("stage",), "stage_history": ("stage", "previous_stage")}
        ),
        "pipelines": Lookup(key=((".id", "id", "ID"),), value=(("name", "Sales Team"),), columns={"opportunities": ("pipeline",)}),
    },
    outcome_beside_stage=True,
    # A contact's title is Mr or Dr.
    taken={"leads": ("title",)},
)
