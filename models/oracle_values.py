"""What a deal of a simulated world is worth, by exact backward induction over the days ahead.

What belongs here: from the true hazards of the days ahead to P(won by) and the moments of the amount won, on a grid of
states. What does not: which deals there are (models/oracle_state.py) and their sums (models/oracle.py).

The grid: stage × age in stage × the deal's pace × its loss factor × the path of the monthly shock. Values are smooth in the
logarithms of pace and loss, so few Chebyshev nodes and the polynomial through them are exact to a thousandth. The shock's
path to come is averaged over six paths (a cubature that is exact for polynomials up to the third degree; Stroud 1971).
"""

from dataclasses import dataclass

import numpy as np

from models.simulated_world import CAUSES, FACTOR_CAUSES, World, age_bins, daily_rates, destinations

MOMENTS = 4
"""Values are E[won by × (final ÷ current amount) to the power of 0, 1, 2, 3]; the first is the probability."""

PACE_NODES, LOSS_NODES = 7, 4


@dataclass(frozen=True)
class Nodes:
    """Chebyshev nodes for the logarithms of pace and loss, and the values of the product grid (nodes)."""

    pace_points: np.ndarray
    loss_points: np.ndarray

    @classmethod
    def covering(cls, pace: np.ndarray, loss: np.ndarray) -> "Nodes":
        """Nodes that span the given factors."""
        return cls(_chebyshev(np.log(pace), PACE_NODES), _chebyshev(np.log(loss), LOSS_NODES))

    @property
    def pace(self) -> np.ndarray:
        """The pace of each node."""
        return np.exp(np.repeat(self.pace_points, len(self.loss_points)))

    @property
    def loss(self) -> np.ndarray:
        """The loss factor of each node."""
        return np.exp(np.tile(self.loss_points, len(self.pace_points)))

    def weights(self, pace: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """What each node's value counts for a deal with these factors (deals × nodes)."""
        of_pace, of_loss = _lagrange(self.pace_points, np.log(pace)), _lagrange(self.loss_points, np.log(loss))
        return (of_pace[:, :, None] * of_loss[:, None, :]).reshape(len(of_pace), -1)


def _chebyshev(values: np.ndarray, count: int) -> np.ndarray:
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    half = max((high - low) / 2, 1e-3)
    return (low + high) / 2 + half * np.cos(np.pi * (np.arange(count) + 0.5) / count) / np.cos(np.pi / 2 / count)


def _lagrange(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values at ``at`` of the polynomials that are 1 at one point and 0 at the others (values × points)."""
    others = ~np.eye(len(points), dtype=bool)
    difference = np.where(others, at[:, None, None] - points[None, None, :], 1.0)
    scale = np.where(others, points[:, None] - points[None, :], 1.0)
    return (difference / scale).prod(axis=2)


@dataclass(frozen=True)
class DaysAhead:
    """What is known of the days after the origin: each day's factors ``rate`` and ``win``, and ``shock`` (paths × days)."""

    rate: np.ndarray
    win: np.ndarray
    shock: np.ndarray


def shock_paths(world: World, last_level: float, months: int) -> np.ndarray:
    """Equally likely paths of the factor of the months to come (2 · months × months), given the logarithm of the last one."""
    spread = world.shock_sd * np.sqrt(1 - world.shock_correlation**2)
    innovations = np.sqrt(months) * spread * np.vstack([np.eye(months), -np.eye(months)])
    level, levels = np.full(2 * months, last_level), []
    for step in innovations.T:
        level = world.shock_correlation * level + step
        levels.append(level)
    return np.exp(np.stack(levels, axis=1))


@dataclass(frozen=True)
class Values:
    """Values at the origin and at the end of each day after it.

    ``states`` is ages (0 … the first of the open bin) × stages × horizons × moments × paths × nodes. ``newborn`` is
    days (the origin's end first) × horizons × moments × paths × nodes: of a deal created on that day.
    """

    nodes: Nodes
    states: np.ndarray
    newborn: np.ndarray

    def of_deals(self, stage: np.ndarray, age_days: np.ndarray, pace: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Values of deals in these states (deals × horizons × moments × paths)."""
        age = np.minimum(age_days, len(self.states) - 1)
        place, of_deal = np.unique(age * self.states.shape[1] + stage, return_inverse=True)
        at = self.states.reshape(-1, *self.states.shape[2:])[place]
        weights = self.nodes.weights(pace, loss)
        found = np.empty((len(stage), *self.states.shape[2:5]))
        # Deals in one state share its values; going through them in blocks bounds the memory.
        for begin in range(0, len(stage), 5_000):
            block = slice(begin, begin + 5_000)
            found[block] = np.matmul(at[of_deal[block]], weights[block, None, None, :, None])[..., 0]
        return found


def values(world: World, nodes: Nodes, ahead: DaysAhead, horizon_days: np.ndarray) -> Values:
    """Walk back from the last horizon to the origin; ``horizon_days`` ascend and the last is the last day of ``ahead``."""
    oldest = world.age_edges[-1]
    bins = age_bins(world, np.arange(1, oldest + 2))
    paths, count, stages = len(ahead.shock), len(nodes.pace), len(world.stages)
    shape = (stages, len(horizon_days), MOMENTS, paths, count)
    state, following = np.zeros((oldest + 1, *shape)), np.zeros((oldest + 1, *shape))
    newborn = np.zeros((len(ahead.rate) + 1, *shape[1:]))
    requote, won = _amount_moments(world)
    hazards = _Hazards.of(world, nodes)
    for day in range(len(ahead.rate), 0, -1):
        # A horizon that ends before this day has no part in it.
        live = slice(int(np.searchsorted(horizon_days, day)), None)
        leaving, causes = hazards.on(ahead.shock[:, day - 1], ahead.win[day - 1], ahead.rate[day - 1])
        entered = state[0, :, live] * requote[:, None, :, None, None]
        targets = np.concatenate([entered, np.broadcast_to(won[:, None, None], (1, *entered.shape[1:])), np.zeros((1, *entered.shape[1:]))])
        left = sum(causes[:, cause, :, None, None] * targets[to] for cause, to in hazards.destinations)
        staying = (1.0 - leaving)[:, :, None, None]
        following[:-1, :, live] = staying[bins[:-1]] * state[1:, :, live] + left[bins[:-1]]
        following[-1, :, live] = staying[bins[-1]] * state[-1, :, live] + left[bins[-1]]
        state, following = following, state
        newborn[day - 1] = state[0, 0]
    return Values(nodes, state, newborn)


@dataclass(frozen=True)
class _Hazards:
    """The world's rates as the induction reads them: bins × causes × stages, and where each cause that occurs leads."""

    rates: np.ndarray
    destinations: tuple[tuple[int, np.ndarray], ...]
    nodes: Nodes

    @classmethod
    def of(cls, world: World, nodes: Nodes) -> "_Hazards":
        rates = daily_rates(world).transpose(2, 1, 0)
        to = destinations(world)
        occurring = [c for c, cause in enumerate(CAUSES) if cause != "silent" and rates[:, c].any()]
        return cls(rates, tuple((c, to[:, c]) for c in occurring), nodes)

    def on(self, shock: np.ndarray, win: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Chances of a day: of leaving (bins × stages × paths × nodes) and by cause (bins × causes × stages × paths × nodes)."""
        pace = shock[:, None] * self.nodes.pace
        factor = {"pace": pace, "win": pace * win, "loss": np.broadcast_to(self.nodes.loss, pace.shape), "none": np.ones_like(pace)}
        by_cause = np.stack([factor[next(name for name, causes in FACTOR_CAUSES.items() if cause in causes)] for cause in CAUSES])
        rates = self.rates[..., None, None] * by_cause[None, :, None]
        total = rates.sum(axis=1)
        leaving = -np.expm1(-total * rate)
        return leaving, rates * np.divide(leaving, total, out=np.zeros_like(total), where=total > 0)[:, None]


def _amount_moments(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the factor on the amount on entering each stage (stages × moments) and on winning (moments)."""
    k = np.arange(MOMENTS)
    share, mean, sd = (np.array([getattr(s, name) for s in world.stages])[:, None] for name in ("requoted", "requote_mean", "requote_sd"))
    requote = 1 - share + share * mean**k * np.exp(k * (k - 1) / 2 * sd**2)
    most = 2 * world.discount_mean
    discount = (1 - (1 - most) ** (k + 1)) / ((k + 1) * most) if most > 0 else np.ones(MOMENTS)
    return requote, 1 - world.discounted + world.discounted * discount
