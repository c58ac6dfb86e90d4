"""The lists on the report page: open deals, stalled deals, findings on the data, rejected rows, what was left out.

What belongs here: choosing the first rows of a published list and putting codes into words. What does not: scoring
or ranking beyond the order given here. Deals and people stand by their ids, as in the tables; their names are added where they are shown.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from assets.reports.page_figures import NONE, Figures, is_missing
from assets.reports.page_forecast import Period

SHOWN_DEALS = 50
SHOWN_DEALS_OF_PERIOD = 20
SHOWN_STALLED = 50
SHOWN_REJECTED = 20
SHOWN_FINDINGS = 50
SHOWN_REASONS = 4
SHOWN_UNFOLDED = 10
"""Rows of a list that stand open on the page; the others are folded away."""

EXPECTATION_FORMS = {
    "missing": r"missing_(.+)",
    "unreadable": r"unreadable_(.+)",
    "out_of_range": r"(.+)_out_of_range",
    "not_allowed": r"(.+)_not_allowed",
    "format": r"(.+)_format",
}

GRAVITY = ("zombie", "stage_overtime", "not_updated_7d")
"""Signals of stalling, the gravest first."""

SEVERITY_ORDER = {"critical": 0, "reject": 1, "warning": 2}


@dataclass(frozen=True)
class Listing:
    """The first rows of a list, written, and how long it is in its table."""

    rows: list[dict]
    total: int

    def __bool__(self) -> bool:
        return self.total > 0


def open_deals(tables: Mapping[str, pd.DataFrame], figures: Figures) -> Listing:
    """The open deals with the highest expected amount, with the reasons of their probability."""
    deals = tables["win_probability"].sort_values(["expected_amount", "opportunity_id"], ascending=[False, True], kind="stable")
    return Listing([_deal(deal, figures) for deal in deals.head(SHOWN_DEALS).to_dict("records")], len(deals))


def _deal(deal: dict, figures: Figures) -> dict:
    return {
        "id": deal["opportunity_id"],
        "stage": figures.stage(deal["stage"]),
        "owner": _text(deal["owner_id"]),
        "amount": figures.amount_cell(deal["amount"]),
        "p_won": figures.share(deal["p_won"]),
        "p_won_width": f"{100 * deal['p_won']:.1f}%",
        "expected_amount": figures.amount_cell(deal["expected_amount"]),
        "close": figures.day(deal["expected_close_date"]),
        "close_range": figures.span(figures.day(deal["close_date_p10"]), figures.day(deal["close_date_p90"])),
        "reasons": _reasons(json.loads(deal["reasons"]), figures),
    }


def _reasons(reasons: list[dict], figures: Figures) -> list[dict]:
    """The strongest reasons in words with their log-odds; the others in one sum, so that all add up to the score."""
    ordered = sorted(reasons, key=lambda reason: -abs(reason["log_odds"]))
    shown = [
        {"words": _reason(reason, figures), "log_odds": figures.signed(reason["log_odds"]), "raises": reason["log_odds"] >= 0}
        for reason in ordered[:SHOWN_REASONS]
    ]
    others = ordered[SHOWN_REASONS:]
    if others:
        rest = sum(reason["log_odds"] for reason in others)
        shown.append({"words": figures.say("deals.other_reasons", n=len(others)), "log_odds": figures.signed(rest), "raises": rest >= 0})
    return shown


def _reason(reason: dict, figures: Figures) -> str:
    """A reason's name with the figures it carries beside its code: ``age in stage (days: 63)``."""
    details = {name: value for name, value in reason.items() if name not in ("code", "log_odds") and value is not None}
    if not details:
        return figures.name("reason", reason["code"])
    written = [_detail(name, value, figures) for name, value in details.items()]
    return figures.say("deals.reason_with_figures", reason=figures.name("reason", reason["code"]), figures=", ".join(written))


def _detail(name: str, value: object, figures: Figures) -> str:
    text = figures.number(value).removesuffix(".0") if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    if name in ("value", "stage"):
        return figures.stage(text)
    return f"{figures.name('detail', name)} {text}"


