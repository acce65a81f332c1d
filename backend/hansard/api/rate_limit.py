"""Limit how many requests a user may make. See docs/decisions/0020-edge.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from throttled import Throttled
from throttled.rate_limiter import RateLimitState
from throttled.store import MemoryStore

from hansard.api.errors import ApiError

# Each costs about 200 bytes. Beyond, whoever has been away longest is forgotten, and begins anew.
_MOST_USERS: Final = 100_000
_SECONDS_OF_MINUTE: Final = 60


class RateLimit:
    """Count the requests of each user, in the memory of this process.

    ``quota`` is such as ``600/minute`` or ``600/minute burst 20``: what has been used up comes back evenly, not all
    at once at the turn of a minute.
    """

    def __init__(self, quota: str) -> None:
        store = MemoryStore(options={"MAX_SIZE": _MOST_USERS})
        self._throttled = Throttled(using="gcra", quota=quota, store=store)

    def count(self, user_id: str) -> Mapping[str, str]:
        """Count a request and return the headers that tell what is left; raises `ApiError` 429 when nothing is."""
        result = self._throttled.limit(user_id)
        headers = _headers(result.state)
        if result.limited:
            raise _limited(result.state.retry_after, headers)
        return headers


def _headers(state: RateLimitState) -> dict[str, str]:
    # OpenAI's names and spelling.
    return {
        "x-ratelimit-limit-requests": str(state.limit),
        "x-ratelimit-remaining-requests": str(state.remaining),
        "x-ratelimit-reset-requests": spell_duration(state.reset_after),
    }


def _limited(seconds: float, headers: Mapping[str, str]) -> ApiError:
    milliseconds = math.ceil(seconds * 1000)
    message = f"Rate limit reached for requests. Please try again in {spell_duration(seconds)}."
    waiting = {"retry-after": str(math.ceil(milliseconds / 1000)), "retry-after-ms": str(milliseconds)}
    return ApiError(message, status=429, code="rate_limit_exceeded", retry=True, headers={**headers, **waiting})


def spell_duration(seconds: float) -> str:
    """Return a duration as OpenAI's headers spell it: ``120ms``, ``2s``, ``6m0s``, never shorter than it is."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), _SECONDS_OF_MINUTE)
    hours, minutes = divmod(minutes, _SECONDS_OF_MINUTE)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"
