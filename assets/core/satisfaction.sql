-- Survey answers given by the as-of date, in the newest version seen by then, else in the first one seen later.
-- Inputs: exported_satisfaction, opportunities, parameters.
WITH in_force AS (
    SELECT a.*
    FROM exported_satisfaction AS a, parameters AS p
    WHERE a._verdict <> 'rejected' AND a.surveyed_at <= p.as_of
    QUALIFY row_number() OVER (
        PARTITION BY a.account_id, a.surveyed_at
        ORDER BY coalesce(a._snapshot, p.export_date) <= p.as_of DESC, abs(date_diff('day', coalesce(a._snapshot, p.export_date), p.as_of)), a._row DESC
    ) = 1
)
SELECT account_id, surveyed_at, score, account_id IN (SELECT account_id FROM opportunities WHERE account_id IS NOT NULL) AS has_opportunity
FROM in_force
