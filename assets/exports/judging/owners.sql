-- Derives the ok_ columns of the periods in which people belong to teams. Inputs: rows.
WITH periods AS (
    SELECT
        _row,
        owner_id,
        team,
        coalesce(valid_from, DATE '0001-01-01') AS first_day,
        coalesce(valid_to, DATE '9999-12-31') AS last_day,
        _snapshot
    FROM rows
    WHERE owner_id IS NOT NULL
),
-- Of rows with one beginning the last holds.
distinct_periods AS (
    SELECT *
    FROM periods
    WHERE first_day <= last_day
    QUALIFY row_number() OVER (PARTITION BY owner_id, first_day ORDER BY _snapshot DESC NULLS LAST, _row DESC) = 1
),
followed AS (
    SELECT
        _row,
        first_day,
        max(last_day) OVER (
            PARTITION BY owner_id ORDER BY first_day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS last_day_before
    FROM distinct_periods
)
SELECT
    r._row,
    r.valid_to >= r.valid_from AS ok_team_period,
    f.first_day > f.last_day_before AS ok_team_periods_apart,
    CASE WHEN f.first_day > f.last_day_before THEN date_diff('day', f.last_day_before, f.first_day) = 1 END AS ok_team_periods_join
FROM rows AS r
LEFT JOIN followed AS f ON f._row = r._row
ORDER BY r._row
