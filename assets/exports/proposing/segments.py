"""Which fields are worth splitting every number by, which never change, and which give the outcome away.

What belongs here: the evidence of fill, variety and changes. What does not: the segments themselves (assets/core).

A field that is filled when a deal closes tells nothing of open deals, and a forecast that used it would know the answer: it is
proposed neither as a segment nor as immutable, and said so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from models.settings import FIELDS_WITHOUT_HISTORY, SEGMENT_FIELDS

FIELDS = tuple(field for field in SEGMENT_FIELDS if field in FIELDS_WITHOUT_HISTORY)
"""Fields of opportunities that a company may split by, beside pipeline, team, owner and amount band."""

_FILLED = 0.5
_GAP = 0.2
_LEAST_DEALS = 10
_MEMBERS = range(2, 41)
_OWNERS = range(2, 201)


@dataclass(frozen=True)
class Fill:
    """How a field is filled: the shares of open and closed deals that have it, and how many values there are."""

    open_share: float
    closed_share: float
    members: int
    open_deals: int
    closed_deals: int

    @property
    def gives_away(self) -> bool:
        """True where the field is filled on deals of one outcome much more often than on others."""
        return min(self.open_deals, self.closed_deals) >= _LEAST_DEALS and abs(self.open_share - self.closed_share) > _GAP

    @property
    def is_filled(self) -> bool:
        """True where at least half of the deals, open or closed, have the field."""
        return all(share >= _FILLED for share, deals in ((self.open_share, self.open_deals), (self.closed_share, self.closed_deals)) if deals >= _LEAST_DEALS)


@dataclass(frozen=True)
class Splits:
    """Segments and immutable fields with their evidence, and in words the fields that are neither although they are there."""

    segments: Mapping[str, str]
    immutable: Mapping[str, str]
    refused: Mapping[str, str]


def fill_of(opportunities: pa.Table, column: str, is_open: pa.ChunkedArray) -> Fill:
    """The fill of a column among open deals and among closed ones."""
    values = opportunities[column]
    counts = {}
    for name, deals in (("open", is_open), ("closed", pc.invert(is_open))):
        of = values.filter(deals)
        counts[name] = (len(of) - of.null_count, len(of))
    return Fill(
        counts["open"][0] / max(counts["open"][1], 1),
        counts["closed"][0] / max(counts["closed"][1], 1),
        pc.count_distinct(values).as_py(),
        counts["open"][1],
        counts["closed"][1],
    )


def splits_of(opportunities: pa.Table, is_open: pa.ChunkedArray, owners: pa.Table | None, changes: Mapping[str, int] | None, pipelines: int) -> Splits:
    """What to split by and what never changes, from the typed ``opportunities``.

    ``changes`` counts the changes per field in the history of fields, null where none is exported; ``pipelines`` is how
    many there are.
    """
    segments, immutable, refused = {}, {}, {}
    if pipelines > 1:
        segments["pipeline"] = f"{pipelines} pipelines"
    for field in (*FIELDS, "account_id"):
        fill = fill_of(opportunities, field, is_open)
        if not fill.members:
            continue
        if fill.gives_away:
            refused[field] = f"filled on {fill.open_share:.0%} of open and {fill.closed_share:.0%} of closed deals: whether it is there gives the outcome away"
            continue
        if fill.is_filled and field in FIELDS and fill.members in _MEMBERS:
            segments[field] = f"{fill.members} values, filled on {fill.open_share:.0%} of open and {fill.closed_share:.0%} of closed deals"
        elif field in FIELDS:
            refused[field] = _why_not(fill)
        if fill.is_filled and not (changes or {}).get(field):
            immutable[field] = "no change of it in the history of fields" if changes else "no history shows a change of it"
    teams = owners is not None and owners.num_rows > 0 and pc.count_distinct(owners["team"]).as_py() in _MEMBERS
    if teams:
        segments["team"] = f"{pc.count_distinct(owners['team']).as_py()} teams in the export of owners"
    owner = fill_of(opportunities, "owner_id", is_open)
    if owner.is_filled and owner.members in _OWNERS:
        segments["owner"] = f"{owner.members} owners, filled on {owner.open_share:.0%} of open and {owner.closed_share:.0%} of closed deals"
    amount = fill_of(opportunities, "amount", is_open)
    if amount.gives_away:
        refused["amount_band"] = f"amounts are there on {amount.open_share:.0%} of open and {amount.closed_share:.0%} of closed deals"
    return Splits(segments, immutable, refused)


def amount_bands(opportunities: pa.Table) -> tuple[float, ...]:
    """Two bounds that part the amounts into thirds, each rounded to one or two digits; none where there are too few."""
    amounts = opportunities["amount"].drop_null().cast(pa.float64())
    positive = amounts.filter(pc.greater(amounts, 0))
    if len(positive) < _LEAST_DEALS:
        return ()
    bounds = sorted({_rounded(q) for q in pc.quantile(positive, q=[1 / 3, 2 / 3]).to_pylist()})
    return tuple(bound for bound in bounds if bound > 0)


def changed_fields(field_history: pa.Table | None) -> dict[str, int] | None:
    """Number of changes by canonical field; null where no history of fields is exported."""
    if field_history is None or not field_history.num_rows:
        return None
    return {row["values"]: row["counts"] for row in pc.value_counts(field_history["field"].drop_null()).to_pylist()}


def _why_not(fill: Fill) -> str:
    if not fill.is_filled:
        return f"filled on {fill.open_share:.0%} of open and {fill.closed_share:.0%} of closed deals only"
    return "one value only" if fill.members == 1 else f"{fill.members:,} values are too many to compare"


def _rounded(value: float) -> float:
    digits = len(str(int(value)))
    return float(round(value, -(digits - 1)) if digits > 1 else round(value))
