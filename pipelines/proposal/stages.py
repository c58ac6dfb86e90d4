"""The part of a configuration that says what the stages are: pipelines, their stages in order, won, lost, events beside.

What belongs here: from typed opportunities and histories to ``pipelines`` with notes and questions. What does not: how the
order is found (assets/exports/proposing/stage_order.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.proposing.outcomes import Outcomes, StageCount, contradictions, outcomes_of, stage_counts
from assets.exports.proposing.stage_order import History, history_of, order_stages
from assets.exports.proposing.stage_templates import StageTemplate, matching_template, stage_templates
from assets.exports.proposing.stage_words import keys_and_labels, ranked
from models.settings import LOST, WON
from pipelines.configuration_file import Place
from pipelines.proposal.drafting import Draft
from pipelines.proposal.questions import Question, Weight
from quality.masking import may_name_a_person

_PIPELINES = range(2, 9)
_MOST_STAGES = 40
_FORWARD = 2 / 3
_PROVEN = 0.9
_LEAST_MOVES = 20
_WITHIN = 0.5
_STRAY = 0.005
_LEAST_STAGES = 3
_ONLY_STAGE = "open"
_TEXTS = ("entry", "actions", "output", "exit")


@dataclass(frozen=True)
class Ordered:
    """Open stages in order, the sentence that says why, and whether the exports prove it."""

    stages: tuple[str, ...]
    evidence: str
    is_proven: bool


@dataclass(frozen=True)
class Found:
    """What was found of one pipeline: its spellings, outcomes and order, and the deals per stage.

    ``strays`` are spellings that hardly any deal ever had: they are taken for mistakes, and are no stages.
    ``probabilities`` are the CRM's by stage, where they tell stages apart.
    """

    spelling: str | None
    outcomes: Outcomes
    order: Ordered
    counts: Mapping[str, StageCount]
    strays: tuple[str, ...]
    probabilities: Mapping[str, float]


def draft_stages(draft: Draft, deals: pa.Table, history: pa.Table | None, template: str | None) -> list[Found]:
    """Add ``pipelines`` (or the stages of the one) to ``draft``; what was found of each is returned.

    ``deals`` are the typed opportunities, ``history`` the typed stage history.
    """
    names = pc.utf8_trim_whitespace(deals["pipeline"])
    members = sorted(name for name in names.drop_null().unique().to_pylist() if is_quotable(name))
    if len(members) not in _PIPELINES:
        found = [_found(members[0] if len(members) == 1 else None, deals, history, template)]
    else:
        found = []
        for member in members:
            own = deals.filter(pc.equal(names, member))
            entries = None if history is None else history.filter(pc.is_in(history["opportunity_id"], value_set=own["opportunity_id"].combine_chunks()))
            found.append(_found(member, own, entries, template))
    data = [_pipeline(f, n, len(found), template) for n, f in enumerate(found, start=1)]
    if len(data) == 1 and "key" not in data[0]:
        draft.data |= data[0]
    else:
        draft.data["pipelines"] = data
    for n, f in enumerate(found):
        _explain(draft, f, () if len(data) == 1 and "key" not in data[0] else ("pipelines", n), template)
    if not pc.any(deals["stage"].is_valid()).as_py() and history is None:
        source = draft.data["exports"]["tables"]["opportunities"]
        source["constants"] = {**source.get("constants", {}), "stage": _ONLY_STAGE}
        draft.notes["exports", "tables", "opportunities", "constants"] = ["No header is a stage: every deal is in one."]
    return found


def is_quotable(spelling: str) -> bool:
    """True for a stage's spelling that is no address or number of a person."""
    return len(spelling) <= 60 and not may_name_a_person(spelling)


def _found(spelling: str | None, deals: pa.Table, history: pa.Table | None, template: str | None) -> Found:
    counts = {stage: count for stage, count in stage_counts(deals).items() if is_quotable(stage)}
    entries = history if history is not None and history.num_rows else _snapshots(deals)
    shown = None if entries is None else history_of(_quotable(entries))
    told = [] if deals["outcome"].null_count == len(deals) else pc.utf8_trim_whitespace(deals["outcome"]).drop_null().unique().to_pylist()
    outcomes = outcomes_of(counts, shown, [t for t in told if is_quotable(t)])
    strays = _strays(outcomes.open, shown, counts) if entries is history else ()
    open_stages = [stage for stage in outcomes.open if stage not in strays][:_MOST_STAGES]
    probabilities = _probabilities(open_stages, deals)
    order = _ordered(open_stages, shown, probabilities, counts, is_snapshot=entries is not history)
    return Found(spelling, outcomes, _templated(order, template) if template else order, counts, strays, probabilities)


