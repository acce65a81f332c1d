"""Search the user's messages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response

from hansard.api.answers import JsonAnswer
from hansard.api.deps import CurrentUser, Cursors, OwnStore
from hansard.api.openapi import describes
from hansard.api.paging import Limit
from hansard.api.wire import item_id, list_json, read_conversation_id
from hansard.errors import InvalidInput
from hansard.models.limits import JsonObject
from hansard.models.search import QUERY_CODE_POINTS, SearchFilter, SearchHit, SearchPlace
from hansard.models.verbatim import ROLES
from hansard.utils import ids
from hansard.utils.cursor import CursorSealer, Scalar
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Search"])

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_SECOND: Final = 253_402_300_799

Seconds = Annotated[int | None, Query(ge=0, le=_LAST_SECOND)]


@router.get(
    "/v1/search",
    operation_id="searchMessages",
    summary="Search messages",
    responses=describes("SearchResultList", refuses=[404]),
)
async def search_messages(
    store: OwnStore,
    user_id: CurrentUser,
    cursors: Cursors,
    query: Annotated[
        str,
        Query(
            min_length=1,
            max_length=QUERY_CODE_POINTS,
            description='Words that must all be there. `"two words"` stand side by side, `-word` must not be there, '
            "`be*` is the beginning of a word.",
            examples=['milk -bread "next week"'],
        ),
    ],
    conversation_id: Annotated[str | None, Query(description="Only in this conversation.")] = None,
    role: Annotated[
        str | None, Query(description="Only messages of this role.", json_schema_extra={"enum": sorted(ROLES)})
    ] = None,
    after_time: Annotated[Seconds, Query(description="Only from this second since 1970 on.")] = None,
    before_time: Annotated[Seconds, Query(description="Only before this second since 1970.")] = None,
    archived: Annotated[bool | None, Query(description="Only in conversations that are, or are not, archived.")] = None,
    limit: Limit = 20,
    after: Annotated[str | None, Query(description="The `last_id` of the page before; opaque.")] = None,
) -> Response:
    """Return the messages that the query finds, the best first, each with the part of its text that shows why."""
    only = SearchFilter(
        conversation_id=None if conversation_id is None else await _own(store, conversation_id),
        role=role,
        since=_instant(after_time),
        until=_instant(before_time),
        archived=archived,
    )
    context = ("search", user_id, query, conversation_id, role, after_time, before_time, archived)
    place = None if after is None else _open_cursor(cursors, after, context)
    page = await store.search.messages(query, limit=limit, after=place, only=only)
    first_id, last_id = (item_id(page.data[0]), _seal(cursors, page.data[-1], context)) if page.data else ("", "")
    data = [write_json(_hit_view(hit)) for hit in page.data]
    return JsonAnswer(list_json(data, first_id=first_id, last_id=last_id, has_more=page.has_more))


async def _own(store: OwnStore, text: str) -> UUID:
    # Asked for, so that a missing and a foreign conversation are answered as everywhere else.
    return (await store.conversations.get(read_conversation_id(text))).id


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else _EPOCH + timedelta(seconds=seconds)


def _hit_view(hit: SearchHit) -> JsonObject:
    return {
        "object": "search.result",
        "item_id": item_id(hit),
        "item_type": hit.kind,
        "role": hit.role,
        "conversation_id": ids.spell("conv", hit.conversation_id),
        "conversation_title": hit.title,
        "created_at": int(hit.created_at.timestamp()),
        "score": hit.rank,
        "snippet": [{"text": segment.text, "match": segment.match} for segment in hit.snippet],
    }


def _seal(cursors: CursorSealer, last: SearchHit, context: tuple[Scalar, ...]) -> str:
    microseconds = (last.created_at - _EPOCH) // _MICROSECOND
    return cursors.seal([last.rank, microseconds, last.conversation_id.hex, last.position], context=context)


def _open_cursor(cursors: CursorSealer, text: str, context: tuple[Scalar, ...]) -> SearchPlace:
    match cursors.open(text, context=context):
        case [int(rank), int(microseconds), str(digits), int(position)]:
            return SearchPlace(rank, _EPOCH + microseconds * _MICROSECOND, UUID(digits), position)
    message = "Invalid 'after': it is no cursor of this search. Use the 'last_id' of the page before."
    raise InvalidInput(message, param="after", code="invalid_cursor")
