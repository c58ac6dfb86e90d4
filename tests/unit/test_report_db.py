"""Publication and reading of report tables, on each kind of database."""

from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from pipelines.errors import PublicationError
from pipelines.report_db import ReportDatabase
from quality.tables import PUBLISHED
from quality.tables.columns import column, key_columns, table
from quality.tables.metrics import as_of

JANUARY, FEBRUARY = date(2025, 1, 31), date(2025, 2, 28)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> sa.URL:
    """The address of a database that does not exist yet, or is empty."""
    if request.param == "sqlite":
        return sa.URL.create("sqlite", database=str(tmp_path / "reports.sqlite"))
    return request.getfixturevalue("postgres_url")


def deals(day: date, *amounts: float | None) -> pa.Table:
    """Rows of win_probability, one per amount."""
    ids = [f"{n:08d}" for n in range(len(amounts))]
    rows = pd.DataFrame({"opportunity_id": ids, "amount": amounts, "as_of": day}).assign(
        stage="proposal",
        owner_id=None,
        amount_if_won=100.0,
        p_won=0.1 + 0.2,
        p_won_30d=0.1,
        p_won_60d=0.2,
        p_won_90d=0.25,
        expected_close_date=date(2025, 3, 1),
        close_date_p10=None,
        close_date_p90=None,
        expected_amount=30.0,
        reasons='[{"code": "阶段, \\"stage\\"", "log_odds": 1}]',
        model="prior\nline",
    )
    return pa.Table.from_pandas(rows, preserve_index=False)


def rejected(day: date, *lines: tuple[int, str]) -> pa.Table:
    """Rows of rejected_rows: line and reasons."""
    rows = pd.DataFrame(lines, columns=["line", "reasons"]).assign(
        as_of=day,
        export="opportunities.csv",
        table_name="opportunities",
        opportunity_id=None,
        owner_id=None,
        amount=None,
        first_seen=day,
        fix_by=datetime(2025, 2, 1, 9, 30, 15, 250_000),
    )
    return pa.Table.from_pandas(rows, preserve_index=False)


def test_what_is_published_is_read_back_with_its_types(url):
    database = ReportDatabase(url)
    assert database.publish(JANUARY, {"win_probability": deals(JANUARY, 12.34, None), "rejected_rows": rejected(JANUARY, (2, "[]"))})["win_probability"] == 2
    read = database.read("win_probability", JANUARY)
    assert read["opportunity_id"].tolist() == ["00000000", "00000001"]
    assert read["amount"].tolist() == [12.34, pytest.approx(float("nan"), nan_ok=True)]
    assert read["p_won"].tolist() == [0.1 + 0.2] * 2
    assert read["reasons"][0] == '[{"code": "阶段, \\"stage\\"", "log_odds": 1}]'
    assert read["model"][0] == "prior\nline"
    assert read["owner_id"].isna().all()
    assert read["expected_close_date"].tolist() == [pd.Timestamp(2025, 3, 1)] * 2
    assert database.read("rejected_rows", JANUARY)["fix_by"].tolist() == [pd.Timestamp(2025, 2, 1, 9, 30, 15, 250_000)]


def test_an_empty_text_is_not_a_missing_one(url):
    database = ReportDatabase(url)
    rows = deals(JANUARY, 1, 2).set_column(4, "owner_id", pa.array(["", None]))
    database.publish(JANUARY, {"win_probability": rows})
    assert database.read("win_probability", JANUARY)["owner_id"].isna().tolist() == [False, True]


def test_characters_and_numbers_that_one_database_cannot_hold_are_the_same_in_both(url):
    rows = deals(JANUARY, 1)
    rows = rows.set_column(rows.column_names.index("model"), "model", pa.array(["a\0b"]))
    database = ReportDatabase(url)
    database.publish(JANUARY, {"win_probability": rows})
    assert database.read("win_probability", JANUARY)["model"].tolist() == ["a\N{REPLACEMENT CHARACTER}b"]


def test_a_rerun_replaces_its_date_and_keeps_the_others(url):
    database = ReportDatabase(url)
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 1, 2, 3)})
    database.publish(FEBRUARY, {"win_probability": deals(FEBRUARY, 4)})
    before = database.read("win_probability", JANUARY)
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 1, 2, 3)})
    pd.testing.assert_frame_equal(database.read("win_probability", JANUARY), before)
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 9)})
    assert database.read("win_probability", JANUARY)["amount"].tolist() == [9.0]
    assert database.read("win_probability", FEBRUARY)["amount"].tolist() == [4.0]


def test_a_table_that_is_not_given_has_no_rows_of_the_date(url):
    database = ReportDatabase(url)
    database.publish(JANUARY, {"rejected_rows": rejected(JANUARY, (2, "[]"))})
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 1)})
    assert database.read("rejected_rows", JANUARY).empty


