"""A made-up HubSpot: properties, lists, search by position in what is there now, archived deals, history by batch."""

from datetime import datetime
from typing import Any

from tests.pulls.crm import Deal, FakeCrm
from tests.pulls.server import Asked, Reply

PROPERTIES = ("dealname", "dealstage", "pipeline", "amount", "createdate", "hs_lastmodifieddate", "closedate", "hs_is_closed", "hs_is_closed_won")
STAGES = {"Talk": "1001", "Offer": "1002", "Sign": "1003"}


def _error(status: int, category: str, message: str = "…") -> Reply:
    return Reply({"status": "error", "category": category, "message": message}, status)


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


class FakeHubSpot(FakeCrm):
    name = "hubspot"
    credentials = ("client_id", "client_secret", "refresh_token")
    deals_path = "/objects/deals"
    fields_path = "/properties/deals"
    busy = Reply({"status": "error", "category": "RATE_LIMITS", "policyName": "TEN_SECONDLY_ROLLING"}, 429, {"Retry-After": "7"})
    denied = _error(403, "MISSING_SCOPES", "no scope for wang@example.com")
    unknown = _error(404, "OBJECT_TYPE_NOT_FOUND")
    expired = _error(401, "EXPIRED_AUTHENTICATION")
    refused_login = Reply({"status": "BAD_CLIENT_ID", "message": "missing or invalid client id"}, 400)

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[dict[str, str]]] = {}

    def put(self, id: str, stage: str = "Talk", amount: str = "100.5", **more: Any) -> None:
        super().put(id, stage, amount, **more)
        entries = self.history.setdefault(id, [])
        if not entries or entries[-1]["value"] != STAGES[stage]:
            entries.append({"value": STAGES[stage], "timestamp": self.server.stamp(), "sourceType": "CRM_UI"})

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/crm/v3/properties/deals":
            return Reply({"results": [{"name": name} for name in [*PROPERTIES, *self.added] if name not in self.hidden]})
        if asked.path == "/crm/v3/pipelines/deals":
            stages = [{"id": number, "label": label} for label, number in STAGES.items()]
            return Reply({"results": [{"id": "default", "label": "Sales", "stages": stages}]})
        if asked.path == "/crm/v3/owners":
            owner = {"id": "71", "firstName": "An", "lastName": "Owner", "teams": [{"name": "south", "primary": False}, {"name": "north", "primary": True}]}
            return Reply({"results": [owner]})
        if asked.path.endswith("/batch/read"):
            ids = [entry["id"] for entry in asked.body["inputs"]]
            assert len(ids) <= 50
            return Reply({"results": [{"id": id, "propertiesWithHistory": {"dealstage": self.history[id]}} for id in ids]})
        if asked.path.endswith("/search"):
            return self._search(asked)
        archived = asked.params["archived"] == "true"
        listed = [d for d in sorted(self.deals.values(), key=lambda d: d.id) if (d.deleted is not None) == archived and d.id > asked.params.get("after", "")]
        names = asked.params["properties"].split(",")
        return self._page([self._row(d, names) for d in listed], listed[self.page_rows - 1].id if len(listed) > self.page_rows else None)

    def _search(self, asked: Asked) -> Reply:
        (condition,) = asked.body["filterGroups"][0]["filters"]
        assert (condition["propertyName"], condition["operator"]) == ("hs_lastmodifieddate", "GTE")
        found = [d for d in self.by_change() if d.deleted is None and _milliseconds(d.modified) >= int(condition["value"])]
        start = int(asked.body.get("after", 0))
        if start >= 10_000:
            return _error(400, "VALIDATION_ERROR")
        end = start + self.page_rows
        return self._page([self._row(d, asked.body["properties"]) for d in found[start:]], str(end) if end < len(found) else None)

    def _row(self, deal: Deal, names: list[str]) -> dict[str, Any]:
        values = {
            "dealname": "A deal",
            "dealstage": STAGES[deal.stage],
            "pipeline": "default",
            "amount": deal.amount,
            "createdate": deal.created,
            "hs_lastmodifieddate": deal.modified,
            **deal.more,
        }
        assert not {*names} & self.hidden, names
        archived = {"archivedAt": deal.deleted} if deal.deleted else {}
        return {"id": deal.id, "properties": {name: values.get(name) for name in names}, "archived": deal.deleted is not None, **archived}

    def _page(self, rows: list[dict[str, Any]], after: str | None) -> Reply:
        paging = {"paging": {"next": {"after": after}}} if after else {}
        return Reply({"results": rows[: self.page_rows], **paging})
