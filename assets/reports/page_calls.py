"""People's calls on the report page: how each one's did, beside the model.

What belongs here: wording the rows of call_record. What does not: any figure of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from assets.reports.page_figures import NONE, Figures, is_missing

SHOWN = 60
"""Rows at most: those with most periods."""

DIMENSIONS = ("all", "team", "owner")


@dataclass(frozen=True)
class Call:
    """One row of the table, all as texts."""

    who: str
    dimension: str
    category: str
    n: str
    error: str
    bias: str
    bias_range: str
    inside: str
    helped: str
    helped_range: str
    verdict: str


def calls(tables: Mapping[str, pd.DataFrame], figures: Figures) -> list[Call]:
    """The company first, then teams, then people, those with most periods first."""
    record = tables["call_record"]
    place = record["dimension"].map({name: rank for rank, name in enumerate(DIMENSIONS)}).fillna(len(DIMENSIONS))
    ordered = record.assign(_place=place).sort_values(["n", "_place", "member", "category", "period_kind"], ascending=[False, True, True, False, True])
    shown = ordered.head(SHOWN).sort_values(["_place", "member", "category", "period_kind"], ascending=[True, True, False, True])
    return [_worded(row, figures) for row in shown.to_dict("records")]


def _worded(row: Mapping, figures: Figures) -> Call:
    compared = row["n_compared"]
    return Call(
        who=figures.member(row["member"], row["dimension"]),
        dimension=", ".join([figures.name("dimension", row["dimension"])] * (row["dimension"] != "all") + [figures.name("kind", row["period_kind"])]),
        category=figures.name("category", row["category"]),
        n=figures.count(row["n"]),
        error=figures.share(row["mean_error_share"]),
        bias=NONE if is_missing(row["bias_share"]) else f"{figures.signed(100 * row['bias_share'], 0)}%",
        bias_range=figures.span(figures.share(row["bias_low"]), figures.share(row["bias_high"])),
        inside=figures.say("calls.of", part=row["inside_model"], whole=compared) if compared else NONE,
        helped=figures.say("calls.of", part=row["helped"], whole=compared) if compared else NONE,
        helped_range=figures.span(figures.share(row["helped_low"]), figures.share(row["helped_high"])),
        verdict=figures.name("verdict", row["verdict"]),
    )
