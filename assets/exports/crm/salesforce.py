"""Salesforce: API names (data export, Data Loader, warehouse copies) and the labels of English reports.

Since case, blanks and underscores do not matter, ``StageName`` also stands for ``stage_name``. Salesforce has one
close date for what is expected and for what happened: it is read as both, and is a closing only of a closed deal.
"""

from assets.exports.crm.declaration import Crm, Filled, KeepIf, Lookup, Part

_NO_ID = "^.{0,14}$|^.{16,17}$|^.{19,}$|[^0-9A-Za-z]"
"""Text that is no id of Salesforce (15 or 18 letters and digits): in exports that were joined by name, a name."""

_NOT_DONE = ("Not Started", "In Progress", "Waiting on someone else", "Deferred")

_HISTORY_OF_A_COPY = Part(
    # A warehouse's history mode keeps every version of an opportunity under the opportunity's own id.
    when=(("_fivetran_start", "valid_from"), "StageName"),
    headers={
        "opportunity_id": ("Id",),
        "entered_at": (("_fivetran_start", "valid_from"),),
        "exited_at": (("_fivetran_end", "valid_to"),),
        "owner_id": ("OwnerId",),
    },
)

_STAGES_OF_FIELD_HISTORY = Part(
    when=("Field", "NewValue"),
    headers={"stage": ("NewValue",), "previous_stage": ("OldValue",), "entered_at": ("CreatedDate",)},
    only={("Field",): ("StageName", "Stage")},
)

