"""The contracts: every table Leadline reads, builds or publishes, declared once.

`ALL` finds a table by name; `PUBLISHED` are those of the report database; `EXPORTED` those a CRM can give. An
exported table and the core table built from it share a name in different floors of the lake: the lake keeps
exported ones under ``exported_<name>``.
"""

import sqlalchemy as sa

from quality.tables.core_records import CORE
from quality.tables.export_records import EXPORTS
from quality.tables.forecasts import FORECASTS
from quality.tables.metrics import METRICS
from quality.tables.runs import RUNS

EXPORTED: dict[str, sa.Table] = dict(EXPORTS.tables)
PUBLISHED: dict[str, sa.Table] = {**METRICS.tables, **FORECASTS.tables, **RUNS.tables}
CORE_TABLES: dict[str, sa.Table] = dict(CORE.tables)
ALL: dict[str, sa.Table] = {**CORE_TABLES, **PUBLISHED}
COMPUTED: tuple[str, ...] = tuple(name for name, contract in PUBLISHED.items() if not contract.info.get("is_appended"))
"""Published tables that an asset computes anew for every as-of date; to the others rows are added, and stay."""
