-- Payments due of the opportunities that exist at the as-of date; one that was paid later was not paid.
-- Inputs: exported_payments, opportunities, spellings (field, spelling, value), parameters.
WITH in_force AS (
    SELECT d.*, coalesce(s.value, d.kind) AS kind_told, p.as_of, coalesce(d._snapshot, p.export_date) <= p.as_of AS is_known
    FROM exported_payments AS d
    CROSS JOIN parameters AS p
    LEFT JOIN spellings AS s ON s.field = 'payment_kind' AND s.spelling = lower(trim(d.kind))
    WHERE d._verdict <> 'rejected'
    QUALIFY row_number() OVER (
        PARTITION BY d.opportunity_id, kind_told, d.due_at
        ORDER BY coalesce(d._snapshot, p.export_date) <= p.as_of DESC, abs(date_diff('day', coalesce(d._snapshot, p.export_date), p.as_of)), d._row DESC
    ) = 1
)
SELECT
    d.opportunity_id,
    d.kind_told AS kind,
    d.due_at,
    CASE WHEN d.paid_at <= d.as_of THEN d.paid_at END AS paid_at,
    d.amount_reporting AS amount,
    d.is_known
FROM in_force AS d
JOIN opportunities AS o ON o.opportunity_id = d.opportunity_id
