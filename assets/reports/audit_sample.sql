-- Which open opportunities to check by hand this week: a tenth of each owner's, at least one.
--
-- They are those whose id and week have the smallest hash, so that anybody finds the same ones again, every week other ones.
-- Inputs: opportunities, parameters.
WITH weeks AS (
    SELECT CAST(date_trunc('week', as_of) AS DATE) AS week_start, audit_sample_share FROM parameters
),
ranked AS (
    SELECT
        o.opportunity_id, coalesce(o.owner_id, 'unassigned') AS owner_id, o.stage, o.amount, w.week_start, w.audit_sample_share,
        row_number() OVER (PARTITION BY coalesce(o.owner_id, 'unassigned') ORDER BY md5(o.opportunity_id || ' ' || w.week_start), o.opportunity_id) AS place,
        count(*) OVER (PARTITION BY coalesce(o.owner_id, 'unassigned')) AS of_owner
    FROM opportunities AS o
    CROSS JOIN weeks AS w
    WHERE o.status = 'open'
)
SELECT week_start, opportunity_id, owner_id, stage, amount
FROM ranked
WHERE place <= ceil(audit_sample_share * of_owner)
