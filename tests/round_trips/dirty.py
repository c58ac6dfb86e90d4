"""The company with faults in known places, in any form of file or CRM, and what a run must say of each row.

What belongs here: the planted rows by file and line. What does not: the planting (pipelines/demo/dirt.py), and the forms.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from models.simulated_world import DEMO
from models.simulator import simulate
from pipelines.demo import chinese, salesforce
from pipelines.demo.dirt import ACCEPTED, REJECTED, SET_ASIDE, SUPERSEDED, Dirty, orphaned, plant
from pipelines.demo.names import CATEGORIES
from tests.round_trips.company import SEED, TABLES, Company, simulated
from tests.round_trips.crm_writing import CrmForm, lines, write_csv
from tests.round_trips.file_forms import FileForm, plain
from tests.round_trips.plain_tables import text_tables

WORLD = replace(DEMO, start=date(2025, 7, 1), deals=700, activities_per_week=0.1)
"""As few deals as all kinds of faults find room in."""

Place = tuple[str, str, int]
"""Table, file and line of a row."""


@dataclass(frozen=True)
class Said:
    """What must be said of a row: its verdict and the codes of its faults."""

    verdict: str
    codes: frozenset[str]


@cache
def planted() -> Dirty:
    """The company's rows with the faults in them."""
    return plant(simulate(WORLD, SEED), SEED)


def _company(dirty: Dirty) -> Company:
    frames = {name: dirty.frames[name] for name in TABLES}
    deals, history = frames["opportunities"], frames["stage_history"]
    names = ("Deal " + deals["opportunity_id"].str[5:15]).where(deals["markup"] == "", deals["markup"])
    deals = deals.assign(name=names, forecast_category=deals["stage"].map(CATEGORIES), stage_entered_at=pd.NaT)
    return Company({**frames, "opportunities": deals, "stage_history": history.assign(previous_stage=history.groupby("opportunity_id")["stage"].shift())})


def _with_rows_of_the_form(form: CrmForm, dirty: Company) -> Company:
    """``dirty`` with the rows that the CRM writes besides the canonical ones, of the company without faults."""
    clean = simulated(WORLD)
    frames = dict(dirty.frames)
    for name, frame in form.written(clean).frames.items():
        more = frame.drop(index=clean.frames[name].index)
        if len(more):
            first = frames[name].index.max() + 1
            frames[name] = pd.concat([frames[name], more.set_axis(range(first, first + len(more)))])
            time = "entered_at" if name == "stage_history" else "changed_at"
            frames[name] = frames[name].sort_values(["opportunity_id", time], kind="stable")
    return Company(frames)


def write_crm(form: CrmForm, folder: Path) -> dict[Place, Said]:
    """Write the CRM's files with the faults in them; the rows of which something must be said."""
    folder.mkdir()
    dirty = planted()
    company = _with_rows_of_the_form(form, _company(dirty))
    tables = form.tables(company)
    words = chinese.WORDS if form.encoding == "gb18030" else salesforce.WORDS
    for file in form.files:
        table = tables[file.name]
        for patch in dirty.patches:
            name = _IN_A_LOG.get(patch.column, patch.column) if file.source == "log" else patch.column
            header = next((h for h, value in file.columns.items() if value == name), None)
            if header and file.source in (patch.table, "log"):
                table.loc[(table.index == patch.label) & (table["_table"] == patch.table), header] = words[patch.word]
        write_csv(folder / file.name, table, form.encoding)
    for name, content in form.lookups.items():
        (folder / name).write_text(content, encoding=form.encoding)
    places = {}
    for name, source in form.exports["tables"].items():
        own = tables[source["files"]]
        places |= {(name, label): (name, source["files"], line) for label, line in lines(own)[own["_table"] == name].items()}
    said = _said(dirty, company, places, one_close_date=not any("closed_at" in file.columns.values() for file in form.files))
    return said | _of_the_log(form, said, _changed_again(dirty, company, places))


def _changed_again(dirty: Dirty, company: Company, places: Mapping[tuple[str, int], Place]) -> Iterator[Place]:
    """Stage entries at whose instant a later row of the log names a stage that nobody knows."""
    history = company.frames["stage_history"]
    unknown = [f.label for f in dirty.faults if f.table == "stage_history" and "unknown_stage" in f.codes]
    for label in unknown:
        same = history[["opportunity_id", "entered_at"]].eq(history.loc[label, ["opportunity_id", "entered_at"]]).all(axis=1)
        yield from (places["stage_history", other] for other in history.index[same].difference([label]))


