"""Let pages of other origins call the API, where the operator names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hansard.api.errors import Fault
from hansard.api.middleware import RequestEnvelope

_REMEMBERED_SECONDS: Final = 600
_EXPOSED: Final = (
    "x-request-id",
    "x-should-retry",
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "idempotent-replayed",
)


class Cors(CORSMiddleware):
    """Answer the preflights of browsers, and mark what pages of ``origins`` may read.

    Never with credentials: a page of another origin sends an API key, and our page's cookie stays our page's. That
    is why any header may be sent. It stands outside of `RequestEnvelope`, so that pages can read every error too.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=("*",),
            allow_credentials=False,
            expose_headers=_EXPOSED,
            max_age=_REMEMBERED_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "OPTIONS":
            await super().__call__(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "origin" not in headers or "access-control-request-method" not in headers:
            await super().__call__(scope, receive, send)
            return
        answer = self.preflight_response(headers)
        if answer.status_code >= 400:  # noqa: PLR2004 - the first status of an error
            message = "This origin or method may not be used across origins; see HANSARD_CORS_ORIGINS."
            answer = Fault(403, message, "origin_not_allowed", headers={"vary": "origin"}).response()
        await RequestEnvelope(answer)(scope, receive, send)
