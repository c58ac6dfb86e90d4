"""The company of the round trips: simulated, small, and known without reading any file.

What belongs here: its facts as frames under canonical names, its configuration, and its exported tables as judging would
leave them if reading made no mistake. What does not: any written form (file_forms.py, crm_writing.py, crm_forms.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import pandas as pd
import pyarrow as pa

from assets.exports.settings import Configuration
from models.simulated_world import DEMO, World
from models.simulator import simulate
from pipelines.demo.names import CATEGORIES
from pipelines.demo.sellers import seller_probabilities
from tests.core_frames import judged

WORLD = replace(DEMO, start=date(2025, 10, 1), deals=240, reopened=0.3, activities_per_week=0.2)
"""Few deals over nine months, of which more than usual come back after they were lost."""

SEED = 7
OPEN_STAGES = tuple(stage.key for stage in WORLD.stages)
CLOSED = ("won", "lost")
TABLES = ("opportunities", "stage_history", "field_history", "activities", "owners")
"""The exported tables from which the core tables follow."""


@dataclass(frozen=True)
class Company:
    """Frames by exported table, under canonical names; times are naive wall-clock times, the index labels the rows."""

    frames: Mapping[str, pd.DataFrame]

    def with_frames(self, **frames: pd.DataFrame) -> "Company":
        """The same company with other frames."""
        return Company({**self.frames, **frames})


@cache
def simulated(world: World = WORLD, seed: int = SEED) -> Company:
    """The company as the simulator knows it."""
    known = simulate(world, seed)
    opportunities = known.opportunities.assign(
        name="Deal " + known.opportunities["opportunity_id"].str[5:15],
        currency="CNY",
        forecast_category=known.opportunities["stage"].map(CATEGORIES),
        crm_probability=seller_probabilities(known.opportunities, seed),
        stage_entered_at=pd.Series(pd.NaT, index=known.opportunities.index, dtype="datetime64[us]"),
    )
    frames = {name: getattr(known, name) for name in TABLES}
    history = frames["stage_history"].assign(previous_stage=frames["stage_history"].groupby("opportunity_id")["stage"].shift())
    return Company({**frames, "opportunities": opportunities, "stage_history": history})


def configuration(exports: dict, spellings: Mapping[str, str] | None = None) -> Configuration:
    """The company's configuration; ``spellings`` gives the exports' word for each stage, which is its key without it."""
    words = spellings or {}
    open_stages = [{"key": key, "spellings": [words.get(key, key)]} for key in OPEN_STAGES]
    outcomes = {key: {"labels": {"en": key, "zh": key}, "spellings": [words.get(key, key)]} for key in CLOSED}
    return Configuration.model_validate(
        {
            "name": "Round trip",
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "country": "CN",
            "as_of": WORLD.end,
            "pipelines": [{"key": "sales", "stages": open_stages, **outcomes}],
            "segments": ["source", "industry", "region", "product", "team", "owner"],
            "immutable_fields": ["source", "industry", "region", "product", "opportunity_type", "account_id"],
            "exports": exports,
        }
    )


def exported(company: Company) -> dict[str, pa.Table]:
    """The exported tables as reading and judging should leave them: every row accepted, and what judging derives."""
    frames = company.frames
    opportunities = frames["opportunities"]
    status = opportunities["stage"].where(opportunities["stage"].isin(CLOSED), "open")
    outcome = pd.Series("open", index=opportunities.index).mask(opportunities["is_closed"], "lost").mask(opportunities["is_won"], "won")
    history, changes = frames["stage_history"], frames["field_history"]
    amounts, days = changes["field"] == "amount", changes["field"] == "expected_close_date"
    derived = {
        "opportunities": {
            "pipeline_key": "sales",
            "stage_key": opportunities["stage"],
            "status": status.where(status != "open", outcome),
            "amount_reporting": opportunities["amount"],
            "crm_probability": opportunities["crm_probability"] / 100,
        },
        "stage_history": {
            "stage_key": history["stage"],
            "stage_kind": history["stage"].where(history["stage"].isin(CLOSED), "open"),
            "amount_reporting": history["amount"],
        },
        "field_history": {
            f"{age}_{kind}": changes[f"{age}_value"].where(rows) for age in ("old", "new") for kind, rows in (("amount", amounts), ("date", days))
        }
        # Reading writes amounts with two decimals.
        | {f"{age}_value": changes[f"{age}_value"].mask(amounts, changes[f"{age}_value"] + ".00") for age in ("old", "new")},
    }
    return {name: judged(name, _rows(frames[name].assign(**derived.get(name, {})))) for name in TABLES}


_NOT_OF_THE_TABLE = ("previous_stage",)
"""What some CRMs write and nothing needs that knows every entry."""

_DAYS = ("expected_close_date", "old_date", "new_date")
_MONEY = ("amount", "amount_reporting", "old_amount", "new_amount")


def _rows(frame: pd.DataFrame) -> list[dict]:
    """Rows as Python values, nothing in place of what is missing."""
    columns = {}
    for name in frame.columns.difference(_NOT_OF_THE_TABLE):
        values = frame[name]
        if name in _DAYS:
            values = pd.to_datetime(values).dt.date
        elif name in _MONEY:
            values = pd.to_numeric(values)
        columns[name] = values.astype(object).where(values.notna(), None).tolist()
    table = pa.Table.from_pydict({name: pa.array([_money(v) if name in _MONEY else v for v in values]) for name, values in columns.items()})
    return table.to_pylist()


def _money(value):
    return None if value is None else int(value)
