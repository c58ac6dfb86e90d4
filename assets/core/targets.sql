-- Targets of the configuration, and the exported ones that it does not set, in the newest version seen by the as-of date.
-- Inputs: exported_targets, configured (by the contract), parameters.
WITH in_force AS (
    SELECT t.*
    FROM exported_targets AS t, parameters AS p
    WHERE t._verdict <> 'rejected'
    QUALIFY row_number() OVER (
        PARTITION BY t.period_kind, t.period_start, t.dimension, t.member, t.metric
        ORDER BY coalesce(t._snapshot, p.export_date) <= p.as_of DESC, abs(date_diff('day', coalesce(t._snapshot, p.export_date), p.as_of)), t._row DESC
    ) = 1
)
SELECT period_kind, period_start, dimension, member, metric, target FROM configured
UNION ALL
SELECT t.period_kind, t.period_start, t.dimension, t.member, t.metric, t.target
FROM in_force AS t
ANTI JOIN configured AS c USING (period_kind, period_start, dimension, member, metric)