def deals_of_period(tables: Mapping[str, pd.DataFrame], period: Period, figures: Figures) -> Listing:
    """The open deals that make most of a period's open-pipeline mean: probability in the period × amount if won."""
    timing = tables["win_timing"]
    is_of_period = (timing["period_kind"] == period.kind) & (timing["period_start"] == period.start)
    in_period = timing.loc[is_of_period, ["opportunity_id", "p_won_in_period"]]
    deals = in_period.merge(tables["win_probability"], on="opportunity_id", how="inner", validate="1:1")
    deals = deals.assign(contribution=deals["p_won_in_period"] * deals["amount_if_won"])
    deals = deals.sort_values(["contribution", "opportunity_id"], ascending=[False, True], kind="stable")
    rows = [
        {
            "id": deal["opportunity_id"],
            "stage": figures.stage(deal["stage"]),
            "owner": _text(deal["owner_id"]),
            "p_won": figures.share(deal["p_won_in_period"]),
            "if_won": figures.amount_cell(deal["amount_if_won"]),
            "contribution": figures.amount_cell(deal["contribution"]),
        }
        for deal in deals.head(SHOWN_DEALS_OF_PERIOD).to_dict("records")
    ]
    return Listing(rows, len(deals))


def stalled_deals(tables: Mapping[str, pd.DataFrame], figures: Figures) -> tuple[Listing, str]:
    """Deals on the risk list, the largest amount first, each with all its signals; and their known amounts together."""
    risks = tables["risk_list"]
    by_deal = risks.groupby("opportunity_id", sort=True).agg(stage=("stage", "first"), owner_id=("owner_id", "first"), amount=("amount", "first"))
    ordered = by_deal.sort_values("amount", ascending=False, kind="stable", na_position="last")
    first = ordered.head(SHOWN_STALLED)
    signals = dict(list(risks[risks["opportunity_id"].isin(first.index)].groupby("opportunity_id")))
    rows = [
        {
            "id": opportunity_id,
            "stage": figures.stage(deal["stage"]),
            "owner": _text(deal["owner_id"]),
            "amount": figures.amount_cell(deal["amount"]),
            "signals": [_signal(signal, figures) for signal in signals[opportunity_id].sort_values("signal").to_dict("records")],
        }
        for opportunity_id, deal in first.to_dict("index").items()
    ]
    amount = by_deal["amount"].sum(min_count=1)
    return Listing(rows, len(by_deal)), figures.say("stalled.amount_unknown") if is_missing(amount) else figures.amount(float(amount))


def stalled_by_signal(tables: Mapping[str, pd.DataFrame], figures: Figures) -> list[str]:
    """How many deals of what known amount show each signal, every deal counted once, at its gravest signal."""
    risks = tables["risk_list"]
    gravest = risks.assign(order=risks["signal"].map(GRAVITY.index)).sort_values(["order", "opportunity_id"], kind="stable").drop_duplicates("opportunity_id")
    return [
        figures.say(
            "headline.stalled_part",
            signal=figures.name("signal", signal),
            n=figures.count(len(deals)),
            amount=figures.say("stalled.amount_unknown") if deals["amount"].isna().all() else figures.amount(float(deals["amount"].sum())),
        )
        for signal in GRAVITY
        if len(deals := gravest[gravest["signal"] == signal])
    ]


def _signal(signal: dict, figures: Figures) -> dict:
    """A signal's name, evidence and action; the table words the latter two in the company's own language."""
    return {
        "name": figures.name("signal", signal["signal"]),
        "evidence": signal["evidence"],
        "action": signal["suggested_action"],
    }


def findings(tables: Mapping[str, pd.DataFrame], rows_of: Callable[[str, str], list[dict]], figures: Figures) -> tuple[Listing, int]:
    """Expectations that failed, the severest and then the largest amount first; and how many were checked.

    ``rows_of`` gives the first rows behind a finding by table and code.
    """
    quality = tables["data_quality"]
    failed = quality[quality["failed"] > 0]
    failed = failed.assign(order=failed["severity"].map(SEVERITY_ORDER)).sort_values(
        ["order", "amount_touched", "failed", "table_name", "expectation"], ascending=[True, False, False, True, True], kind="stable"
    )
    shown = failed.head(SHOWN_FINDINGS).to_dict("records")
    rows = [
        {**_finding(finding, figures), "number": number, "rows": rows_of(finding["table_name"], finding["expectation"])}
        for number, finding in enumerate(shown, start=1)
    ]
    return Listing(rows, len(failed)), len(quality)


