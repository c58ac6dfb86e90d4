"""The world a simulated company lives in: everything about its process that is true and known.

What belongs here: the parameters of the simulation and what follows from them without chance (hazards, calendar
factors, expected arrivals), so that an estimate can be compared with the truth. What does not: drawing anything
(models/simulator.py).

Rates are per day. A deal that has been ``age`` days in its stage leaves it on the next day with probability
``1 - exp(-total)``, where ``total`` is the sum over causes of the stage's rate at that age times the deal's and the
day's factors; the cause is drawn in proportion to the rates. Ages count from 1, the day after entry.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

CAUSES = ("advance", "skip", "regress", "win", "lose", "silent")
"""How a deal leaves a stage: for the next one, past the next one, for the one before, won, lost, or without a word.

A silent deal dies unnoticed: it stays open in its stage for ever and nothing about it changes any more (a zombie).
"""

FACTOR_CAUSES = {"pace": ("advance", "skip"), "win": ("win",), "loss": ("lose",), "none": ("regress", "silent")}
"""What multiplies each cause. Pace: the deal's and its owner's pace and the month's shock. Win: the pace, the
day's factor on winning and that of the buyer's interest. Loss: the deal's factor on losing. The day's rate factor multiplies all of them."""


@dataclass(frozen=True)
class Member:
    """One value of a segment: its share of deals and what it multiplies."""

    name: str
    share: float
    pace: float = 1.0
    loss: float = 1.0
    amount: float = 1.0


@dataclass(frozen=True)
class Team:
    """A sales team: it works the deals of its regions; everyone in it gets equally many."""

    name: str
    regions: tuple[str, ...]
    owners: int


@dataclass(frozen=True)
class Change:
    """Something that is different for good from the day ``since`` on: factors on winning, on the first amounts of
    deals created from then on, and on creations."""

    since: date
    win: float = 1.0
    amount: float = 1.0
    creation: float = 1.0


@dataclass(frozen=True)
class Interest:
    """What nobody sees of a deal: its buyer's interest. It multiplies winning, and shows only in what is done and noted.

    A ``share`` of deals has it; their winning is multiplied by ``win`` and their activities by ``activity``; a note
    about them sounds good with the chance ``good_note``.
    """

    share: float
    win: float = 1.0
    activity: float = 1.0
    good_note: float = 0.5


@dataclass(frozen=True)
class StageTruth:
    """The truth about one open stage: its rates per day, one per age bin of the world, for each cause.

    On entering the stage a share ``requoted`` of deals is quoted anew: the amount is multiplied by a lognormal
    number with the mean ``requote_mean`` and the log standard deviation ``requote_sd``.
    """

    key: str
    advance: tuple[float, ...]
    skip: tuple[float, ...]
    regress: tuple[float, ...]
    win: tuple[float, ...]
    lose: tuple[float, ...]
    silent: tuple[float, ...]
    requoted: float = 0.0
    requote_mean: float = 1.0
    requote_sd: float = 0.0


@dataclass(frozen=True)
class World:
    """Parameters of a simulated company; see the field groups below for units.

    The company opens on ``start`` with an empty funnel and is watched until the end of ``end``. ``deals`` are
    created in between, exactly; given their number, the days of a Poisson process are multinomial.
    """

    start: date
    end: date
    deals: int
    stages: tuple[StageTruth, ...]
    age_edges: tuple[int, ...]
    """Last age in days of each age bin but the last, which is open."""

    sources: tuple[Member, ...]
    industries: tuple[Member, ...]
    regions: tuple[Member, ...]
    products: tuple[Member, ...]
    types: tuple[Member, ...]
    loss_reasons: tuple[Member, ...]
    """Only their shares are used: the reason of a loss is drawn without regard to anything."""

    teams: tuple[Team, ...]
    owner_sd: float
    """Standard deviation of the logarithm of an owner's pace."""

    yearly_growth: float
    season: tuple[float, ...]
    """Factor of arrivals for each calendar month, January first."""
    weekend: float
    """Factor of a Saturday or Sunday on arrivals and all rates; working days make up for it (the week's mean is 1)."""

    surge_days: int
    surge: float
    """Factor on winning in the last ``surge_days`` days of a quarter."""
    lull_days: int
    lull: float
    """Factor on winning in the first ``lull_days`` days of a quarter."""

    shock_sd: float
    shock_correlation: float
    """The pace of each month is multiplied by exp(z); z is a first-order autoregression with mean 0."""

    amount_median: float
    amount_sd: float
    """Of the logarithm of the first amount, before the factors of its segments."""
    amount_step: float
    """Amounts are whole multiples of it."""
    amount_elasticity: float
    """Pace is multiplied by (first amount ÷ median) to this power."""
    discounted: float
    discount_mean: float
    """Share of deals whose amount falls on winning, and by which part in the mean."""

    reopened: float
    reopen_days: float
    """Share of lost deals that come back to the stage they left, after this many days in the mean."""
    reassigned: float
    """Share of deals given to another owner of the same team, on a day uniform in the 120 days after creation."""

    close_days: float
    close_sd: float
    """Median and log standard deviation of the days to the close date that the seller enters at creation."""
    push_rate: float
    """Rate per day at which a close date that has passed is put off."""
    push_days: float
    push_sd: float
    """Median and log standard deviation of the days it is put off by, from that day."""
    month_end_share: float
    """Share of close dates that are entered as the last day of their month."""

    activities_per_week: float

    changes: tuple[Change, ...] = ()
    """Their factors multiply. ``deals`` stays the number of all deals: a change of creations moves them between days."""

    interests: tuple[Interest, ...] = (Interest(1.0),)
    """The kinds of interest there are; their shares add up to 1."""
    noted: float = 0.0
    """Share of activities with a note that tells of the buyer's interest."""

    @property
    def days(self) -> int:
        """Number of days watched."""
        return (self.end - self.start).days + 1

    @property
    def owners(self) -> int:
        """Number of owners in all teams."""
        return sum(team.owners for team in self.teams)


