"""Spell items that come in pieces as events of the Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from hansard.agents.protocol import Event
from hansard.models.limits import JsonObject

Channel: TypeAlias = Literal["thought", "text", "refusal"]
Status: TypeAlias = Literal["completed", "incomplete"]


class Item(Protocol):
    """Be an item that has begun."""

    def end(self, status: Status) -> Iterator[Event]:
        """Yield the events that end it."""


class _Form(NamedTuple):
    """Say how a part of text is spelled: its events, its field, and what else it holds."""

    events: str
    field: str
    part: JsonObject
    extra: JsonObject


_FORMS: Final[dict[Channel, _Form]] = {
    "thought": _Form("response.reasoning_text", "text", {"type": "reasoning_text"}, {}),
    "text": _Form(
        "response.output_text", "text", {"type": "output_text", "annotations": [], "logprobs": []}, {"logprobs": []}
    ),
    "refusal": _Form("response.refusal", "refusal", {"type": "refusal"}, {}),
}


class SpokenText:
    """Be a message, or what the model thinks before it: parts of text, one after the other."""

    def __init__(self, index: int, *, thought: bool) -> None:
        self._at: Event = {"output_index": index}
        self._head: JsonObject = (
            {"type": "reasoning", "summary": []} if thought else {"type": "message", "role": "assistant"}
        )
        self._channel: Channel | None = None
        self._pieces: list[str] = []
        self._parts: list[JsonObject] = []

    def begin(self) -> Iterator[Event]:
        """Yield the event that begins it."""
        item = {**self._head, "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", **self._at, "item": item}

    def add(self, channel: Channel, piece: str) -> Iterator[Event]:
        """Yield the events of more text."""
        if channel != self._channel:
            yield from self._end_part()
            self._channel = channel
            yield {"type": "response.content_part.added", **self._place(), "part": _part(channel, "")}
        self._pieces.append(piece)
        form = _FORMS[channel]
        yield {"type": f"{form.events}.delta", **self._place(), "delta": piece, **form.extra}

    def end(self, status: Status) -> Iterator[Event]:
        """Yield the events that end it."""
        yield from self._end_part()
        item = {**self._head, "status": status, "content": self._parts}
        yield {"type": "response.output_item.done", **self._at, "item": item}

    def _end_part(self) -> Iterator[Event]:
        if self._channel is None:
            return
        form, text = _FORMS[self._channel], _joined(self._pieces)
        part = _part(self._channel, text)
        yield {"type": f"{form.events}.done", **self._place(), form.field: text, **form.extra}
        yield {"type": "response.content_part.done", **self._place(), "part": part}
        self._parts.append(part)
        self._channel, self._pieces = None, []

    def _place(self) -> Event:
        return {**self._at, "content_index": len(self._parts)}


class SpokenCall:
    """Be the call of a function, whose arguments come in pieces."""

    def __init__(self, index: int, *, call_id: str, name: str) -> None:
        self.call_id = call_id
        self._at: Event = {"output_index": index}
        self._head: JsonObject = {"type": "function_call", "call_id": call_id, "name": name}
        self._pieces: list[str] = []

    def begin(self) -> Iterator[Event]:
        """Yield the event that begins it."""
        item = {**self._head, "arguments": "", "status": "in_progress"}
        yield {"type": "response.output_item.added", **self._at, "item": item}

    def add(self, piece: str) -> Iterator[Event]:
        """Yield the event of more arguments."""
        self._pieces.append(piece)
        yield {"type": "response.function_call_arguments.delta", **self._at, "delta": piece}

    def end(self, status: Status) -> Iterator[Event]:
        """Yield the events that end it."""
        arguments = _joined(self._pieces)
        item = {**self._head, "arguments": arguments, "status": status}
        yield {"type": "response.function_call_arguments.done", **self._at, "arguments": arguments}
        yield {"type": "response.output_item.done", **self._at, "item": item}


def _part(channel: Channel, text: str) -> JsonObject:
    form = _FORMS[channel]
    # In the order in which plain messages are kept without a copy of their JSON.
    return {"type": form.part["type"], form.field: text, **form.part}


def _joined(pieces: Sequence[str]) -> str:
    """Return the text; a character that was cut between its two surrogates is one again."""
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
