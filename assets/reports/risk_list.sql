-- Open opportunities that need somebody, by signal, with the figures that raise it.
-- Inputs: opportunities, stage_visits, stages, playbook (signal, evidence, evidence_alone, suggested_action), parameters.
WITH averages AS (
    -- The stage's own average of the last 12 months where there are enough visits, else the configured benchmark.
    SELECT
        s.stage,
        count(v.opportunity_id) AS completed,
        CASE
            WHEN count(v.opportunity_id) >= any_value(p.overtime_minimum_visits)
                THEN sum(date_diff('second', v.entered_at, v.exited_at)) / 86400.0 / count(v.opportunity_id)
            ELSE any_value(s.benchmark_days)
        END AS average_days
    FROM stages AS s
    CROSS JOIN parameters AS p
    LEFT JOIN stage_visits AS v
        ON v.stage = s.stage AND v.is_dated AND v.exited_at >= p.as_of_end - INTERVAL 12 MONTH AND v.exited_at < p.as_of_end
    WHERE s.kind = 'open'
    GROUP BY s.stage
),
open_deals AS (
    SELECT
        o.*,
        p.as_of, p.as_of_end, p.overtime_factor, p.zombie_days, p.zombie_close_overdue_days,
        coalesce(date_diff('second', o.stage_entered_at, p.as_of_end) / 86400.0, v.dwell_days) AS days_in_stage,
        o.last_sign_at AS last_seen_at,
        date_diff('day', o.expected_close_date, p.as_of) AS close_overdue_days
    FROM opportunities AS o
    CROSS JOIN parameters AS p
    -- Of a stay that was under way when the history began, what is known of its length: at least so many days.
    LEFT JOIN stage_visits AS v ON v.opportunity_id = o.opportunity_id AND v.exited_at IS NULL
    WHERE o.status = 'open' AND (o.paused_until IS NULL OR o.paused_until <= p.as_of)
),
signals AS (
    SELECT
        o.*, 'stage_overtime' AS signal, a.average_days AS reference, CAST(a.completed AS DOUBLE) AS sample, o.days_in_stage AS observed
    FROM open_deals AS o
    JOIN averages AS a ON a.stage = o.stage
    WHERE o.days_in_stage > o.overtime_factor * a.average_days
    UNION ALL
    SELECT
        o.*, 'zombie', CAST(o.close_overdue_days AS DOUBLE), NULL, CAST(date_diff('day', o.last_seen_at, o.as_of_end) AS DOUBLE)
    FROM open_deals AS o
    -- Where neither changes nor activities are exported, silence cannot be told from work.
    WHERE (coalesce(o.updated_at, o.last_activity_at) IS NOT NULL AND date_diff('day', o.last_seen_at, o.as_of_end) > o.zombie_days)
       OR o.close_overdue_days > o.zombie_close_overdue_days
    UNION ALL
    SELECT
        o.*, 'not_updated_7d', 7, NULL, CAST(date_diff('day', o.updated_at, o.as_of_end) AS DOUBLE)
    FROM open_deals AS o
    WHERE o.updated_at < o.as_of_end - INTERVAL 7 DAY
)
SELECT
    s.opportunity_id, s.signal, s.stage, s.owner_id, s.amount,
    replace(replace(replace(
        CASE WHEN s.reference > 0 THEN k.evidence ELSE k.evidence_alone END,
        '{observed}', coalesce(printf('%.0f', s.observed), '?')),
        '{reference}', coalesce(printf('%.0f', s.reference), '?')),
        '{sample}', coalesce(printf('%.0f', s.sample), '0')) AS evidence,
    k.suggested_action
FROM signals AS s
JOIN playbook AS k ON k.signal = s.signal
