"""Files that say what the ids of other files stand for: stages, pipelines, teams, merged deals, which deals a call is about.

What belongs here: reading them as the CRM declares and the configuration names them, and looking ids up, over whole
columns. What does not: the tables themselves (reading.py).
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm.declaration import Crm, Lookup, Spelling, spelled
from assets.exports.errors import ExportError, HeaderProblems, SourceProblems, listed, nearest
from assets.exports.files import Folder, files_of
from assets.exports.headers import find_header
from assets.exports.parsing import BLANKS
from assets.exports.readers import open_text
from assets.exports.settings import Configuration, FileForm, LookupSource
from assets.exports.shaping import rows_of_table

MERGED_DEALS = "merged_deals"
"""The lookup whose keys are ids of deals that were merged into another, and whose values are that one's."""

_SCHEMA = pa.schema([("key", pa.string()), ("value", pa.string()), ("pipeline", pa.string())])


class Lookups:
    """The lookups that a CRM declares and the configuration names, each read when it is first asked for."""

    def __init__(self, folder: Folder, configuration: Configuration, crm: Crm):
        unknown = [name for name in configuration.exports.lookups if name not in crm.lookups]
        if unknown:
            known = ", ".join(sorted(crm.lookups)) or "none"
            raise SourceProblems(
                f"exports.lookups.{name}: {crm.name} has no such lookup; expected one of {known}{nearest([name], crm.lookups)}" for name in unknown
            )
        self._folder = folder
        self._sources = configuration.exports.lookups
        self._form = configuration.exports
        self._crm = crm
        self._keep = _configured_names(configuration)
        self._read: dict[str, pa.Table] = {}

    def pairs(self, name: str) -> pa.Table | None:
        """Columns key, value and pipeline of one lookup, in the order of its files; null where none is configured."""
        source = self._sources.get(name)
        if source is None:
            return None
        if name not in self._read:
            self._read[name] = self._pairs(name, source, self._crm.lookups[name])
        return self._read[name]

    def ids(self, name: str) -> pa.Array:
        """The distinct keys of one lookup; none where it is not configured."""
        pairs = self.pairs(name)
        return pa.array([], pa.string()) if pairs is None else pairs["key"].combine_chunks().unique()

    def stage_ids(self) -> Iterator[tuple[str, str, str | None]]:
        """Every stage id with its label and the label of its pipeline (its id, where the pipelines are not told)."""
        stages, pipelines = self.pairs("stages"), self.pairs("pipelines")
        names = {} if pipelines is None else dict(zip(pipelines["key"].to_pylist(), pipelines["value"].to_pylist(), strict=True))
        if stages is not None:
            for key, value, pipeline in zip(*(stages[c].to_pylist() for c in ("key", "value", "pipeline")), strict=True):
                yield key, value, names.get(pipeline, pipeline)

    def replaced(self, table: str, column: str, texts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
        """``texts`` of a table's column with every id replaced by what it stands for."""
        for name, lookup in self._crm.lookups.items():
            if column not in lookup.columns.get(table, ()):
                continue
            pairs = self.pairs(name)
            if pairs is None:
                texts = pa.nulls(len(texts), pa.string()) if lookup.otherwise_nothing else texts
                continue
            place = pc.index_in(texts, value_set=pairs["key"].combine_chunks())
            kept = pc.is_in(pc.utf8_lower(texts), value_set=self._keep.get(column, pa.array([], pa.string())))
            found = pc.if_else(kept, None, pc.take(pairs["value"].combine_chunks(), place))
            texts = found if lookup.otherwise_nothing else pc.coalesce(found, texts)
        return texts

    def _pairs(self, name: str, source: LookupSource, lookup: Lookup) -> pa.Table:
        where = f"exports.lookups.{name}"
        files = files_of(self._folder, source.files, where, f"lookup {name}")
        if not files:
            raise SourceProblems(f"{where}.files: no file of the exports folder matches {listed(source.files, are_headers=False)}; correct it or remove it")
        form = FileForm(**{key: getattr(source, key) if getattr(source, key) is not None else getattr(self._form, key) for key in FileForm.model_fields})
        tables, problems = [], []
        for file in files:
            try:
                text = open_text(file, form)
                places = {
                    "key": self._place(text.header, lookup.key, source.key, f"{where}.key", file.name),
                    "value": self._place(text.header, lookup.value, source.value, f"{where}.value", file.name) if lookup.value else None,
                    "pipeline": find_header(text.header, lookup.pipeline),
                }
                tables += _rows(text, places, lookup)
            except ExportError as error:
                problems += error.problems
        if problems:
            raise HeaderProblems(problems)
        return pa.concat_tables([_SCHEMA.empty_table(), *tables]).combine_chunks()

    def _place(self, header: tuple[str, ...], spellings: tuple[Spelling, ...], configured: str | None, key: str, file_name: str) -> int:
        looked_for = (configured,) if configured is not None else spellings
        place = find_header(header, looked_for)
        if place is None:
            names = spelled(looked_for)
            raise HeaderProblems(
                f"{file_name}: looked for headers {', '.join(names)}; the file has {listed(h for h in header if h.strip())}"
                f"{nearest(names, header)}; name it under {key} in the configuration"
            )
        return place


def _rows(text, places: Mapping[str, int | None], lookup: Lookup) -> Iterator[pa.Table]:
    """Key, value and pipeline of a file's rows that have a key (and a value, where the lookup has one)."""
    for batch in rows_of_table(text, {}, lookup.leave_out).batches(sorted({p for p in places.values() if p is not None})):
        count = batch.columns.num_rows
        columns = {name: pa.nulls(count, pa.string()) if p is None else _trimmed(batch.columns[str(p)]) for name, p in places.items()}
        table = pa.table(columns, schema=_SCHEMA)
        if lookup.separator:
            split = pc.split_pattern(table["key"].combine_chunks(), lookup.separator)
            table = table.take(pc.list_parent_indices(split)).set_column(0, "key", _trimmed(pa.chunked_array([pc.list_flatten(split)])))
        there = table["key"].is_valid()
        yield table.filter(pc.and_(there, table["value"].is_valid()) if lookup.value else there)


def _trimmed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim(texts.cast(pa.string()), characters=BLANKS)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _configured_names(configuration: Configuration) -> dict[str, pa.Array]:
    """Names that the configuration itself gives to stages and pipelines, in lower case: they are never looked up."""
    stages, pipelines = set(), set()
    for p in configuration.pipelines:
        pipelines |= {p.key, *p.spellings}
        stages |= {"won", "lost", *p.won.spellings, *p.lost.spellings, *p.other_events}
        stages |= {name for s in p.stages for name in (s.key, *s.spellings)}
    known = {"stage": stages, "previous_stage": stages, "pipeline": pipelines}
    return {column: pa.array(sorted({name.strip().lower() for name in names}), pa.string()) for column, names in known.items()}
