"""What a person must confirm: questions with what is proposed, why, and what would change.

What belongs here: the shape of a question and the choice of the five that are asked. What does not: where questions come from
(drafting.py, company.py, trial.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from pipelines.configuration_file import Place

ASKED = 5
"""Questions that are asked at most; what else is assumed says so in a comment."""


class Weight(IntEnum):
    """What a question decides, the gravest first: those before are asked rather than those after."""

    STOPS = 1
    DATES = 2
    IDS = 3
    STAGES = 4
    MONEY = 5
    CALENDAR = 6
    OUTCOME = 7


@dataclass(frozen=True)
class Question:
    """One question: the setting it stands at, what is proposed, the evidence, and what another answer would change."""

    weight: Weight
    place: Place
    keys: str
    proposal: str
    evidence: str
    effect: str


def asked(questions: Iterable[Question]) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """The questions that are asked, in their order, and those that are only noted."""
    ordered = sorted(questions, key=lambda q: (q.weight, q.keys))
    return tuple(ordered[:ASKED]), tuple(ordered[ASKED:])
