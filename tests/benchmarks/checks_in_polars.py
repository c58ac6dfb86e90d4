"""The conditions that Leadline checks of opportunities and their history, written for Polars, as a measure of speed.

What belongs here: those conditions. What does not: reasons, verdicts and versions of rows, which Leadline finds
besides, and timing (reading.py). Polars is no dependency of Leadline: this module is imported only where it is there.
"""

from datetime import date, datetime, timedelta

import polars as pl
import pyarrow as pa

from assets.exports.judge import pipeline_spellings, stage_spellings
from assets.exports.settings import Configuration

MOST = 1e12


def failures(rows: dict[str, pa.Table], owners: pa.Table, company: Configuration, export_date: date) -> str:
    """How many rows fail any condition, by table, in words."""
    end = datetime.combine(export_date + timedelta(days=1), datetime.min.time())
    stages = pl.DataFrame(stage_spellings(company).to_dict("list")).select("spelling", "stage", "kind")
    assert len(set(pipeline_spellings(company)["pipeline"])) == 1, "the benchmark's company has one pipeline"
    deals = opportunities(pl.from_arrow(rows["opportunities"]), pl.from_arrow(owners), stages, company, end)
    history = stage_history(pl.from_arrow(rows["stage_history"]), deals, stages, end)
    return "; ".join(
        f"{name}: {frame['fails'].sum():,} of {len(frame):,} rows fail something" for name, frame in (("opportunities", deals), ("stage_history", history))
    )


def opportunities(rows: pl.DataFrame, owners: pl.DataFrame, stages: pl.DataFrame, company: Configuration, end: datetime) -> pl.DataFrame:
    """Every opportunity with its status and whether it fails a condition."""
    spelt = pl.col("stage").str.strip_chars().str.to_lowercase()
    placed = rows.with_columns(spelling=spelt).join(stages.rename({"stage": "stage_key"}), on="spelling", how="left", maintain_order="left")
    flagged = pl.when("is_won").then(pl.lit("won")).when("is_closed").then(pl.lit("lost")).otherwise(pl.lit("open"))
    placed = placed.with_columns(status=pl.coalesce("kind", flagged), flagged=flagged)
    closed = pl.col("status").is_in(["won", "lost"])
    is_open = pl.col("status") == "open"
    conditions = [
        pl.col("opportunity_id").is_not_null(),
        pl.col("amount").is_between(0, MOST),
        pl.col("recurring_amount") >= 0,
        pl.col("crm_probability").is_between(0, 1),
        pl.col("discount_share").is_between(0, 1),
        pl.col("payment_term_days") >= 0,
        pl.col("stage").is_null() | pl.col("stage_key").is_not_null(),
        pl.col("currency").str.strip_chars().str.to_uppercase() == company.currency,
        pl.col("owner_id").is_in(owners["owner_id"].implode()),
        pl.col("created_at") < end,
        ~closed | (pl.col("closed_at") < end),
        ~closed | (pl.col("closed_at").dt.date() >= pl.col("created_at").dt.date()),
        (pl.col("status") != "won") | pl.col("amount").is_not_null(),
        pl.col("kind") == pl.col("flagged"),
        pl.col("owner_id").is_not_null(),
        ~is_open | (pl.col("updated_at") >= end - timedelta(days=3)),
        ~is_open | (pl.col("updated_at") >= end - timedelta(days=7)),
        pl.col("opportunity_id").is_unique(),
    ]
    return placed.with_columns(fails=_any_fails(conditions))


def stage_history(rows: pl.DataFrame, deals: pl.DataFrame, stages: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Every stage entry with whether it fails a condition."""
    parents = deals.select("opportunity_id", "created_at", closed=pl.when(pl.col("status") != "open").then("closed_at"), parent=pl.lit(True))
    spelt = pl.col("stage").str.strip_chars().str.to_lowercase()
    placed = (
        rows.with_columns(spelling=spelt)
        .join(stages.rename({"stage": "stage_key"}), on="spelling", how="left", maintain_order="left")
        .join(parents.unique("opportunity_id"), on="opportunity_id", how="left", maintain_order="left")
    )
    conditions = [
        pl.col("opportunity_id").is_not_null(),
        pl.col("stage").is_not_null(),
        pl.col("entered_at").is_not_null(),
        pl.col("amount").is_between(0, MOST),
        pl.col("parent").is_not_null(),
        pl.col("stage").is_null() | pl.col("kind").is_not_null(),
        pl.col("entered_at") < end,
        pl.col("entered_at").dt.date() >= pl.col("created_at").dt.date(),
        pl.col("entered_at").dt.date() <= pl.col("closed").dt.date(),
        pl.col("exited_at") >= pl.col("entered_at"),
        pl.struct("opportunity_id", "stage", "entered_at").is_unique(),
    ]
    return placed.with_columns(fails=_any_fails(conditions))


def _any_fails(conditions: list[pl.Expr]) -> pl.Expr:
    """True where a condition is false; one that does not apply is null."""
    return pl.any_horizontal([(~condition).fill_null(False) for condition in conditions])
