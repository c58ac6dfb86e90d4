"""Says of every given file which table or lookup it is, and which headers have to be mapped for it.

What belongs here: the order in which files find their tables: opportunities first, then what headers and names tell, then
files that explain ids, then what joins by its values. What does not: single scores (recognise.py) and columns (mapping.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm
from assets.exports.headers import HeaderPlaces, column_claims, find_header, fold
from assets.exports.proposing.mapping import Found, by_join, by_uniqueness, by_words, chosen, is_unique, looks_like
from assets.exports.proposing.recognise import GENERIC, Fit, as_table, claimed, fits, given_columns, named_table
from assets.exports.proposing.sheets import Sheet
from assets.exports.shaping import part_of
from quality.tables import EXPORTED
from quality.tables.columns import key_columns

DEALS = "opportunities"

_FACTS = (("stage", "outcome", "is_won", "is_closed"), ("amount",), ("created_at",), ("closed_at", "expected_close_date"), ("owner_id",), ("account_id",))
_LEAST_FACTS = 2
_SAME_HEADERS = 0.8
_IN_SEVERAL_FILES = ("activities",)
_GENERIC_KEYS = ("id", "name")
_UNREPEATED = 3.0


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, and the headers that must be mapped because the declaration does not know them.

    ``columns`` gives canonical column: header; ``evidence`` why; ``positions`` where every known column stands in the first
    file. ``is_named_id`` is true where a name stands for the id that the export lacks.
    """

    table: str
    sheets: tuple[Sheet, ...]
    columns: Mapping[str, str]
    evidence: Mapping[str, str]
    positions: Mapping[str, int]
    is_named_id: bool = False

    def distinct(self, column: str) -> pa.Array:
        """Distinct sampled values of a column; none where no header is known for it."""
        if column not in self.positions:
            return pa.array([], pa.string())
        header = self.sheets[0].header[self.positions[column]]
        return pa.chunked_array([s.distinct(s.header.index(header)) for s in self.sheets if header in s.header], pa.string()).combine_chunks().unique()


@dataclass(frozen=True)
class Assignment:
    """What every file is. ``lookups`` gives the files of ids by the lookup's name, ``unknown`` why a file is nothing that is read."""

    tables: Mapping[str, TableFiles]
    lookups: Mapping[str, tuple[Sheet, ...]] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def assign(sheets: Sequence[Sheet], crm: Crm, crms: Mapping[str, Crm]) -> Assignment:
    """Every file's table. Without opportunities among them the assignment has no tables."""
    lent = [other for name, other in crms.items() if name != GENERIC] if crm.name == GENERIC else []
    found = {sheet.name: fits(sheet, crm) for sheet in sheets}
    deals = _deals(sheets, crm, lent, found)
    if deals is None:
        return Assignment({}, unknown={sheet.name: _why_unknown(sheet) for sheet in sheets})
    tables = {DEALS: deals}
    rest = [sheet for sheet in sheets if sheet not in deals.sheets]
    claims: dict[str, list[tuple[float, Sheet, TableFiles]]] = {}
    for sheet in rest:
        others = [table for table in EXPORTED if table != DEALS]
        fit = as_table([f for f in found[sheet.name] if f.table != DEALS], named_table(sheet), others)
        made = _table(sheet, fit.table, crm, lent, tables) if fit is not None else None
        if fit is not None and made is not None:
            claims.setdefault(fit.table, []).append((fit.score, sheet, made))
    for table, candidates in claims.items():
        tables[table] = _merged(sorted(candidates, key=lambda c: (-c[0], c[1].name)))
    rest = [sheet for sheet in rest if not any(sheet in files.sheets for files in tables.values())]
    lookups = _lookups(rest, crm)
    rest = [sheet for sheet in rest if not any(sheet in files for files in lookups.values())]
    for sheet in list(rest):
        joined = _by_values(sheet, crm, lent, tables)
        if joined is not None and joined.table not in tables:
            tables[joined.table] = joined
            rest.remove(sheet)
    _add_stage_rows(tables, crm)
    return Assignment({t: tables[t] for t in EXPORTED if t in tables}, lookups, {sheet.name: _why_unknown(sheet) for sheet in rest})


