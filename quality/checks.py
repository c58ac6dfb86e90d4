"""From contracts to Dagster's asset checks.

What belongs here: what must hold of an exported table before anything is built from it, and of a computed table
before it is published. What does not: judging single rows. Checks name assets by table name, so nothing here
imports an asset. A blocking check that fails stops everything below it and leaves the last good reports in place.
"""

import json
from collections.abc import Callable, Iterable, Mapping

import dagster as dg
import pyarrow.parquet as pq
import sqlalchemy as sa

from models.settings import Company, Thresholds
from quality.expectations import Expectation, expectations_of
from quality.findings import OPEN_AMOUNT_SQL, VERDICTS_SQL, findings_sql
from quality.query import Engine, Parquet, Query
from quality.tables import ALL, EXPORTED
from quality.tables.columns import key_columns

FILES_METADATA = b"leadline.rows_read"
"""Key under which a stored exported table carries the rows read per file, as JSON."""

FORMS_METADATA = b"leadline.forms"
"""Key under which a stored exported table carries the form that each file was found to have, as JSON."""

BLOCKING = {
    "reconciled": "rows read = accepted + superseded + rejected, file by file",
    "not_empty": "the export has rows",
    "few_rows_rejected": "no more rows are rejected than the configured share",
    "little_open_amount_rejected": "no more of the open amount stands in rejected rows than the configured share",
    "not_shrunk": "the export is not much smaller than the last published one",
    "no_critical_failure": "no expectation of severity critical failed",
}
"""Checks of an exported table that stop the run."""

_OPPORTUNITIES_ONLY = ("not_empty", "little_open_amount_rejected")

NEWEST_SQL = """
SELECT count(*) AS read FROM exported WHERE _snapshot IS NOT DISTINCT FROM (SELECT max(_snapshot) FROM exported)
"""
"""Rows of the newest snapshot; of all files where none has a date."""

REASONS_SHOWN = 5

REASONS_SQL = """
WITH reasons AS (
    SELECT unnest(_reasons) AS code, _file, _line FROM exported WHERE _verdict = 'rejected'
)
SELECT code, count(*) AS rejected, arg_min(_file, (_file, _line)) AS file, arg_min(_line, (_file, _line)) AS line
FROM reasons
GROUP BY code
ORDER BY rejected DESC, code
"""
"""How many rows each reason rejected, or was noted of besides, and the first of them."""

FLOW_IDENTITY_SQL = """
SELECT count(*) AS broken
FROM computed
WHERE opening + entered_new + entered_advanced + entered_regressed + entered_reopened
      - advanced - regressed - won - lost <> closing
"""


def exported_checks(expected_of: Callable[[Company, str], list[Expectation]]) -> list[dg.AssetChecksDefinition]:
    """One set of checks per exported table: the blocking ones and one per expectation.

    ``expected_of(company, table_name)`` gives the expectations under the company's own severities.
    """
    return [_exported_check(name, expected_of) for name in EXPORTED]


