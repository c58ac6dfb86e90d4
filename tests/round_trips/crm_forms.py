"""How each western CRM writes the company: files, headers, words; and what its files cannot say.

What belongs here: one declaration per form of export. What does not: what they share (crm_writing.py), and Chinese CRMs
(chinese_forms.py).
"""

import pandas as pd

from tests.round_trips.company import CLOSED, OPEN_STAGES
from tests.round_trips.crm_writing import (
    CrmForm,
    File,
    Frame,
    changes_alone,
    from_the_first_value,
    last_entry_of_each_stage,
    local,
    percent,
    said,
    utc,
    with_unmoved_rows,
)

_ENGLISH = {**{key: key.replace("_", " ").title() for key in OPEN_STAGES}, "won": "Closed Won", "lost": "Closed Lost"}
_IDS = {key: str(1001 + number) for number, key in enumerate((*OPEN_STAGES, *CLOSED))}


def _thousands(amounts: pd.Series) -> pd.Series:
    return amounts.map("{:,.2f}".format)


def _decimals(amounts: pd.Series) -> pd.Series:
    return amounts.map("{:.2f}".format)


def _with_offset(times: pd.Series) -> pd.Series:
    return times.dt.strftime("%Y-%m-%dT%H:%M:%S+08:00")


def _share(rows: Frame, form: CrmForm) -> pd.Series:
    return (rows["crm_probability"] / 100).map("{:.2f}".format)


def _in_field(field: str, column: str):
    """The value of a log's row where it is about ``field``, else blank."""
    return lambda rows, form: rows[column].where(rows["field"] == field, "").astype("str")


def only_the_beginning_is_derived(number: int, kind: str) -> str:
    """A log of changes: the first stage follows from what its first change left."""
    return "derived" if number == 1 else "observed"


def closings_are_derived_too(number: int, kind: str) -> str:
    """As `only_the_beginning_is_derived`, and the closing follows from the row."""
    return "derived" if number == 1 or kind != "open" else "observed"


def only_losses_are_derived_too(number: int, kind: str) -> str:
    """As `only_the_beginning_is_derived`; won is a stage, and the loss follows from the row."""
    return "derived" if number == 1 or kind == "lost" else "observed"


# ---- Salesforce ----------------------------------------------------------------------------------------------------

_SALESFORCE_DEALS = {
    "Id": "opportunity_id", "IsDeleted": said("false"), "AccountId": "account_id", "Name": "name", "StageName": "stage", "Amount": "amount",
    "CurrencyIsoCode": "currency", "Probability": percent, "CloseDate": "expected_close_date", "Type": "opportunity_type", "LeadSource": "source",
    "IsClosed": "is_closed", "IsWon": "is_won", "ForecastCategoryName": "forecast_category", "OwnerId": "owner_id", "CreatedDate": "created_at",
    "LastModifiedDate": "updated_at", "LossReason__c": "loss_reason", "Industry__c": "industry", "Region__c": "region", "Product__c": "product",
}  # fmt: skip
_SALESFORCE_CUSTOM = {"industry": "Industry__c", "region": "Region__c", "product": "Product__c", "loss_reason": "LossReason__c"}
_SALESFORCE_BESIDE = (
    File(
        "Task.csv",
        "activities",
        {
            "Id": "activity_id",
            "WhatId": "opportunity_id",
            "OwnerId": "owner_id",
            "Type": "kind",
            "Status": said("Completed"),
            "CompletedDateTime": "happened_at",
        },
    ),
    File("User.csv", "owners", {"Id": "owner_id", "Department": "team"}),
)
_SALESFORCE_LOG = {"OpportunityId": "opportunity_id", "Field": "field", "OldValue": "old_value", "NewValue": "new_value", "CreatedDate": "changed_at"}
_SALESFORCE_FIELDS = {"amount": "Amount", "expected_close_date": "CloseDate", "owner_id": "Owner", "stage": "StageName"}


def _salesforce(**tables) -> dict:
    return {
        "crm": "salesforce",
        "tables": {
            "opportunities": {"files": "Opportunity.csv", "columns": _SALESFORCE_CUSTOM},
            "activities": {"files": "Task.csv"},
            "owners": {"files": "User.csv"},
            **tables,
        },
    }


