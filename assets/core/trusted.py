"""The trusted tables as assets: what every metric, score and forecast is built from.

What belongs here: one asset per table of quality/tables/core.py. What does not: reading and judging of exports
(assets/exports) and anything counted.
"""

from datetime import date, timedelta
from itertools import pairwise

import dagster as dg
import pandas as pd

from assets.core import calendar as calendars
from assets.declare import table_asset
from assets.exports.settings import Configuration
from assets.exports.stage_dates import stage_date_keys
from assets.query import Parquet, Query, sql_beside
from models.settings import Company
from models.stage_succession import ALWAYS, FOREVER, StageSuccession
from quality.tables.core import CORE

GROUP = "core"
_TABLES = CORE.tables
_CALENDAR_YEARS = 20


@table_asset(_TABLES["parameters"], GROUP)
def parameters(company: dg.ResourceParam[Configuration], as_of: dg.ResourceParam[date], export_date: dg.ResourceParam[date]) -> pd.DataFrame:
    limits = company.thresholds
    return pd.DataFrame(
        {
            "as_of": [pd.Timestamp(as_of)],
            "as_of_end": [calendars.day_after(as_of)],
            "export_date": [pd.Timestamp(export_date)],
            "overtime_factor": [limits.overtime_factor],
            "overtime_minimum_visits": [limits.overtime_minimum_visits],
            "zombie_days": [limits.zombie_days],
            "zombie_close_overdue_days": [limits.zombie_close_overdue_days],
            "small_sample": [limits.small_sample],
            "audit_sample_share": [limits.audit_sample_share],
            "vanished": [company.vanished],
            "language": [company.language],
            "mask_owners": [company.mask_owners],
        }
    )


@table_asset(_TABLES["stages"], GROUP)
def stages(company: dg.ResourceParam[Configuration], as_of: dg.ResourceParam[date]) -> pd.DataFrame:
    return stage_rows(company, as_of)


def stage_rows(company: Company, as_of: date) -> pd.DataFrame:
    """The stages as of a date by the contract ``stages``."""
    rows = []
    for p in company.pipelines:
        standing = list(StageSuccession(p, as_of).standing())
        for found in standing:
            s = found.stage
            days = (found.first_day, found.last_day)
            rows.append(
                (company.stage_key(p, s.key), p.key, found.position, "open", s.names, s.benchmark_conversion, s.benchmark_days, s.default_probability, *days)
            )
        rows.append((company.stage_key(p, "won"), p.key, max(f.position for f in standing) + 1, "won", p.won.labels, None, None, 1.0, None, None))
        rows.append((company.stage_key(p, "lost"), p.key, 0, "lost", p.lost.labels, None, None, 0.0, None, None))
    names = ["stage", "pipeline", "position", "kind", "labels", "benchmark_conversion", "benchmark_days", "default_probability", "first_day", "last_day"]
    frame = pd.DataFrame(rows, columns=names)
    labels = frame.pop("labels")
    return frame.assign(label_en=[x.en for x in labels], label_zh=[x.zh for x in labels])


@table_asset(_TABLES["stage_periods"], GROUP)
def stage_periods(company: dg.ResourceParam[Configuration], as_of: dg.ResourceParam[date]) -> pd.DataFrame:
    return stage_period_rows(company, as_of)


def stage_period_rows(company: Company, as_of: date) -> pd.DataFrame:
    """What the configured stages stand for, day by day, by the contract ``stage_periods``."""
    rows = []
    for p in company.pipelines:
        for s in StageSuccession(p, as_of).stretches():
            keys = [None if key is None else company.stage_key(p, key) for key in (s.configured, s.counts_as, s.split_from)]
            rows.append((keys[0], s.first_day, s.last_day, *keys[1:]))
        rows += [(key, ALWAYS, FOREVER, key, None) for key in (company.stage_key(p, "won"), company.stage_key(p, "lost"))]
    return pd.DataFrame(rows, columns=["stage", "first_day", "last_day", "counts_as", "split_from"])


@table_asset(_TABLES["owner_teams"], GROUP)
def owner_teams(exported_owners: Parquet, parameters: Parquet) -> Query:
    return Query(sql_beside(__file__, "owner_teams"), {"exported_owners": exported_owners, "parameters": parameters})


@table_asset(_TABLES["calendar"], GROUP)
def calendar(company: dg.ResourceParam[Configuration], as_of: dg.ResourceParam[date]) -> pd.DataFrame:
    return calendars.periods(as_of, company.fiscal_year_start_month, company.reporting)


@table_asset(_TABLES["working_days"], GROUP)
def working_days(company: dg.ResourceParam[Configuration], as_of: dg.ResourceParam[date]) -> pd.DataFrame:
    return calendars.working_days(date(as_of.year - _CALENDAR_YEARS, 1, 1), as_of + timedelta(days=366), company.country)


@table_asset(_TABLES["opportunity_versions"], GROUP)
def opportunity_versions(exported_opportunities: Parquet, stage_periods: Parquet, parameters: Parquet) -> Query:
    tables = {"exported_opportunities": exported_opportunities, "stage_periods": stage_periods, "parameters": parameters}
    return Query(sql_beside(__file__, "opportunity_versions"), tables)


