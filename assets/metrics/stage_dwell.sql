-- How long visits last, by the period in which they began.
--
-- Visits of which the beginning, or the end that they had, is not dated by what happened are left out of everything here.
-- Completed statistics take visits that ended by the as-of date. Quantiles interpolate linearly between neighbours in
-- the order. Sorting every visit for every member and period would take more memory than there is, so visits are
-- counted in bins of about 5 % of their length first, and only the bins that hold a wanted place are sorted: the result
-- is exact.
-- The Kaplan–Meier median takes all visits: any exit is the event, open visits are censored, and an exit comes before a
-- censoring of the same length. Where half of a cell's visits ended in bins before that of its shortest open visit,
-- nothing is censored up to there, and the median is the middle visit in the order; the product over all lengths is
-- formed for the other cells, which are young cohorts.
-- Means are sums of whole microseconds, divided once: a sum of DOUBLEs would depend on the order of threads.
-- A slot is a stretch between two period boundaries, as in funnel_flow.sql; a cell is a period × member × stage.
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
recent AS (
    SELECT v.stage, COUNT(*) AS visits, SUM(DATE_DIFF('microsecond', v.entered_at, v.exited_at)) AS microseconds
    FROM stage_visits AS v
    CROSS JOIN parameters AS p
    WHERE v.is_dated AND v.exited_at >= p.as_of_end - INTERVAL 12 MONTH
    GROUP BY v.stage
),
reference AS (
    SELECT
        s.stage,
        s.benchmark_days,
        p.overtime_factor,
        CASE
            WHEN r.visits >= p.overtime_minimum_visits THEN CAST(r.microseconds AS DOUBLE) / r.visits / 86400000000
            ELSE s.benchmark_days
        END AS reference_days
    FROM stages AS s
    CROSS JOIN parameters AS p
    LEFT JOIN recent AS r USING (stage)
),
-- A stage and a slot as one number, and with a member as one more: millions of visits are counted by it.
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
visits AS (
    SELECT
        v.opportunity_id,
        s.stage_slot,
        CAST(FLOOR(20 * LN(1 + 86400 * v.dwell_days)) AS INTEGER) AS bin,
        v.dwell_days,
        CASE WHEN v.exited_at IS NULL THEN 0 ELSE 1 END AS completed,
        DATE_DIFF('microsecond', v.entered_at, v.exited_at) AS microseconds,
        CASE WHEN v.exited_at IS NOT NULL THEN CAST(v.dwell_working_days AS BIGINT) END AS working_days,
        CAST(ROUND(v.transition_lag_days * 86400000000) AS BIGINT) AS lag_microseconds,
        CASE WHEN v.dwell_days > r.overtime_factor * r.reference_days THEN 1 ELSE 0 END AS overtime,
        CASE WHEN v.history = 'observed' THEN 1 ELSE 0 END AS observed,
        CASE WHEN v.history = 'rebuilt' THEN 1 ELSE 0 END AS rebuilt
    FROM stage_visits AS v
    INNER JOIN stage_slots AS s ON v.stage = s.stage AND v.entered_at >= s.starts_at AND v.entered_at < s.ends_at
    INNER JOIN reference AS r ON v.stage = r.stage
    WHERE v.is_dated
),
visits_of_members AS NOT MATERIALIZED (
    SELECT 1000000 * UNNEST(m.member_numbers) + v.stage_slot AS slot_cell, v.*
    FROM visits AS v
    INNER JOIN memberships AS m USING (opportunity_id)
),
-- Only what the order of lengths needs is counted by bin: there are twenty times as many bins.
slot_sums AS (
    SELECT
        slot_cell,
        SUM(microseconds) AS microseconds,
        SUM(working_days) AS working_days,
        SUM(lag_microseconds) AS lag_microseconds,
        COUNT(lag_microseconds) AS lags,
        SUM(overtime) AS overtime,
        SUM(observed) AS observed,
        SUM(rebuilt) AS rebuilt,
        MIN(CASE WHEN completed = 1 THEN dwell_days END) AS min_days,
        MAX(CASE WHEN completed = 1 THEN dwell_days END) AS max_days
    FROM visits_of_members
    GROUP BY slot_cell
),
sums AS (
    SELECT
        p.period,
        c.member_number,
        c.stage,
        SUM(s.microseconds) AS microseconds,
        SUM(s.working_days) AS working_days,
        SUM(s.lag_microseconds) AS lag_microseconds,
        SUM(s.lags) AS lags,
        SUM(s.overtime) AS overtime,
        SUM(s.observed) AS observed,
        SUM(s.rebuilt) AS rebuilt,
        MIN(s.min_days) AS min_days,
        MAX(s.max_days) AS max_days
    FROM slot_sums AS s
    INNER JOIN cells_of_slots AS c USING (slot_cell)
    INNER JOIN slots_of_periods AS p USING (slot)
    GROUP BY p.period, c.member_number, c.stage
),
slot_bins AS (
    SELECT slot_cell, bin, COUNT(*) AS visits, SUM(completed) AS completed
    FROM visits_of_members
    GROUP BY slot_cell, bin
),
bins AS (
    SELECT p.period, c.member_number, c.stage, b.bin, SUM(b.visits) AS visits, SUM(b.completed) AS completed
    FROM slot_bins AS b
    INNER JOIN cells_of_slots AS c USING (slot_cell)
    INNER JOIN slots_of_periods AS p USING (slot)
    GROUP BY p.period, c.member_number, c.stage, b.bin
),
ordered_bins AS (
    SELECT
        *,
        SUM(completed) OVER (PARTITION BY period, member_number, stage ORDER BY bin) - completed AS completed_before,
        MIN(CASE WHEN visits > completed THEN bin END) OVER (PARTITION BY period, member_number, stage) AS first_open_bin
    FROM bins
),
cells AS (
    SELECT
        period,
        member_number,
        stage,
        SUM(visits) AS visits,
        SUM(completed) AS completed,
        2 * SUM(CASE WHEN first_open_bin IS NULL OR bin < first_open_bin THEN completed ELSE 0 END) >= SUM(visits) AS is_middle_uncensored
    FROM ordered_bins
    GROUP BY period, member_number, stage
),
quantiles AS (
    SELECT 'median' AS quantile, 0.5 AS share
    UNION ALL
    SELECT 'p75', 0.75
    UNION ALL
    SELECT 'p90', 0.9
),
places AS (
    SELECT c.period, c.member_number, c.stage, q.quantile, CAST(FLOOR(q.share * (c.completed - 1)) AS BIGINT) AS place
    FROM cells AS c
    CROSS JOIN quantiles AS q
    UNION ALL
    SELECT c.period, c.member_number, c.stage, q.quantile, CAST(CEIL(q.share * (c.completed - 1)) AS BIGINT)
    FROM cells AS c
    CROSS JOIN quantiles AS q
    UNION ALL
    SELECT period, member_number, stage, 'kaplan_meier', CAST(FLOOR(0.5 * (visits - 1)) AS BIGINT)
    FROM cells
    WHERE is_middle_uncensored
),
wanted AS (
    SELECT p.period, p.member_number, p.stage, p.quantile, b.bin, p.place - b.completed_before + 1 AS place
    FROM places AS p
    INNER JOIN ordered_bins AS b USING (period, member_number, stage)
    WHERE p.place >= b.completed_before AND p.place < b.completed_before + b.completed
),
wanted_slots AS MATERIALIZED (
    SELECT DISTINCT w.period, c.slot_cell, w.member_number, w.stage, w.bin
    FROM wanted AS w
    INNER JOIN slots_of_periods AS p USING (period)
    INNER JOIN cells_of_slots AS c ON w.member_number = c.member_number AND w.stage = c.stage AND p.slot = c.slot
),
sorted AS (
    SELECT
        w.period,
        w.member_number,
        w.stage,
        w.bin,
        v.dwell_days,
        ROW_NUMBER() OVER (PARTITION BY w.period, w.member_number, w.stage, w.bin ORDER BY v.dwell_days) AS place
    FROM visits_of_members AS v
    INNER JOIN wanted_slots AS w ON v.slot_cell = w.slot_cell AND v.bin = w.bin
    WHERE v.completed = 1
),
found AS (
    SELECT
        w.period,
        w.member_number,
        w.stage,
        MIN(CASE WHEN w.quantile = 'median' THEN s.dwell_days END) AS median_low,
        MAX(CASE WHEN w.quantile = 'median' THEN s.dwell_days END) AS median_high,
        MIN(CASE WHEN w.quantile = 'p75' THEN s.dwell_days END) AS p75_low,
        MAX(CASE WHEN w.quantile = 'p75' THEN s.dwell_days END) AS p75_high,
        MIN(CASE WHEN w.quantile = 'p90' THEN s.dwell_days END) AS p90_low,
        MAX(CASE WHEN w.quantile = 'p90' THEN s.dwell_days END) AS p90_high,
        MAX(CASE WHEN w.quantile = 'kaplan_meier' THEN s.dwell_days END) AS kaplan_meier
    FROM wanted AS w
    INNER JOIN sorted AS s USING (period, member_number, stage, bin, place)
    GROUP BY w.period, w.member_number, w.stage
),
young_slots AS MATERIALIZED (
    SELECT y.period, c.slot_cell, y.member_number, y.stage
    FROM cells AS y
    INNER JOIN slots_of_periods AS p USING (period)
    INNER JOIN cells_of_slots AS c ON y.member_number = c.member_number AND y.stage = c.stage AND p.slot = c.slot
    WHERE NOT y.is_middle_uncensored
),
young_visits AS (
    SELECT
        y.period,
        y.member_number,
        y.stage,
        v.dwell_days,
        v.completed,
        ROW_NUMBER() OVER (PARTITION BY y.period, y.member_number, y.stage ORDER BY v.dwell_days DESC, v.completed) AS at_risk
    FROM visits_of_members AS v
    INNER JOIN young_slots AS y USING (slot_cell)
),
survival AS (
    SELECT
        period,
        member_number,
        stage,
        dwell_days,
        completed,
        SUM(CASE WHEN completed = 0 THEN 0 WHEN at_risk = 1 THEN -1000 ELSE LN(CAST(at_risk - 1 AS DOUBLE) / at_risk) END) OVER (
            PARTITION BY period, member_number, stage
            ORDER BY at_risk DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS log_survival
    FROM young_visits
),
product_limits AS (
    SELECT period, member_number, stage, MIN(dwell_days) AS median_days
    FROM survival
    WHERE log_survival <= LN(0.5) + 1e-9
    GROUP BY period, member_number, stage
)
SELECT
    p.period_kind,
    p.period_start,
    m.dimension,
    m.member,
    c.stage,
    c.visits,
    c.completed,
    CAST(a.microseconds AS DOUBLE) / c.completed / 86400000000 AS mean_days,
    f.median_low + (f.median_high - f.median_low) * (0.5 * (c.completed - 1) - FLOOR(0.5 * (c.completed - 1))) AS median_days,
    f.p75_low + (f.p75_high - f.p75_low) * (0.75 * (c.completed - 1) - FLOOR(0.75 * (c.completed - 1))) AS p75_days,
    f.p90_low + (f.p90_high - f.p90_low) * (0.9 * (c.completed - 1) - FLOOR(0.9 * (c.completed - 1))) AS p90_days,
    a.min_days,
    a.max_days,
    COALESCE(f.kaplan_meier, l.median_days) AS km_median_days,
    CAST(a.working_days AS DOUBLE) / c.completed AS mean_working_days,
    CAST(a.lag_microseconds AS DOUBLE) / NULLIF(a.lags, 0) / 86400000000 AS mean_transition_lag_days,
    a.overtime,
    CAST(a.overtime AS DOUBLE) / c.visits AS overtime_share,
    r.reference_days,
    r.benchmark_days,
    CAST(a.observed AS DOUBLE) / c.visits AS observed_share,
    CAST(a.rebuilt AS DOUBLE) / c.visits AS rebuilt_share,
    p.is_partial
FROM cells AS c
INNER JOIN sums AS a USING (period, member_number, stage)
INNER JOIN reported AS p USING (period)
INNER JOIN members AS m USING (member_number)
INNER JOIN reference AS r USING (stage)
LEFT JOIN found AS f USING (period, member_number, stage)
LEFT JOIN product_limits AS l USING (period, member_number, stage)
