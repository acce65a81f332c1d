"""Describe what streams tell: the ``data`` of each server-sent event is one JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.schemas.shapes import CONVERSATION_ID, Schema, constant, id_of, integer, nullable, ref, string, struct

_NUMBER: Final = integer("The number of the event in its response, counted from 0.", minimum=0)
_INDEX: Final = integer("The item's place in the output, counted from 0.", minimum=0)
_PART: Final[Schema] = {
    "item_id": string("The id of the item."),
    "output_index": _INDEX,
    "content_index": integer("The part's place in the item, counted from 0.", minimum=0),
}
_OPEN: Final[Schema] = {"additionalProperties": True}


def _said(types: list[str], fields: Schema, description: str) -> Schema:
    named = string(enum=types)
    return struct({"type": named, "sequence_number": _NUMBER, **fields}, description=description, **_OPEN)


_RESPONSE_EVENTS: Final[Mapping[str, Schema]] = {
    "ResponseStateEvent": _said(
        [
            "response.created",
            "response.queued",
            "response.in_progress",
            "response.completed",
            "response.failed",
            "response.incomplete",
        ],
        {"response": ref("ResponseObject")},
        "The response as it is now. The first two events of a stream are of this kind, and its last.",
    ),
    "OutputItemEvent": _said(
        ["response.output_item.added", "response.output_item.done"],
        {"output_index": _INDEX, "item": {"type": "object", **_OPEN}},
        "An item begins, or has come to its end.",
    ),
    "ContentPartEvent": _said(
        ["response.content_part.added", "response.content_part.done"],
        {**_PART, "part": {"type": "object", **_OPEN}},
        "A part of a message begins, or has come to its end.",
    ),
    "TextDeltaEvent": _said(["response.output_text.delta"], {**_PART, "delta": string()}, "More of a text."),
    "TextDoneEvent": _said(["response.output_text.done"], {**_PART, "text": string()}, "A whole text."),
    "OtherResponseEvent": struct(
        {"type": string("Any other type."), "sequence_number": _NUMBER},
        description="Any other event of the OpenAI Responses API, as the model's server sends it.",
        **_OPEN,
    ),
}
_VIEW_EVENTS: Final[Mapping[str, Schema]] = {
    "ConversationUpdatedEvent": struct(
        {"type": constant("conversation.updated"), "conversation": ref("Conversation")},
        description="The conversation as it is now: the first event of every stream, and after every change.",
    ),
    "ItemAddedEvent": struct(
        {"type": constant("item.added"), "item": ref("ConversationItem")},
        description="An item now stands in the conversation. Items come in their order.",
    ),
    "ItemsDeletedEvent": struct(
        {"type": constant("items.deleted"), "message_count": integer("How many are left.", minimum=0)},
        description="Some items are gone. Which ones is not said: list the items again.",
    ),
    "ConversationDeletedEvent": struct(
        {"type": constant("conversation.deleted"), "conversation_id": CONVERSATION_ID},
        description="The conversation is gone. The stream ends.",
    ),
    "ViewPausedEvent": struct(
        {"type": constant("view.paused")},
        description="Nothing has happened for two minutes, so the database is not asked any more. What happens through "
        "this server process is still told.",
    ),
    "TurnEvent": struct(
        {
            "type": string("As in `ResponseEvent`.", pattern=r"^response\."),
            "response_id": id_of("resp", "The response whose event it is."),
            "sequence_number": _NUMBER,
        },
        description="An event of the turn that is running, with all its fields.",
        **_OPEN,
    ),
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "ResponseEvent": {
        "description": "What happens in a turn.",
        "anyOf": [*map(ref, _RESPONSE_EVENTS), ref("StreamError")],
    },
    "ConversationEvent": {
        "description": "What happens in a conversation.",
        "anyOf": [*map(ref, _VIEW_EVENTS), ref("StreamError")],
    },
    **_RESPONSE_EVENTS,
    **_VIEW_EVENTS,
    "StreamError": struct(
        {
            "type": constant("error"),
            "code": nullable(string("What is wrong, for programs.")),
            "message": string("What is wrong, for people."),
            "param": nullable(string("The field that is wrong.")),
            "sequence_number": integer("0: it is none of the response's own events."),
        },
        description="The stream cannot go on and ends; open it again behind the last event seen.",
    ),
}
