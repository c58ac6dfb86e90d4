"""How often each expectation was checked and failed, as SQL over judged exports.

What belongs here: counting the verdicts and reasons that judging left in an exported table. What does not: the
judging itself, and the money a finding touches (assets/reports).
"""

from collections.abc import Iterable

from quality.expectations import Expectation

IN_FORCE = "WHERE _verdict = 'accepted' OR (_verdict = 'rejected' AND _is_current)"
"""Rows that findings are counted on: an older version that a newer one has replaced is nobody's to mend any more."""


def findings_sql(table_name: str, expectations: Iterable[Expectation], columns: Iterable[str], relation: str = "exported") -> str:
    """SELECT over the judged table that queries know as ``relation``: one row per expectation (code, severity, checked, failed, meaning, remedy).

    ``columns`` are those that it has; an expectation of another column is left out. Codes found in
    ``_reasons`` that no expectation declares are of values that could not be read.
    """
    there = set(columns)
    wanted = [e for e in expectations if e.column in there]
    declared = ", ".join(f"({_text(e.code)}, {_text(e.severity)}, {_text(e.meaning)}, {_text(e.remedy)})" for e in wanted) or "(NULL, NULL, NULL, NULL)"
    checked = (
        " UNION ALL ".join(
            f"SELECT {_text(e.code)} AS code, {'count(*)' if e.kind == 'present' else f'count({_name(e.column)})'} AS checked FROM {relation} {IN_FORCE}"
            for e in wanted
        )
        or "SELECT CAST(NULL AS VARCHAR) AS code, 0 AS checked WHERE FALSE"
    )
    return f"""
    WITH declared(code, severity, meaning, remedy) AS (VALUES {declared}),
    checked AS ({checked}),
    failed AS (
        SELECT code, count(*) AS failed FROM (SELECT unnest(_reasons) AS code FROM {relation} {IN_FORCE}) GROUP BY code
    )
    SELECT
        {_text(table_name)} AS table_name,
        coalesce(d.code, f.code) AS expectation,
        -- A value that cannot be read rejects its row where a missing one would.
        coalesce(d.severity, m.severity, CASE WHEN f.code = 'ragged_row' THEN 'reject' ELSE 'warning' END) AS severity,
        coalesce(c.checked, (SELECT count(*) FROM {relation} {IN_FORCE})) AS checked,
        coalesce(f.failed, 0) AS failed,
        coalesce(d.meaning, replace(f.code, '_', ' ') || ': the value can be read in one of the declared forms') AS meaning,
        coalesce(d.remedy, 'correct the value at the source, or declare its form in the configuration') AS remedy
    FROM (SELECT * FROM declared WHERE code IS NOT NULL) AS d
    FULL JOIN failed AS f ON f.code = d.code
    LEFT JOIN declared AS m ON m.code = replace(f.code, 'unreadable_', 'missing_')
    LEFT JOIN checked AS c ON c.code = d.code
    ORDER BY 2
    """


VERDICTS_SQL = """
SELECT
    count(*) AS read,
    count(*) FILTER (_verdict = 'accepted') AS accepted,
    count(*) FILTER (_verdict = 'superseded') AS superseded,
    count(*) FILTER (_verdict = 'rejected') AS rejected,
    count(*) FILTER (_is_current) AS current,
    count(*) FILTER (_is_current AND _verdict = 'rejected') AS current_rejected
FROM exported
"""
"""Counts of one exported table by verdict."""

OPEN_AMOUNT_SQL = """
SELECT
    coalesce(sum(greatest(amount_reporting, 0)), 0) AS open_amount,
    coalesce(sum(greatest(amount_reporting, 0)) FILTER (_verdict = 'rejected'), 0) AS rejected_amount
FROM exported
WHERE _is_current AND coalesce(status, 'open') = 'open'
"""
"""Open amount of the opportunities export by the newest version of each row, and the part of it that is rejected."""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
