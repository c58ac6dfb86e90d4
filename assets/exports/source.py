"""The exports of one company as a run sees them: each table read once, the date of the newest export.

What belongs here: holding what was read until it is taken. What does not: reading (reading.py) and choosing the
date (as_of.py).
"""

import json
from collections.abc import Mapping
from datetime import date
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.as_of import choose_as_of
from assets.exports.crm import crm_named
from assets.exports.files import Folder
from assets.exports.lookups import MERGED_DEALS, Lookups
from assets.exports.reading import TypedExport, read_table
from assets.exports.settings import Configuration
from quality.checks import FILES_METADATA, FORMS_METADATA


class ExportSource:
    """The folder ``folder`` read by ``company``'s configuration.

    A table that was read to find the date of the export is kept until `typed` takes it, so that no file is parsed
    twice and none stays in memory. ``notes`` says of every configured table without rows why that is so, and of every
    other how many lines of its files are no rows of it, and of opportunities that no header is their stage's.
    """

    def __init__(self, folder: Folder, company: Configuration):
        self._folder = folder
        self._company = company
        self._kept: dict[str, TypedExport] = {}
        self.notes: dict[str, str] = {}

    def typed(self, table_name: str) -> TypedExport:
        """The typed rows of one table; those of an optional table without files are none. Raises ExportError."""
        read = self._kept.pop(table_name, None) or read_table(self._folder, table_name, self._company)
        if read.note and table_name in self._company.exports.tables:
            self.notes[table_name] = read.note
        elif passed_over := sum(file.passed_over for file in read.files):
            names = ", ".join(file.name for file in read.files if file.passed_over)
            self.notes[table_name] = f"{table_name}: {passed_over} lines of {names} are no rows of this table by the CRM's declaration"
        elif table_name == "opportunities" and "stage" in read.absent:
            unread = ", ".join(dict.fromkeys(header for _, header in read.unmapped)) or "none"
            self.notes[table_name] = (
                f"opportunities: no header is known as that of the stage, so stages come from the history alone (headers that nothing reads: {unread}; "
                "to name one: exports.tables.opportunities.columns.stage)"
            )
        return read

    @cached_property
    def export_date(self) -> tuple[date, str]:
        """The date of the newest export and where it was found."""
        return choose_as_of(self._folder, self._company, self._keep)

    @cached_property
    def merged_deals(self) -> pa.Array:
        """Ids of the deals that were merged into another: no row of theirs is an orphan, and none is part of history."""
        return Lookups(self._folder, self._company, crm_named(self._company.exports.crm)).ids(MERGED_DEALS)

    def _keep(self, table_name: str) -> TypedExport:
        if table_name not in self._kept:
            self._kept[table_name] = read_table(self._folder, table_name, self._company)
        return self._kept[table_name]


def with_merged(parents: pa.Table, merged: pa.Array) -> pa.Table:
    """The known opportunities and the merged ones that are exported no more, so that these rows' parents are known, too."""
    gone = merged.filter(pc.invert(pc.is_in(merged, value_set=parents["opportunity_id"].combine_chunks())))
    if not len(gone):
        return parents
    nothing = {f.name: pa.nulls(len(gone), f.type) for f in parents.schema}
    known = {"opportunity_id": gone, "is_accepted": pa.repeat(True, len(gone))}
    return pa.concat_tables([parents, pa.table({**nothing, **known}, schema=parents.schema)])


def files_read(export: TypedExport) -> Mapping[bytes, bytes]:
    """Schema metadata of a stored table: the rows read per file, for the check that reconciles them, and the files' forms."""
    rows, forms = ({file.name: getattr(file, part) for file in export.files} for part in ("rows", "form"))
    return {FILES_METADATA: json.dumps(rows, ensure_ascii=False).encode(), FORMS_METADATA: json.dumps(forms, ensure_ascii=False).encode()}
