"""Refuse to be asked by ourselves, by way of an upstream that leads back here."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from hansard.agents.upstream import via
from hansard.api.errors import ApiError

_LOOP_DETECTED = 508
_HEADER = via.HEADER.encode("ascii")


class NoCircles:
    """Refuse requests that have come through this process already; ``name`` is what its own requests carry.

    Otherwise one question would ask itself without end.
    """

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == _HEADER]
        names = via.names_in(b", ".join(sent).decode("latin-1")) if sent else ()
        if self._name in names:
            message = "The upstream of this server leads back to this server."
            refusal = ApiError(message, status=_LOOP_DETECTED, code=via.REFUSED).fault.response()
            await refusal(scope, receive, send)
            return
        with via.coming_through(names):
            await self._app(scope, receive, send)
