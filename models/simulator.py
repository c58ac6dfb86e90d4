"""Simulates a company: deals that arrive, move through the stages, are won, lost or forgotten.

What belongs here: the drawing. What does not: the parameters and what follows from them without chance
(models/simulated_world.py), and any file, CRM or language (pipelines/demo).

A semi-Markov process in daily steps: each day every live deal may leave its stage for one of several causes, by
rates that depend on its stage, its age there, its segments, its owner, its amount, the day and a monthly shock. The
loop is over days; what happens on a day is computed for all deals at once.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.simulated_funnel import FIELDS, Funnel
from models.simulated_world import Member, World, calendar_factors

ACTIVITY_KINDS = ("call", "mail", "visit", "demo")
_ACTIVITY_SHARES = (0.45, 0.27, 0.20, 0.08)
_FIRST_MINUTE, _LAST_MINUTE = 7 * 60 + 30, 20 * 60
"""Things happen from 7:30 to 20:00; a deal is handed to another owner after that."""
_EVENING = 20 * 60 + 30
GOOD_NOTES = ("budget confirmed", "decision maker on board", "asked for the contract")
BAD_NOTES = ("internal discussion", "no answer", "asked to call later")
_ATTAINABLE = 1.05
_TARGET_STEP = 10_000
_TARGET_MONTHS_AHEAD = 6


@dataclass(frozen=True)
class SimulatedCompany:
    """What a simulated company's CRM knows at the end of the last day, and what only the simulator knows.

    Frames under the canonical names of quality/tables/exports.py; times are naive wall-clock times to the minute,
    ``closed_at`` the midnight of its day, amounts whole numbers of one currency. ``stage_history`` holds
    every stage entry, won and lost included, with amount, expected close date and owner at that time;
    ``field_history`` every later change of amount, expected_close_date (overwritten by the closing day at closing)
    and owner_id. Sorted by deal and time.

    Known to the simulator alone: ``latent`` (one row per deal: pace and loss factors without the owner's, the number of its
    interest among `World.interests`, silent_at),
    ``owner_pace`` (one row per owner) and ``shock`` (one row per month: the factor on the pace).
    """

    world: World
    opportunities: pd.DataFrame
    stage_history: pd.DataFrame
    field_history: pd.DataFrame
    activities: pd.DataFrame
    accounts: pd.DataFrame
    owners: pd.DataFrame
    targets: pd.DataFrame
    latent: pd.DataFrame
    owner_pace: pd.DataFrame
    shock: pd.DataFrame


def simulate(world: World, seed: int) -> SimulatedCompany:
    """Simulate ``world``; equal arguments give equal frames.

    Raises ValueError where the world contradicts itself (rates missing, a region without exactly one team).
    """
    rng = np.random.default_rng(seed)
    factors = calendar_factors(world)
    created_day = np.repeat(np.arange(world.days), rng.multinomial(world.deals, factors["arrival_share"]))
    accounts = _accounts(world, rng)
    deals = _deals(world, rng, accounts, factors["amount"].to_numpy()[created_day])
    owner_team = np.repeat(np.arange(len(world.teams)), [team.owners for team in world.teams])
    owner = _owner_in_team(world, rng, deals["team"].to_numpy())
    owner_pace = np.exp(rng.normal(0.0, world.owner_sd, world.owners))
    shock = _monthly_shock(world, rng, factors["day"])
    # Interest and notes have random numbers of their own: a world without them draws what it always did.
    rng_of_interest = np.random.default_rng([seed, 1])
    shares = np.array([interest.share for interest in world.interests])
    interest = rng_of_interest.choice(len(shares), size=world.deals, p=shares / shares.sum())
    funnel = Funnel(
        world,
        rng,
        created_day=created_day,
        amount=deals["first_amount"].to_numpy(),
        pace=deals["pace"].to_numpy(),
        loss=deals["loss"].to_numpy(),
        interest=np.array([kind.win for kind in world.interests])[interest],
        owner=owner,
        owner_team=owner_team,
        owner_pace=owner_pace,
        rate=factors["rate"].to_numpy(),
        win=factors["win"].to_numpy(),
        shock=shock["pace"].to_numpy()[_month_number(factors["day"])],
    )
    funnel.run()
    company = _company(world, rng, funnel, deals.assign(interest=interest), accounts, owner_team, owner_pace, shock)
    return replace(company, activities=_with_notes(company, interest, rng_of_interest)) if world.noted > 0 else company


def _draw(rng: np.random.Generator, members: tuple[Member, ...], size: int) -> np.ndarray:
    shares = np.array([m.share for m in members])
    return rng.choice(len(members), size=size, p=shares / shares.sum())


def _ids(prefix: str, count: int) -> pd.Series:
    """18 characters as in Salesforce: a prefix of five, ten digits, three letters."""
    return prefix + pd.Series(np.arange(1, count + 1)).astype(str).str.zfill(10) + "AAA"


def _names(members: tuple[Member, ...], drawn: np.ndarray) -> pd.Series:
    return pd.Series([m.name for m in members]).take(drawn).reset_index(drop=True)


def _accounts(world: World, rng: np.random.Generator) -> pd.DataFrame:
    count = max(1, round(0.6 * world.deals))
    employees = np.ceil(rng.lognormal(np.log(180), 1.1, count)).astype(np.int64)
    return pd.DataFrame(
        {
            "account_id": _ids("0015g", count),
            "industry_number": _draw(rng, world.industries, count),
            "region_number": _draw(rng, world.regions, count),
            "employees": employees,
            "annual_revenue": np.round(employees * rng.lognormal(np.log(450_000), 0.4, count), -4),
        }
    )


def _deals(world: World, rng: np.random.Generator, accounts: pd.DataFrame, price: np.ndarray) -> pd.DataFrame:
    """One row per deal: account and segments as numbers, first amount, factors on pace and loss.

    ``price`` (one per deal) multiplies its amount, but nothing that depends on amounts.
    """
    size = world.deals
    account = rng.integers(0, len(accounts), size)
    drawn = {
        "source": (_draw(rng, world.sources, size), world.sources),
        "industry": (accounts["industry_number"].to_numpy()[account], world.industries),
        "region": (accounts["region_number"].to_numpy()[account], world.regions),
        "product": (_draw(rng, world.products, size), world.products),
        "opportunity_type": (_draw(rng, world.types, size), world.types),
    }
    pace, loss, scale = np.ones(size), np.ones(size), np.ones(size)
    for numbers, members in drawn.values():
        pace *= np.array([m.pace for m in members])[numbers]
        loss *= np.array([m.loss for m in members])[numbers]
        scale *= np.array([m.amount for m in members])[numbers]
    amount = world.amount_median * scale * rng.lognormal(0.0, world.amount_sd, size)
    amount = np.maximum(np.round(amount / world.amount_step), 1) * world.amount_step
    pace *= (amount / world.amount_median) ** world.amount_elasticity
    amount = np.maximum(np.round(amount * price / world.amount_step), 1) * world.amount_step
    team = _team_of_region(world)[drawn["region"][0]]
    numbers = {name: values for name, (values, _) in drawn.items()}
    return pd.DataFrame({"account": account, **numbers, "team": team, "first_amount": amount.astype(np.int64), "pace": pace, "loss": loss})


def _team_of_region(world: World) -> np.ndarray:
    teams = []
    for region in world.regions:
        found = [number for number, team in enumerate(world.teams) if region.name in team.regions]
        if len(found) != 1:
            raise ValueError(f"region {region.name} belongs to {len(found)} teams; expected exactly one")
        teams.append(found[0])
    return np.array(teams)


def _owner_in_team(world: World, rng: np.random.Generator, team: np.ndarray) -> np.ndarray:
    size = np.array([t.owners for t in world.teams])
    first = np.cumsum(size) - size
    return first[team] + rng.integers(0, size[team])


def _month_number(day: pd.Series) -> np.ndarray:
    """Months since the month of the first day."""
    months = day.dt.year * 12 + day.dt.month
    return (months - months.iloc[0]).to_numpy()


def _monthly_shock(world: World, rng: np.random.Generator, day: pd.Series) -> pd.DataFrame:
    months = pd.date_range(day.iloc[0].replace(day=1), day.iloc[-1], freq="MS")
    noise = rng.normal(0.0, world.shock_sd, len(months))
    noise[1:] *= np.sqrt(1 - world.shock_correlation**2)
    level = np.zeros(len(months))
    level[0] = noise[0]
    for month in range(1, len(months)):
        level[month] = world.shock_correlation * level[month - 1] + noise[month]
    return pd.DataFrame({"month": months, "pace": np.exp(level)})


def _company(
    world: World,
    rng: np.random.Generator,
    funnel: Funnel,
    deals: pd.DataFrame,
    accounts: pd.DataFrame,
    owner_team: np.ndarray,
    owner_pace: np.ndarray,
    shock: pd.DataFrame,
) -> SimulatedCompany:
    """The frames of what the funnel went through."""
    stage_names = pd.Series([*(stage.key for stage in world.stages), "won", "lost"])
    deal_ids, owner_ids, account_ids = _ids("0065g", world.deals), _ids("0055g", world.owners), accounts["account_id"]

    def at(day: np.ndarray, minute: np.ndarray | int = 0) -> np.ndarray:
        return (np.datetime64(world.start, "m") + (day.astype(np.int64) * 1440 + minute)).astype("datetime64[us]")

    def pick(names: pd.Series, numbers: np.ndarray) -> pd.Series:
        return names.take(numbers).reset_index(drop=True)

    moves = funnel.moves()
    move_minute = rng.integers(_FIRST_MINUTE, _LAST_MINUTE, len(moves["deal"]))
    moved_at = at(moves["day"], move_minute)
    order = np.lexsort((moves["day"], moves["deal"]))
    stage_history = pd.DataFrame(
        {
            "opportunity_id": pick(deal_ids, moves["deal"][order]),
            "stage": pick(stage_names, moves["stage"][order]),
            "entered_at": moved_at[order],
            "amount": moves["amount"][order],
            "expected_close_date": at(moves["expected_day"][order]),
            "owner_id": pick(owner_ids, moves["owner"][order]),
        }
    )

    changes = funnel.changes()
    minute = rng.integers(_FIRST_MINUTE, _LAST_MINUTE, len(changes["deal"]))
    minute = np.where(changes["field"] == FIELDS.index("owner_id"), _EVENING, minute)
    with_move = changes["move"] >= 0
    minute[with_move] = move_minute[changes["move"][with_move]]
    changed_at = at(changes["day"], minute)
    field_history = _field_history(world, changes, changed_at, deal_ids, owner_ids)

    updated_at = np.full(world.deals, np.datetime64(world.start, "us"))
    np.maximum.at(updated_at, moves["deal"], moved_at)
    np.maximum.at(updated_at, changes["deal"], changed_at)
    first_move = order[np.unique(moves["deal"][order], return_index=True)[1]]

    count = len(world.stages)
    closed = funnel.stage >= count
    lost = pd.Series(funnel.stage == count + 1)
    reason = _names(world.loss_reasons, _draw(rng, world.loss_reasons, world.deals))
    opportunities = pd.DataFrame(
        {
            "opportunity_id": deal_ids,
            "account_id": pick(account_ids, deals["account"].to_numpy()),
            "opportunity_type": _names(world.types, deals["opportunity_type"].to_numpy()),
            "owner_id": pick(owner_ids, funnel.owner),
            "stage": pick(stage_names, funnel.stage),
            "amount": funnel.amount,
            "created_at": moved_at[first_move],
            "updated_at": updated_at,
            "expected_close_date": at(funnel.expected_day),
            "closed_at": pd.Series(at(funnel.entered_day)).where(closed),
            "is_closed": closed,
            "is_won": funnel.stage == count,
            "loss_reason": reason.where(lost),
            "source": _names(world.sources, deals["source"].to_numpy()),
            "industry": _names(world.industries, deals["industry"].to_numpy()),
            "product": _names(world.products, deals["product"].to_numpy()),
            "region": _names(world.regions, deals["region"].to_numpy()),
        }
    )
    owners = pd.DataFrame({"owner_id": owner_ids, "team": pick(pd.Series([t.name for t in world.teams]), owner_team)})
    return SimulatedCompany(
        world=world,
        opportunities=opportunities,
        stage_history=stage_history,
        field_history=field_history,
        activities=_activities(world, rng, funnel, deals["interest"].to_numpy(), at, deal_ids, owner_ids),
        accounts=pd.DataFrame(
            {
                "account_id": account_ids,
                "industry": _names(world.industries, accounts["industry_number"].to_numpy()),
                "annual_revenue": accounts["annual_revenue"],
                "employees": accounts["employees"],
                "region": _names(world.regions, accounts["region_number"].to_numpy()),
            }
        ),
        owners=owners,
        targets=_targets(world, opportunities, owners),
        latent=pd.DataFrame(
            {
                "opportunity_id": deal_ids,
                "pace": deals["pace"],
                "loss": deals["loss"],
                "interest": deals["interest"],
                "silent_at": pd.Series(at(funnel.silent_day)).where(funnel.silent_day >= 0),
            }
        ),
        owner_pace=pd.DataFrame({"owner_id": owner_ids, "pace": owner_pace}),
        shock=shock,
    )


def _field_history(world: World, changes: dict[str, np.ndarray], changed_at: np.ndarray, deal_ids: pd.Series, owner_ids: pd.Series) -> pd.DataFrame:
    """One row per change, values as text: whole amounts, ISO dates, owner ids."""
    order = np.lexsort((changes["field"], changed_at, changes["deal"]))
    field = changes["field"][order]
    first_day = np.datetime64(world.start, "D")

    def text(values: np.ndarray) -> pd.Series:
        written = pd.Series("", index=range(len(values)), dtype="str")
        amount, close, owner = (np.flatnonzero(field == number) for number in range(len(FIELDS)))
        written.iloc[amount] = values[amount].astype(str)
        written.iloc[close] = np.datetime_as_string(first_day + values[close])
        written.iloc[owner] = owner_ids.take(values[owner]).to_numpy()
        return written

    return pd.DataFrame(
        {
            "opportunity_id": deal_ids.take(changes["deal"][order]).reset_index(drop=True),
            "field": pd.Series(FIELDS).take(field).reset_index(drop=True),
            "old_value": text(changes["old"][order]),
            "new_value": text(changes["new"][order]),
            "changed_at": changed_at[order],
        }
    )


def _activities(world: World, rng: np.random.Generator, funnel: Funnel, interest: np.ndarray, at, deal_ids: pd.Series, owner_ids: pd.Series) -> pd.DataFrame:
    """Touches of each deal from its creation until it closed, fell silent or the watch ended, uniform in between."""
    last_day = np.select([funnel.stage >= len(world.stages), funnel.silent_day >= 0], [funnel.entered_day, funnel.silent_day], world.days - 1)
    span = last_day - funnel.created_day
    number = rng.poisson(span * world.activities_per_week / 7 * np.array([kind.activity for kind in world.interests])[interest])
    deal = np.repeat(np.arange(world.deals), number)
    day = funnel.created_day[deal] + 1 + np.floor(rng.random(len(deal)) * span[deal])
    happened_at = at(day, rng.integers(_FIRST_MINUTE, _LAST_MINUTE, len(deal)))
    order = np.lexsort((happened_at, deal))
    kind = rng.choice(len(ACTIVITY_KINDS), size=len(deal), p=_ACTIVITY_SHARES)
    return pd.DataFrame(
        {
            "activity_id": _ids("00T5g", len(deal)),
            "opportunity_id": deal_ids.take(deal[order]).reset_index(drop=True),
            "kind": pd.Series(ACTIVITY_KINDS).take(kind).reset_index(drop=True),
            "happened_at": happened_at[order],
            "owner_id": owner_ids.take(funnel.owner[deal[order]]).reset_index(drop=True),
        }
    )


def _with_notes(company: SimulatedCompany, interest: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """The activities with a column ``text``, missing where nothing was noted."""
    world, activities = company.world, company.activities
    deal = pd.Index(company.opportunities["opportunity_id"]).get_indexer(activities["opportunity_id"])
    good = rng.random(len(activities)) < np.array([kind.good_note for kind in world.interests])[interest[deal]]
    phrase = rng.integers(0, len(GOOD_NOTES), len(activities))
    note = pd.Series(np.where(good, np.array(GOOD_NOTES)[phrase], np.array(BAD_NOTES)[phrase]), index=activities.index, dtype="str")
    return activities.assign(text=note.where(rng.random(len(activities)) < world.noted))


def _targets(world: World, opportunities: pd.DataFrame, owners: pd.DataFrame) -> pd.DataFrame:
    """Monthly bookings targets of each team and of the company, a little above what growth alone would bring."""
    won = opportunities[opportunities["is_won"]].merge(owners, on="owner_id", validate="m:1")
    months = pd.date_range(world.start.replace(day=1), periods=len(_months(world)) + _TARGET_MONTHS_AHEAD, freq="MS")
    share = (1 + world.yearly_growth) ** (np.arange(len(months)) / 12) * np.asarray(world.season)[months.month - 1]
    per_month = won.groupby("team")["amount"].sum().reindex(sorted({t.name for t in world.teams}), fill_value=0) / len(_months(world))
    scale = share / share[: len(_months(world))].mean() * _ATTAINABLE
    target = np.round(per_month.to_numpy()[:, None] * scale / _TARGET_STEP) * _TARGET_STEP
    teams = pd.DataFrame(target, index=per_month.index, columns=months).melt(ignore_index=False, var_name="period_start", value_name="target")
    teams = teams.rename_axis("member").reset_index().assign(dimension="team")
    company = teams.groupby("period_start", as_index=False)["target"].sum().assign(dimension="all", member="all")
    every = pd.concat([company, teams]).assign(period_kind="month", metric="bookings")
    columns = ["period_kind", "period_start", "dimension", "member", "metric", "target"]
    return every.sort_values(["period_start", "dimension", "member"])[columns].reset_index(drop=True)


def _months(world: World) -> pd.DatetimeIndex:
    return pd.date_range(world.start.replace(day=1), world.end, freq="MS")
