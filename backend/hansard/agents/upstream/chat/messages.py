"""Tell a conversation's items as chat messages."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hansard.models.kinds import call_id_of
from hansard.models.limits import JsonObject

# Custom tools have text for arguments; a function with one argument is the nearest thing.
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
# "developer" is newer than most servers that have nothing but Chat Completions.
_ROLES: Final = {"system": "system", "developer": "system"}


def messages(instructions: object, items: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the messages.

    What Chat Completions has no word for is left out: reasoning, and what a server's own tools did.
    """
    return [*_instructions(instructions), *_Telling(items).messages()]


def _instructions(sent: object) -> Iterable[JsonObject]:
    if isinstance(sent, str) and sent:
        return [{"role": "system", "content": sent}]
    return _Telling(sent).messages() if isinstance(sent, list) else []


class _Telling:
    """Walk over the items once, holding back what the assistant says until it is known what it calls.

    A message with calls must be followed by the outputs of all of them and by nothing else before, wherever these
    stand among the items; so outputs are looked up from their calls. A call without one is left out.
    """

    def __init__(self, items: Sequence[JsonObject]) -> None:
        self._items = items
        self._outputs: dict[object, deque[JsonObject]] = defaultdict(deque)
        for item in items:
            if item.get("type") in _OUTPUTS:
                self._outputs[call_id_of(item)].append(item)
        self._thoughts: list[str] = []
        self._words = ""
        self._calls: list[JsonObject] = []

    def messages(self) -> Iterator[JsonObject]:
        for item in self._items:
            kind = item.get("type", "message")
            if kind == "reasoning":
                self._thoughts += _texts(item.get("content"))
            elif kind in _CALLS:
                self._calls.append(item)
            elif kind in _OUTPUTS:
                yield from self._said()
            elif kind == "message":
                yield from self._said()
                yield from self._message(item)
        yield from self._said()

    def _message(self, item: JsonObject) -> Iterator[JsonObject]:
        if item.get("role") == "assistant":
            self._words = "".join(_texts(item.get("content")))
            return
        self._thoughts = []
        yield {"role": _ROLES.get(str(item.get("role")), "user"), "content": _content(item.get("content"))}

    def _said(self) -> Iterator[JsonObject]:
        """Yield what the assistant has said and called, with the outputs."""
        answered = [(call, self._outputs[call_id_of(call)].popleft()) for call in self._calls if self._has_output(call)]
        if answered:
            # Servers whose models think between calls want to be told what they thought, and only then.
            thoughts = {"reasoning_content": "".join(self._thoughts)} if self._thoughts else {}
            calls = [_call(call) for call, _ in answered]
            yield {"role": "assistant", "content": self._words or None, **thoughts, "tool_calls": calls}
            for call, output in answered:
                yield {"role": "tool", "tool_call_id": call["call_id"], "content": _output(output.get("output"))}
        elif self._words:
            yield {"role": "assistant", "content": self._words}
        if self._calls or self._words:
            self._thoughts, self._words, self._calls = [], "", []

    def _has_output(self, call: JsonObject) -> bool:
        call_id = call_id_of(call)
        return call_id is not None and bool(self._outputs[call_id])


def _call(call: JsonObject) -> JsonObject:
    arguments = call.get("arguments") or "{}"
    if call.get("type") == "custom_tool_call":
        arguments = json.dumps({"input": call.get("input")})
    return {"id": call["call_id"], "type": "function", "function": {"name": call.get("name"), "arguments": arguments}}


def _output(output: object) -> str:
    if isinstance(output, str):
        return output
    parts = output if isinstance(output, list) else []
    return "".join(_text_of(part) or f"[{_kind_of(part)}]" for part in parts)


def _content(content: object) -> object:
    if not isinstance(content, list):
        return content
    parts = [_part(part) for part in content]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: object) -> JsonObject:
    text = _text_of(part)
    if text is None and isinstance(part, dict):
        if isinstance(part.get("image_url"), str):
            return {"type": "image_url", "image_url": _some(part, url="image_url", detail="detail")}
        if part.get("type") == "input_file":
            return {"type": "file", "file": _some(part, file_id="file_id", file_data="file_data", filename="filename")}
        if part.get("type") == "input_audio":
            return part
    return {"type": "text", "text": f"[{_kind_of(part)}]" if text is None else text}


def _some(part: JsonObject, **names: str) -> JsonObject:
    return {told: part[name] for told, name in names.items() if part.get(name) is not None}


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [text for part in content if (text := _text_of(part)) is not None] if isinstance(content, list) else []


def _text_of(part: object) -> str | None:
    text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
    return text if isinstance(text, str) else None


def _kind_of(part: object) -> str:
    return str(part.get("type")) if isinstance(part, dict) else "unknown"
