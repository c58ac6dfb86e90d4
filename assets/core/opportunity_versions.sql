-- Trusted versions of opportunities that exist at the as-of date; deleted and merged ones leave all of history, and so do
-- open ones that the newest export lacks where the company says so (vanished: deleted).
-- Inputs: exported_opportunities, stage_periods, parameters.
WITH versions AS (
    SELECT o.*, coalesce(o._snapshot, p.export_date) AS seen_on, p.as_of, p.as_of_end
    FROM exported_opportunities AS o, parameters AS p
    WHERE o._verdict <> 'rejected'
    QUALIFY row_number() OVER (
        PARTITION BY o.opportunity_id, coalesce(o._snapshot, p.export_date) ORDER BY o.updated_at DESC NULLS LAST, o._row DESC
    ) = 1
),
deleted AS (
    SELECT opportunity_id FROM versions
    GROUP BY opportunity_id
    HAVING arg_max(coalesce(deleted_at < as_of_end, coalesce(is_deleted, FALSE) OR coalesce(merged_into <> opportunity_id, FALSE)), seen_on)
),
-- Deals that stood in an earlier snapshot and stand in none as new as the newest, rejected rows included.
vanished AS (
    SELECT o.opportunity_id
    FROM exported_opportunities AS o, parameters AS p
    WHERE o._snapshot <= p.as_of AND o.opportunity_id IS NOT NULL
    GROUP BY o.opportunity_id
    HAVING max(o._snapshot) < (SELECT max(e._snapshot) FROM exported_opportunities AS e, parameters AS q WHERE e._snapshot <= q.as_of)
),
ranked AS (
    SELECT
        *,
        seen_on <= as_of AS is_known,
        row_number() OVER (
            PARTITION BY opportunity_id
            ORDER BY seen_on <= as_of DESC, CASE WHEN seen_on <= as_of THEN -date_diff('day', DATE '1970-01-01', seen_on) ELSE date_diff('day', DATE '1970-01-01', seen_on) END
        ) = 1 AS is_current
    FROM versions
    WHERE opportunity_id NOT IN (SELECT opportunity_id FROM deleted)
),
vanished_open AS (
    SELECT opportunity_id FROM ranked
    WHERE is_current AND is_known AND coalesce(status, 'open') = 'open' AND opportunity_id IN (SELECT opportunity_id FROM vanished)
)
SELECT
    r.opportunity_id, r.seen_on, r.is_current, r.is_known,
    v.opportunity_id IS NOT NULL AND r.is_current AS is_vanished,
    r.pipeline_key AS pipeline, coalesce(i.counts_as, r.stage_key) AS stage, r.status, r.stage_entered_at,
    r.owner_id, r.account_id, r.opportunity_type,
    r.amount_reporting AS amount, upper(trim(r.currency)) AS currency,
    r.created_at, r.closed_at, r.expected_close_date, r.loss_reason, r.source, r.industry, r.product, r.region,
    r.forecast_category, r.crm_probability, r.paused_until, r.updated_at, r._is_stale AS is_stale
FROM ranked AS r
CROSS JOIN parameters AS p
LEFT JOIN vanished_open AS v ON v.opportunity_id = r.opportunity_id
LEFT JOIN stage_periods AS i ON i.stage = r.stage_key AND r.seen_on BETWEEN i.first_day AND i.last_day
WHERE r.opportunity_id NOT IN (SELECT opportunity_id FROM ranked WHERE is_current AND created_at >= as_of_end)
  AND NOT (p.vanished = 'deleted' AND v.opportunity_id IS NOT NULL)
