"""Engines run queries over Parquet. DuckDB is the default."""
