"""What can go wrong while a CRM is pulled, told to the person who must act.

What belongs here: the errors of pulling. What does not: how they are recognised, which stands beside the code that
raises them. None of them shows a credential, or a value of a row.

    PullError
    ├── NothingToPull       the configuration or an argument names nothing that can be pulled
    ├── CredentialsError    a credential is missing, readable by others, or refused
    ├── PullDenied          the CRM does not show an object or a field, or does not know it
    ├── SchemaError         a field that is required has vanished, or an answer has another form than it had
    └── PullUnfinished      the CRM was busy or out of reach for longer than the pull waits; the next one goes on
"""

from models.errors import LeadlineError


class PullError(LeadlineError):
    """The CRM could not be pulled; the export files of the last pull stand."""

    exit_code = 9


class NothingToPull(PullError):
    """The configuration or an argument names nothing that can be pulled."""

    exit_code = 2


class CredentialsError(PullError):
    """A credential is missing, can be read by others, or is refused."""


class PullDenied(PullError):
    """The CRM does not know an object or a field, or does not show it to this user."""


class SchemaError(PullError):
    """The CRM's answer lacks what is required."""


class PullUnfinished(PullError):
    """The CRM stayed busy or out of reach; what came is kept, and the next pull goes on there."""
