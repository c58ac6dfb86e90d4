"""The root of every error that Leadline raises for a person to act on.

What belongs here: the base class alone. What does not: any particular error; each floor keeps its own beside the
code that raises it.
"""


class LeadlineError(Exception):
    """Something that a person must put right: what was found, where, what was expected and what to do.

    The message is shown as it stands, without a traceback; ``exit_code`` is what the command line ends with.
    """

    exit_code = 1

    def __init__(self, found: str, *, where: str | None = None, expected: str | None = None, remedy: str | None = None):
        self.found = found
        self.where = where
        self.expected = expected
        self.remedy = remedy
        super().__init__(found)

    def __str__(self) -> str:
        parts = (("where", self.where), ("expected", self.expected), ("what to do", self.remedy))
        return "\n".join([self.found, *(f"  {label}: {text}" for label, text in parts if text)])
