"""The JSON schema of leadline.yaml, by which editors complete, explain and check it while it is written.

What belongs here: the schema, made from the settings' types, the names of tables, columns and CRMs, and the meanings
and examples of docs/configuration.md, the one place where those are written. What does not: what must agree between
settings (pipelines/configuration_checks.py); a schema cannot say it.
"""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

from ruamel.yaml import YAML

from assets.exports.crm import CRMS
from assets.exports.pulling import PULLS
from assets.exports.settings import Configuration
from models.errors import LeadlineError
from models.settings import Settings
from pipelines.configuration import FLAT_KEYS
from quality.tables import EXPORTED

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class SchemaFileError(LeadlineError):
    """The schema could not be written to the file that was asked for."""

    exit_code = 2


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(configuration_schema(), ensure_ascii=False, indent=2) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema to ``path``; raises SchemaFileError where that cannot be done."""
    try:
        path.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        raise SchemaFileError(
            f"the schema cannot be written: {error.strerror or error}", where=str(path), remedy="name a file in a folder that is there"
        ) from error


def configuration_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the whole configuration, the flat form of a company with one pipeline included."""
    schema = Configuration.model_json_schema()
    parts, meanings = schema["$defs"], setting_meanings()
    for place, model in _groups(Configuration):
        part = schema if model is Configuration else parts[model.__name__]
        part.pop("description", None)
        for key, setting in part["properties"].items():
            setting.pop("title", None)
            setting |= _explained(meanings.get((place, key)))
    for part in parts.values():
        part.pop("title", None)
        part.pop("description", None)
    for name in ("TableSource", "LookupSource"):
        files = parts[name]["properties"]["files"]
        files |= {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
        for key in ("type", "items"):
            files.pop(key)
    _name_exports(parts)
    schema["properties"]["formats"]["propertyNames"] = {"enum": [f"{name}.{c.name}" for name, contract in EXPORTED.items() for c in contract.columns]}
    flat = {key: parts["Pipeline"]["properties"][key] for key in FLAT_KEYS}
    required = [key for key in schema["required"] if key != "pipelines"]
    either = [
        {"required": ["pipelines"], "not": {"anyOf": [{"required": [key]} for key in FLAT_KEYS]}},
        {"required": ["stages"], "not": {"required": ["pipelines"]}},
    ]
    return {
        "$schema": DIALECT,
        "title": "leadline.yaml",
        "description": "What a company says about itself and its exports. Every setting is explained in docs/configuration.md.",
        **{key: schema[key] for key in ("type", "additionalProperties")},
        "properties": {**schema["properties"], **flat},
        "required": required,
        "oneOf": either,
        "$defs": parts,
    }


def _name_exports(parts: dict[str, Any]) -> None:
    """Name the CRMs, their lookups, the tables that can be exported and their columns."""
    exports, pull = parts["Exports"]["properties"], parts["Pull"]["properties"]
    exports["crm"]["enum"] = sorted(CRMS)
    exports["lookups"]["propertyNames"] = {"enum": sorted({name for crm in CRMS.values() for name in crm.lookups})}
    pull["crm"]["enum"] = sorted(PULLS)
    pull["fields"]["propertyNames"] = {"enum": list(EXPORTED)}
    parts["Stage"]["properties"]["required_fields"]["items"]["enum"] = [c.name for c in EXPORTED["opportunities"].columns]
    own = {}
    for name, contract in EXPORTED.items():
        columns = {c.name: {"type": "string", "description": c.comment} for c in contract.columns}
        parts[f"columns of {name}"] = {"type": "object", "additionalProperties": False, "properties": columns}
        named = {key: {"$ref": f"#/$defs/columns%20of%20{name}"} for key in ("columns", "constants")}
        named["required"] = {"items": {"enum": list(columns)}}
        own[name] = {"description": contract.comment, "allOf": [{"$ref": "#/$defs/TableSource"}], "properties": named}
    exports["tables"] |= {"properties": own, "additionalProperties": False, "required": ["opportunities"]}


def setting_meanings() -> dict[tuple[str, str], str]:
    """What docs/configuration.md says of each setting, by the group it stands in and its key; of several groups in each."""
    found, groups = {}, []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            groups = re.findall(r"`([^`]+)`", line) or [""]
        elif row := re.match(r"\| `(\w+)` \| .*? \| (.+) \|$", line):
            found |= {(group, row[1]): row[2] for group in groups}
    return found


def _explained(meaning: str | None) -> dict[str, Any]:
    """A meaning as description, without links, and the example that it gives."""
    if meaning is None:
        return {}
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", meaning)
    example = re.search(r"such as `([^`]+)`", plain)
    return {"description": plain} | ({"examples": [_value(example[1])]} if example else {})


def _value(written: str) -> Any:
    value = YAML(typ="safe", pure=True).load(written)
    return value.isoformat() if isinstance(value, date) else value


def _groups(model: type[Settings], place: str = "") -> Iterator[tuple[str, type[Settings]]]:
    """Every group of settings, with the place by which docs/configuration.md names it; the top level is the empty place."""
    yield place, model
    for key, field in model.model_fields.items():
        inside, mark = settings_inside(key, field.annotation)
        if inside:
            yield from _groups(inside, f"{place}.{key}{mark}".lstrip("."))


def settings_inside(key: str, annotation: Any) -> tuple[type[Settings] | None, str]:
    """The settings that the setting ``key`` holds, and the mark by which the page says that there are several."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation, ""
    inside = next((a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, Settings)), None)
    origin = getattr(annotation, "__origin__", None)
    return inside, "[]" if origin is tuple else f".<{key.removesuffix('s')}>" if origin is dict else ""
