"""What the four made-up CRMs have in common: deals that change by the server's clock, tokens that expire, faults by name.

What belongs here: that, the company's configuration, and a pull of it. What does not: any CRM's form of answers.
"""

from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assets.exports.reading import read_table
from pipelines.configuration import load_configuration
from pipelines.pulling.pull import pull
from pipelines.pulling.pulled import PulledTable
from tests.pulls.server import Asked, Fault, Reply, Server

SECRETS = {
    "client_id": "an-id-that-is-secret-enough",
    "client_secret": "s3cret-of-the-client-{not a place}",
    "refresh_token": "r3fresh-token",
    "access_token": "acc3ss-token",
    "api_token": "api-t0ken",
    "tenant_id": "tenant-that-nobody-need-know",
}


@dataclass
class Deal:
    """One deal of a made-up CRM."""

    id: str
    stage: str
    amount: str
    created: str
    modified: str
    deleted: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


class FakeCrm(ABC):
    """A CRM on this machine. Below, what each CRM says in its own way."""

    name = ""
    credentials: tuple[str, ...] = ()
    deals_path = ""
    """A part of the path of a page of deals, of the first one too."""
    fields_path = ""
    page_rows = 3
    busy: Reply
    denied: Reply
    unknown: Reply
    expired: Reply
    refused_login: Reply

    def __init__(self) -> None:
        self.server = Server(self._answer)
        self.deals: dict[str, Deal] = {}
        self.hidden: set[str] = set()
        self.added: list[str] = []
        self.tokens = 0

    # what happens in the CRM

    def put(self, id: str, stage: str = "Talk", amount: str = "100.5", **more: Any) -> None:
        """A new deal, or a change of one, now."""
        now = self.server.stamp()
        created = self.deals[id].created if id in self.deals else now
        self.deals[id] = Deal(id, stage, amount, created, now, None, more)

    def delete(self, id: str) -> None:
        self.deals[id].deleted = self.deals[id].modified = self.server.stamp()

    def by_change(self) -> list[Deal]:
        return sorted(self.deals.values(), key=lambda d: (d.modified, d.id))

    # tokens

    def token(self) -> str:
        return f"t0ken-number-{self.tokens}"

    def _answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/token"):
            given = asked.headers.get("authorization", "").removeprefix("Basic ")
            password = b64decode(given).decode().partition(":")[2] if given else asked.body.get("client_secret")
            if password != SECRETS["client_secret"]:
                return self.refused_login
            self.tokens += 1
            return Reply({"access_token": self.token(), "token_type": "Bearer", "expires_in": 3600})
        if asked.headers.get("authorization") != f"Bearer {self.token()}":
            return self.expired
        return self.answer(asked)

    @abstractmethod
    def answer(self, asked: Asked) -> Reply:
        """What the CRM says to a request that carries a token that holds."""

    def expire(self, skip: int = 0) -> None:
        """Let the token expire before the page of deals after the next ``skip``."""

        def gone() -> Reply:
            self.tokens += 1
            return self.expired

        self.server.faults.append(Fault(self.deals_path, gone, skip))

    # the company that uses it

    def configuration(self, **settings: Any) -> str:
        """leadline.yaml of the company."""
        environment = ", ".join(f"{name}: TEST_{name.upper()}" for name in self.credentials)
        more = "".join(f"  {name}: {value}\n" for name, value in {"batch_rows": 1, "first_wait_seconds": 0.01, "timeout_seconds": 5, **settings}.items())
        return (
            "name: Tiny\ntime_zone: UTC\ncurrency: EUR\n"
            "stages: [{key: talk}, {key: offer}, {key: sign}]\n"
            "exports:\n  crm: plain\n  tables:\n"
            "    opportunities: {files: opportunities/*.parquet}\n"
            f"pull:\n  crm: {self.name}\n  instance_url: {self.server.url}\n  login_url: {self.server.url}\n"
            f"  credentials: {{environment: {{{environment}}}}}\n{more}"
        )


@dataclass
class Company:
    """A folder with leadline.yaml and exports that are pulled from ``crm``; ``waits`` are the seconds it was to wait."""

    folder: Path
    crm: FakeCrm
    waits: list[float] = field(default_factory=list)

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def file(self) -> Path:
        return self.folder / "leadline.yaml"

    def configure(self, **settings: Any) -> None:
        self.file.write_text(self.crm.configuration(**settings), encoding="utf-8")

    def pull(self, only: Sequence[str] = (), full: bool = False) -> list[PulledTable]:
        """A pull in this process that does not really wait."""
        return pull(load_configuration(self.file), self.file, self.exports, only, full, lambda told: None, self.waits.append)

    def deals(self) -> dict[str, dict[str, Any]]:
        """The pulled deals of the newest day as Leadline reads them, by id; none stands there twice."""
        rows = read_table(self.exports, "opportunities", load_configuration(self.file)).rows
        newest = max(rows["_snapshot"].to_pylist())
        current = [row for row in rows.to_pylist() if row["_snapshot"] == newest]
        by_id = {row["opportunity_id"]: row for row in current}
        assert len(by_id) == len(current)
        return by_id

    def snapshots(self) -> list[str]:
        return sorted(path.name for path in (self.exports / "opportunities").glob("*"))

    def kept(self) -> bytes:
        """Everything that pulls have left, to look for secrets in."""
        return b"".join(p.read_bytes() for p in sorted(self.exports.rglob("*")) if p.is_file())

    def raw(self, table: str) -> list[dict[str, Any]]:
        """Rows of a table's own file."""
        return pq.read_table(self.exports / f"{table}.parquet").to_pylist()
