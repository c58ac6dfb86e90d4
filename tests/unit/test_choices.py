"""What the choices of a configuration do: dates by the form that reads them, headers that nobody claims, the lines about them."""

import duckdb
import pytest

from assets.exports.choices import ISO, UNREAD, file_choices
from assets.exports.errors import SourceProblems
from assets.exports.readers import delimited
from tests.exports_written import configuration, write

DEALS = "opportunity_id,stage,created_at,closed_at,colour\n" + "".join(
    f"D{n},Talk,{n % 9 + 1:02}/03/2024,{'2024-04-01' if n % 3 else 'soon'},red\n" for n in range(60)
)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, {"deals-1.csv": DEALS, "deals-2.csv": DEALS})


def company(**source):
    return configuration({"opportunities": {"files": "deals-*.csv", "dates": ["%d/%m/%Y"], **source}})


def test_dates_are_counted_by_the_form_that_reads_them_over_all_columns_and_files(folder):
    found = file_choices(folder, "opportunities", company())
    assert found.dates == {"%d/%m/%Y": 120, ISO: 80, UNREAD: 40}
    assert found.unclaimed == {"deals-1.csv": ("colour",), "deals-2.csv": ("colour",)}


def test_one_connection_counts_a_table_however_many_batches_and_columns_it_has(folder, monkeypatch):
    connections, connect = [], duckdb.connect

    def counted(*args, **kwargs):
        connections.append(args)
        return connect(*args, **kwargs)

    monkeypatch.setattr(duckdb, "connect", counted)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 512)
    assert file_choices(folder, "opportunities", company()).dates == {"%d/%m/%Y": 120, ISO: 80, UNREAD: 40}
    assert len(connections) == 1


def test_a_configuration_that_reading_refuses_is_refused(folder):
    with pytest.raises(SourceProblems, match="'colour' is not a column of opportunities"):
        file_choices(folder, "opportunities", company(constants={"colour": "red"}))
