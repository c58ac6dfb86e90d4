-- Trusted versions of opportunities that exist at the as-of date; deleted and merged ones leave all of history.
-- Inputs: exported_opportunities, parameters.
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
    HAVING arg_max(coalesce(deleted_at < as_of_end, coalesce(is_deleted, FALSE)), seen_on)
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
)
SELECT
    opportunity_id, seen_on, is_current, is_known,
    pipeline_key AS pipeline, stage_key AS stage, status, stage_entered_at,
    owner_id, account_id, opportunity_type,
    amount_reporting AS amount, upper(trim(currency)) AS currency,
    created_at, closed_at, expected_close_date, loss_reason, source, industry, product, region,
    forecast_category, crm_probability, paused_until, updated_at, _is_stale AS is_stale
FROM ranked
WHERE opportunity_id NOT IN (SELECT opportunity_id FROM ranked WHERE is_current AND created_at >= as_of_end)
