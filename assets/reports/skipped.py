"""What a run could not compute, and why, in one line each.

What belongs here: the sentences of run_log.skipped. What does not: refusing anything; a missing optional table
never stops a run.
"""

from collections.abc import Mapping

from assets.exports.settings import Configuration
from assets.query import Engine, Parquet, Query
from quality.tables import EXPORTED

_NEEDED_FOR = {
    "stage_history": "stage history: entries are derived from dates of the opportunities or from successive snapshots",
    "field_history": "changes of amounts and expected close dates: each holds its present value throughout",
    "owners": "teams and unknown owners",
    "activities": "follow-up cadence and days without activity",
    "leads": "lead conversion",
    "contact_roles": "decision-chain coverage",
    "targets": "attainment and gap to target",
    "forecast_calls": "people's own calls beside the forecast",
    "payments": "collection rate",
    "satisfaction": "customer satisfaction",
    "assessments": "health score and grade",
    "milestones": "stage gates",
}

_UNDATED_SQL = """
SELECT count(*) AS deals FROM opportunities WHERE stage_entered_at IS NULL
"""

_NO_AMOUNT_SQL = """
SELECT
    count(*) FILTER (status = 'open') AS open_deals,
    count(*) FILTER (status = 'won') AS won_deals
FROM opportunities WHERE amount IS NULL
"""


def skipped(company: Configuration, notes: list[str], tables: Mapping[str, Parquet], engine: Engine) -> list[dict[str, str]]:
    """One entry per thing not computed or left out: what, and why."""
    found = [
        {"what": what, "why": f"no {name} export"}
        for name, what in _NEEDED_FOR.items()
        if name in EXPORTED and name not in company.exports.tables and not (name == "targets" and company.targets)
    ]
    found += [{"what": "reading", "why": note} for note in notes]
    inputs = {"opportunities": tables["opportunities"]}
    undated = engine.arrow(Query(_UNDATED_SQL, inputs)).to_pylist()[0]["deals"]
    if undated:
        found.append({"what": f"flow, conversion and dwell of {undated} opportunities", "why": "no date is known for any of their stages"})
    unknown = engine.arrow(Query(_NO_AMOUNT_SQL, inputs)).to_pylist()[0]
    if unknown["open_deals"]:
        found.append({"what": f"own amounts of {unknown['open_deals']} open opportunities", "why": "no amount is known; the forecast takes what comparable won deals brought"})
    if unknown["won_deals"]:
        found.append({"what": f"revenue of {unknown['won_deals']} won opportunities", "why": "no amount is known; they count as wins and not in amounts"})
    return found
