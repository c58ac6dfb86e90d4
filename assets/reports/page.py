"""The report page: one HTML file that opens offline, in English or Chinese, on a phone and on paper.

What belongs here: putting the sections together. What does not: numbers. Every figure comes from a published table
(quality/tables); this folder chooses, orders and words them, and shows simple sums and quotients of them where their
formula stands beside them (gap, attainment, WAPE).

The page asks for nothing outside itself (its content security policy forbids it), escapes every exported text, and
is complete without its script, which only exchanges the shown segment.
"""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import jinja2
import pandas as pd

from assets.reports import page_behind, page_calls, page_changes, page_forecast, page_funnel, page_lists
from assets.reports.behind import Behind
from assets.reports.page_figures import SEGMENT_SEPARATOR, Figures, ordered_segments, phrases
from models.settings import Company, Language
from quality.tables import PUBLISHED

SHOWN_MEMBERS = 200
"""Members per dimension that the segment filter offers, the largest first."""

TABLES = (
    "revenue_forecast",
    "forecast_baselines",
    "forecast_accuracy",
    "deal_accuracy",
    "method_choice",
    "forecast_changes",
    "target_outlook",
    "call_record",
    "win_probability",
    "win_timing",
    "risk_list",
    *page_funnel.TABLES,
    "data_quality",
    "rejected_rows",
    "run_log",
)
"""The published tables that the page reads."""

PERIOD_TABLES = ("revenue_forecast", *page_funnel.TABLES)
"""Those that say which periods the page shows."""

SEGMENT_TABLES = ("revenue_forecast", "forecast_baselines", "forecast_changes", "target_outlook", *page_funnel.TABLES)
"""Those that the segment filter applies to."""

_TIMES = ("date", "time")


def first_listed_day(tables: Mapping[str, pd.DataFrame], company: Company, as_of: date) -> date:
    """The first day of which the page lists what deals did: that of the earliest period that it shows."""
    figures = Figures(company, company.language, phrases(company.language))
    held = {name: conformed(tables.get(name), name) for name in PERIOD_TABLES}
    starts = [p.start for p in (*page_forecast.forecast_periods(held, as_of, figures), *page_funnel.funnel_periods(held, figures))]
    return page_behind.first_day(starts, as_of)


def render_page(tables: Mapping[str, pd.DataFrame], company: Company, as_of: date, language: Language, behind: Behind | None = None) -> str:
    """The report page as the text of an HTML file.

    ``tables`` are the published tables of one as-of date by name, in the columns of their contracts; a missing or
    empty one leaves its section with one line that says why. ``behind`` are the rows behind the numbers, which otherwise
    lead nowhere. ``language`` may differ from the company's own. Equal
    input gives equal text. Raises `KeyError` naming the column where a table lacks one of its contract.
    """
    figures = Figures(company, language, phrases(language), behind.people if behind else {}, page_behind.accounts(behind))
    held = {name: conformed(tables.get(name), name) for name in TABLES}
    missing = [name for name in TABLES if name not in tables]
    return template("page.html.j2").render(
        t=figures.say, figures=figures, company=company, language=language, as_of=as_of, missing=missing, **_sections(held, as_of, figures, behind)
    )