def _exported_check(table_name: str, expected_of: Callable[[Company, str], list[Expectation]]) -> dg.AssetChecksDefinition:
    asset = f"exported_{table_name}"
    blocking = [code for code in BLOCKING if table_name == "opportunities" or code not in _OPPORTUNITIES_ONLY]
    codes = [e.code for e in expectations_of(EXPORTED[table_name], {})]
    specs = [dg.AssetCheckSpec(code, asset=asset, blocking=True, description=BLOCKING[code]) for code in blocking]
    specs += [dg.AssetCheckSpec(e.code, asset=asset, description=e.meaning) for e in expectations_of(EXPORTED[table_name], {})]

    # An expectation of what is not exported has no result: a pass would claim what nobody looked at, and costs time.
    @dg.multi_asset_check(name=f"checks_of_{asset}", specs=specs, ins={"exported": dg.AssetIn(asset)}, can_subset=True)
    def check(
        exported: Parquet, company: dg.ResourceParam[Company], engine: dg.ResourceParam[Engine], previous_rows: dg.ResourceParam[Mapping]
    ) -> Iterable[dg.AssetCheckResult]:
        schema = pq.read_schema(exported.path)
        files = json.loads((schema.metadata or {}).get(FILES_METADATA, b"{}"))
        tables = {"exported": exported}
        counts = engine.arrow(Query(VERDICTS_SQL, tables)).to_pylist()[0]
        findings = []
        if counts["read"]:
            findings = engine.arrow(Query(findings_sql(table_name, expected_of(company, table_name), schema.names), tables)).to_pylist()
        reasons = _reasons_in_words(engine.arrow(Query(REASONS_SQL, tables)).to_pylist(), findings)
        newest = engine.arrow(Query(NEWEST_SQL, tables)).to_pylist()[0]["read"] if table_name == "opportunities" else counts["read"]
        results = {
            "reconciled": _reconciled(counts, files),
            "few_rows_rejected": _few_rejected(
                counts, company.thresholds, 1 if table_name == "opportunities" else company.thresholds.rejected_rows_at_least, reasons
            ),
            "not_shrunk": _not_shrunk(newest, previous_rows.get(table_name), company.thresholds),
            "no_critical_failure": _no_critical_failure(findings, reasons),
        }
        if table_name == "opportunities":
            results["not_empty"] = (counts["read"] > 0, "the export has a header and no rows; export it again, or name another file in the configuration")
            amounts = engine.arrow(Query(OPEN_AMOUNT_SQL, tables)).to_pylist()[0]
            results["little_open_amount_rejected"] = _little_amount(amounts, company.thresholds, reasons if results["few_rows_rejected"][0] else "")
        for code, (passed, words) in results.items():
            yield dg.AssetCheckResult(passed=passed, check_name=code, asset_key=asset, description=words, metadata={k: int(v) for k, v in counts.items()})
        by_code = {f["expectation"]: f for f in findings}
        for code in codes:
            if code in by_code:
                yield _expectation_result(asset, code, by_code[code])

    return check


def _expectation_result(asset: str, code: str, finding: Mapping) -> dg.AssetCheckResult:
    severe = dg.AssetCheckSeverity.WARN if finding["severity"] == "warning" else dg.AssetCheckSeverity.ERROR
    words = "as expected" if not finding["failed"] else f"expected: {finding['meaning']}; to do: {finding['remedy']}"
    metadata = {"checked": finding["checked"], "failed": finding["failed"], "severity": finding["severity"]}
    return dg.AssetCheckResult(passed=not finding["failed"], check_name=code, asset_key=asset, severity=severe, description=words, metadata=metadata)


def _reconciled(counts: Mapping[str, int], read: Mapping[str, int]) -> tuple[bool, str]:
    judged = counts["accepted"] + counts["superseded"] + counts["rejected"]
    total = sum(read.values())
    words = f"{total} rows read, {counts['accepted']} accepted + {counts['superseded']} superseded + {counts['rejected']} rejected = {judged}"
    return total == judged == counts["read"], words


def _reasons_in_words(reasons: Iterable[Mapping], findings: Iterable[Mapping]) -> str:
    """One line per reason that rejected rows, most frequent first: how many, the first, what was expected, what to do."""
    known = {f["expectation"]: f for f in findings if f["severity"] != "warning"}
    lines = [
        f"\n    {r['code']}: {_rows(r['rejected'])}, the first at {r['file']}, line {r['line']}; "
        f"expected: {known[r['code']]['meaning']}; to do: {known[r['code']]['remedy']}"
        for r in reasons
        if r["code"] in known
    ]
    return "".join(lines[:REASONS_SHOWN]) + (f"\n    and {len(lines) - REASONS_SHOWN} more reasons" if len(lines) > REASONS_SHOWN else "")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _few_rejected(counts: Mapping[str, int], limits: Thresholds, least: int, reasons: str) -> tuple[bool, str]:
    current, rejected = counts["current"], counts["current_rejected"]
    share = rejected / current if current else 0.0
    is_few = share <= limits.rejected_rows_share or rejected < least
    words = f"{rejected:,} of {_rows(current)} rejected ({share:.1%}; at most {limits.rejected_rows_share:.1%}: thresholds.rejected_rows_share)"
    return is_few, words + ("" if is_few else reasons)


