"""The data dictionary, generated from the contracts: ``python -m pipelines.dictionary > docs/data-dictionary.md``."""

from collections.abc import Iterator

import sqlalchemy as sa

from quality.tables import CORE_TABLES, EXPORTED, PUBLISHED
from quality.tables.columns import UNITS, bounds_in_words, key_columns


def dictionary() -> str:
    """The text of docs/data-dictionary.md."""
    lines = [
        "# Data dictionary",
        "",
        "Generated from the contracts in `quality/tables`; do not edit. Write it anew with",
        "`python -m pipelines.dictionary > docs/data-dictionary.md`.",
        "",
        "Units:",
        "",
        *(f"- `{unit}`: {meaning}" for unit, meaning in UNITS.items()),
    ]
    for title, tables in (
        ("Published tables (report database)", PUBLISHED),
        ("Trusted tables (lake)", CORE_TABLES),
        ("Exported tables (canonical names)", EXPORTED),
    ):
        lines += ["", f"## {title}"]
        for table in tables.values():
            lines += _table(table)
    return "\n".join(lines) + "\n"


def _table(table: sa.Table) -> Iterator[str]:
    yield from ("", f"### {table.name}", "", table.comment, "", f"Key: {', '.join(f'`{k}`' for k in key_columns(table))}.", "")
    yield from ("| column | unit | required | bounds | meaning |", "| --- | --- | --- | --- | --- |")
    for c in table.columns:
        yield f"| `{c.name}` | {c.info['unit']} | {'' if c.nullable else 'yes'} | {bounds_in_words(c) or ', '.join(c.info['values'] or ())} | {c.comment.replace('|', '/')} |"
    if table.info["rules"]:
        yield from ("", "| expectation | severity | what is expected | what to do |", "| --- | --- | --- | --- |")
        yield from (f"| `{r.code}` | {r.severity} | {r.meaning} | {r.remedy} |" for r in table.info["rules"])


if __name__ == "__main__":
    print(dictionary(), end="")
