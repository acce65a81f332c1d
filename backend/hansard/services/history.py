"""Shape the part of a conversation that an agent is shown: valid for every model, whatever was cut or broken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from hansard.models.kinds import call_id_of
from hansard.models.limits import JsonObject

INTERRUPTED = "The call was interrupted: it is not known whether it took effect."
_OUTPUT = "_output"
# Three bytes of UTF-8 a token: English has more, most other languages and JSON have less, so the guess is on the
# safe side. An image or a file costs what it shows, not what it weighs.
_BYTES_A_TOKEN = 3
_DATA_URL = "data:"
_DATA_URL_TOKENS = 1500


@dataclass(frozen=True, slots=True)
class Budget:
    """Say how much of the past an agent is shown: the newest items, as many as fit in both.

    Tokens are estimated, the new items counted in.
    """

    items: int = 200
    tokens: int = 100_000


def window(past: Sequence[JsonObject], new: Sequence[JsonObject], *, tokens: int | None = None) -> list[JsonObject]:
    """Return the newest past items that fit and go with each other, followed by the new ones.

    Models refuse the output of a call they were not shown, and a call without output. So an output whose call is
    cut off is left out, a call that the new items answer is never cut off, and a function call nobody answered gets
    an output that says so. The new items are the user's word and stay as they are, however many tokens they are.
    """
    items = [item for item in past if not _is_void(item)]
    if tokens is not None:
        items = _newest(items, new, tokens)
    calls = {call_id_of(item) for item in items if not _is_output(item)}
    kept = [item for item in items if not _is_output(item) or call_id_of(item) in calls]
    answered = Counter(call_id_of(item) for item in (*kept, *new) if _is_output(item))
    return [*_closed(kept, answered), *new]


def tokens_of(item: JsonObject) -> int:
    """Return about how many tokens a model reads in an item."""
    flat, size = 0, 0
    for text in _texts(item):
        if text.startswith(_DATA_URL):
            flat += _DATA_URL_TOKENS
        else:
            size += len(text.encode("utf-8", "surrogatepass"))
    return flat + -(-size // _BYTES_A_TOKEN)


def interrupted_output(call_id: str) -> JsonObject:
    """Return the output of a function call that was broken off."""
    return {"type": "function_call_output", "call_id": call_id, "output": INTERRUPTED, "status": "incomplete"}


def _newest(items: Sequence[JsonObject], new: Sequence[JsonObject], tokens: int) -> list[JsonObject]:
    answered = {call_id_of(item) for item in new if _is_output(item)}
    needed = [_is_call(item) and call_id_of(item) in answered for item in items]
    left = tokens - sum(map(tokens_of, (*new, *compress(items, needed))))
    first = len(items)
    while first > 0 and left >= 0:
        first -= 1
        left -= 0 if needed[first] else tokens_of(items[first])
    # The last one looked at is the first that no longer fits.
    first += left < 0
    return [item for index, item in enumerate(items) if index >= first or needed[index]]


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in an item, names of fields included: they are told as well."""
    ahead = [value]
    while ahead:
        found = ahead.pop()
        if isinstance(found, dict):
            ahead += [*found, *found.values()]
        elif isinstance(found, list):
            ahead += found
        else:
            yield found if isinstance(found, str) else str(found)


def _closed(items: Iterable[JsonObject], answered: Counter[str | None]) -> Iterable[JsonObject]:
    for item in items:
        yield item
        call_id = call_id_of(item) if item.get("type") == "function_call" else None
        if call_id is not None and not answered[call_id]:
            yield interrupted_output(call_id)


def _is_output(item: JsonObject) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind.endswith(_OUTPUT) and call_id_of(item) is not None


def _is_call(item: JsonObject) -> bool:
    return call_id_of(item) is not None and not _is_output(item)


def _is_void(item: JsonObject) -> bool:
    """Say whether an item is the shell of an answer that was cut off before its first word."""
    return item.get("status") == "incomplete" and item.get("content") == []
