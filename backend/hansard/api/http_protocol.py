"""Bound what a request may send beside its body, whoever sends it. See docs/decisions/0020-edge.md.

The parser in C takes a request line, headers, trailers and chunk extensions of any length, and keeps them all: before
anybody knows who asks, a stranger could fill the memory of the process. The parser in Python has a bound of its own.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

from hansard.api.errors import Fault
from hansard.api.logs import REQUESTS
from hansard.api.middleware import HEADERS, new_request_id

if TYPE_CHECKING:
    from asyncio import Protocol

_log = logging.getLogger(REQUESTS)

# As h11 has it; most proxies allow less.
HEAD_BYTES: Final = 64 * 1024

_TOO_LARGE: Final = Fault(
    431, f"The request line and headers are too large; the limit is {HEAD_BYTES} bytes.", "request_head_too_large"
)
_INVALID: Final = Fault(400, "This is no HTTP request that can be understood.", "invalid_http")


def http_protocol() -> type[Protocol] | Literal["h11"]:
    """Return what uvicorn is to read requests with: the parser in C where it is installed."""
    return "h11" if find_spec("httptools") is None else _bounded()


def _bounded() -> type[Protocol]:
    from hansard.api.bounded_http import BoundedHttp  # noqa: PLC0415 - what it is made of may be missing

    return BoundedHttp


def refusal(*, too_large: bool) -> bytes:
    """Return the whole answer to what is no request, as it goes over the wire; the connection ends with it.

    It gets no further than this, so what `hansard.api.middleware` does for requests is done here.
    """
    answer = (_TOO_LARGE if too_large else _INVALID).response()
    request_id = new_request_id()
    answer.headers.update({**HEADERS, "x-request-id": request_id, "connection": "close"})
    _log.info("no request", extra={"request_id": request_id, "status": answer.status_code})
    head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
    reason = b"Request Header Fields Too Large" if too_large else b"Bad Request"
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (answer.status_code, reason, head, bytes(answer.body))
