"""Runs a job in this process and says what came of it.

What belongs here: choosing the as-of date, handing resources over, turning a failed run into an error for a
person. What does not: the command line (pipelines/cli.py) and anything the job computes.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from assets.core.records import records_without_export
from assets.declare import AS_OF
from assets.exports.as_of import ASKED_FOR
from assets.exports.exported import tables_without_export
from assets.exports.files import exports_folder
from assets.exports.settings import Configuration
from assets.exports.source import ExportSource
from models.errors import LeadlineError
from pipelines.configuration import load_configuration
from pipelines.engine.duckdb import DuckDB
from pipelines.errors import RunError
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.process import give_memory_back
from pipelines.report_db import ReportDatabase
from pipelines.resources import PARTITION_TAG, Place, latest_day

Progress = Callable[[str], None]
"""Told what has just been computed."""

_MEND_EXPORTS = "mend the rows at the source (leadline check lists them) or export them again; where the export is right, change the setting named above"
_CHOOSE_LATER = "choose a later as-of date, or correct the dates of creation in the export"
_REPORT = "this is a fault of Leadline and not of the exports: report it with the lines above"


@dataclass(frozen=True)
class Outcome:
    """What a run left: its id and as-of date, where that date came from, the company, home and database.

    ``stored`` names the tables that it wrote into the lake; those of a run that was stopped are not all.
    """

    run_id: str
    as_of: date
    as_of_from: str
    company: Configuration
    home: Home
    database: ReportDatabase
    stored: frozenset[str]


class AsOfError(LeadlineError):
    """The as-of date lies before all dates that Leadline can compute."""

    exit_code = 2


class QualityError(LeadlineError):
    """A blocking check failed; nothing was published and the last good reports stand.

    ``outcome`` is what the run left until then.
    """

    exit_code = 7

    def __init__(self, failed: list[str], remedy: str, outcome: Outcome):
        self.outcome = outcome
        super().__init__("\n  ".join(["a check failed, so nothing was published; what was published before stands", *failed]), remedy=remedy)


class StoppedError(LeadlineError):
    """Somebody stopped the run (Ctrl-C, or SIGTERM); nothing was published."""

    exit_code = 130


def run_job(job_name: str, place: Place, as_of: date | None, progress: Progress, debug: bool = False, origins: int | None = None) -> Outcome:
    """Run a job of pipelines/jobs.py for one as-of date; by default that of the newest export, with ``origins`` instead of those configured.

    Raises LeadlineError: ConfigurationError, AsOfError, ExportError, HomeError, PublicationError, QualityError, or
    RunError for what no person outside can mend. With ``debug`` the traces of what failed and Dagster's log are printed
    before. What was published before then still stands.
    """
    from pipelines.definitions import defs

    give_memory_back()
    company = _with_origins(load_configuration(Path(place.config)), origins)
    home = Home(Path(place.home).absolute())
    with home.lock():
        database = ReportDatabase(place.report_db or home.report_database_url)
        database.as_of_dates()
        source = ExportSource(exports_folder(place.exports), company)
        export_date, found_in = source.export_date
        chosen = as_of or export_date
        found_in = ASKED_FOR[company.language] if as_of else found_in
        _check_as_of(chosen, found_in, export_date)
        job, engine = defs.resolve_job_def(job_name), DuckDB(home.spill)
        lake = Lake(home.lake, engine, chosen)
        absent = {**tables_without_export(source, company, engine, chosen, export_date), **records_without_export(company)}
        for name, table in absent.items():
            lake.store(name, table)
        job = job.get_subset(asset_selection={key for key in job.asset_layer.executable_asset_keys if key.path[-1] not in absent})
        with _instance() as instance:
            result = job.execute_in_process(
                instance=instance,
                tags={PARTITION_TAG: chosen.isoformat()},
                raise_on_error=False,
                resources={**job.resource_defs, "place": place, "company": company, "home": home, "source": source, "engine": engine, "progress": progress},
                run_config={"loggers": {"console": {"config": {"log_level": "DEBUG" if debug else "CRITICAL"}}}},
            )
    stored = frozenset(e.asset_key.path[-1] for e in result.all_events if e.is_step_materialization)
    outcome = Outcome(result.run_id, chosen, found_in, company, home, database, stored)
    if not result.success:
        if debug:
            _print_traces(result)
        raise _failure(result, outcome)
    return outcome


def _with_origins(company: Configuration, origins: int | None) -> Configuration:
    return company if origins is None else company.model_copy(update={"forecast": company.forecast.model_copy(update={"origins": origins})})


def _print_traces(result: dg.ExecuteInProcessResult) -> None:
    """Print what each failed step raised, with its traceback, to the standard error."""
    for event in result.all_events:
        if event.is_step_failure and event.event_specific_data.error:
            print(event.event_specific_data.error.to_string(), file=sys.stderr)


def _check_as_of(as_of: date, found_in: str, export_date: date) -> None:
    first = AS_OF.start.date()
    latest = max(latest_day(), export_date)
    if as_of > latest:
        raise AsOfError(
            f"the as-of date {as_of} lies in the future",
            where=found_in,
            expected=f"a day that is over, at the latest {latest}; the newest export is of {export_date}",
            remedy="ask for an earlier day with --as-of, or leave it out",
        )
    if as_of < first:
        raise AsOfError(
            f"the as-of date {as_of} is too early",
            where=found_in,
            expected=f"a day from {first} on",
            remedy="ask for a later day with --as-of, or correct the date where it was found",
        )


def _instance() -> dg.DagsterInstance:
    """Where Dagster records the run: DAGSTER_HOME if that is set, so that `dagster dev` shows it, else nowhere.

    Recording some thousand events in Dagster's SQLite files takes a quarter of the demonstration's time.
    """
    return dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral()


def _failure(result: dg.ExecuteInProcessResult, outcome: Outcome) -> LeadlineError:
    """The error to show for a failed run: what a person can mend goes before what only we can."""
    errors = [e.event_specific_data.error for e in result.all_events if e.is_step_failure or e.is_failure]
    for error in errors:
        known = _known(error)
        if known:
            return known
    evaluated = [e.asset_check_evaluation_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"]
    failed = [c for c in evaluated if not c.passed and c.blocking]
    if failed:
        return QualityError(_lines(failed), _remedy(failed), outcome)
    steps = [e.step_key for e in result.all_events if e.is_step_failure]
    if any(e is not None and e.cls_name == dg.DagsterExecutionInterruptedError.__name__ for e in errors):
        return StoppedError(f"the run was stopped at the step {steps[0]}; what was published before stands", remedy="run again")
    first = next((e for e in errors if e), None)
    while first is not None and first.cause is not None:
        first = first.cause
    return RunError(f"the step {steps[0] if steps else 'that starts the run'}", first.cls_name if first else None, first.stack if first else ())


def _lines(failed: list[dg.AssetCheckEvaluation]) -> list[str]:
    return [f"{c.asset_key.path[-1].removeprefix('exported_')}: {c.check_name}: {c.description}" for c in failed]


def _remedy(failed: list[dg.AssetCheckEvaluation]) -> str:
    if any(c.asset_key.path[-1].startswith("exported_") for c in failed):
        return _MEND_EXPORTS
    return _CHOOSE_LATER if {c.check_name for c in failed} == {"not_empty"} else _REPORT


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
