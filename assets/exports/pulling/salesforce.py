"""Salesforce: SOQL by queryAll, which shows deleted rows too, in the order of SystemModstamp.

What belongs here: Salesforce's objects, fields, login and paging. What does not: how requests are sent
(pipelines/pulling). https://developer.salesforce.com/docs/platform/api-rest/guide/resources-queryall.html
"""

from collections.abc import Sequence

from assets.exports.pulling.declaration import Ask, Body, Column, CrmPull, FieldList, Login, Page, Request, Source, Value, column

_API = "/services/data/v65.0"
_OPPORTUNITY, _LEAD = "006", "00Q"  # what the ids of these objects begin with


def _source(name: str, *columns: Column, modified: str = "SystemModstamp", deleted: str | None = "IsDeleted", where: str = "") -> Source:
    """Rows of the object ``name``, changed rows by the time in ``modified``, all rows limited by the SOQL ``where``."""

    def first(ask: Ask) -> Request:
        always = ["Id", modified, *([deleted] if deleted else [])]
        since = f"{modified} >= {ask.since}" if ask.since else ""
        limits = " AND ".join(part for part in (since, where) if part)
        fields = ", ".join(dict.fromkeys([*always, *ask.fields]))
        return Request(f"{_API}/queryAll", {"q": f"SELECT {fields} FROM {name}{f' WHERE {limits}' if limits else ''} ORDER BY {modified}, Id"})

    return Source(name, "Id", columns, first, _page, FieldList(Request(f"{_API}/sobjects/{name}/describe"), _fields), deleted=deleted)


def _page(request: Request, body: Body) -> Page:
    return Page(body["records"], next=None if body["done"] else Request(body["nextRecordsUrl"]))


def _fields(request: Request, body: Body) -> tuple[Sequence[str], None]:
    return [field["name"] for field in body["fields"]], None


_OWN_OPPORTUNITY = column("opportunity_id", "OpportunityId", required=True)

PULL = CrmPull(
    name="salesforce",
    logins=(
        Login(
            ("client_id", "client_secret", "refresh_token"),
            url="{login_url}/services/oauth2/token",
            form={"grant_type": "refresh_token", "client_id": "{client_id}", "client_secret": "{client_secret}", "refresh_token": "{refresh_token}"},
        ),
        Login(
            ("client_id", "client_secret"),
            url="{login_url}/services/oauth2/token",
            form={"grant_type": "client_credentials", "client_id": "{client_id}", "client_secret": "{client_secret}"},
        ),
    ),
    login_url="{instance_url}",
    busy=frozenset({"REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT"}),
    missing=frozenset({"INVALID_TYPE", "INVALID_FIELD", "NOT_FOUND"}),
    tables={
        "stage_history": (
            _source(
                "OpportunityHistory",
                _OWN_OPPORTUNITY,
                column("stage", "StageName", required=True),
                column("entered_at", "CreatedDate", required=True),
                column("amount", "Amount"),
                column("expected_close_date", "CloseDate"),
                column("forecast_category", "ForecastCategory"),
            ),
        ),
        "field_history": (
            _source(
                "OpportunityFieldHistory",
                _OWN_OPPORTUNITY,
                column("field", "Field", required=True),
                column("old_value", "OldValue"),
                column("new_value", "NewValue"),
                column("changed_at", "CreatedDate", required=True),
                modified="CreatedDate",
            ),
        ),
        "contact_roles": (_source("OpportunityContactRole", _OWN_OPPORTUNITY, column("contact_id", "ContactId", required=True), column("role", "Role")),),
        "activities": tuple(
            _source(
                name,
                column("activity_id", "Id", required=True),
                column("opportunity_id", Value("WhatId", prefix=_OPPORTUNITY)),
                column("lead_id", Value("WhoId", prefix=_LEAD)),
                column("kind", kind),
                column("happened_at", *happened, required=True),
                column("owner_id", "OwnerId"),
                where="(What.Type = 'Opportunity' OR Who.Type = 'Lead')",
            )
            for name, kind, happened in (
                ("Task", "TaskSubtype", ("CompletedDateTime", "ActivityDate", "CreatedDate")),
                ("Event", "EventSubtype", ("ActivityDateTime", "ActivityDate")),
            )
        ),
        "leads": (
            _source(
                "Lead",
                column("lead_id", "Id", required=True),
                column("source", "LeadSource"),
                column("captured_at", "CreatedDate"),
                column("account_name", "Company"),
                column("industry", "Industry"),
                column("region", "State", "Country"),
                column("annual_revenue", "AnnualRevenue"),
                column("status", "Status"),
                column("owner_id", "OwnerId"),
                column("converted_opportunity_id", "ConvertedOpportunityId"),
            ),
        ),
        "accounts": (
            _source(
                "Account",
                column("account_id", "Id", required=True),
                column("name", "Name"),
                column("industry", "Industry"),
                column("annual_revenue", "AnnualRevenue"),
                column("employees", "NumberOfEmployees"),
                column("region", "BillingCountry", "BillingState"),
                column("tier", "Rating"),
            ),
        ),
        "owners": (
            _source(
                "User",
                column("owner_id", "Id", required=True),
                column("name", "Name"),
                column("team", "Department", "Division"),
                column("manager_id", "ManagerId"),
                deleted=None,
            ),
        ),
        "opportunities": (
            _source(
                "Opportunity",
                column("opportunity_id", "Id", required=True),
                column("account_id", "AccountId"),
                column("name", "Name"),
                column("opportunity_type", "Type"),
                column("owner_id", "OwnerId"),
                column("stage", "StageName", required=True),
                column("stage_entered_at", "LastStageChangeDate"),
                column("amount", "Amount"),
                column("currency", "CurrencyIsoCode"),
                column("created_at", "CreatedDate", required=True),
                column("updated_at", "LastModifiedDate"),
                column("expected_close_date", "CloseDate"),
                column("closed_at", "CloseDate"),
                column("is_closed", "IsClosed"),
                column("is_won", "IsWon"),
                column("source", "LeadSource"),
                column("forecast_category", "ForecastCategoryName"),
                column("crm_probability (%)", "Probability"),
                column("next_step", "NextStep"),
            ),
        ),
    },
)
