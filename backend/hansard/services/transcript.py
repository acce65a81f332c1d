"""Write down what an agent says: number the events, name the items, keep what must be stored.

The events become those of the Responses API, and the items what they add up to, also where the agent was
interrupted in the middle of a word.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import UUID

from hansard.agents.protocol import Event
from hansard.models.kinds import prefix_of
from hansard.models.limits import JsonObject
from hansard.models.verbatim import json_size
from hansard.services.channel import MAKER_ID
from hansard.services.history import interrupted_output
from hansard.utils.ids import mint

# Where the text of a delta belongs: the list of parts and the index within it that the event names, the field.
_DELTAS: dict[str, tuple[str, str, str]] = {
    "response.output_text.delta": ("content", "content_index", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "text"),
    "response.function_call_arguments.delta": ("", "", "arguments"),
    "response.mcp_call_arguments.delta": ("", "", "arguments"),
    "response.custom_tool_call_input.delta": ("", "", "input"),
    "response.code_interpreter_call_code.delta": ("", "", "code"),
}
_PARTS = {
    "response.content_part.added": ("content", "content_index"),
    "response.reasoning_summary_part.added": ("summary", "summary_index"),
}
# What an item that is cut off has beside what was said: its status, the names of its lists and texts.
_ROOM: Final = 512
# A part stands in a list; the pieces of a text are stored as one, so those of each do not count.
_COMMA: Final = 1
_QUOTES: Final = 2
# These types have another word for an end that was none.
_CUT_OFF = {"image_generation_call": "failed", "web_search_call": "failed"}


class ItemTooLarge(ValueError):
    """Say that an item would become larger than can be stored; what was said of it before is not."""


class OutputItem(NamedTuple):
    """Hold an item to store: the 24 bytes of its id, and the item as the agent made it."""

    public_id: bytes
    item: JsonObject


class Transcript:
    """Be the record of one answer.

    ``response`` is the id of the response that it is for, ``first`` the number of the first event, ``item_limit`` how
    many bytes of JSON an item may have.
    """

    def __init__(self, response: UUID | None = None, *, first: int = 0, item_limit: int = sys.maxsize) -> None:
        self._response = response
        self._item_limit = item_limit
        self._numbers = count(first)
        self._items: dict[int, _Item] = {}

    @property
    def output(self) -> list[OutputItem]:
        """Return the items so far, by output index; those not ended yet are incomplete."""
        return [OutputItem(item.public_id, item.current()) for _, item in sorted(self._items.items())]

    @property
    def view(self) -> list[JsonObject]:
        """Return the items so far as clients see them."""
        return [item_view(item.id, item.current()) for _, item in sorted(self._items.items())]

    def take(self, event: Event) -> Event:
        """Return the event as it is published.

        Raises `ValueError` for an event that breaks the protocol of agents, and `ItemTooLarge`, before anything of the
        event is noted.
        """
        index = event.get("output_index")
        published = dict(event) if index is None else self._about_item(event, index)
        return self.number(published)

    def recall(self, event: Event) -> None:
        """Take in an event as it was published, by an earlier record of the same answer."""
        index = event.get("output_index")
        if index is None:
            return
        if event["type"] == "response.output_item.added":
            id_ = event["item"]["id"]
            self._items[index] = _Item(bytes.fromhex(id_.rpartition("_")[2]), id_, _as_made(event))
        elif "item" in event:
            self._known(index).take({**event, "item": _as_made(event)})
        else:
            self._known(index).take(event)

    def number(self, event: Event) -> Event:
        """Return the event with the next sequence number."""
        return {**event, "sequence_number": next(self._numbers)}

    def settle(self, own_tools: Collection[str]) -> Iterator[Event]:
        """Yield the events that end an answer which was interrupted.

        Open items end as incomplete, and calls of our own tools without an output get one, because nobody else
        will answer them.
        """
        for index, item in sorted(self._items.items()):
            if not item.ended:
                yield self.take(_done(index, item.current()))
        said = [item.current() for _, item in sorted(self._items.items())]
        answered = {item["call_id"] for item in said if item["type"] == "function_call_output"}
        for call in said:
            if call["type"] != "function_call" or call["call_id"] in answered:
                continue
            if call.get("status") == "incomplete" or call["name"] in own_tools:
                index, output = len(self._items), interrupted_output(call["call_id"])
                yield self.take({"type": "response.output_item.added", "output_index": index, "item": output})
                yield self.take(_done(index, output))

    def _about_item(self, event: Event, index: int) -> Event:
        kind = event["type"]
        if kind == "response.output_item.added":
            item = self._open(index, event["item"])
        else:
            item = self._known(index)
            item.take(event)
        if "item" in event:
            return {**event, "item": item_view(item.id, event["item"])}
        return {**event, "item_id": item.id}

    def _open(self, index: int, item: JsonObject) -> _Item:
        if index in self._items:
            raise ValueError(f"output item {index} begins a second time")
        # An agent may begin its items in another order; then nobody knows yet how many will stand before this one.
        in_order = index == len(self._items) == max(self._items, default=-1) + 1
        public_id = mint(self._response, index if in_order else None)
        opened = _Item(public_id, f"{prefix_of(item['type'])}_{public_id.hex()}", item, limit=self._item_limit)
        self._items[index] = opened
        return opened

    def _known(self, index: int) -> _Item:
        known = self._items.get(index)
        if known is None or known.ended:
            raise ValueError(f"output item {index} has no open beginning")
        return known


class _Item:
    """Gather one item while it is being said."""

    def __init__(self, public_id: bytes, id_: str, item: JsonObject, *, limit: int = sys.maxsize) -> None:
        self.public_id = public_id
        self.id = id_
        self.ended = False
        self._item = item
        self._limit = limit
        self._size = _ROOM
        self._grow(json_size(item))
        self._parts: dict[tuple[str, int], JsonObject] = {}
        # Pieces, joined only when asked for: adding each to the text before it would copy the text each time.
        self._pieces: dict[tuple[str, int, str], list[str]] = {}

    def take(self, event: Event) -> None:
        """Note what an event says about the item."""
        kind = event["type"]
        if kind == "response.output_item.done":
            if json_size(event["item"]) > self._limit:
                raise ItemTooLarge
            self.ended, self._item = True, event["item"]
            self._parts, self._pieces = {}, {}
        elif kind in _PARTS:
            self._grow(json_size(event["part"]) + _COMMA)
            parts, index = _PARTS[kind]
            self._parts[parts, event[index]] = event["part"]
        elif kind in _DELTAS:
            self._grow(json_size(event["delta"]) - _QUOTES)
            parts, index, field = _DELTAS[kind]
            self._pieces.setdefault((parts, event.get(index, 0), field), []).append(event["delta"])

    def current(self) -> JsonObject:
        """Return the item as far as it was said."""
        if self.ended:
            return self._item
        item: JsonObject = {**self._item, "status": _CUT_OFF.get(self._item["type"], "incomplete")}
        parts = {place: dict(part) for place, part in self._parts.items()}
        for (list_name, index, field), pieces in self._pieces.items():
            text = "".join(pieces)
            holder: dict[str, Any] = parts.setdefault((list_name, index), {}) if list_name else item
            holder[field] = holder.get(field, "") + text
        for (list_name, _), part in sorted(parts.items(), key=lambda entry: entry[0]):
            item[list_name] = [*item.get(list_name, ()), part]
        return item

    def _grow(self, size: int) -> None:
        if self._size + size > self._limit:
            raise ItemTooLarge
        self._size += size


def _done(index: int, item: JsonObject) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def item_view(id_: str, item: JsonObject) -> JsonObject:
    """Return an item as clients see it: under our id, whatever its maker called it."""
    return {"id": id_, **_without_id(item)}


def _as_made(event: Event) -> JsonObject:
    made_as = event.get(MAKER_ID)
    return {**({} if made_as is None else {"id": made_as}), **_without_id(event["item"])}


def _without_id(item: JsonObject) -> JsonObject:
    return {key: value for key, value in item.items() if key != "id"}
