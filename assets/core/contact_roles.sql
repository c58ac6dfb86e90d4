-- Contacts on the opportunities that exist at the as-of date; those contacted only later and seen only later are left out.
-- Inputs: exported_contact_roles, opportunities, masks (contact_id, shown), spellings (field, spelling, value), parameters.
WITH in_force AS (
    SELECT r.*, p.as_of_end, coalesce(r._snapshot, p.export_date) <= p.as_of AS is_known
    FROM exported_contact_roles AS r, parameters AS p
    WHERE r._verdict <> 'rejected'
    QUALIFY row_number() OVER (
        PARTITION BY r.opportunity_id, r.contact_id
        ORDER BY coalesce(r._snapshot, p.export_date) <= p.as_of DESC, abs(date_diff('day', coalesce(r._snapshot, p.export_date), p.as_of)), r._row DESC
    ) = 1
)
SELECT
    r.opportunity_id,
    coalesce(m.shown, r.contact_id) AS contact_id,
    coalesce(s.value, r.role) AS role,
    CASE WHEN r.first_contacted_at < r.as_of_end THEN r.first_contacted_at END AS first_contacted_at,
    r.is_known
FROM in_force AS r
JOIN opportunities AS o ON o.opportunity_id = r.opportunity_id
LEFT JOIN masks AS m ON m.contact_id = r.contact_id
LEFT JOIN spellings AS s ON s.field = 'role' AND s.spelling = lower(trim(r.role))
WHERE r.is_known OR coalesce(r.first_contacted_at < r.as_of_end, TRUE)
