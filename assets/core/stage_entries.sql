-- Stage entries of every opportunity known before the end of the as-of date, from the best history there is.
-- Inputs: opportunity_versions, exported_stage_history, stage_dates (opportunity_id, stage, entered_at), stages,
-- stage_periods, parameters.
--   observed  a row of the stage history
--   derived   a date of the opportunity itself (a "date entered" column, creation, closing)
--   rebuilt   a difference between successive snapshots; it is dated by the snapshot that shows it
-- Where the history begins later than the deals, or does not hold all of them, an entry that nothing dates is taken to
-- lie at creation, so that it is no movement of the day on which the history begins; is_dated says so, and seen_at is
-- the first instant at which the deal is known to be in the stage (docs/architecture.md).
WITH logged AS (
    SELECT
        h.opportunity_id, h.stage_key AS stage, h.entered_at, CASE WHEN h.exited_at < p.as_of_end THEN h.exited_at END AS left_at,
        'observed' AS history, h._row AS line
    FROM exported_stage_history AS h, parameters AS p
    WHERE h._verdict = 'accepted' AND h.stage_key IS NOT NULL AND h.entered_at < p.as_of_end
      AND h.opportunity_id IN (SELECT opportunity_id FROM opportunity_versions)
    UNION ALL
    SELECT d.opportunity_id, d.stage, d.entered_at, NULL AS left_at, 'derived' AS history, 0 AS line
    FROM stage_dates AS d, parameters AS p
    WHERE d.entered_at < p.as_of_end AND d.opportunity_id IN (SELECT opportunity_id FROM opportunity_versions)
),
observed AS (
    SELECT l.opportunity_id, i.counts_as AS stage, l.entered_at, l.left_at, l.history, l.line
    FROM logged AS l
    JOIN stage_periods AS i ON i.stage = l.stage AND CAST(l.entered_at AS DATE) BETWEEN i.first_day AND i.last_day
),
newest AS (
    SELECT
        o.opportunity_id,
        min(o.entered_at) AS first_entered_at,
        max(o.entered_at) AS entered_at,
        arg_max(o.stage, (o.entered_at, s.kind <> 'open', s.position, o.line)) AS stage
    FROM observed AS o
    JOIN stages AS s ON s.stage = o.stage
    GROUP BY o.opportunity_id
),
first_stage AS (
    SELECT pipeline, stage FROM stages WHERE kind = 'open' AND position = 1
),
-- Days on which a history first shows many deals that are older: it was filled with what stood then.
filled_days AS (
    SELECT CAST(n.first_entered_at AS DATE) AS day
    FROM newest AS n
    JOIN opportunity_versions AS v ON v.opportunity_id = n.opportunity_id AND v.is_current
    WHERE v.created_at < CAST(n.first_entered_at AS DATE)
    GROUP BY CAST(n.first_entered_at AS DATE)
    HAVING count(*) > greatest(50, 0.05 * (SELECT count(*) FROM newest))
),
-- The history begins late where its first day lies more than 30 days after the first creation. Without a history it
-- begins with the first of several snapshots.
spans AS (
    SELECT
        (SELECT CAST(min(first_entered_at) AS DATE) FROM newest) AS first_logged_on,
        (SELECT min(day) FROM filled_days) AS first_filled_on,
        CAST(min(v.created_at) AS DATE) AS first_created_on,
        CASE WHEN count(DISTINCT CASE WHEN v.is_known THEN v.seen_on END) > 1 THEN min(v.seen_on) END AS first_seen_on
    FROM opportunity_versions AS v
),
beginnings AS (
    SELECT
        first_logged_on IS NOT NULL AS has_log,
        CASE
            WHEN first_logged_on IS NULL THEN first_seen_on
            WHEN first_filled_on IS NOT NULL THEN first_filled_on
            WHEN date_diff('day', first_created_on, first_logged_on) > 30 THEN first_logged_on
        END AS began_on
    FROM spans
),
first_versions AS (
    SELECT opportunity_id, arg_min(stage, seen_on) AS stage, arg_min(status, seen_on) AS status, min(seen_on) AS seen_on
    FROM opportunity_versions
    WHERE is_known
    GROUP BY opportunity_id
),
-- How much of a deal's way is known: all of it, what came after the history began, or none.
courses AS (
    SELECT
        v.opportunity_id,
        n.first_entered_at,
        v.created_at,
        v.created_at < b.began_on AS is_older,
        CASE
            WHEN b.has_log AND n.opportunity_id IS NULL THEN 'unknown'
            WHEN b.has_log AND (v.created_at < b.began_on OR v.created_at IS NULL) AND n.first_entered_at >= b.began_on
                 AND (v.created_at IS NOT NULL OR CAST(n.first_entered_at AS DATE) = b.began_on) THEN 'partial'
            WHEN NOT b.has_log AND v.created_at < b.began_on AND e.status <> 'open' THEN 'unknown'
            WHEN NOT b.has_log AND v.created_at < b.began_on AND e.stage <> f.stage AND e.stage <> i.counts_as THEN 'partial'
            ELSE 'whole'
        END AS course,
        CAST(n.first_entered_at AS DATE) = b.began_on OR CAST(n.first_entered_at AS DATE) IN (SELECT day FROM filled_days) AS is_filled_in
    FROM opportunity_versions AS v
    CROSS JOIN beginnings AS b
    LEFT JOIN newest AS n ON n.opportunity_id = v.opportunity_id
    LEFT JOIN first_versions AS e ON e.opportunity_id = v.opportunity_id
    LEFT JOIN first_stage AS f ON f.pipeline = v.pipeline
    LEFT JOIN stage_periods AS i ON i.stage = f.stage AND CAST(v.created_at AS DATE) BETWEEN i.first_day AND i.last_day
    WHERE v.is_current
),
-- Deals without any dated entry begin in the first stage on the day of creation; one that is older than the history is
-- where its first snapshot shows it, and has been there since an unknown day.
created AS (
    SELECT
        v.opportunity_id,
        CASE WHEN c.course <> 'whole' AND c.is_older AND s.kind = 'open' THEN e.stage ELSE f.stage END AS stage,
        v.created_at AS entered_at,
        CASE WHEN c.course <> 'whole' AND c.is_older AND s.kind = 'open' THEN greatest(v.created_at, CAST(e.seen_on AS TIMESTAMP)) ELSE v.created_at END AS seen_at,
        NULL AS left_at,
        'derived' AS history,
        c.course = 'whole' AS is_dated,
        -1 AS line
    FROM opportunity_versions AS v
    JOIN first_stage AS f ON f.pipeline = v.pipeline
    JOIN courses AS c ON c.opportunity_id = v.opportunity_id
    LEFT JOIN first_versions AS e ON e.opportunity_id = v.opportunity_id
    LEFT JOIN stages AS s ON s.stage = e.stage
    CROSS JOIN parameters AS p
    WHERE v.is_current AND v.created_at < p.as_of_end
      AND v.opportunity_id NOT IN (SELECT opportunity_id FROM newest)
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
            WHEN v.stage_entered_at < p.as_of_end AND (v.seen_before IS NULL OR v.stage_entered_at >= v.seen_before)
                THEN greatest(v.stage_entered_at, coalesce(n.entered_at, v.created_at, v.stage_entered_at))
            ELSE greatest(CAST(v.seen_on AS TIMESTAMP), coalesce(n.entered_at, v.created_at))
        END AS entered_at,
        NULL AS left_at,
        CASE WHEN v.stage_entered_at IS NOT NULL THEN 'derived' ELSE 'rebuilt' END AS history,
        -- The first snapshot shows where a deal is, and not when it came there.
        coalesce(v.stage_entered_at < p.as_of_end AND (v.seen_before IS NULL OR v.stage_entered_at >= v.seen_before), FALSE)
            OR coalesce(v.stage <> v.stage_before, FALSE) AS is_dated,
        1000000000 AS line
    FROM seen AS v
    JOIN stages AS s ON s.stage = v.stage
    LEFT JOIN newest AS n ON n.opportunity_id = v.opportunity_id
    LEFT JOIN created AS c ON c.opportunity_id = v.opportunity_id
    CROSS JOIN parameters AS p
    WHERE s.kind = 'open'
      AND CASE
            WHEN n.stage IS NOT NULL THEN v.is_current AND v.stage <> n.stage
            WHEN v.stage_before IS NOT NULL THEN v.stage <> v.stage_before
            WHEN c.stage IS NOT NULL THEN v.stage <> c.stage
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
    SELECT
        o.opportunity_id,
        o.stage,
        CASE WHEN c.course = 'partial' AND c.is_filled_in AND o.entered_at = c.first_entered_at THEN least(o.entered_at, c.created_at) ELSE o.entered_at END AS entered_at,
        o.entered_at AS seen_at,
        o.left_at,
        o.history,
        NOT (c.course = 'partial' AND c.is_filled_in AND o.entered_at = c.first_entered_at) AS is_dated,
        o.line
    FROM observed AS o
    JOIN courses AS c ON c.opportunity_id = o.opportunity_id
    UNION ALL SELECT opportunity_id, stage, entered_at, seen_at, left_at, history, is_dated, line FROM created
    UNION ALL SELECT opportunity_id, stage, entered_at, entered_at, left_at, history, is_dated, line FROM rebuilt WHERE entered_at IS NOT NULL
    UNION ALL SELECT opportunity_id, stage, entered_at, entered_at, left_at, history, TRUE, line FROM closed
),
-- A deal that is closed, and nobody knows when: what became of its stages is not known either.
undated AS (
    SELECT v.opportunity_id
    FROM opportunity_versions AS v
    WHERE v.is_current AND v.is_known AND v.status <> 'open' AND v.closed_at IS NULL
      AND v.opportunity_id NOT IN (SELECT e.opportunity_id FROM entries AS e JOIN stages AS s ON s.stage = e.stage WHERE s.kind <> 'open')
),
placed AS (
    SELECT e.opportunity_id, i.counts_as AS stage, i.split_from, s.kind, s.position, e.entered_at, e.seen_at, e.left_at, e.history, e.is_dated, e.line
    FROM entries AS e
    JOIN stage_periods AS i ON i.stage = e.stage AND CAST(e.seen_at AS DATE) BETWEEN i.first_day AND i.last_day
    JOIN stages AS s ON s.stage = i.counts_as
    WHERE e.opportunity_id NOT IN (SELECT opportunity_id FROM undated)
),
-- A stay that began in a stage which was split since lasts until the deal leaves all of its parts.
before_split AS (
    SELECT DISTINCT opportunity_id FROM placed WHERE stage = split_from
),
runs AS (
    SELECT
        *,
        sum(CASE WHEN split_from = split_before THEN 0 ELSE 1 END) OVER (
            PARTITION BY opportunity_id ORDER BY entered_at, kind <> 'open', position, line ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run
    FROM (
        SELECT *, lag(split_from) OVER (PARTITION BY opportunity_id ORDER BY entered_at, kind <> 'open', position, line) AS split_before
        FROM placed
        WHERE opportunity_id IN (SELECT opportunity_id FROM before_split)
    ) AS deals_before_split
),
begun AS (
    SELECT *, first_value(stage) OVER (PARTITION BY opportunity_id, run ORDER BY entered_at, kind <> 'open', position, line) AS begun_in
    FROM runs
),
stayed AS (
    SELECT opportunity_id, stage, kind, position, entered_at, seen_at, left_at, history, is_dated, line
    FROM placed
    WHERE opportunity_id NOT IN (SELECT opportunity_id FROM before_split)
    UNION ALL
    SELECT b.opportunity_id, s.stage, s.kind, s.position, b.entered_at, b.seen_at, b.left_at, b.history, b.is_dated, b.line
    FROM begun AS b
    JOIN stages AS s ON s.stage = CASE WHEN b.begun_in = b.split_from THEN b.begun_in ELSE b.stage END
),
ordered AS (
    SELECT
        *,
        lag(stage) OVER in_order AS stage_before,
        lead(stage) OVER in_order AS stage_after
    FROM stayed
    -- Entries on the same instant (a day without a time) are taken in the order of the stages, closing last.
    WINDOW in_order AS (PARTITION BY opportunity_id ORDER BY entered_at, kind <> 'open', position, line)
)
SELECT
    o.opportunity_id,
    row_number() OVER (PARTITION BY o.opportunity_id ORDER BY o.entered_at, o.kind <> 'open', o.position, o.line) AS entry_number,
    o.stage, o.kind, o.position, o.entered_at, o.seen_at,
    -- Of a stay of which more is recorded than its beginning this is not the exit.
    CASE WHEN o.stage_after IS DISTINCT FROM o.stage THEN o.left_at END AS left_at,
    o.history, o.is_dated, c.course
FROM ordered AS o
JOIN courses AS c ON c.opportunity_id = o.opportunity_id
WHERE o.stage IS DISTINCT FROM o.stage_before
