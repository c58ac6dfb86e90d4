"""From a contract to expectations, and from rows to findings, through Great Expectations.

What belongs here: the translation of a declared table into a suite, and the running of it. What does not: what
is done about a finding (assets/exports/judge.py rejects rows, quality/checks.py stops the run). This is the only
file that imports Great Expectations, and inside the function that needs it: its import costs seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

import numpy as np
import pandas as pd
import sqlalchemy as sa

from quality.tables.columns import bounds_in_words


@dataclass(frozen=True)
class Expectation:
    """One thing expected of one column; ``code`` is its public name, unique in its table."""

    code: str
    column: str
    kind: str
    severity: str
    meaning: str
    remedy: str
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True)
class Finding:
    """What came of one expectation: how many rows it applied to and the positions of those that failed."""

    expectation: Expectation
    checked: int
    failed: np.ndarray


def expectations_of(
    contract: sa.Table, severities: Mapping[str, str], required: Iterable[str] = (), formats: Mapping[str, str] = MappingProxyType({})
) -> list[Expectation]:
    """Everything the contract expects of a row.

    ``severities`` overrides a severity by code or by ``table.code``; ``required`` names further columns without
    whose value a row is rejected; ``formats`` gives columns of this table a pattern in place of the contract's. Codes:
    ``missing_<column>``, ``<column>_out_of_range``, ``<column>_not_allowed``, ``<column>_format`` and those of the
    contract's rules.
    """
    found = [e for c in contract.columns for e in _of_column(c, c.name in set(required), formats.get(c.name, c.info["pattern"]))]
    found += [Expectation(r.code, r.column, "true", r.severity, r.meaning, r.remedy) for r in contract.info["rules"]]
    return [_with_severity(e, severities.get(f"{contract.name}.{e.code}", severities.get(e.code, e.severity))) for e in found]


def _with_severity(expectation: Expectation, severity: str) -> Expectation:
    return Expectation(**{**expectation.__dict__, "severity": severity})


def _of_column(declared: sa.Column, required: bool, pattern: str | None) -> Iterable[Expectation]:
    name, info = declared.name, declared.info
    if required or not declared.nullable:
        yield Expectation(f"missing_{name}", name, "present", "reject", f"{name} has a value", f"enter {name} at the source")
    if info["minimum"] is not None or info["maximum"] is not None:
        words = f"{name} is {bounds_in_words(declared)}"
        bounds = {"minimum": info["minimum"], "maximum": info["maximum"]}
        yield Expectation(f"{name}_out_of_range", name, "range", info["severity"], words, f"correct {name} at the source", **bounds)
    if info["values"]:
        words = ", ".join(info["values"])
        yield Expectation(
            f"{name}_not_allowed", name, "allowed", info["severity"], f"{name} is one of {words}", f"correct {name} at the source", values=info["values"]
        )
    if pattern:
        yield Expectation(f"{name}_format", name, "pattern", "warning", f"{name} has the form {pattern}", f"correct {name} at the source", pattern=pattern)


def load_library() -> None:
    """Import Great Expectations while there is something else to wait for."""
    import_module("great_expectations")


def find(rows: pd.DataFrame, expectations: Iterable[Expectation]) -> list[Finding]:
    """Check ``rows`` (with a RangeIndex) and return one finding per expectation whose column the rows have.

    A null passes everything but ``missing_``. Positions in ``Finding.failed`` are those of the frame, ascending.
    """
    wanted = [e for e in expectations if e.column in rows.columns]
    # What has no value at all (a column that is not exported) has nothing to check.
    given = rows.notna().any()
    idle = [e for e in wanted if not given[e.column] and (rows.empty or e.kind != "present")]
    found = {e.code: Finding(e, 0, np.empty(0, dtype=np.int64)) for e in idle}
    active = [e for e in wanted if e.code not in found]
    found |= {finding.expectation.code: finding for finding in _checked(rows, active)} if active else {}
    return [found[e.code] for e in wanted]


@dataclass(frozen=True)
class _Distinct:
    """The distinct values of one column, null among them where there is one, and which of them each row has.

    A column of which nobody asks more than whether there is a value has two: one that is there, and null.
    """

    values: pd.Series
    of_row: np.ndarray

    @classmethod
    def of(cls, column: pd.Series, expectations: list[Expectation]) -> "_Distinct":
        if all(e.kind == "present" for e in expectations):
            missing = column.isna().to_numpy()
            return cls(pd.Series(["given", None] if missing.any() else ["given"], dtype="object"), missing.astype(np.int64))
        of_row, values = pd.factorize(column, use_na_sentinel=False)
        return cls(pd.Series(values, dtype=column.dtype), of_row)

    def rows_of(self, failed: np.ndarray) -> np.ndarray:
        """Positions of the rows that have one of the values at the positions ``failed``."""
        is_failed = np.zeros(len(self.values), dtype=bool)
        is_failed[failed[failed < len(self.values)]] = True
        return np.flatnonzero(is_failed[self.of_row])


def _checked(rows: pd.DataFrame, wanted: list[Expectation]) -> list[Finding]:
    """Every distinct value of a column is checked once: of millions of rows most repeat what others say."""
    by_column = {c: _Distinct.of(rows[c], [e for e in wanted if e.column == c]) for c in dict.fromkeys(e.column for e in wanted)}
    # Shorter columns are filled up with nulls, which `_Distinct.rows_of` passes over.
    failed = _failed(pd.DataFrame({name: distinct.values for name, distinct in by_column.items()}), wanted)
    findings = []
    for e in wanted:
        checked = len(rows) if e.kind == "present" else int(rows[e.column].notna().sum())
        findings.append(Finding(e, checked, by_column[e.column].rows_of(failed[e.code])))
    return findings


def _failed(values: pd.DataFrame, wanted: list[Expectation]) -> dict[str, np.ndarray]:
    """Positions of the values that fail, by the expectation's code."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("exports").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all").get_batch({"dataframe": values})
    suite = gx.ExpectationSuite(name="contract", expectations=[_as_great_expectation(gx.expectations, e) for e in wanted])
    outcome = batch.validate(suite, result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False})
    return {r.expectation_config.meta["code"]: _positions(r) for r in outcome.results}


def _as_great_expectation(library, expectation: Expectation):
    column, meta = expectation.column, {"code": expectation.code}
    match expectation.kind:
        case "present":
            return library.ExpectColumnValuesToNotBeNull(column=column, meta=meta)
        case "range":
            return library.ExpectColumnValuesToBeBetween(column=column, min_value=expectation.minimum, max_value=expectation.maximum, meta=meta)
        case "allowed":
            return library.ExpectColumnValuesToBeInSet(column=column, value_set=list(expectation.values), meta=meta)
        case "pattern":
            return library.ExpectColumnValuesToMatchRegex(column=column, regex=f"^(?:{expectation.pattern})$", meta=meta)
        case "true":
            return library.ExpectColumnValuesToBeInSet(column=column, value_set=[True], meta=meta)
    raise ValueError(f"expectation {expectation.code}: kind {expectation.kind!r} is not one of present, range, allowed, pattern, true")


def _positions(outcome) -> np.ndarray:
    if outcome.exception_info and outcome.exception_info.get("raised_exception"):
        config = outcome.expectation_config
        raise RuntimeError(
            f"expectation {config.meta['code']} on column {config.kwargs['column']} could not be evaluated: {outcome.exception_info['exception_message']}"
        )
    return np.asarray(outcome.result["unexpected_index_list"], dtype=np.int64)
