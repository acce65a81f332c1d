"""Who watches a store hears what was written, however it was asked for, and is never the reason that a write fails."""

from contextlib import AbstractContextManager, nullcontext

from hansard.store.observed import ObservedStore
from tests.support.store_calls import ENDED, prepare
from tests.support.store_steps import says


class Listening:
    """Remember what was heard."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.items = 0
        self.ended: list[str] = []

    def operation(self, name: str) -> AbstractContextManager[object]:
        self.operations.append(name)
        return nullcontext()

    def appended(self, count: int) -> None:
        self.items += count

    def turn_ended(self, status: str) -> None:
        self.ended.append(status)


async def test_whoever_watches_hears_of_every_write_by_position_or_by_name(store, user):
    listening = Listening()
    watched = ObservedStore(store, listening).for_user(user.user_id)
    things = await prepare(watched)
    await watched.items.append(conversation_id=things.conversation_id, items=says("One more"))
    ended = await watched.turns.end(
        turn=things.running, lease_token=things.lease_token, end=ENDED, items=says("Done", "twice")
    )
    assert ended is not None
    late = await watched.turns.end(things.running, things.lease_token, ENDED, says("Too late"))
    assert late is None
    assert listening.ended == ["completed", "completed"]
    stored = [await user.conversations.get(one.conversation_id) for one in (ended, things.abandoned)]
    first = await user.conversations.get(things.conversation_id)
    assert listening.items == first.message_count + sum(one.message_count for one in stored)
    assert {"conversations.create", "turns.begin", "turns.end", "items.append"} <= set(listening.operations)
