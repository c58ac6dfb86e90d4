-- What people called by the as-of date, every call; a call is known by its own date, whenever it was exported.
-- Inputs: exported_forecast_calls, spellings (field, spelling, value), parameters.
WITH called AS (
    SELECT
        coalesce(c.period_kind, 'month') AS period_kind, c.period_start, c.dimension, c.member, coalesce(s.value, c.category) AS category, c.called_at, c.amount,
        coalesce(c._snapshot, p.export_date) <= p.as_of AS is_known,
        abs(date_diff('day', coalesce(c._snapshot, p.export_date), p.as_of)) AS days_away,
        c._row
    FROM exported_forecast_calls AS c
    CROSS JOIN parameters AS p
    LEFT JOIN spellings AS s ON s.field = 'category' AND s.spelling = lower(trim(c.category))
    WHERE c._verdict <> 'rejected' AND c.called_at < p.as_of_end
    QUALIFY row_number() OVER (
        PARTITION BY coalesce(c.period_kind, 'month'), c.period_start, c.dimension, c.member, coalesce(s.value, c.category), c.called_at
        ORDER BY is_known DESC, days_away, c._row DESC
    ) = 1
)
SELECT
    period_kind, period_start, dimension, member, category, called_at, amount,
    called_at = max(called_at) OVER (PARTITION BY period_kind, period_start, dimension, member, category) AS is_latest
FROM called
