-- The members of the listed deals. Inputs: opportunity_segments, listed.
SELECT m.opportunity_id, m.dimension, m.member
FROM opportunity_segments AS m
SEMI JOIN listed AS l ON l.opportunity_id = m.opportunity_id
WHERE m.dimension <> 'all'
ORDER BY m.opportunity_id, m.dimension
