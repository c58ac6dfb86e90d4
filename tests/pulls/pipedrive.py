"""A made-up Pipedrive: lists with cursors in the order of change, deleted deals by their status."""

from typing import Any

from tests.pulls.crm import Deal, FakeCrm
from tests.pulls.server import Asked, Reply

STAGES = {"Talk": 11, "Offer": 12, "Sign": 13}
FIELDS = ("title", "value", "status", "stage_id", "add_time", "update_time")


def _error(status: int, code: str, words: str = "…") -> Reply:
    return Reply({"success": False, "error": words, "code": code}, status)


class FakePipedrive(FakeCrm):
    name = "pipedrive"
    credentials = ("client_id", "client_secret", "refresh_token")
    deals_path = "/deals"
    fields_path = "/dealFields"
    busy = Reply({"success": False, "error": "request over limit"}, 429, {"Retry-After": "2"})
    denied = _error(403, "ERR_FORBIDDEN")
    unknown = _error(404, "ERR_NOT_FOUND")
    expired = _error(401, "ERR_UNAUTHORIZED")
    refused_login = Reply({"success": False, "error": "invalid_grant"}, 400)

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/api/v2/dealFields":
            return self._paged([{"field_code": name} for name in [*FIELDS, *self.added]], asked)
        if asked.path == "/api/v2/stages":
            return self._paged([{"id": number, "name": name} for name, number in STAGES.items()], asked)
        if asked.path == "/api/v2/pipelines":
            return self._paged([{"id": 1, "name": "Sales"}], asked)
        if asked.path == "/api/v2/deals/archived":
            return self._paged([], asked)
        assert asked.path == "/api/v2/deals", asked.path
        assert asked.params["status"].split(",")[-1] == "deleted"
        assert (asked.params["sort_by"], asked.params["sort_direction"]) == ("update_time", "asc")
        since, cursor = asked.params.get("updated_since", "").rstrip("Z"), asked.params.get("cursor", "")
        found = [d for d in self.by_change() if d.modified >= since and f"{d.modified} {d.id}" > cursor]
        next_cursor = f"{found[self.page_rows - 1].modified} {found[self.page_rows - 1].id}" if len(found) > self.page_rows else None
        rows = [self._row(d, asked.params.get("custom_fields", "").split(",")) for d in found[: self.page_rows]]
        return Reply({"success": True, "data": rows, "additional_data": {"next_cursor": next_cursor}})

    def _paged(self, rows: list[dict[str, Any]], asked: Asked) -> Reply:
        start = int(asked.params.get("cursor", 0))
        end = start + self.page_rows
        return Reply({"success": True, "data": rows[start:end], "additional_data": {"next_cursor": str(end) if end < len(rows) else None}})

    def _row(self, deal: Deal, custom: list[str]) -> dict[str, Any]:
        row = {
            "id": int(deal.id),
            "title": "A deal",
            "value": float(deal.amount),
            "currency": "EUR",
            "status": "deleted" if deal.deleted else "open",
            "stage_id": STAGES[deal.stage],
            "pipeline_id": 1,
            "add_time": deal.created,
            "update_time": deal.modified,
            "is_deleted": deal.deleted is not None,
            "custom_fields": {name: deal.more.get(name) for name in custom if name},
        }
        return {name: value for name, value in row.items() if name not in self.hidden}
