"""What a CRM's interface declares: where to log in, and per table where its rows are and how they become columns.

What belongs here: the shape of a declaration. What does not: any CRM (the modules beside this one), sending requests and
keeping what came (pipelines/pulling).

A path leads into a row of the interface's answer with ``/`` between the names, such as ``properties/dealname``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One request, without credentials, so that it can be kept and sent again. ``path`` may be a whole address."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Value:
    """Where a value stands in a row.

    ``names`` replaces it by its name, and a value without one is none; ``lookup`` does the same by a list of the CRM
    (`Lookup`), but keeps a value that the list lacks. A value that does not begin with ``prefix`` is none, and so is one
    of a row that does not hold the text ``when[1]`` at the path ``when[0]``.
    """

    path: str
    names: Mapping[str, str] | None = None
    lookup: str | None = None
    prefix: str = ""
    when: tuple[str, str] | None = None


@dataclass(frozen=True)
class Column:
    """One column of the export: Leadline's own name, and the values of which the first that is there is taken.

    A name may state a unit, such as ``crm_probability (%)``. Where the CRM has none of the fields of a column that is
    ``required``, the pull ends with an error.
    """

    name: str
    values: tuple[Value, ...]
    required: bool = False


def column(name: str, *values: str | Value, required: bool = False) -> Column:
    """A column of values given by their path or as `Value`."""
    return Column(name, tuple(v if isinstance(v, Value) else Value(v) for v in values), required)


@dataclass(frozen=True)
class Page:
    """What an answer holds: rows, ids of rows that are gone, the next request, or the address of later changes."""

    rows: Sequence[Row]
    gone: Sequence[str] = ()
    next: Request | None = None
    changes: str | None = None


@dataclass(frozen=True)
class Ask:
    """What is asked of a source: the fields by the CRM's names, and since when (the CRM's time, or an address of changes).

    ``since`` is None where all rows are wanted.
    """

    fields: tuple[str, ...]
    since: str | None


@dataclass(frozen=True)
class FieldList:
    """How the fields of one of the CRM's objects are listed: the first request, and names and next request of an answer."""

    first: Request
    read: Callable[[Request, Body], tuple[Sequence[str], Request | None]]


@dataclass(frozen=True)
class Source:
    """Rows of one object of the CRM.

    ``first`` makes the first request, ``page`` reads an answer to it or to a later one. ``identity`` is the path of a
    row's id, ``deleted`` that of the flag of a deleted row (None where none is sent), ``is_deleted`` says that all are.
    ``asked`` gives the field to ask for a path (None: it always comes), ``extra`` the path of a field that the company
    adds. ``listed`` says that every pull lists all rows, ``tracked`` that a list ends with the address of later changes. ``then``, where it is there, is asked about each page's rows,
    and its answer's rows, by ``page``, are taken in their place. ``fields`` is None where the CRM lists no fields.
    """

    object: str
    identity: str
    columns: tuple[Column, ...]
    first: Callable[[Ask], Request]
    page: Callable[[Request, Body], Page]
    fields: FieldList | None = None
    asked: Callable[[str], str | None] = lambda path: path
    extra: str = "{}"
    deleted: str | None = None
    is_deleted: bool = False
    listed: bool = False
    tracked: bool = False
    then: Callable[[Sequence[Row]], Request | None] | None = None


@dataclass(frozen=True)
class Lookup:
    """A list of the CRM that gives things names, such as stages: ``read`` gives names by id and the next request."""

    first: Request
    read: Callable[[Request, Body], tuple[Mapping[str, str], Request | None]]


@dataclass(frozen=True)
class Login:
    """One way of logging in, taken where all its ``credentials`` are given.

    Where ``form`` is None the credential named ``token`` is the token itself; else ``form`` is posted to ``url`` (with
    ``basic`` as user and password), and the answer's ``access_token`` is used until the CRM says that it has expired.
    The texts may hold ``{instance_url}``, ``{login_url}`` and credentials by name. ``header`` and ``scheme`` say how a
    request carries the token.
    """

    credentials: tuple[str, ...]
    token: str | None = None
    url: str = ""
    form: Mapping[str, str] | None = None
    basic: tuple[str, str] | None = None
    header: str = "Authorization"
    scheme: str = "Bearer "


@dataclass(frozen=True)
class CrmPull:
    """How one CRM is pulled.

    ``instance_url`` and ``login_url`` are None where a company has an address of its own. ``busy`` are error codes that
    mean "later", whatever the status; ``missing`` those of an object or field that is not there or not shown.
    """

    name: str
    logins: tuple[Login, ...]
    tables: Mapping[str, tuple[Source, ...]]
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    instance_url: str | None = None
    login_url: str | None = None
    busy: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