def test_rows_come_in_the_order_of_code_points(url):
    rows = deals(JANUARY, 1, 2, 3, 4).set_column(0, "opportunity_id", pa.array(["a", "B", "客", "é"]))
    database = ReportDatabase(url)
    database.publish(JANUARY, {"win_probability": rows})
    assert database.read("win_probability", JANUARY)["opportunity_id"].tolist() == ["B", "a", "é", "客"]


def test_parquet_files_are_read_in_batches(url, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.report_db.BATCH_ROWS", 7)
    file = tmp_path / "part.parquet"
    pq.write_table(deals(JANUARY, *range(20)), file)
    database = ReportDatabase(url)
    assert database.publish(JANUARY, {"win_probability": file})["win_probability"] == 20
    assert database.read("win_probability", JANUARY)["amount"].tolist() == [float(n) for n in range(20)]


def test_a_reader_sees_the_former_set_until_the_commit(url, monkeypatch):
    database = ReportDatabase(url)
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 1)})
    seen = []
    load = type(database._database).load

    def load_and_look(self, *arguments):
        rows = load(self, *arguments)
        seen.append(ReportDatabase(url).read("win_probability", JANUARY)["amount"].tolist())
        return rows

    monkeypatch.setattr(type(database._database), "load", load_and_look)
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 5, 6)})
    assert seen == [[1.0]]
    assert database.read("win_probability", JANUARY)["amount"].tolist() == [5.0, 6.0]


def test_nothing_is_published_when_one_table_fails(url):
    database = ReportDatabase(url)
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 1), "rejected_rows": rejected(JANUARY, (2, "[]"))})
    twice = pa.concat_tables([rejected(JANUARY, (3, "[]"))] * 2)
    with pytest.raises(PublicationError, match=r"two rows have the same key \(as_of, export, line\)") as caught:
        database.publish(JANUARY, {"win_probability": deals(JANUARY, 8), "rejected_rows": twice})
    assert "table rejected_rows" in str(caught.value)
    assert database.read("win_probability", JANUARY)["amount"].tolist() == [1.0]
    assert database.read("rejected_rows", JANUARY)["line"].tolist() == [2]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (deals(JANUARY, 1).drop_columns(["p_won", "model"]), "lacks model, p_won"),
        (deals(JANUARY, 1).append_column("extra", pa.array([1])), "has extra besides"),
        (deals(FEBRUARY, 1), "holds rows that are not as of 2025-01-31"),
    ],
)
def test_a_table_that_does_not_fit_its_contract_is_named(tmp_path, rows, fault):
    database = ReportDatabase(f"sqlite:///{tmp_path}/reports.sqlite")
    with pytest.raises(PublicationError, match=f"win_probability {fault}"):
        database.publish(JANUARY, {"win_probability": rows})


def test_a_missing_required_value_is_named(url):
    rows = deals(JANUARY, 1).set_column(3, "stage", pa.array([None], pa.string()))
    with pytest.raises(PublicationError, match="a required column has no value"):
        ReportDatabase(url).publish(JANUARY, {"win_probability": rows})


def test_a_name_without_contract_is_refused(tmp_path):
    with pytest.raises(LookupError, match="funnel_flows"):
        ReportDatabase(f"sqlite:///{tmp_path}/reports.sqlite").publish(JANUARY, {"funnel_flows": deals(JANUARY, 1)})


def test_published_dates_come_from_the_run_log(url):
    database = ReportDatabase(url)
    assert database.as_of_dates("win_probability") == ()
    for day in (FEBRUARY, JANUARY):
        database.publish(day, {"win_probability": deals(day, 1)})
    assert database.as_of_dates("win_probability") == (JANUARY, FEBRUARY)
    assert database.as_of_dates() == ()


def test_an_appended_table_keeps_the_rows_of_earlier_publications(url):
    log = table(sa.MetaData(), "log", "One row per run.", as_of(), column("run_id", "id", "Run", key=True), is_appended=True)
    database = ReportDatabase(url, {"log": log})
    for run_id in ("first", "second"):
        database.publish(JANUARY, {"log": pa.table({"as_of": [JANUARY], "run_id": [run_id]})})
    assert database.read("log", JANUARY)["run_id"].tolist() == ["first", "second"]


def test_looking_does_not_create_a_file(tmp_path):
    database = ReportDatabase(f"sqlite:///{tmp_path}/reports.sqlite")
    assert database.as_of_dates() == ()
    assert database.read("win_rates", JANUARY).empty
    assert database.first_seen(JANUARY).empty
    assert not (tmp_path / "reports.sqlite").exists()


