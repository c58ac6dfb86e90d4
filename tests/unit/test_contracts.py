"""Every declared table keeps the law of contracts, and the data dictionary is current."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.dictionary import dictionary
from quality.tables import ALL, EXPORTED, PUBLISHED
from quality.tables.columns import SEVERITIES, UNITS, column, key_columns, money_as_floats

TABLES = [pytest.param(t, id=f"{kind}-{name}") for kind, tables in (("exported", EXPORTED), ("own", ALL)) for name, t in tables.items()]
DICTIONARY = Path(__file__).resolve().parents[2] / "docs" / "data-dictionary.md"


@pytest.mark.parametrize("table", TABLES)
def test_every_table_and_column_is_described_and_has_a_known_unit(table):
    assert table.comment
    assert table.comment.endswith(".")
    assert key_columns(table)
    for c in table.columns:
        assert c.comment, c.name
        assert c.info["unit"] in UNITS
        assert c.info["severity"] in SEVERITIES


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_tables_begin_their_key_with_as_of(name):
    assert key_columns(PUBLISHED[name])[0] == "as_of"


@pytest.mark.parametrize("table", [p for p in TABLES if p.id.startswith("exported")])
def test_rules_have_codes_of_their_own(table):
    codes = [rule.code for rule in table.info["rules"]]
    assert len(set(codes)) == len(codes)
    assert all(rule.column.startswith("ok_") and rule.severity in SEVERITIES and rule.meaning and rule.remedy for rule in table.info["rules"])


def test_an_unknown_unit_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unit 'furlong' is not one of id, label"):
        column("x", "furlong", "far")


def test_the_data_dictionary_is_current():
    assert DICTIONARY.read_text(encoding="utf-8") == dictionary(), "write it anew: python -m pipelines.dictionary > docs/data-dictionary.md"


@pytest.mark.parametrize("amount", ["259081.30", "-0.01", "0.07", "9999999999999999.99", None])
def test_money_becomes_the_nearest_float(amount):
    """Arrow's own cast makes 259081.30000000002 of the first."""
    exact = None if amount is None else Decimal(amount)
    assert money_as_floats(pa.array([exact], pa.decimal128(18, 2))).to_pylist() == [None if exact is None else float(exact)]
