"""Settings of the opportunities' columns that only their values show: what is required, zeros that mean nothing, stage dates.

What belongs here: those settings with their evidence. What does not: which header is which column (drafting.py).
"""

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm import crm_named
from assets.exports.proposing.assigning import DEALS
from pipelines.proposal.drafting import Draft, Read
from pipelines.proposal.stages import Found
from quality.tables import EXPORTED

_NEARLY_ALL = 0.99
_LEAST_LOST = 10
_ZERO = re.compile(r"0+([.,]0+)?")
_COUNTED = ("flag", "share", "count", "days", "number")


def draft_fields(draft: Draft, read: Read, deals: pa.Table, pipelines: list[Found], has_history: bool) -> None:
    """Add what the values of the typed ``deals`` show to the settings of the opportunities."""
    place = ("exports", "tables", DEALS)
    source = draft.data["exports"]["tables"][DEALS]
    header = read.deals.sheets[0].header
    if "created_at" in read.deals.positions:
        texts = read.deals.sheets[0].texts(read.deals.positions["created_at"])
        filled = (len(texts) - texts.null_count) / max(len(texts), 1)
        if filled >= _NEARLY_ALL:
            source["required"] = ["created_at"]
            draft.notes[*place, "required"] = [f"A row without it, or where it cannot be read, is rejected: {filled:.1%} of the rows have it."]
    if zeros := _empty_zeros(read, deals, pipelines):
        source["empty"] = sorted({*source.get("empty", crm_named(read.crm).empty), *zeros})
        draft.notes[*place, "empty"] = ["Every lost deal has the amount 0: nothing was sold, and what it might have been worth is not known."]
    dates = [header[p] for c, p in read.deals.positions.items() if EXPORTED[DEALS].columns[c].info["unit"] in ("date", "time")]
    if not has_history and len(pipelines) == 1 and (named := date_names(dates, pipelines[0].order.stages)):
        keys = {spelling: stage["key"] for stage in draft.data.get("stages", []) for spelling in stage.get("spellings", ())}
        source["stage_dates"] = {keys[stage]: date for stage, date in named.items() if stage in keys}
        draft.notes[*place, "stage_dates"] = ["The day of entering the stage, by the name of the header."]


def date_names(headers: Iterable[str], stages: Iterable[str]) -> dict[str, str]:
    """Stage: the header of a date that is called like it, such as engage_date for Engaging."""
    found = {}
    for stage in stages:
        stem = "".join(c for c in stage.lower() if c.isalpha())[:5]
        named = [h for h in headers if len(stem) == 5 and h.lower().startswith(stem)]
        if len(named) == 1:
            found[stage] = named[0]
    return found


def _empty_zeros(read: Read, deals: pa.Table, pipelines: list[Found]) -> tuple[str, ...]:
    """How a zero is written where it stands in the amount of every lost deal, of hardly any won one, and nowhere else."""
    files = read.deals
    if any(EXPORTED[DEALS].columns[c].info["unit"] in _COUNTED for c in files.positions) or "amount" not in files.positions:
        return ()
    stage = pc.utf8_trim_whitespace(deals["stage"])
    lost, won = (deals.filter(_in(stage, [s for f in pipelines for s in getattr(f.outcomes, kind)]))["amount"].drop_null() for kind in ("lost", "won"))
    lost_zeros, won_zeros = (pc.sum(pc.equal(amounts, 0)).as_py() or 0 for amounts in (lost, won))
    if len(lost) < _LEAST_LOST or lost_zeros < len(lost) or won_zeros > (1 - _NEARLY_ALL) * len(won):
        return ()
    return tuple(sorted(text for text in files.distinct("amount").to_pylist() if _ZERO.fullmatch(text)))


def _in(texts: pa.ChunkedArray, values: list[str]) -> pa.ChunkedArray:
    return pc.is_in(texts, value_set=pa.array(values, pa.string()))
