"""Microsoft Dynamics 365 Sales: logical names of its Web API and the labels of exports to Excel.

Status (0 open, 1 won, 2 lost) stands beside the stage of the process, which a closed opportunity keeps. The API gives
readable texts in annotation columns, ``statecode@OData.Community.Display.V1.FormattedValue``; either serves.
"""

from assets.exports.crm.declaration import Crm, Filled, KeepIf, Lookup, Part, Spelling

_TEXT = "@OData.Community.Display.V1.FormattedValue"
_KIND = "@Microsoft.Dynamics.CRM.lookuplogicalname"

_OUTCOMES = {"0": "open", "1": "won", "2": "lost", "open": "open", "won": "won", "lost": "lost"}
_OWNER = (("_ownerid_value", "ownerid", "Owner"),)


def _choice(name: str, *labels: str) -> tuple[Spelling, ...]:
    """The spellings of a choice: its text before its number."""
    return ((f"{name}{_TEXT}", f"{name}name", *labels, name),)


CRM = Crm(
    name="dynamics",
    headers={
        "opportunities": {
            "opportunity_id": (("opportunityid", "(Do Not Modify) Opportunity", "Opportunity ID"),),
            "account_id": (("_parentaccountid_value", "parentaccountid", "_customerid_value", "customerid", "Account", "Potential Customer"),),
            "name": (("name", "Topic"),),
            "pipeline": (("processid", "_processid_value", "Process"),),
            "opportunity_type": _choice("opportunitytypecode", "Type"),
            "owner_id": _OWNER,
            "stage": (("stepname", "Pipeline Phase", f"salesstage{_TEXT}", "salesstagename", "salesstage", "stageid", "Sales Stage"),),
            # The actual value is known at closing alone.
            "amount": (Filled(("actualvalue", "Actual Revenue", "estimatedvalue", "Est. Revenue", "Est. revenue")),),
            "currency": (("isocurrencycode", f"_transactioncurrencyid_value{_TEXT}", "Currency"),),
            "created_at": (("createdon", "Created On"),),
            "updated_at": (("modifiedon", "Modified On", "(Do Not Modify) Modified On"),),
            "expected_close_date": (("estimatedclosedate", "Est. Close Date", "Est. close date"),),
            "closed_at": (("actualclosedate", "Actual Close Date"),),
            "outcome": (("statecode", f"statecode{_TEXT}", "Status"),),
            "loss_reason": _choice("statuscode", "Status Reason"),
            "source": (("leadsourcecode", f"leadsourcecode{_TEXT}", "Lead Source", "Source Campaign"),),
            "industry": _choice("industrycode", "Industry"),
            "region": (("address1_country", "Country/Region"),),
            "lead_id": (("_originatingleadid_value", "originatingleadid", "Originating Lead"),),
            "forecast_category": _choice("msdyn_forecastcategory", "Forecast category"),
            "crm_probability": (("closeprobability", "Probability"),),
            "next_step": (("currentsituation", "Current Situation"),),
            "notes": (("description", "Description"),),
        },
        "stage_history": {
            "opportunity_id": (("objectid", "_objectid_value", "Record", "opportunityid"),),
            "stage": (("newvalue", "New Value"),),
            "previous_stage": (("oldvalue", "Old Value"),),
            "entered_at": (("createdon", "Changed Date"),),
        },
        "field_history": {
            "opportunity_id": (("objectid", "_objectid_value", "Record"),),
            "field": (("attributename", "Changed Field"),),
            "old_value": (("oldvalue", "Old Value"),),
            "new_value": (("newvalue", "New Value"),),
            "changed_at": (("createdon", "Changed Date"),),
        },
        "leads": {
            "lead_id": (("leadid", "(Do Not Modify) Lead"),),
            "source": _choice("leadsourcecode", "Lead Source"),
            "captured_at": (("createdon", "Created On"),),
            "account_name": (("companyname", "Company Name"),),
            "industry": _choice("industrycode", "Industry"),
            "region": (("address1_country", "Country/Region"),),
            "annual_revenue": (("revenue", "Annual Revenue"),),
            "contact": (("fullname", "Name"),),
            "title": (("jobtitle", "Job Title"),),
            "phone": (("telephone1", "Business Phone", "mobilephone", "Mobile Phone"),),
            "email": (("emailaddress1", "Email"),),
            "need": (("description", "Description"),),
            "budget": (("budgetamount", "Budget Amount"),),
            "status": _choice("statuscode", "Status Reason"),
            "owner_id": _OWNER,
            "converted_opportunity_id": (("_qualifyingopportunityid_value", "qualifyingopportunityid", "Qualifying Opportunity"),),
        },
        "accounts": {
            "account_id": (("accountid", "(Do Not Modify) Account"),),
            "name": (("name", "Account Name"),),
            "industry": _choice("industrycode", "Industry"),
            "annual_revenue": (("revenue", "Annual Revenue"),),
            "employees": (("numberofemployees", "Number of Employees"),),
            "region": (("address1_country", "Address 1: Country/Region"),),
            "tier": _choice("accountcategorycode", "Category"),
        },
        "contact_roles": {
            "opportunity_id": (("_record1id_value", "record1id", "Opportunity", "opportunityid"),),
            "contact_id": (("_record2id_value", "record2id", "contactid", "Connected To"),),
            "role": (("record2roleidname", f"_record2roleid_value{_TEXT}", "Role (To)", "_record2roleid_value"),),
        },
        "activities": {
            "activity_id": (("activityid", "(Do Not Modify) Activity"),),
            "opportunity_id": (("_regardingobjectid_value", "regardingobjectid", "Regarding"),),
            "lead_id": (("_regardingobjectid_value", "regardingobjectid", "Regarding"),),
            "kind": (("activitytypecode", "Activity Type"),),
            "happened_at": (Filled(("actualend", "Actual End", "actualstart", "scheduledstart", "Start Date", "createdon", "Date Created")),),
            "owner_id": _OWNER,
            "direction": (("directioncode", f"directioncode{_TEXT}", "Direction"),),
            "text": (Filled(("description", "Description", "subject", "Subject")),),
        },
        "owners": {
            "owner_id": (("systemuserid", "(Do Not Modify) User", "User"),),
            "name": (("fullname", "Full Name"),),
            "team": (("businessunitidname", f"_businessunitid_value{_TEXT}", "Business Unit", "_businessunitid_value"),),
            "manager_id": (("_parentsystemuserid_value", "parentsystemuserid", "Manager"),),
        },
        "targets": {
            "period_start": (("goalstartdate", "From"),),
            "member": (("_goalownerid_value", "goalownerid", "Goal Owner"),),
            "target": (("targetmoney", "Target (Money)"),),
        },
        "exchange_rates": {
            "currency": ("isocurrencycode", "Currency Code"),
            "valid_from": (("modifiedon", "Modified On"),),
            "rate": (("exchangerate", "Exchange Rate"),),
        },
    },
    constants={"targets": {"metric": "bookings", "period_kind": "month", "dimension": "owner"}},
    percent={"opportunities": ("crm_probability",)},
    values={
        "opportunities": {
            "outcome": _OUTCOMES,
            "loss_reason": {"1": "", "2": "", "3": "", "in progress": "", "on hold": "", "won": "", "4": "Canceled", "5": "Out-Sold"},
        },
        "activities": {
            "kind": {"phonecall": "call", "phone call": "call", "appointment": "meeting", "email": "mail", "task": "task", "letter": "mail", "fax": "mail"},
            "direction": {"true": "outbound", "false": "inbound", "outgoing": "outbound", "incoming": "inbound", "yes": "outbound", "no": "inbound"},
        },
    },
    # What an activity is about may be anything; its kind stands in a column of its own.
    keep_if={
        "activities": {
            column: KeepIf(f"(?i)^({kind})$", (f"_regardingobjectid_value{_KIND}", "regardingobjecttypecode", "regardingobjectidtype", "Regarding Type"))
            for column, kind in (("opportunity_id", "opportunity|3"), ("lead_id", "lead|4"))
        }
    },
    parts={
        "stage_history": (
            # Every closing is an activity of its own, so that earlier ones of a reopened opportunity are known, too.
            Part(
                when=("actualend", ("opportunitystatecode", "opportunitystatuscode", "statecode")),
                headers={
                    "opportunity_id": (("_opportunityid_value", "opportunityid", "Opportunity"),),
                    "stage": (("opportunitystatecode", "opportunitystatuscode"),),
                    "entered_at": ("actualend",),
                    "amount": ("actualrevenue",),
                    "previous_stage": (),
                },
                # A lost opportunity brought nothing, and was worth what it was estimated at.
                values={
                    "stage": {"1": "won", "2": "lost", "3": "won", "4": "lost", "5": "lost", "won": "won", "lost": "lost"},
                    "amount": dict.fromkeys(("0", "0.0", "0.00", "0.0000"), ""),
                },
            ),
            Part(
                when=(("attributename", "Changed Field"),),
                only={("attributename", "Changed Field"): ("stepname", "Pipeline Phase", "salesstage", "Sales Stage", "stageid")},
            ),
        ),
        # An activity that is open is a plan, one that was cancelled never happened.
        "activities": (Part(leave_out={("statecode", "Activity Status"): ("0", "2", "3", "open", "canceled", "scheduled")}),),
    },
    lookups={
        "stages": Lookup(
            key=(("processstageid", "stageid"),),
            value=(("stagename", "Stage Name"),),
            columns={"opportunities": ("stage",), "stage_history": ("stage", "previous_stage")},
        ),
        "pipelines": Lookup(key=(("workflowid", "processid"),), value=(("name", "Process Name"),), columns={"opportunities": ("pipeline",)}),
    },
    outcome_beside_stage=True,
)
