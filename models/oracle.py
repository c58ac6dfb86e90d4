"""The best forecast there can be of a simulated company: from the true process, given what was visible.

What belongs here: the probabilities of the open deals and the distribution of the revenue ahead, from the truth. What does
not: the state at the origin (models/oracle_state.py) and the values of states (models/oracle_values.py).

The oracle knows the hazards, each deal's and owner's pace, the calendar, the shocks so far, the rate of arrivals and the
amounts' process. It does not know the future, nor which open deals fell silent, nor the buyers' interest. It leaves out that a lost deal may come
back and that a deal may be handed to another owner; in a world without those it is exact up to interpolation.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from models.oracle_state import TrueState, month_numbers, shock_by_day, true_state
from models.oracle_values import MOMENTS, DaysAhead, Nodes, Values, shock_paths, values
from models.simulated_world import Member, World, calendar_factors
from models.simulation import pearson_iii_quantiles
from models.simulator import SimulatedCompany

MONTHS = 3
PERIODS = ("month_1", "month_2", "month_3", "three_months")
_AMOUNT_POINTS = 9


@dataclass(frozen=True)
class Oracle:
    """The forecast at the end of ``origin``, which is a month's last day.

    ``horizon_days`` are the days to the ends of the next three months. ``state`` has the open deals, ``won_by`` (deals ×
    horizons) their P(won by). ``mean``, ``variance`` and ``third_cumulant`` (one per `PERIODS`) are of the company's
    bookings in that period, ``open_mean`` the part that today's open deals bring.
    """

    origin: date
    horizon_days: np.ndarray
    state: TrueState
    won_by: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    third_cumulant: np.ndarray
    open_mean: np.ndarray

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Quantiles of the bookings (periods × levels), by the Pearson III with their first three cumulants."""
        cumulants = zip(self.mean, self.variance, self.third_cumulant, strict=True)
        return np.stack([pearson_iii_quantiles(*three, np.asarray(levels)).clip(min=0.0) for three in cumulants])


def oracle(company: SimulatedCompany, origin: date) -> Oracle:
    """What the truth leads one to expect at the end of ``origin``.

    Raises ValueError where the company is not known for three months after it: their calendar is needed.
    """
    world = company.world
    ends = pd.date_range(pd.Timestamp(origin) + pd.Timedelta(days=1), periods=MONTHS, freq="ME")
    horizons = np.asarray((ends - pd.Timestamp(origin)).days)
    if ends[-1] > pd.Timestamp(world.end):
        raise ValueError(f"an oracle at {origin} looks to {ends[-1].date()}, but the company is simulated to {world.end} only; choose an earlier origin")
    state = true_state(company, origin)
    population = _population(world, company.owner_pace["pace"].to_numpy())
    nodes = Nodes.covering(np.concatenate([state.pace, population.pace]), np.concatenate([state.loss, population.loss]))
    ahead = _days_ahead(company, state.day, int(horizons[-1]))
    by_deal, created = 0.0, 0.0
    for number, interest in enumerate(world.interests):
        found = values(world, nodes, replace(ahead, win=ahead.win * interest.win), horizons)
        by_deal = by_deal + found.of_deals(state.stage, state.age_days, state.pace, state.loss) * state.by_interest[:, number, None, None, None]
        created = created + interest.share * _newborn_moments(world, found, population, state.day)
    won_by = np.maximum.accumulate(by_deal[:, :, 0].mean(axis=-1).clip(0.0, 1.0), axis=1)
    opened = _cumulants(_by_period(by_deal * (state.amount[:, None] ** np.arange(MOMENTS))[:, None, :, None], axis=1))
    mean, variance, third = _over_paths(opened + _by_period(created, axis=0)[:, 1:].transpose(1, 0, 2))
    return Oracle(origin, horizons, state, won_by, mean, variance, third, opened[0].mean(axis=-1))


def _days_ahead(company: SimulatedCompany, day: int, length: int) -> DaysAhead:
    factors = calendar_factors(company.world).iloc[day + 1 : day + 1 + length]
    month = month_numbers(company)
    paths = shock_paths(company.world, float(np.log(shock_by_day(company)[day])), MONTHS)
    ahead = month[day + 1 : day + 1 + length] - month[day] - 1
    return DaysAhead(factors["rate"].to_numpy(), factors["win"].to_numpy(), paths[:, ahead])


