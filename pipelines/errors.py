"""What can go wrong when and where a run happens, as errors that a person can act on.

What belongs here: the errors of this floor and the code the command line ends with for each. What does not: how
they are recognised, which stands beside the code that raises them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import LeadlineError


@dataclass(frozen=True)
class Problem:
    """One thing to correct in the configuration.

    ``line`` counts from 1; ``key`` is the path to the setting as it stands in the file, empty for the whole file;
    ``found`` is the value as written, ``nearest`` the valid name most like it. Either is None where there is none.
    """

    line: int | None
    key: str
    expected: str
    found: str | None = None
    nearest: str | None = None

    def in_file(self, name: str) -> str:
        """The problem as one sentence that begins with its place in the file ``name``."""
        place = " ".join(part for part in (f"{name}:{self.line}" if self.line else name, self.key) if part)
        sentence = "; ".join(part for part in (f"found {self.found}" if self.found else "", f"expected {self.expected}") if part)
        return f"{place}: {sentence}" + (f"; did you mean {self.nearest}?" if self.nearest else "")


class ConfigurationError(LeadlineError):
    """The configuration cannot be used; ``problems`` lists everything that is wrong with it, in the file's order."""

    exit_code = 2

    def __init__(self, path: Path, problems: Sequence[Problem]):
        self.path = path
        self.problems = tuple(problems)
        count = "1 error" if len(self.problems) == 1 else f"{len(self.problems)} errors"
        super().__init__(f"{path}: {count} in the configuration")

    def __str__(self) -> str:
        return "\n".join([self.found, *(f"{number}. {problem.in_file(self.path.name)}" for number, problem in enumerate(self.problems, start=1))])

    def __reduce__(self):
        return type(self), (self.path, self.problems)


class PublicationError(LeadlineError):
    """The report database could not be written or read; what it held before is still there."""

    exit_code = 3


class HomeError(LeadlineError):
    """The home folder cannot be used."""

    exit_code = 4


class HomeBusyError(HomeError):
    """Another run holds the home folder."""

    exit_code = 5
