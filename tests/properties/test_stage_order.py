"""The order of stages comes back from simulated histories, however often deals skip, fall back and stop."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.exports.proposing.stage_order import history_of, order_stages


def simulated(stages: list[str], seed: int, skipped: float, back: float, deals: int = 400) -> pa.Table:
    """Entries of deals that go through ``stages``: one is skipped or fallen back from with these probabilities, and some deals stop."""
    random = np.random.default_rng(seed)
    rows = []
    for deal in range(deals):
        place, day = 0, datetime(2024, 1, 1) + timedelta(days=int(random.integers(0, 300)))
        while place < len(stages):
            rows.append({"opportunity_id": str(deal), "stage": stages[place], "entered_at": day})
            day += timedelta(days=int(random.integers(1, 20)))
            if random.random() < 0.08:
                break
            fell_back = place > 0 and random.random() < back
            place += -1 if fell_back else 2 if random.random() < skipped else 1
    return pa.Table.from_pylist(rows)


@settings(max_examples=25, deadline=None)
@given(
    st.permutations(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]),
    st.integers(2, 7),
    st.integers(0, 2**31),
    st.floats(0, 0.35),
    st.floats(0, 0.25),
)
def test_the_order_is_recovered_from_histories_with_regressions_and_skips(names, count, seed, skipped, back):
    stages = names[:count]
    found = order_stages(sorted(stages), history_of(simulated(stages, seed, skipped, back)))
    assert found.stages == tuple(stages)
    assert found.forward > found.total / 2


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.permutations(list("abcde")), st.integers(0, 2**31))
def test_the_order_does_not_depend_on_the_order_of_rows(stages, seed):
    entries = simulated(list(stages), seed, 0.2, 0.2, deals=60)
    shuffled = entries.take(pa.array(np.random.default_rng(seed).permutation(entries.num_rows)))
    assert order_stages(stages, history_of(entries)) == order_stages(sorted(stages), history_of(shuffled))
