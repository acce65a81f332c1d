"""Count tokens in the Response's own fields, over all the rounds of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansard.models.limits import JsonObject

_FIELDS: Final[JsonObject] = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def read_usage(sent: object) -> JsonObject | None:
    """Return the usage of a Response with every field that clients rely on, also where a server leaves some out."""
    return add(_FIELDS, sent) if isinstance(sent, dict) else None


def read_chat_usage(sent: object) -> JsonObject | None:
    """Return the usage of a chat completion in the Response's fields."""
    if not isinstance(sent, dict):
        return None
    read, written = _object(sent, "prompt_tokens_details"), _object(sent, "completion_tokens_details")
    return read_usage(
        {
            "input_tokens": sent.get("prompt_tokens"),
            "input_tokens_details": {"cached_tokens": read.get("cached_tokens")},
            "output_tokens": sent.get("completion_tokens"),
            "output_tokens_details": {"reasoning_tokens": written.get("reasoning_tokens")},
            "total_tokens": sent.get("total_tokens"),
        }
    )


def add(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> JsonObject:
    """Return the sum of two usages, field by field; whatever is no count stays as the first has it."""
    total = dict(one)
    for name, value in (other or {}).items():
        had = total.get(name)
        if isinstance(value, dict):
            total[name] = add(had if isinstance(had, dict) else {}, value)
        elif isinstance(value, int):
            total[name] = value + (had if isinstance(had, int) else 0)
    return total


def _object(holder: JsonObject, name: str) -> JsonObject:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}