CRM = Crm(
    name="salesforce",
    headers={
        "opportunities": {
            "opportunity_id": ("Id", "Opportunity ID", "OppID"),
            "account_id": (("AccountId", "Account.Name", "Account Name"),),
            "name": ("Name", "Opportunity Name"),
            "opportunity_type": ("Type",),
            "owner_id": (("OwnerId", "Owner.Name", "Opportunity Owner", "Owner"),),
            "stage": ("StageName", "Stage"),
            "stage_entered_at": (("LastStageChangeDate", "Last Stage Change Date"),),
            "amount": ("Amount",),
            "recurring_amount": (("Recurring_Amount__c", "ARR__c", "Annual_Recurring_Revenue__c"),),
            "currency": ("CurrencyIsoCode", "Amount Currency", "Opportunity Currency"),
            "created_at": ("CreatedDate",),
            "updated_at": (("LastModifiedDate", "SystemModstamp"),),
            "expected_close_date": ("CloseDate",),
            "closed_at": ("CloseDate",),
            "is_closed": ("IsClosed", "Closed"),
            "is_won": ("IsWon", "Won"),
            "loss_reason": ("LossReason", "Loss_Reason__c", "Closed Lost Reason"),
            "source": ("LeadSource",),
            "industry": ("Industry", "Account.Industry", "Account: Industry"),
            "forecast_category": (("ForecastCategoryName", "ForecastCategory"),),
            "crm_probability": ("Probability", "Probability (%)"),
            "is_deleted": (("IsDeleted", "_fivetran_deleted"),),
            "next_step": ("NextStep",),
            "notes": ("Description",),
        },
        "stage_history": {
            "opportunity_id": ("OpportunityId", "OppID", "Opportunity ID"),
            "stage": ("StageName", "To Stage", "Stage"),
            "entered_at": (("CreatedDate", "Last Modified", "SystemModstamp"),),
            "amount": ("Amount",),
            "expected_close_date": ("CloseDate",),
            "forecast_category": (("ForecastCategoryName", "ForecastCategory"),),
            "previous_stage": ("From Stage",),
        },
        "field_history": {
            "opportunity_id": ("OpportunityId", "Opportunity ID"),
            "field": ("Field", "Field / Event"),
            "old_value": ("OldValue",),
            "new_value": ("NewValue",),
            "changed_at": (("CreatedDate", "Edit Date"),),
        },
        "targets": {
            "period_start": (("StartDate", "Start Date"),),
            "member": (("QuotaOwnerId", "Quota Owner", "Owner"),),
            "target": (("QuotaAmount", "Quota Amount", "Quota"),),
        },
        "leads": {
            "lead_id": ("Id", "Lead ID"),
            "source": ("LeadSource",),
            "captured_at": ("CreatedDate", "Create Date"),
            "account_name": (("Company", "Company / Account"),),
            "industry": ("Industry",),
            "region": (("State", "State/Province", "Country"),),
            "annual_revenue": ("AnnualRevenue",),
            "contact": ("Name", "Full Name"),
            "title": ("Title",),
            "phone": ("Phone",),
            "email": ("Email",),
            "need": ("Description",),
            "status": ("Status", "Lead Status"),
            "owner_id": (("OwnerId", "Lead Owner"),),
            "converted_opportunity_id": ("ConvertedOpportunityId",),
        },
        "accounts": {
            "account_id": (("Id", "Account ID", "Name"),),
            "name": ("Name", "Account Name"),
            "industry": ("Industry",),
            "annual_revenue": ("AnnualRevenue",),
            "employees": (("NumberOfEmployees", "Employees"),),
            "region": (("BillingCountry", "BillingState", "Billing Country", "Billing State/Province"),),
            "tier": (("Tier", "Segment", "Rating"),),
        },
        "contact_roles": {
            "opportunity_id": ("OpportunityId", "Opportunity ID"),
            "contact_id": ("ContactId", "Contact ID"),
            "role": ("Role",),
            "first_contacted_at": ("First_Contacted__c",),
        },
        "activities": {
            "activity_id": ("Id", "Activity ID"),
            "opportunity_id": (("WhatId", "Opportunity ID"),),
            "lead_id": (("WhoId", "Lead ID"),),
            "kind": (Filled(("TaskSubtype", "EventSubtype", "Type")),),
            "happened_at": (Filled(("CompletedDateTime", "ActivityDateTime", "ActivityDate", "Date", "CreatedDate")),),
            "owner_id": (("OwnerId", "Assigned"),),
            "direction": ("CallType",),
            "text": (Filled(("Description", "Subject")),),
        },
        "owners": {
            "owner_id": ("Id", "User ID"),
            "name": ("Name", "Full Name"),
            "team": (("Department", "Division", "UserRoleId", "Role"),),
            "manager_id": ("ManagerId",),
        },
        "splits": {
            "opportunity_id": ("OpportunityId", "Opportunity ID"),
            "owner_id": ("SplitOwnerId", "Split Owner ID"),
            "share": ("SplitPercentage", "Percent"),
        },
    },
    percent={"opportunities": ("crm_probability",), "splits": ("share",)},
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "owner"}},
    # A warehouse writes the end of what still holds as the last day there is.
    empty=("9999-12-31 23:59:59", "9999-12-31T23:59:59.999Z"),
    values={
        "activities": {
            "kind": {"call": "call", "email": "mail", "listemail": "mail", "task": "task", "cadence": "task", "event": "meeting"},
            "direction": {"inbound": "inbound", "outbound": "outbound", "internal": "outbound"},
        },
        "opportunities": {"opportunity_type": {"new business": "new", "new customer": "new", "renewal": "renewal"}},
    },
    # An activity may be about an account or a case, and of a contact: only ids of opportunities (006) and leads (00Q) are kept.
    keep_if={"activities": {"opportunity_id": KeepIf(f"^006|{_NO_ID}"), "lead_id": KeepIf(f"^00Q|{_NO_ID}")}},
    parts={
        "stage_history": (_STAGES_OF_FIELD_HISTORY, _HISTORY_OF_A_COPY),
        # Of a changed owner there are two rows, the name (Text) and the id: the id is the one that other tables hold.
        "field_history": (Part(leave_out={("DataType",): ("Text",)}),),
        # A task that is not done is a plan and no touch.
        "activities": (Part(leave_out={("IsDeleted", "_fivetran_deleted"): ("true",), ("IsClosed",): ("false",), ("Status",): _NOT_DONE}),),
    },
    lookups={"roles": Lookup(key=("Id",), value=("Name",), columns={"owners": ("team",)})},
)
