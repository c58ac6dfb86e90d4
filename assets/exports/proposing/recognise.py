"""Recognises of every file which CRM it comes from and which table it is, by headers, values and its name.

What belongs here: the score of a file as a table of a CRM, and the choice of one CRM for all files. What does not: columns
that no declaration knows (mapping.py).

A header counts for more the fewer tables of the CRM have it: everything has a creation date, few things a stage. A CRM is
known by headers that few others have.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm, Part, spelled
from assets.exports.headers import HeaderPlaces, column_claims, fold, spellings_of
from assets.exports.proposing.sheets import Sheet
from assets.exports.proposing.vocabulary import COLUMN_WORDS, TABLE_WORDS, plain
from assets.exports.shaping import part_of
from quality.tables import EXPORTED
from quality.tables.columns import key_columns

GENERIC = "plain"
"""The CRM of files that are no known CRM's."""

_NAMED = 2.0
_REPEATED = 1.0
_MISSING = 1.5
_LEAST_EVIDENCE = 2.0
_LEAST_SCORE = 1.5
_OF_ITS_OWN = 1.0
_LEAST_TO_MIX = 3
_PLAIN = frozenset(word for words in COLUMN_WORDS.values() for word in words)


@dataclass(frozen=True)
class Fit:
    """How well a file is one table of one CRM.

    ``columns`` gives per canonical column the positions of the headers that claim it, preferred ones first; ``missing`` are
    required columns that nothing gives.
    """

    table: str
    columns: Mapping[str, tuple[int, ...]]
    missing: tuple[str, ...]
    score: float


def claimed(places: HeaderPlaces, crm: Crm, table: str) -> dict[str, tuple[int, ...]]:
    """Canonical column: the positions of its headers by the declaration, those that it is read from first, then others that would do."""
    contract, own = EXPORTED[table], crm.of_part(table, part_of(places, table, crm))
    found = {}
    for column, claims in column_claims(places, contract, own).items():
        others = (claim for header in spelled(spellings_of(contract, column, own)) for claim in places.claims((header,)))
        found[column] = tuple(dict.fromkeys(position for claim in (*claims, *others) for position in claim))
    return found


def given_columns(places: HeaderPlaces, crm: Crm, table: str, part: Part) -> set[str]:
    """The columns that the declaration fills without a header of their own."""
    has_wide = part.wide is not None and any(places.first((spellings,)) is not None for spellings in part.wide.headers)
    wide = {part.wide.label, part.wide.value} if has_wide else set()
    return {*crm.constants.get(table, {}), *part.constants, *part.links, *([part.dated_by_file] if part.dated_by_file else []), *wide}


def fits(sheet: Sheet, crm: Crm) -> list[Fit]:
    """The file as every table of the CRM that claims any of its headers, the best first."""
    places = HeaderPlaces.of(sheet.header)
    by_table = {table: claimed(places, crm, table) for table in EXPORTED}
    tables_of = Counter(position for columns in by_table.values() for position in {p for positions in columns.values() for p in positions[:1]})
    named = named_table(sheet)
    found = []
    for table, columns in by_table.items():
        if not columns:
            continue
        part = part_of(places, table, crm)
        given = {*columns, *given_columns(places, crm, table, part)}
        missing = tuple(c.name for c in EXPORTED[table].columns if not c.nullable and c.name not in given)
        headers = {positions[0] for positions in columns.values()}
        score = sum(1 / tables_of[p] for p in headers) + (_NAMED if table == named else 0.0) - _MISSING * len(missing)
        score += (_OF_ITS_OWN if part.when else 0.0) + _repetition(sheet, table, columns)
        found.append(Fit(table, columns, missing, round(score, 6)))
    return sorted(found, key=lambda fit: (-fit.score, fit.table))


@dataclass(frozen=True)
class CrmEvidence:
    """What the files' headers say for one CRM: their weight, those that only its family has, and how many columns it knows.

    ``deals`` are the files of opportunities that have several headers of this family alone.
    """

    weight: float
    telling: tuple[str, ...]
    known_columns: int
    deals: tuple[str, ...]


