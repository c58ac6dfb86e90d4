"""The leadline command.

What belongs here: arguments, what is printed, exit codes. What does not: the work.
Exit codes: 0 done; 1 an error of Leadline's own; 2 configuration or arguments; 3 report database; 4 home folder;
5 another run holds the home folder; 6 exports; 7 a blocking quality check failed; 8 nothing known of what was asked;
9 the CRM could not be pulled; 130 stopped by Ctrl-C or SIGTERM.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from models.errors import LeadlineError
from pipelines.errors import RunError
from pipelines.process import collect_rarely, run_and_end

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="From CRM exports to a published forecast.")
# Without emoji, which rich would make of what stands between two colons, such as the line in FILE:100:.
shown = Console(highlight=False, soft_wrap=True, emoji=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

DEFAULT_HOME = Path("leadline-home")

ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration, leadline.yaml.")]
ExportsOption = Annotated[str, typer.Option("--exports", help="The folder that holds the exports, or its URL in an object store (s3://bucket/folder).")]
HomeOption = Annotated[Path, typer.Option("--home", help="The folder that holds the lake, reports.sqlite and report.html.")]
AsOfOption = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The date as of which to compute; an earlier one uses only what was known then.")
]
DatabaseOption = Annotated[
    str, typer.Option("--report-db", envvar="LEADLINE_REPORT_DB", help="URL of the report database (SQLAlchemy); by default reports.sqlite in the home.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks and Dagster's own log.")]


@contextmanager
def _told(debug: bool) -> Iterator[None]:
    """Turn an error into a message and its exit code; with ``debug`` its traceback goes before."""
    try:
        yield
    # Whatever it is: Python's own traceback would show values of the exports, so only its kind and place are told.
    except Exception as error:
        if debug:
            errors.print(traceback.format_exc(), markup=False)
        told = error if isinstance(error, LeadlineError) else RunError("the command", type(error).__name__, traceback.format_exc().splitlines())
        errors.print("leadline: " + str(told), markup=False)
        raise typer.Exit(told.exit_code) from None


@contextmanager
def _progress(title: str):
    """A function that shows on a terminal what has just been computed, and is silent elsewhere."""
    if not sys.stderr.isatty():
        yield lambda told: None
        return
    with errors.status(title) as status:
        yield lambda told: status.update(f"{title}: {told}")


def _run(job: str, title: str, config: Path, exports: str, home: Path, as_of: date | None, report_db: str, debug: bool, origins: int | None = None):
    with _progress(title) as progress:
        from pipelines.resources import Place
        from pipelines.run import run_job

        place = Place(config=str(config), exports=exports, home=str(home), report_db=report_db)
        return run_job(job, place, as_of, progress, debug, origins)


def _say_where(outcome) -> None:
    from pipelines.summary import published_lines

    for line in published_lines(outcome):
        shown.print(line, markup=False)


def _say_findings(outcome, config: Path, exports: str) -> None:
    from assets.exports.files import exports_folder
    from pipelines.choices import choice_lines
    from pipelines.summary import finding_lines

    for line in (*finding_lines(outcome), *choice_lines(outcome, exports_folder(exports), config)):
        shown.print(line, markup=False)


@app.command()
def demo(
    home: HomeOption = DEFAULT_HOME,
    form: Annotated[Literal["salesforce", "chinese"], typer.Option(help="Form of the exports.")] = "salesforce",
    report_db: DatabaseOption = "",
    debug: DebugOption = False,
) -> None:
    """Make the demonstration company's exports and run on them."""
    with _told(debug):
        from pipelines.demo.begin import written_while_loading

        made = written_while_loading(home / "demo", form)
        _say_where(_run("leadline", "demonstration company", made.configuration, str(made.exports), home, None, report_db, debug))


@app.command()
def run(
    config: ConfigOption,
    exports: ExportsOption,
    as_of: AsOfOption = None,
    home: HomeOption = DEFAULT_HOME,
    report_db: DatabaseOption = "",
    debug: DebugOption = False,
) -> None:
    """Run the job: from exports to published tables and page."""
    with _told(debug):
        _say_where(_run("leadline", "run", config, exports, home, as_of.date() if as_of else None, report_db, debug))


@app.command()
def check(
    config: ConfigOption,
    exports: ExportsOption,
    as_of: AsOfOption = None,
    home: HomeOption = DEFAULT_HOME,
    report_db: DatabaseOption = "",
    debug: DebugOption = False,
) -> None:
    """Check configuration and data quality only; nothing is published."""
    with _told(debug):
        from pipelines.run import QualityError

        try:
            _say_findings(_run("check_exports", "check", config, exports, home, as_of.date() if as_of else None, report_db, debug), config, exports)
        except QualityError as error:
            _say_findings(error.outcome, config, exports)
            raise


