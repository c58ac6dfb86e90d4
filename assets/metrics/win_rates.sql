-- How many deals are won, how large they are, how long winning takes, and how fast money moves.
--
-- A deal counts by its status at the as-of date and the day it was closed: one that was reopened is open again. A deal
-- without a creation date counts as open at the as-of date only, and in nothing that starts from its creation.
-- The Kaplan–Meier median follows the deals created in the period from creation to winning; a lost deal is censored
-- when it was closed, an open one at the as-of date, and a win comes before a censoring of the same length.
-- A close date without a time of day may lie before the time of creation on the same day: the cycle is zero then.
-- Slots are explained in funnel_flow.sql; slot 1 is the time before the first period. The interval is Wilson's with
-- z = 1.959963984540054, z² = 3.841458820694124.
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
    FROM (
        SELECT DATE '1700-01-01' AS day
        UNION
        SELECT period_start FROM reported
        UNION
        SELECT next_start FROM reported
    ) AS days
),
slots_of_periods AS (
    SELECT r.period, s.slot, MAX(s.slot) OVER (PARTITION BY r.period) AS last_slot
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
deals AS (
    SELECT
        o.opportunity_id,
        o.status,
        CAST(o.amount AS DECIMAL(18, 2)) AS amount,
        o.created_at IS NOT NULL AS is_created_known,
        COALESCE(o.created_at, o.closed_at, p.as_of) AS opened_at,
        CASE WHEN o.status <> 'open' THEN o.closed_at END AS closed_at,
        CASE
            WHEN o.status <> 'open' AND o.closed_at < o.created_at THEN 0
            WHEN o.status <> 'open' THEN DATE_DIFF('microsecond', o.created_at, COALESCE(o.closed_at, p.as_of_end))
            ELSE DATE_DIFF('microsecond', o.created_at, p.as_of_end)
        END AS microseconds
    FROM opportunities AS o
    CROSS JOIN parameters AS p
),
dated AS (
    SELECT d.*, c.slot AS opened_slot, e.slot AS closed_slot
    FROM deals AS d
    INNER JOIN slots AS c ON d.opened_at >= c.starts_at AND d.opened_at < c.ends_at
    LEFT JOIN slots AS e ON d.closed_at >= e.starts_at AND d.closed_at < e.ends_at
),
events AS (
    SELECT
        opportunity_id,
        opened_slot AS slot,
        CASE WHEN status = 'open' OR closed_at IS NOT NULL THEN 1 ELSE 0 END AS opened,
        CASE WHEN is_created_known THEN 1 ELSE 0 END AS created,
        CASE WHEN is_created_known AND status = 'won' THEN 1 ELSE 0 END AS created_won,
        0 AS won,
        0 AS lost,
        CAST(NULL AS DECIMAL(18, 2)) AS won_amount,
        CAST(NULL AS DECIMAL(18, 2)) AS lost_amount,
        CAST(NULL AS BIGINT) AS cycle_microseconds
    FROM dated
    UNION ALL
    SELECT
        opportunity_id,
        closed_slot,
        -1,
        0,
        0,
        CASE WHEN status = 'won' THEN 1 ELSE 0 END,
        CASE WHEN status = 'lost' THEN 1 ELSE 0 END,
        CASE WHEN status = 'won' THEN amount END,
        CASE WHEN status = 'lost' THEN amount END,
        CASE WHEN status = 'won' THEN microseconds END
    FROM dated
    WHERE closed_slot IS NOT NULL
),
events_of_members AS NOT MATERIALIZED (
    SELECT UNNEST(m.member_numbers) AS member_number, e.*
    FROM events AS e
    INNER JOIN memberships AS m USING (opportunity_id)
),
counted AS (
    SELECT
        member_number,
        slot,
        SUM(opened) AS opened,
        SUM(created) AS created,
        SUM(created_won) AS created_won,
        SUM(won) AS won,
        SUM(lost) AS lost,
        SUM(won_amount) AS won_amount,
        SUM(lost_amount) AS lost_amount,
        COUNT(won_amount) AS won_with_amount,
        SUM(cycle_microseconds) AS cycle_microseconds,
        COUNT(cycle_microseconds) AS cycles
    FROM events_of_members
    GROUP BY member_number, slot
),
stocks AS (
    SELECT m.member_number, s.slot, SUM(c.opened) OVER (PARTITION BY m.member_number ORDER BY s.slot) AS stock
    FROM members AS m
    CROSS JOIN slots AS s
    LEFT JOIN counted AS c USING (member_number, slot)
),
cells AS (
    SELECT
        p.period,
        s.member_number,
        COALESCE(SUM(c.created), 0) AS created,
        COALESCE(SUM(c.created_won), 0) AS created_won,
        COALESCE(SUM(c.won), 0) AS won,
        COALESCE(SUM(c.lost), 0) AS lost,
        COALESCE(SUM(CASE WHEN s.slot = p.last_slot THEN s.stock END), 0) AS open,
        COALESCE(SUM(c.won_amount), 0) AS won_amount,
        COALESCE(SUM(c.lost_amount), 0) AS lost_amount,
        SUM(c.won_with_amount) AS won_with_amount,
        SUM(c.cycle_microseconds) AS cycle_microseconds,
        SUM(c.cycles) AS cycles
    FROM stocks AS s
    INNER JOIN slots_of_periods AS p USING (slot)
    LEFT JOIN counted AS c USING (member_number, slot)
    GROUP BY p.period, s.member_number
),
cohorts AS (
    SELECT d.opportunity_id, p.period, d.status, d.microseconds
    FROM dated AS d
    INNER JOIN slots_of_periods AS p ON d.opened_slot = p.slot
    WHERE d.is_created_known
),
followed AS (
    SELECT
        period,
        member_number,
        microseconds,
        status,
        ROW_NUMBER() OVER (
            PARTITION BY period, member_number
            ORDER BY microseconds DESC, CASE WHEN status = 'won' THEN 1 ELSE 0 END
        ) AS at_risk
    FROM (
        SELECT UNNEST(m.member_numbers) AS member_number, c.*
        FROM cohorts AS c
        INNER JOIN memberships AS m USING (opportunity_id)
    ) AS cohorts_of_members
),
survival AS (
    SELECT
        period,
        member_number,
        microseconds,
        SUM(
            CASE WHEN status <> 'won' THEN 0 WHEN at_risk = 1 THEN -1000 ELSE LN(CAST(at_risk - 1 AS DOUBLE) / at_risk) END
        ) OVER (
            PARTITION BY period, member_number
            ORDER BY at_risk DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS log_survival
    FROM followed
),
product_limits AS (
    SELECT period, member_number, CAST(MIN(microseconds) AS DOUBLE) / 86400000000 AS median_days
    FROM survival
    WHERE log_survival <= LN(0.5) + 1e-9
    GROUP BY period, member_number
),
rates AS (
    SELECT
        *,
        CAST(won AS DOUBLE) / NULLIF(won + lost, 0) AS win_rate,
        CAST(NULLIF(won + lost, 0) AS DOUBLE) AS closed,
        CAST(won_amount AS DOUBLE) / NULLIF(won_with_amount, 0) AS mean_amount,
        CAST(cycle_microseconds AS DOUBLE) / NULLIF(cycles, 0) / 86400000000 AS cycle_mean_days
    FROM cells
)
SELECT
    p.period_kind,
    p.period_start,
    m.dimension,
    m.member,
    r.created,
    r.won,
    r.lost,
    r.open,
    r.win_rate AS win_rate_count,
    CASE
        WHEN r.closed > 0
            THEN GREATEST(0, (
                r.won + 1.920729410347062
                - 1.959963984540054 * SQRT(r.won * r.lost / r.closed + 0.960364705173531)
            ) / (r.closed + 3.841458820694124))
    END AS win_rate_low,
    CASE
        WHEN r.closed > 0
            THEN LEAST(1, (
                r.won + 1.920729410347062
                + 1.959963984540054 * SQRT(r.won * r.lost / r.closed + 0.960364705173531)
            ) / (r.closed + 3.841458820694124))
    END AS win_rate_high,
    -- Where no lost deal has an amount (it is filled in at winning only) the share of value is not known.
    CASE
        WHEN r.lost = 0 OR r.lost_amount > 0 THEN CAST(r.won_amount AS DOUBLE) / NULLIF(CAST(r.won_amount + r.lost_amount AS DOUBLE), 0)
    END AS win_rate_value,
    CAST(r.created_won AS DOUBLE) / NULLIF(r.created, 0) AS win_rate_created,
    r.won_amount,
    r.mean_amount,
    r.cycle_mean_days,
    l.median_days AS cycle_median_days,
    r.open * r.mean_amount * r.win_rate / NULLIF(r.cycle_mean_days, 0) AS velocity,
    p.is_partial
FROM rates AS r
INNER JOIN reported AS p USING (period)
INNER JOIN members AS m USING (member_number)
LEFT JOIN product_limits AS l USING (period, member_number)
WHERE r.created > 0 OR r.won > 0 OR r.lost > 0 OR r.open > 0
