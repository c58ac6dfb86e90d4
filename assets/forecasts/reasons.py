"""Why a deal has its win probability: codes, log-odds and figures as JSON.

What belongs here: the form of win_probability.reasons. What does not: the log-odds themselves (models/win_probability.py) and
their words (assets/reports).
"""

import json
from collections.abc import Mapping

import numpy as np

from models.win_probability import WinProbabilities

DECIMALS = 4


def reasons(result: WinProbabilities, figures: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """One list per deal: the company's base rate, then what each factor adds in log-odds, with the deal's own figures.

    ``figures`` gives by code and name a value per deal of ``result`` (NaN or None: not known). A factor that adds nothing is left out; what
    rounding takes from one is in the last, so that all add up to the log-odds of p_won.
    """
    base = {"code": "base_rate", "log_odds": round(result.base_log_odds, DECIMALS)}
    steps = np.round(result.contributions, DECIMALS)
    texts = [[json.dumps(base)] for _ in range(len(steps))]
    for column, code in enumerate(result.factors):
        named = {name: _plain(values) for name, values in figures.get(code, {}).items()}
        for deal in np.flatnonzero(steps[:, column]):
            known = {name: values[deal] for name, values in named.items() if values[deal] is not None}
            texts[deal].append(json.dumps({"code": code, "log_odds": float(steps[deal, column]), **known}))
    return [f"[{', '.join(parts)}]" for parts in texts]


def _plain(values: np.ndarray) -> list:
    """Values as JSON writes them; None where one is not known."""
    if values.dtype == object:
        return [None if v is None else str(v) for v in values]
    return [None if np.isnan(v) else int(v) if float(v).is_integer() else round(float(v), 2) for v in values]
