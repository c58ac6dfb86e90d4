"""One company's exports read, judged and made into trusted tables, for the tests of the CRMs' declarations."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assets.exports.exported import CHILDREN, exported_opportunities, exported_owners
from assets.exports.settings import Configuration
from assets.exports.source import ExportSource
from assets.query import Parquet
from pipelines.configuration import load_configuration
from pipelines.engine.duckdb import DuckDB
from quality.tables import EXPORTED
from tests.core_frames import bare, trusted_tables


@dataclass(frozen=True)
class JudgedExports:
    """The judged exports of a company, and the trusted tables that follow from them."""

    configuration: Configuration
    tables: dict[str, pa.Table]
    passed_over: dict[str, int]
    notes: dict[str, str]
    folder: Path

    def counts(self, table: str) -> dict[str, int]:
        """Rows read and their verdicts."""
        verdicts = Counter(self.tables[table]["_verdict"].to_pylist())
        return {"read": self.tables[table].num_rows, **{v: verdicts[v] for v in ("accepted", "superseded", "rejected")}}

    def reasons(self, table: str) -> dict[str, list[str]]:
        """Every reason of the rejected rows by FILE:LINE."""
        rows = self.tables[table].select(["_file", "_line", "_verdict", "_reasons"]).to_pylist()
        return {f"{row['_file']}:{row['_line']}": row["_reasons"] for row in rows if row["_verdict"] == "rejected"}

    def values(self, table: str) -> list[dict[str, str]]:
        """What the contract's columns hold in every row, as text, without those that hold nothing."""
        columns = [c.name for c in EXPORTED[table].columns]
        dates = [name for name in self.tables[table].column_names if name.startswith("stage_date:")]
        return [{k: _text(v) for k, v in row.items() if v is not None} for row in self.tables[table].select([*columns, *dates]).to_pylist()]

    @cached_property
    def trusted(self) -> dict[str, pa.Table]:
        """The trusted tables as of the configured date."""
        as_of = self.configuration.as_of
        return trusted_tables(self.tables, as_of, as_of, self.folder, self.configuration)

    def entries(self) -> dict[str, list[str]]:
        """Stage entries by deal, each as ``day stage history``."""
        found: dict[str, list[str]] = {}
        for e in sorted(self.trusted["stage_entries"].to_pylist(), key=lambda e: (e["opportunity_id"], e["entry_number"])):
            found.setdefault(e["opportunity_id"], []).append(f"{e['entered_at'].date()} {e['stage']} {e['history']}")
        return found


def _text(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.removesuffix(" 00:00:00").removesuffix(".00").removesuffix(".0")


def judged_exports(configuration_file: Path, exports: Path, spill: Path) -> JudgedExports:
    """Every configured table of ``exports`` as a run would judge it, and what was passed over."""
    configuration = load_configuration(configuration_file)
    source = ExportSource(exports, configuration)
    passed_over = {}
    for table in configuration.exports.tables:
        read = source.typed(table)
        passed_over[table] = sum(file.passed_over for file in read.files)
    tables = judged_tables(configuration, exports, spill)
    return JudgedExports(configuration, tables, {k: v for k, v in passed_over.items() if v}, source.notes, spill)


def judged_tables(configuration: Configuration, exports: Path, spill: Path) -> dict[str, pa.Table]:
    """Every configured table of ``exports`` (and the owners) as a run would judge it; ``spill`` must be there."""
    engine = DuckDB(spill)
    source = ExportSource(exports, configuration)
    given = {"source": source, "company": configuration, "engine": engine, "as_of": configuration.as_of, "export_date": configuration.as_of}
    tables = {"owners": bare(exported_owners)(**given)}
    tables["opportunities"] = bare(exported_opportunities)(exported_owners=tables["owners"], **given).compute()
    pq.write_table(tables["opportunities"], spill / "judged_opportunities.parquet")
    handle = Parquet(str(spill / "judged_opportunities.parquet"))
    for asset in CHILDREN:
        name = asset.key.to_user_string().removeprefix("exported_")
        if name in configuration.exports.tables:
            tables[name] = bare(asset)(exported_opportunities=handle, **given).compute()
    return tables
