"""Serve the sign-in of the embedded server: a code for a cookie."""

from __future__ import annotations

from typing import Final, cast

from fastapi import APIRouter, Request, Response

from hansard.api.answers import JsonAnswer
from hansard.api.bodies import check_known, missing, read_body, wrong_type
from hansard.api.openapi import body_of, describes
from hansard.api.sign_in import LOCAL_USER, SESSION_TTL, LocalSessions
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Session"])

_BODY_BYTES: Final = 4096
_FIELDS: Final = frozenset({"code"})


@router.post(
    "/auth/session",
    operation_id="createSession",
    summary="Sign in with a login code",
    responses=describes("User", refuses=[401]),
    openapi_extra=body_of("SignIn"),
)
async def create_session(request: Request) -> Response:
    """Trade a login URL's code, good once and for five minutes, for the page's cookie."""
    body = await read_body(request, limit=_BODY_BYTES)
    check_known(body, known=_FIELDS)
    if "code" not in body:
        raise missing("code")
    if not isinstance(body["code"], str):
        raise wrong_type(body["code"], param="code", expected="a string")
    sessions = cast("LocalSessions", request.app.state.sessions)
    answer = JsonAnswer(write_json({"user_id": LOCAL_USER}))
    answer.set_cookie(
        sessions.cookie,
        await sessions.redeem(body["code"]),
        max_age=int(SESSION_TTL.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
    )
    return answer
