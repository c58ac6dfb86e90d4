"""HubSpot: changed records by search in the order of their change, all records by the lists, deleted ones by the lists too.

What belongs here: HubSpot's objects, properties, login and paging. What does not: how requests are sent
(pipelines/pulling). https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm

Search pages by position and shows no more than 10,000 records, and a record that changes while it is read moves all that
follow. So the next page is not asked by position but by the change time of the last record; only where a whole page
changed in one instant does its position count.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from assets.exports.pulling.declaration import Ask, Body, Column, CrmPull, FieldList, Login, Lookup, Page, Request, Row, Source, Value, column

_OBJECTS = "/crm/v3/objects"
_PAGE_ROWS = 100
_HISTORY_ROWS = 50  # records whose history may be asked at once
_OWN = "properties/"


def _asked(path: str) -> str | None:
    return path.removeprefix(_OWN) if path.startswith(_OWN) else None


def _properties(request: Request, body: Body) -> tuple[Sequence[str], None]:
    return [entry["name"] for entry in body["results"]], None


def _source(name: str, modified: str, *columns: Column, archived: bool = False) -> Source:
    """Records of the object ``name``; with ``archived`` those that were deleted, which every pull lists all."""
    fields = FieldList(Request(f"/crm/v3/properties/{name}"), _properties)
    first = _first(name, modified, _PAGE_ROWS, archived)
    label = f"archived {name}" if archived else name
    return Source(label, "id", columns, first, _page, fields, _asked, _OWN + "{}", is_deleted=archived, listed=archived)


def _first(name: str, modified: str, rows: int, archived: bool = False):
    def request(ask: Ask) -> Request:
        properties = list(dict.fromkeys([*ask.fields, modified]))
        if ask.since is None or archived:
            params = {"limit": str(rows), "archived": "true" if archived else "false", "properties": ",".join(properties)}
            return Request(f"{_OBJECTS}/{name}", params)
        since = {"propertyName": modified, "operator": "GTE", "value": str(_milliseconds(ask.since))}
        order = {"propertyName": modified, "direction": "ASCENDING"}
        search = {"filterGroups": [{"filters": [since]}], "sorts": [order], "properties": properties, "limit": rows}
        return Request(f"{_OBJECTS}/{name}/search", json=search)

    return request


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _page(request: Request, body: Body) -> Page:
    rows = body["results"]
    after = body.get("paging", {}).get("next", {}).get("after")
    merged = [gone for row in rows for gone in (row["properties"].get("hs_merged_object_ids") or "").split(";") if gone]
    if after is None:
        return Page(rows, merged)
    if request.json is None:
        return Page(rows, merged, Request(request.path, {**request.params, "after": str(after)}))
    return Page(rows, merged, Request(request.path, json=_later(request.json, rows, str(after))))


def _later(search: Mapping[str, Any], rows: Sequence[Row], after: str) -> Mapping[str, Any]:
    """The search for the records from the last row's change on, or the next position where all rows changed at once."""
    ((condition,),) = (group["filters"] for group in search["filterGroups"])
    last = str(_milliseconds(rows[-1]["properties"][condition["propertyName"]]))
    if last == condition["value"]:
        return {**search, "after": after}
    rest = {key: value for key, value in search.items() if key != "after"}
    return {**rest, "filterGroups": [{"filters": [{**condition, "value": last}]}]}


def _histories(rows: Sequence[Row]) -> Request | None:
    inputs = [{"id": row["id"]} for row in rows]
    asked = {"inputs": inputs, "properties": ["dealstage"], "propertiesWithHistory": ["dealstage", "pipeline"]}
    return Request(f"{_OBJECTS}/deals/batch/read", json=asked) if inputs else None


def _stages(request: Request, body: Body) -> Page:
    """Of deals with history one row per entry of a stage; of a page of deals the deals, as `_page`."""
    if not request.path.endswith("/batch/read"):
        return _page(request, body)
    entries = [
        {"id": f"{deal['id']}@{entry['timestamp']}", "deal": deal["id"], "stage": entry["value"], "at": entry["timestamp"]}
        for deal in body["results"]
        for entry in deal["propertiesWithHistory"]["dealstage"]
        if entry["value"]
    ]
    return Page(entries)


def _owners(request: Request, body: Body) -> Page:
    after = body.get("paging", {}).get("next", {}).get("after")
    rows = [{**row, "name": " ".join(part for part in (row.get("firstName"), row.get("lastName")) if part), "team": _team(row)} for row in body["results"]]
    return Page(rows, next=Request(request.path, {**request.params, "after": str(after)}) if after else None)


