"""Say in the OpenAPI document what can be done next with what an answer holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ID: Final = "$response.body#/id"
_NEXT: Final[Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]]] = {
    "createConversation": (
        {"conversation_id": _ID},
        ("getConversation", "updateConversation", "deleteConversation", "createConversationItems"),
    ),
    "createConversationItems": (
        {"conversation_id": "$request.path.conversation_id", "item_id": "$response.body#/data/0/id"},
        ("getConversationItem", "deleteConversationItem"),
    ),
    "createResponse": ({"response_id": _ID}, ("getResponse", "cancelResponse", "deleteResponse", "listInputItems")),
    "createTask": ({"task_id": _ID}, ("getTask", "updateTask", "completeTask", "deleteTask")),
}


def links_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the links of an operation's answer."""
    parameters, names = _NEXT.get(operation["operationId"], ({}, ()))
    return {name: {"operationId": name, "parameters": dict(parameters)} for name in names}
