"""Say in one line what tests of the store do again and again."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from hansard.models.conversation import ConversationPlace, ConversationRead
from hansard.models.message import MessageRead
from hansard.store.contract import Order, UserStore
from tests.support.items import exact, user_says


def says(*texts: str) -> list[dict[str, Any]]:
    """Return one user message for each text."""
    return [user_says(text) for text in texts]


def numbered(count: int, *, first: int = 1) -> list[dict[str, Any]]:
    """Return ``count`` items that carry their number."""
    return [{"type": "note", "number": number} for number in range(first, first + count)]


def place_of(conversation: ConversationRead) -> ConversationPlace:
    """Return where a conversation stands in the list."""
    return ConversationPlace(conversation.last_message_at, conversation.id)


async def walk_conversations(user: UserStore, *, archived: bool = False, limit: int = 100) -> list[ConversationRead]:
    """Return all listed conversations, page by page."""
    found: list[ConversationRead] = []
    place, more = None, True
    while more:
        page = await user.conversations.list(limit=limit, after=place, archived=archived)
        assert len(page.data) == limit or not page.has_more
        found.extend(page.data)
        more = page.has_more
        place = place_of(found[-1]) if found else None
    return found


async def walk_items(
    user: UserStore, conversation_id: UUID, *, limit: int = 100, order: Order = "asc"
) -> list[MessageRead]:
    """Return all items of a conversation, page by page."""
    found: list[MessageRead] = []
    position, more = None, True
    while more:
        page = await user.items.list(conversation_id, limit=limit, after=position, order=order)
        assert len(page.data) == limit or not page.has_more
        found.extend(page.data)
        more = page.has_more
        position = found[-1].position if found else None
    return found


async def everything_of(user: UserStore, *, unlisted: Iterable[UUID] = ()) -> str:
    """Spell out all that a user has, so that the smallest change shows."""
    conversations = [*await walk_conversations(user), *await walk_conversations(user, archived=True)]
    conversations += [await user.conversations.get(conversation_id) for conversation_id in unlisted]
    inside = [[await walk_items(user, one.id), await _newest_turn(user, one.id)] for one in conversations]
    tasks = (await user.tasks.list(limit=1000)).data
    return exact([conversations, inside, tasks])


async def _newest_turn(user: UserStore, conversation_id: UUID) -> object:
    turn = await user.turns.find_newest(conversation_id)
    return turn and await user.turns.events(turn.id)