def _deals(sheets: Sequence[Sheet], crm: Crm, lent: Sequence[Crm], found: Mapping[str, list[Fit]]) -> TableFiles | None:
    """The files of opportunities: the one that fits best, and others with the same headers."""
    candidates = []
    for sheet in sheets:
        other = as_table(found[sheet.name], named_table(sheet))
        own = next((fit for fit in found[sheet.name] if fit.table == DEALS), None)
        made = _table(sheet, DEALS, crm, lent, {})
        if made is None or sum(any(c in made.positions for c in fact) for fact in _FACTS) < _LEAST_FACTS:
            continue
        score = (own.score if own else 0.0) + len(made.columns)
        score -= 0.0 if is_unique(sheet, made.positions["opportunity_id"]) or "updated_at" in made.positions else _UNREPEATED
        if other is None or other.table == DEALS or (score > other.score and named_table(sheet) != other.table):
            candidates.append((score, sheet, made))
    if not candidates:
        return None
    return _merged(sorted(candidates, key=lambda c: (-c[0], c[1].name)))


def _table(sheet: Sheet, table: str, crm: Crm, lent: Sequence[Crm], tables: Mapping[str, TableFiles]) -> TableFiles | None:
    """The file as a table, with the columns that have to be mapped; null where a required column is nowhere."""
    contract = EXPORTED[table]
    places = HeaderPlaces.of(sheet.header)
    part = part_of(places, table, crm)
    known = claimed(places, crm, table)
    found = _clarified(sheet, places, table, crm.of_part(table, part))
    given = given_columns(places, crm, table, part)
    known |= {f.column: (f.position,) for f in found}
    words = by_words(sheet, table, crm, known, lent)
    is_named_id = False
    for name in (c.name for c in contract.columns if not c.nullable and c.name not in known and c.name not in given):
        repaired = _repaired(sheet, table, name, {**known, **{f.column: (f.position,) for f in words}}, tables)
        if repaired is not None:
            words = [f for f in words if f.column != name and f.position != repaired.position]
            found.append(repaired)
        elif not any(f.column == name for f in words):
            return None
    found += words
    columns = known | {f.column: (f.position,) for f in found}
    positions = {column: places[0] for column, places in columns.items()}
    if table == DEALS:
        is_named_id = positions.get("name") == positions["opportunity_id"] or fold(sheet.header[positions["opportunity_id"]]) in (
            "name",
            "商机名称",
            "客户名称",
        )
    return TableFiles(table, (sheet,), {f.column: sheet.header[f.position] for f in found}, {f.column: f.evidence for f in found}, positions, is_named_id)


def _clarified(sheet: Sheet, places: HeaderPlaces, table: str, crm: Crm) -> list[Found]:
    """Of columns that several headers claim without an order of preference, the header that is filled most."""
    unclear = {column: [p for claim in claims for p in claim] for column, claims in column_claims(places, EXPORTED[table], crm).items() if len(claims) > 1}
    return [Found(column, chosen(sheet, positions), "filled more than the other header of that name") for column, positions in unclear.items()]


def _repaired(sheet: Sheet, table: str, column: str, known: Mapping[str, Sequence[int]], tables: Mapping[str, TableFiles]) -> Found | None:
    """A required column found by its values: ids that another file has, or values that are all different."""
    joins = {"opportunity_id": (DEALS, "opportunity_id"), "owner_id": (DEALS, "owner_id"), "account_id": (DEALS, "account_id")}
    everywhere = [p for p, name in enumerate(sheet.header) if name.strip()]
    if column in joins and joins[column][0] in tables:
        place = by_join(sheet, tables[joins[column][0]].distinct(joins[column][1]), everywhere)
        if place is not None:
            return Found(column, place, f"its values are those of {joins[column][1]} in the opportunities")
    if [column] != key_columns(EXPORTED[table]):
        return None
    if table == DEALS and (word := next((p for p in known.get("opportunity_id", ())), None)) is not None and is_unique(sheet, word):
        return Found(column, word, "by its name, and different in every row")
    taken = {p for c in EXPORTED[table].columns if c.info["unit"] == "id" and c.name != column for p in known.get(c.name, ())}
    place = by_uniqueness(sheet, known.get("name", ())[:1], taken)
    return None if place is None else Found(column, place, f"filled in all {sheet.sample.num_rows:,} rows and different in each")


