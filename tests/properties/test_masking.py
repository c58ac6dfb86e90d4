"""Nothing that names a person survives masking, whatever stands around it; ids stay keys."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.masking import id_masks, masked_account, masked_id, masked_name, masked_person, masked_text, quoted_number

KEY = b"a key of a test"
WORDS = st.text(alphabet=string.ascii_letters + "询问电话：，。¥ ", max_size=12)
MOBILES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
GAPS = st.sampled_from(("", " ", "-", ".", "  "))
LOCALS = st.from_regex(r"[a-z][a-z0-9._%+-]{3,12}[a-z0-9]", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z]{2,8}\.(?:com|cn|co\.uk)", fullmatch=True)


@given(before=WORDS, after=WORDS, mobile=MOBILES, gap=GAPS)
def test_no_phone_survives_in_a_text(before, after, mobile, gap):
    written = gap.join((mobile[:3], mobile[3:7], mobile[7:]))
    shown = masked_text(before + written + after)
    assert f"{mobile[:3]}****{mobile[7:]}" in shown
    assert not re.search(r"\d{5}", shown)


@given(before=WORDS, after=WORDS, local=LOCALS, domain=DOMAINS)
def test_no_email_survives_in_a_text(before, after, local, domain):
    shown = masked_text(f"{before}{local}@{domain}{after}")
    assert f"{local}@" not in shown
    assert f"***@{domain}" in shown


@given(text=st.text(max_size=60) | st.from_regex(r"[0-9a-z@. +-]{0,40}", fullmatch=True))
def test_masking_twice_is_masking_once(text):
    assert masked_text(masked_text(text)) == masked_text(text)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("ask 13812345678", "ask 138****5678"),
        ("call +86 138-1234-5678 first", "call +861****5678 first"),
        ("zhang@example.com", "z***@example.com"),
        ("问zhang.san@example.com,a@b.cn", "问***@b.cn"),
        ("tel. (415) 555-0123", "tel. (41****23"),
        ("2025-02-30T25:61:00.000+0000", "2025-02-30T25:61:00.000+0000"),
        ("31.02.2025 13812345678", "31.02.2025 138****5678"),
        ("about 300k, tbc", "about 300k, tbc"),
        ("大概三十万左右", "大概三十万左右"),
        ("1,234,567.89 or so", "1,234,567.89 or so"),
        ("13812345678@qq.com13812345678", "1***@qq.com138****5678"),
    ],
)
def test_texts(text, shown):
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "value, shown",
    [
        ("about 1500000", "about 1500000"),
        ("1500000 / 2500000", "1500000 / 2500000"),
        ("-12345678.5x", "-12345678.5x"),
        ("1.500.000,00 EUR?", "1.500.000,00 EUR?"),
        ("123456789012", "123456789012"),
        ("ask 13812345678", "ask 138****5678"),
        ("138 1234 5678", "138****5678"),
        ("+49 171 2345678", "+491****5678"),
        ("zhang@example.com", "z***@example.com"),
    ],
)
def test_a_quoted_number_keeps_its_digits_and_loses_sure_phones(value, shown):
    assert quoted_number(value) == shown


@given(before=WORDS, after=WORDS, mobile=MOBILES)
def test_no_mobile_survives_in_a_column_of_numbers(before, after, mobile):
    assert mobile not in quoted_number(f"{before} {mobile} {after}")


@given(values=st.sets(MOBILES | st.builds("{}@{}".format, LOCALS, DOMAINS), min_size=2, max_size=30))
def test_masks_of_ids_are_equal_for_equal_ids_and_different_for_others(values):
    masks = id_masks(values, KEY)
    assert set(masks) == values
    assert len(set(masks.values())) == len(values)
    assert masks == {value: masked_id(value, KEY) for value in values}
    assert not [value for value in values if value in masks[value]]
    assert not id_masks(masks.values(), KEY)


@pytest.mark.parametrize(
    "value",
    [
        "0055g0000000000123AAA",
        "006-1042",
        "12345678901",
        "u-101",
        "North",
        "> 1,500,000",
        "200,000 - 500,000",
        "500,000,000 - 1,500,000,000",
        "KH202403001",
        "LY20240521001",
        "unassigned",
        "张伟",
    ],
)
def test_ids_that_name_nobody_stay_as_they_are(value):
    assert masked_id(value, KEY) == value


def test_the_mask_of_an_id_needs_its_key():
    assert masked_id("13812345678", KEY).startswith("138****5678~")
    assert masked_id("li@example.com", KEY).startswith("l***@example.com~")
    assert masked_id("13812345678", KEY) != masked_id("13812345678", b"another")


@pytest.mark.parametrize("name, shown", [("张伟", "张*"), ("Wei Zhang", "W***"), (" Zhang", "Z***")])
def test_names(name, shown):
    assert masked_name(name) == shown
    masked = masked_person(name, KEY)
    assert masked.startswith(f"{shown}~")
    assert masked_person(masked, KEY) == masked


@pytest.mark.parametrize(
    "name, shown",
    [
        ("张伟", "张*"),
        ("欧阳修", "欧*"),
        ("Wei Zhang", "W***"),
        ("Ada King-Noel", "A***"),
        ("Shanghai Hengda Machinery", "Shanghai Hengda Machinery"),
        ("Acme Ltd", "Acme Ltd"),
        ("Globex", "Globex"),
        ("上海恒达机械有限公司", "上海恒达机械有限公司"),
        ("Zhang 13812345678", "Zhang 138****5678"),
    ],
)
def test_accounts_are_masked_where_they_could_be_people(name, shown):
    assert masked_account(name) == shown
