"""How a company's CRM is pulled: where it is, where the credentials are, how patient a pull is.

What belongs here: typed settings of `leadline pull`. What does not: any CRM's endpoints (assets/exports/pulling) and the
credentials themselves, which stand in the environment or in a file of their own and never in the configuration.
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from models.settings import Settings

EnvironmentVariable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class CredentialSource(Settings):
    """Where the credentials stand: in environment variables, or in a file that nobody else may read.

    ``environment`` maps a credential's name (client_id, client_secret …) to the variable that holds it; ``file`` is a
    YAML file of ``name: value`` lines, relative to the configuration. A variable goes before the file.
    """

    environment: dict[str, EnvironmentVariable] = {}
    file: str | None = None


class Pull(Settings):
    """Which CRM is pulled and how.

    ``fields`` adds fields of the CRM to a table, under the CRM's own names. ``overlap_minutes`` is how far before the
    last pull the next one begins, so that what the CRM committed late is not lost. A pull asks up to ``attempts`` times,
    waits from ``first_wait_seconds`` on twice as long each time, and gives up where the CRM asks for a longer wait than
    ``longest_wait_seconds``. Rows are saved, and a pull that died goes on, every ``batch_rows``.
    """

    crm: str
    instance_url: str | None = None
    login_url: str | None = None
    credentials: CredentialSource = CredentialSource()
    fields: dict[str, tuple[str, ...]] = {}
    overlap_minutes: Annotated[int, Field(ge=0)] = 10
    attempts: Annotated[int, Field(ge=1)] = 7
    first_wait_seconds: Annotated[float, Field(gt=0)] = 1.0
    longest_wait_seconds: Annotated[float, Field(gt=0)] = 300.0
    timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    batch_rows: Annotated[int, Field(ge=1)] = 20000

    @field_validator("instance_url", "login_url")
    @classmethod
    def _credentials_travel_encrypted(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.hostname and parts.username is None and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
            return url.rstrip("/")
        raise ValueError("an address that begins with https:// and holds no user name, such as https://example.my.salesforce.com")
