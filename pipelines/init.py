"""The command that writes a first configuration from export files, and what it says.

What belongs here: the file that is written and the lines on the terminal. What does not: what is proposed (pipelines/proposal).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assets.exports.files import shown_place
from assets.exports.proposing.stage_templates import stage_templates
from models.errors import LeadlineError
from pipelines.configuration import load_configuration
from pipelines.configuration_file import nearest
from pipelines.errors import HomeError
from pipelines.home import staged_file
from pipelines.proposal.given import given_exports
from pipelines.proposal.propose import Proposal, propose


class InitError(LeadlineError):
    """The configuration cannot be written where it should be, or by the template that was named."""

    exit_code = 2


@dataclass(frozen=True)
class Written:
    """Where the proposal was written, and the folder of the exports as a person would name it."""

    path: Path
    folder: str
    proposal: Proposal


def write_first_configuration(places: Sequence[str], out: Path, template: str | None = None, force: bool = False) -> Written:
    """Propose a configuration for the exports at ``places`` and write it to ``out``.

    Raises InitError where there is a file already and ``force`` is not given, where the template is not known, or where the
    file cannot be written; ProposalError and ExportError where nothing can be proposed; ConfigurationError where the proposal
    does not load, which is an error of Leadline's own. What stood at ``out`` is as it was then.
    """
    if template is not None and template not in stage_templates():
        near = nearest(template, stage_templates())
        known = ", ".join(f"{name} ({t.labels.en})" for name, t in stage_templates().items())
        raise InitError(f"there is no template {template!r}", expected=f"one of {known}", remedy=f"did you mean {near}?" if near else None)
    if out.exists() and not force:
        raise InitError(f"{out} is there already", remedy="name another file with --out, or overwrite it with --force")
    given = given_exports(places)
    proposal = propose(given, _name_of(given.folder), template)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with staged_file(out) as beside:
            beside.write_text(proposal.text, encoding="utf-8")
            load_configuration(beside)
    except (OSError, HomeError) as error:
        raise InitError(f"{out} cannot be written ({_why(error)})", remedy="name another file with --out") from error
    return Written(out, shown_place(given.folder), proposal)


def written_lines(written: Written) -> list[str]:
    """What was recognised, what a run would accept, the questions with their numbers, and what to do next."""
    proposal = written.proposal
    lines = [f"{written.path}: written from {sum(len(files) for files in proposal.tables.values())} files, CRM {proposal.data['exports']['crm']}"]
    for table, files in proposal.tables.items():
        v = proposal.verdicts[table]
        lines.append(f"  {table}: {', '.join(files)}: {v.read:,} read = {v.accepted:,} accepted + {v.superseded:,} superseded + {v.rejected:,} rejected")
    for name, sources in proposal.data["exports"].get("lookups", {}).items():
        lines.append(f"  lookup {name}: {sources['files']}")
    lines += [f"  not read: {name}: {why}" for name, why in sorted(proposal.unused.items())]
    lines.append(f"as of {proposal.as_of}")
    lines.append(f"{len(proposal.questions)} questions, marked # CONFIRM: in the file:")
    for number, q in enumerate(proposal.questions, start=1):
        lines += [f"{number}. {q.keys}: {q.proposal}", f"   because: {q.evidence}", f"   otherwise: {q.effect}"]
    lines.append(f"then: leadline check --config {written.path} --exports {written.folder}")
    return lines


def _why(error: OSError | HomeError) -> str:
    """The operating system's word for what went wrong."""
    cause = error.__cause__ if isinstance(error, HomeError) else error
    return getattr(cause, "strerror", None) or "an error"


def _name_of(folder) -> str:
    """A name for the company until somebody writes the right one: that of the folder."""
    names = [part for part in Path(str(folder)).absolute().parts if part not in ("exports", "data", "export", "/")]
    return names[-1].replace("_", " ").title() if names else "Company"