def test_first_seen_is_the_earliest_run_that_rejected_the_row_for_the_same_reasons(url):
    database = ReportDatabase(url)
    days = [date(2025, 1, day) for day in (1, 2, 3)]
    database.publish(days[1], {"rejected_rows": rejected(days[1], (2, "[1]"), (3, "[1]"))})
    database.publish(days[0], {"rejected_rows": rejected(days[0], (2, "[1]"), (3, "[2]"))})
    assert database.first_seen(days[0]).empty
    seen = database.first_seen(days[2])
    assert seen.to_dict("list") == {
        "export": ["opportunities.csv"] * 3,
        "line": [2, 3, 3],
        "reasons": ["[1]", "[1]", "[2]"],
        "first_seen": [pd.Timestamp(days[0]), pd.Timestamp(days[1]), pd.Timestamp(days[0])],
    }


def contract(*extra: sa.Column, name_unit: str = "label", key: bool = False) -> dict[str, sa.Table]:
    """A small contract that a test varies."""
    return {"things": table(sa.MetaData(), "things", "One row per thing.", as_of(), column("name", name_unit, "Name: 100 % */ plain", key=True), *extra)}


def things(**columns) -> pa.Table:
    return pa.table({"as_of": pa.array([JANUARY]), "name": pa.array(["a"]), **columns})


def test_columns_that_an_older_database_lacks_are_added_without_losing_its_history(url):
    ReportDatabase(url, contract()).publish(JANUARY, {"things": things()})
    newer = ReportDatabase(url, contract(column("size", "amount", "Size"), column("open", "flag", "Open", required=True)))
    assert newer.read("things", JANUARY)["size"].isna().all()
    newer.publish(FEBRUARY, {"things": pa.table({"as_of": [FEBRUARY], "name": ["b"], "open": [True], "size": [1.5]})})
    assert newer.read("things", JANUARY)[["size", "open"]].isna().all(axis=None)
    assert newer.read("things", FEBRUARY)[["name", "size", "open"]].values.tolist() == [["b", 1.5, True]]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (contract(name_unit="count"), "column name is VARCHAR, the contract says BIGINT"),
        (contract(column("place", "label", "Place", key=True)), r"its key is \(as_of, name\), the contract's is \(as_of, name, place\)"),
    ],
)
def test_a_table_made_for_another_version_is_left_alone_and_explained(url, changed, difference):
    old = ReportDatabase(url, contract())
    old.publish(JANUARY, {"things": things()})
    with pytest.raises(PublicationError, match=difference):
        ReportDatabase(url, changed).publish(JANUARY, {})
    assert old.read("things", JANUARY)["name"].tolist() == ["a"]


def test_every_contract_survives_a_second_publication(url):
    ReportDatabase(url).publish(JANUARY, {})
    assert set(ReportDatabase(url).publish(JANUARY, {}).values()) == {0}
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url)
    inspector = sa.inspect(engine)
    keys = {name: inspector.get_pk_constraint(name)["constrained_columns"] for name in inspector.get_table_names()}
    engine.dispose()
    assert keys == {name: key_columns(declared) for name, declared in PUBLISHED.items()}


def test_the_database_documents_its_columns(url):
    ReportDatabase(url, contract()).publish(JANUARY, {})
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url)
    if url.drivername == "postgresql":
        assert sa.inspect(engine).get_columns("things")[1]["comment"] == "Name: 100 % */ plain"
    else:
        with engine.connect() as connection:
            assert "/* Name: 100 % * / plain */" in connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'things'").scalar()
    engine.dispose()


def test_the_sqlite_file_alone_is_complete(tmp_path):
    file = tmp_path / "reports.sqlite"
    database = ReportDatabase(f"sqlite:///{file}")
    database.publish(JANUARY, {"win_probability": deals(JANUARY, 1)})
    assert [path.name for path in tmp_path.iterdir()] == ["reports.sqlite"]
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(file.read_bytes())
    assert ReportDatabase(f"sqlite:///{copy}").read("win_probability", JANUARY)["amount"].tolist() == [1.0]


@pytest.mark.parametrize("address", ["mysql://someone:secret@host/reports", "reports.sqlite", "sqlite://", "postgresql+psycopg2://u:secret@h/d"])
def test_an_address_of_another_kind_is_refused_without_showing_it(address):
    with pytest.raises(PublicationError, match="expected: sqlite:///") as caught:
        ReportDatabase(address)
    assert "secret" not in str(caught.value)


def test_a_shown_address_hides_every_password():
    database = ReportDatabase("postgresql://me:secret@/reports?host=/run&password=secret&sslpassword=secret")
    assert "secret" not in database.where
    assert "/reports" in database.where


def test_the_path_of_a_parquet_file_that_is_gone_is_a_fault_of_the_lake(tmp_path):
    with pytest.raises(PublicationError, match="the computed table cannot be read"):
        ReportDatabase(f"sqlite:///{tmp_path}/reports.sqlite").publish(JANUARY, {"win_rates": Path(tmp_path / "gone.parquet")})
