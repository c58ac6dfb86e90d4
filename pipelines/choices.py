"""What each choice of a configuration does to the counts, as lines for a person.

What belongs here: lines made from counted exports. What does not: the counting (assets/exports/choices.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc

from assets.exports.choices import SpellingCount, file_choices, spelling_counts
from assets.exports.errors import ExportError, listed
from assets.exports.files import Folder
from assets.exports.settings import Configuration
from assets.query import Query
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake
from pipelines.proposal.propose import CONFIRM
from pipelines.proposal.stages import is_quotable
from pipelines.run import Outcome

_STAGED = {"opportunities": "CAST(NULL AS VARCHAR)", "stage_history": "stage_kind"}
"""Tables that hold stages, and what says there whether a spelling is set aside."""

_SPELLINGS_SHOWN = 40


def choice_lines(outcome: Outcome, folder: Folder, configuration_file: Path) -> list[str]:
    """What stages, forms of dates, owners and the mapping do, and which choices are still marked to be confirmed."""
    company = outcome.company
    engine = DuckDB(outcome.home.spill)
    lake = Lake(outcome.home.lake, engine, outcome.as_of)
    lines = ["what each choice does:"]
    for name, kind in _STAGED.items():
        if name in company.exports.tables and f"exported_{name}" in outcome.stored:
            judged = engine.arrow(Query(f"SELECT stage, stage_key, {kind} AS stage_kind FROM exported", {"exported": lake.parquet(f"exported_{name}")}))
            lines += _stage_lines(name, spelling_counts(judged))
    if "exported_opportunities" in outcome.stored:
        owners = engine.arrow(Query("SELECT owner_id FROM exported", {"exported": lake.parquet("exported_opportunities")}))["owner_id"]
        lines.append(f"  owners: {pc.count_distinct(owners).as_py():,} in the opportunities, {owners.null_count:,} of {len(owners):,} rows without one")
    for name in company.exports.tables:
        lines += _file_lines(name, folder, company)
    return lines + _unconfirmed(configuration_file)


def _stage_lines(table: str, counts: list[SpellingCount]) -> Iterator[str]:
    for count in counts[:_SPELLINGS_SHOWN]:
        kind = "no stage, set aside" if count.is_beside else count.stage or "unknown, rejected"
        spelling = repr(count.spelling) if is_quotable(count.spelling) else "(hidden: looks like a person's)"
        yield f"  {table}: stage {spelling} is {kind}: {count.rows:,} rows"
    if len(counts) > _SPELLINGS_SHOWN:
        yield f"  {table}: and {len(counts) - _SPELLINGS_SHOWN:,} more spellings"


def _file_lines(table: str, folder: Folder, company: Configuration) -> Iterator[str]:
    try:
        choices = file_choices(folder, table, company)
    except ExportError:
        return  # the table could not be read at all, which the findings say
    if choices.dates:
        yield f"  {table}: dates: " + ", ".join(f"{count:,} by {form}" for form, count in sorted(choices.dates.items(), key=lambda d: (-d[1], d[0])))
    for file, headers in sorted(choices.unclaimed.items()):
        yield f"  {table}: {file}: nobody reads {listed(headers)}"


def _unconfirmed(path: Path) -> list[str]:
    """The marks that are still in the configuration."""
    return [
        f"  still to be confirmed: {path.name}:{number}: {line.strip().removeprefix(f'# {CONFIRM}').strip().partition('. ')[0]}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if line.strip().startswith(f"# {CONFIRM}")
    ]
