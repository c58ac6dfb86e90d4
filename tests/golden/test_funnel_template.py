"""The figures of the hand-kept funnel sheet, reproduced from events."""

from datetime import date
from itertools import chain

import pandas as pd
import pyarrow as pa
import pytest

from tests.metric_frames import computed, core_tables, rows, stages_frame

STAGES = ("potential", "first_contact", "need_confirmed", "proposal", "negotiation", "awaiting_signature")
SHEET = {  # opening, new, lost, moved on
    "potential": (200, 150, 50, 120),
    "first_contact": (120, 120, 30, 90),
    "need_confirmed": (90, 90, 20, 60),
    "proposal": (60, 60, 15, 45),
    "negotiation": (45, 45, 10, 36),
    "awaiting_signature": (36, 36, 5, 30),
}
CONVERSIONS = (0.400, 0.429, 0.375, 0.429, 0.450, 0.448)
CLOSINGS = (180, 120, 100, 60, 44, 37)


def named(stage: str, number: int) -> list[str]:
    """Names of ``number`` deals that stood in ``stage`` on 1 May."""
    return [f"{stage} {i}" for i in range(number)]


def movements(stage: str, before: str, after: str) -> list[tuple]:
    """Events of the deals in ``stage``: the first that stood in it move on, the next are lost, newly arrived ones last."""
    opening, new, lost, moved = SHEET[stage]
    standing = named(stage, opening)
    arriving = named(before, new)
    leaving = [*standing, *arriving][moved : moved + lost]
    return [
        *((deal, "2025-04-10", stage, 100) for deal in standing),
        *((deal, "2025-05-01", stage, 100) for deal in arriving if stage == STAGES[0]),
        *((deal, "2025-05-20", after) for deal in standing[:moved]),
        *((deal, "2025-05-25", "lost") for deal in leaving),
    ]


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    """funnel_flow of May 2025, by stage: whoever moves on is whom the next stage has as new."""
    chained = zip(STAGES, ("outside", *STAGES[:-1]), (*STAGES[1:], "won"), strict=True)
    events = list(chain.from_iterable(movements(*stages) for stages in chained))
    tables = core_tables(events, date(2025, 5, 31), stages_frame(STAGES), months=2, weeks=2, quarters=2)
    return rows(computed(tables, tmp_path_factory.mktemp("metrics"))["funnel_flow"], "month", "2025-05-01").loc[list(STAGES)]


def test_movements_are_those_of_the_sheet(sheet):
    entries = sheet[["entered_new", "entered_advanced", "entered_regressed", "entered_reopened"]].sum(axis=1)
    found = list(zip(sheet["opening"], entries, sheet["lost"], sheet["advanced"] + sheet["won"], strict=True))
    assert found == list(SHEET.values())


def test_template_conversions(sheet):
    assert sheet["template_conversion"].round(3).tolist() == list(CONVERSIONS)


def test_closings_of_the_identity(sheet):
    assert sheet["closing"].tolist() == list(CLOSINGS)
    assert sheet["closing_amount"].astype(float).tolist() == [100.0 * closing for closing in CLOSINGS]
    assert not sheet["is_partial"].any()


def test_second_check_of_cohort_conversion(tmp_path):
    """1000 → 600 → 360 → 180 → 90 → 54: of those that entered a stage, 60, 60, 50, 50 and 60 % went on."""
    stages, reached = STAGES[:5], (1000, 600, 360, 180, 90, 54)
    steps = zip((*stages, "won"), reached, range(1, 7), strict=True)
    forward = chain.from_iterable([(f"d{i}", f"2025-03-{day:02}", stage) for i in range(number)] for stage, number, day in steps)
    lost = [(f"d{i}", "2025-04-02", "lost") for i in range(54, 1000)]
    tables = core_tables([*forward, *lost], date(2025, 4, 30), stages_frame(stages), months=2)
    found = rows(computed(tables, tmp_path)["stage_conversion"], "month", "2025-03-01").loc[list(stages)]
    assert found["entered"].tolist() == list(reached[:5])
    for measure in ("conversion_observed", "conversion_filled", "conversion_eventual"):
        assert found[measure].tolist() == pytest.approx([0.6, 0.6, 0.5, 0.5, 0.6])


def test_paused_deals_stay_in_the_stock_and_are_counted_apart(tmp_path):
    """Three deals stand in a stage: one paused beyond the as-of date, one whose pause is over, one never paused.

    What was paused at the end of April is not known from what a row says in May.
    """
    events = [(deal, "2025-04-10", "potential", 100) for deal in ("paused", "resumed", "plain")]
    tables = core_tables(events, date(2025, 5, 20), stages_frame(STAGES), months=2)
    deals = tables["opportunities"]
    until = {"paused": date(2025, 5, 21), "resumed": date(2025, 5, 20), "plain": None}
    paused = pa.array([until[deal] for deal in deals["opportunity_id"].to_pylist()], deals.schema.field("paused_until").type)
    tables["opportunities"] = deals.set_column(deals.column_names.index("paused_until"), deals.schema.field("paused_until"), paused)
    flow = computed(tables, tmp_path)["funnel_flow"]
    current, past = (rows(flow, "month", start).loc["potential"] for start in ("2025-05-01", "2025-04-01"))
    assert (current["closing"], current["closing_paused"]) == (3, 1)
    assert past["closing"] == 3 and pd.isna(past["closing_paused"])
