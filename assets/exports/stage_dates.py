"""Columns that hold the day of entering a stage: which keys they may have, and which header is which stage's.

What belongs here: from a header such as ``hs_v2_date_entered_qualifiedtobuy`` to the configured stage. What does not:
reading their values (reading.py) and what history follows from them (assets/core).
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from assets.exports.crm import crm_named
from assets.exports.crm.declaration import Crm
from assets.exports.errors import HeaderProblems, shown
from assets.exports.headers import fold
from assets.exports.settings import Configuration
from models.settings import Company

StageNames = Mapping[tuple[str, str], tuple[str, ...]]
"""Stage keys by folded pipeline ("" for any) and folded name: a spelling, a key, or an id that a lookup explains."""


def stage_date_keys(configuration: Configuration) -> tuple[str, ...]:
    """Keys of the stages that an opportunity's own columns may date: the configured ones, else every stage that is found."""
    configured = configuration.exports.tables["opportunities"].stage_dates
    if configured or not crm_named(configuration.exports.crm).stage_dates:
        return tuple(configured)
    return tuple(configuration.stage_key(p, key) for p in configuration.pipelines for key in (*(s.key for s in p.stages), "won", "lost"))


def stage_names(company: Company, ids: Iterable[tuple[str, str, str | None]] = ()) -> StageNames:
    """Every name of every stage; ``ids`` are stage ids with their label and the id or label of their pipeline, if any."""
    names: dict[tuple[str, str], list[str]] = {}
    pipelines = {}
    for p in company.pipelines:
        pipelines |= {fold(name): p.key for name in (p.key, *p.spellings)}
        spellings = [(s.key, (s.key, *s.spellings)) for s in p.stages] + [("won", ("won", *p.won.spellings)), ("lost", ("lost", *p.lost.spellings))]
        for key, texts in spellings:
            for text in texts:
                for pipeline in {"", *(fold(name) for name in (p.key, *p.spellings))}:
                    names.setdefault((pipeline, fold(text)), []).append(company.stage_key(p, key))
    for stage, label, pipeline in ids:
        within = fold(pipeline) if pipeline and fold(pipeline) in pipelines else ""
        found = names.get((within, fold(label)), [])
        names.setdefault(("", fold(stage)), []).extend(found)
    return {name: tuple(dict.fromkeys(keys)) for name, keys in names.items()}


def dated_stages(headers: Sequence[str], crm: Crm, names: StageNames, file_name: str) -> dict[str, list[int]]:
    """Stage key: the positions of the headers that date its entry, preferred ones first. Other stages' are nobody's.

    Raises HeaderProblems where a header names a stage of several pipelines and does not say of which.
    """
    found: dict[str, list[int]] = {}
    problems = []
    for pattern in crm.stage_dates:
        for position, header in enumerate(headers):
            match = re.fullmatch(pattern, header.strip("\ufeff "), re.IGNORECASE)
            if match is None:
                continue
            pipeline = fold(match.groupdict().get("pipeline") or "")
            keys = names.get((pipeline, fold(match["stage"])), names.get(("", fold(match["stage"])), ()))
            if len(keys) > 1:
                problems.append(
                    f"{file_name}: the header {shown(header)} may date {' or '.join(keys)}; "
                    "name it under exports.tables.opportunities.stage_dates, or give the file of stages under exports.lookups"
                )
            elif keys:
                found.setdefault(keys[0], []).append(position)
    if problems:
        raise HeaderProblems(problems)
    return found
