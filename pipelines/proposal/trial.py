"""Tries a proposed configuration on the exports: how many rows of each table it would accept, and what it would reject.

What belongs here: judging without publishing, and the question where so many rows fail that a run would stop.
What does not: judging itself (assets/exports/judge.py).
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from assets.exports.exported import NO_OWNERS, read_and_judge
from assets.exports.judge import expected_of
from assets.exports.reading import TypedExport
from assets.exports.settings import Configuration
from assets.exports.source import ExportSource
from assets.query import Engine, Query
from pipelines.engine.duckdb import DuckDB
from pipelines.proposal.drafting import Draft
from pipelines.proposal.questions import Question, Weight
from quality.findings import VERDICTS_SQL
from quality.tables import EXPORTED

_LISTED_ONLY = ("before", "after", "future", "owner", "range", "implausible", "order")
"""What the codes of expectations hold that may be listed in place of rejecting the row: the row can be counted all the same."""


@dataclass(frozen=True)
class Tried:
    """Verdicts of one table as a run counts them, ``current`` rows being the newest versions, and how many rejected ones of these have each reason."""

    read: int
    accepted: int
    superseded: int
    rejected: int
    current: int
    current_rejected: int
    reasons: Mapping[str, int]

    def stops(self, table: str, company: Configuration) -> bool:
        """True where the check ``few_rows_rejected`` (quality/checks.py) would stop a run."""
        limits = company.thresholds
        share = self.current_rejected / self.current if self.current else 0.0
        return share > limits.rejected_rows_share and (table == "opportunities" or self.current_rejected >= limits.rejected_rows_at_least)


class KeptExports(ExportSource):
    """Exports whose typed tables are kept, so that they can be judged again under other severities without being read again."""

    @cached_property
    def _read(self) -> dict[str, TypedExport]:
        return {}

    def typed(self, table_name: str) -> TypedExport:
        """The typed rows of one table, read once. Raises ExportError."""
        if table_name not in self._read:
            self._read[table_name] = super().typed(table_name)
        return self._read[table_name]


def tried(source: ExportSource, company: Configuration, export_date: date) -> dict[str, Tried]:
    """The verdicts of every configured table; ``company`` may differ from the one that ``source`` is read by in its severities only."""
    found: dict[str, Tried] = {}
    with TemporaryDirectory() as spill:
        engine = DuckDB(Path(spill))
        judge = {"source": source, "company": company, "engine": engine, "as_of": export_date, "export_date": export_date}
        owners, deals = NO_OWNERS, None
        for table in ("owners", "opportunities", *(t for t in EXPORTED if t not in ("owners", "opportunities"))):
            if table not in company.exports.tables:
                continue
            parents = None if table in ("owners", "opportunities") else deals
            judged = read_and_judge(table, parents=parents, owners=owners if table == "opportunities" else NO_OWNERS, **judge)
            if table == "owners":
                owners = judged.filter(pc.equal(judged["_verdict"], "accepted")).select(["owner_id"])
            if table == "opportunities":
                deals = judged
            rejecting = {e.code for e in expected_of(company, table) if e.severity != "warning"}
            found[table] = _counted(judged, rejecting, engine)
    return found


def ask_about_rejections(draft: Draft, verdicts: Mapping[str, Tried], company: Configuration) -> bool:
    """Propose to list what would stop the run, where the rows can be counted all the same; ask in any case. True if that changes verdicts."""
    stopping = {table: verdict for table, verdict in verdicts.items() if verdict.stops(table, company)}
    if not stopping:
        return False
    severities = {f"{table}.{code}": "warning" for table, v in stopping.items() for code in v.reasons if any(word in code for word in _LISTED_ONLY)}
    told = [
        f"{v.current_rejected:,} of {v.current:,} rows of {table} ({', '.join(f'{code}: {n:,}' for code, n in sorted(v.reasons.items(), key=lambda r: (-r[1], r[0])))})"
        for table, v in stopping.items()
    ]
    evidence = f"would be rejected: {'; '.join(told)}; above {company.thresholds.rejected_rows_share:.0%} a run stops"
    left = [table for table in stopping if not any(key.startswith(f"{table}.") for key in severities)]
    effect = "with severity reject these rows are left out and the run stops until they are mended or thresholds.rejected_rows_share is raised"
    if left:
        effect = f"{effect}; {', '.join(left)}: correct the files, or take the table out of exports.tables"
    if severities:
        draft.data["severities"] = dict(sorted(severities.items()))
        draft.notes["severities",] = ["Listed in place of rejected."]
    place = ("severities",) if severities else ("exports", "tables", left[0])
    proposal = ", ".join(f"{key}: warning" for key in sorted(severities)) or "nothing: they stay rejected"
    draft.questions.append(Question(Weight.STOPS, place, "severities", proposal, evidence, effect))
    return bool(severities)


def _counted(judged: pa.Table, rejecting: Collection[str], engine: Engine) -> Tried:
    """The verdicts; of the reasons those that reject a row, or make a value of it unreadable."""
    verdicts = engine.arrow(Query(VERDICTS_SQL, {"exported": judged})).to_pylist()[0]
    reasons = judged.filter(pc.and_(judged["_is_current"], pc.equal(judged["_verdict"], "rejected")))["_reasons"].to_pylist()
    counts = Counter(code for codes in reasons for code in codes if code in rejecting or code.startswith(("unreadable", "ragged")))
    return Tried(**verdicts, reasons=dict(counts))
