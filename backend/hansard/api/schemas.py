"""Spell out the JSON of requests and answers for the OpenAPI document.

They are written by hand because no class of ours has these shapes: items are any JSON object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from hansard.api.intake import MOST_ITEMS, ROLES
from hansard.models.kinds import KINDS
from hansard.models.limits import (
    METADATA_PAIRS,
    METADATA_VALUE_CODE_POINTS,
    TASK_DESCRIPTION_CODE_POINTS,
    TASK_TITLE_CODE_POINTS,
    TITLE_CODE_POINTS,
)

Schema: TypeAlias = dict[str, Any]

ERRORS: Final[Mapping[str, tuple[str, str]]] = {
    "400": ("BadRequest", "The request cannot be accepted; `param` and `code` say why."),
    "401": ("Unauthorized", "No API key, or one that is not valid."),
    "403": ("Forbidden", "The user is unknown and may not be made."),
    "404": ("NotFound", "There is no such thing, or it is somebody else's: the two look alike."),
    "408": ("RequestTimeout", "The request body took too long to arrive."),
    "413": ("BodyTooLarge", "The request body is beyond the limit."),
    "415": ("UnsupportedMediaType", "The request body is not JSON."),
    "429": ("TooManyRequests", "The user's rate limit is reached; `retry-after-ms` says how long to wait."),
    "500": ("ServerError", "The server had an error."),
    "503": ("Unavailable", "The database cannot be reached; `x-should-retry` says whether to try again."),
}

_CONVERSATION_ID: Final = "conv_019c0b6f3a5e7d10a1b2c3d4e5f607180000000000000000"
_ITEM_ID: Final = "msg_019c0b6f3a5e7d10a1b2c3d4e5f607180000000000000001"
_NOW: Final = 1796000000


def _object(properties: Schema, *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, **({"required": required} if required else {}), **more}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(element: str, **more: Any) -> Schema:
    return _object(
        {
            "object": {"type": "string", "const": "list"},
            "data": {"type": "array", "items": _ref(element)},
            "first_id": {"type": "string", "description": "Empty when the page is."},
            "last_id": {"type": "string", "description": "Where the next page starts: hand it over as `after`."},
            "has_more": {"type": "boolean"},
            **more,
        }
    )


_SECONDS: Final[Schema] = {"type": "integer", "description": "Seconds since 1970, UTC."}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_TITLE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": TITLE_CODE_POINTS}
_TASK_TITLE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": TASK_TITLE_CODE_POINTS}
_TASK_DESCRIPTION: Final[Schema] = _nullable({"type": "string", "maxLength": TASK_DESCRIPTION_CODE_POINTS})
_TASK_ID: Final[Schema] = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_METADATA: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": METADATA_VALUE_CODE_POINTS},
    "maxProperties": METADATA_PAIRS,
    "description": "Up to 16 pairs of strings; keys have up to 64 characters.",
}
_ITEMS: Final[Schema] = {"type": "array", "items": _ref("InputItem"), "maxItems": MOST_ITEMS}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": _object(
        {
            "error": _object(
                {
                    "message": {"type": "string"},
                    "type": {"type": "string", "enum": ["invalid_request_error", "server_error"]},
                    "param": _nullable({"type": "string"}),
                    "code": _nullable({"type": "string"}),
                }
            ),
        }
    ),
    "Conversation": _object(
        {
            "id": {"type": "string", "pattern": "^conv_[0-9a-f]{48}$"},
            "object": {"type": "string", "const": "conversation"},
            "created_at": _SECONDS,
            "metadata": _METADATA,
            "title": _nullable(_TITLE),
            "title_source": _nullable({"type": "string", "enum": ["auto", "user", "model"]}),
            "archived_at": _nullable(_SECONDS),
            "last_message_at": _SECONDS,
            "updated_at": _SECONDS,
            "message_count": {"type": "integer"},
        },
        example={
            "id": _CONVERSATION_ID,
            "object": "conversation",
            "created_at": _NOW,
            "metadata": {"topic": "groceries"},
            "title": "Buy milk",
            "title_source": "auto",
            "archived_at": None,
            "last_message_at": _NOW,
            "updated_at": _NOW,
            "message_count": 1,
        },
    ),
    "ConversationDeleted": _object(
        {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "conversation.deleted"},
            "deleted": {"type": "boolean", "const": True},
        }
    ),
    "ConversationList": _list("Conversation"),
    "SearchResult": _object(
        {
            "object": {"type": "string", "const": "search.result"},
            "item_id": {"type": "string"},
            "item_type": {"type": "string", "examples": list(KINDS)},
            "role": _nullable({"type": "string", "examples": list(ROLES)}),
            "conversation_id": {"type": "string", "pattern": "^conv_[0-9a-f]{48}$"},
            "conversation_title": _nullable(_TITLE),
            "created_at": _SECONDS,
            "score": {"type": "integer", "description": "What the results are sorted by; of no meaning elsewhere."},
            "snippet": {
                "type": "array",
                "items": _object({"text": {"type": "string"}, "match": {"type": "boolean"}}),
                "description": "The text around the first match, in pieces that match and pieces that do not.",
            },
        },
        example={
            "object": "search.result",
            "item_id": _ITEM_ID,
            "item_type": "message",
            "role": "user",
            "conversation_id": _CONVERSATION_ID,
            "conversation_title": "Buy milk",
            "created_at": _NOW,
            "score": 497,
            "snippet": [{"text": "Buy ", "match": False}, {"text": "milk", "match": True}],
        },
    ),
    "SearchResultList": _list("SearchResult"),
    "CreateConversation": _object(
        {"items": _nullable(_ITEMS), "metadata": _nullable(_METADATA), "title": _nullable(_TITLE)},
        optional=("items", "metadata", "title"),
        additionalProperties=False,
        example={"items": [{"role": "user", "content": "Buy milk"}], "metadata": {"topic": "groceries"}},
    ),
    "UpdateConversation": _object(
        {"metadata": _nullable(_METADATA), "title": _nullable(_TITLE), "archived": {"type": "boolean"}},
        optional=("metadata", "title", "archived"),
        additionalProperties=False,
        minProperties=1,
        example={"title": "Groceries"},
    ),
    "InputItem": _object(
        {
            "type": {
                "type": "string",
                "description": "Types that the API does not know are stored untouched.",
                "examples": [*KINDS, "item_reference"],
            },
            "role": {"type": "string", "examples": list(ROLES)},
            "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
        },
        optional=("type", "role", "content"),
        additionalProperties=True,
        description="A message needs `role` and `content`; every other type the fields the API requires of it.",
    ),
    "ConversationItem": _object(
        {"id": {"type": "string"}, "type": {"type": "string", "examples": list(KINDS)}},
        optional=("type",),
        additionalProperties=True,
        example={
            "id": _ITEM_ID,
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": "Buy milk"}],
        },
    ),
    "CreateItems": _object(
        {"items": _ITEMS},
        additionalProperties=False,
        example={"items": [{"role": "user", "content": "Buy milk"}]},
    ),
    "ConversationItemList": _list("ConversationItem"),
    "Task": _object(
        {
            "id": _TASK_ID,
            "title": _TASK_TITLE,
            "description": _TASK_DESCRIPTION,
            "completed": {"type": "boolean"},
            "created_at": _INSTANT,
            "updated_at": _INSTANT,
        },
        example={
            "id": 1,
            "title": "Buy milk",
            "description": None,
            "completed": False,
            "created_at": "2026-11-30T12:53:20Z",
            "updated_at": "2026-11-30T12:53:20Z",
        },
    ),
    "TaskList": _object(
        {
            "data": {"type": "array", "items": _ref("Task")},
            "next": _nullable(_TASK_ID),
            "has_more": {"type": "boolean"},
        }
    ),
    "CreateTask": _object(
        {"title": _TASK_TITLE, "description": _TASK_DESCRIPTION},
        optional=("description",),
        additionalProperties=False,
        example={"title": "Buy milk"},
    ),
    "UpdateTask": _object(
        {"title": _TASK_TITLE, "description": _TASK_DESCRIPTION, "completed": {"type": "boolean"}},
        optional=("title", "description", "completed"),
        additionalProperties=False,
        minProperties=1,
        example={"completed": True},
    ),
    "Health": _object({"status": {"type": "string"}}),
    "SignIn": _object({"code": {"type": "string"}}, additionalProperties=False),
    "Session": _object({"user_id": {"type": "string"}}),
}
