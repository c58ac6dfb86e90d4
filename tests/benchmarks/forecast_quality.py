"""The tables of the forecasting benchmark, printed and as a page of the documentation.

What belongs here: words and layout. What does not: any figure (forecast_scores.py).
"""

from collections.abc import Mapping

import pandas as pd

from tests.benchmarks.forecast_scores import ORACLE

HORIZONS = ("month_1", "month_2", "month_3")
TITLES = {
    "saas": "High-volume SaaS: about 105 wins a month, cycles of six weeks",
    "enterprise": "Enterprise: about 13 wins a month, cycles of eight months",
    "small_business": "Small business: about 790 wins a month, cycles of two weeks",
}
_METHOD_WORDS = {
    "oracle": "oracle",
    "naive_bayes": "naive Bayes, timed by the expected close date",
    "aalen_johansen": "Aalen–Johansen from creation, stages ignored",
    "weighted_pipeline": "weighted pipeline",
    "commit": "commit: open deals expected to close in the period",
    "run_rate": "run rate",
    "seasonal_naive": "seasonal naive: the same period last year",
    "ets": "exponential smoothing of monthly bookings (ETS)",
}

_INTRODUCTION = """# How good the forecasts are

How far are Leadline's forecasts from the best that could be, and are they better than what a company would do without
them? On real data nobody knows the first. So three companies are simulated whose process is known (`models/example_worlds.py`),
and an *oracle* forecasts them from the truth: it knows every rate, each deal's pace, the calendar, the shocks so far and
how deals arrive. It does not know the future, nor which open deals have quietly died; it weighs that by what was visible
(`models/oracle.py`). What the oracle misses is chance: nobody can do better.

Each figure comes from {companies} companies of each kind, simulated with the seeds {first} to {last}, which did not serve
to set anything up, and {origins} origins each: month ends in the company's last year. Every method was fitted on what was known at the
origin. The number after ± is the standard error over companies (jackknife). Write this page anew with

    .venv/bin/python -m tests.benchmarks.forecasting --seeds {companies} --first-seed {first} --origins {origins} --write

How to read the tables:

- **Log loss ÷ oracle** judges P(won by the end of the first, second, third month after the origin) over all open deals;
  1 would be the oracle. Probabilities are judged as if they were at least 0.0001 away from 0 and 1. Methods that forecast
  totals only have none.
- **WAPE**: Σ |forecast − booked| ÷ Σ booked, for the first month and for the three months' total, and the same ÷ the oracle's.
- **CRPS ÷ oracle** judges the whole distribution; where a method gives a single number, that is its absolute error.
- **Coverage** is the share of periods whose bookings lay inside the range that should hold 80 % of them, over the first month,
  second month, third month and the three months' total; n counts those. They overlap, so n overstates the evidence.
- **Bias**: Σ (forecast − booked) ÷ Σ booked of the first month; positive where too much was forecast.

Leadline's own methods stand under their names in the report (`win_probability.model`); which of them is published is
decided for each company by its own backtest ([forecasting](forecasting.md)). The common shock of their ranges is the prior one: the backtest
that widens ranges by what earlier forecasts missed is not part of this benchmark.
"""

_CHANGED = """
## When something changes

On 1 January of the last year something changes for good; the oracle knows it. The tables show the bias of the first month ahead by
the number of months since the change that were known: a method that finds the change comes back to 0.
"""

_CHANGE_WORDS = {"win": "winning becomes a fifth less likely", "amount": "new deals become a fifth larger", "creation": "a fifth fewer deals are created"}

_LIMITS = """
## What these figures do not say

The worlds are simulated: real companies change their process, their records have gaps, and sellers do not draw from
distributions. A method that is close to the oracle here can be far from it elsewhere, so every run also publishes a
track record on the company's own past. The oracle is exact for these worlds up to interpolation (tests/unit/test_oracle.py
compares it with forward simulation). The worlds are set up to be as hard as the reference companies: month-ahead WAPE of the
oracle within 15 % of .087, .264 and .053.
"""


