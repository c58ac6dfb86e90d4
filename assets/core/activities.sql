-- Touches by the as-of date, in the newest version seen by then, else in the first one seen later.
-- Inputs: exported_activities, opportunities, spellings (field, spelling, value), parameters.
WITH versions AS (
    SELECT
        a.activity_id, a.opportunity_id, a.lead_id, a.kind, a.happened_at, a.owner_id, a.direction, a._row, p.as_of, p.as_of_end,
        coalesce(a._snapshot, p.export_date) AS seen_on
    FROM exported_activities AS a, parameters AS p
    WHERE a._verdict <> 'rejected'
),
-- Versions are ranked only where there are several, which spares the sorting of millions of rows.
repeated AS (
    SELECT DISTINCT activity_id FROM exported_activities WHERE _verdict = 'superseded'
),
in_force AS (
    SELECT * FROM versions ANTI JOIN repeated USING (activity_id)
    UNION ALL
    SELECT * FROM versions SEMI JOIN repeated USING (activity_id)
    QUALIFY row_number() OVER (PARTITION BY activity_id ORDER BY seen_on <= as_of DESC, abs(date_diff('day', seen_on, as_of)), _row DESC) = 1
)
SELECT
    a.activity_id,
    a.opportunity_id,
    a.lead_id,
    coalesce(k.value, a.kind) AS kind,
    a.happened_at,
    a.owner_id,
    coalesce(d.value, a.direction) AS direction
FROM in_force AS a
LEFT JOIN spellings AS k ON k.field = 'activity_kind' AND k.spelling = lower(trim(a.kind))
LEFT JOIN spellings AS d ON d.field = 'direction' AND d.spelling = lower(trim(a.direction))
WHERE a.happened_at < a.as_of_end AND (a.opportunity_id IS NULL OR a.opportunity_id IN (SELECT opportunity_id FROM opportunities))
