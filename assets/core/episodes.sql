-- The state of every opportunity through time: stage, amount, expected close date and owner, in force in
-- [valid_from, valid_to).
-- Inputs: stage_entries, exported_stage_history, exported_field_history, opportunity_versions, parameters.
WITH field_changes AS (
    SELECT f.opportunity_id, f.field, f.changed_at, f.old_amount, f.new_amount, f.old_date, f.new_date, f.old_value, f.new_value
    FROM exported_field_history AS f, parameters AS p
    WHERE f._verdict = 'accepted' AND f.changed_at < p.as_of_end AND f.field IN ('amount', 'expected_close_date', 'owner_id')
),
-- Before the first change of a field its old value held; the change may lie after the as-of date.
firsts AS (
    SELECT
        f.opportunity_id,
        arg_min(f.old_amount, (f.changed_at, f._row)) FILTER (f.field = 'amount') AS amount,
        arg_min(f.old_date, (f.changed_at, f._row)) FILTER (f.field = 'expected_close_date') AS expected_close_date,
        arg_min(f.old_value, (f.changed_at, f._row)) FILTER (f.field = 'owner_id') AS owner_id,
        bool_or(f.field = 'amount') AS has_amount,
        bool_or(f.field = 'expected_close_date') AS has_expected_close_date,
        bool_or(f.field = 'owner_id') AS has_owner
    FROM exported_field_history AS f
    WHERE f._verdict = 'accepted'
    GROUP BY f.opportunity_id
),
at_entries AS (
    SELECT h.opportunity_id, h.entered_at, h.amount_reporting AS amount, h.expected_close_date, h.owner_id
    FROM exported_stage_history AS h, parameters AS p
    WHERE h._verdict = 'accepted' AND h.entered_at < p.as_of_end
      AND (h.amount_reporting IS NOT NULL OR h.expected_close_date IS NOT NULL OR h.owner_id IS NOT NULL)
),
logged AS (
    SELECT
        opportunity_id,
        count(amount) > 0 AS has_amount,
        count(expected_close_date) > 0 AS has_expected_close_date,
        count(owner_id) > 0 AS has_owner,
        arg_min(amount, (entered_at, amount)) FILTER (amount IS NOT NULL) AS first_amount,
        arg_min(expected_close_date, (entered_at, expected_close_date)) FILTER (expected_close_date IS NOT NULL) AS first_expected_close_date,
        arg_min(owner_id, (entered_at, owner_id)) FILTER (owner_id IS NOT NULL) AS first_owner_id
    FROM at_entries
    GROUP BY opportunity_id
),
-- A value of the row itself holds from the beginning where no history says otherwise; where the log tells one later than at
-- the first entry (of a closing alone, say), the first that it tells. The expected close date of a closed deal is
-- overwritten at closing and tells nothing, unless its changes are exported.
tracked AS (
    SELECT count(*) > 0 AS close_dates FROM exported_field_history WHERE _verdict = 'accepted' AND field = 'expected_close_date'
),
from_row AS (
    SELECT
        v.opportunity_id,
        v.seen_on,
        v.is_known AND lag(v.seen_on) OVER (PARTITION BY v.opportunity_id ORDER BY v.seen_on) IS NOT NULL AS is_later,
        CASE WHEN f.has_amount THEN NULL WHEN l.has_amount THEN CASE WHEN NOT is_later THEN l.first_amount END ELSE v.amount END AS amount,
        CASE
            WHEN f.has_expected_close_date THEN NULL
            WHEN l.has_expected_close_date THEN CASE WHEN NOT is_later THEN l.first_expected_close_date END
            WHEN t.close_dates OR coalesce(v.status, 'open') = 'open' THEN v.expected_close_date
        END AS expected_close_date,
        CASE WHEN f.has_owner THEN NULL WHEN l.has_owner THEN CASE WHEN NOT is_later THEN l.first_owner_id END ELSE v.owner_id END AS owner_id
    FROM opportunity_versions AS v
    CROSS JOIN tracked AS t
    LEFT JOIN logged AS l ON l.opportunity_id = v.opportunity_id
    LEFT JOIN firsts AS f ON f.opportunity_id = v.opportunity_id
    WHERE v.is_known OR v.is_current
),
-- A later snapshot that says the same of a deal begins no new state.
news_of_row AS (
    SELECT opportunity_id, seen_on, is_later, amount, expected_close_date, owner_id
    FROM from_row
    WINDOW deal AS (PARTITION BY opportunity_id ORDER BY seen_on)
    QUALIFY NOT is_later
        OR amount IS NOT NULL AND amount IS DISTINCT FROM lag(amount IGNORE NULLS) OVER deal
        OR expected_close_date IS NOT NULL AND expected_close_date IS DISTINCT FROM lag(expected_close_date IGNORE NULLS) OVER deal
        OR owner_id IS NOT NULL AND owner_id IS DISTINCT FROM lag(owner_id IGNORE NULLS) OVER deal
),
-- What an entry says is carried as one number: three texts of millions of rows would be most of the work.
states AS (
    SELECT stage, kind, history, row_number() OVER (ORDER BY stage, kind, history) AS state
    FROM (SELECT DISTINCT stage, kind, history FROM stage_entries) AS distinct_states
),
changes AS (
    SELECT
        e.opportunity_id, e.entered_at AS changed_at, e.entry_number * 65536 + s.state AS entry,
        NULL AS amount, NULL AS expected_close_date, NULL AS owner_id
    FROM stage_entries AS e
    JOIN states AS s ON s.stage = e.stage AND s.kind = e.kind AND s.history = e.history
    UNION ALL
    SELECT opportunity_id, entered_at, NULL, amount, expected_close_date, owner_id FROM at_entries
    UNION ALL
    SELECT
        opportunity_id, changed_at, NULL, new_amount, new_date,
        CASE WHEN field = 'owner_id' THEN new_value END
    FROM field_changes
    UNION ALL
    SELECT opportunity_id, TIMESTAMP '0001-01-01', NULL, amount, expected_close_date, owner_id
    FROM firsts
    UNION ALL
    SELECT
        opportunity_id,
        CASE WHEN is_later THEN CAST(seen_on AS TIMESTAMP) ELSE TIMESTAMP '0001-01-01' END,
        NULL, amount, expected_close_date, owner_id
    FROM news_of_row
),
instants AS (
    SELECT
        opportunity_id,
        changed_at,
        -- Of several entries on one instant the last in the order of stage_entries stays.
        max(entry) % 65536 AS state,
        max(amount) AS amount,
        max(expected_close_date) AS expected_close_date,
        max(owner_id) AS owner_id
    FROM changes
    GROUP BY opportunity_id, changed_at
),
carried AS (
    SELECT
        opportunity_id,
        changed_at,
        last_value(state IGNORE NULLS) OVER so_far AS state,
        last_value(amount IGNORE NULLS) OVER so_far AS amount,
        last_value(expected_close_date IGNORE NULLS) OVER so_far AS expected_close_date,
        last_value(owner_id IGNORE NULLS) OVER so_far AS owner_id,
        lead(changed_at) OVER (PARTITION BY opportunity_id ORDER BY changed_at) AS valid_to
    FROM instants
    WINDOW so_far AS (PARTITION BY opportunity_id ORDER BY changed_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
-- Before its first entry a deal has no state, and no episode.
SELECT c.opportunity_id, c.changed_at AS valid_from, c.valid_to, s.kind AS status, s.stage, c.amount, c.expected_close_date, c.owner_id, s.history
FROM carried AS c
JOIN states AS s ON s.state = c.state
