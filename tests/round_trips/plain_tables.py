"""The company as text tables under Leadline's own column names, with the texts that files are bad at.

What belongs here: texts. What does not: files (file_forms.py).
"""

from collections.abc import Mapping

import pandas as pd

from tests.round_trips.company import Company
from tests.round_trips.file_forms import DAYS, FLAGS, NUMBERS, TIMES

COLUMNS = {
    "opportunities": (
        "opportunity_id name account_id opportunity_type owner_id stage amount currency created_at updated_at expected_close_date closed_at "
        "is_closed is_won loss_reason source industry product region forecast_category crm_probability"
    ),
    "stage_history": "opportunity_id stage entered_at amount expected_close_date owner_id",
    "field_history": "opportunity_id field old_value new_value changed_at",
    "activities": "activity_id opportunity_id owner_id kind happened_at",
    "owners": "owner_id team",
}
"""The columns that are written, in their order."""

ODD = {
    "Platform": 'Platform, "Plus"',
    "Analytics": "Analytics; A|B",
    "Services": "Services\nand training",
    "Retail": "Retail\tTrade",
    "North": "NA",
    "South": "null",
    "Software": "=1+1",
    "Education": "007",
}
"""Words with delimiters, quotes, line breaks, and what programs take for something else."""

CHINESE = {"Referral": "转介绍", "Website": "官网：“在线”", "Trade Show": "展会，镕", "East Team": "华东团队", "No Budget": "预算不足"}
WESTERN = {"Referral": "Empfehlung über Händler", "Website": "Café déjà vu", "Trade Show": "Messe Köln", "East Team": "Équipe Est", "No Budget": "Größe"}


def in_words(company: Company, words: Mapping[str, str]) -> Company:
    """The company with other words for its segments, teams and reasons."""
    columns = ("source", "industry", "product", "region", "team", "loss_reason")
    frames = {n: f.assign(**{c: f[c].map(lambda w: words.get(w, w), na_action="ignore") for c in columns if c in f}) for n, f in company.frames.items()}
    return Company(frames)


def with_numbers_for_ids(company: Company) -> Company:
    """The company with ids that are digits and begin with zeros, such as 0000000012."""
    return Company({n: f.assign(**{c: f[c].str.replace(_ID, r"\1", regex=True) for c in _HOLD_IDS if c in f}) for n, f in company.frames.items()})


_ID = r"^00[0-9A-Z]5g(\d{10})AAA$"
_HOLD_IDS = ("opportunity_id", "account_id", "owner_id", "activity_id", "old_value", "new_value")


def text_tables(company: Company) -> dict[str, pd.DataFrame]:
    """Every table as text, blank where there is no value; the index labels the rows."""
    return {name: pd.DataFrame({c: _text(c, company.frames[name][c]) for c in columns.split()}) for name, columns in COLUMNS.items()}


def _text(name: str, values: pd.Series) -> pd.Series:
    if name in TIMES:
        text = values.dt.strftime("%Y-%m-%d %H:%M:%S")
    elif name in DAYS:
        text = values.dt.strftime("%Y-%m-%d")
    elif name in FLAGS:
        text = values.map({True: "true", False: "false"})
    elif name == "crm_probability":
        text = (values / 100).map("{:.2f}".format)
    else:
        text = values.astype("Int64").astype("str") if name in NUMBERS else values
    return text.astype("str").where(values.notna(), "")