def _of_the_log(form: CrmForm, said: dict[Place, Said], changed_again: Iterator[Place]) -> dict[Place, Said]:
    """Where one file is the history of the stage and of all fields, a row of the stage is a changed field, too.

    As such any word is a value, and of two at one instant the later row counts.
    """
    files = {name: source["files"] for name, source in form.exports["tables"].items()}
    if files["stage_history"] != files["field_history"]:
        return {}
    changed = {}
    for (table, file, line), row in said.items():
        codes = frozenset(_OF_A_CHANGE.get(code, code) for code in row.codes) - {None}
        if table == "stage_history" and (codes or row.verdict == SUPERSEDED):
            changed["field_history", file, line] = Said(row.verdict, codes)
    return changed | {("field_history", file, line): Said(SUPERSEDED, frozenset()) for _, file, line in changed_again}


_IN_A_LOG = {"stage": "new_value", "entered_at": "changed_at"}
_OF_A_CHANGE = {
    "entered_in_future": "changed_in_future",
    "unreadable_entered_at": "unreadable_changed_at",
    "unknown_stage": None,
    "entered_before_created": None,
    "entered_after_closed": None,
}
"""What a fault of a stage entry is as one of a changed field; null where it is none."""


def write_plain(form: FileForm, folder: Path) -> tuple[dict, dict[Place, Said]]:
    """Write plain tables with the faults in them: the part of the configuration about exports, and what must be said."""
    folder.mkdir()
    dirty = planted()
    company = _company(dirty)
    settings, places = {}, {}
    for name, table in text_tables(company).items():
        for patch in dirty.patches:
            if patch.table == name:
                table.loc[patch.label, patch.column] = salesforce.WORDS[patch.word]
        [file] = plain(folder, name, table, form)
        settings[name] = {"files": file, **form.settings}
        places |= {(name, label): (name, file, line) for label, line in form.lines(table).items()}
    settings["opportunities"]["required"] = ["created_at"]
    return {"crm": "plain", "tables": settings}, _said(dirty, company, places, one_close_date=False)


def _said(dirty: Dirty, company: Company, places: Mapping[tuple[str, int], Place], *, one_close_date: bool) -> dict[Place, Said]:
    """What must be said: the planted codes of each row, and those that follow from them for it and for other rows."""
    faults = [f for f in (*dirty.faults, *orphaned(dict(company.frames), dirty.faults)) if f.table in TABLES]
    verdicts = {(f.table, f.label): f.verdict for f in faults}
    codes = {(f.table, f.label): {*f.codes} for f in faults}
    for table, label, code in _following(dirty, company):
        codes.setdefault((table, label), set()).add(code)
    for of_row in codes.values():
        if one_close_date and "unreadable_expected_close_date" in of_row:
            of_row.add("unreadable_closed_at")
    said = {row: Said(verdicts.get(row, ACCEPTED), frozenset(of_row)) for row, of_row in codes.items()}
    return {places[row]: what for row, what in said.items() if what != Said(ACCEPTED, frozenset())}


def _following(dirty: Dirty, company: Company) -> Iterator[tuple[str, int, str]]:
    """Table, label and code of what planted rows mean for others: versions of a deal that disagree, entries beside its dates."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    rejected = {f.label for f in dirty.faults if f.table == "opportunities" and f.verdict == REJECTED}
    spoilt = {(p.table, p.label) for p in dirty.patches if p.word != "unknown_stage"}
    amounts = deals.groupby("opportunity_id")["amount"].transform("nunique")
    yield from (("opportunities", label, "conflicting_versions") for label in deals.index[amounts > 1])
    in_force = (
        deals.assign(stands=~deals.index.isin(rejected)).sort_values(["stands", "updated_at"], kind="stable").drop_duplicates("opportunity_id", keep="last")
    )
    in_force = in_force[[("opportunities", label) not in spoilt or label not in rejected for label in in_force.index]].set_index("opportunity_id")
    days = history["entered_at"].dt.normalize()
    created, closed = (history["opportunity_id"].map(in_force[name]).dt.normalize() for name in ("created_at", "closed_at"))
    for code, is_so in (("entered_before_created", days < created), ("entered_after_closed", days > closed)):
        yield from (("stage_history", label, code) for label in history.index[is_so] if ("stage_history", label) not in spoilt)


def found(tables: Mapping[str, pa.Table], ignored: frozenset[str]) -> dict[Place, Said]:
    """What a run says of every row that is not accepted without any code but the ``ignored`` ones."""
    said = {}
    for name, table in tables.items():
        for row in table.select(["_file", "_line", "_verdict", "_reasons", "_set_aside"]).to_pylist():
            codes = frozenset(row["_reasons"]) - ignored
            verdict = SET_ASIDE if row["_verdict"] == "accepted" and row["_set_aside"] else row["_verdict"]
            if verdict != "accepted" or codes:
                said[name, row["_file"], row["_line"]] = Said(verdict, codes)
    return said
