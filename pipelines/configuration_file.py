"""Reads a YAML file into plain data that knows the line of each of its parts.

What belongs here: the file, its encoding, YAML's own errors, repeated keys, places and lines. What does not: what
the parts mean.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tokens import AliasToken

from pipelines.errors import ConfigurationError, Problem

Place = tuple[str | int, ...]
"""Where a part stands: keys and list positions from the top."""

SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Document:
    """The content of a YAML file; ``problems`` are those that did not keep it from being read (repeated keys)."""

    data: Mapping[str, Any]
    lines: Mapping[Place, int]
    problems: tuple[Problem, ...]

    def line(self, place: Place) -> int | None:
        """The line of ``place``, or of what holds it where the file has no such part."""
        return next((self.lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self.lines), None)


def read_document(path: Path) -> Document:
    """The YAML mapping in the file at ``path``; raises `ConfigurationError` where there is none."""
    text = _text(path)
    try:
        _refuse_aliases(path, text)
        node = _yaml().compose(text)
        data = _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = ", ".join(part for part in (error.context, error.problem) if part)
        expected = "YAML; often a quote, a bracket or a colon is missing here or on the line before"
        raise ConfigurationError(path, [Problem(mark.line + 1, f"column {mark.column + 1}", expected, f"text that is not YAML ({found})")]) from error
    except YAMLError as error:
        raise ConfigurationError(path, [Problem(None, "", "YAML without control characters", str(error).splitlines()[0])]) from error
    if data is None:
        raise ConfigurationError(path, [Problem(None, "", "at least name, stages and exports; pipelines/demo/salesforce.yaml is one to copy", "an empty file")])
    if not isinstance(node, MappingNode):
        raise ConfigurationError(path, [Problem(1, "", "settings as `name: value`, one a line", shown(data))])
    lines: dict[Place, int] = {}
    repeated: dict[Place, Problem] = {}
    for place, line in _places(node, ()):
        if place not in lines:
            lines[place] = line
        elif not any(place[:n] in repeated for n in range(len(place))):
            repeated[place] = Problem(line, written(place), f"each setting once (it stands at line {lines[place]} too)", "the setting a second time")
    return Document(data, lines, tuple(repeated.values()))


def nearest(value: Any, names: Iterable[str]) -> str | None:
    """The name most like ``value``, whatever the case; None where none is like it."""
    by_lower = {name.lower(): name for name in sorted(names, reverse=True)}
    return next((by_lower[m] for m in get_close_matches(str(value).lower(), by_lower, n=1)), None)


def shown(value: Any) -> str:
    """``value`` for a message: short, text in quotes, a list or mapping by what it is."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "settings with names of their own"
        case list() | tuple():
            return "a list"
        case str():
            return repr(value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…")
        case bool():
            return str(value).lower()
    return str(value)


def written(place: Place) -> str:
    """A place as people write it: ``exports.tables.opportunities.files[0]``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


class _DatesAsText(SafeConstructor):
    """Leaves dates as they are written: their type reads them, and says where one is no date."""


_DatesAsText.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _DatesAsText
    yaml.allow_duplicate_keys = True  # they are found in _places, all at once and with both lines
    return yaml


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        expected = "the path of a leadline.yaml; pipelines/demo/salesforce.yaml is one to copy"
        raise ConfigurationError(path, [Problem(None, "", expected, "no such file")]) from None
    except IsADirectoryError:
        raise ConfigurationError(path, [Problem(None, "", f"a file, perhaps {path / 'leadline.yaml'}", "a folder")]) from None
    except OSError as error:
        raise ConfigurationError(path, [Problem(None, "", "a file that this user may read", (error.strerror or "an error").lower())]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x}, which is not UTF-8{_other_encoding(content)}"
        raise ConfigurationError(path, [Problem(line, "", "a file saved as UTF-8", found)]) from None


def _other_encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return " (the file looks like UTF-16)"
    try:
        content.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    return " (the file may be GB18030, as Chinese Windows saves it)"


def _refuse_aliases(path: Path, text: str) -> None:
    """An alias can stand for itself or for a million copies; a page that people read has no need of any."""
    found = [token for token in _yaml().scan(text) if isinstance(token, AliasToken)]
    if found:
        raise ConfigurationError(path, [Problem(t.start_mark.line + 1, "", "the value itself, written out", f"the alias *{t.value}") for t in found])


def _places(node: Node, place: Place) -> Iterator[tuple[Place, int]]:
    """Every part below ``node`` with its line: that of its key, or of the list entry."""
    match node:
        case MappingNode():
            for key, value in node.value:
                below = (*place, key.value if isinstance(key, ScalarNode) else str(key.value))
                yield below, key.start_mark.line + 1
                yield from _places(value, below)
        case SequenceNode():
            for position, value in enumerate(node.value):
                yield (*place, position), value.start_mark.line + 1
                yield from _places(value, (*place, position))
