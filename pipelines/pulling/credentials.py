"""The credentials of a pull: found in the environment or in a file, and kept out of everything that is shown.

What belongs here: finding them, and hiding them in texts. What does not: logging in (pipelines/pulling/client.py).
"""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from assets.exports.pull_settings import CredentialSource
from assets.exports.pulling.declaration import CrmPull, Login
from pipelines.pulling.errors import CredentialsError

MASK = "***"


class Credentials:
    """Secrets by name. Their values show in no representation and are hidden by `scrubbed` in any text."""

    def __init__(self, values: Mapping[str, str]):
        self._values = dict(values)
        self._also: set[str] = set()

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}={MASK}' for name in self._values)})"

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def filled(self, text: str, **addresses: str) -> str:
        """``text`` with its ``{names}`` replaced by addresses and credentials."""
        return text.format(**addresses, **self._values)

    def remember(self, secret: str) -> None:
        """Hide ``secret`` too, such as a token that the CRM has just given."""
        self._also.add(secret)

    def scrubbed(self, text: str) -> str:
        """``text`` without any of the secrets."""
        for secret in sorted({*self._values.values(), *self._also}, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def find_credentials(source: CredentialSource, crm: CrmPull, configuration: Path) -> tuple[Credentials, Login]:
    """The credentials that ``source`` names and the first way of logging in that they are enough for.

    Raises CredentialsError with all that is missing, empty, or in a file that others may read. No value is shown.
    """
    names = dict.fromkeys(name for login in crm.logins for name in login.credentials)
    values = _of_file(configuration.parent / source.file, names) if source.file else {}
    unset = [variable for variable in source.environment.values() if not os.environ.get(variable, "").strip()]
    if unset:
        raise CredentialsError(
            f"the environment has no {', '.join(unset)}",
            where="pull.credentials.environment",
            expected="a variable with the credential in it",
            remedy="set it for the user that runs Leadline (export NAME=…); the configuration names the variable and never holds the credential",
        )
    values |= {name: os.environ[variable].strip() for name, variable in source.environment.items()}
    login = next((login for login in crm.logins if all(name in values for name in login.credentials)), None)
    if login is None:
        ways = " or ".join(", ".join(login.credentials) for login in crm.logins)
        raise CredentialsError(
            f"credentials of {crm.name} are missing: there {'are ' + ', '.join(sorted(values)) if values else 'are none'}",
            where="pull.credentials",
            expected=ways,
            remedy="name the environment variables that hold them below pull.credentials.environment, or a file below pull.credentials.file",
        )
    return Credentials(values), login


def _of_file(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The credentials in a file of ``name: value`` lines that only its owner may read."""
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CredentialsError(
                f"other users may read or change the credentials (mode {stat.S_IMODE(mode):04o})",
                where=str(path),
                expected="a file for its owner alone (mode 0600)",
                remedy=f"chmod 600 {path}, and replace the credentials if others use this machine",
            )
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CredentialsError(
            f"the file of the credentials cannot be read ({(error.strerror or 'an error').lower()})",
            where=str(path),
            expected="a file of `name: value` lines",
            remedy="correct pull.credentials.file; a relative path begins at the configuration",
        ) from None
    except (YAMLError, UnicodeDecodeError):
        content = None  # its words would show the line, and a credential in it
    if not isinstance(content, dict) or not all(isinstance(v, str) and v.strip() for v in content.values()):
        raise CredentialsError(
            "the file of the credentials cannot be understood",
            where=str(path),
            expected=f'lines such as `client_id: "…"`, the values in quotes; names are {", ".join(names)}',
            remedy="correct the file; its content is not shown here because it is secret",
        )
    return {name: value.strip() for name, value in content.items() if name in names}
