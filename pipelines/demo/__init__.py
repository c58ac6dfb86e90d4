"""The demonstration company: exports as a real CRM would give them, with a configuration and a list of what is wrong.

What belongs here: writing the whole. What does not: the simulation (models/simulator.py), the faults (dirt.py), the
two forms of export (salesforce.py, chinese.py) and exports for benchmarks (benchmark.py).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pandas as pd

from models.simulated_world import DEMO, World
from models.simulator import simulate
from pipelines.demo import chinese, salesforce
from pipelines.demo.dirt import Dirty, Fault, orphaned, plant
from pipelines.demo.sheet import Sheet

SEED = 20_260_630
EXPORTS, CONFIGURATION, MANIFEST = "exports", "leadline.yaml", "planted.json"


@dataclass(frozen=True)
class Demo:
    """What was written: the exports folder, the configuration and the list of planted faults."""

    exports: Path
    configuration: Path
    manifest: Path


@dataclass(frozen=True)
class _Form:
    sheets: Callable[[dict[str, pd.DataFrame]], list[Sheet]]
    words: dict[str, str]
    has_unmoved_rows: bool


_FORMS = {
    "salesforce": _Form(salesforce.sheets, salesforce.WORDS, has_unmoved_rows=True),
    "chinese": _Form(chinese.sheets, chinese.WORDS, has_unmoved_rows=False),
}


def write_demo(folder: Path, form: Literal["salesforce", "chinese"], world: World = DEMO, seed: int = SEED) -> Demo:
    """Write the exports of a simulated company below ``folder``, with leadline.yaml and planted.json beside them.

    Equal arguments give equal bytes. What is accepted of the two forms is the same company, once
    `pipelines.demo.names.in_chinese` has translated ids and labels. planted.json lists every planted row: file, line
    (the header being line 1), table, kind, the codes that must be among its reasons, and its verdict (rejected,
    superseded, accepted, value_set_aside); rows of rejected opportunities are listed too. ``rows`` counts per table
    what is read, accepted, superseded and rejected.
    """
    exports = folder / EXPORTS
    exports.mkdir(parents=True, exist_ok=True)
    chosen = _FORMS[form]
    company = simulate(world, seed)
    dirty = plant(company, seed)
    if chosen.has_unmoved_rows:
        unmoved = salesforce.with_unmoved_rows(dirty.frames["stage_history"], company.field_history)
        dirty = replace(dirty, frames={**dirty.frames, "stage_history": unmoved})
    faults = (*dirty.faults, *orphaned(dirty.frames, dirty.faults))
    sheets = [_spoilt(sheet, dirty, chosen.words) for sheet in chosen.sheets(dirty.frames)]
    for sheet in sheets:
        sheet.write(exports)
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps(_manifest(sheets, faults), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    configuration = folder / CONFIGURATION
    configuration.write_text(configuration_text(form, world), encoding="utf-8")
    return Demo(exports, configuration, manifest)


def configuration_text(form: Literal["salesforce", "chinese"], world: World = DEMO) -> str:
    """The configuration of one form of the demonstration, its declared export date being the world's last day."""
    text = (files(__name__) / f"{form}.yaml").read_text(encoding="utf-8")
    return text.replace(f"as_of: {DEMO.end}", f"as_of: {world.end}")


def _spoilt(sheet: Sheet, dirty: Dirty, words: dict[str, str]) -> Sheet:
    frame = sheet.frame.copy()
    for patch in dirty.patches:
        if patch.table == sheet.table:
            frame.loc[patch.label, sheet.column(patch.column)] = words[patch.word]
    return replace(sheet, frame=frame)


def _manifest(sheets: list[Sheet], faults: tuple[Fault, ...]) -> dict:
    planted, rows = [], {}
    for sheet in sheets:
        lines = sheet.lines()
        own = [f for f in faults if f.table == sheet.table]
        planted += [
            {"file": sheet.file, "line": int(lines[f.label]), "table": f.table, "kind": f.kind, "codes": list(f.codes), "verdict": f.verdict} for f in own
        ]
        count = {verdict: sum(f.verdict == verdict for f in own) for verdict in ("superseded", "rejected")}
        rows[sheet.table] = {"read": len(lines), "accepted": len(lines) - sum(count.values()), **count}
    return {"rows": rows, "planted": sorted(planted, key=lambda p: (p["file"], p["line"], p["kind"]))}
