"""The funnel on the report page: conversion, dwell and flow of the stages in a few recent periods.

What belongs here: reading the published metric tables into the page's grids. What does not: any rate; every one
comes from its table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from assets.reports.page_figures import NONE, Figures, Grid, grid, percentages

TABLES = ("stage_conversion", "stage_dwell", "funnel_flow", "win_rates")

ENTRIES = ("entered_new", "entered_advanced", "entered_regressed", "entered_reopened")

FLOWS = (
    "opening",
    *ENTRIES,
    "advanced",
    "regressed",
    "won",
    "lost",
    "closing",
)

STAGE_BLANKS = {
    **dict.fromkeys(("entered", "observed", "interval", "filled", "eventual", "eventual_interval", "still_open", "benchmark"), NONE),
    **dict.fromkeys(("bar_width", "ci_x", "ci_width", "benchmark_x"), "0%"),
    "benchmark_seen": "hidden",
    "conversion_class": "",
    **dict.fromkeys(("visits", "completed", "median", "km", "p90", "mean", "overtime", "dwell_benchmark"), NONE),
    "dwell_class": "",
    **dict.fromkeys((f"flow_{name}" for name in FLOWS), NONE),
    "closing_paused": NONE,
    "closing_amount": NONE,
    "template": NONE,
    "template_class": "",
}

WIN_BLANKS = {
    **dict.fromkeys(("win_rate", "win_interval", "closed", "won_amount", "mean_amount", "cycle", "velocity", "created"), NONE),
    "win_class": "",
    "won_class": "",
}


@dataclass(frozen=True)
class FunnelPeriod:
    """A period the funnel can be shown for; the first of the list is shown until another is chosen."""

    kind: str
    start: pd.Timestamp
    name: str
    is_partial: bool


def funnel_periods(tables: Mapping[str, pd.DataFrame], figures: Figures) -> list[FunnelPeriod]:
    """The last whole month, the last whole quarter, and the month and quarter that are not over, where there are any.

    Where no month is whole yet the partial one comes first.
    """
    columns = ["period_kind", "period_start", "is_partial"]
    held = pd.concat([tables[name].loc[tables[name]["dimension"] == "all", columns] for name in TABLES], ignore_index=True)
    held = held.drop_duplicates(columns)
    newest = held.groupby(["is_partial", "period_kind"])["period_start"].max()
    return [
        FunnelPeriod(kind, start, figures.period(kind, start), partial)
        for partial in (False, True)
        for kind in ("month", "quarter")
        if (start := newest.get((partial, kind))) is not None
    ]


def stage_grid(tables: Mapping[str, pd.DataFrame], periods: list[FunnelPeriod], segments: list[tuple[str, str]], figures: Figures) -> Grid:
    """Conversion, dwell and flow per segment, period and stage; rows are ordered period by period."""
    key = ["period_kind", "period_start", "dimension", "member", "stage"]
    written = [
        _written_conversion(_of_periods(tables["stage_conversion"], periods), figures),
        _written_dwell(_of_periods(tables["stage_dwell"], periods), figures),
        _written_flow(_of_periods(tables["funnel_flow"], periods), figures),
    ]
    whole = pd.concat([part.set_index(key) for part in written], axis="columns").reset_index()
    rows = whole["period_kind"] + " " + whole["period_start"].dt.strftime("%Y-%m-%d") + " " + whole["stage"]
    stages = [stage for stage in figures.stages() if stage in set(whole["stage"])]
    return grid(whole.assign(row=rows), segments, [funnel_row(p, stage) for p in periods for stage in stages], STAGE_BLANKS)


def win_grid(tables: Mapping[str, pd.DataFrame], periods: list[FunnelPeriod], segments: list[tuple[str, str]], figures: Figures) -> Grid:
    """Win rate, cycle and velocity per segment and period."""
    rates = _of_periods(tables["win_rates"], periods)
    closed = rates["won"] + rates["lost"]
    rows = rates["period_kind"] + " " + rates["period_start"].dt.strftime("%Y-%m-%d")
    written = rates[["dimension", "member"]].assign(
        row=rows,
        win_rate=rates["win_rate_count"].map(figures.rate),
        win_interval=_spans(rates["win_rate_low"], rates["win_rate_high"], figures),
        closed=closed.map(figures.count),
        won_amount=rates["won_amount"].map(figures.amount),
        mean_amount=rates["mean_amount"].map(figures.amount),
        cycle=rates["cycle_mean_days"].map(figures.number),
        velocity=rates["velocity"].map(figures.amount),
        created=rates["created"].map(figures.count),
        win_class=_small(closed, figures),
        won_class=_small(rates["won"], figures),
    )
    return grid(written, segments, [funnel_row(p) for p in periods], WIN_BLANKS)


def funnel_row(period: FunnelPeriod, stage: str | None = None) -> str:
    """The name of a row in the funnel's grids."""
    name = f"{period.kind} {period.start:%Y-%m-%d}"
    return name if stage is None else f"{name} {stage}"