def _strays(stages: Sequence[str], history: History | None, counts: Mapping[str, StageCount]) -> tuple[str, ...]:
    """Spellings that hardly any deal stands in now or ever stood in, where a history shows what the stages are."""
    if history is None or len(stages) < _LEAST_STAGES:
        return ()
    now, ever = _STRAY * sum(count.deals for count in counts.values()), _STRAY * max(history.deals.values(), default=0)
    return tuple(s for s in stages if history.deals.get(s, 0) <= ever and counts.get(s, StageCount(0)).deals <= now)


def _quotable(entries: pa.Table) -> pa.Table:
    entries = entries.set_column(entries.column_names.index("stage"), "stage", pc.utf8_trim_whitespace(entries["stage"]))
    hidden = [stage for stage in entries["stage"].drop_null().unique().to_pylist() if not is_quotable(stage)]
    return entries.filter(pc.invert(pc.is_in(entries["stage"], value_set=pa.array(hidden, pa.string())))) if hidden else entries


def _snapshots(deals: pa.Table) -> pa.Table | None:
    """The stages that successive snapshots show, as a history; null where there is one snapshot only."""
    days = deals["_snapshot"]
    if pc.count_distinct(days).as_py() < 2:
        return None
    return pa.table({"opportunity_id": deals["opportunity_id"], "stage": deals["stage"], "entered_at": days.cast(pa.timestamp("us"))})


def _ordered(
    stages: Sequence[str], history: History | None, probabilities: Mapping[str, float], counts: Mapping[str, StageCount], is_snapshot: bool
) -> Ordered:
    """The order by the best evidence there is: the history, probabilities, names, or none."""
    weak = ""
    if history is not None:
        found = order_stages(stages, history)
        source = "successive snapshots" if is_snapshot else f"{history.entries:,} rows of the stage history"
        share = found.forward / max(found.total, 1)
        if found.total >= _LEAST_MOVES and share >= _FORWARD:
            evidence = f"from {source}: {share:.0%} of {found.total:,} moves between these stages go forward"
            unseen = [s for s in stages if s not in history.deals]
            return Ordered(found.stages, evidence + (f"; {', '.join(unseen)} never stand there" if unseen else ""), share >= _PROVEN and not unseen)
        weak = f"; {source} show no order ({found.forward:,} of {found.total:,} moves between stages go forward in the best one)"
    if len({round(p, 4) for p in probabilities.values()}) == len(stages) > 1:
        return Ordered(tuple(sorted(stages, key=lambda s: probabilities[s])), f"by the CRM's mean probability in each stage{weak}", False)
    by_name, known = ranked(stages)
    if known == len(stages):
        return Ordered(by_name, f"by what stages of these names usually are{weak}", False)
    seen = tuple(sorted(by_name, key=lambda s: (by_name.index(s) if known else -counts.get(s, StageCount(0)).deals, s)))
    return Ordered(seen, f"nothing shows the order{weak}", False)


def _probabilities(stages: Sequence[str], deals: pa.Table) -> dict[str, float]:
    """The mean CRM probability of each stage; none unless every stage has one and most of their variety lies between stages."""
    table = pa.table({"stage": pc.utf8_trim_whitespace(deals["stage"]), "p": deals["crm_probability"]})
    known = table.filter(pc.and_(pc.is_in(table["stage"], value_set=pa.array(stages, pa.string())), table["p"].is_valid()))
    rows = known.group_by("stage").aggregate([("p", "mean"), ("p", "variance"), ("p", "count")]).sort_by("stage").to_pylist()
    if not rows or len(rows) < len(stages) or any(not 0 <= row["p_mean"] <= 1 for row in rows):
        return {}
    within = sum(row["p_variance"] * row["p_count"] for row in rows) / known.num_rows
    return {row["stage"]: row["p_mean"] for row in rows} if within <= _WITHIN * pc.variance(known["p"]).as_py() else {}


def _templated(order: Ordered, name: str) -> Ordered:
    """The stages in the template's order; those it does not know stay behind the one that they came after."""
    template = stage_templates()[name]
    places = {s.key: n for n, s in enumerate(template.stages)}
    known = {stage: places[found.key] for stage in order.stages if (found := template.stage_of(stage))}
    rank, ranks = -1, {}
    for stage in order.stages:
        rank = known.get(stage, rank)
        ranks[stage] = rank
    stages = tuple(sorted(order.stages, key=lambda s: (ranks[s], s not in known, order.stages.index(s))))
    return Ordered(stages, f"as the template {name} orders them; {order.evidence}", False)


