-- How visits leave a stage by their age, in the 12 months before the as-of date, over the whole company.
--
-- Competing risks by whole days of age: one is leaving forward, the other leaving in any other way (lost or back). Every
-- visit counts, first or not, of which the beginning, and the end if any, is dated, from the first whole day of its age
-- in those months (delayed entry); an open visit counts half in the day it is censored in (actuarial estimate). From the
-- hazards follows what becomes of a visit that has reached an age: with which probability it leaves forward in the end.
-- What is still in the stage after the greatest age counts as not leaving forward. The standard error is Greenwood's by
-- the delta method. Sums of DOUBLEs run in ordered windows only.
WITH recent_visits AS (
    SELECT
        v.stage,
        CASE
            WHEN v.entered_at >= p.as_of_end - INTERVAL 12 MONTH THEN 0
            ELSE CAST(CEIL(DATE_DIFF('microsecond', v.entered_at, p.as_of_end - INTERVAL 12 MONTH) / 86400000000) AS BIGINT)
        END AS joined_age,
        CAST(FLOOR(v.dwell_days) AS BIGINT) AS age,
        CASE WHEN v.dwell_days > FLOOR(v.dwell_days) THEN 1 ELSE 0 END AS has_part_of_day,
        v.exit_kind
    FROM stage_visits AS v
    CROSS JOIN parameters AS p
    WHERE v.is_dated AND (v.exited_at IS NULL OR v.exited_at >= p.as_of_end - INTERVAL 12 MONTH)
),
recent_events AS (
    SELECT stage, joined_age AS age, 1 AS joined, 0 AS forward, 0 AS otherwise, 0 AS censored, 0 AS censored_within_day
    FROM recent_visits
    WHERE age >= joined_age
    UNION ALL
    SELECT
        stage,
        age,
        0,
        CASE WHEN exit_kind IN ('advanced', 'won') THEN 1 ELSE 0 END,
        CASE WHEN exit_kind IN ('regressed', 'lost') THEN 1 ELSE 0 END,
        CASE WHEN exit_kind IS NULL THEN 1 ELSE 0 END,
        CASE WHEN exit_kind IS NULL THEN has_part_of_day ELSE 0 END
    FROM recent_visits
    WHERE age >= joined_age
),
recent_ages AS (
    SELECT
        stage,
        age,
        SUM(joined) AS joined,
        SUM(forward) AS forward,
        SUM(otherwise) AS otherwise,
        SUM(censored) AS censored,
        SUM(censored_within_day) AS censored_within_day
    FROM recent_events
    GROUP BY stage, age
),
recent_risks AS (
    SELECT
        stage,
        age,
        CAST(forward AS DOUBLE) AS forward,
        CAST(otherwise AS DOUBLE) AS otherwise,
        CAST(
            SUM(joined - forward - otherwise - censored) OVER (PARTITION BY stage ORDER BY age)
            + forward
            + otherwise
            + 0.5 * censored_within_day AS DOUBLE
        ) AS at_risk
    FROM recent_ages
),
recent_hazards AS (
    SELECT
        stage,
        age,
        forward,
        otherwise,
        at_risk,
        CASE WHEN at_risk > 0 THEN forward / at_risk ELSE 0 END AS forward_hazard,
        CASE WHEN at_risk > 0 THEN otherwise / at_risk ELSE 0 END AS other_hazard,
        CASE WHEN at_risk > 0 THEN (at_risk - forward - otherwise) / at_risk ELSE 1 END AS stay
    FROM recent_risks
),
-- An age at which all at risk leave ends a run of ages: nobody passes from one run into the next.
recent_runs AS (
    SELECT
        *,
        COALESCE(SUM(CASE WHEN stay > 0 THEN 0 ELSE 1 END) OVER (
            PARTITION BY stage
            ORDER BY age
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS run
    FROM recent_hazards
),
recent_survival AS (
    SELECT
        *,
        EXP(GREATEST(-300, COALESCE(SUM(CASE WHEN stay > 0 THEN LN(stay) ELSE 0 END) OVER (
            PARTITION BY stage, run
            ORDER BY age
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0))) AS staying_before
    FROM recent_runs
),
recent_forward AS (
    SELECT
        *,
        SUM(staying_before * forward_hazard) OVER (
            PARTITION BY stage, run
            ORDER BY age DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) / staying_before AS forward_from_here
    FROM recent_survival
),
recent_forward_after AS (
    SELECT *, LEAD(forward_from_here, 1, 0) OVER (PARTITION BY stage, run ORDER BY age) AS forward_after
    FROM recent_forward
),
recent_variances AS (
    SELECT
        *,
        CASE
            WHEN at_risk > 0
                THEN (
                    forward_hazard * POWER(1 - forward_after, 2)
                    + other_hazard * POWER(forward_after, 2)
                    - POWER(forward_hazard * (1 - forward_after) - other_hazard * forward_after, 2)
                ) / at_risk
            ELSE 0
        END AS variance_of_day
    FROM recent_forward_after
),
outlook AS (
    SELECT
        *,
        SUM(POWER(staying_before, 2) * variance_of_day) OVER (
            PARTITION BY stage, run
            ORDER BY age DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) / POWER(staying_before, 2) AS variance
    FROM recent_variances
)
SELECT
    stage,
    age AS age_days,
    at_risk,
    forward,
    otherwise,
    forward_hazard,
    other_hazard,
    LEAST(1, forward_from_here) AS eventual,
    SQRT(GREATEST(0, variance)) AS standard_error
FROM outlook
