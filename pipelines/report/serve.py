"""A store shown on this machine's own address, to who knows the address that was printed: reading only, by GET only.

The standard library's server is enough: one reader, pages of one piece, nothing to keep open. What guards it: it listens on 127.0.0.1;
a request must name this host (a page elsewhere whose name is made to point here does not) and begin with a path drawn anew at each start;
paths are looked up in a table, never opened; every answer forbids framing, guessing of types and any other place.
"""

import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

from curate.errors import CeterisError
from curate.storage import ExistsError, LocalStorage
from curate.store import Store
from pipelines import show
from pipelines.report.store_pages import TORN, BusyError, Pages

HOST = "127.0.0.1"
LONGEST = 4096
"""Characters of a request's path and query."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class ReadOnly(LocalStorage):
    """A store's folder in which nothing is written: what would be kept is taken for kept."""

    def put(self, key: str, data: bytes | memoryview) -> None:  # noqa: ARG002  as the storage says
        """Write nothing."""
        raise ExistsError(key)

    def replace(self, key: str, data: bytes | memoryview) -> None:
        """Write nothing."""

    def delete(self, key: str) -> None:
        """Delete nothing."""


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    body: str
    kind: str = "text/html; charset=utf-8"


class Server:
    """`url` is where it can be read; it holds the port from the start, and answers while `serve` runs."""

    def __init__(self, address: str, port: int = 0) -> None:
        """Take the port (0: any that is free). CeterisError where another process has it."""
        self.token = secrets.token_urlsafe(18)
        self.pages = Pages(Store(ReadOnly(Store.open(address).path(""))), f"/{self.token}/")
        try:
            self.http = _Listening((HOST, port), type("Bound", (_Request,), {"server_of": self}))
        except OSError as error:
            raise CeterisError(f"port {port} cannot be had: {error.strerror}", where=HOST, fix="name another --port, or 0") from error
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.hosts = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        self.url = f"http://{HOST}:{self.port}/{self.token}/"

    def __enter__(self) -> "Server":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the port back."""
        self.http.server_close()

    def serve(self) -> None:
        """Answer until `stop`, or Ctrl-C."""
        try:
            self.http.serve_forever(0.2)
        except KeyboardInterrupt:
            show.note("ended")

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self.http.shutdown()

    def answer(self, method: str, target: str, host: str) -> Answer:
        """What to say to a request; nothing is told to one for another host or without the drawn path."""
        if host not in self.hosts:
            return _plain(HTTPStatus.MISDIRECTED_REQUEST, "this address is not served here")
        if method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "only GET: nothing is changed here")
        if len(target) > LONGEST:
            return _plain(HTTPStatus.REQUEST_URI_TOO_LONG, "too long")
        way, _, asked = target.partition("?")
        _, token, *path = way.split("/") if way.startswith("/") else ("", "")
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return _plain(HTTPStatus.NOT_FOUND, "give the whole address that `curate serve` printed")
        if not self.pages.store.path("FORMAT").is_file():
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, f"the store is not at {self.pages.store.address} any more")
        query = {name: values[-1] for name, values in parse_qs(asked).items()}
        return self._routed([unquote(part) for part in path], query)

    def _routed(self, path: list[str], query: dict[str, str]) -> Answer:
        pages = self.pages
        table: dict[tuple[str, int], Callable[[], str]] = {
            ("", 1): pages.home,
            ("scores", 1): pages.scores,
            ("search", 1): lambda: pages.search(query.get("by", "uid"), query.get("q", "")),
            ("runs", 2): lambda: pages.run(path[1]),
        }
        if (path[0] if path else "", len(path)) not in table and path != ["now"]:
            return _plain(HTTPStatus.NOT_FOUND, "there is no such page")
        try:
            if path == ["now"]:
                return Answer(HTTPStatus.OK, json.dumps(pages.now()), "application/json; charset=utf-8")
            return Answer(HTTPStatus.OK, table[path[0], len(path)]())
        except BusyError as error:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, error.what)
        except (OSError, LookupError):
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, TORN)
        except CeterisError as error:
            return Answer(HTTPStatus.NOT_FOUND, pages.failed(error))


def _plain(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, text + "\n", "text/plain; charset=utf-8")


class _Listening(ThreadingHTTPServer):
    """Says nothing of readers who leave before their answer is there."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what is a bug of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """One connection."""

    server_of: ClassVar[Any]
    server_version, sys_version = "curate", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer."""
        self._send(self.server_of.answer(self.command, self.path, self.headers.get("Host", "")))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_GET

    def _send(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        for name, value in {**HEADERS, "Content-Type": answer.kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if answer.status is not HTTPStatus.OK or self.command not in ("GET", "HEAD"):
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: addresses hold what was searched for."""
