"""Masks the ids that name people in everything that leaves the lake: published tables, the page, `leadline why`.

What belongs here: which columns hold such ids, and their replacement over all tables alike. What does not: the form
of a mask (quality/masking.py).

The lake keeps ids as exported, because every table on the way joins by them. On the way out the same id becomes the
same mask in every table and on every date, so published tables join as before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.exports.settings import Configuration
from assets.reports.behind import Behind
from models.settings import Company
from quality.masking import id_masks
from quality.tables import PUBLISHED

NOBODY = ("all", "unassigned")


@dataclass(frozen=True)
class Masks:
    """The masks of ids by value: of owners, and of members of all other dimensions. Those that are not in it stay."""

    owners: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)

    def of(self, dimension: str, member: str) -> str:
        """A segment member as it may be shown."""
        return (self.owners if dimension == "owner" else self.members).get(member, member)

    def owner(self, owner_id: str) -> str:
        """The id of an owner as it may be shown."""
        return self.owners.get(owner_id, owner_id)


def masks_of(owners: set[str], members: set[str], company: Company, key: bytes) -> Masks:
    """The masks that these owners and members need; with the setting ``mask_owners`` every owner's name needs one."""
    return Masks(id_masks(owners - {*NOBODY}, key, people=company.mask_owners), id_masks(members - {*NOBODY}, key))


def masked_tables(tables: Mapping[str, Path], owners: set[str], company: Company, key: bytes) -> tuple[dict[str, Path | pa.Table], Masks]:
    """The published tables, those with an id to mask in memory and masked, the others as they are; and the masks.

    ``owners`` are those that are shown beside the tables.
    """
    owners, members = owners | {t.member for t in company.targets if t.dimension == "owner"}, set()
    for path, columns in _with_ids(tables):
        held = pq.read_table(path, columns=columns)
        if "owner_id" in columns:
            owners |= _distinct(held["owner_id"])
        if "member" in columns:
            of_owners = pc.equal(held["dimension"], "owner")
            owners |= _distinct(held.filter(of_owners)["member"])
            members |= _distinct(held.filter(pc.invert(of_owners))["member"])
    masks = masks_of(owners, members, company, key)
    if not masks.owners and not masks.members:
        return dict(tables), masks
    masked = {path: masked_table(pq.read_table(path), masks) for path, _ in _with_ids(tables)}
    return {name: masked.get(path, path) for name, path in tables.items()}, masks


def masked_table(table: pa.Table, masks: Masks) -> pa.Table:
    """``table`` with its owner_id and member columns masked."""
    if "owner_id" in table.column_names:
        table = _replaced(table, "owner_id", masks.owners, None)
    if "member" in table.column_names:
        of_owners = pc.equal(table["dimension"], "owner")
        table = _replaced(table, "member", masks.owners, of_owners)
        table = _replaced(table, "member", masks.members, pc.invert(of_owners))
    return table


def masked_targets(company: Configuration, masks: Masks) -> Configuration:
    """The company with its targets' members as they stand in the masked tables."""
    targets = tuple(t.model_copy(update={"member": masks.of(t.dimension, t.member)}) for t in company.targets)
    return company.model_copy(update={"targets": targets})


def masked_behind(behind: Behind, masks: Masks) -> Behind:
    """The rows behind the page's numbers with ids as they stand in the masked tables."""
    members = behind.members
    of_owners = members["dimension"] == "owner"
    return replace(
        behind,
        deals=behind.deals.assign(owner_id=behind.deals["owner_id"].replace(dict(masks.owners))),
        members=members.assign(
            member=members["member"]
            .where(~of_owners, members["member"].replace(dict(masks.owners)))
            .where(of_owners, members["member"].replace(dict(masks.members)))
        ),
        people={masks.owner(owner): name for owner, name in behind.people.items()},
    )


def _with_ids(tables: Mapping[str, Path]) -> Iterator[tuple[Path, list[str]]]:
    for name, path in tables.items():
        columns = [c for c in ("owner_id", "dimension", "member") if c in PUBLISHED[name].columns]
        if columns:
            yield path, columns


def _distinct(values: pa.ChunkedArray) -> set[str]:
    return set(pc.unique(values).drop_null().to_pylist())


def _replaced(table: pa.Table, column: str, masks: Mapping[str, str], where: pa.ChunkedArray | None) -> pa.Table:
    if not masks:
        return table
    place = pc.index_in(table[column], value_set=pa.array(list(masks), pa.string()))
    masked = pa.array(list(masks.values()), pa.string()).take(place.combine_chunks())
    if where is not None:
        masked = pc.if_else(where.combine_chunks(), masked, pa.scalar(None, pa.string()))
    return table.set_column(table.column_names.index(column), column, pc.coalesce(masked, table[column].combine_chunks()))
