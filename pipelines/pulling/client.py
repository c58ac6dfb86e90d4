"""Sends the requests of a pull: logs in, asks again when the CRM is busy, renews a token that has expired.

What belongs here: HTTP, and what an answer that is no success means. What does not: which requests are sent
(assets/exports/pulling) and what is done with the rows (pipelines/pulling/pull.py). httpx is imported with this module,
so nothing that `leadline run` loads imports it.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from assets.exports.pull_settings import Pull
from assets.exports.pulling.declaration import CrmPull, Login, Request
from pipelines.pulling.credentials import Credentials
from pipelines.pulling.errors import CredentialsError, PullDenied, PullError, PullUnfinished, SchemaError

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_SHOWN_CHARACTERS = 160
_LOOKS_PERSONAL = re.compile(r"\S*@\S*|\d{5,}")


@dataclass(frozen=True)
class Answer:
    """What the CRM answered, numbers as text in their own digits, and the time by its clock."""

    body: Any
    time: datetime


class StalePage(PullError):
    """The CRM no longer knows a page that a former pull stopped at; the list is read from its beginning."""


class _Later(Exception):
    """Something that passes; ``wait`` is how long the CRM asks to wait, in seconds."""

    def __init__(self, found: str, wait: float | None = None):
        super().__init__(found)
        self.wait = wait


class Client:
    """A CRM's interface for one pull. ``sleep`` waits; tests hand in one that does not."""

    def __init__(self, crm: CrmPull, settings: Pull, credentials: Credentials, login: Login, sleep: Callable[[float], None] = time.sleep):
        self._crm = crm
        self._settings = settings
        self._credentials = credentials
        self.instance_url = settings.instance_url or crm.instance_url or ""
        login_url = settings.login_url or (crm.login_url or "").format(instance_url=self.instance_url)
        self._auth = _Token(login, credentials, {"instance_url": self.instance_url, "login_url": login_url})
        self._http = httpx.Client(timeout=settings.timeout_seconds, headers={"Accept": "application/json"}, trust_env=True)
        self._sleep = sleep
        for logger in ("httpx", "httpcore"):  # they write down every address, the login's with the company's id in it
            logging.getLogger(logger).setLevel(logging.WARNING)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_raised) -> None:
        self._http.close()

    def send(self, request: Request) -> Answer:
        """The answer to ``request``, after as many attempts as are configured.

        Raises CredentialsError, PullDenied, SchemaError, StalePage (for a page that is not known any more) or
        PullUnfinished.
        """
        address = self._address(request.path)
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._settings.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(_Later),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._once, address, request)
        except _Later as error:
            raise PullUnfinished(
                f"{self._crm.name} gave no answer after {self._settings.attempts} attempts: {error}",
                where=self._place(request),
                expected="an answer",
                remedy="pull again later; what came is kept, and the next pull goes on there. If it is always so, raise pull.attempts or ask the CRM's vendor",
            ) from None

    def _address(self, path: str) -> httpx.URL:
        """The whole address; credentials are sent to the configured one only, whatever an answer links to."""
        base = httpx.URL(self.instance_url)
        address = base.join(path)
        if (address.scheme, address.host, address.port) != (base.scheme, base.host, base.port):
            raise SchemaError(
                f"an answer of {self._crm.name} leads to another server, {address.host}",
                where="pull.instance_url",
                expected=f"an address at {base.host}",
                remedy="correct pull.instance_url to the address that the CRM calls itself; no credentials were sent to the other one",
            )
        return address

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _Later) else None
        longest = self._settings.longest_wait_seconds
        return asked if asked is not None else min(self._settings.first_wait_seconds * 2 ** (state.attempt_number - 1), longest)

    def _once(self, address: httpx.URL, request: Request) -> Answer:
        method = "GET" if request.json is None else "POST"
        params = request.params or None  # an address that an answer links to keeps its own
        try:
            response = self._http.request(method, address, params=params, json=request.json, headers=request.headers, auth=self._auth)
        except httpx.TimeoutException:
            raise _Later(f"nothing within {self._settings.timeout_seconds:g} seconds") from None
        except httpx.TransportError as error:
            raise _Later(f"the connection failed ({type(error).__name__})") from None
        if response.status_code != 200:
            raise self._refusal(response, request)
        return Answer(_decoded(response.content), self._server_time(response, request))

    def _server_time(self, response: httpx.Response, request: Request) -> datetime:
        try:
            return parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
        except ValueError:
            raise SchemaError(
                f"{self._crm.name} does not say what time it is",
                where=self._place(request),
                expected="an answer with the header Date, from which the next pull begins",
                remedy="look at the proxy between Leadline and the CRM; it must leave that header",
            ) from None

    def _refusal(self, response: httpx.Response, request: Request) -> Exception:
        """The error for an answer that is no success: one to try again, or one for a person."""
        code, words = _reason(response)
        said = self._credentials.scrubbed(f"HTTP {response.status_code}{f' {code}' if code else ''}")
        if response.status_code in _BUSY or code in self._crm.busy:
            wait = _retry_after(response)
            if wait is not None and wait > self._settings.longest_wait_seconds:
                return PullUnfinished(
                    f"{self._crm.name} asks to wait {wait:,.0f} seconds ({said}): the requests that it allows are used up",
                    where=self._place(request),
                    expected=f"a wait of at most {self._settings.longest_wait_seconds:,.0f} seconds (pull.longest_wait_seconds)",
                    remedy="pull again then; what came is kept, and the next pull goes on there",
                )
            return _Later(said, wait)
        place = self._place(request)
        if response.status_code == 401:
            return CredentialsError(
                f"{self._crm.name} refuses the credentials ({said})",
                where=place,
                expected="credentials that are in force",
                remedy="renew them in the CRM and where pull.credentials says that they are; docs/pulling.md says how",
            )
        shown = f"{said}{f': {self._credentials.scrubbed(words)}' if words else ''}"
        if response.status_code in (400, 404, 410) and code not in self._crm.missing:
            return StalePage(
                f"{self._crm.name} does not accept the request ({shown})",
                where=place,
                expected="an answer",
                remedy="correct what the message names; else report it with this message",
            )
        if response.status_code in (403, 404) or code in self._crm.missing:
            return PullDenied(
                f"{self._crm.name} does not show this to the user of the pull, or does not know it ({shown})",
                where=place,
                expected="an object and fields that this user may read",
                remedy="give that user the permissions in docs/pulling.md, or leave the table out of the configuration",
            )
        return PullError(
            f"{self._crm.name} does not accept the request ({shown})",
            where=place,
            expected="an answer",
            remedy="correct pull.instance_url if it is not the CRM's own address (an address that leads on to another is not followed)",
        )

    def _place(self, request: Request) -> str:
        return f"{self.instance_url}{httpx.URL(request.path).path}"


