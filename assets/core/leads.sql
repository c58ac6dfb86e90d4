-- Leads captured by the as-of date, in the newest version seen by then, else in the first one seen later.
-- Inputs: exported_leads, exported_opportunities, opportunities, owner_teams, spellings (field, spelling, value), parameters.
WITH in_force AS (
    SELECT l.*, p.as_of, p.as_of_end, coalesce(l._snapshot, p.export_date) <= p.as_of AS is_known
    FROM exported_leads AS l, parameters AS p
    WHERE l._verdict <> 'rejected'
    QUALIFY row_number() OVER (
        PARTITION BY l.lead_id
        ORDER BY coalesce(l._snapshot, p.export_date) <= p.as_of DESC, abs(date_diff('day', coalesce(l._snapshot, p.export_date), p.as_of)), l._row DESC
    ) = 1
),
-- A lead without any date counts once it is seen.
known AS (
    SELECT
        *,
        CASE WHEN ok_phone_real IS DISTINCT FROM FALSE THEN nullif(regexp_replace(phone, '[^0-9]', '', 'g'), '') END AS digits,
        nullif(lower(trim(email)), '') AS mailbox
    FROM in_force
    WHERE coalesce(coalesce(captured_at, recorded_at) < as_of_end, is_known)
),
firsts AS (
    SELECT
        lead_id,
        CASE WHEN digits IS NOT NULL THEN first_value(lead_id) OVER (PARTITION BY digits ORDER BY captured_at NULLS LAST, lead_id) END AS first_by_phone,
        CASE WHEN mailbox IS NOT NULL THEN first_value(lead_id) OVER (PARTITION BY mailbox ORDER BY captured_at NULLS LAST, lead_id) END AS first_by_email
    FROM known
),
named_by_deals AS (
    SELECT e.lead_id, arg_min(o.opportunity_id, (o.created_at, o.opportunity_id)) AS opportunity_id
    FROM exported_opportunities AS e
    JOIN opportunities AS o ON o.opportunity_id = e.opportunity_id
    WHERE e._verdict = 'accepted' AND e.lead_id IS NOT NULL
    GROUP BY e.lead_id
)
SELECT
    k.lead_id,
    CASE WHEN k.is_known THEN coalesce(s.value, k.status) END AS status,
    k.owner_id,
    t.team,
    k.source, k.industry, k.region,
    k.captured_at,
    CASE WHEN k.recorded_at < k.as_of_end THEN k.recorded_at END AS recorded_at,
    CASE WHEN k.assigned_at < k.as_of_end THEN k.assigned_at END AS assigned_at,
    CASE WHEN k.first_touch_at < k.as_of_end THEN k.first_touch_at END AS first_touch_at,
    coalesce(o.opportunity_id, n.opportunity_id) AS converted_opportunity_id,
    coalesce(nullif(f.first_by_phone, k.lead_id), nullif(f.first_by_email, k.lead_id)) AS duplicate_of,
    k.need_type, k.urgency, k.annual_revenue, k.budget, k.budget_stated, k.authority, k.need_confirmed, k.timeline, k.need_match_share,
    k.is_known
FROM known AS k
JOIN firsts AS f ON f.lead_id = k.lead_id
LEFT JOIN spellings AS s ON s.field = 'lead_status' AND s.spelling = lower(trim(k.status))
LEFT JOIN owner_teams AS t ON t.owner_id = k.owner_id AND k.as_of BETWEEN t.first_day AND t.last_day
LEFT JOIN opportunities AS o ON o.opportunity_id = k.converted_opportunity_id
LEFT JOIN named_by_deals AS n ON n.lead_id = k.lead_id
