"""Answer HEAD wherever GET is answered: those who watch a service, proxies and browsers may ask for the head alone."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Serve HEAD as GET and send its head; what would follow is not sent, a stream ends there (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                _tell(scope, as_get)
                await send(message)
                # The answer is complete, so whoever waits for the client to leave hears of it.
                await send({"type": "http.response.body"})

        try:
            await self._app(as_get, receive, send_head)
        finally:
            _tell(scope, as_get)


def _tell(scope: Scope, as_get: Scope) -> None:
    # Those further out look for what was found out about the request: while its head is sent, and when it failed.
    scope.update({**as_get, "method": "HEAD"})
