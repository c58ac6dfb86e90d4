"""Maps the headers of a file to the canonical columns of its table.

What belongs here: which header is which column, the unit a header states, and what is wrong with the mapping.
What does not: any CRM's own spellings (assets/exports/crm) and reading values (assets/exports/parsing.py).

A canonical column is claimed by what the configuration names, else by the CRM's spellings of it and its own name:
to the letter if a header is, else without regard to case, blanks, underscores and hyphens. Two headers that claim
one column are an error, never a choice.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

import sqlalchemy as sa

from assets.exports.crm.declaration import Crm, Filled, Spelling, spelled
from assets.exports.errors import HeaderProblems, SourceProblems, listed, nearest, shown
from assets.exports.settings import TableSource
from models.settings import Company

STAGE_DATE = "stage_date:"
"""Prefix of the columns that hold the time of entering a stage, followed by the stage's key."""

SCALES = {
    "元": 1, "千": 1_000, "千元": 1_000, "万": 10_000, "万元": 10_000, "十万": 100_000, "百万": 1_000_000, "百万元": 1_000_000,
    "千万": 10_000_000, "千万元": 10_000_000, "亿": 100_000_000, "亿元": 100_000_000, "w": 10_000,
    "k": 1_000, "thousand": 1_000, "thousands": 1_000, "m": 1_000_000, "mn": 1_000_000, "mio": 1_000_000,
    "million": 1_000_000, "millions": 1_000_000, "b": 1_000_000_000, "bn": 1_000_000_000, "billion": 1_000_000_000,
}  # fmt: skip
"""What an amount's unit multiplies by, in lower case."""

_SCALE = "|".join(sorted(SCALES, key=len, reverse=True))
_UNIT = re.compile(rf"(?:(?P<before>[A-Z]{{3}})\s*)?(?P<scale>(?i:in\s+)?(?i:{_SCALE}))?(?:\s*(?P<after>[A-Z]{{3}}))?|(?P<percent>%)")
_IN_BRACKETS = re.compile(r"^(?P<base>.*?)\s*[(\[【](?P<unit>[^()\[\]【】]*)[)\]】]\s*$")
_AFTER_A_MARK = re.compile(r"^(?P<base>.+?)\s*[/_:,]\s*(?P<unit>[千万百十亿]*元|万|亿|%)\s*$")

_IGNORED = re.compile(r"[\s_\-\ufeff\u200b]+")


@dataclass(frozen=True)
class Header:
    """A header taken apart: its name without the unit, and what the unit says."""

    base: str
    scale: Decimal | None = None
    is_percent: bool = False
    currency: str | None = None


@dataclass(frozen=True)
class Column:
    """Where a canonical column comes from: the position of its header in the file, and what the header says.

    ``others`` are the positions of headers that fill the rows where this one has no value, in their order.
    """

    position: int
    header: str
    scale: Decimal | None = None
    is_percent: bool = False
    currency: str | None = None
    others: tuple[int, ...] = ()

    @property
    def positions(self) -> tuple[int, ...]:
        """Every position that the column is read from."""
        return (self.position, *self.others)


@dataclass(frozen=True)
class HeaderMap:
    """One file's mapping: canonical column (or ``stage_date:<key>``) to its place, and headers nobody claims."""

    columns: Mapping[str, Column]
    unmapped: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class HeaderPlaces:
    """The headers of a file as spellings are looked up among them: positions by the header to the letter, folded, and folded without its unit."""

    by_form: tuple[Mapping[str, Sequence[int]], ...]

    @classmethod
    def of(cls, headers: Sequence[str]) -> "HeaderPlaces":
        """The places of a file's headers; empty headers name nothing."""
        by_form: tuple[dict[str, list[int]], ...] = ({}, {}, {})
        for position, header in enumerate(headers):
            if header.strip():
                for there, name in zip(by_form, (header.strip("\ufeff"), fold(header), fold(take_apart(header).base)), strict=True):
                    there.setdefault(name, []).append(position)
        return cls(by_form)

    def claims(self, spellings: Sequence[Spelling]) -> list[tuple[int, ...]]:
        """What one column's spellings claim: to the letter if anything, else folded, else without unit.

        Each claim is one position, or those of a `Filled` that stand there, in its order.
        """
        to_the_letter, *folded = self.by_form
        names = {header: fold(header) for header in spelled(tuple(spellings))}
        found_by_form = [{header: to_the_letter[header] for header in names if header in to_the_letter}]
        found_by_form += [{header: there[name] for header, name in names.items() if name in there} for there in folded]
        for found in filter(None, found_by_form):
            claims: dict[tuple[int, ...], None] = {}
            for spelling in spellings:
                if isinstance(spelling, Filled) and any(header in found for header in spelling):
                    each = (next((f[header][0] for f in found_by_form if header in f), None) for header in spelling)
                    claims[tuple(dict.fromkeys(i for i in each if i is not None))] = None
                elif not isinstance(spelling, Filled):
                    in_order = (spelling,) if isinstance(spelling, str) else spelling
                    claims |= {(i,): None for i in next((found[header] for header in in_order if header in found), [])}
            if claims:
                return sorted(claims)
        return []

    def first(self, spellings: Sequence[Spelling]) -> int | None:
        """Position of the first header that any of ``spellings`` names, or null."""
        return next((claim[0] for claim in self.claims(spellings)), None)


