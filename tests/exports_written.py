"""Small exports written into a folder and read back, for the tests of reading."""

from pathlib import Path

from assets.exports.reading import TypedExport, read_table
from assets.exports.settings import Configuration


def configuration(tables: dict, crm: str = "plain", exports: dict | None = None, **company) -> Configuration:
    """A configuration with one pipeline whose only open stage is ``talk``, unless ``company`` gives others."""
    pipelines = [{"stages": [{"key": "talk", "spellings": ["Talk"]}]}]
    return Configuration(name="Test", exports={"crm": crm, "tables": tables, **(exports or {})}, **{"pipelines": pipelines, **company})


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write ``files`` (content by relative name; text as UTF-8 without translating line ends) and return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(folder: Path, content: str | bytes, table: str = "opportunities", name: str = "export.csv", crm: str = "plain", **settings) -> TypedExport:
    """One file read as ``table``; ``source`` and ``exports`` are settings of those parts, all else of the company."""
    source = settings.pop("source", {})
    return read_table(write(folder, {name: content}), table, configuration(_with_parents({table: {"files": name, **source}}), crm, **settings))


def _with_parents(tables: dict) -> dict:
    return {"opportunities": {"files": "opportunities.csv"}, **tables}
