"""What holds for every history: later facts change nothing earlier, and probabilities are probabilities."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.deal_history import day_number, deal_groups, deal_history
from models.landmarks import month_ends, open_deals
from models.win_probability import count_history, fit_models, win_probabilities
from tests.deal_frames import Funnel, draw_deals, known_at

SETTINGS = {"half_life_days": 365.0, "prior_deals": 20.0, "drift_prior_events": 70.0}
HORIZON_DAYS = np.array([1, 30, 31, 90, 400])


def _history(frames):
    return deal_history(*frames.tables, groups=deal_groups(frames.opportunities, frames.opportunity_segments, ("source",)))


def _results(history, origin: date, origins: int, horizons_only: bool):
    models = fit_models(count_history(history, origins), day_number(origin), **SETTINGS)
    return win_probabilities(models, open_deals(history, day_number(origin)), HORIZON_DAYS, horizons_only=horizons_only)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), months_back=st.integers(1, 8), deals=st.integers(150, 500))
def test_facts_learned_later_change_no_earlier_result(seed, months_back, deals):
    frames = draw_deals(Funnel(), deals, days=620, seed=seed)
    origin = month_ends(frames.as_of, months_back)[0]
    today, then = _history(frames), _history(known_at(frames, origin))
    later, earlier = _results(today, origin, months_back, True), _results(then, origin, 0, True)
    assert later.keys() == earlier.keys()
    for method, result in earlier.items():
        assert list(today.opportunity_id[later[method].deal]) == list(then.opportunity_id[result.deal])
        assert later[method].won_by == pytest.approx(result.won_by, abs=1e-9)
        assert later[method].lost_by == pytest.approx(result.lost_by, abs=1e-9)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    deals=st.integers(0, 300),
    win=st.floats(0, 0.2),
    lose=st.floats(0, 0.2),
    advance=st.floats(0, 0.5),
)
def test_probabilities_rise_with_the_horizon_and_add_up(seed, deals, win, lose, advance):
    frames = draw_deals(Funnel(win=(win / 2, win, win), lose=(lose,) * 3, advance=(advance, advance, 0.0)), deals, days=400, seed=seed)
    for result in _results(_history(frames), frames.as_of, 0, False).values():
        assert np.isfinite(result.won_by).all()
        assert np.isfinite(result.lost_by).all()
        assert np.all(result.won_by >= 0)
        assert np.all(result.lost_by >= 0)
        assert np.all(result.won_by + result.lost_by <= 1 + 1e-12)
        assert np.all(np.diff(result.won_by, axis=1) >= 0)
        assert np.all(np.diff(result.lost_by, axis=1) >= 0)
        log_odds = np.log(result.won_ever) - np.log1p(-result.won_ever)
        assert result.base_log_odds + result.contributions.sum(axis=1) == pytest.approx(log_odds, abs=1e-9)