def _of_periods(frame: pd.DataFrame, periods: list[FunnelPeriod]) -> pd.DataFrame:
    wanted = pd.MultiIndex.from_tuples([(p.kind, p.start) for p in periods], names=["period_kind", "period_start"])
    return frame[pd.MultiIndex.from_frame(frame[["period_kind", "period_start"]]).isin(wanted)].reset_index(drop=True)


def _keys(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["period_kind", "period_start", "dimension", "member", "stage"]]


def _written_conversion(c: pd.DataFrame, figures: Figures) -> pd.DataFrame:
    return _keys(c).assign(
        entered=c["entered"].map(figures.count),
        observed=c["conversion_observed"].map(figures.rate),
        interval=_spans(c["ci_low"], c["ci_high"], figures),
        filled=c["conversion_filled"].map(figures.rate),
        eventual=c["conversion_eventual"].map(figures.rate),
        eventual_interval=_spans(c["eventual_low"], c["eventual_high"], figures),
        still_open=c["still_open"].map(figures.count),
        benchmark=c["benchmark"].map(figures.share),
        bar_width=percentages(c["conversion_observed"]),
        ci_x=percentages(c["ci_low"]),
        ci_width=percentages(c["ci_high"] - c["ci_low"]),
        benchmark_x=percentages(c["benchmark"]),
        benchmark_seen=c["benchmark"].notna().map({True: "visible", False: "hidden"}),
        conversion_class=_small(c["entered"], figures),
    )


def _written_dwell(d: pd.DataFrame, figures: Figures) -> pd.DataFrame:
    overtime = [
        figures.say("funnel.overtime", count=figures.count(n), share=figures.share(share)) for n, share in zip(d["overtime"], d["overtime_share"], strict=True)
    ]
    return _keys(d).assign(
        visits=d["visits"].map(figures.count),
        completed=d["completed"].map(figures.count),
        mean=d["mean_days"].map(figures.number),
        median=d["median_days"].map(figures.number),
        km=d["km_median_days"].map(figures.number),
        p90=d["p90_days"].map(figures.number),
        overtime=pd.Series(overtime, index=d.index, dtype=object),
        dwell_benchmark=d["benchmark_days"].map(figures.number),
        dwell_class=_small(d["completed"], figures),
    )


def _written_flow(f: pd.DataFrame, figures: Figures) -> pd.DataFrame:
    return _keys(f).assign(
        **{f"flow_{name}": f[name].map(figures.count) for name in FLOWS},
        closing_paused=f["closing_paused"].map(figures.count),
        closing_amount=f["closing_amount"].map(figures.amount_cell),
        template=f["template_conversion"].map(figures.rate),
        template_class=_small(f["opening"] + f[list(ENTRIES)].sum(axis="columns") - f["lost"], figures),
    )


def _spans(low: pd.Series, high: pd.Series, figures: Figures) -> pd.Series:
    texts = map(figures.span, low.map(figures.share), high.map(figures.share))
    return pd.Series(list(texts), index=low.index, dtype=object)


def _small(counts: pd.Series, figures: Figures) -> pd.Series:
    return (counts < figures.company.thresholds.small_sample).map({True: "small", False: ""})
