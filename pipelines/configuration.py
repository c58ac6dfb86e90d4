"""Loads leadline.yaml: reads the file, validates it, and reports everything that is wrong with it at once.

What belongs here: from bytes to a validated `Configuration`, and from pydantic's errors to sentences with a line. What
does not: what the settings are (models/settings.py, assets/exports/settings.py), the reading of YAML
(pipelines/configuration_file.py), and what must agree between settings (pipelines/configuration_checks.py).
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args
from zoneinfo import available_timezones

from pydantic import ValidationError

from assets.exports.crm import CRMS
from assets.exports.settings import Configuration
from models.settings import Settings
from pipelines.configuration_checks import Disagreement, disagreements
from pipelines.configuration_file import Document, Place, nearest, read_document, shown, written
from pipelines.errors import ConfigurationError, Problem

FLAT_KEYS = ("stages", "won", "lost", "other_events")
"""Settings of the one pipeline that may stand at the top level where a company has just one."""

CORE_STAGES = range(5, 8)
"""How many core stages, won counted, a pipeline usually has."""

_PATTERNS = {
    r"^[a-z][a-z0-9_]*$": "lower-case letters, digits and _, beginning with a letter",
    r"^[A-Z]{3}$": "a currency as three capital letters, such as CNY",
    r"^[A-Z][A-Z0-9_]*$": "the name of an environment variable, in capital letters, such as CRM_CLIENT_SECRET; the secret itself never stands here",
}


def load_configuration(path: Path) -> Configuration:
    """The validated configuration in the YAML file at ``path``.

    Where there is one pipeline its stages may stand at the top level. Raises `ConfigurationError`, which lists every
    problem with its line, the value found, what was expected and the nearest valid name.
    """
    document = read_document(path)
    data, flat = nested(document.data)
    problems = list(document.problems)
    if flat and "pipelines" in document.data:
        both = ", ".join(key for key in FLAT_KEYS if key in document.data)
        problems.append(_problem(document, ("pipelines",), f"pipelines beside {both}", f"either pipelines, or {both} at the top level"))
    found = list(disagreements(data, CRMS))
    problems += [_problem(document, _as_written(d.place, flat), d.found, d.expected, d.nearest) for d in found]
    try:
        configuration = Configuration.model_validate(data)
    except ValidationError as error:
        problems += _of_validation(error, document, flat, found)
    if problems:
        raise ConfigurationError(path, sorted(problems, key=lambda p: (p.line or 0, p.key)))
    return configuration


def configuration_notes(configuration: Configuration) -> tuple[str, ...]:
    """What is allowed but unusual, one sentence each."""
    notes = []
    for pipeline in configuration.pipelines:
        count = len(pipeline.stages) + 1
        if count not in CORE_STAGES:
            notes.append(f"pipeline {pipeline.key} has {count} core stages, won counted; {CORE_STAGES[0]} to {CORE_STAGES[-1]} are usual")
    if "team" in configuration.segments and "owners" not in configuration.exports.tables:
        notes.append("segments: team is read from the owners export, and none is configured: every deal will be unassigned")
    return tuple(notes)


def nested(data: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """``data`` with the flat form moved into ``pipelines``, and whether it was flat."""
    flat = {key: data[key] for key in FLAT_KEYS if key in data}
    if not flat or "pipelines" in data:
        return {key: value for key, value in data.items() if key not in flat}, bool(flat)
    rest = {key: value for key, value in data.items() if key not in flat}
    return {**rest, "pipelines": [flat]}, True


def _as_written(place: Place, flat: bool) -> Place:
    """The place in the file of a setting that `nested` may have moved."""
    return place[2:] if flat and len(place) > 2 and place[:2] == ("pipelines", 0) and place[2] in FLAT_KEYS else place


def _problem(document: Document, place: Place, found: str | None, expected: str, near: str | None = None) -> Problem:
    return Problem(document.line(place), written(place), expected, found, near)


def _of_validation(error: ValidationError, document: Document, flat: bool, found: list[Disagreement]) -> Iterator[Problem]:
    """A problem per error of pydantic, less those that only follow from another."""
    errors = error.errors(include_url=False)
    misspelt = {(*e["loc"][:-1], _nearest_key(e["loc"])) for e in errors if e["type"] == "extra_forbidden"}
    for e in errors:
        place = tuple(e["loc"])
        follows_from_misspelling = e["type"] == "missing" and place in misspelt
        follows_from_entries = e["type"] == "too_short" and len(e["input"]) > 0
        said_more_precisely = e["type"] == "value_error" and any(d.place[: len(place)] == place for d in found)
        if not (follows_from_misspelling or follows_from_entries or said_more_precisely):
            value, expected, near = _explained(e)
            if place[:2] == ("pull", "credentials") and e["type"] != "extra_forbidden":
                value = value and "a value that is not shown, because it may be secret"
            yield _problem(document, _as_written(place, flat), value, expected, near)


def _explained(error: Mapping[str, Any]) -> tuple[str | None, str, str | None]:
    """Of one pydantic error: the value found, what was expected, the nearest valid name."""
    place, value, context = tuple(error["loc"]), shown(error["input"]), error.get("ctx", {})
    match error["type"]:
        case "missing":
            return None, _required(place), None
        case "extra_forbidden":
            return "an unknown setting", f"one of {', '.join(_valid_keys(place))}", _nearest_key(place)
        case "literal_error":
            names = re.findall(r"'([^']*)'", context["expected"])
            return value, f"one of {', '.join(names)}", nearest(error["input"], names)
        case "value_error" if place == ("time_zone",):
            return value, "a time zone of the IANA database, such as Asia/Shanghai", nearest(error["input"], available_timezones())
        case "value_error":
            return None, str(context["error"]), None
        case "string_pattern_mismatch":
            return value, _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}"), None
        case "string_type":
            return value, "text (in quotes where it looks like a number or a date)", None
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return value, _bound(context, error["input"]), None
        case "float_type" | "float_parsing" | "finite_number":
            return value, "a number", None
        case "int_type" | "int_parsing" | "int_from_float":
            return value, "a whole number", None
        case "bool_type" | "bool_parsing":
            return value, "true or false", None
        case "tuple_type":
            return value, "a list, such as [a, b]", None
        case "dict_type" | "model_type":
            return value, "settings with names of their own, each on a line indented below", None
        case "too_short":
            return "an empty list", "at least one entry", None
        case name if name.startswith("date_"):
            return value, "a date, such as 2025-01-31", None
    return value, error["msg"][0].lower() + error["msg"][1:], None


def _required(place: Place) -> str:
    if place == ("pipelines",):
        return "stages, the list of stages (or pipelines, where there are several); it is required"
    return f"{place[-1]}, which is required"


def _bound(context: Mapping[str, Any], value: Any) -> str:
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    limits = " and ".join(f"{words[name]} {limit:g}" for name, limit in context.items() if name in words)
    is_percent = context.get("le") == 1 and isinstance(value, (int, float)) and 1 < value <= 100
    return f"a number of {limits}" + (f" ({value:g} % is written {value / 100:g})" if is_percent else "")


def _valid_keys(place: Place) -> list[str]:
    """Names of the settings that may stand beside the one at ``place``."""
    model: Any = Configuration
    for part in place[:-1]:
        model = _without_none(model.model_fields[part].annotation) if _is_settings(model) else _held_by(model)
    names = list(model.model_fields) if _is_settings(model) else []
    return [*names, *FLAT_KEYS] if len(place) == 1 else names


def _without_none(annotation: Any) -> Any:
    """The settings of ``S | None``; any other annotation as it is."""
    return _held_by(annotation) if type(None) in get_args(annotation) and _held_by(annotation) else annotation


def _held_by(annotation: Any) -> Any:
    """The settings inside ``tuple[S, ...]``, ``dict[str, S]`` or ``S | None``."""
    return next((a for a in get_args(annotation) if _is_settings(a)), None)


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _nearest_key(place: Place) -> str | None:
    return next(iter(get_close_matches(str(place[-1]), _valid_keys(place), n=1)), None)
