"""Serve conversations: the five operations of the API, and the list it lacks."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response

from hansard.api.answers import JsonAnswer
from hansard.api.bodies import check_flag, check_known, missing
from hansard.api.deps import BodyLimit, CurrentUser, Cursors, JsonBody, OurTurns, OwnStore
from hansard.api.idempotency import Once
from hansard.api.includes import LAST_RESPONSE, Included
from hansard.api.intake import check_items, settle_items
from hansard.api.openapi import body_of, describes
from hansard.api.paging import Limit
from hansard.api.wire import list_json, read_conversation_id
from hansard.errors import InvalidInput, NotFound
from hansard.models.conversation import ConversationCreate, ConversationPlace, ConversationRead
from hansard.models.limits import JsonObject, check_metadata, check_title
from hansard.store.contract import KEEP
from hansard.utils.cursor import CursorSealer, Scalar
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Conversations"])

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
_CREATE_FIELDS: Final = frozenset({"items", "metadata", "title"})
_UPDATE_FIELDS: Final = frozenset({"metadata", "title", "archived"})


@router.post(
    "/v1/conversations",
    operation_id="createConversation",
    summary="Create a conversation",
    responses=describes("Conversation", refuses=[404]),
    openapi_extra=body_of("CreateConversation", required=False),
)
async def create_conversation(store: OwnStore, body: JsonBody, limit: BodyLimit, once: Once) -> Response:
    """Store a new conversation, with up to 20 first items."""
    check_known(body, known=_CREATE_FIELDS)
    new = ConversationCreate(title=check_title(body.get("title")), metadata=check_metadata(body.get("metadata")))
    sent = check_items([] if body.get("items") is None else body["items"])

    async def create() -> Response:
        return _answer(await store.conversations.create(new, items=await settle_items(store, sent, limit=limit)))

    return await once(create)


@router.get(
    "/v1/conversations",
    operation_id="listConversations",
    summary="List conversations by recent activity",
    responses=describes("ConversationList"),
)
async def list_conversations(
    store: OwnStore,
    user_id: CurrentUser,
    cursors: Cursors,
    limit: Limit = 20,
    after: Annotated[str | None, Query(description="The `last_id` of the page before; opaque.")] = None,
    archived: Annotated[bool, Query(description="List the archived conversations instead of the active ones.")] = False,  # noqa: FBT002 - FastAPI declares a query parameter so
) -> Response:
    """Return conversations, the most recently active first."""
    context: tuple[Scalar, ...] = ("conversations", user_id, archived)
    place = None if after is None else _open_cursor(cursors, after, context)
    page = await store.conversations.list(limit=limit, after=place, archived=archived)
    data = [write_json(conversation_view(read)) for read in page.data]
    first_id = page.data[0].public_id if page.data else ""
    last_id = _seal_cursor(cursors, page.data[-1], context) if page.data else ""
    return JsonAnswer(list_json(data, first_id=first_id, last_id=last_id, has_more=page.has_more))


@router.get(
    "/v1/conversations/{conversation_id}",
    operation_id="getConversation",
    summary="Retrieve a conversation",
    responses=describes("Conversation"),
)
async def get_conversation(store: OwnStore, turns: OurTurns, conversation_id: str, included: Included) -> Response:
    """Return one conversation, where it is asked for with its newest response."""
    home = read_conversation_id(conversation_id)
    view = conversation_view(await store.conversations.get(home))
    if LAST_RESPONSE in included:
        view[LAST_RESPONSE] = await turns.last_response(store, home)
    return JsonAnswer(write_json(view))


@router.post(
    "/v1/conversations/{conversation_id}",
    operation_id="updateConversation",
    summary="Update a conversation",
    responses=describes("Conversation"),
    openapi_extra=body_of("UpdateConversation"),
)
async def update_conversation(store: OwnStore, conversation_id: str, body: JsonBody, once: Once) -> Response:
    """Change the metadata (the whole map), the title or the archive flag; at least one of them."""
    check_known(body, known=_UPDATE_FIELDS)
    if not body:
        raise missing("metadata")

    async def update() -> Response:
        updated = await store.conversations.update(
            read_conversation_id(conversation_id),
            title=check_title(body["title"]) if "title" in body else KEEP,
            metadata=check_metadata(body["metadata"]) if "metadata" in body else KEEP,
            archived=check_flag(body["archived"], param="archived") if "archived" in body else KEEP,
        )
        return _answer(updated)

    return await once(update)


@router.delete(
    "/v1/conversations/{conversation_id}",
    operation_id="deleteConversation",
    summary="Delete a conversation with all its items",
    responses=describes("ConversationDeleted"),
)
async def delete_conversation(store: OwnStore, conversation_id: str) -> Response:
    """Delete a conversation; its items go with it."""
    if not await store.conversations.delete(read_conversation_id(conversation_id)):
        raise NotFound("conversation", conversation_id)
    deleted = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return JsonAnswer(write_json(deleted))


def conversation_view(read: ConversationRead) -> JsonObject:
    """Return a conversation as the API shows it; times are whole seconds since 1970."""
    return {
        "id": read.public_id,
        "object": "conversation",
        "created_at": int(read.created_at.timestamp()),
        "metadata": read.metadata,
        "title": read.title,
        "title_source": read.title_source,
        "archived_at": None if read.archived_at is None else int(read.archived_at.timestamp()),
        "last_message_at": int(read.last_message_at.timestamp()),
        "updated_at": int(read.updated_at.timestamp()),
        "message_count": read.message_count,
    }


def _answer(read: ConversationRead) -> Response:
    return JsonAnswer(write_json(conversation_view(read)))


def _seal_cursor(cursors: CursorSealer, last: ConversationRead, context: tuple[Scalar, ...]) -> str:
    return cursors.seal([(last.last_message_at - _EPOCH) // _MICROSECOND, last.id.hex], context=context)


def _open_cursor(cursors: CursorSealer, text: str, context: tuple[Scalar, ...]) -> ConversationPlace:
    match cursors.open(text, context=context):
        case [int(microseconds), str(digits)]:
            return ConversationPlace(_EPOCH + microseconds * _MICROSECOND, UUID(digits))
    message = "Invalid 'after': it is no cursor of this list. Use the 'last_id' of the page before."
    raise InvalidInput(message, param="after", code="invalid_cursor")
