-- What changed in the open pipeline since the end of the month before: by expected close period, segment and cause.
-- opening + created + reopened + pulled_in + increased + decreased + pushed_out + won + lost = closing, to the cent.
-- A deal that leaves as won or lost counts with its amount at the opening; otherwise the amount is changed first and
-- the date after it. A deal without an amount counts as a deal and with nothing.
-- Inputs: episodes, opportunity_segments, calendar, parameters.
WITH dates AS (
    SELECT
        CAST(date_trunc('month', as_of) AS DATE) - 1 AS since,
        CAST(date_trunc('month', as_of) AS TIMESTAMP) AS since_end,
        as_of, as_of_end
    FROM parameters
),
opening AS (
    SELECT e.opportunity_id, e.status, coalesce(e.amount, 0) AS amount, e.expected_close_date AS close_on
    FROM episodes AS e, dates AS d
    WHERE e.valid_from < d.since_end AND (e.valid_to IS NULL OR e.valid_to >= d.since_end)
),
closing AS (
    SELECT e.opportunity_id, e.status, coalesce(e.amount, 0) AS amount, e.expected_close_date AS close_on
    FROM episodes AS e
    WHERE e.valid_to IS NULL
),
deals AS (
    SELECT
        coalesce(o.opportunity_id, c.opportunity_id) AS opportunity_id,
        o.status AS status_before, c.status AS status_now,
        o.amount AS amount_before, c.amount AS amount_now,
        CASE WHEN o.status = 'open' THEN o.close_on END AS close_before,
        CASE WHEN c.status = 'open' THEN c.close_on END AS close_now
    FROM opening AS o
    FULL JOIN closing AS c ON c.opportunity_id = o.opportunity_id
    WHERE o.status = 'open' OR c.status = 'open'
),
periods AS (
    SELECT k.period_kind, k.period_start, k.period_end
    FROM calendar AS k, dates AS d
    WHERE k.period_kind <> 'week' AND k.period_end >= d.as_of AND k.period_start <= d.as_of + INTERVAL 3 MONTH
),
placed AS (
    SELECT
        p.period_kind, p.period_start, d.*,
        coalesce(d.close_before BETWEEN p.period_start AND p.period_end, FALSE) AS was_in,
        coalesce(d.close_now BETWEEN p.period_start AND p.period_end, FALSE) AS is_in
    FROM deals AS d
    JOIN periods AS p
        ON d.close_before BETWEEN p.period_start AND p.period_end OR d.close_now BETWEEN p.period_start AND p.period_end
),
movements AS (
    SELECT *, 'opening' AS cause, amount_before AS moved FROM placed WHERE was_in
    UNION ALL SELECT *, 'closing', amount_now FROM placed WHERE is_in
    UNION ALL SELECT *, status_now, -amount_before FROM placed WHERE was_in AND status_now <> 'open'
    UNION ALL SELECT *, 'increased', amount_now - amount_before FROM placed WHERE was_in AND status_now = 'open' AND amount_now > amount_before
    UNION ALL SELECT *, 'decreased', amount_now - amount_before FROM placed WHERE was_in AND status_now = 'open' AND amount_now < amount_before
    UNION ALL SELECT *, 'pushed_out', -amount_now FROM placed WHERE was_in AND status_now = 'open' AND NOT is_in
    UNION ALL SELECT *, 'pulled_in', amount_now FROM placed WHERE is_in AND NOT was_in AND status_before = 'open'
    UNION ALL SELECT *, 'reopened', amount_now FROM placed WHERE is_in AND status_before <> 'open'
    UNION ALL SELECT *, 'created', amount_now FROM placed WHERE is_in AND status_before IS NULL
)
SELECT
    any_value(d.since) AS since, 'pipeline' AS subject, m.period_kind, m.period_start, s.dimension, s.member, m.cause,
    sum(m.moved) AS amount, count(*) AS deals
FROM movements AS m
CROSS JOIN dates AS d
JOIN opportunity_segments AS s ON s.opportunity_id = m.opportunity_id
GROUP BY m.period_kind, m.period_start, s.dimension, s.member, m.cause