def _team(owner: Row) -> str | None:
    teams = owner.get("teams") or []
    return next((team["name"] for team in teams if team.get("primary") in (True, "true")), teams[0]["name"] if teams else None)


def _pipelines(request: Request, body: Body) -> tuple[Mapping[str, str], None]:
    return {pipeline["id"]: pipeline["label"] for pipeline in body["results"]}, None


def _stage_names(request: Request, body: Body) -> tuple[Mapping[str, str], None]:
    return {stage["id"]: stage["label"] for pipeline in body["results"] for stage in pipeline["stages"]}, None


_DEAL = (
    column("opportunity_id", "id", required=True),
    column("name", "properties/dealname"),
    column("pipeline", Value("properties/pipeline", lookup="pipelines")),
    column("stage", Value("properties/dealstage", lookup="stages"), required=True),
    column("opportunity_type", Value("properties/dealtype", names={"newbusiness": "new", "existingbusiness": "expansion"}), "properties/dealtype"),
    column("owner_id", "properties/hubspot_owner_id"),
    column("account_id", "properties/hs_primary_associated_company"),
    column("amount", "properties/amount"),
    column("currency", "properties/deal_currency_code"),
    column("recurring_amount", "properties/hs_arr"),
    column("created_at", "properties/createdate", required=True),
    column("updated_at", "properties/hs_lastmodifieddate", required=True),
    column("expected_close_date", "properties/closedate"),
    column("closed_at", "properties/closedate"),
    column("is_closed", "properties/hs_is_closed"),
    column("is_won", "properties/hs_is_closed_won"),
    column("loss_reason", "properties/closed_lost_reason"),
    column("source", "properties/hs_analytics_source"),
    column("forecast_category", "properties/hs_manual_forecast_category"),
    column("crm_probability", "properties/hs_deal_stage_probability"),
    column("next_step", "properties/hs_next_step"),
    column("hs_merged_object_ids", "properties/hs_merged_object_ids"),
)

PULL = CrmPull(
    name="hubspot",
    logins=(
        Login(
            ("client_id", "client_secret", "refresh_token"),
            url="{login_url}/oauth/v1/token",
            form={"grant_type": "refresh_token", "client_id": "{client_id}", "client_secret": "{client_secret}", "refresh_token": "{refresh_token}"},
        ),
        Login(("access_token",), token="access_token"),
    ),
    instance_url="https://api.hubapi.com",
    login_url="{instance_url}",
    busy=frozenset({"RATE_LIMITS", "RATE_LIMIT"}),
    missing=frozenset({"OBJECT_NOT_FOUND", "OBJECT_TYPE_NOT_FOUND", "UNABLE_TO_INFER_OBJECT_TYPE"}),
    lookups={
        "pipelines": Lookup(Request("/crm/v3/pipelines/deals"), _pipelines),
        "stages": Lookup(Request("/crm/v3/pipelines/deals"), _stage_names),
    },
    tables={
        "stage_history": (
            Source(
                "deals with stages",
                "id",
                (
                    column("opportunity_id", "deal", required=True),
                    column("stage", Value("stage", lookup="stages"), required=True),
                    column("entered_at", "at", required=True),
                ),
                _first("deals", "hs_lastmodifieddate", _HISTORY_ROWS),
                _stages,
                asked=lambda path: None,
                then=_histories,
            ),
        ),
        "accounts": (
            _source(
                "companies",
                "hs_lastmodifieddate",
                column("account_id", "id", required=True),
                column("name", "properties/name"),
                column("industry", "properties/industry"),
                column("annual_revenue", "properties/annualrevenue"),
                column("employees", "properties/numberofemployees"),
                column("region", "properties/country", "properties/state"),
            ),
        ),
        "owners": (
            Source(
                "owners",
                "id",
                (column("owner_id", "id", required=True), column("name", "name"), column("team", "team")),
                lambda ask: Request("/crm/v3/owners", {"limit": str(_PAGE_ROWS), "archived": "false"}),
                _owners,
                asked=lambda path: None,
                listed=True,
            ),
        ),
        "opportunities": (
            _source("deals", "hs_lastmodifieddate", *_DEAL),
            _source("deals", "hs_lastmodifieddate", *_DEAL, column("deleted_at", "archivedAt"), archived=True),
        ),
    },
)