def _little_amount(amounts: Mapping, limits: Thresholds, reasons: str) -> tuple[bool, str]:
    total, rejected = float(amounts["open_amount"]), float(amounts["rejected_amount"])
    share = rejected / total if total else 0.0
    is_little = share <= limits.rejected_open_amount_share
    words = (
        f"{rejected:,.2f} of {total:,.2f} open amount rejected ({share:.1%}; at most {limits.rejected_open_amount_share:.1%}: "
        "thresholds.rejected_open_amount_share)"
    )
    return is_little, words + ("" if is_little else reasons)


def _not_shrunk(read: int, before: int | None, limits: Thresholds) -> tuple[bool, str]:
    if not before:
        return True, f"{_rows(read)}; no published run to compare with"
    least = 1 - limits.shrunk_export_share
    words = f"{_rows(read)} after {before:,} in the last published run (at least {least:.0%} of them: thresholds.shrunk_export_share)"
    return read >= before * least, words


def _no_critical_failure(findings: Iterable[Mapping], reasons: str) -> tuple[bool, str]:
    failed = [f for f in findings if f["severity"] == "critical" and f["failed"]]
    words = "; ".join(f"{f['expectation']}: {f['failed']:,} of {_rows(f['checked'])}" for f in failed)
    return not failed, words + reasons if failed else "none failed"


def computed_checks(tables: Iterable[str]) -> list[dg.AssetChecksDefinition]:
    """One blocking check per computed table: its contract holds; for funnel_flow the stock-flow identity too."""
    return [_computed_check(ALL[name]) for name in tables]


def _computed_check(contract: sa.Table) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec("conforms", asset=contract.name, blocking=True, description="keys are unique, required values are there, values are in their bounds")
    ]
    if contract.name == "funnel_flow":
        specs.append(
            dg.AssetCheckSpec("stock_flow_identity", asset=contract.name, blocking=True, description="opening + entered − left = closing in every row")
        )
    if contract.name == "opportunities":
        specs.append(dg.AssetCheckSpec("not_empty", asset=contract.name, blocking=True, description="there was an opportunity by the as-of date"))

    @dg.multi_asset_check(name=f"checks_of_{contract.name}", specs=specs, ins={"computed": dg.AssetIn(contract.name)})
    def check(computed: Parquet, engine: dg.ResourceParam[Engine]) -> Iterable[dg.AssetCheckResult]:
        broken = engine.arrow(Query(conformity_sql(contract), {"computed": computed})).to_pylist()[0]
        words = ", ".join(f"{name}: {count} rows" for name, count in broken.items() if count) or "the contract holds"
        yield dg.AssetCheckResult(passed=not any(broken.values()), check_name="conforms", asset_key=contract.name, description=words)
        if contract.name == "funnel_flow":
            count = engine.arrow(Query(FLOW_IDENTITY_SQL, {"computed": computed})).to_pylist()[0]["broken"]
            yield dg.AssetCheckResult(passed=count == 0, check_name="stock_flow_identity", asset_key=contract.name, description=f"{count} rows do not balance")
        if contract.name == "opportunities":
            count = engine.arrow(Query("SELECT count(*) AS known FROM computed", {"computed": computed})).to_pylist()[0]["known"]
            words = f"{count:,} opportunities" if count else "no opportunity is known as of this date; all were created later or are deleted"
            yield dg.AssetCheckResult(passed=count > 0, check_name="not_empty", asset_key=contract.name, description=words)

    return check


def conformity_sql(contract: sa.Table) -> str:
    """SELECT over the table ``computed``: how many rows break each part of the contract, one column per part."""
    key = ", ".join(f'"{k}"' for k in key_columns(contract))
    parts = [f'(SELECT count(*) FROM (SELECT 1 FROM computed GROUP BY {key} HAVING count(*) > 1)) AS "key not unique"']
    for declared in contract.columns:
        name, info = f'"{declared.name}"', declared.info
        if not declared.nullable:
            parts.append(f'count(*) FILTER ({name} IS NULL) AS "{declared.name} missing"')
        outside = [f"{name} < {info['minimum']}"] * (info["minimum"] is not None) + [f"{name} > {info['maximum']}"] * (info["maximum"] is not None)
        if info["values"]:
            outside.append(f"{name} NOT IN ({', '.join(repr(v) for v in info['values'])})")
        if outside:
            parts.append(f'count(*) FILTER ({" OR ".join(outside)}) AS "{declared.name} out of bounds"')
    return f"SELECT {', '.join(parts)} FROM computed"
