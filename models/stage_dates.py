"""Whether the dates of stages, and which of them replace which, agree.

What belongs here: the rules that a list of dated stages must satisfy, over plain values, so that they can be checked
before and after the settings have their types. What does not: what follows from them (models/stage_succession.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class DatedStage:
    """A stage's key, its first and last day (None: always), and the keys of the stages whose place it takes."""

    key: str
    valid_from: date | None
    valid_to: date | None
    replaces: tuple[str, ...]


@dataclass(frozen=True)
class DateProblem:
    """What is wrong with the setting ``field`` of the stage at ``position`` of the list."""

    position: int
    field: str
    found: str
    expected: str


def date_problems(stages: Sequence[DatedStage]) -> Iterator[DateProblem]:
    """Everything that is wrong with the dates of ``stages``; stages that are replaced and not in the list are passed over."""
    by_key = {s.key: s for s in stages}
    parts = {key: [s for s in stages if key in s.replaces] for key in by_key}
    circular = False
    for position, stage in enumerate(stages):
        if stage.valid_from and stage.valid_to and stage.valid_to < stage.valid_from:
            yield DateProblem(position, "valid_to", str(stage.valid_to), f"a day not before valid_from, {stage.valid_from}")
        if stage.key in ancestors(stage.key, by_key):
            circular = True
            yield DateProblem(position, "replaces", f"a circle that leads back to {stage.key}", "stages that are older than the one that replaces them")
    if circular:
        return
    for position, stage in enumerate(stages):
        for old in (by_key[key] for key in stage.replaces if key in by_key):
            yield from _of_replacement(position, stage, old, parts[old.key], {key for key, found in parts.items() if len(found) > 1}, by_key)


def _of_replacement(position: int, stage: DatedStage, old: DatedStage, parts: list[DatedStage], split: set[str], by_key) -> Iterator[DateProblem]:
    names = ", ".join(part.key for part in parts)
    if stage.valid_from is None and (old.valid_to is None or len(parts) > 1):
        words = "the first day of the stage" if len(parts) > 1 else f"the first day of the stage, or valid_to on {old.key}: the day of the change must be known"
        yield DateProblem(position, "replaces", f"no valid_from beside replaces: {old.key}", f"valid_from, {words}")
    elif stage.valid_from and old.valid_to and stage.valid_from != old.valid_to + timedelta(days=1):
        after = old.valid_to + timedelta(days=1)
        yield DateProblem(position, "valid_from", str(stage.valid_from), f"{after}, the day after the last day of {old.key}, which it replaces")
    elif len(parts) > 1 and stage.valid_from and parts[0].valid_from and stage.valid_from != parts[0].valid_from:
        yield DateProblem(position, "valid_from", str(stage.valid_from), f"{parts[0].valid_from}: the parts of {old.key} ({names}) begin on one day")
    if len(parts) > 1 and len(stage.replaces) > 1:
        found = ", ".join(stage.replaces)
        yield DateProblem(position, "replaces", found, f"{old.key} alone, because that is split between {names}; merge in a later change")
    if len(parts) > 1 and ancestors(old.key, by_key) & split:
        yield DateProblem(position, "replaces", old.key, f"a stage that is no part of a split one: {old.key} came out of a split itself")


def ancestors(key: str, by_key: dict[str, DatedStage]) -> set[str]:
    """The stages that ``key`` replaces, at once or through others; with itself where they lead in a circle."""
    found: set[str] = set()
    ahead = [key]
    while ahead:
        older = [k for k in by_key[ahead.pop()].replaces if k in by_key and k not in found]
        found.update(older)
        ahead += older
    return found


def are_related(key: str, other: str, stages: Sequence[DatedStage]) -> bool:
    """Whether one of the two stages replaces the other, at once or through others."""
    by_key = {s.key: s for s in stages}
    return key in by_key and other in by_key and (key in ancestors(other, by_key) or other in ancestors(key, by_key))
