"""Understand the chunks of a chat completion as events of the Responses API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, Final
from uuid import uuid4

from hansard.agents.protocol import Event, Outcome
from hansard.agents.upstream.chat.items import Channel, SpokenCall, SpokenText, Status
from hansard.agents.upstream.dialect import DONE, read_event
from hansard.agents.upstream.failure import AnswerFailed, ended_by
from hansard.agents.upstream.usage import read_chat_usage
from hansard.models.limits import JsonObject

_CUT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
# What a model thinks has two names; a server uses one of them.
_CHANNELS: Final[dict[str, Channel]] = {
    "reasoning_content": "thought",
    "reasoning": "thought",
    "content": "text",
    "refusal": "refusal",
}


class ChatReader:
    """Gather one completion: what is thought, what is said, what is called.

    The chunk that says why the completion ended is its end; tokens may be counted after it. Servers that never say
    why send ``[DONE]`` at least.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._indexes = count()
        self._speaking: SpokenText | None = None
        self._thinks = False
        self._calls: list[SpokenCall] = []
        self._by_number: dict[int, SpokenCall] = {}
        self._reason: str | None = None
        self._usage: JsonObject | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Return how the completion ended, once it said so."""
        if self._reason is None:
            return None
        if self._reason in _CUT:
            details = {"reason": _CUT[self._reason]}
            return Outcome("incomplete", usage=self._usage, incomplete_details=details)
        return Outcome("completed", usage=self._usage)

    def take(self, data: str) -> Iterator[Event]:
        """Yield what a chunk adds."""
        if data == DONE:
            self.is_over = True
            yield from self._end("stop")
            return
        chunk = read_event(data)
        if chunk.get("error"):
            raise ended_by(chunk["error"])
        self._usage = read_chat_usage(chunk.get("usage")) or self._usage
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            yield from self._choice(choices[0])
        elif self._reason is not None:
            self.is_over = True

    def _choice(self, choice: JsonObject) -> Iterator[Event]:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            for name, channel in _CHANNELS.items():
                yield from self._text(channel, delta.get(name))
            calls = delta.get("tool_calls")
            for piece in calls if isinstance(calls, list) else ():
                yield from self._call(piece)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            yield from self._end(reason)

    def _text(self, channel: Channel, piece: object) -> Iterator[Event]:
        if not isinstance(piece, str) or not piece:
            return
        thinks = channel == "thought"
        if self._speaking is None or thinks != self._thinks:
            yield from self._stop_speaking()
            self._speaking, self._thinks = SpokenText(next(self._indexes), thought=thinks), thinks
            yield from self._speaking.begin()
        yield from self._speaking.add(channel, piece)

    def _call(self, piece: Any) -> Iterator[Event]:
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(function, dict):
            raise AnswerFailed("The model's server sent a call that is none of a function.")
        call = self._known_call(piece)
        if call is None:
            yield from self._stop_speaking()
            call = self._new_call(piece, function.get("name"))
            yield from call.begin()
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        if isinstance(arguments, str) and arguments:
            yield from call.add(arguments)

    def _known_call(self, piece: JsonObject) -> SpokenCall | None:
        """Return the call that a piece goes on with.

        Some servers do not number calls, or number all the same; an id that is new always begins a call.
        """
        number, id_ = piece.get("index"), piece.get("id")
        if id_:
            return next((call for call in self._calls if call.call_id == id_), None)
        if isinstance(number, int):
            return self._by_number.get(number)
        return None if piece["function"].get("name") or not self._calls else self._calls[-1]

    def _new_call(self, piece: JsonObject, name: object) -> SpokenCall:
        if not isinstance(name, str) or not name:
            raise AnswerFailed("The model's server sent a call without the name of a function.")
        id_, number = piece.get("id"), piece.get("index")
        call_id = id_ if isinstance(id_, str) and id_ else f"call_{uuid4().hex}"
        call = SpokenCall(next(self._indexes), call_id=call_id, name=name)
        self._calls.append(call)
        if isinstance(number, int):
            self._by_number[number] = call
        return call

    def _stop_speaking(self, status: Status = "completed") -> Iterator[Event]:
        speaking, self._speaking = self._speaking, None
        if speaking is not None:
            yield from speaking.end(status)

    def _end(self, reason: str) -> Iterator[Event]:
        if self._reason is not None:
            return
        self._reason = reason
        status: Status = "incomplete" if reason in _CUT else "completed"
        yield from self._stop_speaking(status)
        for call in self._calls:
            yield from call.end(status)
