"""Proposes a configuration for given exports, step by step: what they are, how they are read, stages, company, a trial.

What belongs here: the order of these steps, and the notes of what must be confirmed. What does not: any one step.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.as_of import choose_as_of
from assets.exports.errors import ExportError
from assets.exports.files import Folder
from assets.exports.proposing.assigning import DEALS
from assets.exports.proposing.segments import amount_bands, changed_fields, splits_of
from assets.exports.reading import TypedExport, read_table
from assets.exports.settings import Configuration
from pipelines.configuration import nested
from pipelines.proposal.company import draft_as_of, draft_company, draft_splits, newest_day
from pipelines.proposal.drafting import Draft, draft_exports, recognised, without_table
from pipelines.proposal.fields import draft_fields
from pipelines.proposal.given import Given
from pipelines.proposal.questions import Question, asked
from pipelines.proposal.stages import Found, draft_stages
from pipelines.proposal.trial import KeptExports, Tried, ask_about_rejections, tried
from pipelines.proposal.writing import written

CONFIRM = "CONFIRM:"
"""What a comment begins with that marks a choice to confirm."""

_UNTOLD_STAGE = {"stages": [{"key": "unknown"}]}
_ORDER = (
    "name", "language", "currency", "time_zone", "country", "fiscal_year_start_month", "as_of", "exports",
    "stages", "won", "lost", "other_events", "pipelines", "outcome_from", "segments", "amount_bands", "immutable_fields", "severities",
)  # fmt: skip
_HEADINGS = {
    "name": "--- The company",
    "exports": "--- The exports: which file is which table, and how it is written",
    "stages": "--- The stages, in their order",
    "pipelines": "--- The pipelines and their stages, in their order",
    "segments": "--- How reports are split",
    "severities": "--- What is listed in place of rejected",
}


@dataclass(frozen=True)
class Proposal:
    """A configuration as text and data, what a person is asked, what the files are, and what a trial accepted.

    ``as_of`` is the day of the exports; ``unused`` says of every file that is not read why not.
    """

    text: str
    data: dict[str, Any]
    questions: tuple[Question, ...]
    tables: dict[str, tuple[str, ...]]
    unused: dict[str, str]
    verdicts: dict[str, Tried]
    as_of: date


def propose(given: Given, name: str, template: str | None = None) -> Proposal:
    """The configuration proposed for ``given``. Raises ExportError or ProposalError where none can be."""
    read = recognised(given)
    draft = draft_exports(read, given)
    draft_company(draft, read, name)
    typed, left_out = _typed(draft, given.folder)
    deals = typed[DEALS].rows
    history = typed["stage_history"].rows if "stage_history" in typed and typed["stage_history"].rows.num_rows else None
    pipelines = draft_stages(draft, deals, history, template)
    draft_fields(draft, read, deals, pipelines, history is not None)
    _draft_outcome_from(draft)
    owners = typed["owners"].rows if "owners" in typed else None
    changes = changed_fields(typed["field_history"].rows if "field_history" in typed else None)
    draft_splits(draft, splits_of(deals, _is_open(deals, pipelines), owners, changes, len(pipelines)), amount_bands(deals))
    as_of = _as_of(draft, given.folder, typed)
    company = _configuration(draft)
    source = KeptExports(given.folder, company)
    verdicts = tried(source, company, as_of)
    if ask_about_rejections(draft, verdicts, company):
        verdicts = tried(source, _configuration(draft), as_of)
    questions, noted = asked(draft.questions)
    unused = {**given.unreadable, **read.assignment.unknown, **left_out}
    data = {key: draft.data[key] for key in _ORDER if key in draft.data}
    tables = {table: tuple(sheet.name for sheet in files.sheets) for table, files in read.assignment.tables.items() if table not in left_out}
    return Proposal(written(data, _all_notes(draft, data, questions, noted, unused)), data, questions, tables, unused, verdicts, as_of)


def _typed(draft: Draft, folder: Folder) -> tuple[dict[str, TypedExport], dict[str, str]]:
    """Every drafted table, typed, and why those are left out that cannot be read. Opportunities must be readable."""
    typed, left_out = {}, {}
    for table in list(draft.data["exports"]["tables"]):
        company = Configuration.model_validate({**draft.data, "pipelines": [_UNTOLD_STAGE]})
        try:
            typed[table] = read_table(folder, table, company)
        except ExportError as error:
            if table == DEALS:
                raise
            without_table(draft, table, error)
            left_out[table] = error.problems[0]
    return typed, left_out


def _is_open(deals: pa.Table, pipelines: list[Found]) -> pa.ChunkedArray:
    """Marks the deals that neither stage nor outcome nor flags call closed."""
    closed = pa.array(sorted({s for found in pipelines for s in (*found.outcomes.won, *found.outcomes.lost)} | {"won", "lost"}), pa.string())
    is_closed = deals["is_closed"].fill_null(False)
    for column in ("stage", "outcome"):
        is_closed = pc.or_(is_closed, pc.is_in(pc.utf8_trim_whitespace(deals[column]), value_set=closed))
    return pc.invert(is_closed)


def _draft_outcome_from(draft: Draft) -> None:
    """Set what decides between stage and flags only where that is asked."""
    if any(q.place == ("outcome_from",) for q in draft.questions):
        draft.data["outcome_from"] = "stage"
        draft.notes["outcome_from",] = ["What decides where the stage and the closed and won flags of a row disagree: stage or flags."]


def _configuration(draft: Draft) -> Configuration:
    data, _ = nested(draft.data)
    return Configuration.model_validate(data)


def _as_of(draft: Draft, folder: Folder, typed: dict[str, TypedExport]) -> date:
    company = _configuration(draft)
    try:
        found = choose_as_of(folder, company, lambda name: typed[name])
    except ExportError:
        found = None
    draft_as_of(draft, found, newest_day({name: export.rows for name, export in typed.items()}))
    return found[0] if found else draft.data["as_of"]


def _all_notes(draft: Draft, data: dict[str, Any], questions: tuple[Question, ...], noted: tuple[Question, ...], unused: dict[str, str]):
    """The notes with headings, with what must be confirmed, and with what is assumed."""
    notes = {place: list(texts) for place, texts in draft.notes.items()}
    for number, q in enumerate(questions, start=1):
        notes.setdefault(q.place, []).append(f"{CONFIRM} question {number}, {q.keys}. {q.evidence[0].upper()}{q.evidence[1:]}.")
    for q in noted:
        notes.setdefault(q.place, []).append(f"Assumed: {q.proposal}. {q.evidence[0].upper()}{q.evidence[1:]}.")
    for key, heading in _HEADINGS.items():
        if key in data:
            notes[key,] = ["", f"{heading} {'-' * (100 - len(heading))}", *notes.get((key,), [])]
    notes[()] = [
        "Configuration of Leadline, proposed from the exports: every choice stands below what it was read off.",
        f"{len(questions)} choices are marked {CONFIRM} check them, correct the setting where it is wrong, and remove the mark.",
        "All settings are in docs/configuration.md.",
        *(f"Not read: {name}: {why}" for name, why in sorted(unused.items())),
    ]
    return notes
