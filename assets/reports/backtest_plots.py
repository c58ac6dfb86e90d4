"""The drawings of the backtest page as coordinates: the template only puts them down.

What belongs here: places in a drawing. What does not: figures, words, colours.
"""

import math
from dataclasses import dataclass

import pandas as pd

from assets.reports.page_figures import Figures

SIDE = 240
"""Width and height of a reliability plot, in its own units."""

WIDTH, HEIGHT = 720, 230
"""Of the plot of months."""

LEFT, TOP, BOTTOM = 46, 10, 30


@dataclass(frozen=True)
class Drawing:
    """Marks of a plot: ``points`` with x, y, low, high (and more), ``ticks`` with at and label."""

    points: list[dict]
    ticks: list[dict]
    x_ticks: list[dict]


def reliability_drawing(bins: pd.DataFrame) -> Drawing:
    """Predicted across, observed upwards, both from 0 to the largest value shown, rounded up to a fifth."""
    largest = float(bins[["predicted", "observed_high"]].to_numpy().max())
    top = next(end for end in (0.2, 0.4, 0.6, 0.8, 1.0) if largest <= end or end == 1.0)
    span = SIDE - LEFT - BOTTOM

    def x(value: float) -> float:
        return round(LEFT + span * min(value / top, 1.0), 1)

    def y(value: float) -> float:
        return round(TOP + span * (1 - min(value / top, 1.0)), 1)

    points = [{"x": x(b["predicted"]), "y": y(b["observed"]), "low": y(b["observed_low"]), "high": y(b["observed_high"])} for b in bins.to_dict("records")]
    marks = [top * step / 4 for step in range(5)]
    return Drawing(points, [{"at": y(m), "label": f"{100 * m:.0f}%"} for m in marks], [{"at": x(m), "label": f"{100 * m:.0f}%"} for m in marks])


def months_drawing(months: pd.DataFrame, figures: Figures) -> Drawing:
    """Per month the 80 % range as a bar, the forecast as a line in it, the actual amount as a dot."""
    if months.empty:
        return Drawing([], [], [])
    mark = _round_step(float(months[["forecast", "p90", "actual"]].max().max()) / 4)
    top = 4 * mark
    step = (WIDTH - LEFT - 10) / len(months)
    span = HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return round(TOP + span * (1 - value / top), 1)

    points = [
        {
            "x": round(LEFT + step * (place + 0.5), 1),
            "forecast": y(row["forecast"]),
            "low": y(row["p10"]),
            "high": y(row["p90"]),
            "actual": y(row["actual"]),
            "half": round(min(step * 0.28, 16), 1),
        }
        for place, row in enumerate(months.to_dict("records"))
    ]
    every = max(1, -(-len(months) // 12))
    labels = [{"at": p["x"], "label": f"{start:%Y-%m}"} for p, start in zip(points, months["period_start"], strict=True)]
    ticks = [{"at": y(mark * number), "label": figures.amount_cell(mark * number)} for number in range(5)]
    return Drawing(points, ticks, labels[::every])


def _round_step(least: float) -> float:
    """The smallest of some round numbers times a power of ten that is not below ``least``; 1 where that is not positive."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10) if least <= step * power * (1 + 1e-12))
