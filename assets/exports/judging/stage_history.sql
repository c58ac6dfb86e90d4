-- Derives for every exported stage entry its stage key and that of the stage before, whether it is a stage at all, and
-- the ok_ columns.
-- Inputs: rows, parents (one row per opportunity id: pipeline_key, created_at, closed_at, is_accepted),
-- stage_spellings, pipeline_spellings, rates, facts.
WITH exits AS (
    -- The latest exit from a stage entered earlier; only of deals with exits, which spares the sorting where none is exported.
    SELECT
        _row,
        max(exited_at) OVER (
            PARTITION BY opportunity_id ORDER BY entered_at RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING
        ) AS previous_exit
    FROM rows
    WHERE opportunity_id IN (SELECT opportunity_id FROM rows WHERE exited_at IS NOT NULL) AND entered_at IS NOT NULL
),
placed AS (
    SELECT
        r.*,
        p.is_accepted,
        p.created_at,
        p.closed_at,
        coalesce(f.only_pipeline, own.pipeline, p.pipeline_key) AS pipeline_key,
        p.currency,
        f.export_end
    FROM rows AS r
    CROSS JOIN facts AS f
    LEFT JOIN parents AS p ON p.opportunity_id = r.opportunity_id
    LEFT JOIN pipeline_spellings AS own ON own.spelling = lower(trim(r.pipeline))
)
SELECT
    d._row,
    d.pipeline_key,
    s.stage AS stage_key,
    s.kind AS stage_kind,
    b.stage AS previous_stage_key,
    CASE
        WHEN x.rate IS NOT NULL OR d.currency IS NULL THEN CAST(d.amount * coalesce(x.rate, 1) AS DECIMAL(18, 2))
    END AS amount_reporting,
    CASE WHEN d.opportunity_id IS NOT NULL THEN d.is_accepted IS NOT NULL END AS ok_opportunity_known,
    d.is_accepted AS ok_parent_accepted,
    CASE WHEN d.stage IS NOT NULL AND d.pipeline_key IS NOT NULL THEN s.kind IS NOT NULL END AS ok_stage_known,
    d.entered_at < d.export_end AS ok_entered_past,
    CAST(d.entered_at AS DATE) >= CAST(d.created_at AS DATE) AS ok_entered_after_created,
    CAST(d.entered_at AS DATE) <= CAST(d.closed_at AS DATE) AS ok_entered_before_closed,
    d.exited_at >= d.entered_at AS ok_exited_after_entered,
    d.exited_at < d.export_end AS ok_exited_past,
    d.entered_at >= e.previous_exit AS ok_entered_after_previous_exit
FROM placed AS d
LEFT JOIN exits AS e ON e._row = d._row
LEFT JOIN stage_spellings AS s ON s.pipeline = d.pipeline_key AND s.spelling = lower(trim(d.stage))
LEFT JOIN stage_spellings AS b ON b.pipeline = d.pipeline_key AND b.spelling = lower(trim(d.previous_stage))
LEFT JOIN rates AS x ON x.currency = upper(trim(d.currency))
ORDER BY d._row
