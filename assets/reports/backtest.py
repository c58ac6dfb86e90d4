"""The backtest page: one HTML file that says what was judged, how, and how every method did. It opens offline.

What belongs here: choosing and ordering rows of the tables of the track record, and the sums whose formula stands beside them
(WAPE, bias, coverage). What does not: forecasts, the report page (page.py), and where figures stand in a drawing (backtest_plots.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from assets.reports import page_calls, page_forecast
from assets.reports.backtest_plots import Drawing, months_drawing, reliability_drawing
from assets.reports.page import conformed, template
from assets.reports.page_figures import NONE, Figures, is_missing, phrases
from models.live_record import OF_RECORD
from models.scoring import coverage, relative_bias, wape
from models.settings import Company, Language

TABLES = ("forecast_accuracy", "deal_accuracy", "reliability", "method_choice", "call_record", "revenue_forecast")
"""The tables that the page reads."""

HORIZONS = ("month_1", "month_2", "month_3", "ever", "which")
PLOTTED = ("month_1", "month_2", "month_3", "ever")
LEADS = (("month", 1), ("month", 2), ("month", 3), ("quarter", 0), ("quarter", 1))
"""Kind of period and months from the origin to its first; a quarter of 0 had begun at the origin."""


def render_backtest(tables: Mapping[str, pd.DataFrame], company: Company, as_of: date, language: Language) -> str:
    """The page as the text of an HTML file. ``tables`` are those of `TABLES` by name, in the columns of their contracts.

    Equal input gives equal text. A company of which nothing can be judged yet gets a page that says so.
    """
    figures = Figures(company, language, phrases(language))
    held = {name: conformed(tables.get(name), name) for name in TABLES}
    records = page_forecast.track_record(held)
    published = _published(held["deal_accuracy"])
    accuracy = held["forecast_accuracy"]
    replayed = accuracy[(accuracy["kind"] == "replayed") & (accuracy["dimension"] == "all")]
    live = _as_published(accuracy[(accuracy["kind"] == "live") & (accuracy["dimension"] == "all")])
    own = [name for name in (page_forecast.AS_PUBLISHED, OF_RECORD) if (live["method"] == name).any()]
    methods = _ordered(replayed, published)
    return template("backtest.html.j2").render(
        t=figures.say,
        figures=figures,
        company=company,
        language=language,
        as_of=as_of,
        published=published,
        facts=_facts(held, replayed, figures),
        verdicts=page_forecast.verdicts(held, records, figures),
        deals={h: _deals(held["deal_accuracy"], h, figures) for h in HORIZONS if (held["deal_accuracy"]["horizon"] == h).any()},
        reliability=_reliability(held["reliability"], published, figures),
        leads=[figures.say(f"bt.lead_{kind}" if lead else "bt.lead_begun", n=lead) for kind, lead in LEADS],
        errors=[*(_errors(replayed, method, published, figures) for method in methods), *(_errors(live, name, published, figures) for name in own)],
        bars=_bars(replayed, methods, published, figures),
        months=months_drawing(_months(replayed, published), figures),
        months_rows=_months_rows(_months(replayed, published), figures),
        covered=[*_covered(replayed, methods, figures), *_covered(live, own, figures)],
        choices=_choices(held["method_choice"], figures),
        calls=page_calls.calls(held, figures),
        small=company.thresholds.small_sample,
    )


def _as_published(live: pd.DataFrame) -> pd.DataFrame:
    """Live rows with the forecasts themselves under one name, by whichever method they were."""
    ours = page_forecast.published_then(live).index
    return live.assign(method=live["method"].mask(live.index.isin(ours), page_forecast.AS_PUBLISHED))


def _published(deals: pd.DataFrame) -> str | None:
    chosen = deals.loc[deals["is_published"].astype(bool), "method"]
    return None if chosen.empty else str(chosen.iloc[0])


def _ordered(replayed: pd.DataFrame, published: str | None) -> list[str]:
    """The published method first, then the others, then the baselines; each by name."""
    return sorted(replayed["method"].unique(), key=lambda m: (m != published, m in page_forecast.BASELINES, m))


def _facts(tables: Mapping[str, pd.DataFrame], replayed: pd.DataFrame, figures: Figures) -> list[tuple[str, str]]:
    """What was judged: label and words."""
    deals = tables["deal_accuracy"]
    origins = pd.concat([tables["method_choice"]["origin"], replayed["origin"]]).drop_duplicates().sort_values()
    months = replayed[replayed["period_kind"] == "month"]
    if origins.empty:
        return []
    pairs = deals.groupby("horizon")["deals"].max()
    return [
        (figures.say("bt.origins"), figures.say("bt.origins_words", n=len(origins), first=figures.day(origins.iloc[0]), last=figures.day(origins.iloc[-1]))),
        (
            figures.say("bt.pairs"),
            figures.say("list.separator").join(f"{figures.name('horizon', h)}: {figures.count(pairs[h])}" for h in HORIZONS if h in pairs),
        ),
        (figures.say("bt.periods"), figures.say("bt.periods_words", months=months["period_start"].nunique(), rows=figures.count(len(replayed)))),
        (figures.say("bt.published"), figures.name("method", _published(deals) or NONE)),
    ]


def _deals(accuracy: pd.DataFrame, horizon: str, figures: Figures) -> list[dict]:
    rows = accuracy[accuracy["horizon"] == horizon].sort_values(["is_published", "log_loss", "method"], ascending=[False, True, True])
    best = rows["log_loss"].min()
    return [
        {
            "method": figures.name("method", row["method"]),
            "is_published": bool(row["is_published"]),
            "is_best": row["log_loss"] == best,
            "n": figures.count(row["deals"]),
            "origins": figures.count(row["origins"]),
            "log_loss": figures.number(row["log_loss"], 3),
            "gain": NONE if is_missing(row["gain"]) else figures.signed(row["gain"], 3),
            "gain_range": figures.span(figures.number(row["gain_low"], 3), figures.number(row["gain_high"], 3)),
            "brier": figures.number(row["brier"], 3),
            "auc": figures.number(row["auc"], 3),
            "calibration": figures.rate(row["calibration_error"]),
            "accuracy": figures.rate(row["accuracy"]),
            "majority": figures.rate(row["majority_rate"]),
            "callable": figures.share(row["callable_share"]),
            "called": NONE
            if is_missing(row["callable_accuracy"])
            else figures.say("bt.called", share=figures.rate(row["callable_accuracy"]), n=figures.count(row["callable_deals"])),
        }
        for row in rows.to_dict("records")
    ]


@dataclass(frozen=True)
class Reliability:
    """The reliability table of one horizon, drawn and in figures."""

    name: str
    drawing: Drawing
    rows: list[dict]


def _reliability(table: pd.DataFrame, method: str | None, figures: Figures) -> list[Reliability]:
    own = table[table["method"] == method]
    found = []
    for horizon in PLOTTED:
        bins = own[own["horizon"] == horizon].sort_values("bin")
        if len(bins):
            rows = [
                {
                    "deals": figures.count(b["deals"]),
                    "predicted": figures.rate(b["predicted"]),
                    "observed": figures.rate(b["observed"]),
                    "range": figures.span(figures.rate(b["observed_low"]), figures.rate(b["observed_high"])),
                    "misses": not b["observed_low"] <= b["predicted"] <= b["observed_high"],
                }
                for b in bins.to_dict("records")
            ]
            found.append(Reliability(figures.name("horizon", horizon), reliability_drawing(bins), rows))
    return found


def _at(replayed: pd.DataFrame, kind: str, lead: int) -> pd.DataFrame:
    return replayed[(replayed["period_kind"] == kind) & (replayed["lead_months"] == lead)]


def _errors(replayed: pd.DataFrame, method: str, published: str | None, figures: Figures) -> dict:
    """WAPE and bias of one method by lead, and its WAPE ÷ that of the best simple method on the same periods."""
    cells = []
    for kind, lead in LEADS:
        at = _at(replayed, kind, lead)
        own = at[at["method"] == method]
        cells.append(
            {
                "wape": figures.rate(wape(own["forecast"].to_numpy(), own["actual"].to_numpy())) if len(own) else NONE,
                "bias": NONE
                if own.empty or own["actual"].sum() == 0
                else _signed_share(relative_bias(own["forecast"].to_numpy(), own["actual"].to_numpy()), figures),
                "ratio": figures.number(_ratio(at, own), 2),
                "n": len(own),
            }
        )
    return {
        "method": figures.name("method", method),
        "is_published": method == published,
        "is_baseline": method in page_forecast.SIMPLE,
        "cells": cells,
    }


def _ratio(at: pd.DataFrame, own: pd.DataFrame) -> float | None:
    """WAPE ÷ the smallest of the simple methods, over the periods that both were scored on; None where none was."""
    key = ["origin", "period_start"]
    ratios = []
    for _, simple in at[at["method"].isin(page_forecast.SIMPLE)].groupby("method"):
        both = own.merge(simple[[*key, "absolute_error"]], on=key, suffixes=("", "_simple"), validate="1:1")
        if len(both) and len(both) == len(own) and both["absolute_error_simple"].sum() > 0:
            ratios.append(both["absolute_error"].sum() / both["absolute_error_simple"].sum())
    return max(ratios) if ratios else None


def _signed_share(value: float, figures: Figures) -> str:
    return f"{figures.signed(100 * value, 1)}%"


def _bars(replayed: pd.DataFrame, methods: list[str], published: str | None, figures: Figures) -> list[dict]:
    """WAPE one month ahead as bars on one scale, the smallest first."""
    at = _at(replayed, "month", 1)
    scored = {m: own for m in methods if len(own := at[at["method"] == m])}
    errors = {m: wape(own["forecast"].to_numpy(), own["actual"].to_numpy()) for m, own in scored.items()}
    known = {m: error for m, error in errors.items() if not is_missing(error)}
    widest = max(known.values(), default=0.0)
    return [
        {
            "method": figures.name("method", m),
            "width": f"{100 * error / widest:.2f}%" if widest else "0%",
            "value": figures.rate(error),
            "n": len(scored[m]),
            "is_ours": m == published,
        }
        for m, error in sorted(known.items(), key=lambda item: (item[1], item[0]))
    ]


def _months(replayed: pd.DataFrame, published: str | None) -> pd.DataFrame:
    """Months forecast by the published method from the month's end before each, in order."""
    at = _at(replayed, "month", 1)
    return at[at["method"] == published].sort_values("period_start")


