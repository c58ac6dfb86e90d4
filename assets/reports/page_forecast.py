"""The forecast on the report page: periods against target, what they are made of, and how good such forecasts were.

What belongs here: reading the published forecast tables into the page's grid and its track record. What does not:
any estimate; the only arithmetic is gap and attainment against the target, and the errors of past forecasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from assets.reports.page_figures import NONE, Figures, Grid, grid, is_missing, last_day, percentages
from models.live_record import OF_RECORD
from models.scoring import relative_bias, wape
from models.targets import bookings_targets

PARTS = ("won", "open_pipeline", "new_business")
SIMPLE = ("weighted_pipeline", "run_rate", "same_period_last_year", "crm_probability")
CALLS = ("call_commit", "call_best_case")
BASELINES = (*SIMPLE, *CALLS)
AS_PUBLISHED = "as_published"
"""Stands in the track record for what was published at the time, by whichever method."""

KINDS = ("month", "quarter", "week")
LEADS = (1, 2, 3)

_TEXTS = (
    "mean",
    "mean_cell",
    "range",
    "target",
    "target_note",
    "gap",
    "gap_class",
    "p_target",
    "attainment",
    "attainment_range",
    "floor",
    "floor_words",
    "wins",
    *PARTS,
    *BASELINES,
)
_LENGTHS = (
    "won_width",
    "open_x",
    "open_width",
    "new_x",
    "new_width",
    "range_x",
    "range_width",
    "mean_x",
    "target_x",
    *(f"{m}_x" for m in BASELINES),
)
_VISIBLE = ("target_seen", *(f"{m}_seen" for m in BASELINES))

BLANKS = {
    **dict.fromkeys(_TEXTS, NONE),
    "gap_class": "",
    "target_note": "",
    **dict.fromkeys(_LENGTHS, "0%"),
    **dict.fromkeys(_VISIBLE, "hidden"),
}


@dataclass(frozen=True)
class Period:
    """One forecast period of the page."""

    row: str
    kind: str
    start: pd.Timestamp
    name: str
    is_current: bool
    is_next: bool
    is_over: bool


def forecast_periods(tables: Mapping[str, pd.DataFrame], as_of: date, figures: Figures) -> list[Period]:
    """The periods of the company's forecast: months, then quarters, then weeks, each in order of time.

    Current is, of each kind, the one that holds the first instant after the as-of date: at a month's last day that
    month is over and the next one is current. ``is_next`` tells that it has not begun at the as-of date.
    """
    forecast = tables["revenue_forecast"]
    company = forecast[(forecast["dimension"] == "all") & (forecast["component"] == "total")]
    starts = company[["period_kind", "period_start"]].drop_duplicates().sort_values("period_start")
    now = pd.Timestamp(as_of) + timedelta(days=1)
    return [
        Period(
            row=row_name(kind, start),
            kind=kind,
            start=start,
            name=figures.period(kind, start),
            is_current=start <= now and last_day(kind, start) >= now.date(),
            is_next=start == now,
            is_over=last_day(kind, start) < now.date(),
        )
        for kind in KINDS
        for start in starts.loc[starts["period_kind"] == kind, "period_start"]
    ]


def baselines_shown(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """The methods that stand beside the forecast: the simple ones, and people's calls where there are any."""
    called = set(tables["forecast_baselines"]["method"]) & set(CALLS)
    return (*SIMPLE, *(method for method in CALLS if method in called))


def row_name(kind: str, start: pd.Timestamp) -> str:
    """The name of a period's row in a grid."""
    return f"{kind} {start:%Y-%m-%d}"


def forecast_grid(tables: Mapping[str, pd.DataFrame], periods: list[Period], segments: list[tuple[str, str]], figures: Figures) -> Grid:
    """Every figure and length of the forecast section, per segment and period."""
    return grid(_written(_measured(tables, figures), figures), segments, [p.row for p in periods], BLANKS)


def _measured(tables: Mapping[str, pd.DataFrame], figures: Figures) -> pd.DataFrame:
    """One row per period and segment: total, parts, baselines and target side by side."""
    key = ["period_kind", "period_start", "dimension", "member"]
    forecast = tables["revenue_forecast"]
    total = forecast.loc[forecast["component"] == "total", [*key, "mean", "p10", "p90", "noise_floor", "expected_wins"]]
    parts = _side_by_side(forecast, key, "component", "mean", PARTS)
    baselines = _side_by_side(tables["forecast_baselines"], key, "method", "value", BASELINES)
    return (
        total.merge(parts, on=key, how="left", validate="1:1")
        .merge(baselines, on=key, how="left", validate="1:1")
        .merge(bookings_targets(figures.company.targets, figures.company.fiscal_year_start_month), on=key, how="left", validate="m:1")
        .merge(tables["target_outlook"][[*key, "p_target"]], on=key, how="left", validate="m:1")
        .reset_index(drop=True)
    )