def fold(name: str) -> str:
    """A header without what does not matter: width, case, blanks, underscores, hyphens, byte-order marks."""
    return unicodedata.normalize("NFKC", _IGNORED.sub("", unicodedata.normalize("NFKC", name)).casefold())


def take_apart(header: str) -> Header:
    """The name and the unit of a header: 金额(万元) is 金额 × 10000, ``Amount (USD k)`` is Amount × 1000 in USD."""
    plain = unicodedata.normalize("NFKC", header).strip("\ufeff\u200b \t\r\n")
    match = _IN_BRACKETS.match(plain) or _AFTER_A_MARK.match(plain)
    unit = _UNIT.fullmatch(match["unit"].strip()) if match else None
    if unit is None or not match["base"] or not unit[0]:
        return Header(plain)
    scale = re.sub(r"^in\s+", "", unit["scale"].casefold()) if unit["scale"] else None
    currency = unit["before"] or unit["after"]
    return Header(match["base"].strip(), Decimal(SCALES[scale]) if scale else None, unit["percent"] is not None, currency)


def check_source(contract: sa.Table, source: TableSource, company: Company) -> None:
    """Raise SourceProblems where the configuration of a table names columns or stages that there are not."""
    where = f"exports.tables.{contract.name}"
    known = [c.name for c in contract.columns]
    named = [("columns", source.columns), ("constants", source.constants), ("required", source.required)]
    problems = [
        f"{where}.{key}: {shown(name)} is not a column of {contract.name}; expected one of {', '.join(known)}{nearest([name], known)}"
        for key, names in named
        for name in names
        if name not in known
    ]
    problems += [f"{where}: {name} stands in columns and in constants; keep one" for name in source.constants if name in source.columns]
    stages = {key for p in company.pipelines for s in (*(s.key for s in p.stages), "won", "lost") for key in (s, f"{p.key}:{s}")}
    if source.stage_dates and contract.name != "opportunities":
        problems.append(f"{where}.stage_dates: only opportunities have them; move them to exports.tables.opportunities.stage_dates")
    problems += [
        f"{where}.stage_dates: {shown(key)} is not a stage; expected one of {', '.join(sorted(stages))}{nearest([key], stages)}"
        for key in source.stage_dates
        if key not in stages
    ]
    if problems:
        raise SourceProblems(problems)


def required_columns(contract: sa.Table, source: TableSource) -> list[str]:
    """Canonical columns that a file of the table must have: the contract's and the configured ones."""
    return [c.name for c in contract.columns if not c.nullable or c.name in source.required]


