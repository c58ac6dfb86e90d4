"""From trusted tables to the arrays that the models read.

What belongs here: the queries that fetch what a forecast needs and their change into a CompanyRecord. What does not:
any estimate.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from assets.exports.settings import Configuration
from assets.query import Engine, Parquet, Query
from models.deal_facts import DealFacts, is_overwritten, trait_codes
from models.deal_history import NEVER, WON, DealHistory, deal_groups, deal_history
from models.levels import Members, whole_days
from models.outlook import CompanyRecord

GROUP_DIMENSIONS = ("source", "product", "region", "industry", "opportunity_type")
"""Segments that may serve as covariates where they are configured, declared immutable and so known at creation."""

MOST_COVARIATES = 2

OPPORTUNITIES_SQL = """
SELECT opportunity_id, status, stage, created_at, closed_at, CAST(amount AS DOUBLE) AS amount, crm_probability, owner_id
FROM opportunities ORDER BY opportunity_id
"""

VISITS_SQL = """
-- Of a deal that the history does not hold the stages are not known, but for the one it is in now.
SELECT opportunity_id, visit_number, stage, seen_at, is_entry_dated, exited_at, exit_kind, next_stage, course
FROM stage_visits WHERE course <> 'unknown' ORDER BY opportunity_id, visit_number
"""

EPISODES_SQL = """
WITH numbered AS (SELECT opportunity_id, row_number() OVER (ORDER BY opportunity_id) - 1 AS deal FROM opportunities)
SELECT
    n.deal, e.valid_from, e.valid_to, CAST(e.amount AS DOUBLE) AS amount, e.expected_close_date,
    CASE WHEN e.owner_id IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY e.owner_id) - 1 END AS owner
FROM episodes AS e JOIN numbered AS n ON n.opportunity_id = e.opportunity_id
ORDER BY n.deal, e.valid_from
"""

TOUCHES_SQL = """
WITH numbered AS (SELECT opportunity_id, row_number() OVER (ORDER BY opportunity_id) - 1 AS deal FROM opportunities)
SELECT n.deal, CAST(a.happened_at AS DATE) AS day
FROM activities AS a JOIN numbered AS n ON n.opportunity_id = a.opportunity_id
ORDER BY n.deal, day
"""

CHANGING_SQL = """
-- Fields that were seen to change while a deal was open: those whose past is exported.
SELECT
    coalesce(bool_or(first_amount < last_amount), FALSE) AS amount,
    coalesce(bool_or(first_date < last_date), FALSE) AS expected_close_date,
    coalesce(bool_or(first_owner < last_owner), FALSE) AS owner_id
FROM (
    SELECT
        min(amount) AS first_amount, max(amount) AS last_amount,
        min(expected_close_date) AS first_date, max(expected_close_date) AS last_date,
        min(owner_id) AS first_owner, max(owner_id) AS last_owner
    FROM episodes WHERE status = 'open' GROUP BY opportunity_id
) AS deals
"""

SEGMENTS_SQL = """
WITH numbered AS (SELECT opportunity_id, row_number() OVER (ORDER BY opportunity_id) - 1 AS deal FROM opportunities)
SELECT n.deal AS opportunity_id, s.dimension, s.member
FROM segments AS s JOIN numbered AS n ON n.opportunity_id = s.opportunity_id
ORDER BY n.deal, s.dimension
"""

FINAL_RATIOS_SQL = """
-- Per won deal and stage the mean of final ÷ current amount, of the deals won in the last three years.
SELECT
    e.opportunity_id, e.stage, CAST(1 AS DOUBLE) AS amount, o.closed_at AS closed_on,
    CAST(o.amount AS DOUBLE) * sum(CAST(1e15 / CAST(e.amount AS DOUBLE) AS HUGEINT)) / 1e15 / count(*) AS final_amount
FROM episodes AS e
JOIN opportunities AS o ON o.opportunity_id = e.opportunity_id
WHERE o.status = 'won' AND e.status = 'open' AND e.amount > 0 AND o.amount > 0
  AND o.closed_at > (SELECT max(closed_at) FROM opportunities) - INTERVAL 3 YEAR
