"""Check that what an agent says is something an agent can say; see `hansard.agents.protocol`.

It is checked before anybody sees it: what is shown is also stored, and must be put together again by whoever settles
the turn, so an event that makes no sense must not get that far.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, Final, get_args, get_type_hints

from hansard.agents.protocol import Outcome
from hansard.errors import InvalidInput
from hansard.models.verbatim import encode_item
from hansard.utils.json_text import write_json

ADDED: Final = "response.output_item.added"
DONE: Final = "response.output_item.done"
PLACES: Final = ("output_index", "content_index", "summary_index")
# The part each of these events must hold, and what it must be, for the event to mean anything.
HOLDS: Final[Mapping[str, tuple[str, type]]] = {
    ADDED: ("item", dict),
    DONE: ("item", dict),
    "response.content_part.added": ("part", dict),
    "response.reasoning_summary_part.added": ("part", dict),
    "response.output_text.delta": ("delta", str),
    "response.refusal.delta": ("delta", str),
    "response.reasoning_text.delta": ("delta", str),
    "response.reasoning_summary_text.delta": ("delta", str),
    "response.function_call_arguments.delta": ("delta", str),
    "response.mcp_call_arguments.delta": ("delta", str),
    "response.custom_tool_call_input.delta": ("delta", str),
    "response.code_interpreter_call_code.delta": ("delta", str),
}
# What a call or its output needs, so that one can be told to belong to the other.
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "function_call": ("call_id", "name"),
    "function_call_output": ("call_id",),
}

# A type is a line of the stream of events, too.
_TYPE: Final = re.compile(r"[\w.:/-]{1,128}", re.ASCII)
_OF_THE_RUNNER: Final = frozenset(
    {
        "error",
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.failed",
        "response.incomplete",
        "response.cancelled",
    }
)
# What is said later is added to these.
_GROWING: Final[Mapping[str, type]] = {"content": list, "summary": list, "arguments": str, "input": str, "code": str}
_STATUSES: Final = get_args(get_type_hints(Outcome)["status"])


class GrammarError(ValueError):
    """Say what is wrong with an event; the message repeats nothing of what it says."""


def check_event(event: object) -> None:
    """Raise `GrammarError` unless the event can be shown, stored and put together with the others."""
    if not isinstance(event, dict):
        raise GrammarError("an event is an object")
    kind = event.get("type")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise GrammarError("an event has a type, which is a word")
    if kind in _OF_THE_RUNNER:
        raise GrammarError(f"{kind} is not for an agent to say")
    for place in PLACES:
        _check_place(event, place)
    if kind in HOLDS:
        _check_holding(event, *HOLDS[kind])


def check_outcome(outcome: Outcome) -> None:
    """Raise `GrammarError` unless the outcome can be stored."""
    if outcome.status not in _STATUSES:
        raise GrammarError("an outcome has one of three statuses")
    for value in (outcome.usage, outcome.error, outcome.incomplete_details):
        if value is not None:
            _check_json(value)


def _check_place(event: Mapping[str, Any], place: str) -> None:
    number = event.get(place, 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise GrammarError(f"{place} is a whole number from 0 on")


def _check_holding(event: Mapping[str, Any], name: str, kind: type) -> None:
    if not isinstance(event.get(name), kind) or "output_index" not in event:
        raise GrammarError(f"{event['type']} has an output_index and a {name}")
    if name == "part":
        _check_part(event)
    elif name == "item":
        _check_item(event["item"], begins=event["type"] == ADDED)


def _check_part(event: Mapping[str, Any]) -> None:
    if not {"content_index", "summary_index"} & event.keys():
        raise GrammarError("a part has an index")
    if not all(isinstance(event["part"].get(name, ""), str) for name in ("text", "refusal")):
        raise GrammarError("a part's text is a string")
    _check_json(event["part"])


def _check_item(item: Mapping[str, Any], *, begins: bool) -> None:
    if not isinstance(item.get("type"), str):
        raise GrammarError("an item has a type")
    if not all(isinstance(item.get(name), str) for name in NEEDS.get(item["type"], ())):
        raise GrammarError(f"a {item['type']} has {' and '.join(NEEDS[item['type']])}")
    if begins and not all(isinstance(item.get(name, kind()), kind) for name, kind in _GROWING.items()):
        raise GrammarError("what an item begins with can be added to")
    try:
        # Too large is another matter: whoever writes the answer down weighs it.
        encode_item(item, limit=sys.maxsize)
    except InvalidInput as error:
        raise GrammarError(str(error)) from None


def _check_json(value: object) -> None:
    try:
        write_json(value)
    except (TypeError, ValueError, RecursionError):
        raise GrammarError("what an agent says is JSON") from None
