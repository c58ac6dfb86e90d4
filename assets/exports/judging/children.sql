-- Derives the ok_ columns of every other table whose rows belong to an opportunity. Inputs: rows, parents.
SELECT
    r._row,
    CASE WHEN r.opportunity_id IS NOT NULL THEN p.is_accepted IS NOT NULL END AS ok_opportunity_known,
    p.is_accepted AS ok_parent_accepted
FROM rows AS r
LEFT JOIN parents AS p ON p.opportunity_id = r.opportunity_id
ORDER BY r._row
