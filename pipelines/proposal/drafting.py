"""The part of a configuration that says how the exports are read: CRM, files, columns, written forms.

What belongs here: from assigned files to ``exports`` with its notes and questions. What does not: stages and the company.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assets.exports.crm import CRMS, crm_named
from assets.exports.errors import ExportError, MissingExport, shown
from assets.exports.files import ExportFile
from assets.exports.proposing.assigning import DEALS, Assignment, TableFiles, assign
from assets.exports.proposing.patterns import file_patterns
from assets.exports.proposing.recognise import GENERIC, choose_crm, crm_evidence, mixed_crms
from assets.exports.proposing.sheets import Sheet, whole_form
from assets.exports.proposing.written import DateOrder, WrittenForms, date_setting, written_forms
from models.errors import LeadlineError
from pipelines.configuration_file import Place
from pipelines.proposal.given import Given
from pipelines.proposal.questions import Question, Weight

_TELLING = 6


class ProposalError(LeadlineError):
    """No one configuration can be proposed for what was given."""

    exit_code = 2


@dataclass
class Draft:
    """Settings as they grow, their notes by place, and the questions."""

    data: dict[str, Any]
    notes: dict[Place, list[str]] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)


@dataclass(frozen=True)
class Read:
    """What the exports were found to be: the CRM's name and the headers that tell it, every file's table, and the written forms of every table."""

    crm: str
    telling: tuple[str, ...]
    assignment: Assignment
    forms: Mapping[str, WrittenForms]

    @property
    def deals(self) -> TableFiles:
        """The files of opportunities."""
        return self.assignment.tables[DEALS]


def recognised(given: Given) -> Read:
    """What the given files are. ProposalError where they come from two CRMs, MissingExport without opportunities."""
    evidence = crm_evidence(given.sheets, CRMS)
    mixed = mixed_crms(evidence, CRMS)
    if len(mixed) > 1:
        found = "; ".join(f"{', '.join(files)} from {name}" for name, files in mixed.items())
        raise ProposalError(
            f"opportunities of {len(mixed)} CRMs are mixed: {found}",
            expected="the exports of one CRM for one configuration",
            remedy="name the files of each CRM by themselves and keep a configuration and a home folder for each",
        )
    crm = choose_crm(evidence, CRMS)
    assignment = assign(given.sheets, crm_named(crm), CRMS)
    if DEALS not in assignment.tables:
        names = ", ".join(sheet.name for sheet in given.sheets)
        raise MissingExport(
            f"none of {names} looks like opportunities: one row per deal, with an id and at least two of stage, amount, dates, owner, account; "
            "add that export, or describe the files in a configuration by hand (docs/configuration.md)"
        )
    empty = [sheet.name for sheet in assignment.tables[DEALS].sheets if not sheet.sample.num_rows]
    if len(empty) == len(assignment.tables[DEALS].sheets):
        raise MissingExport(f"{', '.join(empty)}: the opportunities have a header and no rows; export them again")
    forms = {name: written_forms(files, crm_named(crm)) for name, files in assignment.tables.items()}
    return Read(crm, evidence[crm].telling if crm in evidence else (), assignment, forms)


def draft_exports(read: Read, given: Given) -> Draft:
    """``exports`` as it is proposed."""
    tables: dict[str, Any] = {}
    draft = Draft({"exports": {"crm": read.crm, "tables": tables}})
    draft.notes["exports", "crm"] = [
        "No headers of a known CRM: columns are mapped by plain words and by their values."
        if read.crm == GENERIC
        else f"Known by headers of its own: {', '.join(shown(header) for header in read.telling[:_TELLING])}."
    ]
    for name, files in read.assignment.tables.items():
        place: Place = ("exports", "tables", name)
        tables[name] = source = _files_of(files.sheets, given.files)
        notes = [f"{', '.join(s.name for s in files.sheets)}: {_rows(files.sheets)}"]
        if files.columns:
            source["columns"] = dict(files.columns)
            draft.notes[*place, "columns"] = [f"{column}: {shown(header)} ({files.evidence[column]})." for column, header in files.columns.items()]
        if unclaimed := _unclaimed(files):
            notes.append(f"Not read: {', '.join(shown(h) for h in unclaimed[:20])}{' and more' if len(unclaimed) > 20 else ''}.")
        draft.notes[place] = notes
        _add_forms(draft, place, source, read.forms[name], read)
    if read.deals.is_named_id:
        header = read.deals.sheets[0].header[read.deals.positions["opportunity_id"]]
        source = tables[DEALS]
        source["columns"] = {"opportunity_id": header, **{c: h for c, h in source.get("columns", {}).items() if c != "opportunity_id"}}
        draft.questions.append(
            Question(
                Weight.IDS,
                ("exports", "tables", DEALS, "columns"),
                "exports.tables.opportunities.columns.opportunity_id",
                f"{header} stands for the id",
                f"no header is an id, and {header} is different in each of {read.deals.sheets[0].sample.num_rows:,} rows",
                "two deals of one name would count as two versions of one deal; export the id if the CRM has one",
            )
        )
    if read.assignment.lookups:
        draft.data["exports"]["lookups"] = {name: _files_of(sheets, given.files) for name, sheets in sorted(read.assignment.lookups.items())}
        draft.notes["exports", "lookups"] = ["Files that say what ids stand for."]
    return draft


def _files_of(sheets: Sequence[Sheet], all_files: Iterable[ExportFile]) -> dict[str, Any]:
    """``files`` and the form in which they open."""
    names = {sheet.file.name for sheet in sheets}
    patterns = file_patterns([sheet.file for sheet in sheets], [file for file in all_files if file.name not in names])
    files = patterns[0] if len(patterns) == 1 else list(patterns)
    return {"files": files, **whole_form(sheets).model_dump(exclude_none=True)}


def _rows(sheets: Sequence[Sheet]) -> str:
    count = sum(sheet.sample.num_rows for sheet in sheets)
    return f"{count:,} rows" if all(sheet.is_whole for sheet in sheets) else f"more than {count:,} rows, of which as many were looked at"


def _unclaimed(files: TableFiles) -> list[str]:
    """Headers of the first file that nothing is read from."""
    used = {*files.positions.values()}
    return [header for p, header in enumerate(files.sheets[0].header) if header and p not in used]


def _add_forms(draft: Draft, place: Place, source: dict[str, Any], forms: WrittenForms, read: Read) -> None:
    """Dates, decimal commas and spellings of nothing of one table."""
    order, why = _date_order(forms, read)
    if dates := date_setting(forms, crm_named(read.crm), order):
        source["dates"] = list(dates)
        draft.notes[*place, "dates"] = [why] if why else ["Numbers of five digits are days as Excel counts them."]
    if forms.order and "proves" not in why:
        draft.questions.append(
            Question(
                Weight.DATES,
                (*place, "dates"),
                f"{'.'.join(str(p) for p in place)}.dates",
                f"{order} first",
                _why_unclear(forms.order),
                f"{'month' if order == 'day' else 'day'} first would be dates: {list(forms.order.forms['month' if order == 'day' else 'day'])}",
            )
        )
    if forms.decimal_comma:
        source["decimal_comma"] = True
        draft.notes[*place, "decimal_comma"] = [f"Amounts such as 1.234,50 in {forms.decimal_comma}."]
    if forms.empty:
        source["empty"] = sorted({*crm_named(read.crm).empty, *forms.empty})
        draft.notes[*place, "empty"] = ["Stand among dates or amounts where there is nothing."]


def _date_order(forms: WrittenForms, read: Read) -> tuple[str, str]:
    """The order of day and month, and what shows it: this table, else another one of the same exports."""
    for of, said in ((forms, ""), *((other, " of another table") for other in read.forms.values())):
        order = of.order
        if forms.order and order and bool(order.day_first) != bool(order.month_first):
            proof = order.day_first or order.month_first
            first = "day" if order.day_first else "month"
            return first, f"{first.capitalize()} first: {proof}{said} proves it, and nothing the opposite."
    return "day", "" if forms.order is None else "Nothing shows whether day or month comes first."


def _why_unclear(order: DateOrder) -> str:
    if order.day_first and order.month_first:
        return f"{order.day_first} can only be day first and {order.month_first} only month first: the files mix both"
    return f"{order.texts:,} dates, none of which shows the order"


def without_table(draft: Draft, name: str, error: ExportError) -> None:
    """Take a table out that cannot be read, and say so."""
    place: Place = ("exports", "tables", name)
    files = draft.data["exports"]["tables"].pop(name)["files"]
    draft.notes = {p: n for p, n in draft.notes.items() if p[: len(place)] != place}
    draft.questions = [q for q in draft.questions if q.place[: len(place)] != place]
    draft.notes.setdefault(("exports", "tables"), []).append(f"{name} ({files}) is left out: {error.problems[0]}")
