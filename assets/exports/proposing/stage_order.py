"""Finds the order of stages from which stage follows which, and what to go by where no history shows it.

What belongs here: transitions, the order with the fewest moves backward, parallel tracks of events. What does
not: which stages are won or lost (outcomes.py), and names that tell a place in a funnel (stage_words.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

EXACT_STAGES = 14
"""Stages up to which the best order is found for certain; of more a good one is."""

_RARE = 0.02
_TRACK_GAP = 0.25

_TRANSITIONS_SQL = """
WITH moved AS (
    SELECT stage, entered_at, lag(stage) OVER deal AS before, lag(entered_at) OVER deal AS before_at
    FROM entries
    WHERE stage IS NOT NULL AND entered_at IS NOT NULL
    WINDOW deal AS (PARTITION BY opportunity_id ORDER BY entered_at, stage)
)
SELECT before, stage, count(*) AS moves FROM moved
WHERE before IS NOT NULL AND before <> stage AND before_at < entered_at
GROUP BY ALL ORDER BY ALL
"""

_PRECEDENCE_SQL = """
WITH first AS (SELECT opportunity_id, stage, min(entered_at) AS at FROM entries WHERE stage IS NOT NULL AND entered_at IS NOT NULL GROUP BY ALL)
SELECT a.stage AS before, b.stage AS stage, count(*) AS deals
FROM first AS a JOIN first AS b ON b.opportunity_id = a.opportunity_id AND a.at < b.at
GROUP BY ALL ORDER BY ALL
"""

_DEALS_SQL = """
SELECT stage, count(DISTINCT opportunity_id) AS deals, count(*) AS entries FROM entries WHERE stage IS NOT NULL GROUP BY stage ORDER BY stage
"""

_COVER_SQL = """
SELECT regexp_extract(stage, '^([A-Za-z]+)[_:.-]', 1) AS track, count(DISTINCT opportunity_id) AS deals, count(DISTINCT stage) AS stages
FROM entries WHERE stage IS NOT NULL GROUP BY ALL ORDER BY deals DESC, track
"""

Moves = Mapping[tuple[str, str], int]
"""How often the second stage followed the first."""


@dataclass(frozen=True)
class History:
    """What a history of stages shows: moves between stages, in how many deals one came before another, deals per stage."""

    moves: Moves
    before: Moves
    deals: Mapping[str, int]
    entries: int
    tracks: Mapping[str, int]
    """Deals per beginning of a stage's name, such as A of A_SUBMITTED; empty where the names have none in common."""


@dataclass(frozen=True)
class StageOrder:
    """Stages in their order. ``forward`` of ``total`` moves between them go forward."""

    stages: tuple[str, ...]
    forward: int
    total: int


def history_of(entries: pa.Table) -> History:
    """The history in ``entries``: opportunity_id, stage, entered_at. Moves within one instant show no order and do not count."""
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.register("entries", entries.select(["opportunity_id", "stage", "entered_at"]))
        moves, before = ({(a, b): n for a, b, n in connection.execute(sql).fetchall()} for sql in (_TRANSITIONS_SQL, _PRECEDENCE_SQL))
        counted = connection.execute(_DEALS_SQL).fetchall()
        tracks = connection.execute(_COVER_SQL).fetchall()
    deals = {stage: n for stage, n, _ in counted}
    are_tracks = len(tracks) > 1 and all(track and stages > 1 for track, _, stages in tracks)
    return History(moves, before, deals, sum(n for _, _, n in counted), {track: n for track, n, _ in tracks} if are_tracks else {})


def side_tracks(history: History) -> tuple[str, ...]:
    """Stages of events that run beside the deals: names with another beginning than those that every deal passes."""
    if not history.tracks:
        return ()
    main, most = max(history.tracks.items(), key=lambda item: (item[1], item[0]))
    aside = {track for track, deals in history.tracks.items() if track != main and deals < (1 - _TRACK_GAP) * most}
    return tuple(sorted(stage for stage in history.deals if _track(stage) in aside))


def follows(history: History, stages: Iterable[str]) -> dict[str, set[str]]:
    """For each of ``stages`` those of them that come later in more than a few of its deals."""
    stages = sorted({*stages})
    return {
        a: {b for b in stages if b != a and max(history.before.get((a, b), 0), history.moves.get((a, b), 0)) > _RARE * history.deals.get(a, 0)} for a in stages
    }


def order_stages(stages: Iterable[str], history: History) -> StageOrder:
    """The order of ``stages`` with the fewest moves backward; of equal ones the one that fewest deals first entered backward."""
    stages = _by_first_entry(stages, history)
    most = sum(history.before.values()) + 1
    cost = {(a, b): history.moves.get((b, a), 0) * most + history.before.get((b, a), 0) for a in stages for b in stages if a != b}
    order = _exact(stages, cost) if len(stages) <= EXACT_STAGES else _improved(stages, cost)
    place = {stage: n for n, stage in enumerate(order)}
    between = {pair: n for pair, n in history.moves.items() if pair[0] in place and pair[1] in place}
    return StageOrder(order, sum(n for (a, b), n in between.items() if place[a] < place[b]), sum(between.values()))


def _track(stage: str) -> str:
    return next((stage[:n] for n, mark in enumerate(stage) if mark in "_:.-"), "")


def _by_first_entry(stages: Iterable[str], history: History) -> tuple[str, ...]:
    """The stages by how many others they come before, which is the order that ties are left in."""

    def earlier(stage: str) -> int:
        return sum(history.before.get((stage, other), 0) - history.before.get((other, stage), 0) for other in history.deals)

    return tuple(sorted(stages, key=lambda stage: (-earlier(stage), stage)))


def _exact(stages: Sequence[str], cost: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    """The cheapest order of all: of every set of stages the cheapest order is known before that of any greater set."""
    count = len(stages)
    best: list[tuple[int, int]] = [(0, -1)] * (1 << count)
    after = [[cost.get((stages[i], stages[j]), 0) for j in range(count)] for i in range(count)]
    for chosen in range(1, 1 << count):
        options = []
        for last in range(count):
            if chosen >> last & 1:
                before = chosen ^ (1 << last)
                options.append((best[before][0] + sum(after[i][last] for i in range(count) if before >> i & 1), -last))
        price, last = min(options)
        best[chosen] = (price, -last)
    order, left = [], (1 << count) - 1
    while left:
        last = best[left][1]
        order.append(stages[last])
        left ^= 1 << last
    return tuple(reversed(order))


def _improved(stages: Sequence[str], cost: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    """The order after moving single stages to where they cost least until no move helps."""
    order = list(stages)

    def price(candidate: Sequence[str]) -> int:
        return sum(cost[a, b] for n, a in enumerate(candidate) for b in candidate[n + 1 :])

    best, is_better = price(order), True
    while is_better:
        is_better = False
        for stage in stages:
            without = [s for s in order if s != stage]
            tried = [[*without[:n], stage, *without[n:]] for n in range(len(order))]
            cheapest = min(tried, key=price)
            if price(cheapest) < best:
                order, best, is_better = cheapest, price(cheapest), True
    return tuple(order)
