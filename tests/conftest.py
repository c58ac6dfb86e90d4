"""Fixtures that every kind of test may ask for."""

from pipelines.process import collect_rarely

pytest_plugins = ["tests.postgres"]

collect_rarely()