def map_headers(
    headers: Sequence[str],
    contract: sa.Table,
    source: TableSource,
    crm: Crm,
    file_name: str,
    dated: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> HeaderMap:
    """Map one file's headers to the columns of ``contract`` and to its configured stage dates.

    ``dated`` are the positions of further stage dates by stage key, which the CRM's own headers name. Raises HeaderProblems with every problem: a required column without a header, a configured header that is not
    there, two headers for one column, one header twice. Empty headers name nothing and are left out.
    """
    places = HeaderPlaces.of(headers)
    columns: dict[str, Column] = {}
    problems: list[str] = []
    unclear: list[str] = []
    wanted = {name: source.columns.get(name) for name in (c.name for c in contract.columns)}
    wanted |= {STAGE_DATE + key: header for key, header in source.stage_dates.items()}
    for name, configured in wanted.items():
        if configured is not None:
            spellings: tuple[Spelling, ...] = (configured,)
        else:
            spellings = spellings_of(contract, name, crm)
        found = places.claims(spellings)
        if name in source.constants:
            if found:
                problems.append(
                    f"{file_name}: exports.tables.{contract.name}.constants gives {name} one value, but the header "
                    f"{shown(headers[found[0][0]])} holds it; remove the constant or rename the header"
                )
        elif len(found) > 1:
            unclear.append(name)
            problems.append(_several(headers, [i for claim in found for i in claim], contract, name, file_name))
        elif found:
            columns[name] = _column(headers, found[0])
            problems += _units_that_differ(headers, found[0], contract, name, file_name)
        elif configured is not None:
            key = f"stage_dates.{name.removeprefix(STAGE_DATE)}" if name.startswith(STAGE_DATE) else f"columns.{name}"
            problems.append(
                f"{file_name}: exports.tables.{contract.name}.{key} names the header {shown(configured)}; "
                f"the file has {listed(h for h in headers if h)}{nearest([configured], headers)}"
            )
    given = {*columns, *unclear, *source.constants, *crm.constants.get(contract.name, ()), *source.columns}
    problems += [_missing(headers, contract, crm, name, file_name) for name in required_columns(contract, source) if name not in given]
    if problems:
        raise HeaderProblems(problems)
    columns |= {STAGE_DATE + key: _column(headers, positions) for key, positions in dated.items() if STAGE_DATE + key not in columns}
    used = {position for c in columns.values() for position in c.positions}
    return HeaderMap(columns, tuple(h for i, h in enumerate(headers) if h.strip() and i not in used))


def spellings_of(contract: sa.Table, column: str, crm: Crm) -> tuple[Spelling, ...]:
    """The CRM's spellings of a column, and its own name unless that means something else in this CRM's files."""
    own = () if column in crm.taken.get(contract.name, ()) else (column,)
    return (*crm.headers.get(contract.name, {}).get(column, ()), *own)


def column_claims(places: HeaderPlaces, contract: sa.Table, crm: Crm) -> dict[str, list[tuple[int, ...]]]:
    """Of every column that the CRM's declaration finds among a file's headers the claims, of which there should be one."""
    found = {c.name: places.claims(spellings_of(contract, c.name, crm)) for c in contract.columns}
    return {name: claims for name, claims in found.items() if claims}


def find_header(headers: Sequence[str], spellings: Sequence[Spelling]) -> int | None:
    """Position of the first header that any of ``spellings`` names, or null."""
    return HeaderPlaces.of(headers).first(spellings)


def _column(headers: Sequence[str], positions: Sequence[int]) -> Column:
    first, *others = positions
    apart = take_apart(headers[first])
    return Column(first, headers[first], apart.scale, apart.is_percent, apart.currency, tuple(others))


def _units_that_differ(headers: Sequence[str], positions: Sequence[int], contract: sa.Table, name: str, file_name: str) -> list[str]:
    """What is wrong where headers that fill one column state different units: a value would be multiplied by the wrong one."""
    units = {(a.scale, a.is_percent, a.currency) for a in (take_apart(headers[i]) for i in positions)}
    if len(units) < 2:
        return []
    return [
        f"{file_name}: the headers {listed(headers[i] for i in positions)} fill {name} together and state different units; "
        f"choose one under exports.tables.{contract.name}.columns.{name} in the configuration"
    ]


def _several(headers: Sequence[str], found: Sequence[int], contract: sa.Table, name: str, file_name: str) -> str:
    if len({headers[i] for i in found}) == 1:
        return f"{file_name}: the header {shown(headers[found[0]])} stands there {len(found)} times; rename or remove all but one"
    return (
        f"{file_name}: the headers {listed(headers[i] for i in found)} all stand for {name}; "
        f"choose one under exports.tables.{contract.name}.columns.{name} in the configuration"
    )


def _missing(headers: Sequence[str], contract: sa.Table, crm: Crm, name: str, file_name: str) -> str:
    looked_for = [*spelled(crm.headers.get(contract.name, {}).get(name, ())), name]
    return (
        f"{file_name}: missing required column {name}: looked for headers {', '.join(dict.fromkeys(looked_for))}; "
        f"the file has {listed(h for h in headers if h.strip())}{nearest(looked_for, (h for h in headers if h.strip()))}; "
        f"map it under exports.tables.{contract.name}.columns in the configuration"
    )
