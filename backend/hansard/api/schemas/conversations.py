"""Describe conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.intake import MOST_ITEMS
from hansard.api.schemas.shapes import (
    CONVERSATION_ID,
    METADATA,
    TITLE,
    Schema,
    array,
    boolean,
    constant,
    integer,
    nullable,
    page_of,
    ref,
    seconds,
    string,
    struct,
)
from hansard.models.conversation import TITLE_SOURCES

INPUT_ITEMS: Final = array(ref("InputItem"), f"Up to {MOST_ITEMS} items, in their order.", maxItems=MOST_ITEMS)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Conversation": struct(
        {
            "id": CONVERSATION_ID,
            "object": constant("conversation"),
            "created_at": seconds("When it was made."),
            "metadata": METADATA,
            "title": nullable(TITLE),
            "title_source": nullable(
                string("Who gave the title; one of a user is never replaced by another.", enum=list(TITLE_SOURCES))
            ),
            "archived_at": nullable(seconds("When it was archived; null while it is not.")),
            "last_message_at": seconds("When the last item was added; the list is sorted by it."),
            "updated_at": seconds("When anything of it was changed."),
            "message_count": integer("How many items it has.", minimum=0),
            "last_response": nullable(
                ref("LastResponse", "The newest response, or null; only where `include[]` asks for it.")
            ),
        },
        optional=("last_response",),
        description="A conversation. All fields but the first four are additions to the OpenAI API.",
    ),
    "ConversationDeleted": struct(
        {
            "id": CONVERSATION_ID,
            "object": constant("conversation.deleted"),
            "deleted": {"type": "boolean", "const": True},
        },
        description="What is left of a deleted conversation.",
    ),
    "ConversationList": page_of(
        "Conversation",
        after="Opaque; hand it over as `after` for the next page. It counts for this user and this list alone.",
    ),
    "CreateConversation": struct(
        {"items": nullable(INPUT_ITEMS), "metadata": nullable(METADATA), "title": nullable(TITLE)},
        optional=("items", "metadata", "title"),
        closed=True,
        description="What a new conversation begins with; `title` is an addition to the OpenAI API.",
    ),
    "UpdateConversation": struct(
        {
            "metadata": nullable({**METADATA, "description": f"Replaces the whole map. {METADATA['description']}"}),
            "title": nullable({**TITLE, "description": f"Null takes the title away. {TITLE['description']}"}),
            "archived": boolean("True archives the conversation, false takes it back."),
        },
        optional=("metadata", "title", "archived"),
        closed=True,
        minProperties=1,
        description="What to change: at least one field. `title` and `archived` are additions to the OpenAI API.",
    ),
}
