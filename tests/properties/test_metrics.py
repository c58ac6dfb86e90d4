"""What holds of the funnel metrics whatever deals do."""

from datetime import date, timedelta
from itertools import accumulate

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quality.tables.columns import key_columns
from quality.tables.metrics import METRICS
from tests.metric_frames import computed, core_tables, instant_after, stages_frame

STAGES = ("first", "second", "third")
START, AS_OF, LATER = date(2025, 1, 1), date(2025, 5, 14), date(2025, 7, 3)
WINDOWS = {"weeks": 8, "months": 4, "quarters": 2}
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
IN, OUT = ["entered_new", "entered_advanced", "entered_regressed", "entered_reopened"], ["advanced", "regressed", "won", "lost"]
CELL = ["period_kind", "period_start", "dimension", "member", "stage"]

gaps = st.integers(0, 45) | st.sampled_from([0, 0.5])
steps = st.tuples(st.sampled_from((*STAGES, "won", "lost")), gaps, st.none() | st.integers(0, 900))
deals = st.tuples(st.integers(0, 150), st.sampled_from(STAGES), st.lists(steps, max_size=5), st.sampled_from("xy"))
histories = st.lists(deals, min_size=1, max_size=12)


def events_of(history) -> list[tuple]:
    """Events in the form of `core_tables`: each deal from its first day, step by step."""
    events = []
    for number, (day, stage, following, _) in enumerate(history):
        instants = accumulate([day, *(gap for _, gap, _ in following)])
        moves = [(stage, 100), *((to, amount) for to, _, amount in following)]
        events += [
            (f"d{number}", (pd.Timestamp(START) + timedelta(days=instant)).isoformat(), to, amount)
            for instant, (to, amount) in zip(instants, moves, strict=True)
        ]
    return events


def tables_of(history, as_of: date = AS_OF, **windows: int) -> dict[str, pa.Table]:
    """Core tables of a drawn history, with one dimension of two members."""
    groups = {"group": {f"d{number}": member for number, (*_, member) in enumerate(history)}}
    return core_tables(events_of(history), as_of, stages_frame(STAGES, benchmark_days=10.0), groups, **(windows or WINDOWS))


def state_before(events: list[tuple], instant: pd.Timestamp) -> pd.DataFrame:
    """Stage and amount of each deal by what happened before ``instant``."""
    frame = pd.DataFrame(events, columns=["deal", "at", "stage", "amount"])
    frame["amount"] = frame["amount"].astype(float).groupby(frame["deal"], sort=False).ffill()
    return frame[pd.to_datetime(frame["at"], format="ISO8601") < instant].groupby("deal").tail(1)


@QUICK
@given(histories)
def test_flow_is_an_identity_and_agrees_with_the_state_at_its_ends(tmp_path, history):
    flow = computed(tables_of(history), tmp_path, ("funnel_flow",))["funnel_flow"]
    assert (flow["opening"] + flow[IN].sum(axis=1) - flow[OUT].sum(axis=1) == flow["closing"]).all()
    ends = {"week": pd.offsets.Day(7), "month": pd.offsets.MonthBegin(), "quarter": pd.offsets.QuarterBegin(startingMonth=1)}
    company = flow[flow["dimension"] == "all"]
    for (kind, start), period in company.groupby(["period_kind", "period_start"]):
        opening = state_before(events_of(history), pd.Timestamp(start))["stage"].value_counts()
        closing = state_before(events_of(history), min(pd.Timestamp(start) + ends[kind], pd.Timestamp(instant_after(AS_OF))))
        by_stage = period.set_index("stage")[["opening", "closing", "closing_amount"]].reindex(STAGES).fillna(0)
        assert by_stage["opening"].tolist() == opening.reindex(STAGES, fill_value=0).tolist()
        assert by_stage["closing"].tolist() == closing["stage"].value_counts().reindex(STAGES, fill_value=0).tolist()
        amounts = closing.groupby("stage")["amount"].sum().reindex(STAGES, fill_value=0)
        assert by_stage["closing_amount"].tolist() == amounts.tolist()


