"""How figures, dates and periods are written on the report page, in English and Chinese.

What belongs here: the wording of single values and the numbers of one segment laid out as a grid of texts. What does
not: which figures are shown (page_*.py) and how they look (templates).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from models.settings import Company, Language

NONE = "—"
"""What stands where there is no figure."""

MINUS = "−"

MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

CURRENCIES_ZH = {"CNY": "元", "USD": "美元", "EUR": "欧元", "HKD": "港元", "JPY": "日元", "GBP": "英镑", "SGD": "新加坡元", "TWD": "新台币"}

SEGMENT_SEPARATOR = "\u001f"
"""Joins dimension and member in the page's data; it cannot occur in either."""


@cache
def phrases(language: Language) -> dict[str, str]:
    """Every phrase of the page in one language, by key (phrases.yaml)."""
    text = (Path(__file__).parent / "phrases.yaml").read_text(encoding="utf-8")
    return {key: both[language] for key, both in yaml.load(text, yaml.CSafeLoader).items()}


@dataclass(frozen=True)
class Figures:
    """Writes values in one language for one company; whatever is missing is written as `NONE`.

    ``people``: names of owners by id; ``accounts``: names of customers by opportunity; what has no name stands by its id.
    """

    company: Company
    language: Language
    words: Mapping[str, str]
    people: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)

    def say(self, key: str, **values: object) -> str:
        """The phrase ``key`` with its placeholders filled; an unknown key is a KeyError."""
        return self.words[key].format(**values)

    def name(self, kind: str, code: str) -> str:
        """The name of a code (``method``, ``signal``, ``reason`` …), or the code itself in plain words where it has none."""
        return self.words.get(f"{kind}.{code}", code.replace("_", " "))

    def column(self, name: str) -> str:
        """An exported column: its canonical name in English, by which a person maps it; a Chinese word in Chinese."""
        return self.words.get(f"column.{name}", name)

    def instant(self, utc: pd.Timestamp) -> str:
        """An instant in the company's zone: ``21 Nov 2025 08:34 (Asia/Shanghai)``."""
        local = utc.tz_localize("UTC").tz_convert(self.company.time_zone)
        return f"{self.day(local)} {local:%H:%M} ({self.company.time_zone})"

    def amount(self, value: float | None) -> str:
        """An amount with its currency: ``CNY 1.23 M``, ``1,234.5 万元``."""
        if is_missing(value):
            return NONE
        number = self.amount_cell(value)
        if self.language == "zh":
            return f"{number} {self.amount_unit}"
        return f"{self.company.currency} {number}"

    def amount_cell(self, value: float | None) -> str:
        """An amount without its currency, for tables whose caption gives `amount_unit`: ``1.23 M``, ``1,234.5``."""
        if is_missing(value):
            return NONE
        sign = MINUS if value < 0 else ""
        if self.language == "zh":
            return "0" if value == 0 else f"{sign}{abs(value) / 10_000:,.1f}"
        return sign + _compact(abs(value))

    @property
    def amount_unit(self) -> str:
        """What one unit of `amount_cell` is: the currency, in Chinese ten thousand of it."""
        if self.language == "zh":
            return "万" + CURRENCIES_ZH.get(self.company.currency, f" {self.company.currency}")
        return self.company.currency

    def share(self, value: float | None, digits: int = 0) -> str:
        """A share as a percentage; what rounds to none or to all without being so says ``<`` or ``>``."""
        if is_missing(value):
            return NONE
        step = 10.0**-digits
        percent = 100 * value
        if 0 < percent < step / 2:
            return f"<{step:.{digits}f}%"
        if 100 - step / 2 < percent < 100:
            return f">{100 - step:.{digits}f}%"
        return f"{percent:.{digits}f}%".replace("-", MINUS)

    def rate(self, value: float | None) -> str:
        """A rate with one decimal."""
        return self.share(value, 1)

    def count(self, value: float | None) -> str:
        """A whole number with thousands separated."""
        return NONE if is_missing(value) else f"{value:,.0f}"

    def number(self, value: float | None, digits: int = 1) -> str:
        """A plain number."""
        return NONE if is_missing(value) else f"{value:,.{digits}f}".replace("-", MINUS)

    def signed(self, value: float, digits: int = 2) -> str:
        """A number with its sign."""
        return f"{value:+.{digits}f}".replace("-", MINUS)

    def signed_amount(self, value: float | None) -> str:
        """An amount without currency, with its sign."""
        if is_missing(value):
            return NONE
        text = self.amount_cell(value)
        return f"+{text}" if value > 0 else text

    def span(self, low: str, high: str) -> str:
        """From one written value to another; `NONE` where either is missing."""
        return NONE if NONE in (low, high) else f"{low} – {high}"

    def day(self, value: date | pd.Timestamp | None) -> str:
        """A day: ``21 Nov 2025``, ``2025年11月21日``."""
        if is_missing(value):
            return NONE
        if self.language == "zh":
            return f"{value.year}年{value.month}月{value.day}日"
        return f"{value.day} {MONTHS_EN[value.month - 1]} {value.year}"

    def period(self, kind: str, start: date | pd.Timestamp) -> str:
        """The name of a period; quarters are those of the fiscal year, named by the year in which it ends."""
        if kind == "month":
            return f"{start.year}年{start.month}月" if self.language == "zh" else f"{MONTHS_EN[start.month - 1]} {start.year}"
        if kind == "week":
            return self.say("period.week", day=self.day(start))
        first = self.company.fiscal_year_start_month
        year = start.year + (first > 1 and start.month >= first)
        quarter = (start.month - first) % 12 // 3 + 1
        return self.say("period.quarter" if first == 1 else "period.fiscal_quarter", year=year, quarter=quarter)

    def stage(self, key: str) -> str:
        """The label of a stage in the page's language, with its pipeline where the company has several."""
        return self._stage_labels.get(key, key)

    def stages(self) -> list[str]:
        """Keys of the open stages in the order of the configuration."""
        return [self.company.stage_key(p, s.key) for p in self.company.pipelines for s in p.stages]

    def member(self, member: str, dimension: str = "all") -> str:
        """The name of a segment member as shown: an owner's with his id behind it."""
        if dimension == "owner" and member in self.people:
            return self.say("filter.person", name=self.people[member], id=member)
        return self.words[f"member.{member}"] if member in ("all", "unassigned") else member

    @property
    def _stage_labels(self) -> dict[str, str]:
        several = len(self.company.pipelines) > 1
        labels = {}
        for pipeline in self.company.pipelines:
            named = {s.key: s.names for s in pipeline.stages} | {"won": pipeline.won.labels, "lost": pipeline.lost.labels}
            for key, names in named.items():
                label = names.zh if self.language == "zh" else names.en
                labels[self.company.stage_key(pipeline, key)] = f"{pipeline.key} · {label}" if several else label
        return labels