def _side_by_side(frame: pd.DataFrame, key: list[str], names: str, values: str, wanted: tuple[str, ...]) -> pd.DataFrame:
    return frame.set_index([*key, names])[values].astype(float).unstack(names).reindex(columns=list(wanted)).reset_index()


def _written(measured: pd.DataFrame, figures: Figures) -> pd.DataFrame:
    """The measured frame as texts and lengths: one common scale per segment and kind of period."""
    m = measured
    target = m["target"].where(m["target"] > 0)
    gap, attainment = m["mean"] - target, m["mean"] / target
    by_scale = m[["mean", "p90", "target", *BASELINES]].max(axis="columns").groupby([m["dimension"], m["member"], m["period_kind"]])
    scale = by_scale.transform("max").mul(1.02)
    scale = scale.where(scale > 0)
    share = {name: m[name].div(scale).fillna(0) for name in ("mean", "p10", "p90", "target", *PARTS, *BASELINES)}
    low, high = m["p10"].map(figures.amount_cell), m["p90"].map(figures.amount_cell)
    written = {
        "mean": m["mean"].map(figures.amount),
        "mean_cell": m["mean"].map(figures.amount_cell),
        "range": _joined(low, high, figures),
        "target": target.map(figures.amount_cell),
        "target_note": pd.Series(
            [
                figures.say(f"headline.no_target_{kind}") if is_missing(aim) else figures.say("headline.summed_target") if summed is True else ""
                for kind, aim, summed in zip(m["period_kind"], target, m["is_sum"], strict=True)
            ],
            index=m.index,
            dtype=object,
        ),
        "gap": gap.map(figures.signed_amount),
        "gap_class": gap.map(lambda value: "" if is_missing(value) else "short" if value < 0 else "made"),
        "p_target": m["p_target"].astype(float).map(figures.share),
        "attainment": attainment.map(figures.share),
        "attainment_range": _joined((m["p10"] / target).map(figures.share), (m["p90"] / target).map(figures.share), figures),
        "floor": m["noise_floor"].map(lambda v: NONE if is_missing(v) else f"±{figures.share(v)}"),
        "floor_words": m["noise_floor"].map(
            lambda v: figures.say("headline.no_floor") if is_missing(v) else figures.say("headline.floor", share=figures.share(v))
        ),
        "wins": m["expected_wins"].map(figures.number),
        **{part: m[part].map(figures.amount_cell) for part in (*PARTS, *BASELINES)},
        "won_width": percentages(share["won"]),
        "open_x": percentages(share["won"]),
        "open_width": percentages(share["open_pipeline"]),
        "new_x": percentages(share["won"] + share["open_pipeline"]),
        "new_width": percentages(share["new_business"]),
        "range_x": percentages(share["p10"]),
        "range_width": percentages(share["p90"] - share["p10"]),
        "mean_x": percentages(share["mean"]),
        "target_x": percentages(share["target"]),
        "target_seen": _seen(target),
        **{f"{method}_x": percentages(share[method]) for method in BASELINES},
        **{f"{method}_seen": _seen(m[method]) for method in BASELINES},
    }
    rows = m["period_kind"] + " " + m["period_start"].dt.strftime("%Y-%m-%d")
    return pd.DataFrame({"dimension": m["dimension"], "member": m["member"], "row": rows, **written})


def _joined(low: pd.Series, high: pd.Series, figures: Figures) -> pd.Series:
    return pd.Series(map(figures.span, low, high), index=low.index, dtype=object)


def _seen(values: pd.Series) -> pd.Series:
    return values.notna().map({True: "visible", False: "hidden"})


@dataclass(frozen=True)
class LeadRecord:
    """How a method did at one lead: its error over ``origins``, and how often the 80 % range held of those it gave."""

    origins: int
    wape: float
    bias: float
    inside: int
    ranges: int


@dataclass(frozen=True)
class Record:
    """Track record of one method on the company's past months, by lead in months; ``live`` forecasts were published then."""

    method: str
    is_published: bool
    is_simple: bool
    leads: dict[int, LeadRecord]
    live: int


def track_record(tables: Mapping[str, pd.DataFrame]) -> list[Record]:
    """How every method did on past months of the whole company: the published one first, then what was published at the
    time, then the smaller error first. Of one origin a forecast may be replayed and have been published, so they stand apart."""
    scored = tables["forecast_accuracy"]
    scored = scored[(scored["period_kind"] == "month") & (scored["dimension"] == "all") & scored["lead_months"].isin(LEADS)]
    is_live, published = scored["kind"] == "live", published_method(tables)
    live = scored[is_live]
    records = [_record(str(method), of_method, live, method == published) for method, of_method in scored[~is_live].groupby("method")]
    own = {AS_PUBLISHED: published_then(live), OF_RECORD: live[live["method"] == OF_RECORD]}
    records += [_record(name, rows, rows.assign(method=name), False) for name, rows in own.items() if len(rows)]
    return sorted(
        records, key=lambda r: (not r.is_published, r.method not in (AS_PUBLISHED, OF_RECORD), r.leads[1].wape if 1 in r.leads else float("inf"), r.method)
    )


