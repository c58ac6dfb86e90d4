"""What can go wrong while exports are read, told to the person who must act.

What belongs here: the exceptions of reading, and how names from an export are shown in them. What does not: faults
of single values or rows, which never raise (assets/exports/reading.py).

    ExportError
    ├── MissingExport       the folder or a required file is not there
    ├── UnreadableFile      a file is empty, in another encoding or form, or broken
    ├── HeaderProblems      headers and canonical columns do not fit together
    ├── UndeclaredForms     values are written in a form that can be read in several ways
    └── SourceProblems      the configuration of a table contradicts itself or the contract
"""

import difflib
import re
from collections.abc import Iterable

from models.errors import LeadlineError

SHOWN_NAMES = 40
SHOWN_CHARACTERS = 40

_LOOKS_PERSONAL = re.compile(r"@|\d{5,}")


class ExportError(LeadlineError):
    """Exports cannot be read. ``problems`` holds one sentence per thing to mend; the message lists them all."""

    exit_code = 6

    def __init__(self, problems: str | Iterable[str]):
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class MissingExport(ExportError):
    """The exports folder, or a file that is required, is not there."""


class UnreadableFile(ExportError):
    """A file cannot be read in the form that its name and the configuration say it has."""


class HeaderProblems(ExportError):
    """The headers of a file cannot be mapped to the canonical columns."""


class UndeclaredForms(ExportError):
    """A column is written in a form that can be read in several ways, and the configuration does not say which is meant."""


class SourceProblems(ExportError):
    """What the configuration says of a table contradicts the contract or itself."""


def shown(name: str, *, is_header: bool = True) -> str:
    """A name as it may stand in a message: quoted, cut, and a header hidden where it looks like someone's data.

    A file without a header row would otherwise put its first customer into an error message.
    """
    if is_header and _LOOKS_PERSONAL.search(name):
        return "(hidden: looks like a value, not a name)"
    return repr(name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "…")


def listed(names: Iterable[str], *, are_headers: bool = True) -> str:
    """Names as they may stand in a message, the first `SHOWN_NAMES` of them."""
    names = list(names)
    text = ", ".join(shown(n, is_header=are_headers) for n in names[:SHOWN_NAMES]) or "nothing"
    return text + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")


def nearest(names: Iterable[str], known: Iterable[str], *, are_headers: bool = True) -> str:
    """``; nearest: 'a', 'b'`` for the known names most like any of ``names``, or nothing."""
    by_lower = {k.casefold(): k for k in known}
    found = [by_lower[m] for n in names for m in difflib.get_close_matches(n.casefold(), by_lower, n=2, cutoff=0.6)]
    unique = list(dict.fromkeys(found))[:3]
    return f"; nearest: {', '.join(shown(n, is_header=are_headers) for n in unique)}" if unique else ""
