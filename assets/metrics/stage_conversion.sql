-- How many of the deals that entered a stage move on, by the period of their first entry.
--
-- Moving on is reaching a later stage or being won, ever: a later regression does not undo it.
--
-- Only deals whose entry is dated by what happened are in a cohort: a stay that was under way when the history began has no
-- date of entry, and a deal that the history does not hold has no known way.
--
-- Filled: a stage that a deal skipped counts as reached, and passed, at the first instant at which the deal was further; but
-- not a stage that did not exist at that instant (one that was split, or its parts), and not what lies before the first
-- stage in which a deal is seen that is older than the history.
--
-- Eventual: competing risks (Aalen–Johansen) of first visits, by whole days of age. One risk is leaving forward, the other
-- leaving in any other way (lost or back): so that of a cohort without open visits it is conversion_observed. An open
-- visit counts half in the day it is censored in (actuarial estimate). Beyond the last day of age that one of its visits
-- left in or was seen through, the cohort is continued with the stage's hazards of the trailing 12 months in the whole
-- company (stage_hazards.sql). The variance is Greenwood's by the delta method, of both parts; the interval is Wilson's
-- with the number of trials that this variance stands for, which without censoring is the number entered.
--
-- Slots are explained in funnel_flow.sql; slot 1 is the time before the first period. A cell is a period × member × stage.
-- Wilson: z = 1.959963984540054, z² = 3.841458820694124. Sums of DOUBLEs run in ordered windows only.
WITH reported AS (
    SELECT
        ROW_NUMBER() OVER (ORDER BY period_kind, period_start) AS period,
        period_kind,
        period_start,
        CAST(period_end + INTERVAL 1 DAY AS DATE) AS next_start,
        is_partial
    FROM calendar
    WHERE is_reported
),
slots AS (
    SELECT
        day,
        ROW_NUMBER() OVER (ORDER BY day) AS slot,
        CAST(day AS TIMESTAMP) AS starts_at,
        CAST(LEAD(day, 1, DATE '2200-01-01') OVER (ORDER BY day) AS TIMESTAMP) AS ends_at
    FROM (SELECT period_start AS day FROM reported UNION SELECT next_start FROM reported) AS days
),
slots_of_periods AS (
    SELECT r.period, s.slot
    FROM reported AS r
    INNER JOIN slots AS s ON s.day >= r.period_start AND s.day < r.next_start
),
members AS (
    SELECT dimension, member, ROW_NUMBER() OVER (ORDER BY dimension, member) AS member_number
    FROM (SELECT DISTINCT dimension, member FROM opportunity_segments) AS named
),
memberships AS (
    SELECT s.opportunity_id, LIST(m.member_number) AS member_numbers
    FROM opportunity_segments AS s
    INNER JOIN members AS m USING (dimension, member)
    GROUP BY s.opportunity_id
),
-- A stage and a slot as one number, and with a member as one more: millions of entries are counted by it.
stage_slots AS (
    SELECT t.stage, s.slot, s.starts_at, s.ends_at, ROW_NUMBER() OVER (ORDER BY t.stage, s.slot) AS stage_slot
    FROM stages AS t
    CROSS JOIN slots AS s
),
cells_of_slots AS (
    SELECT m.member_number, s.stage, s.slot, 1000000 * m.member_number + s.stage_slot AS slot_cell
    FROM members AS m
    CROSS JOIN stage_slots AS s
),
firsts AS (
    SELECT v.opportunity_id, s.pipeline, v.stage, v.position, v.entered_at, v.course, CASE WHEN v.is_entry_dated THEN 1 ELSE 0 END AS dated
    FROM stage_visits AS v
    INNER JOIN stages AS s USING (stage)
    WHERE v.is_first
    UNION ALL
    SELECT
        v.opportunity_id,
        s.pipeline,
        v.next_stage,
        v.next_position,
        MIN(v.exited_at),
        MIN(v.course),
        MIN(CASE WHEN v.is_entry_dated THEN 1 ELSE 0 END)
    FROM stage_visits AS v
    INNER JOIN stages AS s USING (stage)
    WHERE v.exit_kind = 'won'
    GROUP BY v.opportunity_id, s.pipeline, v.next_stage, v.next_position
),
progress AS (
    SELECT opportunity_id, pipeline, MAX(position) AS furthest
    FROM firsts
    GROUP BY opportunity_id, pipeline
),
entered AS (
    SELECT
        v.opportunity_id,
        t.stage_slot,
        CAST(FLOOR(v.dwell_days) AS BIGINT) AS age,
        CASE WHEN v.exited_at IS NULL AND v.dwell_days > FLOOR(v.dwell_days) THEN 1 ELSE 0 END AS censored_within_day,
        CASE WHEN v.exit_kind IN ('advanced', 'won') THEN 1 ELSE 0 END AS forward,
        CASE WHEN v.exit_kind IN ('regressed', 'lost') THEN 1 ELSE 0 END AS otherwise,
        CASE WHEN p.furthest > v.position OR o.status = 'won' THEN 1 ELSE 0 END AS advanced,
        CASE WHEN v.history = 'observed' THEN 1 ELSE 0 END AS observed,
        CASE WHEN v.history = 'rebuilt' THEN 1 ELSE 0 END AS rebuilt,
        o.status
    FROM stage_visits AS v
    INNER JOIN stage_slots AS t ON v.stage = t.stage AND v.entered_at >= t.starts_at AND v.entered_at < t.ends_at
    INNER JOIN stages AS s ON v.stage = s.stage
    INNER JOIN progress AS p ON v.opportunity_id = p.opportunity_id AND s.pipeline = p.pipeline
    INNER JOIN opportunities AS o ON v.opportunity_id = o.opportunity_id
    WHERE v.is_first AND v.is_entry_dated
),
reached AS (
    SELECT
        *,
        COALESCE(LEAD(position, 1) OVER further_first, CASE WHEN course = 'whole' THEN 0 ELSE position - 1 END) AS position_below,
        MAX(position) OVER further_first AS furthest,
        MIN(entered_at) OVER further_first AS reached_at,
        MIN(dated) OVER further_first AS all_dated
    FROM firsts
    WINDOW further_first AS (PARTITION BY opportunity_id, pipeline ORDER BY position DESC)
),
filled_stages AS (
    SELECT
        r.opportunity_id,
        r.stage,
        CASE WHEN r.reached_at < CAST(s.first_day AS TIMESTAMP) THEN r.entered_at ELSE r.reached_at END AS reached_at,
        CASE WHEN r.furthest > r.position THEN 1 ELSE 0 END AS passed
    FROM reached AS r
    INNER JOIN stages AS s ON r.stage = s.stage
    WHERE s.kind = 'open' AND r.all_dated = 1
    UNION ALL
    SELECT r.opportunity_id, s.stage, r.reached_at, 1
    FROM reached AS r
    INNER JOIN stages AS s ON r.pipeline = s.pipeline AND s.position > r.position_below AND s.position < r.position
    WHERE s.kind = 'open'
        AND r.all_dated = 1
        AND (s.first_day IS NULL OR r.reached_at >= CAST(s.first_day AS TIMESTAMP))
        AND (s.last_day IS NULL OR r.reached_at < CAST(s.last_day + INTERVAL 1 DAY AS TIMESTAMP))
),
filled AS (
    SELECT f.opportunity_id, t.stage_slot, f.passed
    FROM filled_stages AS f
    INNER JOIN stage_slots AS t ON f.stage = t.stage AND f.reached_at >= t.starts_at AND f.reached_at < t.ends_at
),
entered_of_members AS NOT MATERIALIZED (
    SELECT 1000000 * UNNEST(m.member_numbers) + e.stage_slot AS slot_cell, e.*
    FROM entered AS e
    INNER JOIN memberships AS m USING (opportunity_id)
),
entered_slots AS (
    SELECT
        slot_cell,
        COUNT(*) AS entered,
        SUM(advanced) AS advanced,
        SUM(CASE WHEN status = 'won' THEN 1 ELSE 0 END) AS won,
        SUM(CASE WHEN advanced = 0 AND status = 'lost' THEN 1 ELSE 0 END) AS lost,
        SUM(CASE WHEN advanced = 0 AND status = 'open' THEN 1 ELSE 0 END) AS still_open,
        SUM(forward) AS forward,
        SUM(observed) AS observed,
        SUM(rebuilt) AS rebuilt
    FROM entered_of_members
    GROUP BY slot_cell
),
filled_slots AS (
    SELECT slot_cell, COUNT(*) AS reached, SUM(passed) AS passed
    FROM (
        SELECT 1000000 * UNNEST(m.member_numbers) + f.stage_slot AS slot_cell, f.passed
        FROM filled AS f
        INNER JOIN memberships AS m USING (opportunity_id)
    ) AS filled_of_members
    GROUP BY slot_cell
),
filled_cells AS (
    SELECT p.period, c.member_number, c.stage, SUM(f.reached) AS reached, SUM(f.passed) AS passed
    FROM filled_slots AS f
    INNER JOIN cells_of_slots AS c USING (slot_cell)
    INNER JOIN slots_of_periods AS p USING (slot)
    GROUP BY p.period, c.member_number, c.stage
),
entered_cells AS (
    SELECT
        ROW_NUMBER() OVER (ORDER BY p.period, c.member_number, c.stage) AS cohort,
        p.period,
        c.member_number,
        c.stage,
        SUM(e.entered) AS entered,
        SUM(e.advanced) AS advanced,
        SUM(e.won) AS won,
        SUM(e.lost) AS lost,
        SUM(e.still_open) AS still_open,
        SUM(e.forward) AS forward,
        SUM(e.observed) AS observed,
        SUM(e.rebuilt) AS rebuilt
    FROM entered_slots AS e
    INNER JOIN cells_of_slots AS c USING (slot_cell)
    INNER JOIN slots_of_periods AS p USING (slot)
    GROUP BY p.period, c.member_number, c.stage
),
slot_ages AS (
    SELECT
        slot_cell,
        age,
        COUNT(*) AS entered,
        SUM(forward) AS forward,
        SUM(otherwise) AS otherwise,
        SUM(censored_within_day) AS censored_within_day
    FROM entered_of_members
    GROUP BY slot_cell, age
),
-- The cohort's own hazards: exits ÷ visits at risk, by day of age.
ages AS (
    SELECT
        p.period,
        c.member_number,
        c.stage,
        a.age,
        CAST(SUM(a.entered) AS INTEGER) AS entered,
        CAST(SUM(a.forward) AS INTEGER) AS forward,
        CAST(SUM(a.otherwise) AS INTEGER) AS otherwise,
        CAST(SUM(a.censored_within_day) AS INTEGER) AS censored_within_day
    FROM slot_ages AS a
    INNER JOIN cells_of_slots AS c USING (slot_cell)
    INNER JOIN slots_of_periods AS p USING (slot)
    GROUP BY p.period, c.member_number, c.stage, a.age
),
cohort_risks AS (
    SELECT
        c.cohort,
        a.age,
        CAST(a.forward AS DOUBLE) AS forward,
        CAST(a.otherwise AS DOUBLE) AS otherwise,
        CAST(c.entered - SUM(a.entered) OVER (PARTITION BY c.cohort ORDER BY a.age) + a.forward + a.otherwise AS DOUBLE)
            + CAST(a.censored_within_day AS DOUBLE) / 2 AS at_risk
    FROM ages AS a
    INNER JOIN entered_cells AS c USING (period, member_number, stage)
    CROSS JOIN parameters AS p
    WHERE c.entered >= p.small_sample
),
cohort_hazards AS (
    SELECT
        cohort,
        age,
        at_risk,
        CASE WHEN forward + otherwise > 0 THEN age + 1 ELSE age END AS followed_days,
        CASE WHEN at_risk > 0 THEN forward / at_risk ELSE 0 END AS forward_hazard,
        CASE WHEN at_risk > 0 THEN otherwise / at_risk ELSE 0 END AS other_hazard,
        CASE WHEN at_risk > 0 THEN (at_risk - forward - otherwise) / at_risk ELSE 1 END AS stay
    FROM cohort_risks
),
cohort_survival AS (
    SELECT
        *,
        EXP(COALESCE(SUM(CASE WHEN stay > 0 THEN LN(stay) ELSE 0 END) OVER (
            PARTITION BY cohort
            ORDER BY age
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0)) AS staying_before
    FROM cohort_hazards
),
cohort_incidence AS (
    SELECT
        *,
        staying_before * stay AS staying_after,
        SUM(staying_before * forward_hazard) OVER (
            PARTITION BY cohort
            ORDER BY age
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS forward_by_then
    FROM cohort_survival
),
followed AS (
    SELECT cohort, MAX(followed_days) AS followed_days, MIN(staying_after) AS staying, MAX(forward_by_then) AS forward
    FROM cohort_incidence
    GROUP BY cohort
),
continuation AS (
    SELECT stage, LAG(age_days, 1, -1) OVER (PARTITION BY stage ORDER BY age_days) AS age_below, age_days, eventual, standard_error
    FROM stage_hazards
),
continued AS (
    SELECT
        f.cohort,
        COALESCE(f.staying * c.standard_error, 0) AS continued_error,
        COALESCE(f.staying * c.eventual, 0) AS continued,
        f.forward + COALESCE(f.staying * c.eventual, 0) AS eventual
    FROM followed AS f
    INNER JOIN entered_cells AS e USING (cohort)
    LEFT JOIN continuation AS c ON e.stage = c.stage AND f.followed_days > c.age_below AND f.followed_days <= c.age_days
),
variances AS (
    SELECT
        cohort,
        ROW_NUMBER() OVER (PARTITION BY cohort ORDER BY age DESC) AS from_last,
        SUM(
            CASE
                WHEN at_risk > 0
                    THEN POWER(staying_before, 2) / at_risk * (
                        forward_hazard * POWER(1 - forward_after, 2)
                        + other_hazard * POWER(forward_after, 2)
                        - POWER(forward_hazard * (1 - forward_after) - other_hazard * forward_after, 2)
                    )
                ELSE 0
            END
        ) OVER (
            PARTITION BY cohort
            ORDER BY age
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS variance
    FROM (
        SELECT
            i.cohort,
            i.age,
            i.at_risk,
            i.forward_hazard,
            i.other_hazard,
            i.staying_before,
            CASE WHEN i.staying_after > 0 THEN (c.eventual - i.forward_by_then) / i.staying_after ELSE 0 END AS forward_after
        FROM cohort_incidence AS i
        INNER JOIN continued AS c USING (cohort)
    ) AS outlooks
),
cells AS (
    SELECT
        e.cohort,
        COALESCE(e.period, f.period) AS period,
        COALESCE(e.member_number, f.member_number) AS member_number,
        COALESCE(e.stage, f.stage) AS stage,
        COALESCE(e.entered, 0) AS entered,
        COALESCE(e.advanced, 0) AS advanced,
        COALESCE(e.won, 0) AS won,
        COALESCE(e.lost, 0) AS lost,
        COALESCE(e.still_open, 0) AS still_open,
        CAST(e.forward AS DOUBLE) AS forward,
        CAST(e.entered AS DOUBLE) AS trials,
        CAST(e.observed AS DOUBLE) / e.entered AS observed_share,
        CAST(e.rebuilt AS DOUBLE) / e.entered AS rebuilt_share,
        CAST(f.passed AS DOUBLE) / f.reached AS conversion_filled
    FROM entered_cells AS e
    FULL JOIN filled_cells AS f ON e.period = f.period AND e.member_number = f.member_number AND e.stage = f.stage
),
eventual AS (
    SELECT
        c.cohort,
        -- What rounding leaves of 1 is not certainty: all of the entered are the trials there.
        CASE WHEN c.eventual > 1 - 1e-9 THEN 1 ELSE c.eventual END AS eventual,
        CASE WHEN c.eventual > 0 THEN LEAST(1, c.continued / c.eventual) ELSE 0 END AS extrapolated_share,
        CASE
            WHEN c.eventual > 1e-9 AND c.eventual < 1 - 1e-9 AND v.variance + POWER(c.continued_error, 2) > 0
                THEN c.eventual * (1 - c.eventual) / (v.variance + POWER(c.continued_error, 2))
            ELSE CAST(e.entered AS DOUBLE)
        END AS trials
    FROM continued AS c
    INNER JOIN variances AS v USING (cohort)
    INNER JOIN entered_cells AS e USING (cohort)
    WHERE v.from_last = 1
)
SELECT
    p.period_kind,
    p.period_start,
    m.dimension,
    m.member,
    c.stage,
    c.entered,
    c.advanced,
    c.won,
    c.lost,
    c.still_open,
    c.forward / c.trials AS conversion_observed,
    c.conversion_filled,
    v.eventual AS conversion_eventual,
    CASE
        WHEN v.trials > 0
            THEN GREATEST(0, (
                v.eventual * v.trials + 1.920729410347062
                - 1.959963984540054 * SQRT(v.eventual * (1 - v.eventual) * v.trials + 0.960364705173531)
            ) / (v.trials + 3.841458820694124))
    END AS eventual_low,
    CASE
        WHEN v.trials > 0
            THEN LEAST(1, (
                v.eventual * v.trials + 1.920729410347062
                + 1.959963984540054 * SQRT(v.eventual * (1 - v.eventual) * v.trials + 0.960364705173531)
            ) / (v.trials + 3.841458820694124))
    END AS eventual_high,
    v.extrapolated_share,
    CASE
        WHEN c.trials > 0
            THEN GREATEST(0, (
                c.forward + 1.920729410347062
                - 1.959963984540054 * SQRT(c.forward * (c.trials - c.forward) / c.trials + 0.960364705173531)
            ) / (c.trials + 3.841458820694124))
    END AS ci_low,
    CASE
        WHEN c.trials > 0
            THEN LEAST(1, (
                c.forward + 1.920729410347062
                + 1.959963984540054 * SQRT(c.forward * (c.trials - c.forward) / c.trials + 0.960364705173531)
            ) / (c.trials + 3.841458820694124))
    END AS ci_high,
    s.benchmark_conversion AS benchmark,
    c.observed_share,
    c.rebuilt_share,
    p.is_partial
FROM cells AS c
INNER JOIN reported AS p USING (period)
INNER JOIN members AS m USING (member_number)
INNER JOIN stages AS s USING (stage)
LEFT JOIN eventual AS v USING (cohort)
