"""What can go wrong when and where a run happens, as errors that a person can act on.

What belongs here: the errors of this floor and the code the command line ends with for each. What does not: how
they are recognised, which stands beside the code that raises them.
"""

import re
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


class RunError(LeadlineError):
    """Something failed for a reason that is Leadline's own; nothing was published.

    ``what`` failed with an error of the class named ``kind``; ``stack`` holds the lines of its traceback. The error's own
    words may quote a value of the exports, so only its kind and its last place in Leadline are shown.
    """

    exit_code = 1

    def __init__(self, what: str, kind: str | None, stack: Sequence[str]):
        places = [match for line in stack if (match := re.search(r'File ".*?((?:assets|models|pipelines|quality)/[\w/]+\.py)", line (\d+)', line))]
        where = f" at {places[-1][1]}, line {places[-1][2]}" if places else ""
        super().__init__(
            f"{what} failed: {kind or 'no reason was recorded'}{where}",
            expected="no error; what was published before stands",
            remedy="run again with --debug, which shows all of it (values of the exports too), and report it",
        )
