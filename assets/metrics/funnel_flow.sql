-- Movements of deals through the stages, counted in visits.
--
-- The starts and ends of all reported periods cut time into slots; slot 1 is the time before the first period. A slot
-- lies in at most one period of each kind, so that every event is counted once, in its slot, and a period is a sum of
-- slots. The stock at the start of a slot is what came in less what left in the slots before it: the opening of a
-- period is the stock at the start of its first slot, its closing the stock at the end of its last. Hence the identity
-- of every row, and closing = next opening. Nothing is known after the as-of date, so that the partial period closes
-- with the as-of date. A row left out is a period without stock and without movement.
--
-- Paused deals stay in their stage and are counted apart only where the period reaches the as-of date: until when a deal
-- was paused at an earlier period's end is not known from what its row says now.
WITH reported AS (
    SELECT
        c.period_kind,
        c.period_start,
        CAST(c.period_end + INTERVAL 1 DAY AS DATE) AS next_start,
        c.is_partial,
        c.period_end >= p.as_of AS is_current
    FROM calendar AS c
    CROSS JOIN parameters AS p
    WHERE c.is_reported
),
paused AS (
    SELECT m.dimension, m.member, v.stage, COUNT(*) AS deals
    FROM stage_visits AS v
    INNER JOIN opportunities AS o ON v.opportunity_id = o.opportunity_id
    INNER JOIN opportunity_segments AS m ON v.opportunity_id = m.opportunity_id
    CROSS JOIN parameters AS p
    WHERE v.exited_at IS NULL AND o.paused_until > p.as_of
    GROUP BY m.dimension, m.member, v.stage
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
periods AS (
    SELECT
        r.period_kind,
        r.period_start,
        r.is_partial,
        r.is_current,
        s.slot,
        MAX(s.slot) OVER (PARTITION BY r.period_kind, r.period_start) AS last_slot
    FROM reported AS r
    INNER JOIN slots AS s ON s.day >= r.period_start AND s.day < r.next_start
),
visits AS (
    SELECT v.opportunity_id, v.stage, v.entry_kind, v.exit_kind, i.slot AS entry_slot, o.slot AS exit_slot
    FROM stage_visits AS v
    INNER JOIN slots AS i ON v.entered_at >= i.starts_at AND v.entered_at < i.ends_at
    LEFT JOIN slots AS o ON v.exited_at >= o.starts_at AND v.exited_at < o.ends_at
),
amounts AS (
    SELECT e.opportunity_id, e.stage, CAST(e.amount AS DECIMAL(18, 2)) AS amount, f.slot AS from_slot, t.slot AS to_slot
    FROM episodes AS e
    INNER JOIN slots AS f ON e.valid_from >= f.starts_at AND e.valid_from < f.ends_at
    LEFT JOIN slots AS t ON e.valid_to >= t.starts_at AND e.valid_to < t.ends_at
    WHERE e.status = 'open' AND e.amount > 0
),
events AS (
    SELECT opportunity_id, stage, entry_slot AS slot, 'entered_' || entry_kind AS movement, CAST(0 AS DECIMAL(18, 2)) AS amount
    FROM visits
    WHERE exit_slot IS NULL OR exit_slot > 1
    UNION ALL
    SELECT opportunity_id, stage, exit_slot, exit_kind, CAST(0 AS DECIMAL(18, 2))
    FROM visits
    WHERE exit_slot > 1
    UNION ALL
    SELECT opportunity_id, stage, from_slot, 'amount', amount
    FROM amounts
    WHERE to_slot IS NULL OR to_slot > from_slot
    UNION ALL
    SELECT opportunity_id, stage, to_slot, 'amount', CAST(-amount AS DECIMAL(18, 2))
    FROM amounts
    WHERE to_slot > from_slot
),
counted AS (
    SELECT
        m.dimension,
        m.member,
        e.stage,
        e.slot,
        SUM(CASE WHEN e.movement = 'entered_new' THEN 1 ELSE 0 END) AS entered_new,
        SUM(CASE WHEN e.movement = 'entered_advanced' THEN 1 ELSE 0 END) AS entered_advanced,
        SUM(CASE WHEN e.movement = 'entered_regressed' THEN 1 ELSE 0 END) AS entered_regressed,
        SUM(CASE WHEN e.movement = 'entered_reopened' THEN 1 ELSE 0 END) AS entered_reopened,
        SUM(CASE WHEN e.movement = 'advanced' THEN 1 ELSE 0 END) AS advanced,
        SUM(CASE WHEN e.movement = 'regressed' THEN 1 ELSE 0 END) AS regressed,
        SUM(CASE WHEN e.movement = 'won' THEN 1 ELSE 0 END) AS won,
        SUM(CASE WHEN e.movement = 'lost' THEN 1 ELSE 0 END) AS lost,
        SUM(e.amount) AS amount
    FROM events AS e
    INNER JOIN opportunity_segments AS m ON e.opportunity_id = m.opportunity_id
    GROUP BY m.dimension, m.member, e.stage, e.slot
),
cells AS (
    SELECT c.dimension, c.member, c.stage, s.slot
    FROM (SELECT DISTINCT dimension, member, stage FROM counted) AS c
    CROSS JOIN slots AS s
),
stocks AS (
    SELECT
        c.dimension,
        c.member,
        c.stage,
        c.slot,
        COALESCE(n.entered_new, 0) AS entered_new,
        COALESCE(n.entered_advanced, 0) AS entered_advanced,
        COALESCE(n.entered_regressed, 0) AS entered_regressed,
        COALESCE(n.entered_reopened, 0) AS entered_reopened,
        COALESCE(n.advanced, 0) AS advanced,
        COALESCE(n.regressed, 0) AS regressed,
        COALESCE(n.won, 0) AS won,
        COALESCE(n.lost, 0) AS lost,
        SUM(n.entered_new + n.entered_advanced + n.entered_regressed + n.entered_reopened - n.advanced - n.regressed - n.won - n.lost)
            OVER (PARTITION BY c.dimension, c.member, c.stage ORDER BY c.slot) AS stock,
        SUM(n.amount) OVER (PARTITION BY c.dimension, c.member, c.stage ORDER BY c.slot) AS stock_amount
    FROM cells AS c
    LEFT JOIN counted AS n ON c.dimension = n.dimension AND c.member = n.member AND c.stage = n.stage AND c.slot = n.slot
),
flows AS (
    SELECT
        p.period_kind,
        p.period_start,
        s.dimension,
        s.member,
        s.stage,
        SUM(s.entered_new) AS entered_new,
        SUM(s.entered_advanced) AS entered_advanced,
        SUM(s.entered_regressed) AS entered_regressed,
        SUM(s.entered_reopened) AS entered_reopened,
        SUM(s.advanced) AS advanced,
        SUM(s.regressed) AS regressed,
        SUM(s.won) AS won,
        SUM(s.lost) AS lost,
        COALESCE(SUM(CASE WHEN s.slot = p.last_slot THEN s.stock END), 0) AS closing,
        COALESCE(SUM(CASE WHEN s.slot = p.last_slot THEN s.stock_amount END), 0) AS closing_amount,
        p.is_partial,
        p.is_current
    FROM stocks AS s
    INNER JOIN periods AS p ON s.slot = p.slot
    GROUP BY p.period_kind, p.period_start, p.is_partial, p.is_current, s.dimension, s.member, s.stage
),
balanced AS (
    SELECT
        *,
        closing - entered_new - entered_advanced - entered_regressed - entered_reopened + advanced + regressed + won + lost AS opening,
        entered_new + entered_advanced + entered_regressed + entered_reopened AS entries
    FROM flows
)
SELECT
    b.period_kind,
    b.period_start,
    b.dimension,
    b.member,
    b.stage,
    b.opening,
    b.entered_new,
    b.entered_advanced,
    b.entered_regressed,
    b.entered_reopened,
    b.advanced,
    b.regressed,
    b.won,
    b.lost,
    b.closing,
    b.closing_amount,
    CASE WHEN b.is_current THEN COALESCE(p.deals, 0) END AS closing_paused,
    CAST(b.advanced + b.won AS DOUBLE) / NULLIF(b.opening + b.entries - b.lost, 0) AS template_conversion,
    b.is_partial
FROM balanced AS b
LEFT JOIN paused AS p ON b.dimension = p.dimension AND b.member = p.member AND b.stage = p.stage
WHERE b.opening > 0 OR b.entries > 0
