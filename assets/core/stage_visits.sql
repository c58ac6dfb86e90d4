-- Stays in open stages, censored at the end of the as-of date.
-- Inputs: stage_entries, episodes, owner_teams, working_days, parameters.
-- Of a stay that was under way when the history began the length is what is known of it, a lower bound.
WITH steps AS (
    SELECT
        opportunity_id, entry_number, stage, kind, position, entered_at, seen_at, history, is_dated, course,
        lag(kind) OVER deal AS kind_before,
        lag(position) OVER deal AS position_before,
        lead(kind) OVER deal AS next_kind,
        lead(stage) OVER deal AS next_stage,
        lead(position) OVER deal AS next_position,
        lead(entered_at) OVER deal AS exited_at,
        lead(is_dated) OVER deal AS is_exit_dated,
        lag(left_at) OVER deal AS left_before_at,
        count(*) FILTER (kind = 'open') OVER (
            PARTITION BY opportunity_id ORDER BY entry_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS visit_number
    FROM stage_entries
    WINDOW deal AS (PARTITION BY opportunity_id ORDER BY entry_number)
),
visits AS (
    SELECT
        *,
        lag(entry_number) OVER in_stage IS NULL AS is_first,
        lead(entry_number) OVER in_stage IS NULL AS is_latest
    FROM steps
    WHERE kind = 'open'
    WINDOW in_stage AS (PARTITION BY opportunity_id, stage ORDER BY entry_number)
)
SELECT
    v.opportunity_id,
    v.visit_number,
    v.stage,
    v.position,
    v.entered_at,
    v.seen_at,
    CASE
        -- A deal that is older than the history came from a stage that nobody recorded.
        WHEN v.kind_before IS NULL AND v.course = 'partial' AND v.is_dated AND v.position > 1 THEN 'advanced'
        WHEN v.kind_before IS NULL THEN 'new'
        WHEN v.kind_before <> 'open' THEN 'reopened'
        WHEN v.position_before < v.position THEN 'advanced'
        ELSE 'regressed'
    END AS entry_kind,
    v.exited_at,
    CASE
        WHEN v.next_kind IS NULL THEN NULL
        WHEN v.next_kind <> 'open' THEN v.next_kind
        WHEN v.next_position > v.position THEN 'advanced'
        ELSE 'regressed'
    END AS exit_kind,
    v.next_stage,
    v.next_position,
    v.is_first,
    v.is_latest,
    e.owner_id,
    t.team,
    e.amount,
    greatest(date_diff('microsecond', v.seen_at, coalesce(v.exited_at, p.as_of_end)), 0) / 86400000000.0 AS dwell_days,
    greatest(coalesce(w_out.number, w_asof.number) - w_in.number, 0) AS dwell_working_days,
    date_diff('microsecond', v.left_before_at, v.entered_at) / 86400000000.0 AS transition_lag_days,
    v.history,
    v.is_dated AS is_entry_dated,
    v.is_dated AND coalesce(v.is_exit_dated, TRUE) AS is_dated,
    v.course
FROM visits AS v
CROSS JOIN parameters AS p
-- The state just before the exit: the last episode of the visit.
LEFT JOIN (
    SELECT
        opportunity_id, coalesce(valid_to, TIMESTAMP '9999-12-31') AS ends_at, owner_id, amount
    FROM episodes
) AS e ON e.opportunity_id = v.opportunity_id AND e.ends_at = coalesce(v.exited_at, TIMESTAMP '9999-12-31')
LEFT JOIN owner_teams AS t ON t.owner_id = e.owner_id AND coalesce(CAST(v.exited_at AS DATE), p.as_of) BETWEEN t.first_day AND t.last_day
LEFT JOIN working_days AS w_in ON w_in.day = CAST(v.seen_at AS DATE)
LEFT JOIN working_days AS w_out ON w_out.day = CAST(v.exited_at AS DATE)
LEFT JOIN working_days AS w_asof ON w_asof.day = p.as_of
