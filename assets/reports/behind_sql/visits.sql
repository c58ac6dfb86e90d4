-- The stays in stages of the listed deals that lie in the page's periods. Inputs: stage_visits, listed, scope (first_day).
SELECT v.opportunity_id, v.stage, v.entered_at, v.entry_kind, v.exited_at, v.exit_kind, v.is_first
FROM stage_visits AS v
SEMI JOIN listed AS l ON l.opportunity_id = v.opportunity_id
CROSS JOIN scope AS s
WHERE v.exited_at IS NULL OR v.exited_at >= s.first_day
ORDER BY v.opportunity_id, v.visit_number
