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
    -- A row of the log goes before a date of the deal itself that says the same.
    SELECT d.opportunity_id, d.stage, d.entered_at, NULL AS left_at, 'derived' AS history, 999999999 AS line
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
        -- The last row in the order (entered_at, closings last, position, line), as one number: rows compare far slower.
        arg_max(o.stage, ((CAST(epoch_us(o.entered_at) AS HUGEINT) * 2 + CAST(s.kind <> 'open' AS INTEGER)) * 4096 + s.position) * 4294967296 + o.line) AS stage,
        bool_or(s.kind = 'open') AS has_open,
        bool_or(s.kind <> 'open') AS has_closing
    FROM observed AS o
    JOIN stages AS s ON s.stage = o.stage
    GROUP BY o.opportunity_id
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
first_stage AS (
    SELECT pipeline, stage FROM stages WHERE kind = 'open' AND position = 1
),
versions AS (
    SELECT
        *,
        lag(stage) OVER deal AS stage_before,
        lag(seen_on) OVER deal AS seen_before,
        lag(status) OVER deal AS status_before,
        lead(status) OVER deal AS status_after,
        first_value(stage) OVER deal AS first_stage,
        first_value(status) OVER deal AS first_status,
        first_value(seen_on) OVER deal AS first_seen_on
    FROM opportunity_versions
    WHERE is_known OR is_current
    WINDOW deal AS (PARTITION BY opportunity_id ORDER BY seen_on)
),
deals AS (
    SELECT
        v.opportunity_id, v.pipeline, v.created_at, v.closed_at, v.status, v.is_known, v.first_stage, v.first_status, v.first_seen_on,
        n.opportunity_id IS NOT NULL AS is_logged, n.first_entered_at, n.has_closing,
        b.stage AS left_stage, b.left_at,
        -- The stage of the row, unless the row itself dates a movement into it.
        CASE WHEN s.kind = 'open' AND coalesce(CAST(v.stage_entered_at AS DATE) <= CAST(v.created_at AS DATE), TRUE) THEN v.stage END AS only_stage,
        -- Where a closed deal keeps its last open stage, a log may hold nothing but closings: it is silent about the beginning.
        coalesce(s.kind = 'open' AND v.status <> 'open' AND NOT coalesce(n.has_open, FALSE), FALSE) AS is_silent
    FROM versions AS v
    LEFT JOIN newest AS n ON n.opportunity_id = v.opportunity_id
    LEFT JOIN left_first AS b ON b.opportunity_id = v.opportunity_id
    LEFT JOIN stages AS s ON s.stage = v.stage
    WHERE v.is_current
),
-- Days on which a history first shows many deals that are older: it was filled with what stood then.
filled_days AS (
    SELECT CAST(first_entered_at AS DATE) AS day
    FROM deals
    WHERE created_at < CAST(first_entered_at AS DATE) AND left_stage IS NULL AND NOT is_silent
    GROUP BY CAST(first_entered_at AS DATE)
    HAVING count(*) > greatest(50, 0.05 * (SELECT count(*) FROM newest))
),
spans AS (
    SELECT
        CAST(min(first_entered_at) AS DATE) AS first_logged_on,
        (SELECT min(day) FROM filled_days) AS first_filled_on,
        CAST(min(created_at) AS DATE) AS first_created_on,
        (SELECT CASE WHEN min(seen_on) < max(seen_on) THEN min(seen_on) END FROM opportunity_versions WHERE is_known) AS first_seen_on,
        2 * count(left_stage) > count(first_entered_at) AS is_of_changes
    FROM deals
),
-- The history begins late where its first day lies more than 30 days after the first creation. Without a history it
-- begins with the first of several snapshots.
beginnings AS (
    SELECT
        first_logged_on IS NOT NULL AS has_log,
        is_of_changes,
        CASE
            WHEN first_logged_on IS NULL THEN first_seen_on
            WHEN first_filled_on IS NOT NULL THEN first_filled_on
            WHEN date_diff('day', first_created_on, first_logged_on) > 30 THEN first_logged_on
        END AS began_on
    FROM spans
),
-- A log of changes that does not hold a deal says that it has never moved; of a closed one that is believed in the first
-- stage only, since some CRMs log no more than closings.
unmoved AS (
    SELECT d.opportunity_id
    FROM deals AS d
    CROSS JOIN beginnings AS b
    LEFT JOIN first_stage AS f ON f.pipeline = d.pipeline
    WHERE b.has_log AND b.is_of_changes AND d.left_stage IS NULL AND d.only_stage IS NOT NULL AND d.created_at IS NOT NULL
      AND (NOT d.is_logged AND d.status = 'open' OR d.is_silent AND d.only_stage = f.stage)
),
-- How much of a deal's way is known: all of it, what came after the history began, or none.
courses AS (
    SELECT
        d.*,
        f.stage AS pipeline_begins_in,
        b.began_on,
        d.created_at < b.began_on AS is_older,
        u.opportunity_id IS NOT NULL AS is_unmoved,
        CASE
            WHEN u.opportunity_id IS NOT NULL OR (b.has_log AND NOT d.is_logged AND d.created_at <= d.left_at)
                THEN CASE WHEN d.created_at < b.began_on THEN 'partial' ELSE 'whole' END
            WHEN b.has_log AND (NOT d.is_logged OR d.is_silent AND d.left_stage IS NULL) THEN 'unknown'
            WHEN b.has_log AND (d.created_at < b.began_on OR d.created_at IS NULL) AND d.first_entered_at >= b.began_on
                 AND (d.created_at IS NOT NULL OR CAST(d.first_entered_at AS DATE) = b.began_on) THEN 'partial'
            WHEN NOT b.has_log AND d.created_at < b.began_on AND d.is_known AND d.first_status <> 'open' THEN 'unknown'
            WHEN NOT b.has_log AND d.created_at < b.began_on AND d.is_known AND d.first_stage <> f.stage AND d.first_stage <> i.counts_as THEN 'partial'
            ELSE 'whole'
        END AS course,
        d.left_stage IS NULL
            AND (CAST(d.first_entered_at AS DATE) = b.began_on OR CAST(d.first_entered_at AS DATE) IN (SELECT day FROM filled_days)) AS is_filled_in
    FROM deals AS d
    CROSS JOIN beginnings AS b
    LEFT JOIN unmoved AS u ON u.opportunity_id = d.opportunity_id
    LEFT JOIN first_stage AS f ON f.pipeline = d.pipeline
    LEFT JOIN stage_periods AS i ON i.stage = f.stage AND CAST(d.created_at AS DATE) BETWEEN i.first_day AND i.last_day
),
-- Where the first snapshot shows a deal that is older than the history: it has been there since an unknown day.
under_way AS (
    SELECT c.opportunity_id, greatest(c.created_at, least(CAST(c.first_seen_on AS TIMESTAMP), CASE WHEN c.status <> 'open' THEN c.closed_at END)) AS seen_at
    FROM courses AS c
    JOIN stages AS s ON s.stage = c.first_stage AND s.kind = 'open'
    WHERE c.course <> 'whole' AND c.is_older AND c.is_known AND (c.first_status = 'open' OR NOT c.is_silent)
),
-- Deals without any dated entry, or with a silent log, begin in the first stage on the day of creation.
created AS (
    SELECT
        c.opportunity_id,
        CASE
            WHEN c.created_at <= c.left_at THEN c.left_stage
            WHEN c.is_unmoved THEN c.only_stage
            WHEN w.opportunity_id IS NOT NULL THEN c.first_stage
            ELSE c.pipeline_begins_in
        END AS stage,
        c.created_at AS entered_at,
        CASE
            WHEN c.course = 'partial' AND (c.created_at <= c.left_at OR c.is_unmoved)
                THEN greatest(c.created_at, least(CAST(c.began_on AS TIMESTAMP), coalesce(c.left_at, c.closed_at)))
            ELSE coalesce(w.seen_at, c.created_at)
        END AS seen_at,
        NULL AS left_at,
        'derived' AS history,
        c.course = 'whole' AS is_dated,
        -1 AS line
    FROM courses AS c
    LEFT JOIN under_way AS w ON w.opportunity_id = c.opportunity_id
    CROSS JOIN parameters AS p
    WHERE c.created_at < p.as_of_end
      AND c.pipeline_begins_in IS NOT NULL
      AND (NOT c.is_logged OR c.is_silent OR c.created_at <= c.left_at)
),
-- What a snapshot shows and nothing else explains: a stage that differs from the one known before it.
rebuilt AS (
    SELECT
        v.opportunity_id,
        v.stage,
        CASE
            WHEN v.stage_entered_at < p.as_of_end AND (v.seen_before IS NULL OR v.stage_entered_at >= v.seen_before)
                THEN greatest(v.stage_entered_at, coalesce(n.entered_at, v.created_at, v.stage_entered_at))
            -- A closed deal that stays in its last open stage was there before it closed.
            ELSE greatest(least(CAST(v.seen_on AS TIMESTAMP), CASE WHEN v.status <> 'open' THEN v.closed_at END), coalesce(n.entered_at, v.created_at))
        END AS entered_at,
        NULL AS left_at,
        CASE WHEN v.stage_entered_at IS NOT NULL THEN 'derived' ELSE 'rebuilt' END AS history,
        -- The first snapshot shows where a deal is, and not when it came there.
        coalesce(v.stage_entered_at < p.as_of_end AND (v.seen_before IS NULL OR v.stage_entered_at >= v.seen_before), FALSE)
            OR coalesce(v.stage <> v.stage_before, FALSE) AS is_dated,
        1000000000 AS line
    FROM versions AS v
    JOIN stages AS s ON s.stage = v.stage
    LEFT JOIN newest AS n ON n.opportunity_id = v.opportunity_id
    LEFT JOIN created AS c ON c.opportunity_id = v.opportunity_id
    CROSS JOIN parameters AS p
    WHERE s.kind = 'open'
      AND v.is_known
      AND CASE
            WHEN n.stage IS NOT NULL THEN v.is_current AND v.stage <> n.stage
            WHEN v.stage_before IS NOT NULL THEN v.stage <> v.stage_before
            WHEN c.stage IS NOT NULL THEN v.stage <> c.stage
            ELSE v.stage_entered_at IS NOT NULL OR v.seen_on > (SELECT min(seen_on) FROM opportunity_versions)
          END
),
-- A closing that the log does not show is dated by the row; without a date there, by the snapshot that first shows it closed,
-- but only where an earlier one shows it open: the first export of a company would else have closed everything on its day.
-- Of versions that follow each other with one outcome the last tells its date, and the first when it was first seen.
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
        TRUE AS is_dated,
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
-- A deal that is closed, and nobody knows when: what became of its stages is not known either.
undated AS (
    SELECT opportunity_id
    FROM deals
    WHERE is_known AND status <> 'open' AND closed_at IS NULL AND NOT coalesce(has_closing, FALSE)
      AND opportunity_id NOT IN (SELECT opportunity_id FROM closed)
),
-- Few deals, as a rule, so that the many entries of all others pass by them.
not_whole AS (
    SELECT
        opportunity_id, course, created_at,
        CASE WHEN course = 'partial' AND is_filled_in THEN first_entered_at END AS filled_in_at,
        opportunity_id IN (SELECT opportunity_id FROM undated) AS is_undated
    FROM courses
    WHERE course <> 'whole' OR opportunity_id IN (SELECT opportunity_id FROM undated)
),
unlogged AS (
    SELECT opportunity_id, stage, entered_at, seen_at, left_at, history, is_dated, line FROM created
    UNION ALL SELECT opportunity_id, stage, entered_at, entered_at, left_at, history, is_dated, line FROM rebuilt WHERE entered_at IS NOT NULL
    UNION ALL SELECT opportunity_id, stage, entered_at, entered_at, left_at, history, is_dated, line FROM closed
),
-- Cheaper computed again than kept: where no stage was split, only its last use reads it.
placed AS NOT MATERIALIZED (
    SELECT opportunity_id, stage, entered_at, entered_at AS seen_at, left_at, history, TRUE AS is_dated, line
    FROM observed
    WHERE opportunity_id NOT IN (SELECT opportunity_id FROM not_whole)
    UNION ALL
    SELECT
        o.opportunity_id, o.stage,
        CASE WHEN o.entered_at = n.filled_in_at THEN least(o.entered_at, n.created_at) ELSE o.entered_at END,
        o.entered_at, o.left_at, o.history, o.entered_at IS DISTINCT FROM n.filled_in_at, o.line
    FROM observed AS o
    JOIN not_whole AS n ON n.opportunity_id = o.opportunity_id
    WHERE NOT n.is_undated
    UNION ALL
    SELECT u.opportunity_id, i.counts_as, u.entered_at, u.seen_at, u.left_at, u.history, u.is_dated, u.line
    FROM unlogged AS u
    JOIN stage_periods AS i ON i.stage = u.stage AND CAST(u.seen_at AS DATE) BETWEEN i.first_day AND i.last_day
    WHERE u.opportunity_id NOT IN (SELECT opportunity_id FROM undated)
),
parts AS (
    SELECT DISTINCT counts_as AS stage, split_from FROM stage_periods WHERE split_from IS NOT NULL
),
-- A stay that began in a stage which was split since lasts until the deal leaves all of its parts.
before_split AS (
    SELECT DISTINCT opportunity_id FROM placed WHERE stage IN (SELECT split_from FROM parts)
),
of_parts AS (
    SELECT e.*, s.kind, s.position, x.split_from, lag(x.split_from) OVER in_order AS split_before
    FROM placed AS e
    JOIN stages AS s ON s.stage = e.stage
    LEFT JOIN parts AS x ON x.stage = e.stage
    WHERE e.opportunity_id IN (SELECT opportunity_id FROM before_split)
    WINDOW in_order AS (PARTITION BY e.opportunity_id ORDER BY e.entered_at, s.kind <> 'open', s.position, e.line)
),
runs AS (
    SELECT
        *,
        sum(CASE WHEN split_from = split_before THEN 0 ELSE 1 END) OVER (
            PARTITION BY opportunity_id ORDER BY entered_at, kind <> 'open', position, line ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run
    FROM of_parts
),
begun AS (
    SELECT *, first_value(stage) OVER (PARTITION BY opportunity_id, run ORDER BY entered_at, kind <> 'open', position, line) AS begun_in
    FROM runs
),
stayed AS (
    SELECT opportunity_id, stage, entered_at, seen_at, left_at, history, is_dated, line
    FROM placed
    WHERE opportunity_id NOT IN (SELECT opportunity_id FROM before_split)
    UNION ALL
    SELECT opportunity_id, CASE WHEN begun_in = split_from THEN begun_in ELSE stage END, entered_at, seen_at, left_at, history, is_dated, line
    FROM begun
),
ordered AS (
    SELECT
        e.opportunity_id, e.stage, e.entered_at, e.seen_at, e.history, e.is_dated,
        row_number() OVER in_order AS place,
        -- Of a stay of which more is recorded than its beginning this is not the exit.
        CASE WHEN lead(e.stage) OVER in_order IS DISTINCT FROM e.stage OR lead(e.entered_at) OVER in_order = e.entered_at THEN e.left_at END AS left_at
    FROM stayed AS e
    JOIN stages AS s ON s.stage = e.stage
    -- Entries on the same instant (a day without a time) are taken in the order of the stages, closing last.
    WINDOW in_order AS (PARTITION BY e.opportunity_id ORDER BY e.entered_at, s.kind <> 'open', s.position, e.line)
    QUALIFY e.stage IS DISTINCT FROM lag(e.stage) OVER in_order
)
SELECT
    o.opportunity_id,
    row_number() OVER (PARTITION BY o.opportunity_id ORDER BY o.place) AS entry_number,
    o.stage, s.kind, s.position, o.entered_at, o.seen_at, o.left_at, o.history, o.is_dated,
    CASE
        WHEN o.opportunity_id IN (SELECT opportunity_id FROM not_whole WHERE course = 'partial') THEN 'partial'
        WHEN o.opportunity_id IN (SELECT opportunity_id FROM not_whole WHERE course = 'unknown') THEN 'unknown'
        ELSE 'whole'
    END AS course
FROM ordered AS o
JOIN stages AS s ON s.stage = o.stage
