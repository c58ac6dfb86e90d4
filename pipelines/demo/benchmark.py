"""Big, clean exports for benchmarks, in the Salesforce form.

What belongs here: writing many rows quickly. What does not: faults, and timing anything (tests/benchmarks).
"""

from dataclasses import replace
from io import StringIO
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
from ruamel.yaml import YAML

from models.simulated_world import DEMO, Team, World
from models.simulator import simulate
from pipelines.demo import CONFIGURATION, EXPORTS, configuration_text, salesforce
from pipelines.demo.sellers import seller_probabilities

DEALS_PER_OWNER = 2_000
OPTIMISTIC_CLOSE_DAYS = 40.0
"""Close dates that come too early are put off more often, which is what makes five rows of history per deal."""

_ROWS_AT_A_TIME = 250_000
_TABLES = ("opportunities", "stage_history", "owners", "targets")


def benchmark_world(deals: int) -> World:
    """The demonstration company grown to ``deals`` over the same 36 months, with as many owners as that takes."""
    owners = max(DEMO.owners, deals // DEALS_PER_OWNER)
    teams = tuple(Team(team.name, team.regions, max(1, round(team.owners * owners / DEMO.owners))) for team in DEMO.teams)
    return replace(DEMO, deals=deals, teams=teams, activities_per_week=0.0, close_days=OPTIMISTIC_CLOSE_DAYS)


def write_benchmark(folder: Path, deals: int, seed: int) -> Path:
    """Write Opportunity.csv, OpportunityHistory.csv, User.csv, Targets.csv and leadline.yaml; return the folder of the exports.

    A million deals give about 4.3 million stage entries and 5 million rows of history: each change of the close
    date has a row, as in Salesforce.
    """
    exports = folder / EXPORTS
    exports.mkdir(parents=True, exist_ok=True)
    world = benchmark_world(deals)
    company = simulate(world, seed)
    history = salesforce.with_unmoved_rows(company.stage_history, company.field_history)
    opportunities = company.opportunities.assign(markup="", crm_probability=seller_probabilities(company.opportunities, seed))
    _write(
        exports / "Opportunity.csv",
        (salesforce.opportunity_rows(rows, company.accounts) for rows in _slices(opportunities)),
        salesforce.OPPORTUNITY_HEADERS,
    )
    _write(exports / "OpportunityHistory.csv", (salesforce.history_rows(rows) for rows in _slices(history)), salesforce.HISTORY_HEADERS)
    salesforce.owners_sheet(company.owners).write(exports)
    salesforce.targets_sheet(company.targets).write(exports)
    (folder / CONFIGURATION).write_text(_configuration(world), encoding="utf-8")
    return exports


def _slices(frame: pd.DataFrame):
    return (frame.iloc[first : first + _ROWS_AT_A_TIME] for first in range(0, len(frame), _ROWS_AT_A_TIME))


def _write(path: Path, parts, headers: dict[str, str]) -> None:
    tables = (pa.Table.from_pandas(part[list(headers)].rename(columns=headers), preserve_index=False) for part in parts)
    first = next(tables)
    with pyarrow.csv.CSVWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table.cast(first.schema))


def _configuration(world: World) -> str:
    """The demonstration's configuration without the tables that are not written."""
    yaml = YAML()
    settings = yaml.load(configuration_text("salesforce", world))
    for name in [name for name in settings["exports"]["tables"] if name not in _TABLES]:
        del settings["exports"]["tables"][name]
    text = StringIO()
    yaml.dump(settings, text)
    return text.getvalue()
