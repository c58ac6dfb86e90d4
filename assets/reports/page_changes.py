"""What changed in the forecast since the end of the month before, on the report page.

What belongs here: reading forecast_changes into the page's grid, one row per period and one column per cause. What does
not: the attribution (models/mean_changes.py); nothing is computed here.
"""

from collections.abc import Mapping

import pandas as pd

from assets.reports.page_figures import NONE, Figures, Grid, grid
from assets.reports.page_forecast import Period

COLUMNS = ("opening", "won", "lost", "created", "amount", "timing", "progress", "new_business", "model", "closing")
"""Opening, the causes of change, closing: in this order they add up."""

_ENDS = ("opening", "closing")


def change_grid(tables: Mapping[str, pd.DataFrame], periods: list[Period], segments: list[tuple[str, str]], figures: Figures) -> Grid:
    """Every figure of the section, per segment and period; without rows where the earlier forecast could not be replayed."""
    changes = tables["forecast_changes"]
    changes = changes[changes["subject"] == "forecast"]
    key = ["period_kind", "period_start", "dimension", "member"]
    wide = changes.set_index([*key, "cause"])["amount"].astype(float).unstack("cause").reindex(columns=list(COLUMNS)).fillna(0.0).reset_index()
    written = {c: wide[c].map(figures.amount_cell if c in _ENDS else figures.signed_amount) for c in COLUMNS}
    rows = wide["period_kind"].astype(str) + " " + pd.to_datetime(wide["period_start"]).dt.strftime("%Y-%m-%d")
    frame = pd.DataFrame({"dimension": wide["dimension"], "member": wide["member"], "row": rows, **written})
    explained = set(rows)
    return grid(frame, segments, [p.row for p in periods if p.row in explained], dict.fromkeys(COLUMNS, NONE))


def since(tables: Mapping[str, pd.DataFrame], figures: Figures) -> str:
    """The day that the forecast is compared with."""
    days = tables["forecast_changes"]["since"]
    return figures.day(days.iloc[0]) if len(days) else NONE