@cache
def template(name: str) -> jinja2.Template:
    """A page's template, compiled once per process; everything it shows is handed to it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment.get_template(name)


def _sections(tables: Mapping[str, pd.DataFrame], as_of: date, figures: Figures, behind: Behind | None) -> dict:
    """Everything the template shows, by section."""
    periods = page_forecast.forecast_periods(tables, as_of, figures)
    funnel_periods = page_funnel.funnel_periods(tables, figures)
    segments, cut = ordered_segments(_segment_sizes(tables), SHOWN_MEMBERS)
    tables = {**tables, **{name: _of_segments(tables[name], segments) for name in SEGMENT_TABLES}}
    forecast = page_forecast.forecast_grid(tables, periods, segments, figures)
    changes = page_changes.change_grid(tables, periods, segments, figures)
    stages = page_funnel.stage_grid(tables, funnel_periods, segments, figures)
    wins = page_funnel.win_grid(tables, funnel_periods, segments, figures)
    records = page_forecast.track_record(tables)
    stalled, stalled_amount = page_lists.stalled_deals(tables, figures)
    findings, checked = page_lists.findings(tables, lambda table, code: page_behind.found_rows(behind, table, code, figures), figures)
    headline = [p for p in periods if p.kind in ("month", "quarter") and not p.is_over]
    return {
        "periods": periods,
        "cards": [p for p in headline if p.is_current],
        "ahead": headline,
        "forecast": forecast,
        "has_targets": any(t.metric == "bookings" for t in figures.company.targets),
        "method": page_forecast.published_method(tables),
        "baselines": page_forecast.baselines_shown(tables),
        "changes": changes,
        "change_columns": page_changes.COLUMNS,
        "since": page_changes.since(tables, figures),
        "records": records,
        "best": page_forecast.best_by_lead(records),
        "leads": page_forecast.LEADS,
        "calls": page_calls.calls(tables, figures),
        "verdicts": page_forecast.verdicts(tables, records, figures),
        "funnel_periods": funnel_periods,
        "funnel_row": page_funnel.funnel_row,
        "flows": page_funnel.FLOWS,
        "stages": stages,
        "stage_keys": list(dict.fromkeys(row.split(" ", 2)[2] for row in stages.rows)),
        "wins": wins,
        "shown_unfolded": page_lists.SHOWN_UNFOLDED,
        "deals": page_lists.open_deals(tables, figures),
        "deals_of": {p.row: page_lists.deals_of_period(tables, p, figures) for p in headline},
        "stalled": stalled,
        "stalled_amount": stalled_amount,
        "stalled_by_signal": page_lists.stalled_by_signal(tables, figures),
        "findings": findings,
        "checked": checked,
        "rejected": page_lists.rejected(tables, figures),
        "has_behind": behind is not None,
        "money": page_behind.money_sentences(behind, figures),
        "bounds": page_behind.bounds,
        "closed": page_behind.closed_deals(behind, funnel_periods[0] if funnel_periods else None, figures),
        "moved": page_behind.moved_deals(behind, funnel_periods[0] if funnel_periods else None, figures),
        "behind_data": page_behind.data(behind, funnel_periods, segments, figures),
        "run": page_lists.newest_run(tables, figures),
        "filter": _filter(segments, cut, figures),
        "data": {"forecast": forecast.data(), "changes": changes.data(), "stages": stages.data(), "wins": wins.data(), "separator": SEGMENT_SEPARATOR},
    }


def conformed(frame: pd.DataFrame | None, name: str) -> pd.DataFrame:
    """The contract's columns of a table, dates and times as timestamps; without rows where the table is missing."""
    contract = PUBLISHED[name]
    columns = [c.name for c in contract.columns if c.name != "as_of"]
    times = {c.name: "datetime64[us]" for c in contract.columns if c.info["unit"] in _TIMES and c.name != "as_of"}
    if frame is None:
        numbers = {c.name: "float64" for c in contract.columns if c.info["unit"] in ("amount", "share", "ratio", "days", "number", "count")}
        flags = {c.name: "bool" for c in contract.columns if c.info["unit"] == "flag"}
        return pd.DataFrame(columns=columns, dtype=object).astype({**times, **numbers, **flags})
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        raise KeyError(f"table {name} has no column {', '.join(lacking)}; its contract declares it (quality/tables)")
    return frame[columns].astype(times)


def _of_segments(frame: pd.DataFrame, segments: list[tuple[str, str]]) -> pd.DataFrame:
    """The rows of the segments that the page offers, so that no others are worded in vain."""
    return frame[pd.MultiIndex.from_frame(frame[["dimension", "member"]]).isin(segments)]


def _segment_sizes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How large each segment is: its forecast total of all periods, then the opportunities created in it."""
    key = ["dimension", "member"]
    forecast = tables["revenue_forecast"]
    amounts = forecast[forecast["component"] == "total"].groupby(key)["mean"].sum()
    deals = tables["funnel_flow"].groupby(key)["closing_amount"].sum()
    return pd.concat([amounts.rename("forecast"), deals.rename("pipeline")], axis="columns")


def _filter(segments: list[tuple[str, str]], cut: dict[str, int], figures: Figures) -> dict:
    """What the segment filter offers: per dimension its name, its members in order, and a note where it was cut."""
    members: dict[str, list[dict[str, str]]] = {}
    for dimension, member in segments:
        members.setdefault(dimension, []).append({"member": member, "name": figures.member(member, dimension)})
    return {
        "dimensions": [{"dimension": d, "name": figures.name("dimension", d)} for d in members],
        "members": members,
        "cut": [figures.say("filter.cut", dimension=figures.name("dimension", d), shown=SHOWN_MEMBERS, total=figures.count(total)) for d, total in cut.items()],
    }
