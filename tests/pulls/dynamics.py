"""A made-up Dynamics 365: attributes, change tracking with delta tokens, deleted entities, links to next pages."""

from typing import Any

from tests.pulls.crm import Deal, FakeCrm
from tests.pulls.server import Asked, Reply

ATTRIBUTES = {
    "opportunityid": "Uniqueidentifier",
    "name": "String",
    "statecode": "State",
    "stepname": "String",
    "estimatedvalue": "Money",
    "createdon": "DateTime",
    "modifiedon": "DateTime",
    "ownerid": "Owner",
    "transactioncurrencyid": "Lookup",
}
API = "/api/data/v9.2"


def _error(status: int, code: str, message: str = "…", **headers: str) -> Reply:
    return Reply({"error": {"code": code, "message": message}}, status, headers)


class FakeDynamics(FakeCrm):
    name = "dynamics"
    credentials = ("tenant_id", "client_id", "client_secret")
    deals_path = f"{API}/opportunities"
    fields_path = "/Attributes"
    busy = _error(429, "0x80072322", "Number of requests exceeded the limit of 6000", **{"Retry-After": "3"})
    denied = _error(403, "0x80048306", "Principal user is missing prvReadOpportunity privilege")
    unknown = _error(404, "0x80060888", "Resource not found for the segment 'opportunities'.")
    expired = _error(401, "0x80040220")
    refused_login = Reply({"error": "invalid_client", "error_description": "AADSTS7000215"}, 401)

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []
        self.pages: dict[str, tuple[list[dict[str, Any]], int]] = {}
        self.oldest = 0
        """The oldest delta token that is still known."""

    def put(self, id: str, stage: str = "Talk", amount: str = "100.5", **more: Any) -> None:
        super().put(id, stage, amount, **more)
        self.changes.append(id)

    def delete(self, id: str) -> None:
        super().delete(id)
        self.changes.append(id)

    def answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/Attributes"):
            names = {**ATTRIBUTES, **dict.fromkeys(self.added, "String")}
            return Reply({"value": [{"LogicalName": n, "AttributeType": t} for n, t in names.items() if n not in self.hidden]})
        if asked.path.endswith("/transactioncurrencies"):
            return Reply({"value": [{"transactioncurrencyid": "c-1", "isocurrencycode": "EUR"}]})
        assert asked.path == f"{API}/opportunities", asked.path
        if "$skiptoken" in asked.params:
            rows, token = self.pages[asked.params["$skiptoken"]]
            return self._page(rows, token, asked)
        if "$deltatoken" in asked.params:
            token = int(asked.params["$deltatoken"])
            if token < self.oldest:
                return _error(410, "0x80044352", "Version stamp associated with the client has expired.")
            changed = dict.fromkeys(self.changes[token:])
            return self._page([self._row(self.deals[id], asked) for id in changed], len(self.changes), asked)
        assert "odata.track-changes" in asked.headers["prefer"]
        alive = [d for d in self.deals.values() if d.deleted is None]
        return self._page([self._row(d, asked) for d in alive], len(self.changes), asked)

    def _page(self, rows: list[dict[str, Any]], token: int, asked: Asked) -> Reply:
        link = f"{self.server.url}{API}/opportunities?$select={asked.params.get('$select', '').replace(',', '%2C')}"
        page, rest = rows[: self.page_rows], rows[self.page_rows :]
        if not rest:
            return Reply({"value": page, "@odata.deltaLink": f"{link}&$deltatoken={token}"})
        key = str(len(self.pages))
        self.pages[key] = (rest, token)
        return Reply({"value": page, "@odata.nextLink": f"{link}&$skiptoken={key}"})

    def _row(self, deal: Deal, asked: Asked) -> dict[str, Any]:
        if deal.deleted:
            return {"@odata.context": f"{self.server.url}{API}/$metadata#opportunities/$deletedEntity", "id": deal.id, "reason": "deleted"}
        values = {
            "opportunityid": deal.id,
            "name": "A deal",
            "statecode": 0,
            "stepname": deal.stage,
            "estimatedvalue": float(deal.amount),
            "createdon": deal.created,
            "modifiedon": deal.modified,
            "_ownerid_value": "u-1",
            "_transactioncurrencyid_value": "c-1",
            **deal.more,
        }
        return {name: values[name] for name in asked.params["$select"].split(",") if name in values}
