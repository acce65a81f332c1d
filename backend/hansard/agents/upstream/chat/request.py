"""Ask by ``POST /chat/completions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansard.agents.protocol import Tool
from hansard.agents.upstream.chat.messages import messages
from hansard.agents.upstream.chat.reader import ChatReader
from hansard.agents.upstream.dialect import OURS, Ask
from hansard.agents.upstream.failure import INVALID_PROMPT, AnswerFailed
from hansard.models.limits import JsonObject

# Those with a word of their own in Chat Completions.
_TRANSLATED: Final = frozenset(
    {"instructions", "max_output_tokens", "reasoning", "stream_options", "text", "tool_choice", "tools"}
)
# Without them the answer is the same, only less is told of it or cut by the server.
_DISPENSABLE: Final = frozenset({"include", "max_tool_calls", "truncation"})
_INEXPRESSIBLE: Final = ("context_management", "prompt", "top_logprobs")


class Chat:
    """Be the dialect of Chat Completions."""

    path = "chat/completions"

    def body(self, ask: Ask) -> JsonObject:
        """Return the request; raises `AnswerFailed` for parameters that the API has no word for."""
        sent = {name: value for name, value in ask.parameters.items() if value is not None and name not in OURS}
        for name in _INEXPRESSIBLE:
            if name in sent:
                raise _no_word_for(f"the parameter '{name}'")
        told = {name: value for name, value in sent.items() if name not in _TRANSLATED | _DISPENSABLE}
        return {
            "model": ask.model,
            "messages": messages(sent.get("instructions"), ask.items),
            "stream": True,
            "stream_options": {"include_usage": True},
            **told,
            **_limits(sent),
            **_text(_object(sent, "text")),
            **_tools(sent, ask),
        }

    def reader(self) -> ChatReader:
        """Return the reader of a new stream."""
        return ChatReader()


def _limits(sent: Mapping[str, Any]) -> JsonObject:
    told: JsonObject = {}
    if "max_output_tokens" in sent:
        # The newer word is known to fewer servers, and those that know it have the Responses API.
        told["max_tokens"] = sent["max_output_tokens"]
    effort = _object(sent, "reasoning").get("effort")
    if effort is not None:
        told["reasoning_effort"] = effort
    return told


def _text(text: JsonObject) -> JsonObject:
    told: JsonObject = {}
    if text.get("verbosity") is not None:
        told["verbosity"] = text["verbosity"]
    form = _object(text, "format")
    if form.get("type") == "json_schema":
        schema = {name: value for name, value in form.items() if name != "type"}
        told["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form.get("type") not in {None, "text"}:
        told["response_format"] = form
    return told


def _tools(sent: Mapping[str, Any], ask: Ask) -> JsonObject:
    tools = [*map(_client_tool, sent.get("tools") or ()), *map(_own_tool, ask.tools)]
    if not tools:
        return {}
    choice = sent.get("tool_choice")
    return {"tools": tools} if choice is None else {"tools": tools, "tool_choice": _choice(choice)}


def _client_tool(tool: JsonObject) -> JsonObject:
    if tool.get("type") != "function":
        raise _no_word_for(f"the tool {tool.get('type')!r}")
    function = {name: value for name, value in tool.items() if name != "type" and value is not None}
    return {"type": "function", "function": function}


def _own_tool(tool: Tool) -> JsonObject:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _choice(choice: object) -> object:
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    raise _no_word_for(f"the tool choice {choice.get('type')!r}")


def _object(holder: Mapping[str, Any], name: str) -> JsonObject:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _no_word_for(what: str) -> AnswerFailed:
    return AnswerFailed(f"The model's server has only Chat Completions, which lacks {what}.", code=INVALID_PROMPT)
