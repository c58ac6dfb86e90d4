"""What a pull remembers beside the export files: how far it is, and what came.

What belongs here: the state file, its lock, the parts that keep rows as they came, the list of past pulls. What does not:
what the rows mean (assets/exports/pulling) and how export files are made of the parts (consolidation.py).

Below the exports folder:

    pulls/state.json                how far each table is; replaced whole after every part
    pulls/changes/<table>/*.parquet the rows that came, never changed; one that the state does not name was never finished
    pulls/<time>.json               what one pull took: its parts by table, in their order
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from assets.exports.pulling.declaration import Request
from pipelines.errors import HomeBusyError
from pipelines.home import replace_file, room_for, staged_file
from pipelines.pulling.errors import PullError

FOLDER = "pulls"


class KeptRequest(BaseModel):
    """A request as it is kept; it holds no credentials."""

    path: str
    params: dict[str, str] = {}
    json_body: dict[str, Any] | None = None
    headers: dict[str, str] = {}

    @classmethod
    def of(cls, request: Request) -> "KeptRequest":
        """``request`` to be kept."""
        return cls(path=request.path, params=dict(request.params), json_body=request.json and dict(request.json), headers=dict(request.headers))

    def request(self) -> Request:
        """The request to be sent again."""
        return Request(self.path, self.params, self.json_body, self.headers)


class Progress(BaseModel):
    """How far one source is in the round under way: where its next listing begins, and the one it stopped in."""

    since: str | None = None
    next: KeptRequest | None = None
    until: str | None = None


class Part(BaseModel):
    """A file of rows as they came, and whose they are."""

    name: str
    source: str


class Round(BaseModel):
    """What came since the export file was last written. ``whole`` says that all rows were asked for."""

    whole: bool
    asked: dict[str, list[str]]
    parts: list[Part] = []
    sources: dict[str, Progress] = {}


class TableState(BaseModel):
    """One table: its export file and where changes since then begin; fields known and asked for, by source."""

    file: str | None = None
    since: dict[str, str] = {}
    known: dict[str, list[str]] = {}
    asked: dict[str, list[str]] = {}
    next_part: int = 1
    round: Round | None = None


class State(BaseModel):
    """Everything that a pull remembers."""

    crm: str
    instance_url: str
    tables: dict[str, TableState] = {}


class PastTable(BaseModel):
    """What one pull took of a table, and the file whose state it went on from."""

    whole: bool
    file: str
    previous: str | None
    parts: list[str]


class PastPull(BaseModel):
    """One finished pull."""

    day: date
    tables: dict[str, PastTable]


class PullFolder:
    """The state of the pulls into one exports folder; `held` by one pull at a time."""

    def __init__(self, exports: Path):
        self.exports = exports
        self._folder = exports / FOLDER
        self._file = self._folder / "state.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this pull; the operating system drops the lock with its process."""
        with room_for(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "pull.lock", "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HomeBusyError(
                    "another pull into this exports folder is under way",
                    where=str(self._folder),
                    expected="one pull at a time",
                    remedy="wait until it ends, or stop that process if it hangs; its lock goes with it",
                ) from None
            for unfinished in (*self._folder.rglob(".*.*"), *self.exports.glob(".*.parquet.*"), *self.exports.glob("*/.*.parquet.*")):
                unfinished.unlink(missing_ok=True)
            yield

    def load(self, crm: str, instance_url: str) -> State:
        """The state, empty before the first pull; PullError where it is another CRM's or cannot be read."""
        if not self._file.exists():
            return State(crm=crm, instance_url=instance_url)
        try:
            state = State.model_validate_json(self._file.read_bytes())
        except ValidationError as error:
            raise PullError(
                f"the state of the pulls cannot be understood ({error.error_count()} errors)",
                where=str(self._file),
                expected="the file as the last pull left it",
                remedy=f"bring it back from a backup, or move the folder {self._folder} away: the next pull then lists all rows anew",
            ) from None
        if (state.crm, state.instance_url) != (crm, instance_url):
            raise PullError(
                f"this folder holds pulls of {state.crm} at {state.instance_url}",
                where=str(self._file),
                expected=f"{crm} at {instance_url}, as the configuration says",
                remedy="pull into another exports folder, so that two CRMs' deals are not mixed",
            )
        return state

    def save(self, state: State) -> None:
        """Replace the state file whole."""
        replace_file(self._file, state.model_dump_json(indent=1).encode())

    def keep(self, table: str, state: TableState, source: str, rows: pa.Table) -> None:
        """Write ``rows`` as the next part of ``table``; it counts once the state that names it is saved."""
        assert state.round is not None
        name = f"{state.next_part:08d}.parquet"
        path = self.part(table, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        first = state.next_part << 32
        rows = rows.append_column("_order", pa.array(range(first, first + rows.num_rows), pa.int64()))
        with staged_file(path) as staged:
            pq.write_table(rows, staged, compression="zstd")
        state.round.parts.append(Part(name=name, source=source))
        state.next_part += 1

    def part(self, table: str, name: str) -> Path:
        """The file of a part."""
        return self._folder / "changes" / table / name

    def remember(self, time: str, pull: PastPull) -> str:
        """Add a finished pull to those that can be replayed and return its name."""
        taken = {path.stem for path in self._folder.glob("*.json")}
        name = next(n for n in (time, *(f"{time}-{k:02d}" for k in range(2, 100))) if n not in taken)
        replace_file(self._folder / f"{name}.json", pull.model_dump_json(indent=1).encode())
        return name

    def past(self) -> dict[str, PastPull]:
        """All finished pulls by name, in their order."""
        files = {path.stem: path for path in self._folder.glob("*.json") if path != self._file}
        return {name: PastPull.model_validate_json(files[name].read_bytes()) for name in sorted(files)}

    def replay_folder(self, name: str) -> Path:
        """Where the export files of a past pull are written."""
        return self._folder / "replays" / name
