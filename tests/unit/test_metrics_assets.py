"""How .sql files become assets: their inputs, their contracts, and that each gives what its contract declares."""

from datetime import date

import pandas as pd
import pytest
import sqlglot

import assets.metrics
from assets.metrics import METRIC_ASSETS, METRIC_SQL, metric_asset, metric_query, tables_named
from assets.query import Parquet, Query, sql_beside
from quality.tables import CORE_TABLES
from quality.tables.metrics import METRICS
from tests.metric_frames import METRIC_ORDER, computed, core_tables, stages_frame


def test_tables_named_leaves_out_common_table_expressions():
    sql = "WITH a AS (SELECT * FROM visits), b AS (SELECT * FROM a) SELECT * FROM b JOIN stages USING (s) WHERE x IN (SELECT x FROM limits)"
    assert tables_named(sql) == ("limits", "stages", "visits")


def test_every_contract_has_its_query_and_every_query_its_contract():
    assert set(METRIC_SQL) == set(METRICS.tables)


def test_inputs_are_declared_tables():
    assert {table for tables in METRIC_SQL.values() for table in tables} <= set(CORE_TABLES) | set(METRICS.tables)


def test_assets_depend_on_the_tables_their_queries_read():
    found = {asset.key.to_user_string(): {key.to_user_string() for key in asset.keys_by_input_name.values()} for asset in METRIC_ASSETS}
    assert found == {name: set(tables) for name, tables in METRIC_SQL.items()}


def test_an_asset_called_directly_gives_its_query():
    tables = {table: Parquet(f"{table}.parquet") for table in METRIC_SQL["funnel_flow"]}
    asset = next(asset for asset in METRIC_ASSETS if asset.key.to_user_string() == "funnel_flow")
    assert asset(**tables) == Query(sql_beside(assets.metrics.__file__, "funnel_flow"), tables)


def test_a_missing_input_is_named():
    with pytest.raises(LookupError, match=r"funnel_flow\.sql reads calendar, episodes"):
        metric_query("funnel_flow", {table: Parquet("x") for table in ("stage_visits", "opportunity_segments")})


def test_a_query_without_contract_is_named():
    with pytest.raises(LookupError, match=r"no contract; declare the table funnel_flows in quality/tables/metrics\.py"):
        metric_asset("funnel_flows")


@pytest.mark.parametrize("name", METRIC_ORDER)
def test_queries_can_be_written_for_spark(name):
    sql = sql_beside(assets.metrics.__file__, name)
    spark = sqlglot.transpile(sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert len(spark) == 1


def test_one_deal_gives_every_table_in_its_contract(tmp_path):
    """One open deal without an amount: no column is missing, and what is required is there."""
    tables = core_tables([("d", "2025-02-01", "first")], date(2025, 2, 28), stages_frame(("first",)))
    for name, table in computed(tables, tmp_path).items():
        assert list(table.columns) == [column.name for column in METRICS.tables[name].columns]
        required = [column.name for column in METRICS.tables[name].columns if not column.nullable]
        assert len(table) > 0
        assert table[required].notna().all(axis=None)


def test_no_deals_give_empty_tables(tmp_path):
    tables = core_tables([], date(2025, 2, 28), stages_frame(("first",)))
    assert all(isinstance(table, pd.DataFrame) and table.empty for table in computed(tables, tmp_path).values())
