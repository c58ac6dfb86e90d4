"""What a run could not compute, and why, in one line each.

What belongs here: the sentences of run_log.skipped. What does not: refusing anything; a missing optional table
never stops a run.
"""

from collections.abc import Mapping
from datetime import date

import pandas as pd

from assets.core.records import RECORDS
from assets.exports.settings import Configuration
from assets.query import Engine, Parquet, Query
from assets.reports.page_figures import phrases
from models.settings import Language
from quality.tables import EXPORTED

_LACKING: dict[str, dict[Language, str]] = {
    "stage_history": {
        "en": "stage history: entries are derived from dates of the opportunities or from successive snapshots",
        "zh": "阶段历史：阶段进入时间由商机自身日期或多次导出的差异推得",
    },
    "field_history": {
        "en": "changes of amounts and expected close dates: each holds its present value throughout",
        "zh": "金额与预计成交日期的变化：全程按当前值计",
    },
    "owners": {"en": "teams, names and unknown owners", "zh": "团队、姓名与未知负责人"},
    "activities": {"en": "days without activity", "zh": "无活动天数"},
    "accounts": {"en": "names of customers", "zh": "客户名称"},
    "targets": {"en": "attainment and gap to target", "zh": "目标完成率与差距"},
    "forecast_calls": {"en": "people's own calls beside the forecast", "zh": "销售自报预测与模型预测的对比"},
}
"""What is not there without an optional table, of what is built."""

NOT_BUILT: dict[Language, tuple[str, ...]] = {
    "en": (
        "lead conversion and lead scores",
        "response times and follow-up cadence",
        "health score, fit and grade",
        "decision-chain coverage",
        "stage gates",
        "collection rate",
        "customer satisfaction",
        "bottlenecks and comparison of owners",
    ),
    "zh": (
        "线索转化与评分",
        "响应时间与跟进频率",
        "健康度、匹配度与分级",
        "决策链覆盖率",
        "阶段准入检查",
        "回款率",
        "客户满意度",
        "瓶颈与负责人对比",
    ),
}
"""What no run computes yet, whatever is exported."""

USED = ("opportunities", "stage_history", "field_history", "owners", "activities", "accounts", "targets", "exchange_rates", "forecast_calls")
"""Exported tables that some number or name comes from; of the others those of `RECORDS` are trusted tables, the rest is read and checked and goes no further."""

_SENTENCES: dict[str, dict[Language, tuple[str, str]]] = {
    "absent": {"en": ("{what}", "no {table} export"), "zh": ("{what}", "没有导出{table}")},
    "not_built": {"en": ("{what}", "not built yet, whatever is exported"), "zh": ("{what}", "尚未实现，与导出内容无关")},
    "kept": {
        "en": ("{what}", "read, checked and kept as trusted tables, and used for no number yet"),
        "zh": ("{what}", "已读取、检查并存为可信表，但尚未用于任何数字"),
    },
    "unused": {"en": ("{what}", "read and checked, and used for no number yet"), "zh": ("{what}", "已读取并检查，但尚未用于任何数字")},
    "note": {"en": ("reading", "{note}"), "zh": ("读取", "{note}")},
    "stale": {
        "en": ("anything that happened after {date}", "the newest export is {days} days older than the as-of date"),
        "zh": ("{date} 之后发生的一切", "最新导出比截止日期早 {days} 天"),
    },
    "undated": {
        "en": ("flow, conversion and dwell of {deals} opportunities", "no date is known for any of their stages"),
        "zh": ("{deals} 个商机的流量、转化与停留", "其任何阶段均无日期"),
    },
    "older": {
        "en": (
            "conversion and dwell of stays that were under way when the stage history began",
            "it begins {date}; {deals} of {all_deals} opportunities are older",
        ),
        "zh": ("阶段历史开始时已在进行的停留的转化与时长", "阶段历史始于 {date}；{all_deals} 个商机中有 {deals} 个更早创建"),
    },
    "not_in_history": {
        "en": ("conversion and dwell of {deals} of {all_deals} opportunities", "no stage history or earlier export holds their stages"),
        "zh": ("{all_deals} 个商机中 {deals} 个的转化与停留", "阶段历史或更早的导出中没有其阶段"),
    },
    "vanished_open": {
        "en": ("what became of {deals} open opportunities", "the newest export lacks them; they count as still open (vanished: open)"),
        "zh": ("{deals} 个在途商机的去向", "最新导出中没有它们；仍按在途计（vanished: open）"),
    },
    "vanished_deleted": {
        "en": ("{deals} opportunities that were open", "the newest export lacks them; they count as deleted (vanished: deleted)"),
        "zh": ("{deals} 个曾在途的商机", "最新导出中没有它们；按已删除计（vanished: deleted）"),
    },
    "bulk_edited": {
        "en": ("the last change of {deals} open opportunities as a sign of work", "it was made to many of them in the same minute"),
        "zh": ("{deals} 个在途商机的最后更新（不视为跟进）", "同一分钟内批量修改"),
    },
    "open_amount": {
        "en": ("own amounts of {deals} open opportunities", "no amount is known; the forecast takes what comparable won deals brought"),
        "zh": ("{deals} 个在途商机的金额", "金额未知；预测取同类赢单的平均金额"),
    },
    "won_amount": {
        "en": ("revenue of {deals} won opportunities", "no amount is known; they count as wins and not in amounts"),
        "zh": ("{deals} 个赢单的收入", "金额未知；计入赢单数，不计入金额"),
    },
    "forecast_changes": {
        "en": ("what changed in the mean forecast, by cause", "too few deals had closed by the end of the month before, or no amount is known"),
        "zh": ("预测均值变化的原因分解", "上月末时关闭的商机过少，或没有任何金额"),
    },
}

