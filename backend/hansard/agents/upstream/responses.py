"""Speak the Responses API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from hansard.agents.protocol import Event, Outcome, Tool
from hansard.agents.upstream.dialect import DONE, OURS, Ask, read_event
from hansard.agents.upstream.failure import AnswerFailed, ended_by
from hansard.agents.upstream.usage import read_usage
from hansard.models.limits import JsonObject

_ABOUT_THE_RESPONSE: Final = frozenset(
    {"response.created", "response.queued", "response.in_progress", "keepalive", "ping"}
)
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
# An id of these means "what you keep under it", and nothing is kept: they are told in full.
_NEED_NO_ID: Final = frozenset(
    {"message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)


class Responses:
    """Ask by ``POST /responses``.

    Nothing is kept over there (``store`` is false): what the model needs to remember is sent along.
    """

    path = "responses"

    def body(self, ask: Ask) -> JsonObject:
        """Return the request."""
        parameters = {name: value for name, value in ask.parameters.items() if name not in OURS}
        if ask.tools:
            parameters["tools"] = [*(parameters.get("tools") or ()), *map(_function, ask.tools)]
        return {"model": ask.model, "input": input_items(ask.items), "stream": True, "store": False, **parameters}

    def reader(self) -> ResponsesReader:
        """Return the reader of a new stream."""
        return ResponsesReader()


class ResponsesReader:
    """Pass on the events about items, and read how the response ended."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.is_over = False
        self._said_nothing = True

    def take(self, data: str) -> Iterator[Event]:
        """Yield the event, unless it is about the response as a whole."""
        if data == DONE:
            return
        event = read_event(data)
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            raise ended_by(event.get("error") or event)
        if not isinstance(kind, str):
            raise AnswerFailed("The model's server sent an event without a type.")
        if kind in _ENDS:
            response = event.get("response")
            yield from self._end(kind, response if isinstance(response, dict) else {})
        elif kind not in _ABOUT_THE_RESPONSE:
            self._said_nothing = False
            yield event

    def _end(self, kind: str, response: JsonObject) -> Iterator[Event]:
        self.is_over = True
        if self._said_nothing:
            # Servers that do not stream their items name them only here.
            output = response.get("output")
            for index, item in enumerate(output if isinstance(output, list) else ()):
                yield {"type": "response.output_item.done", "output_index": index, "item": item}
        usage = read_usage(response.get("usage"))
        if kind == "response.completed":
            self.outcome = Outcome("completed", usage=usage)
        elif kind == "response.incomplete":
            why = response.get("incomplete_details")
            self.outcome = Outcome("incomplete", usage=usage, incomplete_details=why if isinstance(why, dict) else None)
        else:
            failure = ended_by(response.get("error"))
            self.outcome = Outcome.failed(str(failure), code=failure.code, usage=usage)


def input_items(items: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the items as a server takes them that has never seen any of them."""
    telling = [item for item in items if item.get("type") != "reasoning" or _can_be_told(item)]
    return [_input_item(item) for item in _without_loose_thoughts(telling)]


def _without_loose_thoughts(items: Sequence[JsonObject]) -> Iterable[JsonObject]:
    """Leave out reasoning that led to nothing, because it broke off there: servers refuse it."""
    for item, following in pairwise([*items, {"role": "user"}]):
        if item.get("type") != "reasoning" or not _begins_something_else(following):
            yield item


def _begins_something_else(item: JsonObject) -> bool:
    kind = item.get("type", "message")
    return item.get("role") != "assistant" if kind == "message" else str(kind).endswith("_output")


def _can_be_told(reasoning: JsonObject) -> bool:
    return bool(reasoning.get("id") and (reasoning.get("encrypted_content") or reasoning.get("content")))


def _input_item(item: JsonObject) -> JsonObject:
    if item.get("type", "message") not in _NEED_NO_ID:
        return item
    told = {name: value for name, value in item.items() if name != "id"}
    text = _words(item) if item.get("role") == "assistant" else None
    if text is None:
        return told
    # By its schema an output message has an id. What an assistant said can also be told like anybody else's words.
    phase = {"phase": item["phase"]} if item.get("phase") else {}
    return {"type": "message", "role": "assistant", "content": text, **phase}


def _words(message: JsonObject) -> str | None:
    """Return the text of a message that is nothing but text."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return None
    texts = [part.get("text", part.get("refusal")) if isinstance(part, dict) else None for part in parts]
    words = [text for text in texts if isinstance(text, str)]
    return "".join(words) if len(words) == len(parts) else None


def _function(tool: Tool) -> JsonObject:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        # True when left out, and then a schema with optional properties is refused.
        "strict": False,
    }
