"""Lists that people act on.

What belongs here: the report tables that name single deals. What does not: scores
and probabilities.
"""

import dagster as dg
import pandas as pd

from assets.declare import table_asset
from assets.exports.settings import Configuration
from assets.query import Parquet, Query, sql_beside
from models.settings import Language
from quality.tables.forecasts import FORECASTS

_PLAYBOOK: dict[Language, dict[str, tuple[str, str]]] = {
    "en": {
        "stage_overtime": (
            "{observed} days in the stage; the average is {reference} ({sample} visits ended in the last 12 months)",
            "executive visit; touches from one to two a week; ask what is disputed inside",
        ),
        "zombie": ("nothing for {observed} days; expected close date passed by {reference} days", "close or restart"),
        "not_updated_7d": ("not updated for {observed} days", "update it; the supervisor looks"),
    },
    "zh": {
        "stage_overtime": (
            "已在该阶段停留 {observed} 天，平均 {reference} 天（近 12 个月完成 {sample} 次）",
            "安排高层拜访；跟进由每周一次增至两次；了解客户内部争议点",
        ),
        "zombie": ("{observed} 天无任何动作；预计成交日期已过 {reference} 天", "关闭或重启"),
        "not_updated_7d": ("{observed} 天未更新", "更新商机；主管跟进"),
    },
}

_WITHOUT_REFERENCE: dict[Language, dict[str, str]] = {
    "en": {"zombie": "nothing for {observed} days"},
    "zh": {"zombie": "{observed} 天无任何动作"},
}


def playbook(language: Language) -> pd.DataFrame:
    """What the playbook says of each signal.

    Columns: signal, evidence (with places for figures), evidence_alone (the same where there is no reference, such as an
    expected close date that has passed), suggested_action.
    """
    rows = [(signal, evidence, _WITHOUT_REFERENCE[language].get(signal, evidence), action) for signal, (evidence, action) in _PLAYBOOK[language].items()]
    return pd.DataFrame(rows, columns=["signal", "evidence", "evidence_alone", "suggested_action"])


@table_asset(FORECASTS.tables["risk_list"], "reports")
def risk_list(opportunities: Parquet, stage_visits: Parquet, stages: Parquet, parameters: Parquet, company: dg.ResourceParam[Configuration]) -> Query:
    tables = {
        "opportunities": opportunities,
        "stage_visits": stage_visits,
        "stages": stages,
        "parameters": parameters,
        "playbook": playbook(company.language),
    }
    return Query(sql_beside(__file__, "risk_list"), tables)


@table_asset(FORECASTS.tables["audit_sample"], "reports")
def audit_sample(opportunities: Parquet, parameters: Parquet) -> Query:
    return Query(sql_beside(__file__, "audit_sample"), {"opportunities": opportunities, "parameters": parameters})
