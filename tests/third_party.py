"""Exports of third parties, on which Leadline is tried where they are.

What belongs here: where they are, and the mark of tests that need them. What does not: what is found in them.
"""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"

# The terms of most of them do not allow to ship them, so a checkout by itself lacks them, and no command can fetch them.
NEEDS_DATA = pytest.mark.skipif(not DATA.is_dir(), reason="needs the exports of third parties in ../shared/data, which may not be shipped")
"""Skips a test where the exports are not beside the checkout."""
