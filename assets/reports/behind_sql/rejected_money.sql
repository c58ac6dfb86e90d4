-- What stands in rejected rows of opportunities that are nowhere in force: their open amount, what is to be expected of it at
-- their stage's mean probability, and how many have no amount that could be read; beside the same of the trusted ones.
-- Inputs: exported_opportunities, opportunities, win_probability.
WITH rejected AS (
    SELECT coalesce(opportunity_id, _file || ':' || _line) AS id, max(amount_reporting) AS amount, max(stage_key) AS stage
    FROM exported_opportunities
    WHERE _verdict = 'rejected' AND coalesce(status, 'open') = 'open'
      AND (opportunity_id IS NULL OR opportunity_id NOT IN (SELECT opportunity_id FROM opportunities))
    GROUP BY 1
),
means AS (
    -- Summed as integers: a sum of doubles would depend on the order of threads.
    SELECT stage, CAST(sum(CAST(round(p_won * 1e9) AS HUGEINT)) AS DOUBLE) / 1e9 / count(*) AS p_won FROM win_probability GROUP BY stage
),
without AS (
    SELECT sum(amount) AS open_amount, sum(expected_amount) AS expected_amount FROM win_probability
)
SELECT
    coalesce(any_value(w.open_amount), 0) AS open_amount,
    coalesce(any_value(w.expected_amount), 0) AS expected_amount,
    coalesce(sum(r.amount), 0) AS rejected_amount,
    coalesce(sum(CAST(r.amount * m.p_won AS DECIMAL(18, 2))), 0) AS rejected_expected,
    count(r.id) AS rejected_deals,
    count(r.id) FILTER (r.amount IS NULL) AS unknown_amounts
FROM without AS w
LEFT JOIN rejected AS r ON TRUE
LEFT JOIN means AS m ON m.stage = r.stage