def _merged(candidates: Sequence[tuple[float, Sheet, TableFiles]]) -> TableFiles:
    """The best file, and the others that are more of the same: with the same headers, or of a kind that comes in several files."""
    best = candidates[0][2]
    for _, sheet, other in candidates[1:]:
        columns = {c: h for c, h in best.columns.items() if h in sheet.header}
        required = {c.name for c in EXPORTED[best.table].columns if not c.nullable}
        is_same = _overlap(best.sheets[0].header, sheet.header) >= _SAME_HEADERS
        if is_same and len(columns) == len(best.columns):
            best = replace(best, sheets=(*best.sheets, sheet))
        elif best.table in _IN_SEVERAL_FILES and not {*best.columns, *other.columns} & required - {*columns}:
            best = replace(best, sheets=(*best.sheets, sheet), columns=columns)
    return best


def _overlap(one: Iterable[str], other: Iterable[str]) -> float:
    one, other = {fold(h) for h in one if h}, {fold(h) for h in other if h}
    return len(one & other) / max(len(one | other), 1)


def _lookups(sheets: Sequence[Sheet], crm: Crm) -> dict[str, tuple[Sheet, ...]]:
    """Files that say what ids stand for: by their headers, and by name where these are as plain as Id and Name."""
    found: dict[str, tuple[Sheet, ...]] = {}
    for sheet in sheets:
        for name, lookup in crm.lookups.items():
            key = find_header(sheet.header, lookup.key)
            value = find_header(sheet.header, lookup.value) if lookup.value else key
            if key is None or value is None or (key == value and lookup.value):
                continue
            is_plain = fold(sheet.header[key]) in _GENERIC_KEYS
            if not is_plain or fold(name).rstrip("s") in fold(sheet.name):
                found[name] = (*found.get(name, ()), sheet)
                break
    return found


def _by_values(sheet: Sheet, crm: Crm, lent: Sequence[Crm], tables: Mapping[str, TableFiles]) -> TableFiles | None:
    """A file that no header tells of: a list of the owners or accounts of the opportunities, or their history."""
    everywhere = [p for p, name in enumerate(sheet.header) if name.strip()]
    for table, column in (("owners", "owner_id"), ("accounts", "account_id")):
        place = by_join(sheet, tables[DEALS].distinct(column), everywhere)
        if place is not None and is_unique(sheet, place):
            return _table(sheet, table, crm, lent, tables)
    place = by_join(sheet, tables[DEALS].distinct("opportunity_id"), everywhere)
    if place is None or is_unique(sheet, place):
        return None
    history = _table(sheet, "stage_history", crm, lent, tables)
    is_history = history is not None and looks_like(sheet, history.positions["stage"], "label")
    return history if is_history else _table(sheet, "activities", crm, lent, tables)


def _add_stage_rows(tables: dict[str, TableFiles], crm: Crm) -> None:
    """A log of all fields tells of stages, too: its rows are the stage history where no other file is."""
    fields = tables.get("field_history")
    if fields is None or "stage_history" in tables:
        return
    sheet = fields.sheets[0]
    part = part_of(HeaderPlaces.of(sheet.header), "stage_history", crm)
    for spellings, values in part.only.items():
        place = find_header(sheet.header, (spellings,))
        told = pa.array([v.lower() for v in values])
        if place is not None and pc.any(pc.is_in(pc.utf8_lower(sheet.filled(place)), value_set=told)).as_py():
            made = _table(sheet, "stage_history", crm, (), tables)
            if made is not None:
                tables["stage_history"] = replace(made, sheets=fields.sheets)


def _why_unknown(sheet: Sheet) -> str:
    return "no table of Leadline's has these headers" if sheet.sample.num_rows else "it has a header and no rows"
