"""What the choices of a configuration do to the exports: dates by their form, headers that nobody claims, stages by spelling.

What belongs here: counts over files and judged rows, for any configuration. What does not: verdicts (judge.py) and the lines
that a person reads (pipelines/choices.py).
"""

from collections import Counter
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.crm import crm_named
from assets.exports.files import Folder
from assets.exports.headers import STAGE_DATE
from assets.exports.parsing import ValueForms, texts, value_sql
from assets.exports.readers.text import TextFile
from assets.exports.reading import opened_files
from assets.exports.settings import Configuration
from quality.tables import EXPORTED

ISO = "ISO 8601"
"""The form of dates that no form has to be declared for."""

UNREAD = "no form"
"""What dates are counted under that no form reads."""


@dataclass(frozen=True)
class FileChoices:
    """Of the files of one table: values of date columns by the form that reads them, and per file the headers that nobody claims."""

    dates: dict[str, int]
    unclaimed: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class SpellingCount:
    """One spelling of a stage in one table: its stage's key (null if unknown), whether it is set aside, and the rows that have it."""

    spelling: str
    stage: str | None
    is_beside: bool
    rows: int


def file_choices(folder: Folder, table_name: str, configuration: Configuration) -> FileChoices:
    """What the written forms and the mapping of one table do. Raises the ExportError that reading it would raise."""
    source = configuration.exports.tables[table_name]
    forms = ValueForms.of(configuration, source, crm_named(configuration.exports.crm))
    units = {c.name: c.info["unit"] for c in EXPORTED[table_name].columns}
    dates: Counter = Counter()
    unclaimed = {}
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for file, text, mapping in opened_files(folder, table_name, configuration):
            unclaimed[file.name] = mapping.unmapped
            dated = {name: c for name, c in mapping.columns.items() if name.startswith(STAGE_DATE) or units.get(name) in ("date", "time")}
            positions = sorted({position for column in dated.values() for position in column.positions})
            if positions:
                dates.update(_by_form(connection, _counted(text, positions, forms), forms))
    return FileChoices(dict(dates), {name: headers for name, headers in unclaimed.items() if headers})


def spelling_counts(judged: pa.Table) -> list[SpellingCount]:
    """Every spelling of ``stage`` among judged rows, by the stage that it stands for, the commonest first."""
    spelled = pa.table({name: judged[name] for name in ("stage_key", "stage_kind")} | {"spelling": pc.utf8_trim_whitespace(judged["stage"])})
    rows = spelled.filter(spelled["spelling"].is_valid()).group_by(["spelling", "stage_key", "stage_kind"]).aggregate([([], "count_all")]).to_pylist()
    counts = [SpellingCount(r["spelling"], r["stage_key"], r["stage_kind"] == "none", r["count_all"]) for r in rows]
    return sorted(counts, key=lambda c: (-c.rows, c.spelling, c.stage or ""))


def _counted(text: TextFile, positions: list[int], forms: ValueForms) -> pa.Table:
    """The values ``t`` of the columns at ``positions`` and how often (``n``) a batch of the file has each in one column."""
    counts = [pa.schema([("t", pa.string()), ("n", pa.int64())]).empty_table()]
    for batch in text.batches(positions):
        for position in positions:
            counted = pc.value_counts(texts(batch.columns[str(position)], "time", forms).cast(pa.string()).drop_null())
            counts.append(pa.table({"t": counted.field("values"), "n": counted.field("counts")}))
    return pa.concat_tables(counts)


def _by_form(connection: duckdb.DuckDBPyConnection, counted: pa.Table, forms: ValueForms) -> Counter:
    """Number of ``counted`` values (t, n) by the first form that reads them, in the order in which forms are tried."""
    tried = [*((form, replace(forms, dates=(form,))) for form in forms.dates), (ISO, replace(forms, dates=()))]
    iso = value_sql("time", "t", tried[-1][1])
    cases = " ".join(f"WHEN ({value_sql('time', 't', only)}) IS NOT NULL AND ({iso}) IS NULL THEN {n}" for n, (_, only) in enumerate(tried[:-1]))
    chosen = f"CASE WHEN ({iso}) IS NOT NULL THEN {len(tried) - 1} {cases} ELSE {len(tried)} END"
    connection.register("counted", counted)
    rows = connection.execute(f"SELECT {chosen} AS place, sum(n) FROM (SELECT t, sum(n) AS n FROM counted GROUP BY t) GROUP BY place ORDER BY place").fetchall()
    names = [*(name for name, _ in tried), UNREAD]
    return Counter({names[place]: int(count) for place, count in rows})
