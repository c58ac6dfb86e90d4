"""A simulated company as the record that forecasts read, without files and without SQL.

What belongs here: from the simulator's frames to a CompanyRecord as known at a date. What does not: any forecast. The
pipeline's own way is longer (assets/core, assets/forecasts/record.py); tests/unit/test_simulated_record.py holds both equal.
"""

from datetime import date

import numpy as np
import pandas as pd

from models.deal_facts import FIELDS, DealFacts, trait_codes
from models.deal_history import NEVER, deal_groups, deal_history
from models.levels import Members, whole_days
from models.outlook import CompanyRecord
from models.simulator import SimulatedCompany

GROUP_DIMENSIONS = ("source", "product")
"""Segments that the models may read, as the pipeline takes them where the company declares these first."""

SEGMENTS = ("source", "industry", "region", "product", "opportunity_type")

_FINAL_RATIO_YEARS = 3


def simulated_record(company: SimulatedCompany, as_of: date, group_dimensions: tuple[str, ...] = GROUP_DIMENSIONS) -> CompanyRecord:
    """The record as known at the end of ``as_of``; deals are numbered in the order of their ids, which is that of creation."""
    states = _states(company, as_of)
    deals = _deals(company, states)
    numbers = np.arange(len(deals))
    segments = _segments(deals, numbers)
    stages = _stages(company)
    groups = deal_groups(deals.assign(opportunity_id=numbers), segments, group_dimensions)
    is_won = deals["status"].eq("won").to_numpy()
    return CompanyRecord(
        history=deal_history(deals, _visits(states, stages, deals["opportunity_id"].to_numpy()), stages, as_of, groups),
        facts=_facts(company, states, as_of, segments),
        members=Members.of(segments, numbers),
        created_on=whole_days(deals["created_at"]),
        closed_on=whole_days(deals["closed_at"]),
        owner_id=deals["owner_id"].to_numpy(object),
        is_won=is_won,
        amount=deals["amount"].to_numpy(float),
        crm_probability=np.full(len(deals), np.nan),
        default_probability=np.full(len(company.world.stages), np.nan),
        episode_deal=states["deal"].to_numpy(np.int32),
        episode_from=states["at"].to_numpy("datetime64[us]"),
        episode_to=states["until"].to_numpy("datetime64[us]"),
        episode_amount=states["amount"].to_numpy(float),
        episode_close_on=whole_days(states["expected_close_date"]),
        final_ratios=_final_ratios(states, deals),
        knows_amounts=True,
    )


def _states(company: SimulatedCompany, as_of: date) -> pd.DataFrame:
    """One row per instant at which something of a deal changed, with all that held from then on: deal, at, until (NaT: still),
    stage, amount, expected_close_date, owner_id; ``is_entry`` where the stage was entered."""
    end = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    ids = pd.Index(company.opportunities["opportunity_id"])
    entries = company.stage_history.rename(columns={"entered_at": "at"}).assign(is_entry=True)
    changes = company.field_history.rename(columns={"changed_at": "at"})
    field, value = changes["field"], changes["new_value"]
    changed = pd.DataFrame(
        {
            "opportunity_id": changes["opportunity_id"],
            "at": changes["at"],
            "amount": pd.to_numeric(value.where(field == "amount")),
            "expected_close_date": pd.to_datetime(value.where(field == "expected_close_date")),
            "owner_id": value.where(field == "owner_id"),
            "is_entry": False,
        }
    )
    rows = pd.concat([entries, changed], ignore_index=True)
    rows = rows[rows["at"] < end]
    rows = rows.assign(deal=ids.get_indexer(rows["opportunity_id"])).drop(columns="opportunity_id")
    # An entry tells everything, so the first row of each deal has no gap and nothing is carried from one deal to the next.
    rows = rows.sort_values(["deal", "at", "is_entry"], kind="stable", ignore_index=True)
    carried = ["stage", "amount", "expected_close_date", "owner_id"]
    rows[carried] = rows[carried].ffill()
    rows["is_entry"] = rows.groupby(["deal", "at"])["is_entry"].transform("any")
    states = rows.drop_duplicates(["deal", "at"], keep="last", ignore_index=True)
    return states.assign(until=states["at"].shift(-1).where(states["deal"].eq(states["deal"].shift(-1))))


