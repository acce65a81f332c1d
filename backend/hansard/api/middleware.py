"""Wrap every request: an id, security headers, one log line, and an answer whatever happens inside.

Plain ASGI, so that streams pass through as they come.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.api.errors import ApiError, unexpected
from hansard.api.logs import REQUESTS, describe

_log = logging.getLogger(REQUESTS)

CLIENT_GONE: Final = 499
# Clients may send any word as a method; what is counted and named must be one of these.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SERVER_ERROR: Final = 500
HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
_HEADERS: Final = [(name.encode("ascii"), value.encode("ascii")) for name, value in HEADERS.items()]
# Long enough for anybody's ids, too short for a token, and free of all that could break a line.
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_-]{8,64}")
# What this machine calls itself. All of 127.0.0.0/8 leads here too, but not back by the same name.
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def known_method(scope: Scope) -> str:
    """Return the method of a request, ``_OTHER`` for a word of the client's own."""
    method: str = scope["method"]
    return method if method in _METHODS else "_OTHER"


class RequestEnvelope:
    """Give each request its id, headers and log line, and each unexpected error its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the last place that can answer
            scope["hansard.error"] = describe(error)
            await exchange.fail(receive)
        finally:
            exchange.log()


class LoopbackOnly:
    """Refuse what does not come from this machine under this machine's own name.

    The name guards against DNS rebinding: a foreign page's host that resolves to 127.0.0.1 is still foreign.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not (_is_local(scope.get("client")) and _names_us(scope)):
            message = "This server answers on this machine only, under 127.0.0.1, localhost or [::1]."
            refusal = ApiError(message, status=421, code="misdirected_request").fault.response()
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class _Exchange:
    """Follow one answer: whether it began, its status, how long it took."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._request_id = scope["hansard.request_id"] = _request_id(scope)

    async def send(self, message: Message) -> None:
        """Pass a message on, the first with our headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {b"x-request-id": self._request_id.encode("ascii")}
            for name, value in self._scope.get("hansard.headers", {}).items():
                own[name.encode("ascii")] = value.encode("latin-1")
            message["headers"] = _headers(message.get("headers", ()), own)
        await self._send(message)

    async def fail(self, receive: Receive) -> None:
        """Answer an unexpected error; one that broke an answer already begun just ends the connection."""
        if self.status is None:
            await unexpected(self._request_id).response()(self._scope, receive, self.send)

    def log(self) -> None:
        """Write the line of this request: which operation, for whom, how it went."""
        error = self._scope.get("hansard.error")
        status = self.status or CLIENT_GONE
        values: MutableMapping[str, Any] = {
            "request_id": self._request_id,
            "user_id": self._scope.get("hansard.user_id"),
            "method": known_method(self._scope),
            "route": getattr(self._scope.get("route"), "path_format", None),
            "status": status,
            "milliseconds": round((time.perf_counter() - self._began) * 1000, 1),
            **({"trace_id": self._scope["hansard.trace_id"]} if "hansard.trace_id" in self._scope else {}),
            **(error or {}),
        }
        level = logging.ERROR if error is not None or status == _SERVER_ERROR else logging.INFO
        if _log.isEnabledFor(level):
            # As `Logger.log` does it, but without looking for the place in the code, which is always this one.
            _log.handle(_log.makeRecord(_log.name, level, __file__, 0, "request", (), None, extra=values))


def _headers(theirs: Iterable[tuple[bytes, bytes]], own: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers: our ``own`` in place of others, and where it has none those that every answer has."""
    headers = [(name, value) for name, value in theirs if name not in own]
    there = {name for name, _ in headers}
    return [*headers, *own.items(), *(header for header in _HEADERS if header[0] not in there)]


def _request_id(scope: Scope) -> str:
    """Return the id that a client or a proxy gave the request, so that one id finds it in all logs, or a new one."""
    sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]):
        return bytes(sent[0]).decode("ascii")
    return new_request_id()


def new_request_id() -> str:
    """Return an id of ours for a request: one of its own, and nothing that could not be guessed."""
    return f"req_{random.getrandbits(128):032x}"


def _is_local(client: tuple[str, int] | None) -> bool:
    return client is not None and client[0] in LOOPBACK


def _names_us(scope: Scope) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    port = scope["server"][1]
    ours = {name for host in ("127.0.0.1", "localhost", "[::1]") for name in _spellings(host, port)}
    return len(hosts) == 1 and hosts[0].lower() in ours


def _spellings(host: str, port: int) -> tuple[str, ...]:
    # A browser leaves out the port that goes without saying.
    return (host, f"{host}:80") if port == 80 else (f"{host}:{port}",)  # noqa: PLR2004 - HTTP's own port
