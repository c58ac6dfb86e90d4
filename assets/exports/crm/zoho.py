"""Zoho CRM: names of its API and the labels of exports from the English pages.

Zoho has one closing date for what is expected and for what happened, as Salesforce does; won and lost are stages.
"""

from assets.exports.crm.declaration import Crm, Filled, KeepIf, Part, Spelling

_DEAL = ("Deal_Name.id", "Deal Id", "Parent_Id.id", "Parent Id", "Potential Id", "Deal Name", "Deal_Name")


def _person(record: str) -> tuple[Spelling, ...]:
    """The spellings of a record's owner: the id before the name."""
    return (("Owner.id", f"{record} Owner Id", f"{record} Owner.id", "Owner Id", f"{record} Owner", "Owner", "Owner.name"),)


_ABOUT = ("What_Id.id", "What Id", "Related To Id", "Related To", "What_Id")
_WHO = ("Who_Id.id", "Who Id", "Contact Name", "Who_Id")

CRM = Crm(
    name="zoho",
    headers={
        "opportunities": {
            "opportunity_id": (("Record Id", "Deal Id", "Potential Id", "id"),),
            "account_id": (("Account_Name.id", "Account Name.id", "Account Id", "Account Name", "Account_Name"),),
            "name": (("Deal_Name", "Deal Name", "Potential Name"),),
            "pipeline": ("Pipeline",),
            "opportunity_type": ("Type",),
            "owner_id": _person("Deal"),
            "stage": ("Stage",),
            "stage_entered_at": (("Stage_Modified_Time", "Stage Modified Time"),),
            "amount": ("Amount",),
            "currency": ("Currency",),
            "created_at": (("Created_Time", "Created Time"),),
            "updated_at": (("Modified_Time", "Modified Time", "Last_Activity_Time", "Last Activity Time"),),
            "expected_close_date": (("Closing_Date", "Closing Date"),),
            "closed_at": (("Closed_Time", "Closed Time", "Closing_Date", "Closing Date"),),
            "loss_reason": (("Reason_For_Loss__s", "Reason For Loss", "Lost Reason"),),
            "source": (("Lead_Source", "Lead Source"),),
            "industry": ("Industry",),
            "forecast_category": (("Forecast_Category__s", "Forecast Category", "Category"),),
            "crm_probability": (("Probability", "Probability (%)"),),
            "next_step": (("Next_Step", "Next Step"),),
            "notes": ("Description",),
        },
        "stage_history": {
            "opportunity_id": (_DEAL,),
            "stage": ("Stage",),
            "entered_at": (("Modified_Time", "Modified Time", "Last Modified Time", "Changed Time"),),
            "amount": ("Amount",),
            "expected_close_date": (("Closing_Date", "Closing Date", "Close Date"),),
        },
        "field_history": {
            "opportunity_id": (("record.id", "Record Id", "Deal Id"),),
            "field": (("field_history.api_name", "Field", "Field Name"),),
            "old_value": (("field_history._value.old", "Old Value", "From"),),
            "new_value": (("field_history._value.new", "New Value", "To"),),
            "changed_at": (("audited_time", "Modified Time", "Audited Time"),),
        },
        "leads": {
            "lead_id": (("Record Id", "Lead Id", "id"),),
            "source": (("Lead_Source", "Lead Source"),),
            "captured_at": (("Created_Time", "Created Time"),),
            "account_name": ("Company",),
            "industry": ("Industry",),
            "region": (("State", "Country"),),
            "annual_revenue": (("Annual_Revenue", "Annual Revenue"),),
            "contact": (("Full_Name", "Lead Name", "Last_Name", "Last Name"),),
            "title": (("Designation", "Title"),),
            "phone": (("Phone", "Mobile"),),
            "email": ("Email",),
            "need": ("Description",),
            "status": (("Lead_Status", "Lead Status"),),
            "owner_id": _person("Lead"),
            "converted_opportunity_id": (("Converted_Deal.id", "Converted Deal.id", "Converted Deal", "Converted_Deal"),),
        },
        "accounts": {
            "account_id": (("Record Id", "Account Id", "id"),),
            "name": (("Account_Name", "Account Name"),),
            "industry": ("Industry",),
            "annual_revenue": (("Annual_Revenue", "Annual Revenue"),),
            "employees": ("Employees",),
            "region": (("Billing_Country", "Billing Country", "Billing_State", "Billing State"),),
            "tier": (("Rating",),),
        },
        "contact_roles": {
            "opportunity_id": (("Deal_Name.id", "Deal Id", "Deal Name"),),
            "contact_id": (("Contact_Name.id", "Contact Id", "Contact Name", "Record Id", "id"),),
            "role": (("Contact_Role", "Contact_Role.name", "Contact Role"),),
        },
        "activities": {
            "activity_id": (("Record Id", "Call Id", "Event Id", "Task Id", "Meeting Id", "id"),),
            "opportunity_id": (_ABOUT,),
            "lead_id": (_WHO,),
            "happened_at": (
                Filled(
                    (
                        "Call_Start_Time",
                        "Call Start Time",
                        "Start_DateTime",
                        "Start DateTime",
                        "From",
                        "Closed_Time",
                        "Closed Time",
                        "Due_Date",
                        "Due Date",
                        "Created_Time",
                    )
                ),
            ),
            "owner_id": (("Owner.id", "Owner Id", "Call Owner", "Event Owner", "Meeting Owner", "Host", "Task Owner", "Owner"),),
            "direction": (("Call_Type", "Call Type"),),
            "text": (Filled(("Description", "Subject", "Event_Title", "Event Title", "Title")),),
        },
        "owners": {
            "owner_id": (("User Id", "Record Id", "id"),),
            "name": (("full_name", "Full Name", "User Name", "Name"),),
            "team": (("territory", "Territory", "role.name", "Role", "role"),),
            "manager_id": (("Reporting_To.id", "Reporting To", "Reporting_To"),),
        },
        "targets": {
            "period_start": (("Start_Date", "Start Date", "Period Start"),),
            "member": (("User", "Owner", "Forecast Owner", "Role"),),
            "target": (("Target", "Quota"),),
        },
        "payments": {
            "opportunity_id": (("Deal_Name.id", "Deal Name"),),
            "due_at": (("Due_Date", "Due Date"),),
            "paid_at": (("Paid_Date", "Paid Date"),),
            "amount": (("Grand_Total", "Grand Total"),),
        },
    },
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "owner"}},
    percent={"opportunities": ("crm_probability",)},
    values={
        "opportunities": {"opportunity_type": {"new business": "new", "existing business": "expansion"}},
        "activities": {"direction": {"inbound": "inbound", "outbound": "outbound", "missed": "inbound"}},
    },
    keep_if={
        "activities": {
            "opportunity_id": KeepIf("(?i)^(deals|potentials|deal)$", ("$se_module", "se_module", "Related To Module", "What Module")),
            "lead_id": KeepIf("(?i)^leads?$", ("$who_module", "Who Module", "$se_module", "se_module", "Related To Module")),
        }
    },
    parts={
        "stage_history": (
            # With "Moved To" a row is a move out of its stage; the row of the present stage has not moved yet.
            Part(
                when=(("Moved_To__s", "Moved To"),),
                headers={"stage": (("Moved_To__s", "Moved To"),), "previous_stage": ("Stage",)},
                leave_out={("Moved_To__s", "Moved To"): ("",)},
            ),
        ),
        "activities": (
            Part(
                when=(("Call_Start_Time", "Call Start Time"),),
                constants={"kind": "call"},
                leave_out={("Call_Status", "Call Status", "Outgoing_Call_Status"): ("scheduled", "cancelled")},
            ),
            Part(when=(("Start_DateTime", "Start DateTime", "From"),), constants={"kind": "meeting"}),
            # A task that is not completed is a plan and no touch.
            Part(
                when=(("Due_Date", "Due Date"), "Status"),
                constants={"kind": "task"},
                leave_out={("Status",): ("not started", "deferred", "in progress", "waiting for input", "waiting on someone else")},
            ),
        ),
    },
)
