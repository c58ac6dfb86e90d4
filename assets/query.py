"""Queries as assets use them: the value types of quality/query.py and the text of the .sql file beside a module."""

from pathlib import Path

from quality.query import Deferred, Engine, Parquet, Query, Relation

__all__ = ["Deferred", "Engine", "Parquet", "Query", "Relation", "sql_beside"]


def sql_beside(module_file: str, name: str) -> str:
    """The text of ``name``.sql in the folder of ``module_file``."""
    return (Path(module_file).parent / f"{name}.sql").read_text(encoding="utf-8")
