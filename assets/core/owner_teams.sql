-- The team of every person day by day, known by the as-of date; periods of one person never overlap.
-- Inputs: exported_owners, parameters.
-- Of two periods that overlap the one that begins later holds from its beginning on; of those that begin on one day the
-- last row of the export. Days that no period covers belong to no team.
WITH begun AS (
    SELECT
        o.owner_id,
        coalesce(o.valid_from, DATE '0001-01-01') AS first_day,
        coalesce(o.valid_to, DATE '9999-12-31') AS valid_to,
        o.team
    FROM exported_owners AS o, parameters AS p
    WHERE o._verdict = 'accepted' AND coalesce(o.valid_from, DATE '0001-01-01') <= p.as_of
    QUALIFY row_number() OVER (PARTITION BY o.owner_id, coalesce(o.valid_from, DATE '0001-01-01') ORDER BY o._row DESC) = 1
),
followed AS (
    SELECT *, lead(first_day) OVER (PARTITION BY owner_id ORDER BY first_day) AS next_first_day
    FROM begun
)
SELECT
    owner_id,
    first_day,
    least(valid_to, coalesce(CAST(next_first_day - INTERVAL 1 DAY AS DATE), valid_to)) AS last_day,
    team
FROM followed
WHERE valid_to >= first_day
