"""Know which errors an operation can answer with, by what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hansard.api.headers import LIMITS, takes_key


class Refusal(NamedTuple):
    """Describe an error: its name in the document, when it is answered, and headers beyond those of every error."""

    name: str
    description: str
    headers: tuple[str, ...] = ()


REFUSALS: Final[Mapping[int, Refusal]] = {
    400: Refusal(
        "BadRequest", "The request cannot be accepted, or does not fit what is stored; `param` and `code` say why."
    ),
    401: Refusal("Unauthorized", "No API key, or one that is not valid."),
    403: Refusal("Forbidden", "The user of the API key is not known here and may not be made."),
    404: Refusal("NotFound", "There is no such thing, or it is somebody else's: the two look alike."),
    408: Refusal("RequestTimeout", "The request body took too long to arrive."),
    413: Refusal("BodyTooLarge", "The request body is beyond the limit, which the message names."),
    415: Refusal("UnsupportedMediaType", "The request body is not JSON, or is compressed."),
    421: Refusal("MisdirectedRequest", "The request names another host than this machine."),
    429: Refusal(
        "TooManyRequests",
        "The user's rate limit is reached, where one is set.",
        ("retry-after", "retry-after-ms", *LIMITS),
    ),
    500: Refusal("ServerError", "The server had an error; the request id finds it in the log."),
    503: Refusal(
        "Unavailable",
        "The service cannot answer now: no database, no keys to verify tokens with, it took too long or is being "
        "stopped. `x-should-retry` says whether to try again.",
        ("retry-after",),
    ),
}


def refusals_of(operation: Mapping[str, Any], path: str, *, embedded: bool) -> set[int]:
    """Return the statuses of the errors that follow from what an operation takes; it may name others itself."""
    found = {500, 503}
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    reads_body = "requestBody" in operation or takes_key(operation)
    if reads_body or places & {"query", "header"}:
        found.add(400)
    if reads_body:
        found |= {408, 413, 415}
    if "security" in operation:
        found |= {401, 429}
    if takes_key(operation):
        # The first thing that a user writes makes the user.
        found.add(403)
    if "{" in path:
        found.add(404)
    if embedded:
        found.add(421)
    return found
