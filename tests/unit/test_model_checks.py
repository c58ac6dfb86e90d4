"""Each check of the forecast passes on an honest record and fails on the fault that it is there for."""

import pandas as pd
import pytest

from models.settings import Thresholds
from quality.model_checks import CHECKS, beats_baselines, calibrated, no_drift, no_time_overlap, not_too_good

LIMITS = Thresholds()
ORIGINS = pd.date_range("2024-01-31", periods=12, freq="ME")


def accuracy(misses: list[float], months_ahead: int = 1) -> pd.DataFrame:
    """The company's months forecast at 100 by the published method; ``misses`` are forecast less actual."""
    origins = ORIGINS[: len(misses)]
    starts = origins + pd.offsets.MonthBegin(months_ahead) if months_ahead > 0 else origins.to_period("M").start_time
    return pd.DataFrame(
        {
            "origin": origins, "period_kind": "month", "period_start": starts, "dimension": "all", "method": "m", "kind": "replayed",
            "lead_months": 1, "forecast": 100.0, "error": misses,
        }
    )  # fmt: skip


def deals(auc: float = 0.8, calibration_error: float = 0.01, pairs: int = 1_000) -> pd.DataFrame:
    rows = {"method": "m", "horizon": ["month_1", "which"], "deals": pairs, "auc": auc, "calibration_error": calibration_error, "is_published": True}
    return pd.DataFrame(rows)


def choice(score: float, baseline: float, origins: int = 8) -> pd.DataFrame:
    return pd.DataFrame({"origin": ORIGINS[:origins], "question": "revenue", "method": "m", "score": score, "baseline_score": baseline, "origins_used": 3})


STEADY = [5.0, -5.0] * 6
HONEST = (accuracy(STEADY), deals(), choice(0.1, 0.2))


@pytest.mark.parametrize("name", CHECKS)
def test_an_honest_record_passes(name):
    assert CHECKS[name][2](*HONEST, LIMITS)[0]


@pytest.mark.parametrize("name", CHECKS)
def test_without_a_record_nothing_is_alarming(name):
    nothing = (accuracy([]), deals().iloc[:0], choice(0.1, 0.2, 0))
    assert CHECKS[name][2](*nothing, LIMITS)[0]


@pytest.mark.parametrize(
    ("judge", "record", "words"),
    [
        (no_time_overlap, (accuracy(STEADY, 0), deals(), choice(0.1, 0.2)), "12 of 12 scored months"),
        (not_too_good, (accuracy(STEADY), deals(auc=0.99), choice(0.1, 0.2)), "AUC 0.990"),
        (calibrated, (accuracy(STEADY), deals(calibration_error=0.08), choice(0.1, 0.2)), "calibration error 0.080 at month_1"),
        (beats_baselines, (accuracy(STEADY), deals(), choice(0.3, 0.2)), "30.0% of what was won, the best simple method by 20.0%"),
        (no_drift, (accuracy([*STEADY[:9], 20.0, 25.0, 22.0]), deals(), choice(0.1, 0.2)), "the last 3 months were missed by +22.3%"),
    ],
)
def test_each_fault_is_found_and_said(judge, record, words):
    passed, said = judge(*record, LIMITS)
    assert not passed
    assert words in said


def test_small_numbers_raise_no_alarm():
    assert not_too_good(accuracy(STEADY), deals(auc=1.0, pairs=199), choice(0.1, 0.2), LIMITS)[0]
    assert beats_baselines(accuracy(STEADY), deals(), choice(0.3, 0.2, 5), LIMITS)[0]