def _pipeline(found: Found, number: int, of: int, template: str | None) -> dict[str, Any]:
    """One pipeline's settings; key and spellings only where there are several."""
    data: dict[str, Any] = {}
    if of > 1 or found.spelling is not None:
        ((key, _),) = keys_and_labels([found.spelling or "sales"])
        data |= {"key": key if key != "stage_1" else f"pipeline_{number}", "spellings": [found.spelling]} if of > 1 else {}
    stages = found.order.stages
    data["stages"] = _from_template(stages, stage_templates()[template]) if template else _plain_stages(stages)
    for stage in data["stages"]:
        own = [found.probabilities[s] for s in stage.get("spellings", ()) if s in found.probabilities]
        stage |= {"default_probability": round(own[0], 2)} if len(own) == 1 else {}
    names = stage_templates()[template].won.labels if template else WON.labels
    for kind, spellings, labels in (("won", found.outcomes.won, names), ("lost", found.outcomes.lost, LOST.labels)):
        if spellings:
            data[kind] = {"spellings": list(spellings), "labels": {"en": labels.en, "zh": labels.zh}}
    if found.outcomes.beside:
        data["other_events"] = list(found.outcomes.beside)
    return data


def _plain_stages(stages: Sequence[str]) -> list[dict[str, Any]]:
    if not stages:
        return [{"key": _ONLY_STAGE, "labels": {"en": "open", "zh": "进行中"}}]
    template = matching_template(stages)
    named = keys_and_labels(stages, stage_templates()[template] if template else None)
    return [{"key": key, "labels": {"en": n.en, "zh": n.zh}, "spellings": [stage]} for stage, (key, n) in zip(stages, named, strict=True)]


def _from_template(stages: Sequence[str], template: StageTemplate) -> list[dict[str, Any]]:
    """The template's stages with the export's spellings, and the stages it does not know at their places."""
    of = {stage: template.stage_of(stage) for stage in stages}
    unknown = dict(zip([s for s in stages if of[s] is None], _plain_stages([s for s in stages if of[s] is None] or ["x"]), strict=False))
    taken = {s.key for s in template.stages}
    data, left = [], list(stages)
    for known in template.stages:
        spellings = [s for s in stages if of[s] is not None and of[s].key == known.key]
        entry = {"key": known.key, "labels": known.names.model_dump(), **({"spellings": spellings} if spellings else {})}
        texts = {name: value.model_dump() for name in _TEXTS if (value := getattr(known, name)) is not None}
        cadence = {"cadence_days": known.cadence_days} if known.cadence_days else {}
        last = max((stages.index(s) for s in spellings), default=-1)
        data.append(entry | texts | cadence)
        for stage in [s for s in stages[last + 1 :] if spellings and s in left]:
            if of[stage] is not None:
                break
            left.remove(stage)
            data.append(_renamed(unknown[stage], taken))
    return data + [_renamed(unknown[s], taken) for s in left if of[s] is None]


def _renamed(entry: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    key = entry["key"]
    while key in taken:
        key += "_2"
    taken.add(key)
    return {**entry, "key": key}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _explain(draft: Draft, found: Found, place: Place, template: str | None) -> None:
    """Notes and the question of one pipeline's stages."""
    deals = ", ".join(f"{stage} {count.deals:,}" for stage, count in sorted(found.counts.items(), key=lambda item: -item[1].deals)[:_MOST_STAGES])
    is_certain = found.order.is_proven and not found.outcomes.beside and not found.strays and bool(found.outcomes.won and found.outcomes.lost)
    notes = [f"Order {found.order.evidence}."] if is_certain else []
    if deals:
        notes.append(f"Deals now: {deals}.")
    other = matching_template([*found.order.stages]) if template is None else None
    if other:
        notes.append(f"The template {other} knows stages of these names: --template {other} writes what lets a deal in and out.")
    draft.notes[*place, "stages"] = notes
    for kind in ("won", "lost", "beside"):
        if kind in found.outcomes.evidence:
            draft.notes[*place, "other_events" if kind == "beside" else kind] = [_sentence(found.outcomes.evidence[kind])]
    stray = ", ".join(f"{s} is no stage: hardly any deal ever stood there" for s in found.strays)
    if not is_certain and found.order.stages:
        which = f" of {found.spelling}" if place else ""
        draft.questions.append(
            Question(
                Weight.STAGES,
                (*place, "stages"),
                f"stages, won, lost{which}",
                " > ".join(found.order.stages)
                + f"; won: {', '.join(found.outcomes.won) or 'by the usual names'}; lost: {', '.join(found.outcomes.lost) or 'by the usual names'}"
                + (f"; no stages: {', '.join(beside)}" if (beside := [*found.outcomes.beside, *found.strays]) else ""),
                found.order.evidence + (f"; {stray}" if stray else ""),
                "a stage out of its place makes moves backward of those forward, and a conversion of each; a row in a stage that is not listed is rejected",
            )
        )
    opposed = contradictions(found.counts, found.outcomes)
    if opposed:
        draft.questions.append(
            Question(
                Weight.OUTCOME,
                ("outcome_from",),
                "outcome_from",
                "stage",
                f"{opposed:,} deals stand in a won or lost stage while their flags say open",
                "with flags these deals count as open",
            )
        )
