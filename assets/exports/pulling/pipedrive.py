"""Pipedrive: lists with cursors in the order of their change, deleted deals by their status.

What belongs here: Pipedrive's objects, fields, login and paging. What does not: how requests are sent (pipelines/pulling).
https://developers.pipedrive.com/docs/api/v1/Deals, https://pipedrive.readme.io/docs/core-api-concepts-pagination

A deal that is won or lost keeps its last stage in Pipedrive; here won and lost are stages, as Leadline sees them.
"""

from collections.abc import Mapping, Sequence

from assets.exports.pulling.declaration import Ask, Body, Column, CrmPull, FieldList, Login, Lookup, Page, Request, Source, Value, column

_PAGE_ROWS = {"limit": "500"}
_CUSTOM = "custom_fields/"


def _asked(path: str) -> str | None:
    return path.removeprefix(_CUSTOM) if path.startswith(_CUSTOM) else None


def _next(request: Request, body: Body) -> Request | None:
    cursor = (body.get("additional_data") or {}).get("next_cursor")
    return Request(request.path, {**request.params, "cursor": cursor}) if cursor else None


def _page(request: Request, body: Body) -> Page:
    return Page(body["data"] or [], next=_next(request, body))


def _fields(request: Request, body: Body) -> tuple[Sequence[str], Request | None]:
    return [entry["field_code"] for entry in body["data"]], _next(request, body)


def _names(request: Request, body: Body) -> tuple[Mapping[str, str], Request | None]:
    return {str(entry["id"]): entry["name"] for entry in body["data"]}, _next(request, body)


def _source(name: str, path: str, fields: str | None, *columns: Column, statuses: str = "") -> Source:
    """Rows of the list at ``path``; ``fields`` is the list of its fields, ``statuses`` those that are asked for."""

    def first(ask: Ask) -> Request:
        order = {**_PAGE_ROWS, "sort_by": "update_time", "sort_direction": "asc"}
        custom = {"custom_fields": ",".join(ask.fields)} if ask.fields else {}
        since = {"updated_since": ask.since} if ask.since else {}
        return Request(path, {**order, **({"status": statuses} if statuses else {}), **custom, **since})

    listed = FieldList(Request(fields, _PAGE_ROWS), _fields) if fields else None
    return Source(name, "id", columns, first, _page, listed, _asked, _CUSTOM + "{}", deleted="is_deleted")


_DEAL = (
    column("opportunity_id", "id", required=True),
    column("account_id", "org_id"),
    column("name", "title"),
    column("pipeline", Value("pipeline_id", lookup="pipelines")),
    column("owner_id", "owner_id"),
    column("stage", Value("status", names={"won": "won", "lost": "lost"}), Value("stage_id", lookup="stages"), required=True),
    column("stage_entered_at", "won_time", "lost_time", "stage_change_time"),
    column("amount", "value"),
    column("currency", "currency"),
    column("recurring_amount", "arr"),
    column("created_at", "add_time", required=True),
    column("updated_at", "update_time", required=True),
    column("expected_close_date", "expected_close_date"),
    column("closed_at", "won_time", "lost_time", "close_time"),
    column("outcome", Value("status", names={"won": "won", "lost": "lost", "open": "open"})),
    column("loss_reason", "lost_reason"),
    column("source", "channel", "origin"),
    column("crm_probability (%)", "probability"),
)

PULL = CrmPull(
    name="pipedrive",
    logins=(
        Login(
            ("client_id", "client_secret", "refresh_token"),
            url="{login_url}/oauth/token",
            form={"grant_type": "refresh_token", "refresh_token": "{refresh_token}"},
            basic=("{client_id}", "{client_secret}"),
        ),
        Login(("api_token",), token="api_token", header="x-api-token", scheme=""),
    ),
    login_url="https://oauth.pipedrive.com",
    missing=frozenset({"ERR_NOT_FOUND"}),
    lookups={
        "pipelines": Lookup(Request("/api/v2/pipelines", _PAGE_ROWS), _names),
        "stages": Lookup(Request("/api/v2/stages", _PAGE_ROWS), _names),
    },
    tables={
        "activities": (
            _source(
                "activities",
                "/api/v2/activities",
                "/api/v2/activityFields",
                column("activity_id", "id", required=True),
                column("opportunity_id", "deal_id"),
                column("lead_id", "lead_id"),
                column("kind", "type"),
                column("happened_at", "marked_as_done_time", "due_date", "add_time", required=True),
                column("owner_id", "owner_id"),
            ),
        ),
        "accounts": (
            _source(
                "organizations",
                "/api/v2/organizations",
                "/api/v2/organizationFields",
                column("account_id", "id", required=True),
                column("name", "name"),
                column("region", "address/country"),
            ),
        ),
        "owners": (
            Source(
                "users",
                "id",
                (column("owner_id", "id", required=True), column("name", "name")),
                lambda ask: Request("/api/v1/users"),
                _page,
                asked=lambda path: None,
                listed=True,
            ),
        ),
        "opportunities": (
            _source("deals", "/api/v2/deals", "/api/v2/dealFields", *_DEAL, statuses="open,won,lost,deleted"),
            _source("archived deals", "/api/v2/deals/archived", "/api/v2/dealFields", *_DEAL, statuses="open,won,lost,deleted"),
        ),
    },
)
