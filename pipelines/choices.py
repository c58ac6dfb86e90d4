"""What each choice of a configuration does to the counts, as lines for a person.

What belongs here: lines made from counted exports. What does not: the counting (assets/exports/choices.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc

from assets.exports.choices import UNREAD, SpellingCount, file_choices, spelling_counts
from assets.exports.errors import ExportError, listed
from assets.exports.files import Folder
from assets.exports.settings import Configuration
from assets.query import Query
from models.settings import Language
from pipelines.engine.duckdb import DuckDB
from pipelines.lake import Lake
from pipelines.proposal.propose import CONFIRM
from pipelines.proposal.stages import is_quotable
from pipelines.run import Outcome

_STAGED = {"opportunities": "CAST(NULL AS VARCHAR)", "stage_history": "stage_kind"}
"""Tables that hold stages, and what says there whether a spelling is set aside."""

_SPELLINGS_SHOWN = 40

_SAID: dict[Language, dict[str, str]] = {
    "en": {
        "choices": "what each choice does:",
        "stage": "  {table}: stage {spelling} is {kind}: {rows:,} rows",
        "beside": "no stage, set aside",
        "unknown": "unknown, rejected",
        "hidden": "(hidden: looks like a person's)",
        "more": "  {table}: and {more:,} more spellings",
        "owners": "  owners: {owners:,} in the opportunities, {without:,} of {rows:,} rows without one",
        "dates": "  {table}: dates: {counts}",
        "form": "{count:,} by {form}",
        "unread": "{count:,} by no form",
        "and": ", ",
        "unclaimed": "  {table}: {file}: nobody reads {headers}",
        "unconfirmed": "  still to be confirmed: {place}: {what}",
    },
    "zh": {
        "choices": "各项设置的效果：",
        "stage": "  {table}：阶段 {spelling} 为 {kind}：{rows:,} 行",
        "beside": "非阶段，不计入",
        "unknown": "未知，拒收",
        "hidden": "（已隐藏：疑似个人信息）",
        "more": "  {table}：另有 {more:,} 种写法",
        "owners": "  负责人：商机中共 {owners:,} 人，{rows:,} 行中 {without:,} 行没有负责人",
        "dates": "  {table}：日期：{counts}",
        "form": "按 {form} 读取 {count:,} 个",
        "unread": "无格式可读取 {count:,} 个",
        "and": "，",
        "unclaimed": "  {table}：{file}：未读取的列 {headers}",
        "unconfirmed": "  待确认：{place}：{what}",
    },
}


def choice_lines(outcome: Outcome, folder: Folder, configuration_file: Path) -> list[str]:
    """What stages, forms of dates, owners and the mapping do, and which choices are still marked to be confirmed, in the company's language."""
    company = outcome.company
    engine = DuckDB(outcome.home.spill)
    lake = Lake(outcome.home.lake, engine, outcome.as_of)
    said = _SAID[company.language]
    lines = [said["choices"]]
    for name, kind in _STAGED.items():
        if name in company.exports.tables and f"exported_{name}" in outcome.stored:
            judged = engine.arrow(Query(f"SELECT stage, stage_key, {kind} AS stage_kind FROM exported", {"exported": lake.parquet(f"exported_{name}")}))
            lines += _stage_lines(name, spelling_counts(judged), said)
    if "exported_opportunities" in outcome.stored:
        owners = engine.arrow(Query("SELECT owner_id FROM exported", {"exported": lake.parquet("exported_opportunities")}))["owner_id"]
        lines.append(said["owners"].format(owners=pc.count_distinct(owners).as_py(), without=owners.null_count, rows=len(owners)))
    for name in company.exports.tables:
        lines += _file_lines(name, folder, company, said)
    return lines + _unconfirmed(configuration_file, said)


def _stage_lines(table: str, counts: list[SpellingCount], said: dict[str, str]) -> Iterator[str]:
    for count in counts[:_SPELLINGS_SHOWN]:
        kind = said["beside"] if count.is_beside else count.stage or said["unknown"]
        spelling = repr(count.spelling) if is_quotable(count.spelling) else said["hidden"]
        yield said["stage"].format(table=table, spelling=spelling, kind=kind, rows=count.rows)
    if len(counts) > _SPELLINGS_SHOWN:
        yield said["more"].format(table=table, more=len(counts) - _SPELLINGS_SHOWN)


def _file_lines(table: str, folder: Folder, company: Configuration, said: dict[str, str]) -> Iterator[str]:
    try:
        choices = file_choices(folder, table, company)
    except ExportError:
        return  # the table could not be read at all, which the findings say
    if choices.dates:
        ordered = sorted(choices.dates.items(), key=lambda d: (-d[1], d[0]))
        counts = said["and"].join(said["unread" if form == UNREAD else "form"].format(count=count, form=form) for form, count in ordered)
        yield said["dates"].format(table=table, counts=counts)
    for file, headers in sorted(choices.unclaimed.items()):
        yield said["unclaimed"].format(table=table, file=file, headers=listed(headers))


def _unconfirmed(path: Path, said: dict[str, str]) -> list[str]:
    """The marks that are still in the configuration."""
    return [
        said["unconfirmed"].format(place=f"{path.name}:{number}", what=line.strip().removeprefix(f"# {CONFIRM}").strip().partition(". ")[0])
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if line.strip().startswith(f"# {CONFIRM}")
    ]
