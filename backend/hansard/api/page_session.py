"""Let the page in where another application signs people in: it hands their token over in a cookie.

The cookie is the same token that programs send as a bearer, so nothing is stored here and it ends when the token
does. It counts for requests of our own page alone.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from hansard.api.answers import JsonAnswer
from hansard.api.auth import Identity, Verifier
from hansard.api.deps import CurrentUser
from hansard.api.openapi import describes
from hansard.api.sign_in import from_our_page
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Session"])


class TokenCookie:
    """Read a user's token from the cookie of this name."""

    def __init__(self, verifier: Verifier, *, name: str) -> None:
        self._verifier = verifier
        self._name = name

    async def identity(self, request: Request) -> Identity | None:
        """Return who asks, or ``None`` without a cookie of our page; raises `ApiError` 401 for a bad or late token."""
        token = request.cookies.get(self._name)
        if token is None or not from_our_page(request):
            return None
        return await self._verifier.identity(token)


@router.get("/auth/user", operation_id="getUser", summary="Who is signed in?", responses=describes("User"))
async def get_user(user_id: CurrentUser) -> Response:
    """Return the user of this request's token or cookie."""
    return JsonAnswer(write_json({"user_id": user_id}))
