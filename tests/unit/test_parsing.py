"""Written forms of values: what is read, exactly, and what is left unread rather than guessed."""

from datetime import date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from assets.exports.crm import CRMS
from assets.exports.errors import SourceProblems
from assets.exports.parsing import ValueContext, ValueForms, currency_sql, form_problems, money_sql, texts, value_sql
from tests.exports_written import configuration


def forms(zone: str = "UTC", **settings) -> ValueForms:
    made = configuration({"opportunities": {"files": "x.csv"}}, exports=settings, time_zone=zone)
    return ValueForms.of(made, made.exports.tables["opportunities"], CRMS["plain"])


def values(unit: str, texts_: list[str], of: ValueForms | None = None, **context) -> list:
    of = of or forms()
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", pa.table({"n": list(range(len(texts_))), "t": texts(pa.chunked_array([texts_]), unit, of)}))
        return [row[0] for row in connection.execute(f"SELECT {value_sql(unit, 't', of, ValueContext(**context))} FROM given ORDER BY n").fetchall()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234.5", "1234.50"),
        ("¥1,234.50", "1234.50"),
        ("￥１，２３４．５０", "1234.50"),
        ("15万", "150000.00"),
        ("15 万元", "150000.00"),
        ("15w", "150000.00"),
        ("1.2亿", "120000000.00"),
        ("1.23456789亿", "123456789.00"),
        ("(1,200)", "-1200.00"),
        ("（1,200）", "-1200.00"),
        ("-$1.2M", "-1200000.00"),
        ("$-5", "-5.00"),
        ("1,200-", "-1200.00"),
        ("$1.2M", "1200000.00"),
        ("1.5k", "1500.00"),
        ("USD 1,200", "1200.00"),
        ("1200 USD", "1200.00"),
        ("3.5 million EUR", "3500000.00"),
        ("100万美元", "1000000.00"),
        ("1 234 567.89", "1234567.89"),
        ("1'234.50", "1234.50"),
        (".5", "0.50"),
        ("5.", "5.00"),
        ("0.005", "0.01"),
        ("-0.005", "-0.01"),
        ("1.0049999999999999999", "1.00"),
        ("0.00000000001亿", "0.00"),
        ("0.00000000005亿", "0.01"),
        ("9999999999999.99", "9999999999999.99"),
        ("00012", "12.00"),
    ],
)
def test_an_amount_is_read_exactly(text, expected):
    assert values("original_amount", [text]) == [Decimal(expected)]


@pytest.mark.parametrize(
    "text",
    [
        "about 5",
        "10-20",
        "1,23",
        "12,34.5",
        "1,2345",
        "1.234.567",
        "(5",
        "5)",
        "(-5)",
        "--5",
        "-5-",
        "15万5",
        "1e5",
        "$5 USD",
        "5%",
        "-",
        "万",
        "1,2,3",
        "123456789012345",
    ],
)
def test_an_amount_that_is_not_one_is_not_guessed(text):
    assert values("original_amount", [text]) == [None]


def test_a_unit_in_the_value_goes_before_the_header_and_that_before_the_configuration():
    configured = forms(amount_unit=1000)
    assert values("original_amount", ["15", "15万", "1500元"], configured) == [Decimal("15000.00"), Decimal("150000.00"), Decimal("1500.00")]
    assert values("original_amount", ["15", "15万"], configured, scale=Decimal(10_000)) == [Decimal("150000.00"), Decimal("150000.00")]
    assert values("original_amount", ["12345"], forms(amount_unit=0.01)) == [Decimal("123.45")]


def test_a_decimal_comma_is_read_only_where_it_is_configured():
    comma = forms(decimal_comma=True)
    assert values("original_amount", ["1.234,56", "1234,5", "1 234,50 €", "1.234", "1.23"], comma) == [
        Decimal("1234.56"),
        Decimal("1234.50"),
        Decimal("1234.50"),
        Decimal("1234.00"),
        None,
    ]
    assert values("share", ["12,5%", "0,45"], comma) == [0.125, 0.45]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31)),
        ("2024-1-5", datetime(2024, 1, 5)),
        ("2024-01-31 8:05", datetime(2024, 1, 31, 8, 5)),
        ("2024-01-31T08:05:06.789", datetime(2024, 1, 31, 8, 5, 6, 789000)),
        ("2024-01-31T20:30:00Z", datetime(2024, 2, 1, 4, 30)),
        ("2024-01-31T20:30:00.000+0000", datetime(2024, 2, 1, 4, 30)),
        ("2024-01-31 20:30:00 -05:00", datetime(2024, 2, 1, 9, 30)),
        ("2024/3/5", datetime(2024, 3, 5)),
        ("2024年3月5日", datetime(2024, 3, 5)),
        ("2024年3月5日 10:20", datetime(2024, 3, 5, 10, 20)),
        ("2024/3/5 10:00 +08:00", datetime(2024, 3, 5, 10)),
        ("2024/3/5 10:00:30Z", datetime(2024, 3, 5, 18, 0, 30)),
        ("2024.3.5 22:00 -0500", datetime(2024, 3, 6, 11)),
        ("2024年3月5日 10:00+09", datetime(2024, 3, 5, 9)),
        ("2024/3/5 +08:00", None),
        ("2024/3/5 10:00 +8", None),
        ("2024-02-30", None),
        ("05/03/2024", None),
        ("24/3/5", None),
        ("2024-01-31x", None),
        ("2024-01-31 10:11:1Z", None),
        ("20240131", None),
        ("45291", None),
        ("2024", None),
        ("now", None),
        ("infinity", None),
    ],
)
def test_a_time_is_wall_clock_time_in_the_companys_zone(text, expected):
    assert values("time", [text], forms("Asia/Shanghai")) == [expected]


