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
                # Those further out look for what was found out about the request, also while its head is sent.
                scope.update({**as_get, "method": "HEAD"})
                await send(message)
                # The answer is complete, so whoever waits for the client to leave hears of it.
                await send({"type": "http.response.body"})

        await self._app(as_get, receive, send_head)
