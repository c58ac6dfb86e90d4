-- Stage entries of every opportunity known before the end of the as-of date, from the best history there is.
-- Inputs: opportunity_versions, exported_stage_history, stage_dates (opportunity_id, stage, entered_at), stages,
-- parameters.
--   observed  a row of the stage history
--   derived   a date of the opportunity itself (a "date entered" column, creation, closing)
--   rebuilt   a difference between successive snapshots; it is dated by the snapshot that shows it
WITH observed AS (
    SELECT
        h.opportunity_id, h.stage_key AS stage, h.entered_at, CASE WHEN h.exited_at < p.as_of_end THEN h.exited_at END AS left_at,
        'observed' AS history, h._row AS line
    FROM exported_stage_history AS h, parameters AS p
    WHERE h._verdict = 'accepted' AND h.stage_key IS NOT NULL AND h.entered_at < p.as_of_end
      AND h.opportunity_id IN (SELECT opportunity_id FROM opportunity_versions)
    UNION ALL
    -- A row of the log goes before a date of the deal itself that says the same.
    SELECT d.opportunity_id, d.stage, d.entered_at, NULL AS left_at, 'derived' AS history, 999999999 AS line
    FROM stage_dates AS d, parameters AS p
    WHERE d.entered_at < p.as_of_end AND d.opportunity_id IN (SELECT opportunity_id FROM opportunity_versions)
),
newest AS (
    SELECT
        o.opportunity_id,
        max(o.entered_at) AS entered_at,
        arg_max(o.stage, (o.entered_at, s.kind <> 'open', s.position, o.line)) AS stage
    FROM observed AS o
    JOIN stages AS s ON s.stage = o.stage
    GROUP BY o.opportunity_id
),
first_stage AS (
    SELECT pipeline, stage FROM stages WHERE kind = 'open' AND position = 1
),
-- A log of changes tells where a deal began: in the stage that its first change left, however late that change was.
left_first AS (
    SELECT opportunity_id, previous_stage_key AS stage, entered_at AS left_at
    FROM exported_stage_history
    WHERE _verdict = 'accepted' AND stage_key IS NOT NULL
      -- Only deals whose log says it, which spares the sorting where none does.
      AND opportunity_id IN (SELECT opportunity_id FROM exported_stage_history WHERE previous_stage_key IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY opportunity_id ORDER BY entered_at, _row) = 1 AND previous_stage_key IS NOT NULL
),
-- Where a closed deal keeps its last open stage, a log may hold nothing but closings: it is silent about the beginning.
silent AS (
    SELECT v.opportunity_id
    FROM opportunity_versions AS v
    JOIN stages AS s ON s.stage = v.stage AND s.kind = 'open'
    WHERE v.is_current AND v.status <> 'open'
      AND v.opportunity_id NOT IN (SELECT o.opportunity_id FROM observed AS o JOIN stages AS e ON e.stage = o.stage WHERE e.kind = 'open')
),
-- Deals without any dated entry, or with a silent log, begin in the first stage on the day of creation.
created AS (
    SELECT v.opportunity_id, coalesce(b.stage, f.stage) AS stage, v.created_at AS entered_at, NULL AS left_at, 'derived' AS history, -1 AS line
    FROM opportunity_versions AS v
    JOIN first_stage AS f ON f.pipeline = v.pipeline
    LEFT JOIN left_first AS b ON b.opportunity_id = v.opportunity_id AND v.created_at <= b.left_at
    CROSS JOIN parameters AS p
    WHERE v.is_current AND v.created_at < p.as_of_end
      AND (
          b.stage IS NOT NULL
          OR v.opportunity_id NOT IN (SELECT opportunity_id FROM newest)
          OR v.opportunity_id IN (SELECT opportunity_id FROM silent)
      )
),
-- What a snapshot shows and nothing else explains: a stage that differs from the one known before it.
seen AS (
    SELECT
        v.*,
        lag(v.stage) OVER versions AS stage_before,
        lag(v.seen_on) OVER versions AS seen_before
    FROM opportunity_versions AS v
    WHERE v.is_known
    WINDOW versions AS (PARTITION BY v.opportunity_id ORDER BY v.seen_on)
),
rebuilt AS (
    SELECT
        v.opportunity_id,
        v.stage,
        CASE
            WHEN s.kind = 'open' AND v.stage_entered_at < p.as_of_end AND (v.seen_before IS NULL OR v.stage_entered_at >= v.seen_before)
                THEN greatest(v.stage_entered_at, coalesce(n.entered_at, v.created_at, v.stage_entered_at))
            -- A closed deal that stays in its last open stage was there before it closed.
            WHEN s.kind = 'open'
                THEN greatest(least(CAST(v.seen_on AS TIMESTAMP), CASE WHEN v.status <> 'open' THEN v.closed_at END), coalesce(n.entered_at, v.created_at))
        END AS entered_at,
        NULL AS left_at,
        CASE WHEN v.stage_entered_at IS NOT NULL THEN 'derived' ELSE 'rebuilt' END AS history,
        1000000000 AS line
    FROM seen AS v
    JOIN stages AS s ON s.stage = v.stage
    LEFT JOIN newest AS n ON n.opportunity_id = v.opportunity_id
    LEFT JOIN first_stage AS f ON f.pipeline = v.pipeline
    CROSS JOIN parameters AS p
    WHERE s.kind = 'open'
      AND CASE
            WHEN n.stage IS NOT NULL THEN v.is_current AND v.stage <> n.stage
            WHEN v.stage_before IS NOT NULL THEN v.stage <> v.stage_before
            WHEN v.created_at IS NOT NULL THEN v.stage <> f.stage
            ELSE v.stage_entered_at IS NOT NULL OR EXISTS (SELECT 1 FROM opportunity_versions AS e WHERE e.seen_on < v.seen_on)
          END
),
-- A closing that the log does not show is dated by the row; without a date there, by the snapshot that first shows it closed,
-- but only where an earlier one shows it open: the first export of a company would else have closed everything on its day.
-- Of versions that follow each other with one outcome the last tells its date, and the first when it was first seen.
versions AS (
    SELECT
        *,
        lag(status) OVER deal AS status_before,
        lead(status) OVER deal AS status_after
    FROM opportunity_versions
    WHERE is_known OR is_current
    WINDOW deal AS (PARTITION BY opportunity_id ORDER BY seen_on)
),
closings AS (
    SELECT
        *,
        CASE
            WHEN last_value(CASE WHEN status IS DISTINCT FROM status_before THEN coalesce(status_before, 'none') END IGNORE NULLS) OVER so_far = 'open'
                THEN CAST(max(CASE WHEN status IS DISTINCT FROM status_before THEN seen_on END) OVER so_far AS TIMESTAMP)
        END AS first_seen_closed_at
    FROM versions
    WINDOW so_far AS (PARTITION BY opportunity_id ORDER BY seen_on ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
closed AS (
    SELECT
        v.opportunity_id,
        s.stage,
        greatest(coalesce(v.closed_at, v.first_seen_closed_at), n.entered_at) AS entered_at,
        NULL AS left_at,
        CASE WHEN v.closed_at IS NOT NULL THEN 'derived' ELSE 'rebuilt' END AS history,
        1000000001 AS line
    FROM closings AS v
    JOIN stages AS s ON s.pipeline = v.pipeline AND s.kind = v.status AND s.kind <> 'open'
    LEFT JOIN newest AS n ON n.opportunity_id = v.opportunity_id
    LEFT JOIN stages AS l ON l.stage = n.stage
    CROSS JOIN parameters AS p
    WHERE CASE
            WHEN n.stage IS NOT NULL THEN v.is_current AND l.kind <> v.status
            ELSE v.status IS DISTINCT FROM v.status_after
          END
      AND coalesce(v.closed_at, v.first_seen_closed_at) < p.as_of_end
),
entries AS (
    SELECT * FROM observed
    UNION ALL SELECT * FROM created
    UNION ALL SELECT * FROM rebuilt WHERE entered_at IS NOT NULL
    UNION ALL SELECT * FROM closed
),
-- A deal that is closed, and nobody knows when: what became of its stages is not known either.
undated AS (
    SELECT v.opportunity_id
    FROM opportunity_versions AS v
    WHERE v.is_current AND v.is_known AND v.status <> 'open' AND v.closed_at IS NULL
      AND v.opportunity_id NOT IN (SELECT e.opportunity_id FROM entries AS e JOIN stages AS s ON s.stage = e.stage WHERE s.kind <> 'open')
),
ordered AS (
    SELECT
        e.opportunity_id, e.stage, s.kind, s.position, e.entered_at, e.left_at, e.history, e.line,
        lag(e.stage) OVER in_order AS stage_before
    FROM entries AS e
    JOIN stages AS s ON s.stage = e.stage
    WHERE e.opportunity_id NOT IN (SELECT opportunity_id FROM undated)
    -- Entries on the same instant (a day without a time) are taken in the order of the stages, closing last.
    WINDOW in_order AS (PARTITION BY e.opportunity_id ORDER BY e.entered_at, s.kind <> 'open', s.position, e.line)
)
SELECT
    opportunity_id,
    row_number() OVER (PARTITION BY opportunity_id ORDER BY entered_at, kind <> 'open', position, line) AS entry_number,
    stage, kind, position, entered_at, left_at, history
FROM ordered
WHERE stage IS DISTINCT FROM stage_before