def test_a_day_is_the_day_in_the_companys_zone():
    assert values("date", ["2024-01-31T20:30:00Z", "2024-01-31"], forms("Asia/Shanghai")) == [date(2024, 2, 1), date(2024, 1, 31)]


def test_daylight_saving_time_is_the_zones_own():
    assert values("time", ["2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z"], forms("Europe/Amsterdam")) == [
        datetime(2024, 3, 31, 1, 30),
        datetime(2024, 3, 31, 3, 30),
    ]


def test_declared_forms_are_tried_in_their_order_and_replace_the_default():
    day_first = forms(dates=["%d/%m/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y"])
    assert values("date", ["05/03/2024", "25/12/2024 23:59", "12/25/2024", "5/3/24", "2024/3/5", "2024-03-05"], day_first) == [
        date(2024, 3, 5),
        date(2024, 12, 25),
        date(2024, 12, 25),
        None,
        None,
        date(2024, 3, 5),
    ]


def test_a_declared_form_that_looks_like_iso_goes_before_iso():
    assert values("date", ["2024-03-05"], forms(dates=["%Y-%d-%m"])) == [date(2024, 5, 3)]


def test_declared_milliseconds_are_times_in_the_companys_zone():
    declared = forms("Asia/Shanghai", dates=["epoch_ms"])
    given = ["1709251200000", "1709251200250", "2024-03-01T00:00:00Z", "1709251200", "0709251200000", "17092512000000", "-1709251200000"]
    wanted = [datetime(2024, 3, 1, 8), datetime(2024, 3, 1, 8, 0, 0, 250_000), datetime(2024, 3, 1, 8), None, None, None, None]
    assert values("time", given, declared) == wanted
    # The day is that of the zone, too.
    assert values("date", ["1709222400000"], declared) == [date(2024, 3, 1)]
    assert values("time", ["1709251200000"], forms("Asia/Shanghai")) == [None]


def test_declared_zones_months_and_serials():
    declared = forms("Asia/Shanghai", dates=["%d/%m/%Y %H:%M %z", "%d %b %Y", "%m/%d/%y %I:%M %p", "excel"])
    given = [
        "01/03/2024 10:00 +0200",
        "01/03/2024 10:00Z",
        "01/03/2024 10:00 -05:30",
        "5 Mar 2024",
        "3/5/24 4:07 PM",
        "45291.75",
        "45291",
        "2024",
        "45291.999999",
    ]
    assert values("time", given, declared) == [
        datetime(2024, 3, 1, 16),
        datetime(2024, 3, 1, 18),
        datetime(2024, 3, 1, 23, 30),
        datetime(2024, 3, 5),
        datetime(2024, 3, 5, 16, 7),
        datetime(2023, 12, 31, 18),
        datetime(2023, 12, 31),
        None,
        datetime(2024, 1, 1),
    ]


@pytest.mark.parametrize("form", ["%d/%m", "%A %Y-%m", "%z %Y-%m-%d", "%q%Y%m"])
def test_a_form_that_cannot_be_read_is_named(form):
    assert any(form in problem for problem in form_problems(form))
    with pytest.raises(SourceProblems, match=r"exports\.dates"):
        forms(dates=[form])


def test_shares_flags_counts_and_numbers():
    assert values("share", ["45%", "0.45", "45 ％", "45", "half"]) == [0.45, 0.45, 0.45, 45.0, None]
    assert values("share", ["45", "45%", "100"], is_percent=True) == [0.45, 0.45, 1.0]
    assert values("flag", ["TRUE", "true", "1", "是", "Yes", "FALSE", "0", "否", "maybe"]) == [True] * 5 + [False] * 3 + [None]
    assert values("flag", ["won", "TRUE"], forms(true=["Won"], false=["Lost"])) == [True, None]
    assert values("count", ["1,234", "5.0", "1.2万", "2.5", "many"]) == [1234, 5, 12000, None, None]
    assert values("number", ["1e3", "-2.5", "85%", "150万", "x"]) == [1000.0, -2.5, 0.85, 1_500_000.0, None]
    assert values("days", ["30", "1.5"]) == [30.0, 1.5]


def test_ids_stay_to_the_letter_and_only_empty_spellings_are_null():
    given = ["00000005", "NA", " x ", "", "  ", "null", "1e5"]
    assert values("id", given) == ["00000005", "NA", " x ", None, None, "null", "1e5"]
    assert values("label", [" x　", "NA"], forms(empty=["NA"])) == ["x", None]


def test_true_and_false_must_differ():
    with pytest.raises(SourceProblems, match="'x' stands for true and for false"):
        forms(true=["X"], false=["x"])


@pytest.mark.parametrize(
    ("amount", "currency", "company", "filled", "contradicts"),
    [
        ("5", None, "CNY", None, False),
        ("¥5", None, "CNY", None, False),
        ("$5", None, "CNY", "USD", False),
        ("$5", None, "AUD", None, False),
        ("EUR 5", None, "CNY", "EUR", False),
        ("EUR 5", "EUR", "CNY", "EUR", False),
        ("$5", "HKD", "CNY", "HKD", False),
        ("$5", "CNY", "CNY", "CNY", True),
        ("5", "CNY", "CNY", "CNY", False),
    ],
)
def test_a_currency_written_in_an_amount_is_never_taken_for_another(amount, currency, company, filled, contradicts):
    sql = ", ".join(currency_sql("c", money_sql("a", forms()), company))
    with duckdb.connect(":memory:") as connection:
        assert connection.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS a, ?::VARCHAR AS c)", [amount, currency]).fetchone() == (filled, contradicts)
