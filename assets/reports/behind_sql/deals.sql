-- The deals that the page lists behind its numbers: those open, and those created, closed or moved since its first period
-- began; the ones with the largest amounts where there are more than it holds.
-- Inputs: opportunities, stage_visits, exported_accounts, win_probability, scope (first_day, deals).
WITH moved AS (
    SELECT DISTINCT v.opportunity_id
    FROM stage_visits AS v
    CROSS JOIN scope AS s
    WHERE v.exited_at IS NULL OR v.exited_at >= s.first_day
),
accounts AS (
    SELECT account_id, any_value(name) AS name FROM exported_accounts WHERE _verdict = 'accepted' GROUP BY account_id
),
within AS (
    SELECT
        o.opportunity_id, o.owner_id, a.name AS account, o.status, o.stage, o.amount, o.created_at, o.closed_at, w.p_won, w.expected_amount,
        row_number() OVER (ORDER BY greatest(o.amount, w.expected_amount) DESC NULLS LAST, o.opportunity_id) AS place,
        count(*) OVER () AS of_deals
    FROM opportunities AS o
    CROSS JOIN scope AS s
    LEFT JOIN moved AS m ON m.opportunity_id = o.opportunity_id
    LEFT JOIN accounts AS a ON a.account_id = o.account_id
    LEFT JOIN win_probability AS w ON w.opportunity_id = o.opportunity_id
    WHERE o.status = 'open' OR o.closed_at >= s.first_day OR o.created_at >= s.first_day OR m.opportunity_id IS NOT NULL
)
SELECT w.* FROM within AS w CROSS JOIN scope AS s WHERE w.place <= s.deals ORDER BY w.place
