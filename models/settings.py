"""What a company says about itself: stages, calendar, segments, thresholds, forecast settings.

What belongs here: typed settings that several floors read, with their defaults. What does not: how exports are
read (assets/exports/settings.py) and how the file is loaded (pipelines/configuration.py). Settings are handed in,
never looked up.
"""

import re
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.stage_dates import DatedStage, are_related, date_problems

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Language = Literal["en", "zh"]
Severity = Literal["warning", "reject", "critical"]

SEGMENT_FIELDS = (
    "pipeline",
    "opportunity_type",
    "source",
    "industry",
    "product",
    "region",
    "team",
    "owner",
    "amount_band",
)
"""Fields an opportunity can be split by; each is a dimension of every report table."""

FIELDS_WITHOUT_HISTORY = (
    "source",
    "industry",
    "product",
    "region",
    "opportunity_type",
    "account_id",
    "owner_id",
    "amount",
    "expected_close_date",
    "forecast_category",
)
"""Fields that a company may declare immutable: known at creation and never changed afterwards."""


class Settings(BaseModel):
    """A frozen part of the configuration; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(Settings):
    """A name in each language of the reports."""

    en: str
    zh: str


class Outcome(Settings):
    """Won or lost: the export's spellings of it and its names."""

    spellings: tuple[str, ...] = ()
    labels: Labels


class Stage(Settings):
    """One open stage of a pipeline, in the order of the list it stands in.

    ``valid_from`` and ``valid_to`` are its first and last day; ``replaces`` names the stages whose place it takes
    (models/stage_succession.py). ``entry`` and ``exit`` say in words what lets a deal in and out, ``actions`` and
    ``output`` what is done there and what comes of it. ``required_fields`` are columns of the opportunities that a deal
    must have to leave the stage, and ``cadence_days`` the days between two follow-ups.
    """

    key: Key
    labels: Labels | None = None
    spellings: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    replaces: tuple[str, ...] = ()
    benchmark_conversion: Share | None = None
    benchmark_days: Annotated[float, Field(gt=0)] | None = None
    default_probability: Share | None = None
    entry: Labels | None = None
    exit: Labels | None = None
    actions: Labels | None = None
    output: Labels | None = None
    required_fields: tuple[str, ...] = ()
    cadence_days: Annotated[float, Field(gt=0)] | None = None

    @property
    def names(self) -> Labels:
        """The labels, or the key where none are set."""
        return self.labels or Labels(en=self.key.replace("_", " "), zh=self.key)


WON = Outcome(spellings=("won", "Won", "Closed Won", "成交", "已赢单", "赢单"), labels=Labels(en="won", zh="成交"))
LOST = Outcome(spellings=("lost", "Lost", "Closed Lost", "输单", "已输单", "已搁置", "无效"), labels=Labels(en="lost", zh="输单"))


class Pipeline(Settings):
    """A named sequence of stages with its outcomes.

    ``other_events`` are spellings that the history holds and that are no stages of this funnel: such rows are
    accepted and set aside; any other unknown spelling is rejected.
    """

    key: Key = "sales"
    spellings: tuple[str, ...] = ()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    won: Outcome = WON
    lost: Outcome = LOST
    other_events: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _dates_of_stages_agree(self):
        for s in self.stages:
            for key in s.replaces:
                if key not in {other.key for other in self.stages}:
                    raise ValueError(f"the stage {s.key} replaces {key!r}, which is no stage of the pipeline")
        for p in date_problems(self.dated_stages):
            raise ValueError(f"the stage {self.stages[p.position].key} has {p.found}; expected {p.expected}")
        return self

    @model_validator(mode="after")
    def _spellings_are_unambiguous(self):
        owners: dict[str, list[str]] = {}
        named = [(s.key, {s.key, *s.spellings}) for s in self.stages]
        named += [("won", set(self.won.spellings)), ("lost", set(self.lost.spellings)), ("other_events", set(self.other_events))]
        for key, spellings in named:
            for spelling in sorted(spellings):
                before = owners.setdefault(spelling, [])
                # A stage may keep the name of one that it replaces: the day tells them apart.
                for other in before:
                    if other != key and not are_related(key, other, self.dated_stages):
                        raise ValueError(f"the spelling {spelling!r} stands for both {other} and {key}; each spelling belongs to one stage")
                before.append(key)
        keys = [s.key for s in self.stages]
        for key in keys:
            if keys.count(key) > 1 or key in ("won", "lost"):
                raise ValueError(f"the stage key {key!r} is used twice; keys are unique, and won and lost are taken")
        return self

    @property
    def dated_stages(self) -> list[DatedStage]:
        """The stages as far as their dates go."""
        return [DatedStage(s.key, s.valid_from, s.valid_to, s.replaces) for s in self.stages]


class Target(Settings):
    """What is aimed at in one period by the company, a team or an owner."""

    period_kind: Literal["week", "month", "quarter"] = "month"
    period_start: date
    dimension: Literal["all", "team", "owner"] = "all"
    member: str = "all"
    metric: str = "bookings"
    target: float


