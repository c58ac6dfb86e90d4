"""Three companies to judge forecasts on: high-volume SaaS, enterprise and small business.

What belongs here: their parameters. What does not: what a parameter means (models/simulated_world.py) and drawing
(models/simulator.py).

They are as hard as the reference companies of the forecasting method: with the truth known, bookings are missed a month
ahead by about .087 (SaaS), .264 (enterprise) and .053 (small business) of what was booked; a win rate per stage loses at
least 1.2, 1.08 and 1.2 times the log loss that the truth leaves (tests/benchmarks/forecasting.py). Each has four years:
three of history before the first origin and one to judge on. No deal comes back after it was lost and none changes
hands, so that the truth about every open deal is known exactly.
"""

from dataclasses import replace
from datetime import date

from models.simulated_world import DEMO, Interest, StageTruth, Team, World

_RISING_AND_FALLING = (0.35, 0.85, 1.30, 1.25, 0.75, 0.35, 0.15)
"""How readily a deal moves on, by age in stage: hardly at first, most after a while, ever less when it has stuck."""

_RISING = (0.30, 0.60, 0.90, 1.20, 1.50, 1.60, 1.40)
"""How readily a deal is lost or forgotten, by age in stage."""

_NEVER = (0.0,) * 7


def _rates(level: float, shape: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(level * part for part in shape)


def _stage(key: str, *, advance: float = 0.0, win: float = 0.0, lose: float, silent: float, regress: float = 0.0, **requote: float) -> StageTruth:
    """A stage by the daily level of each cause; ages shape all of them alike in every stage."""
    return StageTruth(
        key=key,
        advance=_rates(advance, _RISING_AND_FALLING),
        skip=_NEVER,
        regress=_rates(regress, _RISING_AND_FALLING),
        win=_rates(win, _RISING_AND_FALLING),
        lose=_rates(lose, _RISING),
        silent=_rates(silent, _RISING),
        **requote,
    )


_FOUR_YEARS = replace(DEMO, start=date(2022, 1, 1), end=date(2025, 12, 31), reopened=0.0, reassigned=0.0)

SAAS = replace(
    _FOUR_YEARS,
    deals=12_700,
    age_edges=(2, 5, 10, 21, 42, 84),
    stages=(
        _stage("qualified", advance=0.075, lose=0.034, silent=0.0002),
        _stage("demonstrated", advance=0.065, regress=0.002, lose=0.026, silent=0.0002, requoted=0.15, requote_mean=1.0, requote_sd=0.15),
        _stage("proposal", advance=0.060, regress=0.002, lose=0.024, silent=0.0002, requoted=0.40, requote_mean=1.04, requote_sd=0.20),
        _stage("contract", win=0.085, regress=0.002, lose=0.022, silent=0.0002, requoted=0.25, requote_mean=0.97, requote_sd=0.10),
    ),
    owner_sd=0.30,
    yearly_growth=0.10,
    shock_sd=0.08,
    amount_median=20_000,
    amount_sd=0.35,
    close_days=55,
    push_days=20,
    activities_per_week=1.0,
)
"""High-volume SaaS: about 105 wins a month after cycles of six weeks."""

ENTERPRISE = replace(
    _FOUR_YEARS,
    deals=2_000,
    age_edges=(10, 25, 50, 90, 150, 240),
    stages=(
        _stage("identified", advance=0.014, lose=0.006, silent=0.00012),
        _stage("assessed", advance=0.013, regress=0.0004, lose=0.005, silent=0.00012),
        _stage("proposal", advance=0.012, regress=0.0005, lose=0.0044, silent=0.00012, requoted=0.45, requote_mean=1.05, requote_sd=0.25),
        _stage("negotiation", advance=0.014, regress=0.0005, lose=0.004, silent=0.00012, requoted=0.35, requote_mean=0.97, requote_sd=0.12),
        _stage("approval", win=0.018, regress=0.0003, lose=0.0032, silent=0.00010),
    ),
    yearly_growth=0.08,
    shock_sd=0.10,
    amount_median=900_000,
    amount_sd=0.50,
    close_days=270,
    push_days=60,
    activities_per_week=0.7,
)
"""Enterprise sales: about 13 wins a month after cycles of eight months."""

SMALL_BUSINESS = replace(
    _FOUR_YEARS,
    deals=81_500,
    age_edges=(1, 2, 4, 8, 16, 32),
    stages=(
        _stage("enquiry", advance=0.18, lose=0.1, silent=0.0003),
        _stage("quoted", advance=0.17, regress=0.0035, lose=0.077, silent=0.0003, requoted=0.20, requote_mean=1.0, requote_sd=0.15),
        _stage("agreed", win=0.21, regress=0.0035, lose=0.063, silent=0.0002),
    ),
    teams=(Team("East Team", ("East",), 12), Team("South Team", ("South",), 10), Team("North and West Team", ("North", "West"), 12)),
    owner_sd=0.30,
    yearly_growth=0.08,
    surge_days=7,
    surge=1.4,
    lull_days=10,
    lull=0.85,
    shock_sd=0.085,
    shock_correlation=0.7,
    amount_median=2_500,
    amount_sd=0.55,
    amount_step=10,
    close_days=14,
    push_days=7,
    activities_per_week=2.0,
)
"""Small business: about 790 wins a month after cycles of two weeks."""

EXAMPLE_WORLDS: dict[str, World] = {"saas": SAAS, "enterprise": ENTERPRISE, "small_business": SMALL_BUSINESS}

TELLING_INTERESTS = (Interest(0.4, win=1.6, activity=1.5, good_note=0.75), Interest(0.6, win=0.6, activity=0.7, good_note=0.35))
NOTED = 0.4
"""Buyers of two kinds whom activities and notes tell apart a little, to put into any of the worlds."""