@app.command()
def backtest(
    config: ConfigOption,
    exports: ExportsOption,
    as_of: AsOfOption = None,
    origins: Annotated[
        int | None, typer.Option("--origins", min=1, max=60, help="Past month ends to judge; as configured (forecast.origins) without it.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write the tables and the page to; backtest in the home folder without it.")] = None,
    home: HomeOption = DEFAULT_HOME,
    report_db: DatabaseOption = "",
    debug: DebugOption = False,
) -> None:
    """Judge every method at past month ends, as tables and a page; nothing is published."""
    with _told(debug):
        from pipelines.backtest import write_backtest, written_lines
        from pipelines.home import made_folder

        folder = made_folder(out or home / "backtest")
        outcome = _run("backtest", "backtest", config, exports, home, as_of.date() if as_of else None, report_db, debug, origins)
        write_backtest(outcome, folder)
        for line in written_lines(outcome, folder):
            shown.print(line, markup=False)


@app.command()
def init(
    exports: Annotated[list[str], typer.Argument(help="The folder that holds the exports, or the files.")],
    out: Annotated[Path, typer.Option("--out", help="The configuration to write.")] = Path("leadline.yaml"),
    template: Annotated[str | None, typer.Option("--template", help="Stages to begin with, such as general_b2b or saas.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a configuration that is there.")] = False,
    debug: DebugOption = False,
) -> None:
    """Write a first configuration from export files, and ask what a person must confirm."""
    with _told(debug):
        from pipelines.init import write_first_configuration, written_lines

        for line in written_lines(write_first_configuration(exports, out, template, force)):
            shown.print(line, markup=False)


@app.command()
def pull(
    config: ConfigOption,
    exports: ExportsOption,
    only: Annotated[list[str] | None, typer.Option(help="Pull this table alone; may be given several times.")] = None,
    full: Annotated[bool, typer.Option("--full", help="List all rows, and not what changed since the last pull.")] = False,
    again: Annotated[str, typer.Option("--replay", metavar="TIME", help="Ask no CRM: write the export files as that pull left them.")] = "",
    home: HomeOption = DEFAULT_HOME,
    debug: DebugOption = False,
) -> None:
    """Pull from the CRM what changed, into the exports folder."""
    with _told(debug), _progress("pull") as progress:
        from assets.exports.files import local_folder
        from pipelines.configuration import load_configuration
        from pipelines.home import Home
        from pipelines.pulling.pull import pull as pull_tables
        from pipelines.pulling.pull import replay
        from pipelines.summary import pulled_lines

        company, folder = load_configuration(config), local_folder(exports)
        with Home(home.absolute()).lock():
            if again:
                shown.print(f"export files as of the pull {again}: {replay(company, folder, again)}", markup=False)
                return
            for line in pulled_lines(pull_tables(company, config, folder, only or (), full, progress)):
                shown.print(line, markup=False)


@app.command()
def freeze(
    period: Annotated[datetime, typer.Option("--period", formats=["%Y-%m"], help="The first month of the period, YYYY-MM.")],
    kind: Annotated[Literal["month", "quarter"], typer.Option("--kind", help="What the period is.")] = "month",
    as_of: AsOfOption = None,
    on: Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day of freezing; the as-of date without it.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who freezes it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    report_db: DatabaseOption = "",
    debug: DebugOption = False,
) -> None:
    """Make a published forecast of a period the one of record; it stays, and is scored when the period is over."""
    with _told(debug):
        from pipelines.freeze import freeze as freeze_forecast

        frozen = freeze_forecast(home, period.date(), kind, as_of.date() if as_of else None, on.date() if on else None, by, report_db)
        row, stands = frozen.row, "stood frozen" if frozen.stood_before else "frozen"
        shown.print(
            f"{stands}: {kind} of {period:%Y-%m} as of {frozen.as_of}: {row['mean']:,.0f} (80 % range {row['p10']:,.0f} to {row['p90']:,.0f})", markup=False
        )


@app.command()
def why(
    what: Annotated[list[str], typer.Argument(help="An opportunity id, or a row of an export as FILE:LINE.")],
    home: HomeOption = DEFAULT_HOME,
    as_of: AsOfOption = None,
    report_db: DatabaseOption = "",
    debug: DebugOption = False,
) -> None:
    """Everything known about an opportunity's numbers, or about a row of an export."""
    with _told(debug):
        from pipelines.explain import explain

        for line in explain(what, home, as_of.date() if as_of else None, report_db):
            shown.print(line, markup=False)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; without it the schema is printed.")] = None,
    debug: DebugOption = False,
) -> None:
    """Print the JSON schema of leadline.yaml, by which editors complete and check it."""
    with _told(debug):
        from pipelines.configuration_schema import schema_text, write_schema

        if out is None:
            sys.stdout.write(schema_text())
        else:
            write_schema(out)


def main() -> None:
    """The command in a process of its own."""
    collect_rarely()
    run_and_end(app)


if __name__ == "__main__":
    main()