def _by_period(by_horizon: np.ndarray, axis: int) -> np.ndarray:
    """Moments won by each month's end as moments won in each of `PERIODS`."""
    last = np.take(by_horizon, [-1], axis=axis)
    return np.concatenate([np.diff(by_horizon, axis=axis, prepend=0.0), last], axis=axis)


def _cumulants(moments: np.ndarray) -> np.ndarray:
    """First three cumulants of the sum of the deals' amounts (cumulants × periods × paths), given each path."""
    first, second, third = moments[:, :, 1], moments[:, :, 2], moments[:, :, 3]
    return np.stack([first.sum(0), (second - first**2).sum(0), (third - 3 * first * second + 2 * first**3).sum(0)])


def _over_paths(cumulants: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulants over equally likely paths from those given each path."""
    mean, variance, third = cumulants
    raw = np.stack([mean, variance + mean**2, third + 3 * mean * variance + mean**3]).mean(axis=-1)
    return raw[0], raw[1] - raw[0] ** 2, raw[2] - 3 * raw[0] * raw[1] + 2 * raw[0] ** 3


@dataclass(frozen=True)
class _Population:
    """The deals that may be created: ``share`` of each kind, its ``pace`` (with the owner's), ``loss`` and first ``amount``."""

    share: np.ndarray
    pace: np.ndarray
    loss: np.ndarray
    amount: np.ndarray


def _population(world: World, owner_pace: np.ndarray) -> _Population:
    """Every combination of segment members, owner and amount, amounts at the points of a Gauss–Hermite quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(_AMOUNT_POINTS)
    share, pace, loss, amount = (np.ones(1) for _ in range(4))
    for members in (world.sources, world.industries, world.products, world.types):
        share, pace, loss, amount = _crossed((share, pace, loss, amount), _factors(members))
    with_owners = _crossed((share, pace, loss, amount), _regions_and_owners(world, owner_pace))
    share, pace, loss, amount = _crossed(with_owners, (weights / weights.sum(), np.ones_like(points), np.ones_like(points), np.exp(world.amount_sd * points)))
    return _Population(share, pace * amount**world.amount_elasticity, loss, world.amount_median * amount)


def _factors(members: tuple[Member, ...]) -> tuple[np.ndarray, ...]:
    share = np.array([m.share for m in members])
    return share / share.sum(), *(np.array([getattr(m, name) for m in members]) for name in ("pace", "loss", "amount"))


def _regions_and_owners(world: World, owner_pace: np.ndarray) -> tuple[np.ndarray, ...]:
    """Shares and factors of each region with each owner of its team."""
    share, pace, loss, amount = _factors(world.regions)
    owners = np.array([team.owners for team in world.teams])
    first = np.cumsum(owners) - owners
    team = np.array([next(i for i, team in enumerate(world.teams) if region.name in team.regions) for region in world.regions])
    of = np.repeat(np.arange(len(team)), owners[team])
    owner = np.concatenate([np.arange(first[t], first[t] + owners[t]) for t in team])
    return share[of] / owners[team][of], pace[of] * owner_pace[owner], loss[of], amount[of]


def _crossed(left: tuple[np.ndarray, ...], right: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Every combination of both, all factors multiplied."""
    return tuple(np.outer(a, b).ravel() for a, b in zip(left, right, strict=True))


def _newborn_moments(world: World, found: Values, population: _Population, day: int) -> np.ndarray:
    """Σ over the days ahead of expected arrivals × E[amount won to each power] (horizons × moments × paths)."""
    factors = calendar_factors(world).iloc[day + 1 : day + len(found.newborn)]
    power = np.arange(MOMENTS)
    weights = found.nodes.weights(population.pace, population.loss)
    of_node = (population.share[:, None] * population.amount[:, None] ** power).T @ weights
    arrivals = world.deals * factors["arrival_share"].to_numpy()
    by_day = arrivals[:, None] * factors["amount"].to_numpy()[:, None] ** power
    return np.einsum("dm,dhmpn,mn->hmp", by_day, found.newborn[1:], of_node, optimize=True)
