"""Put the rounds of an answer in one row: number the items, and remember them for the next round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hansard.agents.grammar import ADDED, DONE, HOLDS, NEEDS, PLACES
from hansard.agents.protocol import Event
from hansard.agents.upstream.failure import AnswerFailed
from hansard.models.limits import JsonObject

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {**NEEDS, "function_call": (*NEEDS["function_call"], "arguments")}
# Often null where an item begins with nothing in it; what is added later has to go somewhere.
_EMPTY: Final[JsonObject] = {"content": [], "summary": [], "arguments": "", "input": "", "code": ""}


class Record:
    """Be what was said so far in an answer.

    An upstream counts its items from 0 in every round, and some do not count at all: a number that comes again after
    its item has ended means a new item.
    """

    def __init__(self) -> None:
        self.items: list[JsonObject] = []
        self._count = 0
        self._open: dict[int, int] = {}
        self._ended: set[int] = set()

    def begin_round(self) -> None:
        """Let the upstream count from 0 again; items that it left open stay so."""
        self._open, self._ended = {}, set()

    def take(self, event: Event) -> Iterator[Event]:
        """Yield what the event means in the answer; raises `AnswerFailed` for one that makes no sense."""
        _check(event)
        kind, index = event["type"], event.get("output_index")
        if index is None:
            yield event
        elif kind == ADDED:
            yield self._begin(index, event)
        elif kind == DONE:
            if index not in self._open:
                yield self._begin(index, {**event, "type": ADDED})
            yield self._end(index, event)
        elif index in self._open:
            yield {**event, "output_index": self._open[index]}
        elif index not in self._ended:
            raise _nonsense("speaks of an item that has not begun")

    def say(self, item: JsonObject) -> Iterator[Event]:
        """Yield the events of an item of our own."""
        index = self._next()
        self.items.append(item)
        yield {"type": ADDED, "output_index": index, "item": item}
        yield {"type": DONE, "output_index": index, "item": item}

    def _begin(self, index: int, event: Event) -> Event:
        if index in self._open:
            raise _nonsense("begins an item twice")
        item = {name: _addable(name, value) for name, value in event["item"].items()}
        if item["type"] == "function_call":
            item.setdefault("arguments", "")
        self._open[index] = self._next()
        return {**event, "output_index": self._open[index], "item": _whole(item, status="in_progress")}

    def _end(self, index: int, event: Event) -> Event:
        item = _whole(event["item"], status="completed")
        self.items.append(item)
        self._ended.add(index)
        return {**event, "output_index": self._open.pop(index), "item": item}

    def _next(self) -> int:
        self._count += 1
        return self._count - 1


def _check(event: Event) -> None:
    for name in PLACES:
        if not isinstance(event.get(name, 0), int):
            raise _nonsense(f"has a {name} that is no number")
    if event["type"] not in HOLDS:
        return
    name, kind = HOLDS[event["type"]]
    if not isinstance(event.get(name), kind) or "output_index" not in event:
        raise _nonsense("is not whole")
    if name == "item" and not isinstance(event["item"].get("type"), str):
        raise _nonsense("has an item without a type")
    if name == "part" and not (_index_of(event) in event and _is_textual(event["part"])):
        raise _nonsense("has a part that is not whole")


def _index_of(event: Event) -> str:
    return "summary_index" if event["type"].startswith("response.reasoning_summary") else "content_index"


def _is_textual(part: JsonObject) -> bool:
    return all(isinstance(part.get(name, ""), str) for name in ("text", "refusal"))


def _addable(name: str, value: Any) -> Any:
    empty = _EMPTY.get(name, value)
    return value if isinstance(value, type(empty)) else empty


def _whole(item: JsonObject, *, status: str) -> JsonObject:
    """Return the item when it has what everybody relies on."""
    needs = _NEEDS.get(item["type"], ())
    if not all(isinstance(item.get(name), str) for name in needs):
        raise _nonsense(f"has a {item['type']} that is not whole")
    return {**item, "status": status} if needs and not isinstance(item.get("status"), str) else item


def _nonsense(what: str) -> AnswerFailed:
    return AnswerFailed(f"The model's server sent an event that {what}.")
