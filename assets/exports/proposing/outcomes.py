"""Tells won, lost and open stages apart, and says where the exports' own flags disagree with the names.

What belongs here: the evidence of names, flags and histories for an outcome. What does not: the order of the open stages
(stage_order.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.proposing.stage_order import History, follows, side_tracks
from assets.exports.proposing.vocabulary import LOST, LOST_OR_STEP, OPEN, WON, WON_OR_STEP, plain

_CERTAIN = 0.9
_FOLLOWED = 0.2


@dataclass(frozen=True)
class StageCount:
    """One spelling of a stage: deals that are in it, and the shares of these whose flags say won or closed; null without flags."""

    deals: int
    won_share: float | None = None
    closed_share: float | None = None


@dataclass(frozen=True)
class Outcomes:
    """The spellings that are won, lost, open stages, or events beside the funnel; ``evidence`` says why a group is what it is."""

    won: tuple[str, ...]
    lost: tuple[str, ...]
    open: tuple[str, ...]
    beside: tuple[str, ...]
    evidence: Mapping[str, str]


def stage_counts(opportunities: pa.Table) -> dict[str, StageCount]:
    """Per spelling of ``stage`` (trimmed) what the typed opportunities say of it."""
    stages = pc.utf8_trim_whitespace(opportunities["stage"])
    flags = [opportunities["is_closed"], opportunities["is_won"]]
    closed = pc.coalesce(pc.or_kleene(*flags), *flags)
    table = pa.table({"stage": stages, "won": opportunities["is_won"], "closed": closed})
    counts: dict[str, StageCount] = {}
    for row in table.filter(stages.is_valid()).group_by("stage").aggregate([([], "count_all"), *_known("won"), *_known("closed")]).sort_by("stage").to_pylist():
        shares = (row[f"{name}_sum"] / row[f"{name}_count"] if row[f"{name}_count"] else None for name in ("won", "closed"))
        counts[row["stage"]] = StageCount(row["count_all"], *shares)
    return counts


def _known(name: str) -> list[tuple[str, str]]:
    return [(name, "sum"), (name, "count")]


def outcomes_of(counts: Mapping[str, StageCount], history: History | None, told: Iterable[str] = ()) -> Outcomes:
    """Every spelling's kind. ``told`` are values of an outcome column, which are won or lost by their names alone."""
    beside = side_tracks(history) if history else ()
    spellings = sorted({*counts, *(history.deals if history else ())} - {*beside})
    won, lost, why = _by_name(spellings, history)
    for spelling in spellings:
        count = counts.get(spelling)
        if spelling in won or spelling in lost or count is None:
            continue
        if (count.won_share or 0) >= _CERTAIN:
            won.add(spelling)
            why["won"] = "by the flags of the deals in it"
        elif (count.closed_share or 0) >= _CERTAIN and (count.won_share or 0) <= 1 - _CERTAIN:
            lost.add(spelling)
            why["lost"] = "by the flags of the deals in it"
    leads = follows(history, spellings) if history else {}
    sure = {s for s in spellings if s not in won and s not in lost and WON_OR_STEP.search(plain(s) or s) and _only_to_won(s, won, leads)}
    if sure:
        won |= sure
        why["won"] = "by name"
    if won and (joined := _only_after(won, leads)):
        why["won"] = f"{why.get('won', 'by name')}; {', '.join(sorted(joined))} because only won deals come to it and nothing else follows"
        won |= joined
    values = sorted({value for value in told if value and not OPEN.match(value)})
    told_lost = {v for v in values if LOST.search(plain(v) or v) or LOST_OR_STEP.search(plain(v) or v)}
    told_won = {v for v in values if v not in told_lost and (WON.search(plain(v) or v) or WON_OR_STEP.search(plain(v) or v))}
    open_stages = tuple(s for s in spellings if s not in won and s not in lost)
    if beside:
        why["beside"] = "their names begin otherwise, and many deals never have one"
    return Outcomes(tuple(sorted(won | told_won)), tuple(sorted(lost | told_lost)), open_stages, beside, why)


def contradictions(counts: Mapping[str, StageCount], outcomes: Outcomes) -> int:
    """Deals in a won or lost stage whose flags say that they are open."""
    closed = [counts[s] for s in (*outcomes.won, *outcomes.lost) if s in counts]
    return sum(round(count.deals * (1 - count.closed_share)) for count in closed if count.closed_share is not None)


def _by_name(spellings: Iterable[str], history: History | None) -> tuple[set[str], set[str], dict[str, str]]:
    """Outcomes by their names; a name that could also be that of a step, unless much follows it in the history."""
    won, lost = set(), set()
    for spelling in spellings:
        words = plain(spelling) or spelling
        for pattern, steps, found in ((LOST, LOST_OR_STEP, lost), (WON, WON_OR_STEP, won)):
            if spelling not in lost and (pattern.search(words) or (steps.search(words) and not _is_followed(spelling, history))):
                found.add(spelling)
    return won, lost, {kind: "by name" for kind, found in (("won", won), ("lost", lost)) if found}


def _is_followed(spelling: str, history: History | None) -> bool:
    """True where many deals go on to something that could be no outcome by its name."""
    if history is None or not history.deals.get(spelling):
        return False
    onward = sum(n for (a, b), n in history.moves.items() if a == spelling and not any(p.search(plain(b) or b) for p in (WON_OR_STEP, LOST_OR_STEP, WON, LOST)))
    return onward > _FOLLOWED * history.deals[spelling]


def _only_to_won(spelling: str, won: Iterable[str], leads: Mapping[str, set[str]]) -> bool:
    """True where deals that came so far all end won: however they go on, nothing else is at the end."""
    won, reached, waiting = {*won}, set(), [spelling]
    while waiting:
        for following in leads.get(waiting.pop(), set()) - reached:
            reached.add(following)
            waiting.append(following)
    return bool(reached & won) and all(b in won or leads[b] for b in reached)


def _only_after(won: Iterable[str], leads: Mapping[str, set[str]]) -> set[str]:
    """Stages that come after a won one and lead to nothing but won ones: the same closing written in several steps."""
    won = {*won}
    return {b for a in won for b in leads.get(a, ()) if b not in won and leads[b] <= won | {b}}
