"""Dynamics 365 (Dataverse): OData with change tracking, which shows deleted rows; by modifiedon where a table has none.

What belongs here: the entities, their attributes, login and paging. What does not: how requests are sent
(pipelines/pulling).
https://learn.microsoft.com/power-apps/developer/data-platform/use-change-tracking-synchronize-data-external-systems
"""

from collections.abc import Mapping, Sequence

from assets.exports.pulling.declaration import Ask, Body, Column, CrmPull, FieldList, Login, Lookup, Page, Request, Source, Value, column

_API = "/api/data/v9.2"
_PAGE_ROWS = "odata.maxpagesize=5000"
_SHOWN = "OData.Community.Display.V1.FormattedValue"
_POINTS_TO = "Microsoft.Dynamics.CRM.lookuplogicalname"
_ANNOTATIONS = f'odata.include-annotations="{_SHOWN},{_POINTS_TO}"'
_REGARDING = f"_regardingobjectid_value@{_POINTS_TO}"
_REFERENCES = ("Lookup", "Owner", "Customer")


def _asked(path: str) -> str:
    return path.partition("@")[0]


def _attributes(request: Request, body: Body) -> tuple[Sequence[str], Request | None]:
    """Names as they are asked for: an attribute that refers to another row is asked for by its id."""
    names = [f"_{a['LogicalName']}_value" if a["AttributeType"] in _REFERENCES else a["LogicalName"] for a in body["value"]]
    return names, _link(request, body)


def _link(request: Request, body: Body) -> Request | None:
    link = body.get("@odata.nextLink")
    return Request(link, headers=request.headers) if link else None


def _page(request: Request, body: Body) -> Page:
    gone = [row["id"] for row in body["value"] if "$deletedEntity" in row.get("@odata.context", "")]
    rows = [row for row in body["value"] if "$deletedEntity" not in row.get("@odata.context", "")]
    return Page(rows, gone, _link(request, body), body.get("@odata.deltaLink"))


def _fields(entity: str) -> FieldList:
    return FieldList(Request(f"{_API}/EntityDefinitions(LogicalName='{entity}')/Attributes", {"$select": "LogicalName,AttributeType"}), _attributes)


def _select(identity: str, ask: Ask) -> str:
    return ",".join(dict.fromkeys([identity, *ask.fields]))


def _tracked(entity: str, entities: str, *columns: Column) -> Source:
    """Rows of an entity with change tracking: a change set is asked for by the address that ended the last one."""
    identity = f"{entity}id"
    headers = {"Prefer": f"odata.track-changes,{_PAGE_ROWS},{_ANNOTATIONS}"}

    def first(ask: Ask) -> Request:
        if ask.since:
            return Request(ask.since, headers={"Prefer": f"{_PAGE_ROWS},{_ANNOTATIONS}"})
        return Request(f"{_API}/{entities}", {"$select": _select(identity, ask)}, headers=headers)

    return Source(entity, identity, columns, first, _page, _fields(entity), _asked, tracked=True)


def _modified(entity: str, entities: str, identity: str, *columns: Column) -> Source:
    """Rows of an entity by their time of change; rows that are deleted are not seen before the next full pull."""

    def first(ask: Ask) -> Request:
        since = {"$filter": f"modifiedon ge {ask.since}"} if ask.since else {}
        params = {"$select": _select(identity, ask), "$orderby": f"modifiedon asc,{identity} asc", **since}
        return Request(f"{_API}/{entities}", params, headers={"Prefer": f"{_PAGE_ROWS},{_ANNOTATIONS}"})

    return Source(entity, identity, columns, first, _page, _fields(entity), _asked)


def _currencies(request: Request, body: Body) -> tuple[Mapping[str, str], Request | None]:
    return {row["transactioncurrencyid"]: row["isocurrencycode"] for row in body["value"]}, _link(request, body)


_CLOSED = {"1": "won", "2": "lost"}

PULL = CrmPull(
    name="dynamics",
    logins=(
        Login(
            ("tenant_id", "client_id", "client_secret"),
            url="{login_url}/{tenant_id}/oauth2/v2.0/token",
            form={
                "grant_type": "client_credentials",
                "client_id": "{client_id}",
                "client_secret": "{client_secret}",
                "scope": "{instance_url}/.default",
            },
        ),
    ),
    login_url="https://login.microsoftonline.com",
    missing=frozenset({"0x80060888", "0x80060891", "0x8006088a", "0x80040217"}),
    lookups={"currencies": Lookup(Request(f"{_API}/transactioncurrencies", {"$select": "isocurrencycode"}), _currencies)},
    tables={
        "activities": (
            _modified(
                "activitypointer",
                "activitypointers",
                "activityid",
                column("activity_id", "activityid", required=True),
                column("opportunity_id", Value("_regardingobjectid_value", when=(_REGARDING, "opportunity"))),
                column("lead_id", Value("_regardingobjectid_value", when=(_REGARDING, "lead"))),
                column("kind", "activitytypecode"),
                column("happened_at", "actualend", "scheduledend", "createdon", required=True),
                column("owner_id", "_ownerid_value"),
            ),
        ),
        "leads": (
            _tracked(
                "lead",
                "leads",
                column("lead_id", "leadid", required=True),
                column("source", f"leadsourcecode@{_SHOWN}"),
                column("captured_at", "createdon"),
                column("account_name", "companyname"),
                column("industry", f"industrycode@{_SHOWN}"),
                column("region", "address1_country", "address1_stateorprovince"),
                column("status", f"statuscode@{_SHOWN}"),
                column("owner_id", "_ownerid_value"),
                column("converted_opportunity_id", "_qualifyingopportunityid_value"),
            ),
        ),
        "accounts": (
            _tracked(
                "account",
                "accounts",
                column("account_id", "accountid", required=True),
                column("name", "name"),
                column("industry", f"industrycode@{_SHOWN}"),
                column("annual_revenue", "revenue"),
                column("employees", "numberofemployees"),
                column("region", "address1_country", "address1_stateorprovince"),
                column("tier", f"customertypecode@{_SHOWN}"),
            ),
        ),
        "owners": (
            _modified(
                "systemuser",
                "systemusers",
                "systemuserid",
                column("owner_id", "systemuserid", required=True),
                column("name", "fullname"),
                column("team", f"_businessunitid_value@{_SHOWN}"),
                column("manager_id", "_parentsystemuserid_value"),
            ),
        ),
        "opportunities": (
            _tracked(
                "opportunity",
                "opportunities",
                column("opportunity_id", "opportunityid", required=True),
                column("account_id", "_parentaccountid_value", "_customerid_value"),
                column("name", "name"),
                column("owner_id", "_ownerid_value"),
                column("stage", Value("statecode", names=_CLOSED), "stepname", f"salesstage@{_SHOWN}", required=True),
                column("amount", "actualvalue", "estimatedvalue"),
                column("currency", Value("_transactioncurrencyid_value", lookup="currencies")),
                column("created_at", "createdon", required=True),
                column("updated_at", "modifiedon"),
                column("expected_close_date", "estimatedclosedate"),
                column("closed_at", "actualclosedate"),
                column("outcome", Value("statecode", names={"0": "open", **_CLOSED})),
                column("loss_reason", f"statuscode@{_SHOWN}"),
                column("lead_id", "_originatingleadid_value"),
                column("crm_probability (%)", "closeprobability"),
            ),
        ),
    },
)