GROUP BY e.opportunity_id, e.stage, o.closed_at, o.amount
ORDER BY e.opportunity_id, e.stage
"""


def company_record(
    opportunities: Parquet,
    stage_visits: Parquet,
    episodes: Parquet,
    opportunity_segments: Parquet,
    activities: Parquet,
    stages: pd.DataFrame,
    company: Configuration,
    engine: Engine,
    as_of: date,
) -> CompanyRecord:
    """The record as known at the as-of date."""
    tables = {"opportunities": opportunities, "stage_visits": stage_visits, "episodes": episodes, "segments": opportunity_segments}
    deals = engine.arrow(Query(OPPORTUNITIES_SQL, tables)).to_pandas()
    # Seven million ids as texts would be most of the work; a deal's number is its place in the order of ids.
    segments = engine.arrow(Query(SEGMENTS_SQL, tables)).to_pandas(strings_to_categorical=True)
    numbers = np.arange(len(deals))
    visits = engine.arrow(Query(VISITS_SQL, tables)).to_pandas()
    history = deal_history(deals, visits, stages, as_of, deal_groups(deals.assign(opportunity_id=numbers), segments, covariates(company)))
    del visits
    states = engine.arrow(Query(EPISODES_SQL, tables)).to_pandas(date_as_object=False)
    ratios = engine.arrow(Query(FINAL_RATIOS_SQL, tables)).to_pandas()
    ratios = ratios.assign(
        opportunity_id=pd.factorize(ratios["opportunity_id"])[0], stage=ratios["stage"].astype("category"), closed_on=ratios["closed_on"].dt.normalize()
    )
    touches = engine.arrow(Query(TOUCHES_SQL, tables | {"activities": activities})).to_pandas(date_as_object=False)
    changing = engine.arrow(Query(CHANGING_SQL, tables)).to_pylist()[0]
    knows_amounts = "amount" in company.immutable_fields or changing["amount"]
    known = frozenset(field for field, seen in changing.items() if seen or field in company.immutable_fields)
    members = Members.of(segments, numbers)
    facts = deal_facts(states, touches, history, members, known, immutable_segments(company))
    default = stages[stages["kind"] == "open"].set_index("stage")["default_probability"].astype(float)
    return CompanyRecord(
        history=history,
        facts=facts,
        members=members,
        created_on=whole_days(deals["created_at"]),
        closed_on=whole_days(deals["closed_at"]),
        owner_id=deals["owner_id"].to_numpy(object),
        is_won=deals["status"].eq("won").to_numpy(),
        amount=deals["amount"].to_numpy(float),
        crm_probability=deals["crm_probability"].to_numpy(float),
        default_probability=default.reindex(list(history.stages)).to_numpy(),
        episode_deal=states["deal"].to_numpy(np.int32),
        episode_from=states["valid_from"].to_numpy("datetime64[us]"),
        episode_to=states["valid_to"].to_numpy("datetime64[us]"),
        episode_amount=states["amount"].to_numpy(float),
        episode_close_on=whole_days(states["expected_close_date"]),
        final_ratios=ratios if knows_amounts else ratios.iloc[:0],
        knows_amounts=knows_amounts,
    )


def covariates(company: Configuration) -> tuple[str, ...]:
    """Segments by which the semi-Markov hazards are told apart."""
    return immutable_segments(company)[:MOST_COVARIATES]


def immutable_segments(company: Configuration) -> tuple[str, ...]:
    """Configured segments that were known at creation: the only ones that may explain an outcome."""
    return tuple(d for d in GROUP_DIMENSIONS if d in company.segments and d in company.immutable_fields)


def deal_facts(
    states: pd.DataFrame, touches: pd.DataFrame, history: DealHistory, members: Members, known: frozenset[str], traits: tuple[str, ...]
) -> DealFacts:
    """Episodes, touches and ``traits`` (segments) as arrays.

    ``known`` are the fields whose past is exported; close dates that were overwritten at closing are taken out of them.
    """
    dimensions = list(members.names["dimension"].unique())
    close = whole_days(states["expected_close_date"])
    facts = DealFacts(
        deal=states["deal"].to_numpy(np.int64),
        from_day=states["valid_from"].to_numpy("datetime64[D]").astype(np.int64),
        amount=states["amount"].to_numpy(float),
        close_day=np.where(np.isnat(close), NEVER, close.astype(np.int64)),
        owner=states["owner"].to_numpy(np.int64),
        touched_deal=touches["deal"].to_numpy(np.int64),
        touched_day=touches["day"].to_numpy("datetime64[D]").astype(np.int64),
        knows=known | {"activities"} if len(touches) else known,
        traits={name: trait_codes(members.codes[:, dimensions.index(name)]) for name in traits},
    )
    closed = np.flatnonzero(history.cause >= WON)
    if is_overwritten(facts, history.stay_deal[closed], history.exited_day[closed]):
        return replace(facts, knows=facts.knows - {"expected_close_date"})
    return facts