def _facts(company: SimulatedCompany, states: pd.DataFrame, as_of: date, segments: pd.DataFrame) -> DealFacts:
    """The states and touches as arrays, all of whose past is known."""
    close = whole_days(states["expected_close_date"])
    activities = company.activities[company.activities["happened_at"] < pd.Timestamp(as_of) + pd.Timedelta(days=1)]
    touched = pd.Index(company.opportunities["opportunity_id"]).get_indexer(activities["opportunity_id"])
    day = activities["happened_at"].to_numpy("datetime64[D]").astype(np.int64)
    order = np.lexsort((day, touched))
    return DealFacts(
        deal=states["deal"].to_numpy(np.int64),
        from_day=states["at"].to_numpy("datetime64[D]").astype(np.int64),
        amount=states["amount"].to_numpy(float),
        close_day=np.where(np.isnat(close), NEVER, close.astype(np.int64)),
        owner=pd.factorize(states["owner_id"], sort=True)[0].astype(np.int64),
        touched_deal=touched[order].astype(np.int64),
        touched_day=day[order],
        knows=frozenset(FIELDS),
        traits={name: trait_codes(segments.loc[segments["dimension"] == name, "member"].to_numpy()) for name in SEGMENTS},
    )


def _deals(company: SimulatedCompany, states: pd.DataFrame) -> pd.DataFrame:
    """One row per deal that was there, as it stood at the end: an order that is that of the ids."""
    last = states[states["until"].isna()]
    entered = states[states["is_entry"]].drop_duplicates("deal", keep="last")
    known = company.opportunities.iloc[last["deal"].to_numpy()].reset_index(drop=True)
    status = last["stage"].where(last["stage"].isin(["won", "lost"]), "open").reset_index(drop=True)
    return known[["opportunity_id", "created_at", *SEGMENTS]].assign(
        status=status,
        stage=last["stage"].to_numpy(),
        amount=last["amount"].to_numpy(),
        owner_id=last["owner_id"].to_numpy(),
        closed_at=entered["at"].reset_index(drop=True).where(status != "open"),
    )


def _stages(company: SimulatedCompany) -> pd.DataFrame:
    keys = [stage.key for stage in company.world.stages]
    return pd.DataFrame(
        {
            "stage": [*keys, "won", "lost"],
            "pipeline": "sales",
            "position": [*range(1, len(keys) + 2), 0],
            "kind": [*["open"] * len(keys), "won", "lost"],
            "last_day": pd.NaT,
        }
    )


def _visits(states: pd.DataFrame, stages: pd.DataFrame, ids: np.ndarray) -> pd.DataFrame:
    """Stays in open stages: what `deal_history` reads of stage_visits."""
    entries = states[states["is_entry"]].reset_index(drop=True)
    position = entries["stage"].map(stages.set_index("stage")["position"])
    same = entries["deal"].eq(entries["deal"].shift(-1))
    following = entries["stage"].shift(-1).where(same)
    moved = np.where(position.shift(-1) > position, "advanced", "regressed")
    kind = following.where(following.isin(["won", "lost"]), pd.Series(moved, index=entries.index)).where(same)
    visits = pd.DataFrame(
        {
            "opportunity_id": ids[entries["deal"]],
            "stage": entries["stage"],
            "seen_at": entries["at"],
            "is_entry_dated": True,
            "exited_at": entries["at"].shift(-1).where(same),
            "exit_kind": kind,
            "next_stage": following,
            "course": "whole",
        }
    )[~entries["stage"].isin(["won", "lost"])]
    return visits.assign(visit_number=visits.groupby("opportunity_id").cumcount() + 1)


def _segments(deals: pd.DataFrame, numbers: np.ndarray) -> pd.DataFrame:
    """opportunity_segments: the company as a whole, then each segment."""
    wide = deals[list(SEGMENTS)].assign(all="all", opportunity_id=numbers)
    return wide.melt("opportunity_id", ["all", *SEGMENTS], var_name="dimension", value_name="member").sort_values(
        ["opportunity_id", "dimension"], kind="stable", ignore_index=True
    )


def _final_ratios(states: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    """Per won deal and stage the mean of final ÷ current amount over its states there, of recent wins."""
    recent = deals["closed_at"] > deals["closed_at"].max() - pd.DateOffset(years=_FINAL_RATIO_YEARS)
    won = deals[(deals["status"] == "won") & recent]
    rows = states[states["deal"].isin(won.index) & ~states["stage"].isin(["won", "lost"])]
    final, closed = deals["amount"].to_numpy()[rows["deal"]], deals["closed_at"].to_numpy()[rows["deal"]]
    ratio = rows.assign(final_amount=final / rows["amount"], closed_on=closed)
    means = ratio.groupby(["deal", "stage"], as_index=False).agg(final_amount=("final_amount", "mean"), closed_on=("closed_on", "first"))
    return means.assign(
        opportunity_id=pd.factorize(means["deal"])[0], stage=means["stage"].astype("category"), amount=1.0, closed_on=means["closed_on"].dt.normalize()
    )[["opportunity_id", "stage", "amount", "closed_on", "final_amount"]]
