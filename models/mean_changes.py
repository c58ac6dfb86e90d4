"""What changed in the forecast's mean between two dates, by cause, down to the deals and to the cent.

What belongs here: the attribution of a change that is known step by step, and the tables that come of it. What does not: the
steps themselves, which need the models of both dates (models/then_and_now.py).

For every period and segment member: opening + Σ causes = closing. Terminal causes win: a deal that was won brings its
amount less its prior expectation, one that was lost takes that away. For deals that stayed open the order is fixed: amount, date,
stage, models. Everything is added up in whole cents, so that the identity holds exactly.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from models.levels import Members

CAUSES = ("won", "lost", "created", "amount", "timing", "progress", "new_business", "model")
"""Causes of change. There is none of exchange rates: one rate per currency holds for all dates of a run."""

_OF_STAYING = ("amount", "timing", "progress", "model")


@dataclass(frozen=True)
class DealSteps:
    """Expected amounts of deals from one date to another, each deals × periods.

    ``prior`` and ``now`` are what the two forecasts expect of each deal (0 where it is not open). Of deals open at both
    dates, and only of these, the steps between are read: ``with_amount``, ``with_date`` and ``with_stage`` change the prior expectation
    one after another to the new amount, expected close date and state, all by the models of the earlier date.
    ``won_cents`` (int64) was won between the two dates. ``deal`` points into the record; ``is_won`` tells deals won by now.
    """

    deal: np.ndarray
    was_open: np.ndarray
    is_open: np.ndarray
    is_won: np.ndarray
    prior: np.ndarray
    with_amount: np.ndarray
    with_date: np.ndarray
    with_stage: np.ndarray
    now: np.ndarray
    won_cents: np.ndarray


@dataclass(frozen=True)
class MeanTotals:
    """Published means of one date in whole cents (members × periods), and the deals behind them.

    ``open_pipeline``, ``new_business`` and ``total`` are the forecast's components; ``deals`` counts open deals with a part in it and wins.
    """

    open_pipeline: np.ndarray
    new_business: np.ndarray
    total: np.ndarray
    deals: np.ndarray


def attribute(steps: DealSteps, opening_cents: np.ndarray, closing_cents: np.ndarray) -> dict[str, np.ndarray]:
    """Change of each deal by cause, in whole cents (int64, deals × periods).

    ``opening_cents`` and ``closing_cents`` (periods) are what the company's published open pipeline adds up to. For each deal and
    period the causes add up to what it brings now and has brought since, less what was expected of it; over all deals
    to closing − opening + won.
    """
    prior, now = cents_adding_up(steps.prior, opening_cents), cents_adding_up(steps.now, closing_cents)
    stayed, gone = steps.was_open & steps.is_open, steps.was_open & ~steps.is_open
    path = (steps.prior, steps.with_amount, steps.with_date, steps.with_stage)
    moved = [np.where(stayed[:, None], np.rint((after - before) * 100), 0.0).astype(np.int64) for before, after in pairwise(path)]
    rest = np.where(stayed[:, None], now - prior - sum(moved), 0)
    # Where the models of both dates say the same, the cent or so that rounding leaves is not theirs.
    by_model = steps.now != steps.with_stage
    moved[-1] += np.where(by_model, 0, rest)
    return {
        "won": steps.won_cents - np.where((gone & steps.is_won)[:, None], prior, 0),
        "lost": -np.where((gone & ~steps.is_won)[:, None], prior, 0),
        "created": np.where((steps.is_open & ~steps.was_open)[:, None], now, 0),
        **dict(zip(_OF_STAYING, moved)),
        "model": np.where(by_model, rest, 0),
    }


def cents_adding_up(amounts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Amounts by deal and period, none negative, as whole cents that add up to ``totals`` by period (int64).

    Differences of rounded running sums, as in `Members.whole_cents`: each is within a cent or so of its exact amount.
    """
    running = np.cumsum(amounts, axis=0)
    last = running[-1] if len(running) else np.zeros(len(totals))
    stretch = np.divide(totals, last, out=np.zeros(len(totals)), where=last > 0)
    return np.diff(np.rint(running * stretch), axis=0, prepend=0.0).astype(np.int64)


def change_rows(
    steps: DealSteps, members: Members, opening: MeanTotals, closing: MeanTotals, used_up: np.ndarray, periods: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The change by member and cause, and by deal and cause, without their dates.

    ``members`` are those of the steps' deals, ``periods`` (period_kind, period_start) their columns; ``used_up`` (members × periods, cents)
    is the part of the opening's new business that was to come from deals created between the two dates. The first table has
    a row of opening and of closing per period and member and one per cause that adds something; the second one per deal (its position in
    the record), period and cause. For the company they agree to the cent but for ``created``, which is net of ``used_up``, and
    ``new_business``, which has no deals. Of other members ``model`` also has the cents by which totals of rounded amounts
    differ from rounded totals.
    """
    by_deal = attribute(steps, opening.open_pipeline[0], closing.open_pipeline[0])
    names, shape = list(by_deal), (len(members.names), len(periods))
    values = np.stack([*by_deal.values()], axis=1)
    sums, deals = (members.sum(v.reshape(len(v), -1).astype(float)).reshape(shape[0], len(names), shape[1]).astype(np.int64) for v in (values, values != 0))
    causes = {name: sums[:, i] for i, name in enumerate(names)}
    causes["created"] = causes["created"] - used_up
    causes["new_business"] = closing.new_business - opening.new_business + used_up
    causes["model"] = closing.total - opening.total - sum(amount for name, amount in causes.items() if name != "model")
    counts = {name: deals[:, i] for i, name in enumerate(names)} | {"new_business": np.zeros(shape, np.int64)}
    ends = [("opening", opening.total, opening.deals), ("closing", closing.total, closing.deals)]
    rows = [_rows(name, amount, count, members.names, periods) for name, amount, count in [*ends, *((c, causes[c], counts[c]) for c in CAUSES)]]
    table = pd.concat(rows, ignore_index=True)
    says = table["cause"].isin(["opening", "closing"]) | (table["amount"] != 0) | (table["deals"] > 0)
    return table[says].reset_index(drop=True), _deal_rows(steps.deal, values, names, periods)


def _rows(cause: str, cents: np.ndarray, deals: np.ndarray, names: pd.DataFrame, periods: pd.DataFrame) -> pd.DataFrame:
    count, length = len(names), len(periods)
    return pd.DataFrame(
        {
            **{c: np.tile(periods[c].to_numpy(), count) for c in ("period_kind", "period_start")},
            **{c: np.repeat(names[c].to_numpy(), length) for c in ("dimension", "member")},
            "cause": cause,
            "amount": cents.reshape(-1) / 100,
            "deals": deals.reshape(-1).astype(np.int64),
        }
    )


def _deal_rows(deal: np.ndarray, values: np.ndarray, names: list[str], periods: pd.DataFrame) -> pd.DataFrame:
    row, cause, period = np.nonzero(values)
    return pd.DataFrame(
        {
            "period_kind": periods["period_kind"].to_numpy(object)[period],
            "period_start": periods["period_start"].to_numpy()[period],
            "deal": deal[row],
            "cause": np.array(names, dtype=object)[cause],
            "amount": values[row, cause, period] / 100,
        }
    )
