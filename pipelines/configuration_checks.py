"""What must agree between the settings of a configuration, and with the contracts.

What belongs here: names that must be known elsewhere, entries that exclude one another. What does not: the form
and bounds of one setting, which its type says (models/settings.py). The checks read the file's plain data, not
the validated settings, so that they report beside the errors of form instead of after them; data of a wrong
form is passed over here, because its type reports it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from assets.exports.crm.declaration import Crm
from assets.exports.pulling import PULLS, file_name, is_pulled
from models.stage_dates import DatedStage, are_related, date_problems
from pipelines.configuration_file import Place, nearest, shown
from quality.expectations import expectations_of
from quality.tables import EXPORTED


@dataclass(frozen=True)
class Disagreement:
    """One setting that does not agree with another or with a contract."""

    place: Place
    found: str
    expected: str
    nearest: str | None = None


def disagreements(data: Mapping[str, Any], crms: Mapping[str, Crm]) -> Iterator[Disagreement]:
    """Everything in ``data``, the plain content of a configuration, that does not agree."""
    yield from _of_pipelines(_entries(data.get("pipelines")))
    yield from _of_required_fields(_entries(data.get("pipelines")))
    yield from _of_exports(_mapping(data.get("exports")), _stage_keys(data), crms)
    yield from _of_pull(_mapping(data.get("pull")), _mapping(_mapping(_mapping(data.get("exports")).get("tables")).get("opportunities")))
    yield from _of_severities(_mapping(data.get("severities")))
    yield from _of_formats(_mapping(data.get("formats")))
    yield from _of_targets(_entries(data.get("targets")), data.get("fiscal_year_start_month", 1))


def severity_codes() -> frozenset[str]:
    """Every name that ``severities`` may have: a code of an expectation, alone or after its table and a point."""
    codes = set()
    for name, contract in EXPORTED.items():
        names = [c.name for c in contract.columns]
        for expectation in expectations_of(contract, {}, required=names, formats=dict.fromkeys(names, ".")):
            codes |= {expectation.code, f"{name}.{expectation.code}"}
    return frozenset(codes)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _entries(value: Any) -> list[tuple[int, Mapping[Any, Any]]]:
    """The mappings of a list with their positions."""
    return [(n, entry) for n, entry in enumerate(value) if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _texts(value: Any) -> list[tuple[int, str]]:
    return [(n, entry) for n, entry in enumerate(value) if isinstance(entry, str)] if isinstance(value, list) else []


def _unknown(place: Place, name: Any, names: Collection[str], what: str) -> Iterator[Disagreement]:
    """The disagreement for a ``name`` that is not among ``names``."""
    if name not in names:
        near = nearest(name, names)
        listed = "" if len(names) > 12 else f": {', '.join(sorted(names))}"
        yield Disagreement(place, shown(name), f"{what}{listed}", near)


def _of_pipelines(pipelines: list[tuple[int, Mapping[Any, Any]]]) -> Iterator[Disagreement]:
    """Stage keys and spellings belong to one stage each; spellings are compared as the reading does: trimmed, in any case."""
    for number, pipeline in pipelines:
        keys: dict[str, Place] = {}
        owners: dict[str, list[str]] = {}
        places, stages = _dated(pipeline)
        for place, key, spelling in _spellings(number, pipeline):
            if place[-1] == "key":
                if key in keys or key in ("won", "lost"):
                    yield Disagreement(place, shown(key), "a key that no other stage has (won and lost are taken)")
                keys[key] = place
            before = owners.setdefault(spelling.strip().lower(), [])
            others = [o for o in before if o != key and not are_related(key, o, stages)]
            if others:
                yield Disagreement(place, shown(spelling), f"a spelling of one stage only, in upper or lower case; it stands for {others[0]} already")
            before.append(key)
        for place, stage in zip(places, stages):
            for n, old in enumerate(stage.replaces):
                yield from _unknown(("pipelines", number, "stages", place, "replaces", n), old, [s.key for s in stages if s.key != stage.key], "another stage")
        for p in date_problems(stages):
            yield Disagreement(("pipelines", number, "stages", places[p.position], p.field), p.found, p.expected)


def _dated(pipeline: Mapping[Any, Any]) -> tuple[list[int], list[DatedStage]]:
    """The stages of a pipeline with their places in its list, as far as their dates go."""
    placed = [(n, s) for n, s in _entries(pipeline.get("stages")) if isinstance(s.get("key"), str)]
    dated = [DatedStage(s["key"], _day(s.get("valid_from")), _day(s.get("valid_to")), tuple(t for _, t in _texts(s.get("replaces")))) for _, s in placed]
    return [n for n, _ in placed], dated


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _of_required_fields(pipelines: list[tuple[int, Mapping[Any, Any]]]) -> Iterator[Disagreement]:
    """The fields that a stage requires are columns of the opportunities."""
    fields = [c.name for c in EXPORTED["opportunities"].columns]
    for number, pipeline in pipelines:
        for n, stage in _entries(pipeline.get("stages")):
            for i, name in _texts(stage.get("required_fields")):
                yield from _unknown(("pipelines", number, "stages", n, "required_fields", i), name, fields, "a column of the opportunities")


def _spellings(number: int, pipeline: Mapping[Any, Any]) -> Iterator[tuple[Place, str, str]]:
    """Every spelling of a pipeline: where it stands, the key it stands for, the spelling."""
    top: Place = ("pipelines", number)
    for position, stage in _entries(pipeline.get("stages")):
        key = stage.get("key")
        if isinstance(key, str):
            yield (*top, "stages", position, "key"), key, key
            for n, spelling in _texts(stage.get("spellings")):
                yield (*top, "stages", position, "spellings", n), key, spelling
    for outcome in ("won", "lost"):
        for n, spelling in _texts(_mapping(pipeline.get(outcome)).get("spellings")):
            yield (*top, outcome, "spellings", n), outcome, spelling
    for n, spelling in _texts(pipeline.get("other_events")):
        yield (*top, "other_events", n), "other_events", spelling


def _stage_keys(data: Mapping[str, Any]) -> set[str]:
    """Every stage key, won and lost included, as `Company.stage_key` writes them."""
    pipelines = _entries(data.get("pipelines"))
    keys = set()
    for _, pipeline in pipelines:
        own = {stage["key"] for _, stage in _entries(pipeline.get("stages")) if isinstance(stage.get("key"), str)} | {"won", "lost"}
        keys |= own if len(pipelines) == 1 else {f"{pipeline.get('key')}:{key}" for key in own}
    return keys


def _of_exports(exports: Mapping[Any, Any], stage_keys: set[str], crms: Mapping[str, Crm]) -> Iterator[Disagreement]:
    if isinstance(exports.get("crm"), str):
        yield from _unknown(("exports", "crm"), exports["crm"], crms, "a CRM that Leadline knows")
        if exports["crm"] in crms:
            for name in _mapping(exports.get("lookups")):
                yield from _unknown(("exports", "lookups", name), name, crms[exports["crm"]].lookups, f"a lookup of {exports['crm']}")
    tables = exports.get("tables")
    misspelt = any(nearest(name, EXPORTED) == "opportunities" for name in _mapping(tables))
    if isinstance(tables, Mapping) and "opportunities" not in tables and not misspelt:
        yield Disagreement(("exports", "tables"), "no table opportunities", "opportunities with its files; it is the one table that is required")
    for name, source in _mapping(tables).items():
        top: Place = ("exports", "tables", name)
        yield from _unknown(top, name, EXPORTED, "a table that can be exported")
        if name in EXPORTED:
            yield from _of_columns(top, _mapping(source), EXPORTED[name].columns.keys(), name)
        dates = _mapping(_mapping(source).get("stage_dates"))
        if dates and name in EXPORTED and name != "opportunities":
            yield Disagreement((*top, "stage_dates"), f"stage_dates of {name}", "stage_dates below opportunities only")
        for key in dates:
            yield from _unknown((*top, "stage_dates", key), key, stage_keys, "a stage key, won or lost")


def _of_columns(top: Place, source: Mapping[Any, Any], columns: Collection[str], table: str) -> Iterator[Disagreement]:
    for setting in ("columns", "constants"):
        for column in _mapping(source.get(setting)):
            yield from _unknown((*top, setting, column), column, columns, f"a column of {table}")
    for n, column in _texts(source.get("required")):
        yield from _unknown((*top, "required", n), column, columns, f"a column of {table}")


def _of_pull(pull: Mapping[Any, Any], opportunities: Mapping[Any, Any]) -> Iterator[Disagreement]:
    if not isinstance(pull.get("crm"), str):
        return
    yield from _unknown(("pull", "crm"), pull["crm"], PULLS, "a CRM that can be pulled")
    if pull["crm"] not in PULLS:
        return
    crm = PULLS[pull["crm"]]
    if crm.instance_url is None and "instance_url" not in pull:
        yield Disagreement(("pull", "instance_url"), f"no address of {crm.name}", "the https:// address at which your company uses the CRM")
    credentials = dict.fromkeys(name for login in crm.logins for name in login.credentials)
    for name in _mapping(_mapping(pull.get("credentials")).get("environment")):
        yield from _unknown(("pull", "credentials", "environment", name), name, credentials, f"a credential of {crm.name}")
    for table in _mapping(pull.get("fields")):
        yield from _unknown(("pull", "fields", table), table, crm.tables, f"a table that is pulled from {crm.name}")
    files = opportunities.get("files")
    patterns = (files,) if isinstance(files, str) else tuple(text for _, text in _texts(files))
    if patterns and not is_pulled("opportunities", patterns):
        found = f"{', '.join(patterns)}, which leaves out what a pull writes"
        yield Disagreement(("exports", "tables", "opportunities", "files"), found, f"a pattern that holds {file_name('opportunities', date(2026, 6, 30))}")


def _of_severities(severities: Mapping[Any, Any]) -> Iterator[Disagreement]:
    codes = severity_codes() if severities else frozenset()
    for code in severities:
        yield from _unknown(("severities", code), code, codes, "the code of an expectation, or table.code (they are listed in data_quality)")


def _of_formats(formats: Mapping[Any, Any]) -> Iterator[Disagreement]:
    columns = {f"{name}.{column.name}" for name, contract in EXPORTED.items() for column in contract.columns}
    for name in formats:
        yield from _unknown(("formats", name), name, columns, "a column that can be exported, as table.column")


def _of_targets(targets: list[tuple[int, Mapping[Any, Any]]], fiscal_year_start_month: Any) -> Iterator[Disagreement]:
    for number, target in targets:
        dimension, member = target.get("dimension", "all"), target.get("member", "all")
        if (dimension == "all") != (member == "all"):
            expected = "member all beside dimension all, and the name of a team or owner beside the others"
            yield Disagreement(
                ("targets", number, "member" if "member" in target else "dimension"),
                f"member {member} beside dimension {dimension}",
                expected,
            )
        yield from _of_period(number, target.get("period_kind", "month"), target.get("period_start"), fiscal_year_start_month)


def _of_period(number: int, kind: Any, start: Any, fiscal_year_start_month: Any) -> Iterator[Disagreement]:
    start = _day(start)
    if start is None:
        return
    first_month = fiscal_year_start_month if isinstance(fiscal_year_start_month, int) else 1
    in_quarter = (start.month - first_month) % 3
    expected = {
        "week": (start.weekday() == 0, "a Monday"),
        "month": (start.day == 1, "the first day of a month"),
        "quarter": (start.day == 1 and in_quarter == 0, "the first day of a fiscal quarter"),
    }
    is_first, words = expected.get(kind, (True, ""))
    if not is_first:
        yield Disagreement(("targets", number, "period_start"), shown(start), f"{words} (period_kind is {kind})")
