"""Describe the headers of answers, and know which answers have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hansard.api.idempotency import HEADER, REPLAYED

# Whether they are there depends on a setting.
LIMITS: Final = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")

HEADERS: Final[Mapping[str, dict[str, Any]]] = {
    "x-request-id": {
        "description": "The id of this request: the one that was sent, where it can be one. It stands in the log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
    },
    "x-should-retry": {
        "description": "Whether the same request can succeed later; the official SDKs go by it.",
        "required": True,
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
    "retry-after": {"description": "Seconds to wait before trying again.", "schema": {"type": "string"}},
    "retry-after-ms": {"description": "The same in milliseconds.", "schema": {"type": "string"}},
    REPLAYED: {
        "description": "The request with this key was done before, and this is its answer of then.",
        "schema": {"type": "string", "const": "true"},
    },
    LIMITS[0]: {
        "description": "How many requests the user may make, where a limit is set.",
        "schema": {"type": "string"},
    },
    LIMITS[1]: {"description": "How many of them are left.", "schema": {"type": "string"}},
    LIMITS[2]: {"description": "When all are there again, such as `6m0s`.", "schema": {"type": "string"}},
}


def answered_with(operation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the headers that an operation's answers can have."""
    yield "x-request-id"
    if takes_key(operation):
        yield REPLAYED
    if "security" in operation:
        yield from LIMITS


def takes_key(operation: Mapping[str, Any]) -> bool:
    """Say whether an operation writes, once for each ``Idempotency-Key``; its body is read for that, if one is sent."""
    return any(parameter["name"] == HEADER for parameter in operation.get("parameters", ()))
