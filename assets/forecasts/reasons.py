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
    base = json.dumps({"code": "base_rate", "log_odds": round(result.base_log_odds, DECIMALS)})
    steps = np.round(result.contributions, DECIMALS)
    texts = [[base] for _ in range(len(steps))]
    # A hundred thousand deals with a dozen reasons each: the parts of their texts are written column by column.
    for column, code in enumerate(result.factors):
        rows = np.flatnonzero(steps[:, column])
        written = [_written(name, values[rows]) for name, values in figures.get(code, {}).items()]
        begun = [f'{{"code": {json.dumps(code)}, "log_odds": {step}' for step in steps[rows, column].tolist()]
        for deal, *parts in zip(rows.tolist(), begun, *written):
            texts[deal].append(f"{''.join(parts)}}}")
    return [f"[{', '.join(parts)}]" for parts in texts]


def _written(name: str, values: np.ndarray) -> list[str]:
    """Values as members of a JSON object, each after a comma; nothing where one is not known."""
    if values.dtype == object:
        texts = {value: f', "{name}": {json.dumps(value)}' for value in set(values)}
        return [texts[value] for value in values]
    plain = np.round(values, 2).tolist()
    return ["" if v != v else f', "{name}": {int(v) if v.is_integer() else v}' for v in plain]
