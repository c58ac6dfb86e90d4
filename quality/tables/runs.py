"""Contracts of what a run says about itself and its input: rejected rows, findings, the run log, forecasts of record.

No value from an export that could name a person appears in any of them.
"""

import sqlalchemy as sa

from quality.tables.columns import SEVERITIES, column, table
from quality.tables.metrics import as_of, period

RUNS = sa.MetaData()

rejected_rows = table(
    RUNS,
    "rejected_rows",
    "One row per line of an export that was not accepted.",
    as_of(),
    column("export", "label", "Name of the file, relative to the exports folder", key=True),
    column("line", "count", "Line of the file at which the row begins, the header being line 1; in a Parquet file the row's number", key=True),
    column("table_name", "label", "Exported table, by its canonical name", required=True),
    column("opportunity_id", "id", "Opportunity of the row, where it could be read"),
    column("reasons", "json", "List of every reason: code, column (of a reason that is about one), what was expected, remedy", required=True),
    column("owner_id", "id", "Owner of the row; its opportunity's owner where the row has none"),
    column("amount", "amount", "Amount of the row, where it could be read"),
    column("first_seen", "date", "As-of date of the first run that rejected it", required=True),
    column("fix_by", "time", "When it should be mended", required=True),
)

set_aside_values = table(
    RUNS,
    "set_aside_values",
    "One row per value of an optional column that could not be read; its row stays.",
    as_of(),
    column("export", "label", "Name of the file, relative to the exports folder", key=True),
    column("line", "count", "Line of the file at which the row begins", key=True),
    column("column_name", "label", "Column, by its canonical name", key=True),
    column("table_name", "label", "Exported table, by its canonical name", required=True),
    column("value", "text", "The value as exported, its e-mails and phones masked, cut at 40 characters; hidden where the column is private", required=True),
    column("reason", "text", "What was expected", required=True),
)

data_quality = table(
    RUNS,
    "data_quality",
    "One row per table and expectation that was checked.",
    as_of(),
    column("table_name", "label", "Table", key=True),
    column("expectation", "label", "Code of the expectation", key=True),
    column("severity", "label", "What a failure does", required=True, values=SEVERITIES),
    column("checked", "count", "Rows checked", required=True),
    column("failed", "count", "Rows that failed", required=True),
    column("amount_touched", "amount", "Open amount of the rows that failed, or of the opportunities they belong to, where known", required=True),
    column("amount_unknown", "count", "Failed rows whose amount cannot be known", required=True),
    column("forecast_touched", "amount", "Expected amount of those opportunities; of rejected ones, amount × the stage's mean probability", required=True),
    column("meaning", "text", "What was expected, in words", required=True),
)

run_log = table(
    RUNS,
    "run_log",
    "One row per run that published this as-of date; a rerun adds one and replaces the rows of all other tables.",
    as_of(),
    column("run_id", "id", "Run", key=True),
    column("started_at", "time", "Start, UTC", required=True),
    column("finished_at", "time", "Publication, UTC", required=True),
    column("rows_read", "count", "Rows read from all exports", required=True),
    column("rows_accepted", "count", "Rows accepted", required=True),
    column("rows_superseded", "count", "Rows replaced by a newer version or an exact copy", required=True),
    column("rows_rejected", "count", "Rows rejected", required=True),
    column("skipped", "json", "What was not computed and why", required=True),
    column("versions", "json", "Versions of Leadline, Python and the libraries that shape numbers", required=True),
    column("counts", "json", "Rows read, accepted, superseded and rejected per table and file", required=True),
    column("as_of_from", "text", "Where the as-of date came from", required=True),
    is_appended=True,
)

forecast_of_record = table(
    RUNS,
    "forecast_of_record",
    "One row per period whose forecast somebody froze (leadline freeze); it stays as it is whatever is published later.",
    as_of(),
    *period(),
    column("frozen_at", "date", "Day on which it was frozen, as stated", required=True),
    column("frozen_by", "id", "Who froze it, as stated; masked like an owner"),
    column("mean", "amount", "Expected total of the whole company as published then", required=True),
    column("p10", "amount", "10 % quantile", required=True),
    column("p90", "amount", "90 % quantile", required=True),
    column("method", "label", "Method that gave the open-pipeline part", required=True),
    is_appended=True,
)