def crm_evidence(sheets: Sequence[Sheet], crms: Mapping[str, Crm]) -> dict[str, CrmEvidence]:
    """The evidence for every CRM but `GENERIC`. A header weighs less the more families of CRMs have it; plain words weigh nothing."""
    families = {name: _family(crm) for name, crm in crms.items()}
    weight, known, telling, deals = Counter(), Counter(), {name: [] for name in crms}, {name: [] for name in crms}
    for sheet in sheets:
        best = {name: found[0] for name, crm in crms.items() if name != GENERIC and (found := fits(sheet, crm))}
        claims = {name: {p[0] for column, p in fit.columns.items() if _tells(sheet.header[p[0]], column)} for name, fit in best.items()}
        owners: dict[int, set[str]] = {}
        for name, positions in claims.items():
            for position in positions:
                owners.setdefault(position, set()).add(families[name])
        for name, positions in claims.items():
            alone = [sheet.header[position] for position in sorted(positions) if len(owners[position]) == 1]
            weight[name] += sum(1 / len(owners[position]) for position in positions)
            known[name] += len(best[name].columns)
            telling[name] += alone
            if best[name].table == "opportunities" and len(alone) >= _LEAST_TO_MIX:
                deals[name].append(sheet.name)
    return {name: CrmEvidence(round(weight[name], 6), tuple(dict.fromkeys(telling[name])), known[name], tuple(deals[name])) for name in crms if name != GENERIC}


def choose_crm(evidence: Mapping[str, CrmEvidence], crms: Mapping[str, Crm]) -> str:
    """The CRM that the files come from; `GENERIC` where headers of any CRM's own are too few."""
    known = [name for name in evidence if evidence[name].weight >= _LEAST_EVIDENCE and evidence[name].telling]
    if not known:
        return GENERIC
    return min(known, key=lambda name: (-evidence[name].weight, -evidence[name].known_columns, _size(crms[name]), name))


def mixed_crms(evidence: Mapping[str, CrmEvidence], crms: Mapping[str, Crm]) -> dict[str, tuple[str, ...]]:
    """Files of opportunities by the CRM that they can only come from: one CRM for each family that has any."""
    found: dict[str, str] = {}
    files: set[str] = set()
    for name in sorted(evidence, key=lambda name: (-evidence[name].weight, _size(crms[name]), name)):
        if not files >= {*evidence[name].deals} and _family(crms[name]) not in found:
            found[_family(crms[name])] = name
            files |= {*evidence[name].deals}
    return {name: evidence[name].deals for name in sorted(found.values())}


def as_table(found: Sequence[Fit], named: str | None, tables: Iterable[str] = EXPORTED) -> Fit | None:
    """The fit that says which of ``tables`` a file is: the best, unless the file's name tells of one that fits half as well."""
    among = [fit for fit in found if fit.table in {*tables}]
    by_name = next((fit for fit in among if fit.table == named), None)
    if by_name is not None and by_name.score > 0 and 2 * by_name.score >= among[0].score:
        return by_name
    return among[0] if among and among[0].score >= _LEAST_SCORE else None


def _family(crm: Crm) -> str:
    """CRMs that share most headers are one family: their Chinese headers are each other's."""
    names = [name for columns in crm.headers.values() for spellings in columns.values() for name in spelled(spellings)]
    return "chinese" if sum(not name.isascii() for name in names) * 2 > len(names) else crm.name


def _size(crm: Crm) -> int:
    return sum(len(spelled(spellings)) for columns in crm.headers.values() for spellings in columns.values())


def named_table(sheet: Sheet) -> str | None:
    """The table whose word stands in the file's name: the longest of them."""
    name = fold(f"{sheet.file.name.rsplit('/', 1)[-1].partition('.')[0]}{sheet.form.sheet or ''}")
    words = [(len(word), table) for table, words in TABLE_WORDS.items() for word in words if word in name]
    return max(words)[1] if words else None


def _tells(header: str, column: str) -> bool:
    """True where a header is more than a plain word or Leadline's own name."""
    return fold(header) != fold(column) and plain(header) not in _PLAIN


def _repetition(sheet: Sheet, table: str, columns: Mapping[str, tuple[int, ...]]) -> float:
    """What the values say: ids that repeat make a history, ids that do not make a list of things."""
    key = key_columns(EXPORTED[table])
    if key[0] not in columns or sheet.sample.num_rows < 2:
        return 0.0
    ids = sheet.filled(columns[key[0]][0])
    repeats = len(ids) - _distinct(ids) > 0.02 * len(ids)
    if len(key) == 1:
        return -_REPEATED if repeats else _REPEATED / 2
    return _REPEATED / 2 if repeats else 0.0


def _distinct(values: pa.ChunkedArray) -> int:
    return pc.count_distinct(values).as_py()
