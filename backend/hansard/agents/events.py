"""Spell the events of the output items that agents make most: text, calls of functions and their outputs."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from itertools import count

from hansard.agents.protocol import Event
from hansard.models.limits import JsonObject
from hansard.models.verbatim import message_item


class Answer:
    """Number the items of one answer and spell their events."""

    def __init__(self) -> None:
        self._indexes = count()

    def item(self, item: JsonObject) -> Iterator[Event]:
        """Yield the events of an item that is complete at once."""
        index = next(self._indexes)
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}

    async def message(self, pieces: AsyncIterable[str]) -> AsyncIterator[Event]:
        """Yield the events of a message of the assistant, whose text comes in pieces."""
        item_at: Event = {"output_index": next(self._indexes)}
        part_at: Event = {**item_at, "content_index": 0}
        opened = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", **item_at, "item": opened}
        yield {"type": "response.content_part.added", **part_at, "part": _text_part("")}
        texts: list[str] = []
        async for piece in pieces:
            texts.append(piece)
            yield {"type": "response.output_text.delta", **part_at, "delta": piece, "logprobs": []}
        text = "".join(texts)
        yield {"type": "response.output_text.done", **part_at, "text": text, "logprobs": []}
        yield {"type": "response.content_part.done", **part_at, "part": _text_part(text)}
        closed = message_item("assistant", "completed", text)
        yield {"type": "response.output_item.done", **item_at, "item": closed}

    def call(self, *, call_id: str, name: str, arguments: str) -> Iterator[Event]:
        """Yield the events of a function call; ``arguments`` is JSON text."""
        item_at: Event = {"output_index": next(self._indexes)}
        call = {"type": "function_call", "call_id": call_id, "name": name}
        yield {
            "type": "response.output_item.added",
            **item_at,
            "item": {**call, "arguments": "", "status": "in_progress"},
        }
        yield {"type": "response.function_call_arguments.delta", **item_at, "delta": arguments}
        yield {"type": "response.function_call_arguments.done", **item_at, "arguments": arguments}
        yield {
            "type": "response.output_item.done",
            **item_at,
            "item": {**call, "arguments": arguments, "status": "completed"},
        }

    def call_output(self, *, call_id: str, output: str) -> Iterator[Event]:
        """Yield the events of what a function answered."""
        return self.item({"type": "function_call_output", "call_id": call_id, "output": output, "status": "completed"})


def _text_part(text: str) -> JsonObject:
    part: JsonObject = message_item("assistant", "completed", text)["content"][0]
    return part
