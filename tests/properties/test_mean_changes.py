"""The change of the forecast's mean adds up: by cause to the published means, and down to the deals."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mean_changes import DealSteps, MeanTotals, attribute, cents_adding_up, change_rows
from tests.revenue_inputs import segmented

PERIODS = pd.DataFrame({"period_kind": ["month", "quarter"], "period_start": pd.to_datetime(["2025-02-01", "2025-01-01"])})

many = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def courses(draw):
    """Deals of any course: open at either date, won in between, with any expectation at every step."""
    count, seed = draw(st.integers(1, 40)), draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    was_open, is_open = random.random(count) < 0.7, random.random(count) < 0.7
    is_won = ~is_open & (random.random(count) < 0.6)

    def amounts(held: np.ndarray) -> np.ndarray:
        values = random.lognormal(3, 3, (count, len(PERIODS))) * (random.random((count, len(PERIODS))) < 0.8)
        return np.where(held[:, None], values, 0.0)

    won = np.where(is_won[:, None], random.integers(0, 10**8, (count, len(PERIODS))), 0)
    steps = DealSteps(
        np.arange(count), was_open, is_open, is_won,
        amounts(was_open), amounts(was_open), amounts(was_open), amounts(is_open), amounts(is_open), won,
    )  # fmt: skip
    return steps, segmented(list(random.choice(list("abc"), count)))


def totals(members, expected: np.ndarray, new: np.ndarray, won: np.ndarray) -> MeanTotals:
    """Means as they are published: rounded per member, adding up to the company."""
    opened, created = members.whole_cents(members.sum(expected)), np.tile(new, (4, 1))
    return MeanTotals(opened, created, opened + created + won, np.zeros_like(opened))


@many
@given(course=courses(), new=st.lists(st.integers(0, 10**9), min_size=6, max_size=6))
def test_opening_and_causes_are_closing_to_the_cent_for_every_period_and_member(course, new):
    steps, members = course
    new = np.array(new).reshape(3, 2)
    won = members.sum(steps.won_cents).astype(np.int64)
    opening, closing = totals(members, steps.prior, new[0], won * 0), totals(members, steps.now, new[1], won)
    table, deals = change_rows(steps, members, opening, closing, np.tile(new[2], (4, 1)), PERIODS)
    table["cents"] = (table["amount"] * 100).round().astype("int64")
    by_cause = table.pivot_table(index=["member", "period_kind"], columns="cause", values="cents", aggfunc="sum", fill_value=0)
    causes = by_cause.columns.difference(["opening", "closing"])
    assert (by_cause["opening"] + by_cause[causes].sum(axis=1) == by_cause["closing"]).all()
    assert by_cause["closing"].unstack().loc[list(members.names["member"])].to_numpy().tolist() == closing.total.tolist()
    assert by_cause["opening"].unstack().loc[list(members.names["member"])].to_numpy().tolist() == opening.total.tolist()
    _agree(by_cause.loc["all"], deals, new[2])
    steady = by_cause[causes.intersection(["won", "lost", "amount", "timing", "progress"])].unstack("period_kind")
    assert (steady.drop(index="all").sum() == steady.loc["all"]).all()


def _agree(company: pd.DataFrame, deals: pd.DataFrame, used_up: np.ndarray) -> None:
    """The company's causes are those of its deals, but for what has no deals."""
    cents = (deals["amount"] * 100).round().astype("int64")
    by_deal = cents.groupby([deals["period_kind"], deals["cause"]]).sum().unstack(fill_value=0).reindex(index=["month", "quarter"], fill_value=0)
    for cause in company.columns.intersection(["won", "lost", "amount", "timing", "progress", "model", "created"]):
        found = by_deal.get(cause, pd.Series(0, index=by_deal.index)) - (used_up if cause == "created" else 0)
        assert found.tolist() == company[cause].loc[["month", "quarter"]].tolist(), cause


@many
@given(course=courses())
def test_a_deal_has_the_causes_of_its_course_and_no_others(course):
    steps, members = course
    causes = attribute(steps, members.whole_cents(members.sum(steps.prior))[0], members.whole_cents(members.sum(steps.now))[0])
    stayed = steps.was_open & steps.is_open
    allowed = {
        "won": steps.is_won,
        "lost": steps.was_open & ~steps.is_open & ~steps.is_won,
        "created": steps.is_open & ~steps.was_open,
        **dict.fromkeys(("amount", "timing", "progress", "model"), stayed),
    }
    for cause, cents in causes.items():
        assert not cents[~allowed[cause]].any(), cause


@many
@given(amounts=st.lists(st.floats(0, 1e7), min_size=1, max_size=30), off=st.integers(-2, 2))
def test_rounded_amounts_add_up_to_what_is_published_and_stay_close(amounts, off):
    exact = np.array(amounts)[:, None]
    total = np.maximum(np.rint(exact.sum(axis=0) * 100) + off * (exact.sum() > 1), 0)
    cents = cents_adding_up(exact, total)
    assert cents.sum(axis=0).tolist() == total.tolist()
    assert (cents >= 0).all()
    assert np.abs(cents - exact * 100).max() <= 4


def test_each_cause_is_what_its_step_adds():
    def step(value: float) -> np.ndarray:
        return np.array([[value, 0.0]])

    yes, no = np.array([True]), np.array([False])
    stayed = DealSteps(np.array([0]), yes, yes, no, step(10.0), step(12.0), step(11.0), step(15.0), step(15.5), np.zeros((1, 2), np.int64))
    cents = {cause: int(values[0, 0]) for cause, values in attribute(stayed, np.array([1000, 0]), np.array([1550, 0])).items()}
    assert cents == {"won": 0, "lost": 0, "created": 0, "amount": 200, "timing": -100, "progress": 400, "model": 50}
    same_models = DealSteps(np.array([0]), yes, yes, no, step(10.0), step(12.0), step(11.0), step(15.0), step(15.0), np.zeros((1, 2), np.int64))
    cents = attribute(same_models, np.array([1001, 0]), np.array([1500, 0]))
    assert cents["model"].tolist() == [[0, 0]] and cents["progress"].tolist() == [[399, 0]]
    won = DealSteps(np.array([0]), yes, no, yes, step(10.0), step(12.0), step(0.0), step(0.0), step(0.0), np.array([[5000, 0]]))
    cents = {cause: int(values[0, 0]) for cause, values in attribute(won, np.array([1000, 0]), np.array([0, 0])).items()}
    assert cents == {"won": 4000, "lost": 0, "created": 0, "amount": 0, "timing": 0, "progress": 0, "model": 0}
