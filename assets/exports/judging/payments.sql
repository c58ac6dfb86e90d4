-- Derives the amount in the reporting currency, payments being in their opportunity's, and the ok_ columns.
-- Inputs: rows, parents, rates.
SELECT
    r._row,
    CASE
        WHEN x.rate IS NOT NULL OR p.currency IS NULL THEN CAST(r.amount * coalesce(x.rate, 1) AS DECIMAL(18, 2))
    END AS amount_reporting,
    CASE WHEN r.opportunity_id IS NOT NULL THEN p.is_accepted IS NOT NULL END AS ok_opportunity_known,
    p.is_accepted AS ok_parent_accepted
FROM rows AS r
LEFT JOIN parents AS p ON p.opportunity_id = r.opportunity_id
LEFT JOIN rates AS x ON x.currency = upper(trim(p.currency))
ORDER BY r._row