def published_then(live: pd.DataFrame) -> pd.DataFrame:
    """Of live rows those of the forecasts themselves, without the simple methods beside them and what somebody froze."""
    return live[~live["method"].isin([*BASELINES, OF_RECORD])]


def _record(method: str, scored: pd.DataFrame, live: pd.DataFrame, is_published: bool) -> Record:
    return Record(
        method=method,
        is_published=is_published,
        is_simple=method in SIMPLE,
        leads={int(lead): _lead_record(at_lead) for lead, at_lead in scored.groupby("lead_months")},
        live=int((live["method"] == method).sum()),
    )


def _lead_record(scored: pd.DataFrame) -> LeadRecord:
    ranged = scored["inside_80"].dropna().astype(bool)
    return LeadRecord(
        origins=scored["origin"].nunique(),
        wape=wape(scored["forecast"].to_numpy(), scored["actual"].to_numpy()),
        bias=relative_bias(scored["forecast"].to_numpy(), scored["actual"].to_numpy()),
        inside=int(ranged.sum()),
        ranges=len(ranged),
    )


def published_method(tables: Mapping[str, pd.DataFrame]) -> str | None:
    """The method that gave the published forecast of the whole company."""
    forecast = tables["revenue_forecast"]
    methods = forecast.loc[(forecast["dimension"] == "all") & (forecast["component"] == "total"), "method"]
    return None if methods.empty else methods.iloc[0]


def best_by_lead(records: list[Record]) -> dict[int, float]:
    """The smallest WAPE of every lead among the replayed methods."""
    replayed = [r for r in records if r.method not in (AS_PUBLISHED, OF_RECORD)]
    return {lead: min(r.leads[lead].wape for r in replayed if lead in r.leads) for lead in LEADS if any(lead in r.leads for r in replayed)}


def verdicts(tables: Mapping[str, pd.DataFrame], records: list[Record], figures: Figures) -> list[str]:
    """What the track record says, in sentences: the forecast against the best simple method, the choice of the method,
    and whether the deals' own signal is better than the base rate."""
    return [
        *_against_simple_methods(records, figures),
        *_choices(tables["method_choice"], figures),
        *_signal(tables["deal_accuracy"], figures),
    ]


def _against_simple_methods(records: list[Record], figures: Figures) -> list[str]:
    published = [r for r in records if r.is_published and 1 in r.leads]
    simple = [r for r in records if r.is_simple and 1 in r.leads]
    if not published or not simple:
        return []
    simplest = min(simple, key=lambda r: r.leads[1].wape)
    ours, best = published[0].leads[1], simplest.leads[1]
    key = "record.better" if ours.wape < best.wape else "record.worse"
    return [
        figures.say(
            key,
            wape=figures.rate(ours.wape),
            n=ours.origins,
            simple=figures.name("method", simplest.method),
            simple_wape=figures.rate(best.wape),
            simple_n=best.origins,
        )
    ]


def _choices(choices: pd.DataFrame, figures: Figures) -> list[str]:
    compared = choices.dropna(subset=["score", "baseline_score"])
    return [
        figures.say(f"choice.{question}", better=int((asked["score"] < asked["baseline_score"]).sum()), n=len(asked))
        for question, asked in compared.groupby("question")
    ]


def _signal(accuracy: pd.DataFrame, figures: Figures) -> list[str]:
    """What is said of telling deals apart: by the horizon ``which``, whose gain owes nothing to the level of the rate."""
    which = accuracy[(accuracy["horizon"] == "which") & accuracy["is_published"].astype(bool)]
    if which.empty:
        return []
    row = which.iloc[0]
    if row["method"] in ("base_rate", "closing_time"):
        key = "signal.none"
    elif is_missing(row["gain_low"]):
        key = "signal.unjudged"
    else:
        key = "signal.some" if row["gain_low"] > 0 else "signal.uncertain"
    return [
        figures.say(
            key,
            method=figures.name("method", row["method"]),
            deals=figures.count(row["deals"]),
            origins=figures.count(row["origins"]),
            base_rate=figures.rate(row["base_rate"]),
            gain=figures.number(row["gain"], 3),
            low=figures.number(row["gain_low"], 3),
            high=figures.number(row["gain_high"], 3),
        )
    ]
