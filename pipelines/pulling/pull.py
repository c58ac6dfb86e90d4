"""Pulls the tables of a company's CRM into its exports folder, goes on where a pull stopped, and replays past pulls.

What belongs here: the order of things, and what is told. What does not: HTTP (client.py), what is remembered (state.py),
how an export file is made (consolidation.py), the clock: days and times are those of the CRM's answers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from assets.exports.pull_settings import Pull
from assets.exports.pulling import PULLS, SNAPSHOTS, file_name, is_pulled
from assets.exports.pulling.declaration import Ask, CrmPull, Page, Request, Source
from assets.exports.settings import Configuration
from pipelines.pulling.client import Client, StalePage
from pipelines.pulling.consolidation import check_not_vanished, consolidate
from pipelines.pulling.credentials import find_credentials
from pipelines.pulling.errors import NothingToPull, SchemaError
from pipelines.pulling.pulled import PulledTable
from pipelines.pulling.rows import Fields, Lookups, check_own_fields, choose_fields, drift, rows_table
from pipelines.pulling.state import KeptRequest, PastPull, PastTable, Progress, PullFolder, Round, State, TableState

Say = Callable[[str], None]
"""Told what has just been pulled."""

_LISTINGS = 3
"""How often the list of one source is begun in one pull before it is given up."""


class _Anew(Exception):
    """The CRM does not know any more what has changed since the last pull."""


def tables_to_pull(company: Configuration, only: Sequence[str] = ()) -> tuple[str, ...]:
    """The tables to pull: those of the CRM whose export file the configuration reads, opportunities last, or ``only`` these.

    Raises NothingToPull where the configuration has no pull, or a name in ``only`` is none of them.
    """
    if company.pull is None:
        raise NothingToPull(
            "the configuration says nothing of a CRM to pull",
            where="pull",
            expected="pull: with crm, instance_url and credentials",
            remedy="add it; docs/pulling.md has an example for each CRM",
        )
    known = PULLS[company.pull.crm].tables
    configured = company.exports.tables
    there = tuple(name for name in known if name in configured and is_pulled(name, configured[name].files))
    unknown = [name for name in only if name not in there]
    if unknown:
        raise NothingToPull(
            f"--only names {', '.join(unknown)}",
            expected=f"tables that {company.pull.crm} has and whose files below exports.tables are a pull's: {', '.join(there)}",
            remedy="correct the name, or add the table with its files (such as stage_history.parquet) below exports.tables",
        )
    return tuple(name for name in there if not only or name in only)


def pull(
    company: Configuration, configuration: Path, exports: Path, only: Sequence[str], full: bool, say: Say, sleep: Callable[[float], None] = time.sleep
) -> list[PulledTable]:
    """Pull the tables into ``exports``: changes since the last pull, or with ``full`` all rows.

    Export files change only when every table has come. Raises PullError and its kin, or HomeError for a full disk.
    """
    tables = tables_to_pull(company, only)
    settings = company.pull
    assert settings is not None
    crm = PULLS[settings.crm]
    credentials, login = find_credentials(settings.credentials, crm, configuration)
    folder = PullFolder(exports)
    with folder.held(), Client(crm, settings, credentials, login, sleep) as client:
        state = folder.load(crm.name, client.instance_url)
        run = _Run(crm, company, settings, folder, state, client, say)
        notes = {name: run.fetch(name, full) for name in tables}
        return run.publish(tables, notes)


def replay(company: Configuration, exports: Path, name: str) -> Path:
    """Write the export files as the past pull ``name`` left them and return their folder, which a run can read."""
    folder = PullFolder(exports)
    past = folder.past()
    if name not in past:
        raise NothingToPull(
            f"there was no pull {name}",
            where=str(exports),
            expected=f"one of {', '.join([*past][-20:]) or 'no pull at all'}",
            remedy="name one of these; they are the files of the folder pulls",
        )
    target = folder.replay_folder(name)
    for taken in (past[earlier] for earlier in past if earlier <= name):
        for table, part in taken.tables.items():
            parts = [folder.part(table, p) for p in part.parts]
            columns = _column_order(company.pull, table)
            previous = target / part.previous if part.previous else None
            consolidate(previous, parts, columns, part.whole, table in SNAPSHOTS, target / part.file)
    return target


def _column_order(settings: Pull | None, table: str) -> list[str]:
    """Names of a table's columns as they are declared, and those of the company's own fields."""
    assert settings is not None
    declared = [c.name for source in PULLS[settings.crm].tables[table] for c in source.columns]
    return list(dict.fromkeys([*declared, *settings.fields.get(table, ())]))


class _Run:
    """One pull under way."""

    def __init__(self, crm: CrmPull, company: Configuration, settings: Pull, folder: PullFolder, state: State, client: Client, say: Say):
        self._crm = crm
        self._company = company
        self._settings = settings
        self._folder = folder
        self._state = state
        self._client = client
        self._say = say
        self._lookups: dict[str, dict[str, str]] = {}
        self._known: dict[Request, frozenset[str]] = {}
        self._time: datetime | None = None

    def fetch(self, table: str, full: bool) -> list[str]:
        """Bring in what changed of ``table`` and keep it; returns what must be said of its fields."""
        state = self._state.tables.setdefault(table, TableState())
        fields, notes = self._fields(table, state)
        asked = {source.object: list(fields[source.object].asked) for source in self._crm.tables[table]}
        added = sorted({f for name, now in asked.items() for f in now if f not in state.asked.get(name, [])}) if state.asked else []
        if added:
            notes.append(f"{table}: all rows are listed once more, because fields came in: {', '.join(added)}")
        is_lost = state.file is not None and not (self._folder.exports / state.file).exists()
        if is_lost:
            notes.append(f"{table}: all rows are listed once more, because {state.file} is not there any more")
        whole = full or bool(added) or is_lost or not state.since or all(source.listed for source in self._crm.tables[table])
        if state.round is None or state.round.asked != asked or (whole and not state.round.whole) or full:
            self._begin(state, whole, asked)
        try:
            self._sources(table, state, fields)
        except _Anew:
            notes.append(f"{table}: all rows are listed once more, because {self._crm.name} no longer knows what changed since the last pull")
            self._begin(state, True, asked)
            self._sources(table, state, fields)
        return notes

    def _begin(self, state: TableState, whole: bool, asked: dict[str, list[str]]) -> None:
        if whole:
            state.file = state.file if state.file and (self._folder.exports / state.file).exists() else None
        state.round = Round(whole=whole, asked=asked)
        self._folder.save(self._state)

    def _fields(self, table: str, state: TableState) -> tuple[dict[str, Fields], list[str]]:
        """The fields of every source of a table, and what changed of them since the last pull."""
        own = self._settings.fields.get(table, ())
        chosen, notes = dict[str, Fields](), list[str]()
        everything, before, told = set[str](), set[str](), set[str]()
        for source in self._crm.tables[table]:
            known = self._fields_of(source)
            chosen[source.object], left_out = choose_fields(table, source, own, known)
            if known is not None and source.fields:
                key = source.fields.first.path
                if key not in told:
                    notes += drift(table, source.object, known, state.known.get(key), left_out)
                told.add(key)
                everything |= known
                before |= {*state.known.get(key, [])}
        if everything:
            check_own_fields(table, own, everything, before)
        return chosen, notes

    def _fields_of(self, source: Source) -> frozenset[str] | None:
        if source.fields is None:
            return None
        key = source.fields.first.path
        if key not in self._known:
            names, request = [], source.fields.first
            while request is not None:
                found, request = source.fields.read(request, self._answer(request))
                names += found
            self._known[key] = frozenset(names)
        return self._known[key]

    def _sources(self, table: str, state: TableState, fields: dict[str, Fields]) -> None:
        for source in self._crm.tables[table]:
            for listing in range(1, _LISTINGS + 1):
                try:
                    self._source(table, state, source, fields[source.object])
                    break
                except StalePage:
                    assert state.round is not None
                    progress = state.round.sources.get(source.object)
                    since = progress.since if progress else None if state.round.whole else state.since.get(source.object)
                    is_under_way = progress is not None and progress.next is not None
                    if not is_under_way and (since or "").startswith("http"):
                        raise _Anew from None
                    if not is_under_way or listing == _LISTINGS:
                        raise
                    self._forget(state, source)

    def _forget(self, state: TableState, source: Source) -> None:
        """Give up a listing that cannot go on; what came of it is not counted, because the next one brings it again."""
        assert state.round is not None
        state.round.sources.pop(source.object, None)
        state.round.parts = [part for part in state.round.parts if part.source != source.object]
        self._folder.save(self._state)

    def _source(self, table: str, state: TableState, source: Source, fields: Fields) -> None:
        """Go on with a listing that a former pull stopped in, and then list what changed since it began."""
        assert state.round is not None
        progress = state.round.sources.setdefault(source.object, Progress(since=None if state.round.whole else state.since.get(source.object)))
        if progress.next is not None:
            self._listing(table, state, source, fields, progress, progress.next.request())
        self._listing(table, state, source, fields, progress, source.first(Ask(fields.asked, self._since(source, progress))))

    def _since(self, source: Source, progress: Progress) -> str | None:
        if progress.since is None or source.listed or progress.since.startswith("http"):
            return None if source.listed else progress.since
        begin = datetime.fromisoformat(progress.since) - timedelta(minutes=self._settings.overlap_minutes)
        return begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _listing(self, table: str, state: TableState, source: Source, fields: Fields, progress: Progress, request: Request | None) -> None:
        """Read one list to its end; every so many rows they are kept, with the page to go on from."""
        pages: list[Page] = []
        while request is not None:
            page = self._page(source, request)
            assert self._time is not None
            # From here on the next list begins: the time of the first answer, because a row may change once it was read.
            progress.until = page.changes or progress.until or self._time.strftime("%Y-%m-%dT%H:%M:%SZ")
            pages.append(page)
            request = page.next
            if source.tracked and request is None and page.changes is None:
                raise SchemaError(
                    f"the list of {source.object} ends without the address of later changes",
                    where=table,
                    expected="change tracking",
                    remedy="turn on Track changes for that table in its advanced options in the CRM",
                )
            if request is None or sum(len(p.rows) + len(p.gone) for p in pages) >= self._settings.batch_rows:
                progress.next = KeptRequest.of(request) if request else None
                if request is None:
                    progress.since, progress.until = progress.until, None
                rows = rows_table(table, source, fields, pages, self._names(source))
                if rows.num_rows:
                    self._folder.keep(table, state, source.object, rows)
                self._folder.save(self._state)
                self._say(f"{table}: {self._received(table, state):,} rows")
                pages = []

    def _page(self, source: Source, request: Request) -> Page:
        page = source.page(request, self._answer(request))
        if source.then is None:
            return page
        about = source.then(page.rows)
        rows = source.page(about, self._answer(about)).rows if about else ()
        return Page(rows, page.gone, page.next, page.changes)

    def _received(self, table: str, state: TableState) -> int:
        return sum(pq.read_metadata(self._folder.part(table, part.name)).num_rows for part in (state.round.parts if state.round else []))

    def _answer(self, request: Request):
        answer = self._client.send(request)
        self._time = max(self._time or answer.time, answer.time)
        return answer.body

    def _names(self, source: Source) -> Lookups:
        """The lists of names that a source's columns need, each asked for once in a pull."""
        wanted = {v.lookup for c in source.columns for v in c.values if v.lookup}
        for name in sorted(wanted - self._lookups.keys()):
            self._lookups[name] = dict(self._named(name))
        return self._lookups

    def _named(self, name: str) -> Iterator[tuple[str, str]]:
        request: Request | None = self._crm.lookups[name].first
        while request is not None:
            names, request = self._crm.lookups[name].read(request, self._answer(request))
            yield from names.items()

    def publish(self, tables: Sequence[str], notes: dict[str, list[str]]) -> list[PulledTable]:
        """Write the export files of all ``tables`` and remember this pull."""
        assert self._time is not None
        day = self._time.astimezone(ZoneInfo(self._company.time_zone)).date()
        for table in tables:
            self._check(table)
        pulled = [self._write(table, day, notes[table]) for table in tables]
        taken = {table: self._taken(table, day) for table in tables}
        self._folder.remember(self._time.strftime("%Y-%m-%dT%H%M%SZ"), PastPull(day=day, tables=taken))
        for table in tables:
            self._close(table, day)
        self._folder.save(self._state)
        return pulled

    def _check(self, table: str) -> None:
        state, previous = self._state.tables[table], self._previous(table)
        if state.round and state.round.whole and previous:
            check_not_vanished(table, previous, self._parts(table), self._company.thresholds.shrunk_export_share)

    def _write(self, table: str, day: date, notes: list[str]) -> PulledTable:
        state = self._state.tables[table]
        assert state.round is not None
        file = self._folder.exports / file_name(table, day)
        columns = _column_order(self._settings, table)
        written = consolidate(self._previous(table), self._parts(table), columns, state.round.whole, table in SNAPSHOTS, file)
        return PulledTable(table, file, self._received(table, state), written.rows, written.deleted, state.round.whole, tuple(notes))

    def _taken(self, table: str, day: date) -> PastTable:
        state = self._state.tables[table]
        assert state.round is not None
        return PastTable(whole=state.round.whole, file=file_name(table, day), previous=state.file, parts=[part.name for part in state.round.parts])

    def _close(self, table: str, day: date) -> None:
        """The round is over: the next pull begins where its lists began."""
        state = self._state.tables[table]
        assert state.round is not None
        state.file = file_name(table, day)
        state.since = {name: progress.since for name, progress in state.round.sources.items() if progress.since}
        state.asked = state.round.asked
        state.known = {s.fields.first.path: sorted(self._known[s.fields.first.path]) for s in self._crm.tables[table] if s.fields}
        state.round = None

    def _previous(self, table: str) -> Path | None:
        file = self._state.tables[table].file
        return self._folder.exports / file if file else None

    def _parts(self, table: str) -> list[Path]:
        state = self._state.tables[table]
        assert state.round is not None
        return [self._folder.part(table, part.name) for part in state.round.parts]
