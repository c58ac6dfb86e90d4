"""What a run says it did not compute is true, whatever is exported."""

import pyarrow as pa
import pytest

from assets.exports.settings import Configuration
from assets.reports.skipped import NOT_BUILT, skipped
from pipelines.engine.duckdb import DuckDB
from quality.tables import ALL
from quality.tables.columns import arrow_type
from tests.faults.command import END
from tests.page_tables import page_company

NOTHING = {
    name: pa.schema([(c.name, arrow_type(c)) for c in ALL[name].columns]).empty_table() for name in ("opportunities", "stage_visits", "forecast_changes")
}


def said(tmp_path, language: str, *tables: str) -> dict[str, str]:
    company = page_company(targets=False).model_dump(exclude={"language"})
    configuration = Configuration.model_validate(
        {**company, "language": language, "exports": {"tables": {name: {"files": "x.csv"} for name in ("opportunities", *tables)}}}
    )
    found = skipped(configuration, [], END, END, NOTHING, DuckDB(tmp_path))
    return {entry["what"]: entry["why"] for entry in found}


@pytest.mark.parametrize("exported", [(), ("leads", "payments", "contact_roles", "forecast_calls", "satisfaction", "assessments", "milestones")])
def test_what_is_not_built_is_said_whether_or_not_its_table_is_there(tmp_path, exported):
    lines = said(tmp_path, "en", *exported)
    assert lines[", ".join(NOT_BUILT["en"])] == "not built yet, whatever is exported"
    assert not [why for why in lines.values() if why in ("no leads export", "no payments export", "no milestones export")]


def test_a_table_that_is_read_and_used_for_nothing_is_named(tmp_path):
    lines = said(tmp_path, "en", "leads", "activities", "contact_roles", "milestones", "splits")
    assert lines["leads, contact roles"] == "read, checked and kept as trusted tables, and used for no number yet"
    assert lines["milestones, splits"] == "read and checked, and used for no number yet"
    assert "used for no number yet" not in str(said(tmp_path, "en", "activities", "accounts"))


def test_what_a_missing_table_leaves_out_is_said_with_its_name(tmp_path):
    assert said(tmp_path, "en")["days without activity"] == "no activities export"
    lines = said(tmp_path, "zh", "leads")
    assert lines["无活动天数"] == "没有导出跟进记录" and lines["线索"] == "已读取、检查并存为可信表，但尚未用于任何数字"
    assert "activities" not in str(lines)


@pytest.mark.parametrize("explained", [True, False])
def test_a_change_of_the_mean_that_cannot_be_explained_is_said(tmp_path, explained):
    schema = NOTHING["forecast_changes"].schema
    row = {name: None for name in schema.names} | {"subject": "forecast" if explained else "pipeline"}
    tables = {**NOTHING, "forecast_changes": pa.Table.from_pylist([row], schema=schema)}
    company = Configuration.model_validate({**page_company(targets=False).model_dump(), "exports": {"tables": {"opportunities": {"files": "x.csv"}}}})
    said = [entry["what"] for entry in skipped(company, [], END, END, tables, DuckDB(tmp_path))]
    assert ("what changed in the mean forecast, by cause" in said) is not explained
