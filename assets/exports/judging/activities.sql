-- Derives the ok_ columns. An activity of a lead has no opportunity, so the parent rules do not apply to it.
-- Inputs: rows, parents, facts.
SELECT
    r._row,
    CASE WHEN r.opportunity_id IS NOT NULL THEN p.is_accepted IS NOT NULL END AS ok_opportunity_known,
    p.is_accepted AS ok_parent_accepted,
    r.happened_at < f.export_end AS ok_happened_past
FROM rows AS r
CROSS JOIN facts AS f
LEFT JOIN parents AS p ON p.opportunity_id = r.opportunity_id
ORDER BY r._row
