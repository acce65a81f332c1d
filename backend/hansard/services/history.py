"""Shape the part of a conversation that an agent is shown: valid for every model, whatever was cut or broken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hansard.models.limits import JsonObject

INTERRUPTED = "The call was interrupted: it is not known whether it took effect."
_OUTPUT = "_output"


def window(past: Sequence[JsonObject], new: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the past items that go with each other, followed by the new ones.

    Models refuse the output of a call they were not shown, and a call without output. So an output whose call is
    cut off is left out, and a function call nobody answered gets an output that says so. The new items are the
    user's word and stay as they are.
    """
    items = [item for item in past if not _is_void(item)]
    calls = {item.get("call_id") for item in items if not _is_output(item)}
    kept = [item for item in items if not _is_output(item) or item.get("call_id") in calls]
    answered = Counter(item.get("call_id") for item in (*kept, *new) if _is_output(item))
    return [*_closed(kept, answered), *new]


def interrupted_output(call_id: object) -> JsonObject:
    """Return the output of a function call that was broken off."""
    return {"type": "function_call_output", "call_id": call_id, "output": INTERRUPTED, "status": "incomplete"}


def _closed(items: Iterable[JsonObject], answered: Counter[object]) -> Iterable[JsonObject]:
    for item in items:
        yield item
        if item.get("type") == "function_call" and not answered[item.get("call_id")]:
            yield interrupted_output(item.get("call_id"))


def _is_output(item: JsonObject) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind.endswith(_OUTPUT) and item.get("call_id") is not None


def _is_void(item: JsonObject) -> bool:
    """Say whether an item is the shell of an answer that was cut off before its first word."""
    return item.get("status") == "incomplete" and item.get("content") == []
