"""Decide which tools a model may be given, and run those that are the service's own."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from hansard.agents.protocol import Tool
from hansard.agents.upstream.failure import INVALID_PROMPT, AnswerFailed
from hansard.models.limits import JsonObject

# The client answers calls of these itself.
_RUN_BY_THE_CLIENT: Final = frozenset({"function", "custom"})
_GROUP: Final = "namespace"
# Items by which a conversation brings tools along.
_TOOLS_WITHIN: Final = frozenset({"additional_tools", "tool_search_output"})


def check_tools(parameters: Mapping[str, Any], items: Sequence[JsonObject], *, hosted: Collection[str]) -> None:
    """Raise `AnswerFailed` for a tool that the model's server would run itself, unless it is among ``hosted``.

    Such a tool reaches out with the operator's account: it costs, and it can carry the conversation elsewhere.
    """
    sent = list(_tools_in(parameters.get("tools")))
    for item in items:
        if item.get("type") in _TOOLS_WITHIN:
            sent += _tools_in(item.get("tools"))
    for tool in sent:
        kind = tool.get("type")
        if not isinstance(kind, str) or kind not in {*_RUN_BY_THE_CLIENT, *hosted}:
            raise AnswerFailed(f"The tool {kind!r} is not available here.", code=INVALID_PROMPT)


def offered(own: Sequence[Tool], parameters: Mapping[str, Any]) -> dict[str, Tool]:
    """Return the service's own tools by name, without those whose names the client gave to tools of its own."""
    taken = [tool.get("name") for tool in parameters.get("tools") or ()]
    return {tool.name: tool for tool in own if tool.name not in taken}


def own_calls(items: Sequence[JsonObject], own: Mapping[str, Tool]) -> list[JsonObject]:
    """Return the calls that the service answers itself; one that broke off is never carried out."""
    return [
        item
        for item in items
        if item["type"] == "function_call"
        and item["name"] in own
        and item["status"] != "incomplete"
        and not item.get("namespace")
    ]


async def run(tool: Tool, call: JsonObject) -> JsonObject:
    """Return the output of a call; arguments that are no object come back to the model as its error."""
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        result = await tool.call(arguments)
    else:
        result = {"error": "the arguments must be a JSON object", "code": "invalid_arguments"}
    return {
        "type": "function_call_output",
        "call_id": call["call_id"],
        "output": json.dumps(result, ensure_ascii=False, separators=(",", ":")),
        "status": "completed",
    }


def _tools_in(sent: object) -> Iterator[JsonObject]:
    """Yield the tools in a request's list, also those in groups."""
    for tool in sent if isinstance(sent, list) else ():
        if not isinstance(tool, dict):
            raise AnswerFailed("Every tool must be an object.", code=INVALID_PROMPT)
        if tool.get("type") == _GROUP:
            yield from _tools_in(tool.get("tools"))
        else:
            yield tool
