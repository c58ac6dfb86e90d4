"""Runs a job in this process and says what came of it.

What belongs here: choosing the as-of date, handing resources over, turning a failed run into an error for a
person. What does not: the command line (pipelines/cli.py) and anything the job computes.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from assets.exports.settings import Configuration
from assets.exports.source import ExportSource
from models.errors import LeadlineError
from pipelines.configuration import load_configuration
from pipelines.home import Home
from pipelines.report_db import ReportDatabase
from pipelines.resources import PARTITION_TAG, Place

Progress = Callable[[str], None]
"""Told what has just been computed."""


class QualityError(LeadlineError):
    """A blocking check failed; nothing was published and the last good reports stand."""

    exit_code = 7


class RunError(LeadlineError):
    """A step failed for a reason that is Leadline's own; nothing was published."""

    exit_code = 1


@dataclass(frozen=True)
class Outcome:
    """What a finished run left: its id and as-of date, where that date came from, the company, home and database."""

    run_id: str
    as_of: date
    as_of_from: str
    company: Configuration
    home: Home
    database: ReportDatabase


def run_job(job_name: str, place: Place, as_of: date | None, progress: Progress, debug: bool = False) -> Outcome:
    """Run a job of pipelines/jobs.py for one as-of date; by default that of the newest export.

    Raises LeadlineError: ConfigurationError, ExportError, HomeBusyError, PublicationError, QualityError, or RunError
    for what no person outside can mend; with ``debug`` whatever was raised, and Dagster's log. Whatever was published before then still stands.
    """
    from pipelines.definitions import defs

    company = load_configuration(Path(place.config))
    home = Home(Path(place.home).absolute())
    with home.lock():
        database = ReportDatabase(place.report_db or home.report_database_url)
        database.as_of_dates()
        source = ExportSource(Path(place.exports), company)
        export_date, found_in = source.export_date
        chosen = as_of or export_date
        job = defs.resolve_job_def(job_name)
        with _instance() as instance:
            result = job.execute_in_process(
                instance=instance,
                tags={PARTITION_TAG: chosen.isoformat()},
                raise_on_error=debug,
                resources={**job.resource_defs, "place": place, "company": company, "home": home, "source": source, "progress": progress},
                run_config={"loggers": {"console": {"config": {"log_level": "DEBUG" if debug else "CRITICAL"}}}},
            )
    if not result.success:
        raise _failure(result)
    return Outcome(result.run_id, chosen, "asked for" if as_of else found_in, company, home, database)


def _instance() -> dg.DagsterInstance:
    """Where Dagster records the run: DAGSTER_HOME if that is set, so that `dagster dev` shows it, else nowhere.

    Recording some thousand events in Dagster's SQLite files takes a quarter of the demonstration's time.
    """
    return dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral()


def _failure(result: dg.ExecuteInProcessResult) -> LeadlineError:
    """The error to show for a failed run: what a person can mend goes before what only we can."""
    errors = [e.event_specific_data.error for e in result.all_events if e.is_step_failure or e.is_failure]
    for error in errors:
        known = _known(error)
        if known:
            return known
    failed = [e.asset_check_evaluation_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"]
    failed = [c for c in failed if not c.passed and c.blocking]
    if failed:
        lines = [f"{c.asset_key.path[-1].removeprefix('exported_')}: {c.check_name}: {c.description}" for c in failed]
        return QualityError(
            "the data cannot be trusted, so nothing was published; the last good reports stand\n  " + "\n  ".join(lines),
            remedy="mend the rows at the source (leadline check lists them), or change the threshold named above in the configuration",
        )
    steps = [e.step_key for e in result.all_events if e.is_step_failure]
    first = next((e for e in errors if e), None)
    while first is not None and first.cause is not None:
        first = first.cause
    words = first.message.strip() if first else "no reason was recorded"
    return RunError(f"the step {steps[0] if steps else 'that starts the run'} failed: {words}", remedy="run again with --debug and report what it prints")


def _known(error) -> LeadlineError | None:
    classes = {c.__name__: c for c in _subclasses(LeadlineError)}
    while error is not None:
        if error.cls_name in classes:
            text = re.sub(r"^[\w.]+: ", "", error.message, count=1).rstrip()
            shown = LeadlineError(text)
            shown.exit_code = classes[error.cls_name].exit_code
            return shown
        error = error.cause
    return None


def _subclasses(of: type) -> Iterator[type]:
    for direct in of.__subclasses__():
        yield direct
        yield from _subclasses(direct)
