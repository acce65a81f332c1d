"""Understand a server that answers with anything but 200: wait and ask again, or tell the user why not."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from hansard.agents.upstream import via
from hansard.agents.upstream.failure import (
    INVALID_PROMPT,
    RATE_LIMITED,
    SERVER_ERROR,
    AnswerFailed,
    EndpointMissing,
)

LONGEST_PAUSE: Final = 30.0
MOST_RETRIES: Final = 2

_MOST_BYTES: Final = 64 * 1024
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_NO_SUCH_API: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
# Only what is wrong with the request is told in the server's own words; the rest is the operator's business.
_ABOUT_THE_REQUEST: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)


def pause_before_retry(response: httpx.Response, attempt: int) -> float | None:
    """Return how long a busy server wants us to wait, in seconds, or ``None`` when asking again is no use."""
    headers = response.headers
    if response.status_code not in _BUSY or attempt >= MOST_RETRIES or headers.get("x-should-retry") == "false":
        return None
    pause = _asked_for(headers)
    if pause is None:
        # Without a word of the server's only the status that means "later" is worth another try.
        return 2.0**attempt if response.status_code == HTTPStatus.TOO_MANY_REQUESTS else None
    return pause if pause <= LONGEST_PAUSE else None


async def read_refusal(response: httpx.Response) -> AnswerFailed:
    """Return what to tell the user of an answer that is an error."""
    error, status = await _read_error(response), response.status_code
    if error.get("code") == via.REFUSED:
        return AnswerFailed("This service is set up as its own model's server; its operator has to correct that.")
    if status in _NO_SUCH_API:
        if error.get("param") == "model" or error.get("code") == "model_not_found":
            return AnswerFailed("The model's server does not have this model.")
        return EndpointMissing(f"The model's server does not have this API, or not this model ({status}).")
    if status in _ABOUT_THE_REQUEST:
        reason = f"The model's server refused the request ({status})."
        return AnswerFailed(reason, said=error.get("message"), code=INVALID_PROMPT)
    return AnswerFailed(_reason(status), code=RATE_LIMITED if status in _BUSY else SERVER_ERROR)


def _reason(status: int) -> str:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"The model's server does not accept this service's key ({status})."
    if status in _BUSY:
        return f"The model's server is too busy; try again later ({status})."
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The model's server answered with a redirect, which is not followed ({status})."
    return f"The model's server answered with an error ({status})."


def _asked_for(headers: httpx.Headers) -> float | None:
    milliseconds, seconds = _number(headers.get("retry-after-ms")), _number(headers.get("retry-after"))
    if milliseconds is not None:
        return milliseconds / 1000
    if seconds is not None:
        return seconds
    try:
        at = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(number) else max(0.0, number)


async def _read_error(response: httpx.Response) -> dict[str, Any]:
    body = b""
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                return {}
        sent = json.loads(body)
    except (httpx.HTTPError, ValueError, RecursionError):
        return {}
    error = sent.get("error", sent) if isinstance(sent, dict) else {}
    return error if isinstance(error, dict) else {"message": error}
