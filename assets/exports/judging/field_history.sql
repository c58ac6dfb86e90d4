-- Derives for every exported field change its typed value and the ok_ columns. Amounts are converted like their deal's.
-- Inputs: rows, parents, rates, facts.
WITH typed AS (
    SELECT
        r.*,
        p.is_accepted,
        f.export_end,
        CASE WHEN x.rate IS NOT NULL OR p.currency IS NULL THEN coalesce(x.rate, 1) END AS rate,
        TRY_CAST(replace(r.old_value, ',', '') AS DECIMAL(18, 2)) AS old_number,
        TRY_CAST(replace(r.new_value, ',', '') AS DECIMAL(18, 2)) AS new_number,
        TRY_CAST(left(r.old_value, 10) AS DATE) AS old_date,
        TRY_CAST(left(r.new_value, 10) AS DATE) AS new_date
    FROM rows AS r
    CROSS JOIN facts AS f
    LEFT JOIN parents AS p ON p.opportunity_id = r.opportunity_id
    LEFT JOIN rates AS x ON x.currency = upper(trim(p.currency))
)
SELECT
    d._row,
    CASE WHEN d.field = 'amount' THEN CAST(d.old_number * d.rate AS DECIMAL(18, 2)) END AS old_amount,
    CASE WHEN d.field = 'amount' THEN CAST(d.new_number * d.rate AS DECIMAL(18, 2)) END AS new_amount,
    CASE WHEN d.field = 'expected_close_date' THEN d.old_date END AS old_date,
    CASE WHEN d.field = 'expected_close_date' THEN d.new_date END AS new_date,
    CASE WHEN d.opportunity_id IS NOT NULL THEN d.is_accepted IS NOT NULL END AS ok_opportunity_known,
    d.is_accepted AS ok_parent_accepted,
    d.changed_at < d.export_end AS ok_changed_past,
    CASE d.field
        WHEN 'amount' THEN d.new_value IS NULL OR d.new_number IS NOT NULL
        WHEN 'expected_close_date' THEN d.new_value IS NULL OR d.new_date IS NOT NULL
    END AS ok_new_value_read,
    CASE d.field
        WHEN 'amount' THEN d.old_value IS NULL OR d.old_number IS NOT NULL
        WHEN 'expected_close_date' THEN d.old_value IS NULL OR d.old_date IS NOT NULL
    END AS ok_old_value_read
FROM typed AS d
ORDER BY d._row
