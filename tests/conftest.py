"""Fixtures that every kind of test may ask for."""

import gc

pytest_plugins = ["tests.postgres"]

# As in pipelines/cli.py: a run's objects stay until it ends, and looking through them over and over is a quarter of the time.
gc.set_threshold(200_000, 20, 100)
