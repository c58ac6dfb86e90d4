-- Tables without rules across columns. Input: rows.
SELECT * FROM rows ORDER BY _row