_COUNTS_SQL = """
SELECT
    count(*) AS all_deals,
    count(*) FILTER (course IS NULL) AS undated,
    count(*) FILTER (course = 'partial') AS older,
    count(*) FILTER (course = 'unknown') AS not_in_history,
    count(*) FILTER (status = 'open' AND is_vanished) AS vanished_open,
    count(*) FILTER (status = 'open' AND is_bulk_edited) AS bulk_edited
FROM opportunities
"""

_BEGINNING_SQL = """
-- A deal that left its first stage, or closed, before the history began is seen when it left.
SELECT CAST(min(seen_at) AS DATE) AS day
FROM stage_visits
WHERE course = 'partial' AND visit_number = 1 AND (exited_at IS NULL OR seen_at < exited_at)
"""

_VANISHED_SQL = """
-- As in opportunity_versions.sql, which takes them out: deals that were deleted or merged left history anyway.
WITH seen AS (
    SELECT o.*, a.as_of, max(o._snapshot) OVER () AS newest FROM exported_opportunities AS o, as_of AS a WHERE o._snapshot <= a.as_of
),
deals AS (
    SELECT
        arg_max(coalesce(status, 'open'), _snapshot) FILTER (_verdict <> 'rejected') AS status,
        max(_snapshot) < max(newest) AS is_vanished,
        arg_max(
            coalesce(deleted_at < as_of + INTERVAL 1 DAY, coalesce(is_deleted, FALSE) OR coalesce(merged_into <> opportunity_id, FALSE)), _snapshot
        ) FILTER (_verdict <> 'rejected') AS is_gone
    FROM seen GROUP BY opportunity_id
)
SELECT count(*) FILTER (status = 'open' AND is_vanished AND NOT is_gone) AS deals FROM deals
"""

_EXPLAINED_SQL = "SELECT count(*) > 0 AS is_there FROM forecast_changes WHERE subject = 'forecast'"

_NO_AMOUNT_SQL = """
SELECT
    count(*) FILTER (status = 'open') AS open_deals,
    count(*) FILTER (status = 'won') AS won_deals
FROM opportunities WHERE amount IS NULL
"""


def skipped(company: Configuration, notes: list[str], as_of: date, newest_export: date, tables: Mapping[str, Parquet], engine: Engine) -> list[dict[str, str]]:
    """One entry per thing not computed or left out, in the company's language: what, and why."""

    def say(key: str, **figures) -> dict[str, str]:
        what, why = _SENTENCES[key][company.language]
        return {"what": what.format(**figures), "why": why.format(**figures)}

    words, separator = phrases(company.language), {"en": ", ", "zh": "、"}[company.language]
    configured = company.exports.tables
    found = [
        say("absent", what=what[company.language], table=words[f"table.{name}"])
        for name, what in _LACKING.items()
        if name not in configured and not (name == "targets" and company.targets)
    ]
    unused = [name for name in EXPORTED if name in configured and name not in USED]
    for key, names in (("kept", [n for n in unused if n in RECORDS]), ("unused", [n for n in unused if n not in RECORDS])):
        found += [say(key, what=separator.join(words[f"table.{name}"] for name in names))] if names else []
    found += [say("note", note=note) for note in notes]
    age_days = (as_of - newest_export).days
    if age_days >= company.thresholds.stale_export_days:
        found.append(say("stale", date=newest_export, days=age_days))
    inputs = {"opportunities": tables["opportunities"]}
    counts = engine.arrow(Query(_COUNTS_SQL, inputs)).to_pylist()[0]
    all_deals = counts.pop("all_deals")
    unknown = engine.arrow(Query(_NO_AMOUNT_SQL, inputs)).to_pylist()[0]
    counts |= {"open_amount": unknown["open_deals"], "won_amount": unknown["won_deals"]}
    if company.vanished == "deleted":
        seen = {"exported_opportunities": tables["exported_opportunities"], "as_of": pd.DataFrame({"as_of": [as_of]})}
        counts |= {"vanished_open": 0, "vanished_deleted": engine.arrow(Query(_VANISHED_SQL, seen)).to_pylist()[0]["deals"]}
    began = engine.arrow(Query(_BEGINNING_SQL, {"stage_visits": tables["stage_visits"]})).to_pylist()[0]["day"]
    found += [say(key, deals=deals, all_deals=all_deals, date=began) for key, deals in counts.items() if deals]
    explained = engine.arrow(Query(_EXPLAINED_SQL, {"forecast_changes": tables["forecast_changes"]})).to_pylist()[0]["is_there"]
    found.append(say("not_built", what=separator.join(NOT_BUILT[company.language])))
    return found if explained else [*found, say("forecast_changes")]
