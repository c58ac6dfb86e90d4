-- Opportunities in their state at the end of the as-of date.
-- Inputs: opportunity_versions, stage_entries, episodes, stages, owner_teams, exported_activities,
-- exported_field_history, immutable (field), parameters.
WITH latest AS (
    SELECT
        opportunity_id,
        arg_max(stage, entry_number) AS stage,
        arg_max(kind, entry_number) AS status,
        max(entered_at) AS entered_at,
        arg_max(CASE WHEN is_dated THEN 1 ELSE 0 END, entry_number) = 1 AS is_dated,
        max(course) AS course
    FROM stage_entries
    GROUP BY opportunity_id
),
now_in_force AS (
    SELECT opportunity_id, amount, expected_close_date, owner_id FROM episodes WHERE valid_to IS NULL
),
touched AS (
    SELECT a.opportunity_id, max(a.happened_at) AS last_activity_at
    FROM exported_activities AS a, parameters AS p
    WHERE a._verdict = 'accepted' AND a.happened_at < p.as_of_end
    GROUP BY a.opportunity_id
),
-- Changes that somebody made to a deal, to the minute.
changes AS (
    SELECT v.opportunity_id, v.updated_at AS changed_at
    FROM opportunity_versions AS v, parameters AS p
    WHERE v.is_current AND v.updated_at < p.as_of_end
    UNION ALL
    SELECT f.opportunity_id, f.changed_at
    FROM exported_field_history AS f, parameters AS p
    WHERE f._verdict = 'accepted' AND f.changed_at < p.as_of_end
    UNION ALL
    SELECT opportunity_id, entered_at FROM stage_entries WHERE is_dated
),
of_open_deals AS (
    SELECT c.opportunity_id, date_trunc('minute', c.changed_at) AS changed_in
    FROM changes AS c
    JOIN opportunity_versions AS v ON v.opportunity_id = c.opportunity_id AND v.is_current
    LEFT JOIN latest AS l ON l.opportunity_id = c.opportunity_id
    WHERE coalesce(l.status, v.status, 'open') = 'open' AND c.changed_at <> date_trunc('day', c.changed_at)
),
-- A minute in which more open deals were changed than people can change is an edit of all of them at once, and no work on
-- any. A midnight is a date without a time, and shared by all that was done that day.
bulk_edits AS (
    SELECT changed_in
    FROM of_open_deals
    GROUP BY changed_in
    HAVING count(DISTINCT opportunity_id) > greatest(50, 0.05 * (
           SELECT count(*) FROM opportunity_versions AS v LEFT JOIN latest AS l ON l.opportunity_id = v.opportunity_id
           WHERE v.is_current AND coalesce(l.status, v.status, 'open') = 'open'
       ))
),
single_changes AS (
    SELECT opportunity_id, max(changed_at) AS changed_at
    FROM changes
    WHERE changed_at = date_trunc('day', changed_at) OR date_trunc('minute', changed_at) NOT IN (SELECT changed_in FROM bulk_edits)
    GROUP BY opportunity_id
),
known AS (
    SELECT
        v.*,
        coalesce(l.status, CASE WHEN v.is_known THEN v.status END, 'open') AS status_now,
        coalesce(l.stage, CASE WHEN v.is_known THEN v.stage END) AS stage_now,
        l.entered_at,
        CASE WHEN l.opportunity_id IS NOT NULL THEN e.owner_id ELSE v.owner_id END AS owner_now,
        CASE WHEN l.opportunity_id IS NOT NULL THEN e.amount ELSE v.amount END AS amount_now,
        CASE WHEN l.opportunity_id IS NOT NULL THEN e.expected_close_date ELSE v.expected_close_date END AS expected_close_now,
        l.is_dated,
        l.course
    FROM opportunity_versions AS v
    LEFT JOIN latest AS l ON l.opportunity_id = v.opportunity_id
    LEFT JOIN now_in_force AS e ON e.opportunity_id = v.opportunity_id
    CROSS JOIN parameters AS p
    WHERE v.is_current AND (v.is_known OR l.opportunity_id IS NOT NULL OR v.created_at < p.as_of_end)
),
stood_later AS (
    -- In a replay the row is younger than the as-of date: fields without a history stand at a later value.
    SELECT k.opportunity_id, string_agg(f.field, ',' ORDER BY f.field) AS fields
    FROM known AS k
    CROSS JOIN (SELECT unnest(['source', 'industry', 'product', 'region', 'opportunity_type', 'account_id', 'forecast_category', 'crm_probability', 'paused_until']) AS field) AS f
    WHERE NOT k.is_known AND f.field NOT IN (SELECT field FROM immutable)
    GROUP BY k.opportunity_id
)
SELECT
    k.opportunity_id,
    k.pipeline,
    k.status_now AS status,
    coalesce(k.stage_now, f.stage) AS stage,
    CASE WHEN k.is_dated THEN k.entered_at END AS stage_entered_at,
    k.owner_now AS owner_id,
    k.account_id,
    k.opportunity_type,
    k.amount_now AS amount,
    k.currency,
    k.created_at,
    CASE WHEN k.status_now <> 'open' THEN coalesce(k.entered_at, k.closed_at) END AS closed_at,
    k.expected_close_now AS expected_close_date,
    CASE WHEN k.status_now = 'lost' THEN k.loss_reason END AS loss_reason,
    k.source, k.industry, k.product, k.region,
    t.team,
    CASE WHEN k.is_known THEN k.forecast_category END AS forecast_category,
    CASE WHEN k.is_known THEN k.crm_probability END AS crm_probability,
    CASE WHEN k.is_known THEN k.paused_until END AS paused_until,
    CASE
        WHEN k.updated_at >= p.as_of_end THEN NULL
        WHEN b.changed_in IS NOT NULL THEN c.changed_at
        ELSE k.updated_at
    END AS updated_at,
    a.last_activity_at,
    greatest(c.changed_at, a.last_activity_at) AS last_sign_at,
    b.changed_in IS NOT NULL AS is_bulk_edited,
    k.is_vanished,
    k.course,
    k.is_stale,
    s.fields AS without_history
FROM known AS k
CROSS JOIN parameters AS p
LEFT JOIN stages AS f ON f.pipeline = k.pipeline AND f.kind = 'open' AND f.position = 1
LEFT JOIN owner_teams AS t ON t.owner_id = k.owner_now AND p.as_of BETWEEN t.first_day AND t.last_day
LEFT JOIN touched AS a ON a.opportunity_id = k.opportunity_id
LEFT JOIN single_changes AS c ON c.opportunity_id = k.opportunity_id
LEFT JOIN bulk_edits AS b ON b.changed_in = date_trunc('minute', k.updated_at) AND k.updated_at <> date_trunc('day', k.updated_at) AND k.updated_at < p.as_of_end
LEFT JOIN stood_later AS s ON s.opportunity_id = k.opportunity_id
