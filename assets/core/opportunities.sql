-- Opportunities in their state at the end of the as-of date.
-- Inputs: opportunity_versions, stage_entries, episodes, stages, exported_owners, exported_activities,
-- immutable (field), parameters.
WITH latest AS (
    SELECT
        opportunity_id,
        arg_max(stage, entry_number) AS stage,
        arg_max(kind, entry_number) AS status,
        max(entered_at) AS entered_at,
        min(entered_at) AS first_entered_at
    FROM stage_entries
    GROUP BY opportunity_id
),
now_in_force AS (
    SELECT opportunity_id, amount, expected_close_date, owner_id FROM episodes WHERE valid_to IS NULL
),
teams AS (
    SELECT o.owner_id, arg_max(o.team, coalesce(o.valid_from, DATE '0001-01-01')) AS team
    FROM exported_owners AS o, parameters AS p
    WHERE o._verdict = 'accepted'
      AND coalesce(o.valid_from, DATE '0001-01-01') <= p.as_of AND coalesce(o.valid_to, DATE '9999-12-31') >= p.as_of
    GROUP BY o.owner_id
),
touched AS (
    SELECT a.opportunity_id, max(a.happened_at) AS last_activity_at
    FROM exported_activities AS a, parameters AS p
    WHERE a._verdict = 'accepted' AND a.happened_at < p.as_of_end
    GROUP BY a.opportunity_id
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
        l.first_entered_at
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
    k.entered_at AS stage_entered_at,
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
    CASE WHEN k.updated_at < p.as_of_end THEN k.updated_at END AS updated_at,
    a.last_activity_at,
    k.is_stale,
    s.fields AS without_history
FROM known AS k
CROSS JOIN parameters AS p
LEFT JOIN stages AS f ON f.pipeline = k.pipeline AND f.kind = 'open' AND f.position = 1
LEFT JOIN teams AS t ON t.owner_id = k.owner_now
LEFT JOIN touched AS a ON a.opportunity_id = k.opportunity_id
LEFT JOIN stood_later AS s ON s.opportunity_id = k.opportunity_id
