"""Judges forecasts on simulated companies whose truth is known: ``python -m tests.benchmarks.forecasting --world saas``.

What belongs here: the runs over companies and origins, and the command. What does not: forecasts (forecast_methods.py,
simple_methods.py), scores (forecast_scores.py), the page (forecast_quality.py).

Each seed makes one company. At each origin, a month's end in its last year, every method is fitted on what was known then
and judged on what came after, beside the oracle that knows the process (models/oracle.py). Seeds from 1 to 999 served to
set the worlds up; figures to report come from others (`FIRST_SEED`).
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from models.example_worlds import EXAMPLE_WORLDS, NOTED, TELLING_INTERESTS
from models.oracle import oracle
from models.revenue import QUANTILES
from models.simulated_world import Change, World
from models.simulator import simulate
from tests.benchmarks.forecast_methods import Forecast, own_forecasts
from tests.benchmarks.forecast_quality import page, printed
from tests.benchmarks.forecast_scores import ORACLE, bias_since_change, score, summary, won_since
from tests.benchmarks.simple_methods import simple_forecasts
from tests.benchmarks.simulated_record import simulated_record

FIRST_SEED = 1_001
CHANGED_ON = date(2025, 1, 1)
"""The day after the first origin."""

CHANGES = {
    "win": Change(CHANGED_ON, win=0.8),
    "amount": Change(CHANGED_ON, amount=1.2),
    "creation": Change(CHANGED_ON, creation=0.8),
}
"""Winning a fifth less likely, new deals a fifth larger, a fifth fewer new deals."""

CHANGES_ON_PAGE = {"saas": ("win", "amount")}
CHANGE_ORIGINS = 5
MONTHS_JUDGED = 3
JUDGED_YEAR_MONTHS = 12
PAGE = Path(__file__).resolve().parents[2] / "docs" / "forecast-quality.md"


def origins_of(world: World, count: int) -> list:
    """``count`` month ends spread evenly over the last year, so that three months after the last are known."""
    ends = pd.date_range(end=world.end, periods=JUDGED_YEAR_MONTHS + 1, freq="ME")[:-MONTHS_JUDGED]
    chosen = np.unique(np.linspace(0, len(ends) - 1, count).round().astype(int))
    return [ends[i].date() for i in chosen]


@threadpool_limits.wrap(limits=1)
def judged(world: World, seed: int, origins: int, methods: tuple[str, ...] | None, with_simple: bool = True) -> pd.DataFrame:
    """Every method on one simulated company: rows of `score` with method, origin and seed."""
    company = simulate(world, seed)
    record = simulated_record(company, world.end)
    rows = []
    for at in own_forecasts(record, origins_of(world, origins), methods, seed):
        truth = oracle(company, at.origin)
        deals = at.standing.open_deals.deal
        if not np.array_equal(truth.state.deal, deals):
            raise ValueError(f"the oracle sees {len(truth.state.deal)} open deals at {at.origin}, the record {len(deals)}; both come from one company")
        simple = simple_forecasts(record, at, seed) if with_simple else {}
        everything = {ORACLE: Forecast(truth.won_by, truth.mean, truth.quantiles(np.array(QUANTILES))), **at.forecasts, **simple}
        won, booked = won_since(company, at.origin, deals)
        rows += [score(forecast, won, booked).assign(method=method, origin=at.origin, seed=seed) for method, forecast in everything.items()]
    return pd.concat(rows, ignore_index=True)


def world_of(name: str, change: str | None = None, signals: bool = False) -> World:
    """One of the example worlds, with one of `CHANGES` and with buyers whom activities and notes tell apart where asked for."""
    world = EXAMPLE_WORLDS[name]
    if change is not None:
        world = replace(world, changes=(CHANGES[change],))
    return replace(world, interests=TELLING_INTERESTS, noted=NOTED) if signals else world


def run(name: str, world: World, seeds: range, origins: int, methods: tuple[str, ...] | None, with_simple: bool = True) -> pd.DataFrame:
    """The rows of all seeds of one world."""
    rows = []
    for seed in seeds:
        start = perf_counter()
        rows.append(judged(world, seed, origins, methods, with_simple))
        print(f"{name} seed {seed}: {perf_counter() - start:.1f} s", flush=True)
    return pd.concat(rows, ignore_index=True).assign(world=name)


def main() -> None:
    """Run the worlds asked for, print their tables and, where asked for, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=[*EXAMPLE_WORLDS, "all"], default="all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--origins", type=int, default=6)
    parser.add_argument("--methods", nargs="*", help="Leadline's own methods; all of them where left out")
    parser.add_argument("--no-simple", action="store_true", help="leave the simple methods out")
    parser.add_argument("--change", choices=list(CHANGES), help="something changes for good on 1 January of the judged year: shows the bias since")
    parser.add_argument("--signals", action="store_true", help="buyers differ in an interest that shows in activities and notes only")
    parser.add_argument("--rows", type=Path, help="a CSV file for the rows behind the tables")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}: all worlds, every method")
    given = parser.parse_args()
    names = list(EXAMPLE_WORLDS) if given.world == "all" or given.write else [given.world]
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    methods = None if not given.methods or given.write else tuple(given.methods)
    worlds = {name: world_of(name) if given.write else world_of(name, given.change, given.signals) for name in names}
    found = [run(name, world, seeds, given.origins, methods, given.write or not given.no_simple) for name, world in worlds.items()]
    tables = {name: summary(rows) for name, rows in zip(names, found, strict=True)}
    for name, table in tables.items():
        print(printed(name, table))
    if given.change and not given.write:
        print(*(bias_since_change(rows, CHANGED_ON).round(3).to_string() for rows in found), sep="\n")
    if given.rows:
        pd.concat(found, ignore_index=True).to_csv(given.rows, index=False)
    if given.write:
        changed = {
            (name, change): bias_since_change(run(name, world_of(name, change), seeds, CHANGE_ORIGINS, None, False), CHANGED_ON)
            for name, changes in CHANGES_ON_PAGE.items()
            for change in changes
        }
        PAGE.write_text(page(tables, changed, seeds, given.origins), encoding="utf-8")


if __name__ == "__main__":
    main()