class Thresholds(Settings):
    """Limits at which something is flagged or stopped."""

    overtime_factor: Annotated[float, Field(gt=0)] = 1.5
    overtime_minimum_visits: Annotated[int, Field(ge=1)] = 10
    zombie_days: Annotated[int, Field(ge=1)] = 30
    zombie_close_overdue_days: Annotated[int, Field(ge=1)] = 30
    small_sample: Annotated[int, Field(ge=1)] = 10
    fix_by_hours: Annotated[int, Field(ge=1)] = 24
    rejected_rows_share: Share = 0.05
    rejected_rows_at_least: Annotated[int, Field(ge=1)] = 5
    rejected_open_amount_share: Share = 0.10
    shrunk_export_share: Share = 0.5
    duplicate_need_days: Annotated[int, Field(ge=1)] = 30
    stale_export_days: Annotated[int, Field(ge=1)] = 7
    audit_sample_share: Share = 0.10
    suspicious_auc: Share = 0.97
    calibration_error: Share = 0.05


class Reporting(Settings):
    """How many periods, counted back from the as-of date, the metric tables cover."""

    weeks: Annotated[int, Field(ge=1)] = 13
    months: Annotated[int, Field(ge=1)] = 25
    quarters: Annotated[int, Field(ge=1)] = 9


class Forecasting(Settings):
    """How the forecast is fitted, simulated and judged (docs/forecasting.md)."""

    origins: Annotated[int, Field(ge=0, le=60)] = 12
    draws: Annotated[int, Field(ge=200, le=20_000)] = 2_000
    seed: int = 20_250_131
    half_life_days: Annotated[float, Field(gt=0)] = 365.0
    prior_deals: Annotated[float, Field(gt=0)] = 20.0
    drift_prior_events: Annotated[float, Field(gt=0)] = 70.0
    shock_prior: Annotated[float, Field(ge=0)] = 0.05
    shock_prior_weight: Annotated[float, Field(gt=0)] = 6.0


VAGUE_WORDS = ("about", "roughly", "maybe", "some", "need", "needs", "interested", "something", "大概", "可能", "有", "需求", "意向", "左右", "差不多")
"""A need made of these alone says nothing."""

NO_INTENT_WORDS = ("none", "no", "no need", "no intent", "not interested", "无", "无意向", "没有需求", "无需求", "暂无需求", "暂无")
"""Needs that say there is none."""


class Company(Settings):
    """Everything a company says about itself that numbers depend on."""

    name: str
    language: Language = "en"
    time_zone: str = "UTC"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "CNY"
    exchange_rates: dict[str, Annotated[float, Field(gt=0)]] = {}
    fiscal_year_start_month: Annotated[int, Field(ge=1, le=12)] = 1
    country: str | None = None
    as_of: date | None = None
    pipelines: Annotated[tuple[Pipeline, ...], Field(min_length=1)]
    outcome_from: Literal["stage", "flags"] = "stage"
    segments: tuple[Literal[SEGMENT_FIELDS], ...] = ()
    amount_bands: tuple[float, ...] = (200_000, 500_000)
    immutable_fields: tuple[Literal[FIELDS_WITHOUT_HISTORY], ...] = ("source", "opportunity_type", "product", "region")
    vanished: Literal["open", "deleted"] = "open"
    targets: tuple[Target, ...] = ()
    severities: dict[str, Severity] = {}
    formats: dict[str, str] = {}
    vague_words: tuple[str, ...] = VAGUE_WORDS
    no_intent_words: tuple[str, ...] = NO_INTENT_WORDS
    mask_owners: bool = False
    thresholds: Thresholds = Thresholds()
    reporting: Reporting = Reporting()
    forecast: Forecasting = Forecasting()

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"the time zone {value!r} is not in the IANA database; expected a name such as Asia/Shanghai")
        return value

    @field_validator("formats")
    @classmethod
    def _formats_are_patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"the format of {name} is no regular expression ({error.msg} at position {error.pos})") from None
        return value

    def formats_of(self, table_name: str) -> dict[str, str]:
        """The configured formats of one table, by column."""
        return {name.partition(".")[2]: pattern for name, pattern in self.formats.items() if name.partition(".")[0] == table_name}

    @field_validator("amount_bands")
    @classmethod
    def _bands_ascend(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("amount bands ascend, each once, such as [200000, 500000]")
        return value

    @field_validator("pipelines")
    @classmethod
    def _pipelines_differ(cls, value: tuple[Pipeline, ...]) -> tuple[Pipeline, ...]:
        keys = [p.key for p in value]
        if len(set(keys)) < len(keys):
            raise ValueError("each pipeline has a key of its own")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone."""
        return ZoneInfo(self.time_zone)

    def stage_key(self, pipeline: Pipeline, key: str) -> str:
        """The public key of a stage: bare in a company with one pipeline, else ``pipeline:stage``."""
        return key if len(self.pipelines) == 1 else f"{pipeline.key}:{key}"
