"""The part of a configuration that says who the company is: currency, time zone, calendar, as-of date, segments.

What belongs here: from what the exports show to settings with notes and questions. What does not: how exports are read
(drafting.py) and stages (stages.py).
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.headers import take_apart
from assets.exports.parsing import CURRENCY_SIGNS
from assets.exports.proposing.segments import Splits
from pipelines.proposal.drafting import Draft, Read
from pipelines.proposal.questions import Question, Weight

_PLACES: Mapping[str, tuple[str, str | None]] = {
    "CNY": ("Asia/Shanghai", "CN"),
    "JPY": ("Asia/Tokyo", "JP"),
    "KRW": ("Asia/Seoul", "KR"),
    "HKD": ("Asia/Hong_Kong", "HK"),
    "SGD": ("Asia/Singapore", "SG"),
    "INR": ("Asia/Kolkata", "IN"),
    "GBP": ("Europe/London", "GB"),
    "EUR": ("Europe/Berlin", None),
}
"""Where companies of a currency usually are: time zone and country."""

_SPLIT_FIRST = ("pipeline", "team", "owner", "source", "product", "region", "industry", "opportunity_type", "amount_band")
_MOST_SEGMENTS = 6
_EUROPEAN = ("+0100", "+0200")
_CHINESE = 0.5


def draft_company(draft: Draft, read: Read, name: str) -> None:
    """Add name, language, currency, time zone and calendar."""
    currency, why, is_stated = _currency(read)
    zone, country, why_zone = _place(read, currency, is_stated)
    data: dict[str, Any] = {"name": name, "language": "zh" if _is_chinese(read) else "en", "currency": currency, "time_zone": zone}
    data |= {"country": country} if country else {}
    data["fiscal_year_start_month"] = 1
    draft.data |= data
    draft.notes["name",] = ["Shown on the page: put the company's name here."]
    draft.notes["currency",] = ["All published amounts are in it."]
    draft.notes["time_zone",] = ["Every time in the reports is a wall-clock time there."]
    draft.notes["fiscal_year_start_month",] = ["Month in which the fiscal year begins: no export says it."]
    others = sorted({*_currencies(read)} - {currency})
    effect = "amounts are published under another currency's name" + (f"; rates of {', '.join(others)} go under exchange_rates" if others else "")
    draft.questions.append(Question(Weight.MONEY, ("currency",), "currency", currency, why, effect))
    draft.questions.append(
        Question(
            Weight.CALENDAR,
            ("time_zone",),
            "time_zone, country, fiscal_year_start_month",
            f"{zone}, {country or 'no public holidays'}, January",
            f"{why_zone}; the fiscal year is not exported",
            "deals near midnight count on another day, working days follow other holidays, and quarters begin in another month",
        )
    )


def draft_splits(draft: Draft, splits: Splits, bands: tuple[float, ...]) -> None:
    """Segments and immutable fields, and what is neither although it is there."""
    worth = [*splits.segments, *(["amount_band"] if bands and "amount_band" not in splits.refused else [])]
    ordered = sorted(worth, key=_SPLIT_FIRST.index)
    segments, others = ordered[:_MOST_SEGMENTS], ordered[_MOST_SEGMENTS:]
    draft.data["segments"] = segments
    notes = ["What every number is split by."]
    notes += [f"{field}: {splits.segments[field]}." for field in ordered if field in splits.segments]
    notes += [f"{', '.join(others)} would do as well; each makes a run longer."] if others else []
    notes += [f"Not {field}: {evidence}." for field, evidence in splits.refused.items()]
    draft.notes["segments",] = notes
    if "amount_band" in segments:
        draft.data["amount_bands"] = list(bands)
        draft.notes["amount_bands",] = ["Upper bounds of the bands: about thirds of the amounts; the last band is open."]
    draft.data["immutable_fields"] = list(splits.immutable)
    draft.notes["immutable_fields",] = ["Never changed after creation, so that a replay of the past may use them."]
    draft.notes["immutable_fields",] += [f"{field}: {evidence}." for field, evidence in splits.immutable.items()]


def draft_as_of(draft: Draft, found: tuple[date, str] | None, newest: date | None) -> None:
    """The as-of date: left to the exports where they show it, else asked."""
    if found is not None:
        day, why = found
        draft.notes.setdefault(("currency",), []).insert(0, f"as_of is not set: the exports show {day} ({why}).")
        return
    draft.data["as_of"] = newest or date(2000, 1, 1)
    evidence = "no file name has a day and no column a creation, stage entry, closing or activity" + (
        "; this is the newest day of any kind" if newest else "; there is no day of any kind, and this is a mere placeholder"
    )
    draft.notes["as_of",] = ["The day on which the exports were made."]
    draft.questions.append(
        Question(
            Weight.STOPS, ("as_of",), "as_of", str(newest or date(2000, 1, 1)), evidence, "everything is computed as of that day; what lies after it is future"
        )
    )


def newest_day(tables: Mapping[str, pa.Table]) -> date | None:
    """The newest day of any column of any table."""
    days = [pc.max(t[c]).as_py() for t in tables.values() for c in t.column_names if pa.types.is_date(t[c].type) or pa.types.is_timestamp(t[c].type)]
    return max((d.date() if hasattr(d, "date") else d for d in days if d is not None), default=None)


def _currencies(read: Read) -> dict[str, int]:
    """Currencies that the opportunities name, with their number of rows."""
    files = read.deals
    if "currency" not in files.positions:
        return {}
    header = files.sheets[0].header[files.positions["currency"]]
    counts: dict[str, int] = {}
    for sheet in files.sheets:
        for row in pc.value_counts(sheet.filled(sheet.header.index(header))).to_pylist():
            code = row["values"].upper()
            if len(code) == 3 and code.isascii() and code.isalpha():
                counts[code] = counts.get(code, 0) + row["counts"]
    return counts


def _currency(read: Read) -> tuple[str, str, bool]:
    """The currency, why, and whether the exports state it."""
    counts = _currencies(read)
    if counts:
        best = max(counts, key=lambda code: (counts[code], code))
        return best, f"{counts[best]:,} of {sum(counts.values()):,} opportunities are in {best}", True
    sheet, place = read.deals.sheets[0], read.deals.positions.get("amount")
    if place is not None:
        if code := take_apart(sheet.header[place]).currency:
            return code, "the header of the amounts says it", True
        texts = sheet.distinct(place)
        for sign, codes in CURRENCY_SIGNS.items():
            if pc.any(pc.match_substring(texts, sign)).as_py():
                return codes[0], f"amounts are written with {sign}", False
    if _is_chinese(read):
        return "CNY", "no currency is stated; the headers are Chinese", False
    if _offset(read) in _EUROPEAN:
        return "EUR", "no currency is stated; times are those of Central Europe", False
    return "USD", "no currency is stated", False


def _place(read: Read, currency: str, is_stated: bool) -> tuple[str, str | None, str]:
    """Time zone, country, and why."""
    offset = _offset(read)
    if offset in _EUROPEAN and currency == "EUR":
        return "Europe/Berlin", None, "times carry the offset of Central Europe"
    if currency in _PLACES and (is_stated or currency == "CNY"):
        zone, country = _PLACES[currency]
        return zone, country, f"no zone is stated; companies that sell in {currency} are mostly there"
    return "UTC", None, "times are in UTC and no place is stated" if offset else "no time zone is stated"


def _offset(read: Read) -> str | None:
    return next((forms.zoned for forms in read.forms.values() if forms.zoned), None)


def _is_chinese(read: Read) -> bool:
    header = [h for h in read.deals.sheets[0].header if h]
    return sum(not h.isascii() for h in header) > _CHINESE * len(header)
