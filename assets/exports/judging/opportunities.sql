-- Derives for every exported opportunity its place in the configuration and one ok_ column per rule of the contract
-- (true as it should be, false not, null where the rule does not apply).
-- Inputs: rows, stage_spellings, pipeline_spellings, rates, owners, facts (one row about the company and export).
WITH piped AS (
    SELECT r.*, f.*, coalesce(f.only_pipeline, p.pipeline) AS pipeline_key
    FROM rows AS r
    CROSS JOIN facts AS f
    LEFT JOIN pipeline_spellings AS p ON p.spelling = lower(trim(r.pipeline))
),
placed AS (
    SELECT
        d.*,
        s.stage AS stage_key,
        s.kind AS stage_kind,
        o.kind AS outcome_kind,
        lower(trim(d.outcome)) IN ('', 'open', 'in progress', 'active', 'pending', '进行中', '跟进中') AS says_open,
        CASE
            WHEN says_open THEN 'open'
            WHEN o.kind IN ('won', 'lost') THEN o.kind
            WHEN d.is_won THEN 'won'
            WHEN d.is_closed THEN 'lost'
            WHEN d.is_closed IS NULL AND d.is_won IS NULL AND d.outcome IS NULL THEN NULL
            ELSE 'open'
        END AS flagged
    FROM piped AS d
    LEFT JOIN stage_spellings AS s ON s.pipeline = d.pipeline_key AND s.spelling = lower(trim(d.stage))
    LEFT JOIN stage_spellings AS o ON o.pipeline = d.pipeline_key AND o.spelling = lower(trim(d.outcome))
),
settled AS (
    SELECT
        *,
        -- Where won and lost are kept beside the stage, a closed deal stays in its last open stage.
        CASE
            WHEN outcome_from = 'flags' OR (outcome_beside_stage AND stage_kind = 'open') THEN coalesce(flagged, stage_kind)
            ELSE coalesce(stage_kind, flagged)
        END AS status
    FROM placed
),
-- Ids that stand in one export more than once, with amounts that differ.
conflicting AS (
    SELECT opportunity_id, _snapshot
    FROM rows
    GROUP BY opportunity_id, _snapshot
    HAVING count(*) > 1 AND min(amount) < max(amount)
),
-- Minutes in which more open deals were last changed than people can change: an edit of all of them at once. A midnight
-- is a date without a time, and shared by all that was done that day.
open_changes AS (
    SELECT _snapshot, date_trunc('minute', updated_at) AS changed_in, count(*) FILTER (updated_at <> date_trunc('day', updated_at)) AS changed, count(*) AS deals
    FROM settled
    WHERE coalesce(status, 'open') = 'open'
    GROUP BY _snapshot, date_trunc('minute', updated_at)
),
bulk_edits AS (
    SELECT _snapshot, changed_in
    FROM (SELECT *, sum(deals) OVER (PARTITION BY _snapshot) AS open_deals FROM open_changes) AS of_snapshots
    WHERE changed > greatest(50, 0.05 * open_deals)
),
-- Customers whose open deals are worked by more than one owner.
shared AS (
    SELECT account_id
    FROM settled
    WHERE status = 'open' AND account_id IS NOT NULL
    GROUP BY account_id
    HAVING min(owner_id) < max(owner_id)
)
SELECT
    d._row,
    d.pipeline_key,
    d.stage_key,
    d.status,
    CASE WHEN d.status IN ('won', 'lost') THEN d.closed_at END AS closed_at,
    CASE
        WHEN r.rate IS NOT NULL OR d.currency IS NULL THEN CAST(d.amount * coalesce(r.rate, 1) AS DECIMAL(18, 2))
    END AS amount_reporting,
    -- A deal that was shelved or is invalid is lost for that reason.
    CASE
        WHEN d.loss_reason IS NULL AND d.status = 'lost' AND lower(trim(d.stage)) IN ('已搁置', '搁置', 'shelved', '无效', 'invalid') THEN trim(d.stage)
        WHEN d.loss_reason IS NULL AND d.status = 'lost' AND lower(trim(d.outcome)) IN ('已搁置', '搁置', 'shelved', '无效', 'invalid') THEN trim(d.outcome)
        ELSE d.loss_reason
    END AS loss_reason,
    CASE WHEN d.stage IS NOT NULL THEN d.stage_key IS NOT NULL END AS ok_stage_known,
    CASE WHEN d.only_pipeline IS NULL THEN d.pipeline_key IS NOT NULL END AS ok_pipeline_known,
    CASE WHEN upper(trim(d.currency)) <> d.reporting_currency THEN r.rate IS NOT NULL END AS ok_currency_known,
    CASE WHEN d.has_owners AND d.owner_id IS NOT NULL THEN d.owner_id IN (SELECT owner_id FROM owners) END AS ok_owner_known,
    d.created_at < d.export_end AS ok_created_past,
    CASE WHEN d.status IN ('won', 'lost') THEN d.closed_at < d.export_end END AS ok_closed_past,
    CASE WHEN d.status IN ('won', 'lost') THEN CAST(d.closed_at AS DATE) >= CAST(d.created_at AS DATE) END AS ok_closed_after_created,
    CASE WHEN d.status IN ('won', 'lost') AND NOT d.has_history THEN d.closed_at IS NOT NULL END AS ok_closed_dated,
    CASE WHEN d.status IN ('won', 'lost') AND d.has_history AND d.has_close_dates THEN d.closed_at IS NOT NULL END AS ok_closed_dated_in_row,
    CASE WHEN d.status = 'won' THEN d.amount IS NOT NULL END AS ok_won_amount,
    CASE WHEN d.has_history AND d.has_stages THEN d.stage IS NOT NULL END AS ok_stage_present,
    CASE WHEN d.outcome IS NOT NULL THEN d.says_open OR d.outcome_kind IN ('won', 'lost') END AS ok_outcome_known,
    CASE WHEN c.opportunity_id IS NOT NULL THEN FALSE END AS ok_versions_agree,
    d.stage_entered_at < d.export_end AND coalesce(CAST(d.stage_entered_at AS DATE) >= CAST(d.created_at AS DATE), TRUE) AS ok_stage_entered_then,
    d.updated_at < d.export_end AS ok_updated_past,
    CASE WHEN NOT (d.outcome_beside_stage AND d.stage_kind = 'open') THEN d.stage_kind = d.flagged END AS ok_outcome_agrees,
    CASE WHEN d.status = 'won' AND d.has_contract_facts THEN coalesce(d.contract_effective_at, d.first_payment_at) IS NOT NULL END AS ok_won_evidence,
    CASE WHEN d.has_owner_column THEN d.owner_id IS NOT NULL END AS ok_owner_present,
    CASE WHEN d.status = 'open' AND d.account_id IS NOT NULL THEN s.account_id IS NULL END AS ok_one_owner,
    CASE WHEN d.merged_into IS NOT NULL THEN d.merged_into <> d.opportunity_id AND d.merged_into IN (SELECT opportunity_id FROM rows) END AS ok_merged_known,
    CASE WHEN d.status = 'open' AND d.updated_at IS NOT NULL THEN b.changed_in IS NULL END AS ok_updated_alone,
    CASE WHEN d.status = 'open' AND b.changed_in IS NULL THEN d.updated_at >= d.export_end - INTERVAL 3 DAY END AS ok_updated_3d,
    CASE WHEN d.status = 'open' AND b.changed_in IS NULL THEN d.updated_at >= d.export_end - INTERVAL 7 DAY END AS ok_updated_7d
FROM settled AS d
LEFT JOIN rates AS r ON r.currency = upper(trim(d.currency))
LEFT JOIN bulk_edits AS b ON b._snapshot IS NOT DISTINCT FROM d._snapshot AND b.changed_in = date_trunc('minute', d.updated_at)
    AND d.updated_at <> date_trunc('day', d.updated_at)
LEFT JOIN shared AS s ON s.account_id = d.account_id
LEFT JOIN conflicting AS c ON c.opportunity_id = d.opportunity_id AND c._snapshot IS NOT DISTINCT FROM d._snapshot
ORDER BY d._row
