"""What an agent cannot say is refused before anybody sees it: it would have to be put together again later."""

import math
from typing import Any

import pytest

from hansard.agents.grammar import ADDED, DONE, GrammarError, check_event, check_outcome
from hansard.agents.protocol import Outcome

MESSAGE = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "x"}
PART = {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": {"type": "output_text"}}


def about(item: Any, *, type_: str = ADDED) -> dict[str, Any]:
    return {"type": type_, "output_index": 0, "item": item}


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: kept for key, kept in value.items() if key != name}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "event",
    [
        about(MESSAGE),
        about(CALL),
        about(without(CALL, "arguments")),
        about({**CALL, "arguments": "{}"}, type_=DONE),
        about({"type": "function_call_output", "call_id": "c", "output": "1"}),
        about({"type": "of_tomorrow", "more": [1, None]}),
        DELTA,
        DELTA | {"delta": "\x00\ud800"},
        PART,
        {"type": "vendor.type-1:/x", "anything": math.pi},
    ],
)
def test_what_an_agent_can_say(event: Any):
    check_event(event)


@pytest.mark.parametrize(
    "event",
    [
        "hello",
        None,
        {"output_index": 0},
        {"type": 5},
        {"type": "x\ndata: {}"},
        {"type": "x" * 129},
        {"type": "response.completed", "response": {}},
        {"type": "response.created", "response": {}},
        {"type": "error", "message": "x"},
        {"type": "x", "output_index": "0"},
        {"type": "x", "output_index": 1.5},
        {"type": "x", "output_index": -1},
        {"type": "x", "output_index": True},
        {"type": "x", "content_index": None},
        without(about(MESSAGE), "output_index"),
        about(None),
        about([1]),
        about({"role": "assistant"}),
        about({"type": 5}),
        about({"type": "x" * 65}),
        about({**MESSAGE, "content": "text"}),
        about({**CALL, "arguments": {}}),
        about({**MESSAGE, "extra": math.nan}),
        about({**MESSAGE, 5: 1}),
        about({**MESSAGE, "extra": nested(5000)}),
        *(about(without(CALL, name), type_=type_) for name in ("call_id", "name") for type_ in (ADDED, DONE)),
        about({"type": "function_call_output", "output": "1"}),
        without(DELTA, "delta"),
        DELTA | {"delta": 5},
        PART | {"part": None},
        PART | {"part": {"type": "output_text", "text": 5}},
        PART | {"part": {"type": "output_text", "annotations": [object()]}},
        without(PART, "content_index"),
    ],
)
def test_what_an_agent_cannot_say(event: Any):
    with pytest.raises(GrammarError):
        check_event(event)


def test_what_an_outcome_can_be():
    check_outcome(Outcome("incomplete", usage={"total_tokens": 1}, incomplete_details={"reason": "max_output_tokens"}))
    strange: Any = "perhaps"
    for outcome in (Outcome(strange), Outcome("completed", usage={"total_tokens": object()})):
        with pytest.raises(GrammarError):
            check_outcome(outcome)