SALESFORCE = CrmForm(
    crm="salesforce",
    exports=_salesforce(stage_history={"files": "OpportunityHistory.csv"}, field_history={"files": "OpportunityFieldHistory.csv"}),
    files=(
        File("Opportunity.csv", "opportunities", _SALESFORCE_DEALS),
        File(
            "OpportunityHistory.csv",
            "stage_history",
            {"OpportunityId": "opportunity_id", "StageName": "stage", "Amount": "amount", "CloseDate": "expected_close_date", "CreatedDate": "entered_at"},
        ),
        File("OpportunityFieldHistory.csv", "field_history", _SALESFORCE_LOG),
        *_SALESFORCE_BESIDE,
    ),
    writes=(with_unmoved_rows,),
    stages=_ENGLISH,
    fields=_SALESFORCE_FIELDS,
)

SALESFORCE_FIELD_HISTORY = CrmForm(
    crm="salesforce",
    exports=_salesforce(stage_history={"files": "OpportunityFieldHistory.csv"}, field_history={"files": "OpportunityFieldHistory.csv"}),
    files=(File("Opportunity.csv", "opportunities", _SALESFORCE_DEALS), File("OpportunityFieldHistory.csv", "log", _SALESFORCE_LOG), *_SALESFORCE_BESIDE),
    writes=(changes_alone,),
    stages=_ENGLISH,
    fields=_SALESFORCE_FIELDS,
    marks=only_the_beginning_is_derived,
)
"""Without OpportunityHistory: the changes of the stage stand among those of all fields."""

_AMERICAN = ["%m/%d/%Y", "%m/%d/%Y %I:%M %p"]

SALESFORCE_REPORTS = CrmForm(
    crm="salesforce",
    exports={
        "crm": "salesforce",
        "dates": _AMERICAN,
        "tables": {
            "opportunities": {"files": "report_opportunities.csv", "columns": {"region": "Region", "product": "Product"}},
            "stage_history": {"files": "report_stages.csv"},
            "field_history": {"files": "report_fields.csv"},
            "activities": {"files": "report_activities.csv"},
            "owners": {"files": "report_users.csv"},
        },
    },
    files=(
        File(
            "report_opportunities.csv",
            "opportunities",
            {
                "Opportunity ID": "opportunity_id", "Opportunity Name": "name", "Account Name": "account_id", "Opportunity Owner": "owner_id", "Stage": "stage",
                "Amount": "amount", "Opportunity Currency": "currency", "Probability (%)": lambda rows, form: percent(rows, form) + "%",
                "Close Date": "expected_close_date", "Type": "opportunity_type", "Lead Source": "source", "Closed": "is_closed", "Won": "is_won",
                "Forecast Category": "forecast_category", "Created Date": "created_at", "Last Modified Date": "updated_at",
                "Closed Lost Reason": "loss_reason", "Industry": "industry", "Region": "region", "Product": "product",
            },
        ),
        File(
            "report_stages.csv",
            "stage_history",
            {
                "Opportunity ID": "opportunity_id", "From Stage": "previous_stage", "To Stage": "stage", "Amount": "amount", "Close Date": "expected_close_date",
                "Last Modified": "entered_at",
            },
        ),
        File(
            "report_fields.csv",
            "field_history",
            {"Opportunity ID": "opportunity_id", "Field / Event": "field", "Old Value": "old_value", "New Value": "new_value", "Edit Date": "changed_at"},
        ),
        File(
            "report_activities.csv",
            "activities",
            {"Activity ID": "activity_id", "Opportunity ID": "opportunity_id", "Assigned": "owner_id", "Status": said("Completed"), "Date": "happened_at"},
        ),
        File("report_users.csv", "owners", {"User ID": "owner_id", "Role": "team"}),
    ),
    stages=_ENGLISH,
    fields={"amount": "Amount", "expected_close_date": "Close Date", "owner_id": "Opportunity Owner"},
    time=local("%m/%d/%Y %I:%M %p"),
    day=local("%m/%d/%Y"),
    amount=_thousands,
    flags=("1", "0"),
)  # fmt: skip

# ---- HubSpot -------------------------------------------------------------------------------------------------------