@QUICK
@given(histories)
def test_closing_is_the_next_opening(tmp_path, history):
    flow = computed(tables_of(history), tmp_path, ("funnel_flow",))["funnel_flow"]
    calendar = tables_of(history)["calendar"].to_pandas().query("is_reported")
    for kind, table in flow.groupby("period_kind"):
        starts = sorted(calendar.loc[calendar["period_kind"] == kind, "period_start"])
        wide = table.pivot(index="period_start", columns=["dimension", "member", "stage"], values=["opening", "closing"]).reindex(starts).fillna(0)
        assert (wide["closing"].to_numpy()[:-1] == wide["opening"].to_numpy()[1:]).all()


@pytest.mark.slow
@QUICK
@given(histories)
def test_members_add_up_to_the_company(tmp_path, history):
    found = computed(tables_of(history), tmp_path)
    additive = {
        "funnel_flow": ["opening", *IN, *OUT, "closing", "closing_amount"],
        "stage_conversion": ["entered", "advanced", "won", "lost", "still_open"],
        "stage_dwell": ["visits", "completed", "overtime"],
        "win_rates": ["created", "won", "lost", "open", "won_amount"],
    }
    for name, columns in additive.items():
        cell = [key for key in CELL if key in found[name] and key not in ("dimension", "member")]
        company, group = (found[name][found[name]["dimension"] == of].groupby(cell)[columns].sum() for of in ("all", "group"))
        pd.testing.assert_frame_equal(group, company)


@pytest.mark.slow
@QUICK
@given(histories)
def test_cohorts_add_up_and_rates_are_shares(tmp_path, history):
    found = computed(tables_of(history), tmp_path)
    cohort = found["stage_conversion"]
    assert (cohort["entered"] == cohort["advanced"] + cohort["lost"] + cohort["still_open"]).all()
    assert (cohort["won"] <= cohort["advanced"]).all()
    for name, table in found.items():
        shares = table[[column.name for column in METRICS.tables[name].columns if column.info["unit"] == "share"]].astype(float)
        assert (shares.isna() | ((shares >= 0) & (shares <= 1))).all(axis=None)
        days = table[[column.name for column in METRICS.tables[name].columns if column.info["unit"] == "days"]].astype(float)
        assert (days.isna() | (days >= 0)).all(axis=None)


@pytest.mark.slow
@QUICK
@given(histories, st.integers(0, 2**32 - 1))
def test_order_of_rows_is_irrelevant(tmp_path, history, seed):
    random, tables = np.random.default_rng(seed), tables_of(history)
    shuffled = {name: table.take(random.permutation(len(table))) for name, table in tables.items()}
    found, again = computed(tables, tmp_path), computed(shuffled, tmp_path)
    for name, table in found.items():
        pd.testing.assert_frame_equal(again[name], table, check_exact=True)
        assert not table.duplicated(key_columns(METRICS.tables[name])).any()


@pytest.mark.parametrize(
    ("name", "columns"),
    [("funnel_flow", ["opening", *IN, *OUT, "closing", "closing_amount"]), ("stage_conversion", ["entered"]), ("stage_dwell", ["visits"])],
)
def test_later_facts_change_nothing_earlier(tmp_path, name, columns):
    """What a finished period shows of its own time is the same when it is computed seven weeks later with all that came."""
    random = np.random.default_rng(11)
    history = [
        (
            int(random.integers(0, 150)),
            STAGES[random.integers(3)],
            [((*STAGES, "won", "lost")[random.integers(5)], float(random.integers(0, 60)), int(random.integers(900))) for _ in range(4)],
            "xy"[random.integers(2)],
        )
        for _ in range(60)
    ]
    needed = ("stage_hazards", name) if name == "stage_conversion" else (name,)
    then = computed(tables_of(history, AS_OF), tmp_path, needed)[name]
    later = computed(tables_of(history, LATER, weeks=16, months=7, quarters=4), tmp_path, needed)[name]
    finished = then[~then["is_partial"]].set_index(CELL)[columns]
    finished = finished[finished.sum(axis=1) > 0]
    assert len(finished) > 50
    pd.testing.assert_frame_equal(later.set_index(CELL)[columns].loc[finished.index], finished)