def daily_rates(world: World) -> np.ndarray:
    """Rates per day before any factor, shaped (stage, cause, age bin), causes in the order of `CAUSES`.

    Raises ValueError where a stage does not give one rate per age bin.
    """
    bins = len(world.age_edges) + 1
    for stage in world.stages:
        for cause in CAUSES:
            if len(getattr(stage, cause)) != bins:
                raise ValueError(f"stage {stage.key}: {cause} has {len(getattr(stage, cause))} rates; expected {bins}, one per age bin")
    return np.array([[getattr(stage, cause) for cause in CAUSES] for stage in world.stages])


def age_bins(world: World, age_days: np.ndarray) -> np.ndarray:
    """The age bin of each age in days."""
    return np.searchsorted(np.asarray(world.age_edges), age_days, side="left")


def destinations(world: World) -> np.ndarray:
    """Where each cause leads from each stage, shaped (stage, cause): a stage's position from 0, the number of stages
    for won, one more for lost. A skip from the last stage but one wins; silence leads nowhere (-1)."""
    count = len(world.stages)
    here = np.arange(count)
    return np.column_stack(
        [
            np.minimum(here + 1, count),
            np.minimum(here + 2, count),
            np.maximum(here - 1, 0),
            np.full(count, count),
            np.full(count, count + 1),
            np.full(count, -1),
        ]
    )


def calendar_factors(world: World) -> pd.DataFrame:
    """One row per day: ``day``, and its factors ``rate`` (on all rates), ``win`` (on winning besides), ``amount`` (on the
    first amounts of deals created on it) and ``arrival_share`` (part of all arrivals expected on it)."""
    day = pd.date_range(world.start, world.end, freq="D")
    rate = np.where(day.day_of_week >= 5, world.weekend, (7 - 2 * world.weekend) / 5)
    quarter = day.to_period("Q")
    from_start = (day - quarter.start_time).days
    to_end = (quarter.end_time.normalize() - day).days
    win = np.where(to_end < world.surge_days, world.surge, np.where(from_start < world.lull_days, world.lull, 1.0))
    growth = (1 + world.yearly_growth) ** (np.arange(world.days) / 365.25)
    arrivals = rate * growth * np.asarray(world.season)[day.month - 1] * _changed(world, day, "creation")
    return pd.DataFrame(
        {
            "day": day,
            "rate": rate,
            "win": win * _changed(world, day, "win"),
            "amount": _changed(world, day, "amount"),
            "arrival_share": arrivals / arrivals.sum(),
        }
    )


def _changed(world: World, day: pd.DatetimeIndex, what: str) -> np.ndarray:
    """The product of the factors of the changes that are in force on each day."""
    factor = np.ones(len(day))
    for change in world.changes:
        factor[day >= pd.Timestamp(change.since)] *= getattr(change, what)
    return factor


def expected_monthly_arrivals(world: World) -> pd.Series:
    """Deals expected to be created in each month, by its first day."""
    factors = calendar_factors(world)
    expected = world.deals * factors["arrival_share"]
    return expected.groupby(factors["day"].dt.to_period("M").dt.start_time).sum().rename("expected_arrivals")


_SILENT = (0.0003, 0.0005, 0.0008, 0.0010, 0.0014, 0.0018, 0.0020)
_NEVER = (0.0,) * 7

