"""Serve the live view of a conversation: what happens in it, as it happens. See docs/reference/live-view.md."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hansard.api.conversations import conversation_view
from hansard.api.deps import OurTurns, OwnStore
from hansard.api.openapi import stream_of
from hansard.api.streams import EventStream, Frame, LastEventId
from hansard.api.wire import item_json, read_conversation_id, read_item_ref
from hansard.errors import InvalidInput, NotFound
from hansard.services.happenings import Added, Changed, Cursor, Deleted, Gone, Paused, Said, Start, Told
from hansard.services.live import LiveView
from hansard.store.contract import UserStore
from hansard.utils.ids import spell
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Live view"])

_FIRST: Final = "0"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@router.get(
    "/v1/conversations/{conversation_id}/events",
    operation_id="followConversation",
    summary="Follow a conversation",
    status_code=200,
    response_class=EventStream,
    responses={200: {"description": "What happens in the conversation.", "content": stream_of("ConversationEvent")}},
)
async def follow_conversation(
    store: OwnStore,
    turns: OurTurns,
    conversation_id: str,
    after: Annotated[
        str | None,
        Query(description="The id of an event of this stream, or of an item, or `0`; without it, from now on."),
    ] = None,
    seen: LastEventId = None,
) -> Response:
    """Send items, changes and the events of the running turn, as they come."""
    home = read_conversation_id(conversation_id)
    start = await _start(store, home, seen or after)
    pages = await LiveView(turns, store, home).open(start)
    return EventStream(_frames(pages, conversation_id))


class Rings:
    """Let those who follow a conversation know that a request of any route may have changed it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ring once the answer was sent, so after the commit."""
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] not in _SAFE:
                _ring(scope)


def _ring(scope: Scope) -> None:
    user_id, sent = scope.get("hansard.user_id"), scope.get("path_params", {}).get("conversation_id")
    if user_id is None or sent is None:
        return
    watch = scope["app"].state.turns.watch
    if not watch.idle:
        with suppress(NotFound):
            watch.ring(user_id, read_conversation_id(sent))


async def _start(store: UserStore, home: UUID, after: str | None) -> Start:
    if after is None:
        return Start()
    if after == _FIRST:
        return Start(position=0)
    cursor = Cursor.parse(after)
    if cursor is not None:
        return Start(cursor)
    try:
        ref = read_item_ref(after, home)
    except NotFound:
        message = "Invalid 'after': it is neither an item of this conversation nor an event of this stream."
        raise InvalidInput(message, param="after", code="invalid_cursor") from None
    if isinstance(ref, int):
        return Start(position=ref)
    try:
        return Start(position=(await store.items.get(home, ref)).position)
    except NotFound:
        raise NotFound("item", after) from None


async def _frames(pages: AsyncGenerator[list[Told], None], conversation_id: str) -> AsyncGenerator[list[Frame], None]:
    try:
        async for page in pages:
            yield [_frame(told, conversation_id) for told in page]
    finally:
        await pages.aclose()


def _frame(told: Told, conversation_id: str) -> Frame:
    if isinstance(told.what, Said):
        turn_id, event = told.what
        # The event is JSON already: it gets one field more, behind the brace it begins with.
        return Frame(told.cursor.text, event.type, f'{{"response_id":"{spell("resp", turn_id)}",{event.data[1:]}')
    type_, fields = _spelled(told, conversation_id)
    return Frame(told.cursor.text, type_, f'{{"type":"{type_}"{fields}}}')


def _spelled(told: Told, conversation_id: str) -> tuple[str, str]:
    """Return the event's name, and its other fields as the rest of a JSON object."""
    what = told.what
    if isinstance(what, Added):
        return "item.added", f',"item":{item_json(what.item).decode()}'
    if isinstance(what, Changed):
        return "conversation.updated", f',"conversation":{write_json(conversation_view(what.conversation)).decode()}'
    if isinstance(what, Deleted):
        return "items.deleted", f',"message_count":{what.conversation.message_count}'
    if isinstance(what, Gone):
        return "conversation.deleted", f',"conversation_id":"{conversation_id}"'
    assert isinstance(what, Paused)
    return "view.paused", ""
