"""Serve the items of a conversation."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from hansard.api.answers import JsonAnswer
from hansard.api.bodies import check_known, missing
from hansard.api.conversations import conversation_view
from hansard.api.deps import BodyLimit, JsonBody, OurTurns, OwnStore
from hansard.api.idempotency import Once
from hansard.api.includes import LeftOut
from hansard.api.intake import check_items, settle_items
from hansard.api.openapi import body_of, describes
from hansard.api.paging import Limit, OrderOf
from hansard.api.wire import get_item, item_json, item_list_json, read_conversation_id, read_item_ref
from hansard.errors import NotFound
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Items"])

_FIELDS: Final = frozenset({"items"})


@router.post(
    "/v1/conversations/{conversation_id}/items",
    operation_id="createConversationItems",
    summary="Append items",
    responses=describes("ConversationItemList"),
    openapi_extra=body_of("CreateItems"),
)
async def create_items(
    store: OwnStore, conversation_id: str, body: JsonBody, limit: BodyLimit, once: Once, left_out: LeftOut
) -> Response:
    """Append up to 20 items, all or none, and return them in the order sent."""
    check_known(body, known=_FIELDS)
    if "items" not in body:
        raise missing("items")
    home = read_conversation_id(conversation_id)
    sent = check_items(body["items"])

    async def append() -> Response:
        items = await settle_items(store, sent, limit=limit, conversation_id=home)
        if not items:
            await store.conversations.get(home)
        stored = await store.items.append(home, items) if items else []
        return JsonAnswer(item_list_json(stored, has_more=False, left_out=left_out))

    return await once(append)


@router.get(
    "/v1/conversations/{conversation_id}/items",
    operation_id="listConversationItems",
    summary="List items",
    responses=describes("ConversationItemList"),
)
async def list_items(
    store: OwnStore,
    turns: OurTurns,
    conversation_id: str,
    left_out: LeftOut,
    limit: Limit = 20,
    order: OrderOf = "desc",
    after: Annotated[str | None, Query(description="The id of the last item seen; it may be deleted by now.")] = None,
) -> Response:
    """Return a page of items by position, the newest first unless ``order`` says otherwise."""
    home = read_conversation_id(conversation_id)
    try:
        ref = None if after is None else read_item_ref(after, home)
        page = await store.items.list(home, limit=limit, after=ref, order=order)
        if page.unsettled:
            await turns.settle(store, home)
            page = await store.items.list(home, limit=limit, after=ref, order=order)
    except NotFound as error:
        if error.noun != "item":
            raise
        raise NotFound("item", after) from None
    return JsonAnswer(item_list_json(page.data, has_more=page.has_more, left_out=left_out))


@router.get(
    "/v1/conversations/{conversation_id}/items/{item_id}",
    operation_id="getConversationItem",
    summary="Retrieve an item",
    responses=describes("ConversationItem"),
)
async def get_one_item(store: OwnStore, conversation_id: str, item_id: str, left_out: LeftOut) -> Response:
    """Return one item."""
    found = await get_item(store.items, read_conversation_id(conversation_id), item_id)
    return JsonAnswer(item_json(found, left_out))


@router.delete(
    "/v1/conversations/{conversation_id}/items/{item_id}",
    operation_id="deleteConversationItem",
    summary="Delete an item",
    responses=describes("Conversation"),
)
async def delete_item(store: OwnStore, conversation_id: str, item_id: str) -> Response:
    """Delete one item and return its conversation; the item's position stays unused."""
    home = read_conversation_id(conversation_id)
    # An item's type never changes, so what was read still holds when the item is deleted.
    await get_item(store.items, home, item_id)
    removal = await store.items.delete(home, read_item_ref(item_id, home))
    if not removal.deleted:
        raise NotFound("item", item_id)
    return JsonAnswer(write_json(conversation_view(removal.conversation)))
