"""Describe responses: what is asked of a turn, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansard.api.includes import INCLUDABLE
from hansard.api.schemas.shapes import (
    CONVERSATION_ID,
    METADATA,
    Schema,
    array,
    boolean,
    constant,
    id_of,
    nullable,
    ref,
    seconds,
    string,
    struct,
)
from hansard.api.turn_parameters import TYPES, WORDS
from hansard.models.turn import TURN_STATUSES
from hansard.services.responses import DEFAULTS

_OPEN: Final[Schema] = {"type": "object", "additionalProperties": True}
_TYPED: Final = struct({"type": string()}, additionalProperties=True)
_OF_TYPES: Final[Mapping[type, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: _OPEN,
    list: {"type": "array", "items": {}},
}
# What is checked beyond the type.
_SHAPES: Final[Mapping[str, Schema]] = {
    "include": array(string(enum=sorted(INCLUDABLE))),
    "text": {**_OPEN, "properties": {"format": nullable(_TYPED)}},
    "tools": array(_TYPED),
}
_ABOUT: Final[Mapping[str, str]] = {
    "include": "What to give of the items beside the rest, as the query's `include[]`.",
    "instructions": "What the model is told before everything else, in this turn only.",
    "max_output_tokens": "How many tokens the answer may have.",
    "max_tool_calls": "How often the model may call tools of its server.",
    "parallel_tool_calls": "Whether the model may call several tools at once.",
    "prompt": "A prompt that is kept at the model's server.",
    "prompt_cache_key": "What the model's server finds its cache by.",
    "reasoning": "How much the model thinks, and what it tells of that.",
    "safety_identifier": "Your end user's name towards the model's server, best as a digest.",
    "service_tier": "How soon the model's server is to answer.",
    "temperature": "How freely the model chooses its words, mostly 0 to 2.",
    "text": "The shape of the answer: plain text, or JSON by a schema.",
    "tool_choice": "Whether the model may, must or must not call tools, or which one it must.",
    "tools": "The tools that the model may call. Functions are called by the client.",
    "top_logprobs": "How many likely tokens to tell for each, mostly 0 to 20.",
    "top_p": "How much of what is likely the model chooses from, 0 to 1.",
    "truncation": "Whether items may be left out when the model cannot take all.",
    "user": "As `safety_identifier`, under its older name.",
}
_TOKENS: Final = {"type": "integer", "minimum": 0}


def _parameter(name: str) -> Schema:
    """Describe a parameter that is the model's business; most are repeated in the response."""
    types = TYPES[name][0]
    # Every integer is a number.
    shapes = [_OF_TYPES[type_] for type_ in types if type_ is not int or float not in types]
    if name in WORDS:
        shapes[0] = {"type": "string", "enum": sorted(WORDS[name])}
    shape = _SHAPES.get(name) or (shapes[0] if len(shapes) == 1 else {"anyOf": shapes})
    return {**shape, "description": _ABOUT[name]}


def _repeated(name: str, default: Any) -> Schema:
    return nullable(_parameter(name)) if default is None else _parameter(name)


_REQUEST: Final[Schema] = {
    "input": {
        "description": "What the user says: a text, or items. Needed unless `conversation` is given.",
        "anyOf": [{"type": "string"}, array(ref("InputItem")), {"type": "null"}],
    },
    "model": nullable(string("Who answers; `offline` needs no model at all.", examples=["offline"])),
    "conversation": {
        "description": "Where the turn belongs; without it a new, unlisted conversation begins.",
        "anyOf": [CONVERSATION_ID, struct({"id": CONVERSATION_ID}), {"type": "null"}],
    },
    "previous_response_id": nullable(
        id_of("resp", "The newest response of a conversation: this one goes on from it. Not beside `conversation`.")
    ),
    "stream": nullable(boolean("True answers with the events of the turn, as they happen.", default=False)),
    "background": nullable(boolean("True answers at once, while the turn runs on. Needs `store`.", default=False)),
    "stream_options": nullable({**_OPEN, "description": "Accepted; nothing of it has a meaning here."}),
    "store": nullable(boolean("False keeps nothing of a turn that names no conversation.", default=True)),
    "metadata": nullable(METADATA),
    **{name: nullable(_parameter(name)) for name in TYPES},
}

_OUTCOME: Final[Schema] = {
    "id": id_of("resp", "The response's id, `resp_` and 48 hexadecimal digits."),
    "object": constant("response"),
    "created_at": seconds("When it began."),
    "status": string("How far it is, or how it ended.", enum=list(TURN_STATUSES)),
    "error": nullable(ref("ResponseError", "Why the model could not answer.")),
    "incomplete_details": nullable(
        {"type": "object", "additionalProperties": True, "description": "Why it is incomplete, where it is."}
    ),
    "model": string("Who answers."),
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "CreateResponse": struct(
        _REQUEST,
        optional=tuple(_REQUEST),
        description="What to answer. Parameters that are not listed are handed to the model as they are.",
        additionalProperties=True,
    ),
    # Generators have a class `Response` of their own.
    "ResponseObject": struct(
        {
            **_OUTCOME,
            "completed_at": nullable(seconds("When it was completed.")),
            "output": array(ref("ConversationItem"), "The items of the answer; empty until it has ended."),
            "conversation": nullable(
                struct({"id": CONVERSATION_ID}, description="Where it belongs; null where nothing is kept.")
            ),
            **{name: _repeated(name, default) for name, default in DEFAULTS.items() if name in TYPES},
            "background": boolean("Whether the request was answered at once."),
            "previous_response_id": nullable(string("The response it went on from.")),
            "store": boolean("Whether it is kept."),
            "metadata": METADATA,
            "usage": nullable(ref("Usage", "How many tokens the model read and wrote.")),
        },
        description="A turn: what was asked of the model, and what came of it.",
    ),
    "LastResponse": struct(_OUTCOME, description="A response without its output: whether it runs, or how it ended."),
    "ResponseError": struct(
        {"code": string("What went wrong, for programs."), "message": string("The same for people.")},
        description="Why the model could not answer.",
        additionalProperties=True,
    ),
    "Usage": struct(
        {
            "input_tokens": _TOKENS,
            "input_tokens_details": {"type": "object", "additionalProperties": True},
            "output_tokens": _TOKENS,
            "output_tokens_details": {"type": "object", "additionalProperties": True},
            "total_tokens": _TOKENS,
        },
        description="How many tokens the model read and wrote.",
        additionalProperties=True,
    ),
}
