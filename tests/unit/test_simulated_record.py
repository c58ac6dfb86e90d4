"""The record that the forecasting benchmark makes without SQL is the one that the pipeline makes of the same company."""

from dataclasses import fields, replace
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from assets.exports.settings import Configuration
from assets.forecasts.record import company_record
from assets.query import Parquet
from models.deal_history import DealHistory
from models.simulator import simulate
from pipelines.engine.duckdb import DuckDB
from tests.benchmarks.simulated_record import SEGMENTS, simulated_record
from tests.core_frames import trusted_tables
from tests.round_trips.company import CLOSED, OPEN_STAGES, WORLD, Company, exported

SEED = 3
MID = date(2026, 3, 31)
BUSY = replace(WORLD, reassigned=0.4)


@cache
def company():
    return simulate(BUSY, SEED)


def _configuration() -> Configuration:
    return Configuration.model_validate(
        {
            "name": "Simulated",
            "pipelines": [{"key": "sales", "stages": [{"key": key} for key in OPEN_STAGES], **{key: {"labels": {"en": key, "zh": key}} for key in CLOSED}}],
            "segments": list(SEGMENTS),
            "immutable_fields": [*SEGMENTS, "account_id"],
            "exports": {"tables": {t: {"files": f"{t}.csv"} for t in ("opportunities", "stage_history", "field_history", "activities", "owners")}},
        }
    )


def _by_sql(as_of: date, folder):
    """The record by way of the core tables."""
    made = company()
    rows = made.opportunities.assign(crm_probability=np.nan, currency="CNY")
    frames = {name: getattr(made, name) for name in ("stage_history", "field_history", "activities", "owners")}
    tables = trusted_tables(exported(Company({**frames, "opportunities": rows})), as_of, BUSY.end, folder, _configuration())
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    handles = {name: Parquet(str(folder / f"{name}.parquet")) for name in ("opportunities", "stage_visits", "episodes", "opportunity_segments", "activities")}
    return company_record(*handles.values(), tables["stages"].to_pandas(), _configuration(), DuckDB(folder), as_of)


def _named(record) -> np.ndarray:
    """The member of each deal in each dimension, dimensions in the order of their names."""
    names, codes = record.members.names["member"].to_numpy(object), record.members.codes
    order = np.argsort(record.members.names["dimension"].to_numpy(str)[codes[0]])
    return names[codes[:, order]]


@pytest.mark.slow
@pytest.mark.parametrize("as_of", [BUSY.end, MID], ids=["at the end", "in between"])
def test_the_record_is_that_of_the_pipeline(as_of, tmp_path):
    expected, found = _by_sql(as_of, tmp_path), simulated_record(company(), as_of)
    for field in fields(DealHistory):
        left, right = getattr(expected.history, field.name), getattr(found.history, field.name)
        if field.name == "groups":
            assert left.names == right.names
            np.testing.assert_array_equal(left.deal_group, right.deal_group)
        elif isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert list(left) == list(right) if isinstance(left, (tuple, pd.Index)) else left == right, field.name
    assert len(found.episode_deal) > 2 * len(found.amount)
    for field in fields(found):
        left, right = getattr(expected, field.name), getattr(found, field.name)
        if isinstance(left, np.ndarray) and left.dtype != object:
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        elif isinstance(left, np.ndarray):
            assert left.tolist() == right.tolist(), field.name
    assert sorted(expected.members.names.to_numpy().tolist()) == sorted(found.members.names.to_numpy().tolist())
    np.testing.assert_array_equal(_named(expected), _named(found))
    pd.testing.assert_frame_equal(expected.final_ratios, found.final_ratios, check_dtype=False, check_categorical=False, rtol=1e-9)


def test_nothing_later_is_in_the_record():
    """The record of a day is the same whether or not the company went on."""
    record = simulated_record(company(), MID)
    assert record.history.known_day == (MID - date(1970, 1, 1)).days
    assert record.created_on.max() <= np.datetime64(MID)
    assert np.nanmax(record.closed_on.astype(float)) <= np.datetime64(MID).astype(float)
    assert record.episode_from.max() < np.datetime64("2026-04-01")
    amount, close_on = record.in_force(MID)
    still_open = np.isnat(record.closed_on)
    assert np.array_equal(amount[still_open], record.amount[still_open])
    assert not np.isnat(close_on[still_open]).any()
