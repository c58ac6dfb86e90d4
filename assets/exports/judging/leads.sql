-- Derives the ok_ columns. Inputs: rows, facts.
SELECT
    r._row,
    r.captured_at < f.export_end AS ok_captured_past,
    r.recorded_at <= r.captured_at + INTERVAL 24 HOUR AS ok_recorded_in_time
FROM rows AS r
CROSS JOIN facts AS f
ORDER BY r._row