_HUBSPOT_DEALS = {
    "hs_object_id": "opportunity_id", "dealname": "name", "pipeline": said("p1"), "dealstage": "stage", "amount": "amount",
    "deal_currency_code": "currency", "createdate": "created_at", "hs_lastmodifieddate": "updated_at", "closedate": "expected_close_date",
    "hs_is_closed": "is_closed", "hs_is_closed_won": "is_won", "closed_lost_reason": "loss_reason", "hs_analytics_source": "source",
    "industry": "industry", "hs_manual_forecast_category": "forecast_category", "hs_deal_stage_probability": _share, "hubspot_owner_id": "owner_id",
    "dealtype": "opportunity_type", "company_id": "account_id", "region": "region", "product": "product",
}  # fmt: skip


def _each_once(activities: Frame) -> Frame:
    """An association of an engagement with a deal is exported once."""
    return activities.drop_duplicates(["activity_id", "opportunity_id"], keep="last")


_HUBSPOT_BESIDE = (
    File("deal_property_history.csv", "log", {"deal_id": "opportunity_id", "name": "field", "value": "new_value", "timestamp": "changed_at"}),
    File("engagement_call.csv", "activities", {"engagement_id": "activity_id", "hs_timestamp": "happened_at", "hs_call_title": "kind"}),
    File("engagement_deal.csv", "activities", {"engagement_id": "activity_id", "deal_id": "opportunity_id"}, rows=_each_once),
    File("owner.csv", "owners", {"id": "owner_id", "Team": "team"}),
)
_HUBSPOT_LOOKUPS = {
    "deal_pipeline_stage.csv": "stage_id,pipeline_id,label\n" + "".join(f"{_IDS[key]},p1,{label}\n" for key, label in _ENGLISH.items()),
    "deal_pipeline.csv": "pipeline_id,label\np1,Sales\n",
}


def _hubspot(**tables) -> dict:
    return {
        "crm": "hubspot",
        "tables": {
            "opportunities": {"files": "deal.csv"},
            "field_history": {"files": "deal_property_history.csv"},
            "activities": {"files": "engagement_call.csv"},
            "owners": {"files": "owner.csv"},
            **tables,
        },
        "lookups": {
            "stages": {"files": "deal_pipeline_stage.csv"},
            "pipelines": {"files": "deal_pipeline.csv"},
            "engagement_deals": {"files": "engagement_deal.csv"},
        },
    }


_HUBSPOT_FIELDS = {"amount": "amount", "expected_close_date": "closedate", "owner_id": "hubspot_owner_id", "stage": "dealstage"}

HUBSPOT = CrmForm(
    crm="hubspot",
    exports=_hubspot(stage_history={"files": "deal_property_history.csv"}),
    files=(File("deal.csv", "opportunities", _HUBSPOT_DEALS), *_HUBSPOT_BESIDE),
    writes=(from_the_first_value,),
    stages=_IDS,
    spelled=_ENGLISH,
    fields=_HUBSPOT_FIELDS,
    day=utc,
    lookups=_HUBSPOT_LOOKUPS,
)


def _entered(stage: str):
    """The entry of ``stage``, from the column that `_with_dates` adds."""
    return lambda rows, form: utc(rows[f"entered {stage}"]).where(rows[f"entered {stage}"].notna(), "")


def dates_beside_the_deal(company):
    """The row has a column per stage with the day of entering it; the log holds the other fields alone."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    entries = history.drop_duplicates(["opportunity_id", "stage"], keep="last").pivot(index="opportunity_id", columns="stage", values="entered_at")
    dates = {f"entered {key}": deals["opportunity_id"].map(entries[key]) for key in _IDS}
    return company.with_frames(opportunities=deals.assign(**dates), stage_history=history.iloc[:0])


HUBSPOT_DATES = CrmForm(
    crm="hubspot",
    exports=_hubspot(),
    files=(
        File("deal.csv", "opportunities", {**_HUBSPOT_DEALS, **{f"hs_v2_date_entered_{number}": _entered(key) for key, number in _IDS.items()}}),
        *_HUBSPOT_BESIDE,
    ),
    facts=(last_entry_of_each_stage,),
    writes=(from_the_first_value, dates_beside_the_deal),
    stages=_IDS,
    spelled=_ENGLISH,
    fields=_HUBSPOT_FIELDS,
    day=utc,
    lookups=_HUBSPOT_LOOKUPS,
    marks=lambda number, kind: "derived",
)
"""History from the columns "date entered"."""