def _months_rows(months: pd.DataFrame, figures: Figures) -> list[dict]:
    return [
        {
            "period": figures.period("month", row["period_start"]),
            "forecast": figures.amount_cell(row["forecast"]),
            "range": figures.span(figures.amount_cell(row["p10"]), figures.amount_cell(row["p90"])),
            "actual": figures.amount_cell(row["actual"]),
            "error": figures.signed_amount(row["error"]),
            "inside": NONE if is_missing(row["inside_80"]) else figures.say("bt.yes" if row["inside_80"] else "bt.no"),
        }
        for row in months.to_dict("records")
    ]


def _covered(scored: pd.DataFrame, methods: list[str], figures: Figures) -> list[dict]:
    """How often the 80 % range held, by method and lead, with its Wilson interval."""
    rows = []
    for method in methods:
        own = scored[(scored["method"] == method) & scored["p10"].notna() & scored["p90"].notna()]
        if own.empty:
            continue
        cells = []
        for kind, lead in LEADS:
            at = _at(own, kind, lead)
            found = coverage(at["p10"].to_numpy(), at["p90"].to_numpy(), at["actual"].to_numpy())
            cells.append(
                {
                    "share": figures.share(found["share"]),
                    "range": figures.span(figures.share(found["share_low"]), figures.share(found["share_high"])),
                    "of": figures.say("calls.of", part=found["covered"], whole=found["n"]) if found["n"] else NONE,
                    "off": bool(found["n"]) and not found["share_low"] <= 0.8 <= found["share_high"],
                }
            )
        rows.append({"method": figures.name("method", method), "cells": cells})
    return rows


def _choices(choices: pd.DataFrame, figures: Figures) -> list[dict]:
    """Which method each origin would have published, and how it then did beside the best baseline chosen likewise."""
    return [
        {
            "origin": figures.day(row["origin"]),
            "question": figures.name("question", row["question"]),
            "method": figures.name("method", row["method"]),
            "score": figures.number(row["score"], 3),
            "baseline": figures.number(row["baseline_score"], 3),
            "used": figures.count(row["origins_used"]),
            "is_better": not is_missing(row["score"]) and not is_missing(row["baseline_score"]) and row["score"] < row["baseline_score"],
        }
        for row in choices.sort_values(["question", "origin"]).to_dict("records")
    ]
