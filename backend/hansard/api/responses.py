"""Serve responses: turns of a conversation, as the OpenAI Responses API asks for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from hansard.api.answers import JsonAnswer
from hansard.api.deps import BodyLimit, JsonBody, OurTurns, OwnStore
from hansard.api.idempotency import KeyOfRequest
from hansard.api.includes import LeftOut, checked_include
from hansard.api.openapi import body_of, describes
from hansard.api.paging import Limit, OrderOf
from hansard.api.streams import EventStream, Frame, LastEventId, read_sequence
from hansard.api.time_limit import without_limit
from hansard.api.turn_bodies import TurnBody, read_turn, sent_id
from hansard.api.wire import item_list_json, read_item_ref, read_response_id
from hansard.errors import InvalidInput, NotFound
from hansard.models.limits import JsonObject
from hansard.services.channel import StreamEvent
from hansard.services.turns import Turn, Turns
from hansard.store.contract import UserStore
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Responses"])

_ANSWER: Final = "The response; its `status` says how it ended. With `stream` its events, as they happen."


async def _takes_its_time(request: Request) -> None:
    # A turn has limits of its own, and whoever waits for one waits for a model.
    without_limit(request.scope)


_WAITS: Final = Depends(_takes_its_time)
OnConflict = Annotated[
    Literal["reject", "wait"],
    Header(
        alias="X-Hansard-On-Conflict",
        description="While another turn runs in the conversation: `reject` with `conversation_locked`, "
        "or `wait` for its end, for a while.",
    ),
]


@router.post(
    "/v1/responses",
    operation_id="createResponse",
    summary="Run a turn",
    dependencies=[Depends(checked_include), _WAITS],
    responses=describes("ResponseObject", description=_ANSWER, events="ResponseEvent", refuses=[404]),
    openapi_extra=body_of("CreateResponse"),
)
async def create_response(
    store: OwnStore,
    turns: OurTurns,
    body: JsonBody,
    limit: BodyLimit,
    key: KeyOfRequest,
    on_conflict: OnConflict = "reject",
) -> Response:
    """Store the input, let the model answer, store its output and return the response or its events."""
    asked = read_turn(body, wait=on_conflict == "wait", key=key)
    turn = await _begin(store, turns, asked, body, limit=limit)
    if asked.stream:
        return await _stream(turns, turn, after=-1)
    if asked.request.background:
        return JsonAnswer(write_json(await turns.response(store, turn.id)))
    return JsonAnswer(write_json(await turns.finished(turn)))


async def _begin(store: UserStore, turns: Turns, asked: TurnBody, body: JsonObject, *, limit: int) -> Turn:
    try:
        request = await asked.settled(store, limit=limit)
    except (InvalidInput, NotFound) as refusal:
        # Asked before, and answered: what it refers to may be gone by now.
        return await turns.repeated(store, asked.request.key, refusal)
    try:
        return await turns.begin(store, request)
    except NotFound as error:
        if error.noun != "conversation":
            raise
        # The store knows it by its UUID; the client is told the id it sent.
        raise NotFound(error.noun, sent_id(body.get("conversation"))) from None


@router.get(
    "/v1/responses/{response_id}",
    operation_id="getResponse",
    summary="Retrieve a response, or follow it",
    dependencies=[Depends(checked_include)],
    responses=describes("ResponseObject", description=_ANSWER, events="ResponseEvent"),
)
async def get_response(
    store: OwnStore,
    turns: OurTurns,
    response_id: str,
    stream: Annotated[bool, Query(description="Send the events, from the first or after a given one.")] = False,  # noqa: FBT002 - FastAPI declares a query parameter so
    starting_after: Annotated[
        int | None,
        Query(ge=0, lt=2**63, description="The `sequence_number` of the last event seen. `Last-Event-ID` works too."),
    ] = None,
    seen: LastEventId = None,
) -> Response:
    """Return a response as it is now, or its events: those so far at once, the others as they come."""
    turn_id = read_response_id(response_id)
    if not stream:
        return JsonAnswer(write_json(await turns.response(store, turn_id)))
    after = read_sequence(seen, param="last-event-id") if seen else starting_after
    return await _stream(turns, await turns.find(store, turn_id), after=-1 if after is None else after)


@router.delete(
    "/v1/responses/{response_id}",
    operation_id="deleteResponse",
    summary="Delete a response",
    dependencies=[_WAITS],
    status_code=204,
    responses={204: {"description": "Done."}},
)
async def delete_response(store: OwnStore, turns: OurTurns, response_id: str) -> Response:
    """Delete a response, stopped first if it runs; the items it made stay in the conversation."""
    await turns.delete(store, read_response_id(response_id))
    return Response(status_code=204)


@router.post(
    "/v1/responses/{response_id}/cancel",
    operation_id="cancelResponse",
    summary="Stop a response",
    dependencies=[_WAITS],
    responses=describes("ResponseObject"),
)
async def cancel_response(store: OwnStore, turns: OurTurns, response_id: str) -> Response:
    """Stop a response wherever it runs, and return it; what it said so far is kept."""
    return JsonAnswer(write_json(await turns.cancel(store, read_response_id(response_id))))


@router.get(
    "/v1/responses/{response_id}/input_items",
    operation_id="listInputItems",
    summary="List the items a response began with",
    responses=describes("ConversationItemList"),
)
async def list_input_items(
    store: OwnStore,
    response_id: str,
    left_out: LeftOut,
    limit: Limit = 20,
    order: OrderOf = "desc",
    after: Annotated[str | None, Query(description="The id of the last item seen; it may be deleted by now.")] = None,
) -> Response:
    """Return a page of the items that came with the request, the newest first unless ``order`` says otherwise."""
    turn_id = read_response_id(response_id)
    ref = None
    if after is not None:
        ref = read_item_ref(after, (await store.turns.get(turn_id)).conversation_id)
    page = await store.turns.input_items(turn_id, limit=limit, after=ref, order=order)
    return JsonAnswer(item_list_json(page.data, has_more=page.has_more, left_out=left_out))


async def _stream(turns: Turns, turn: Turn, *, after: int) -> Response:
    # Its first page is read here, so that what cannot be followed is refused by a plain answer.
    return EventStream(_frames(await turns.follow(turn, after=after)))


async def _frames(pages: AsyncGenerator[list[StreamEvent], None]) -> AsyncGenerator[list[Frame], None]:
    try:
        async for page in pages:
            yield [Frame(str(event.sequence), event.type, event.data) for event in page]
    finally:
        await pages.aclose()