DEMO = World(
    start=date(2023, 7, 1),
    end=date(2026, 6, 30),
    deals=2_600,
    age_edges=(3, 7, 14, 30, 60, 120),
    stages=(
        StageTruth(
            key="first_contact",
            advance=(0.030, 0.070, 0.080, 0.055, 0.032, 0.016, 0.008),
            skip=(0.002, 0.004, 0.004, 0.003, 0.002, 0.001, 0.001),
            regress=_NEVER,
            win=_NEVER,
            lose=(0.0039, 0.0078, 0.0117, 0.0156, 0.0195, 0.0208, 0.0156),
            silent=_SILENT,
        ),
        StageTruth(
            key="need_confirmed",
            advance=(0.020, 0.050, 0.065, 0.055, 0.032, 0.016, 0.008),
            skip=(0.001, 0.003, 0.004, 0.003, 0.002, 0.001, 0.0005),
            regress=(0.000, 0.002, 0.003, 0.002, 0.002, 0.001, 0.001),
            win=_NEVER,
            lose=(0.0026, 0.0052, 0.0091, 0.013, 0.0156, 0.0182, 0.0156),
            silent=_SILENT,
            requoted=0.15,
            requote_mean=1.00,
            requote_sd=0.20,
        ),
        StageTruth(
            key="proposal",
            advance=(0.010, 0.030, 0.050, 0.050, 0.038, 0.020, 0.010),
            skip=(0.0005, 0.001, 0.002, 0.002, 0.001, 0.001, 0.0005),
            regress=(0.000, 0.002, 0.003, 0.003, 0.002, 0.001, 0.001),
            win=_NEVER,
            lose=(0.0026, 0.0052, 0.0104, 0.0143, 0.0182, 0.0208, 0.0182),
            silent=_SILENT,
            requoted=0.45,
            requote_mean=1.06,
            requote_sd=0.25,
        ),
        StageTruth(
            key="negotiation",
            advance=(0.015, 0.035, 0.050, 0.045, 0.032, 0.016, 0.008),
            skip=_NEVER,
            regress=(0.001, 0.003, 0.004, 0.003, 0.002, 0.001, 0.001),
            win=(0.001, 0.004, 0.006, 0.006, 0.004, 0.002, 0.001),
            lose=(0.0026, 0.0052, 0.0091, 0.013, 0.0169, 0.0195, 0.0169),
            silent=_SILENT,
            requoted=0.35,
            requote_mean=0.96,
            requote_sd=0.12,
        ),
        StageTruth(
            key="awaiting_signature",
            advance=_NEVER,
            skip=_NEVER,
            regress=(0.001, 0.002, 0.003, 0.002, 0.002, 0.001, 0.001),
            win=(0.030, 0.070, 0.080, 0.060, 0.040, 0.020, 0.010),
            lose=(0.0013, 0.0026, 0.0039, 0.0065, 0.0091, 0.0104, 0.0104),
            silent=_SILENT,
        ),
    ),
    sources=(
        Member("Referral", 0.18, pace=1.30, loss=0.75, amount=1.10),
        Member("Website", 0.27, pace=1.00, loss=1.00, amount=0.85),
        Member("Trade Show", 0.15, pace=0.90, loss=1.10, amount=1.10),
        Member("Partner", 0.15, pace=1.10, loss=0.85, amount=1.25),
        Member("Outbound Call", 0.25, pace=0.80, loss=1.30, amount=0.95),
    ),
    industries=(
        Member("Manufacturing", 0.32, pace=0.95, amount=1.20),
        Member("Software", 0.20, pace=1.15, amount=0.80),
        Member("Healthcare", 0.16, pace=0.85, loss=0.90, amount=1.35),
        Member("Retail", 0.20, pace=1.10, loss=1.15, amount=0.65),
        Member("Education", 0.12, pace=0.95, loss=1.05, amount=0.75),
    ),
    regions=(
        Member("East", 0.38, pace=1.05),
        Member("South", 0.27, pace=1.05, loss=0.95),
        Member("North", 0.23, pace=0.92, loss=1.05, amount=1.15),
        Member("West", 0.12, pace=0.90, loss=1.10, amount=0.85),
    ),
    products=(
        Member("Platform", 0.40, pace=0.90, amount=1.50),
        Member("Analytics", 0.35, pace=1.05, amount=0.85),
        Member("Services", 0.25, pace=1.15, loss=0.95, amount=0.55),
    ),
    types=(Member("new", 0.72), Member("expansion", 0.18, pace=1.15, loss=0.80), Member("renewal", 0.10, pace=1.30, loss=0.60, amount=0.80)),
    loss_reasons=(
        Member("Competitor Price", 0.30),
        Member("Changed Needs", 0.20),
        Member("No Budget", 0.20),
        Member("Decision Maker Changed", 0.12),
        Member("Own Resources", 0.10),
        Member("Shelved", 0.08),
    ),
    teams=(Team("East Team", ("East",), 6), Team("South Team", ("South",), 5), Team("North and West Team", ("North", "West"), 6)),
    owner_sd=0.18,
    yearly_growth=0.12,
    season=(0.95, 0.70, 1.15, 1.05, 1.00, 1.05, 0.95, 0.90, 1.10, 0.95, 1.10, 1.10),
    weekend=0.10,
    surge_days=14,
    surge=1.90,
    lull_days=21,
    lull=0.70,
    shock_sd=0.12,
    shock_correlation=0.5,
    amount_median=180_000,
    amount_sd=0.75,
    amount_step=100,
    amount_elasticity=-0.08,
    discounted=0.30,
    discount_mean=0.06,
    reopened=0.02,
    reopen_days=45,
    reassigned=0.05,
    close_days=75,
    close_sd=0.45,
    push_rate=0.12,
    push_days=28,
    push_sd=0.6,
    month_end_share=0.4,
    activities_per_week=0.5,
)
"""A company that sells business software in four regions: 36 months, 2,600 deals, five open stages and won."""