def is_missing(value: object) -> bool:
    """Whether a scalar of a table is null."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def last_day(kind: str, start: pd.Timestamp) -> date:
    """Last day of a period, inclusive."""
    lengths = {"week": pd.DateOffset(days=7), "month": pd.DateOffset(months=1), "quarter": pd.DateOffset(months=3)}
    return (start + lengths[kind]).date() - timedelta(days=1)


def percentages(values: pd.Series | np.ndarray) -> pd.Series:
    """Shares as lengths of a drawing, ``12.34%``; cut to 0-100, missing ones 0."""
    return pd.Series(values).clip(0, 1).fillna(0).map(lambda share: f"{100 * share:.2f}%")


@dataclass(frozen=True)
class Grid:
    """Texts and lengths of one part of the page for every segment, in the same places.

    ``cells`` has the axes segment, row, column. The page shows the first segment (the whole company); its script puts
    another segment's texts into the same places, so each figure is written in one place only: here.
    """

    segments: Sequence[tuple[str, str]]
    rows: Sequence[str]
    columns: Sequence[str]
    cells: np.ndarray
    blank: np.ndarray

    def __bool__(self) -> bool:
        return len(self.segments) > 0 and len(self.rows) > 0

    def place(self, row: str, column: str) -> int:
        """The position of a cell in a segment's list."""
        return self.rows.index(row) * len(self.columns) + self.columns.index(column)

    def text(self, row: str, column: str) -> str:
        """The cell of the whole company."""
        return self.cells[0, self.rows.index(row), self.columns.index(column)]

    def data(self) -> dict:
        """What the page's script needs, as plain lists."""
        flat = self.cells.reshape(len(self.segments), len(self.rows) * len(self.columns))
        names = [SEGMENT_SEPARATOR.join(segment) for segment in self.segments]
        return {"cells": dict(zip(names, flat.tolist(), strict=True)), "blank": self.blank.ravel().tolist()}


def grid(frame: pd.DataFrame, segments: Sequence[tuple[str, str]], rows: Sequence[str], blanks: Mapping[str, str]) -> Grid:
    """Lay out ``frame`` (columns dimension, member, row and those of ``blanks``) as a `Grid`.

    ``blanks`` gives for every column what stands where a segment lacks a row. Segments without any row are left out;
    the first segment of the result is the whole company if it has rows, else the grid is empty.
    """
    columns = list(blanks)
    held = pd.MultiIndex.from_frame(frame[["dimension", "member"]]).unique()
    shown = [segment for segment in segments if segment in held]
    if ("all", "all") not in shown:
        shown = []
    index = pd.MultiIndex.from_tuples([(*segment, row) for segment in shown for row in rows], names=["dimension", "member", "row"]) if shown and rows else None
    blank = np.tile(np.array(list(blanks.values()), dtype=object), (len(rows), 1))
    if index is None:
        return Grid(shown, list(rows), columns, np.empty((0, len(rows), len(columns)), dtype=object), blank)
    laid = frame.set_index(["dimension", "member", "row"])[columns].astype(object).reindex(index)
    laid = laid.where(laid.notna(), pd.Series(blanks), axis="columns")
    cells = laid.to_numpy(dtype=object).reshape(len(shown), len(rows), len(columns))
    return Grid(shown, list(rows), columns, cells, blank)


def ordered_segments(sizes: pd.DataFrame, limit: int) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Segments to offer: the whole company first, then each dimension's members, at most ``limit``, the largest first.

    ``sizes`` is indexed by (dimension, member); its first column ranks, the next one decides among equals, then the
    name. Also returned: the number of members of every dimension that was cut.
    """
    ranks = list(sizes.columns)
    listed = sizes.fillna(0.0).rename_axis(["dimension", "member"]).reset_index()
    listed = listed[listed["dimension"] != "all"]
    listed = listed.sort_values(["dimension", *ranks, "member"], ascending=[True, *([False] * len(ranks)), True], kind="stable")
    kept = listed[listed.groupby("dimension").cumcount() < limit]
    members = listed["dimension"].value_counts().sort_index()
    cut = {dimension: int(count) for dimension, count in members[members > limit].items()}
    return [("all", "all"), *kept[["dimension", "member"]].itertuples(index=False, name=None)], cut


def _compact(value: float) -> str:
    for size, suffix in ((1e9, " B"), (1e6, " M"), (1e3, " K")):
        if value >= size * 0.9995:
            scaled = value / size
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:,.{digits}f}{suffix}"
    return f"{value:,.0f}"