def printed(world: str, table: pd.DataFrame) -> str:
    """One world's scores as text."""
    shown = table[["log_loss", "log_loss_ratio", "wape", "wape_ratio", "crps_ratio", "coverage", "bias", "deal_bias"]]
    errors = table[["log_loss_ratio_se", "wape_se", "wape_ratio_se", "crps_ratio_se", "coverage_se", "bias_se"]]
    return f"\n{world}\n{shown.join(errors).round(3).to_string()}\n"


def page(tables: Mapping[str, pd.DataFrame], changed: Mapping[tuple[str, str], pd.DataFrame], seeds: range, origins: int) -> str:
    """The page, from the `summary` of each world and the bias since a change by world and change."""
    parts = [_INTRODUCTION.format(companies=len(seeds), first=seeds[0], last=seeds[-1], origins=origins)]
    parts += [f"\n## {TITLES[world]}\n\n{_deal_table(table)}\n\n{_revenue_table(table)}\n" for world, table in tables.items()]
    parts += [_CHANGED, *(f"\n{_change_table(*key, table)}\n" for key, table in changed.items())]
    return "".join(parts) + _LIMITS


def _ordered(table: pd.DataFrame) -> list[str]:
    """The oracle, Leadline's own methods (those that give ranges and probabilities), then the simple ones."""
    methods = list(table.index.unique("method"))
    own = [m for m in methods if m not in _METHOD_WORDS]
    return [ORACLE, *own, *(m for m in _METHOD_WORDS if m != ORACLE and m in methods)]


def _name(method: str) -> str:
    return _METHOD_WORDS.get(method, f"`{method}`")


def _with_error(row: pd.Series, column: str, digits: int = 3) -> str:
    value, error = row[column], row[f"{column}_se"]
    if pd.isna(value):
        return "–"
    return f"{value:.{digits}f}" if pd.isna(error) or error == 0 else f"{value:.{digits}f} ± {error:.{digits}f}"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _deal_table(table: pd.DataFrame) -> str:
    """Log loss by horizon of the methods that give probabilities; pairs of origin and open deal as n."""
    rows = []
    for method in _ordered(table):
        found = table.loc[method].reindex(HORIZONS)
        if found["log_loss"].notna().any():
            column = "log_loss" if method == ORACLE else "log_loss_ratio"
            rows.append([_name(method), *(_with_error(row, column) for _, row in found.iterrows())])
    deals = int(table.loc[(ORACLE, "month_1"), "deals"])
    header = [f"log loss ÷ oracle (the oracle's own in the first row), n = {deals:,} open deals", "+1 month", "+2 months", "+3 months"]
    return _markdown(header, rows)


def _revenue_table(table: pd.DataFrame) -> str:
    header = ["revenue", "WAPE +1 month", "÷ oracle", "WAPE 3 months", "÷ oracle", "CRPS ÷ oracle +1", "3 months", "bias +1 month", "coverage of 80 %"]
    rows = []
    for method in _ordered(table):
        month, total, every = table.loc[(method, "month_1")], table.loc[(method, "three_months")], table.loc[(method, "all")]
        inside = "–" if pd.isna(every["coverage"]) else f"{_with_error(every, 'coverage', 2)} (n = {int(every['judged'])})"
        crps = [_with_error(row, "crps_ratio", 2) for row in (month, total)]
        wapes = [cell for row in (month, total) for cell in (_with_error(row, "wape"), _with_error(row, "wape_ratio", 2))]
        rows.append([_name(method), *wapes, *crps, _with_error(month, "bias"), inside])
    return _markdown(header, rows)


def _change_table(world: str, change: str, table: pd.DataFrame) -> str:
    months = list(table.index.unique("months"))
    methods = _ordered(table)
    cells = [[_name(m), *(f"{table.loc[(m, k), 'bias']:+.2f} ± {table.loc[(m, k), 'se']:.2f}" for k in months)] for m in methods]
    return _markdown([f"{world}: {_CHANGE_WORDS[change]}; months known since", *map(str, months)], cells)
