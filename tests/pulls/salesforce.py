"""A made-up Salesforce: describe, queryAll by SystemModstamp, query locators that are a state of the past."""

import re
from typing import Any

from tests.pulls.crm import Deal, FakeCrm
from tests.pulls.server import Asked, Reply

FIELDS = {
    "Opportunity": ("Id", "StageName", "Amount", "CreatedDate", "LastModifiedDate", "CloseDate", "IsClosed", "IsWon", "OwnerId", "IsDeleted", "SystemModstamp"),
    "OpportunityHistory": ("Id", "OpportunityId", "StageName", "CreatedDate", "Amount", "IsDeleted", "SystemModstamp"),
    "User": ("Id", "Name", "Department", "ManagerId", "SystemModstamp"),
}


def _error(status: int, code: str, message: str = "…", **headers: str) -> Reply:
    return Reply([{"message": message, "errorCode": code}], status, headers)


class FakeSalesforce(FakeCrm):
    name = "salesforce"
    credentials = ("client_id", "client_secret")
    deals_path = "/queryAll"
    fields_path = "/describe"
    busy = Reply([{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}], 403)
    denied = _error(403, "INSUFFICIENT_ACCESS", "you have no access to wang@example.com")
    unknown = _error(400, "INVALID_TYPE", "sObject type 'Opportunity' is not supported.")
    expired = _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
    refused_login = Reply({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)

    def __init__(self) -> None:
        super().__init__()
        self.history: list[dict[str, Any]] = []
        self.located: dict[str, list[dict[str, Any]]] = {}

    def put(self, id: str, stage: str = "Talk", amount: str = "100.5", **more: Any) -> None:
        super().put(id, stage, amount, **more)
        now = self.server.stamp()
        entry = {"Id": f"008{len(self.history)}", "OpportunityId": id, "StageName": stage, "CreatedDate": now, "Amount": float(amount)}
        self.history.append({**entry, "IsDeleted": False, "SystemModstamp": now})

    def fields(self, name: str) -> list[str]:
        return [f for f in FIELDS[name] if f not in self.hidden] + (self.added if name == "Opportunity" else [])

    def answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/describe"):
            return Reply({"fields": [{"name": name} for name in self.fields(asked.path.split("/")[-2])]})
        if "q" in asked.params:
            return self._page(self._selected(asked.params["q"]))
        locator = asked.path.rsplit("/", 1)[-1]
        return self._page(self.located[locator]) if locator in self.located else _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")

    def _selected(self, query: str) -> list[dict[str, Any]]:
        match = re.fullmatch(r"SELECT (.+) FROM (\w+)(?: WHERE SystemModstamp >= (\S+))? ORDER BY SystemModstamp, Id", query)
        assert match, query
        names, since = match[1].split(", "), match[3] or ""
        rows = {"Opportunity": [self._row(d) for d in self.by_change()], "OpportunityHistory": self.history, "User": []}[match[2]]
        assert {*names} <= {*self.fields(match[2])}, names
        # Text orders these times, since they are written alike but for milliseconds.
        return [{name: row.get(name) for name in names} for row in rows if row["SystemModstamp"] >= since.rstrip("Z")]

    def _row(self, deal: Deal) -> dict[str, Any]:
        return {
            "Id": deal.id,
            "StageName": deal.stage,
            "Amount": float(deal.amount),
            "CreatedDate": deal.created.replace("Z", "+0000"),
            "LastModifiedDate": deal.modified.replace("Z", "+0000"),
            "CloseDate": "2026-12-31",
            "IsClosed": False,
            "IsWon": False,
            "OwnerId": "0051",
            "IsDeleted": deal.deleted is not None,
            "SystemModstamp": deal.modified,
            **deal.more,
        }

    def _page(self, rows: list[dict[str, Any]]) -> Reply:
        page, rest = rows[: self.page_rows], rows[self.page_rows :]
        if not rest:
            return Reply({"totalSize": len(rows), "done": True, "records": page})
        locator = f"01g{len(self.located)}"
        self.located[locator] = rest
        return Reply({"totalSize": len(rows), "done": False, "records": page, "nextRecordsUrl": f"/services/data/v65.0/queryAll/{locator}"})