def _finding(finding: dict, figures: Figures) -> dict:
    unknown = int(finding["amount_unknown"])
    return {
        "table": figures.name("table", finding["table_name"]),
        "table_name": finding["table_name"],
        "code": finding["expectation"],
        "expected": _expected(finding["expectation"], finding["meaning"], figures),
        "severity": finding["severity"],
        "severity_name": figures.name("severity", finding["severity"]),
        "failed": figures.count(finding["failed"]),
        "checked": figures.count(finding["checked"]),
        "amount": figures.amount_cell(finding["amount_touched"]),
        "unknown": figures.say("quality.unknown", n=figures.count(unknown)) if unknown else "",
        "forecast": figures.amount_cell(finding["forecast_touched"]),
    }


def rejected(tables: Mapping[str, pd.DataFrame], figures: Figures) -> Listing:
    """Rejected rows, the largest amount first, then by file and line, with their reasons in words."""
    rows = tables["rejected_rows"].sort_values(["amount", "export", "line"], ascending=[False, True, True], kind="stable", na_position="last")
    written = [
        {
            "file": row["export"],
            "line": figures.count(row["line"]),
            "owner": _text(row["owner_id"]),
            "amount": figures.amount_cell(row["amount"]),
            "fix_by": NONE if is_missing(row["fix_by"]) else f"{figures.day(row['fix_by'])} {row['fix_by']:%H:%M}",
            "reasons": [_rejection(reason, figures) for reason in json.loads(row["reasons"])],
        }
        for row in rows.head(SHOWN_REJECTED).to_dict("records")
    ]
    return Listing(written, len(rows))


def _rejection(reason: dict, figures: Figures) -> str:
    """Why a row was rejected: the expectation it failed, with its column."""
    words = _expected(reason["code"], reason.get("expected"), figures)
    column = reason.get("column")
    if not column:
        return words
    name = figures.column(column)
    return words if name in words else figures.say("quality.reason", words=words, column=name)


def _expected(code: str, meaning: str | None, figures: Figures) -> str:
    """An expectation in words: as the table has it in English, by its code in another language.

    Codes of single columns are told by their form (quality/expectations.py).
    """
    if figures.language == "en" and meaning:
        return meaning
    if f"expectation.{code}" in figures.words:
        return figures.say(f"expectation.{code}")
    for form, pattern in EXPECTATION_FORMS.items():
        if match := re.fullmatch(pattern, code):
            return figures.say(f"expectation_form.{form}", column=figures.column(match[1]))
    return meaning or code.replace("_", " ")


@dataclass(frozen=True)
class Run:
    """What the newest run says about itself."""

    run_id: str
    finished_at: str
    read: str
    parts: list[dict]
    skipped: list[str]
    versions: list[tuple[str, str]]
    as_of_from: str


def newest_run(tables: Mapping[str, pd.DataFrame], figures: Figures) -> Run | None:
    """The run that was published last for this as-of date; None where the run log is empty."""
    log = tables["run_log"]
    if log.empty:
        return None
    run = log.sort_values(["finished_at", "run_id"], kind="stable").iloc[-1]
    read = int(run["rows_read"])
    return Run(
        run_id=run["run_id"],
        finished_at=figures.instant(run["finished_at"]),
        read=figures.count(read),
        parts=[
            {"name": part, "count": figures.count(run[f"rows_{part}"]), "share": run[f"rows_{part}"] / read if read else 0.0}
            for part in ("accepted", "superseded", "rejected")
        ],
        skipped=[figures.say("about.skipped", what=entry["what"], why=entry["why"]) for entry in json.loads(run["skipped"])],
        versions=sorted((str(name), str(version)) for name, version in json.loads(run["versions"]).items()),
        as_of_from=run["as_of_from"],
    )


def _text(value: object) -> str:
    return NONE if is_missing(value) else str(value)
