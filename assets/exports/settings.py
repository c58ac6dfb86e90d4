"""How a company's exports are read: files, header names, written forms. And the whole configuration.

What belongs here: typed settings of the reading. What does not: any CRM's own names (assets/exports/crm), and how a CRM is
pulled (assets/exports/pull_settings.py).
"""

from typing import Annotated

from pydantic import Field, model_validator

from assets.exports.pull_settings import Pull
from models.settings import Company, Settings

ISO_DATES = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M",
)
"""The written forms of ISO 8601 that are read without being declared: none of them is ambiguous."""

EXCEL_SERIAL = "excel"
"""The declared form of a date written as an Excel serial number (days since 1899-12-30)."""

EPOCH_MS = "epoch_ms"
"""The declared form of a time written as milliseconds since 1970 in UTC, as many interfaces of CRMs give it."""


class Forms(Settings):
    """Written forms of values. Where a table leaves one out, that of all exports holds.

    ``dates`` are strptime forms tried in their order, with `EXCEL_SERIAL` for serial numbers and `EPOCH_MS` for
    milliseconds; ISO 8601 is always read. ``amount_unit`` multiplies every amount (10000 for 万元); a header such as 金额(万元) says so by itself.
    ``empty`` are spellings of "no value".
    """

    dates: tuple[str, ...] | None = None
    amount_unit: Annotated[float, Field(gt=0)] | None = None
    decimal_comma: bool | None = None
    empty: tuple[str, ...] | None = None
    true: tuple[str, ...] | None = None
    false: tuple[str, ...] | None = None


class FileForm(Settings):
    """Form of a file where its content does not prove it: without these encoding and delimiter are found, or asked for."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: Annotated[int, Field(ge=1)] | None = None
    instruction_rows: Annotated[int, Field(ge=0)] | None = None


def _listed(value):
    """A source whose one pattern became a list of one."""
    return {**value, "files": [value["files"]]} if isinstance(value, dict) and isinstance(value.get("files"), str) else value


class TableSource(Forms, FileForm):
    """Where one table comes from.

    ``files`` are glob patterns below the exports folder; ``columns`` maps canonical names to headers and goes before
    the CRM's own names; ``constants`` gives a column that the export lacks one value for all rows; ``required``
    adds columns without whose value a row is rejected. ``stage_dates`` (opportunities only) maps stage keys, won
    and lost included, to the headers that hold the day of entering them.
    """

    files: tuple[str, ...]
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    required: tuple[str, ...] = ()
    stage_dates: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_pattern_is_a_list(cls, value):
        return _listed(value)


class LookupSource(FileForm):
    """Where a file comes from that says what ids stand for, such as the CRM's list of stages.

    ``key`` and ``value`` are its headers where they are not those that the CRM's declaration names.
    """

    files: tuple[str, ...]
    key: str | None = None
    value: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_pattern_is_a_list(cls, value):
        return _listed(value)


class Exports(Forms, FileForm):
    """How the company's exports are read."""

    crm: str = "plain"
    tables: dict[str, TableSource]
    lookups: dict[str, LookupSource] = {}

    @model_validator(mode="after")
    def _opportunities_are_there(self):
        if "opportunities" not in self.tables:
            raise ValueError("the table opportunities is required: name its files")
        return self


class Configuration(Company):
    """The whole of leadline.yaml."""

    exports: Exports
    pull: Pull | None = None