@table_asset(_TABLES["stage_dates"], GROUP)
def stage_dates(exported_opportunities: Parquet, company: dg.ResourceParam[Configuration]) -> Query:
    return Query(stage_dates_sql(company), {"exported_opportunities": exported_opportunities})


def stage_dates_sql(company: Configuration) -> str:
    """SELECT of every configured "date entered" column as rows; none where none is configured."""
    pipeline_of = {company.stage_key(p, key): p.key for p in company.pipelines for key in (*(s.key for s in p.stages), "won", "lost")}
    selects = [
        f"""SELECT opportunity_id, '{stage}' AS stage, "stage_date:{stage}" AS entered_at
        FROM exported_opportunities
        WHERE _verdict = 'accepted' AND "stage_date:{stage}" IS NOT NULL AND pipeline_key = '{pipeline_of[stage]}'"""
        for stage in stage_date_keys(company)
    ]
    nothing = "SELECT opportunity_id, CAST(NULL AS VARCHAR) AS stage, CAST(NULL AS TIMESTAMP) AS entered_at FROM exported_opportunities WHERE FALSE"
    return " UNION ALL ".join(selects or [nothing])


@table_asset(_TABLES["stage_entries"], GROUP)
def stage_entries(
    opportunity_versions: Parquet, exported_stage_history: Parquet, stage_dates: Parquet, stages: Parquet, stage_periods: Parquet, parameters: Parquet
) -> Query:
    tables = {
        "opportunity_versions": opportunity_versions,
        "exported_stage_history": exported_stage_history,
        "stage_dates": stage_dates,
        "stages": stages,
        "stage_periods": stage_periods,
        "parameters": parameters,
    }
    return Query(sql_beside(__file__, "stage_entries"), tables)


@table_asset(_TABLES["episodes"], GROUP)
def episodes(
    stage_entries: Parquet, exported_stage_history: Parquet, exported_field_history: Parquet, opportunity_versions: Parquet, parameters: Parquet
) -> Query:
    tables = {
        "stage_entries": stage_entries,
        "exported_stage_history": exported_stage_history,
        "exported_field_history": exported_field_history,
        "opportunity_versions": opportunity_versions,
        "parameters": parameters,
    }
    return Query(sql_beside(__file__, "episodes"), tables)


@table_asset(_TABLES["stage_visits"], GROUP)
def stage_visits(stage_entries: Parquet, episodes: Parquet, owner_teams: Parquet, working_days: Parquet, parameters: Parquet) -> Query:
    tables = {"stage_entries": stage_entries, "episodes": episodes, "owner_teams": owner_teams, "working_days": working_days, "parameters": parameters}
    return Query(sql_beside(__file__, "stage_visits"), tables)


@table_asset(_TABLES["opportunities"], GROUP)
def opportunities(
    opportunity_versions: Parquet,
    stage_entries: Parquet,
    episodes: Parquet,
    stages: Parquet,
    owner_teams: Parquet,
    exported_activities: Parquet,
    exported_field_history: Parquet,
    parameters: Parquet,
    company: dg.ResourceParam[Configuration],
) -> Query:
    tables = {
        "opportunity_versions": opportunity_versions,
        "stage_entries": stage_entries,
        "episodes": episodes,
        "stages": stages,
        "owner_teams": owner_teams,
        "exported_activities": exported_activities,
        "exported_field_history": exported_field_history,
        "parameters": parameters,
        "immutable": pd.DataFrame({"field": pd.Series(company.immutable_fields, dtype="str")}),
    }
    return Query(sql_beside(__file__, "opportunities"), tables)


@table_asset(_TABLES["opportunity_segments"], GROUP)
def opportunity_segments(opportunities: Parquet, company: dg.ResourceParam[Configuration]) -> Query:
    return Query(segments_sql(company), {"opportunities": opportunities})


def segments_sql(company: Company) -> str:
    """SELECT of the one member per opportunity and dimension; ``unassigned`` where the field is empty."""
    members = {"all": "'all'"} | {name: _member(name, company) for name in company.segments}
    return " UNION ALL ".join(
        f"SELECT opportunity_id, '{dimension}' AS dimension, coalesce({member}, 'unassigned') AS member FROM opportunities"
        for dimension, member in members.items()
    )


def _member(segment: str, company: Company) -> str:
    if segment == "amount_band":
        return _amount_band(company.amount_bands)
    field = {"owner": "owner_id"}.get(segment, segment)
    return f"nullif(trim({field}), '')"


def _amount_band(bounds: tuple[float, ...]) -> str:
    """CASE that names the band of an amount; a bound belongs to the band below it."""
    cases = [f"WHEN amount <= {bounds[0]:.2f} THEN '<= {bounds[0]:,.0f}'"] if bounds else []
    cases += [f"WHEN amount <= {high:.2f} THEN '{low:,.0f} - {high:,.0f}'" for low, high in pairwise(bounds)]
    last = f"'> {bounds[-1]:,.0f}'" if bounds else "'any amount'"
    return f"CASE WHEN amount IS NULL THEN NULL {' '.join(cases)} ELSE {last} END"
