"""The deals behind the page's numbers: what the script filters when a number is followed, and the lists without it.

What belongs here: laying out the rows of behind.py for the page. What does not: choosing them, and any number. The
script filters by the same conditions as the metrics count by (assets/metrics), over whole days.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

from assets.reports.behind import Behind
from assets.reports.page_figures import SEGMENT_SEPARATOR, Figures, is_missing, last_day
from assets.reports.page_funnel import FunnelPeriod
from assets.reports.page_lists import Listing

SHOWN = 20
"""Rows of the lists that stand there without the script."""

ENTRY_KINDS = ("new", "advanced", "regressed", "reopened")
EXIT_KINDS = ("", "advanced", "regressed", "won", "lost")
STATUSES = ("open", "won", "lost")


def data(behind: Behind | None, periods: list[FunnelPeriod], segments: list[tuple[str, str]], figures: Figures) -> dict | None:
    """What the script needs: deals, their members and stays, and the funnel's periods as days, the end exclusive.

    A deal is [id, account, owner's name, owner_id, stage, amount, created, closed, status, P(won), expected amount,
    members]; a stay [deal, stage, entered, entry kind, left, exit kind, first]; all words and places of words, days ISO.
    """
    if behind is None:
        return None
    stages = figures.stages()
    offered = [SEGMENT_SEPARATOR.join(segment) for segment in segments]
    place = {name: number for number, name in enumerate(offered)}
    members = behind.members["dimension"] + SEGMENT_SEPARATOR + behind.members["member"]
    of_deal = members.map(place).dropna().astype(int).groupby(behind.members["opportunity_id"]).agg(list).to_dict()
    number = {deal: n for n, deal in enumerate(behind.deals["opportunity_id"])}
    visits = behind.visits[behind.visits["stage"].isin(stages)]
    return {
        "deals": [[*_deal(deal, behind.people, figures), of_deal.get(deal["opportunity_id"], [])] for deal in behind.deals.to_dict("records")],
        "visits": [
            [number[deal], stages.index(stage), _day(entered), ENTRY_KINDS.index(entry), _day(left), EXIT_KINDS.index(leaving or ""), int(first)]
            for deal, stage, entered, entry, left, leaving, first in zip(
                visits["opportunity_id"],
                visits["stage"],
                visits["entered_at"],
                visits["entry_kind"],
                visits["exited_at"],
                visits["exit_kind"].astype(object).where(visits["exit_kind"].notna(), None),
                visits["is_first"],
                strict=True,
            )
        ],
        "segments": offered,
        "stages": [figures.stage(key) for key in stages],
        "keys": stages,
        "entries": list(ENTRY_KINDS),
        "exits": list(EXIT_KINDS),
        "statuses": list(STATUSES),
        "words": {
            "entry": [figures.name("entry", kind) for kind in ENTRY_KINDS],
            "exit": [figures.name("exit", kind) if kind else "" for kind in EXIT_KINDS],
            "first": figures.say("behind.first"),
            "of": figures.words["behind.first_of"],
            "member": figures.words["behind.of_member"],
            "cut": figures.say("behind.cut", deals=figures.count(len(behind.deals))) if is_cut(behind) else "",
        },
        "periods": [bounds(p.kind, p.start) for p in periods],
    }


def bounds(kind: str, start: pd.Timestamp) -> list[str]:
    """First day of a period and the day after its last, ISO."""
    return [f"{start:%Y-%m-%d}", (last_day(kind, start) + timedelta(days=1)).isoformat()]


def is_cut(behind: Behind) -> bool:
    """Whether the page holds fewer deals than there are."""
    return len(behind.deals) > 0 and int(behind.deals["of_deals"].iloc[0]) > len(behind.deals)


def closed_deals(behind: Behind | None, period: FunnelPeriod | None, figures: Figures) -> Listing:
    """The deals won and lost in a period, the largest first."""
    if behind is None or period is None:
        return Listing([], 0)
    first, beyond = (pd.Timestamp(day) for day in bounds(period.kind, period.start))
    closed = behind.deals[(behind.deals["status"] != "open") & (behind.deals["closed_at"] >= first) & (behind.deals["closed_at"] < beyond)]
    return Listing([_written(_deal(deal, behind.people, figures)) for deal in closed.head(SHOWN).to_dict("records")], len(closed))


def moved_deals(behind: Behind | None, period: FunnelPeriod | None, figures: Figures) -> Listing:
    """The stays that began or ended in a period, of the largest deals first."""
    if behind is None or period is None:
        return Listing([], 0)
    first, beyond = (pd.Timestamp(day) for day in bounds(period.kind, period.start))
    v = behind.visits
    moved = v[((v["entered_at"] >= first) & (v["entered_at"] < beyond)) | ((v["exited_at"] >= first) & (v["exited_at"] < beyond))]
    deals = behind.deals.set_index("opportunity_id")
    ordered = moved.assign(place=moved["opportunity_id"].map(deals["place"])).sort_values(["place", "entered_at"], kind="stable")
    rows = [
        {
            **_written(_deal({"opportunity_id": visit["opportunity_id"], **deals.loc[visit["opportunity_id"]]}, behind.people, figures)),
            "stage": figures.stage(visit["stage"]),
            "entered": _day(visit["entered_at"]),
            "entry": figures.name("entry", visit["entry_kind"]),
            "left": _day(visit["exited_at"]),
            "exit": "" if is_missing(visit["exit_kind"]) else figures.name("exit", visit["exit_kind"]),
        }
        for visit in ordered.head(SHOWN).to_dict("records")
    ]
    return Listing(rows, len(ordered))


def found_rows(behind: Behind | None, table: str, code: str, figures: Figures) -> list[dict]:
    """The first rows of one finding: file, line, deal and amount."""
    if behind is None:
        return []
    found = behind.found[(behind.found["table_name"] == table) & (behind.found["code"] == code)]
    return [
        {
            "place": f"{row['export']}:{row['line']}",
            "deal": "" if is_missing(row["opportunity_id"]) else row["opportunity_id"],
            "amount": figures.amount_cell(row["amount"]),
        }
        for row in found.to_dict("records")
    ]


def money_sentences(behind: Behind | None, figures: Figures) -> list[str]:
    """The open amount and what is expected of it, without the rejected rows and with them."""
    if behind is None:
        return []
    m = behind.money
    if not m["rejected_deals"]:
        return [figures.say("quality.nothing_open_rejected", open=figures.amount(m["open_amount"]), expected=figures.amount(m["expected_amount"]))]
    unknown = f" {figures.say('quality.unknown', n=figures.count(m['unknown_amounts']))}" if m["unknown_amounts"] else ""
    return [
        figures.say(
            f"quality.{key}_with",
            deals=figures.count(m["rejected_deals"]),
            without=figures.amount(m[own]),
            whole=figures.amount(m[own] + m[rejected]),
            unknown=unknown,
        )
        for key, own, rejected in (("open", "open_amount", "rejected_amount"), ("expected", "expected_amount", "rejected_expected"))
    ]


def accounts(behind: Behind | None) -> Mapping[str, str]:
    """The names of the customers of the listed deals, by opportunity."""
    if behind is None:
        return {}
    named = behind.deals.dropna(subset=["account"])
    return dict(zip(named["opportunity_id"], named["account"], strict=True))


def first_day(periods: list[pd.Timestamp], as_of: date) -> date:
    """The first day of which the page lists movements: that of its earliest period, at the latest the as-of date."""
    return min([as_of, *(start.date() for start in periods)])


def _deal(deal: Mapping, people: Mapping[str, str], figures: Figures) -> list:
    owner = "" if is_missing(deal["owner_id"]) else deal["owner_id"]
    return [
        deal["opportunity_id"],
        "" if is_missing(deal["account"]) else deal["account"],
        people.get(owner, ""),
        owner,
        figures.stage(deal["stage"]),
        figures.amount_cell(deal["amount"]),
        _day(deal["created_at"]),
        _day(deal["closed_at"]),
        STATUSES.index(deal["status"]),
        figures.share(deal["p_won"]),
        figures.amount_cell(None if is_missing(deal["expected_amount"]) else float(deal["expected_amount"])),
    ]


def _written(deal: list) -> dict:
    names = ("id", "account", "person", "owner", "stage", "amount", "created", "closed")
    return dict(zip(names, deal, strict=False))


def _day(moment) -> str:
    return "" if is_missing(moment) else f"{moment:%Y-%m-%d}"
