"""What holds of reading for any text: amounts come back to the cent, days come back, no text breaks it."""

from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.exports.crm import CRMS
from assets.exports.headers import fold, take_apart
from assets.exports.parsing import ValueContext, ValueForms, texts, value_sql
from tests.exports_written import configuration

FEW = settings(max_examples=25, deadline=None)
CENT = Decimal("0.01")

_amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2, allow_nan=False, allow_infinity=False)
_fine_amounts = st.decimals(min_value=-(10**5), max_value=10**5, places=9, allow_nan=False, allow_infinity=False)
_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_moments = st.datetimes(datetime(1970, 1, 2), datetime(2037, 12, 31), timezones=_zones).map(lambda moment: moment.replace(microsecond=0))
_near_values = st.text(alphabet="0123456789.,-+()¥$%万亿kMe: /年月日TZ０'\u00a0\\\"", max_size=14)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(":memory:") as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def forms(**settings_) -> ValueForms:
    made = configuration({"opportunities": {"files": "x.csv"}}, exports=settings_, time_zone="America/New_York")
    return ValueForms.of(made, made.exports.tables["opportunities"], CRMS["plain"])


def values(connection, unit: str, given_: list[str], of: ValueForms, **context) -> list:
    connection.register("given", pa.table({"t": texts(pa.chunked_array([given_], pa.string()), unit, of)}))
    return [row[0] for row in connection.execute(f"SELECT {value_sql(unit, 't', of, ValueContext(**context))} FROM given").fetchall()]


@pytest.mark.slow
@FEW
@given(amounts=st.lists(_amounts, min_size=1, max_size=50))
def test_an_amount_comes_back_from_every_way_of_writing_it(connection, amounts):
    grouped = [f"{a:,.2f}" for a in amounts]
    continental = [g.translate(str.maketrans(",.", ".,")) for g in grouped]
    bracketed = [f"({-a:,})" if a < 0 else f"{a:f}" for a in amounts]
    for written, of in [(grouped, forms()), ([f"¥{g}" for g in grouped], forms()), (bracketed, forms()), (continental, forms(decimal_comma=True))]:
        assert values(connection, "original_amount", written, of) == amounts


@FEW
@given(amounts=st.lists(_fine_amounts, min_size=1, max_size=50), unit=st.sampled_from([("", 1), ("千", 1_000), ("万", 10_000), ("M", 10**6), ("亿", 10**8)]))
def test_a_unit_multiplies_exactly_and_rounds_half_away_from_zero(connection, amounts, unit):
    name, factor = unit
    expected = [(a * factor).quantize(CENT, ROUND_HALF_UP) for a in amounts]
    assert values(connection, "original_amount", [f"{a:f}{name}" for a in amounts], forms()) == expected
    assert values(connection, "original_amount", [f"{a:f}" for a in amounts], forms(), scale=Decimal(factor)) == expected


@pytest.mark.slow
@FEW
@given(days=st.lists(st.dates(date(1900, 1, 1), date(2199, 12, 31)), min_size=1, max_size=50))
def test_a_day_comes_back_from_every_declared_form(connection, days):
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%Y年%m月%d日", "%d.%m.%Y", "%d %B %Y"):
        assert values(connection, "date", [day.strftime(form) for day in days], forms(dates=[form])) == days
        assert values(connection, "date", [f"{day.year}/{day.month}/{day.day}" for day in days], forms()) == days


@pytest.mark.slow
@FEW
@given(moments=st.lists(_moments, min_size=1, max_size=50))
def test_a_moment_comes_back_from_every_form_that_begins_with_the_year(connection, moments):
    """In the company's zone, whichever zone it is written in; 2024/3/5 as 2024-03-05."""
    expected = [moment.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None) for moment in moments]
    for form in ("%Y-%m-%dT%H:%M:%S%z", "%Y/%m/%d %H:%M:%S %z", "%Y.%m.%d %H:%M:%S%z", "%Y年%m月%d日 %H:%M:%S %z"):
        assert values(connection, "time", [moment.strftime(form) for moment in moments], forms()) == expected
    unpadded = [f"{m.year}/{m.month}/{m.day} {m.hour}:{m:%M:%S} {m.strftime('%z')[:3]}:{m.strftime('%z')[3:]}" for m in moments]
    assert values(connection, "time", unpadded, forms()) == expected


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(given_=st.lists(st.one_of(_near_values, st.text(max_size=12).filter(lambda t: t.isprintable())), min_size=1, max_size=60))
def test_no_text_breaks_the_reading(connection, given_):
    declared = forms(dates=["%d/%m/%Y %H:%M %z", "%y-%m-%d", "%I:%M %p %d %b %Y", "excel"])
    for of in (forms(), forms(decimal_comma=True), declared):
        for unit in ("original_amount", "share", "number", "count", "days", "flag", "date", "time", "label", "id"):
            assert len(values(connection, unit, given_, of)) == len(given_)


@FEW
@given(header=st.text(max_size=30))
def test_a_header_means_the_same_in_any_width_and_case(header):
    assert fold(fold(header)) == fold(header)
    assert fold(f" {header}\ufeff") == fold(header)
    assert take_apart(header).scale is None or take_apart(header).scale >= 1
