"""A server on this machine that answers as a test scripts it: pages, faults, a clock of its own.

What belongs here: HTTP, faults, the record of what was asked. What does not: any CRM's way of answering (the modules beside
this one).
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    params: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What is answered; ``cut`` closes the connection in the middle of the body, ``after`` waits so many seconds first."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False
    after: float = 0.0


@dataclass
class Fault:
    """Instead of the answer to the next request whose path holds ``path``, after ``skip`` of them; ``times`` over."""

    path: str
    reply: Reply | Callable[[], Reply]
    skip: int = 0
    times: int = 1


class Server:
    """The server; ``now`` is its clock, ``asked`` what came, in order. A request that ``answer`` cannot read is a 404."""

    def __init__(self, answer: Callable[[Asked], Reply]):
        self.now = datetime(2026, 6, 29, 12, tzinfo=UTC)
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self._answer = answer
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def later(self, **passed: float) -> str:
        """Let the server's time pass and return it as CRMs write it."""
        self.now += timedelta(**passed)
        return self.stamp()

    def stamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def paths(self, part: str = "") -> list[str]:
        """Paths that were asked for and hold ``part``."""
        return [asked.path for asked in self.asked if part in asked.path]

    def reply_to(self, asked: Asked) -> Reply:
        """The scripted fault for this request, else the answer."""
        with self._lock:
            self.asked.append(asked)
            fault = next((f for f in self.faults if f.path in asked.path and f.times), None)
            if fault is not None and fault.skip:
                fault.skip -= 1
            elif fault is not None:
                fault.times -= 1
                return fault.reply if isinstance(fault.reply, Reply) else fault.reply()
            return self._answer(asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet; two would wait for each other

            def log_message(self, *_words) -> None:
                pass

            def date_time_string(self, timestamp=None) -> str:
                return format_datetime(server.now, usegmt=True)

            def _respond(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                content = self.rfile.read(length).decode()
                parts = urlsplit(self.path)
                is_json = "json" in self.headers.get("content-type", "")
                body = json.loads(content) if is_json else {key: values[0] for key, values in parse_qs(content).items()}
                params = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
                asked = Asked(self.command, parts.path, params, body, {key.lower(): value for key, value in self.headers.items()})
                reply = server.reply_to(asked)
                time.sleep(reply.after)
                answer = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(reply.status)
                    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(answer)), **reply.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer[: len(answer) // 2] if reply.cut else answer)
                    self.wfile.flush()
                if reply.cut:
                    self.close_connection = True

            do_GET = do_POST = _respond

        return Handler
