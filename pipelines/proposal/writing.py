"""Writes a configuration as YAML that a person reads: settings in their order, each with the evidence that it rests on.

What belongs here: the form of the text. What does not: what is written.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from textwrap import wrap
from typing import Any

from pipelines.configuration_file import Place

WIDTH = 120
_INLINE = 110
_PLAIN = re.compile(r"[A-Za-z_\u4e00-\u9fff][\w\u4e00-\u9fff ./()&+\-]*")
_RESERVED = frozenset({"yes", "no", "true", "false", "null", "on", "off", "y", "n"})


def written(data: Mapping[str, Any], notes: Mapping[Place, Sequence[str]]) -> str:
    """``data`` as YAML; the notes of a place stand as comments above it. An empty place heads the file."""
    lines = [*_comments(notes.get((), ()), 0), *_mapping(data, (), 0, notes)]
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    """One value as it stands in YAML; text in quotes where it could be read as something else."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | date():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
    text = str(value)
    is_plain = _PLAIN.fullmatch(text) and text == text.strip() and text.lower() not in _RESERVED and not re.search(r"\s[#-]|- ", text)
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _mapping(data: Mapping[str, Any], place: Place, depth: int, notes: Mapping[Place, Sequence[str]]) -> Iterator[str]:
    for key, value in data.items():
        here = (*place, key)
        yield from _comments(notes.get(here, ()), depth)
        yield from _entry(f"{'  ' * depth}{scalar(key)}:", value, here, depth, notes)


def _entry(head: str, value: Any, place: Place, depth: int, notes: Mapping[Place, Sequence[str]]) -> Iterator[str]:
    inline = _flow(value)
    has_notes = any(len(p) > len(place) and p[: len(place)] == place for p in notes)
    if not isinstance(value, dict | list | tuple) or (not has_notes and len(head) + len(inline) < _INLINE and not _is_tree(value)):
        yield f"{head} {inline}"
    elif isinstance(value, dict):
        yield head
        yield from _mapping(value, place, depth + 1, notes)
    else:
        yield head
        for n, item in enumerate(value):
            yield from _item(item, (*place, n), depth + 1, notes)


def _item(item: Any, place: Place, depth: int, notes: Mapping[Place, Sequence[str]]) -> Iterator[str]:
    yield from _comments(notes.get(place, ()), depth)
    inline = _flow(item)
    has_notes = any(len(p) > len(place) and p[: len(place)] == place for p in notes)
    if not isinstance(item, dict) or (not has_notes and len(inline) + 2 * depth < WIDTH and not _is_tree(item)):
        yield f"{'  ' * depth}- {inline}"
        return
    first, *rest = _mapping(item, place, depth + 1, notes)
    yield f"{'  ' * depth}- {first.strip()}"
    yield from rest


def _is_tree(value: Any) -> bool:
    """True for what is read more easily over several lines: lists of mappings, and mappings that hold such."""
    if isinstance(value, dict):
        return any(_is_tree(v) or (isinstance(v, dict) and any(isinstance(w, dict) for w in v.values())) for v in value.values())
    return isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _in_flow(value)


def _in_flow(value: Any) -> str:
    text = scalar(value)
    return json.dumps(str(value), ensure_ascii=False) if isinstance(value, str) and re.search(r"[,\[\]{}]", text) and not text.startswith('"') else text


def _comments(texts: Sequence[str], depth: int) -> Iterator[str]:
    for text in texts:
        if not text:
            yield ""
            continue
        for line in wrap(" ".join(text.split()), WIDTH - 2 * depth - 2, break_long_words=False, break_on_hyphens=False):
            yield f"{'  ' * depth}# {line}"