class _Token(httpx.Auth):
    """Puts the token on each request; where the CRM says 401 it gets a new one, once, and asks again."""

    requires_response_body = True

    def __init__(self, login: Login, credentials: Credentials, addresses: Mapping[str, str]):
        self._login = login
        self._credentials = credentials
        self._addresses = addresses
        self._token = self._filled(f"{{{login.token}}}") if login.token else None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        is_fresh = self._token is None
        if self._token is None:
            self._take((yield self._asking()))
        self._carry(request)
        response = yield request
        if response.status_code == 401 and self._login.form is not None and not is_fresh:
            self._take((yield self._asking()))
            self._carry(request)
            yield request

    def _carry(self, request: httpx.Request) -> None:
        request.headers[self._login.header] = f"{self._login.scheme}{self._token}"

    def _filled(self, text: str) -> str:
        return self._credentials.filled(text, **self._addresses)

    def _asking(self) -> httpx.Request:
        form = {name: self._filled(text) for name, text in (self._login.form or {}).items()}
        asking = httpx.Request("POST", self._filled(self._login.url), data=form, headers={"Accept": "application/json"})
        if self._login.basic:
            user, password = (self._filled(part) for part in self._login.basic)
            asking = next(httpx.BasicAuth(user, password).auth_flow(asking))
        return asking

    def _take(self, response: httpx.Response) -> None:
        if response.status_code in _BUSY:
            raise _Later(f"the login answered HTTP {response.status_code}", _retry_after(response))
        granted = _decoded(response.content) if response.status_code == 200 else {}
        token = granted.get("access_token") if isinstance(granted, dict) else None
        if not token:
            code, _ = _reason(response)
            raise CredentialsError(
                f"the login is refused (HTTP {response.status_code}{f' {self._credentials.scrubbed(code)}' if code else ''})",
                where=self._credentials.scrubbed(str(response.request.url)),
                expected=f"credentials in force: {', '.join(self._login.credentials)}",
                remedy="renew them in the CRM and where pull.credentials says that they are; docs/pulling.md says how",
            )
        self._token = token
        self._credentials.remember(token)


def _decoded(content: bytes) -> Any:
    """JSON with numbers as text in their own digits, so that no amount is rounded; raises `_Later` for half an answer."""
    try:
        return json.loads(content, parse_float=lambda digits: f"{Decimal(digits):f}", parse_int=str)
    except ValueError:
        raise _Later(f"an answer that is not JSON ({len(content):,} bytes)") from None


def _reason(response: httpx.Response) -> tuple[str, str]:
    """The error code in an answer and its words, as CRMs write them; words without what could be a person's."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return "", ""
    entry = body[0] if isinstance(body, list) and body else body
    entry = entry["error"] if isinstance(entry, dict) and isinstance(entry.get("error"), dict) else entry
    if not isinstance(entry, dict):
        return "", ""
    code = next((str(entry[key]) for key in ("errorCode", "category", "code", "error") if entry.get(key)), "")
    words = next((str(entry[key]) for key in ("message", "error_info") if entry.get(key)), "")
    return code[:_SHOWN_CHARACTERS], _LOOKS_PERSONAL.sub("…", words[:_SHOWN_CHARACTERS])


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the header Retry-After asks for, whether as a number or as a time; None without it."""
    asked = response.headers.get("retry-after")
    if asked is None:
        return None
    try:
        return max(float(asked), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(asked) - parsedate_to_datetime(response.headers.get("date", ""))).total_seconds(), 0.0)
    except ValueError:
        return None
