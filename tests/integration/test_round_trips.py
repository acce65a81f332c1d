"""Every operation of the store is one network round trip on PostgreSQL: the client flushes once and then waits."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio

from hansard.database import open_database
from hansard.database.dialects import postgres_gathering
from hansard.models.conversation import ConversationCreate
from hansard.models.message import MessageCreate
from hansard.models.task_models import TaskCreate, TaskId
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import mint
from tests.support.proxy import Direction, Proxy, split_messages
from tests.support.store_steps import numbered, place_of, says

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Place(NamedTuple):
    """Hold a user with a conversation whose first item has a public id."""

    user: UserStore
    here: UUID
    public_id: bytes
    task_id: TaskId
    revision: int
    proxy: Proxy


OPERATIONS: dict[str, Callable[[Place], Awaitable[object]]] = {
    "append 1": lambda it: it.user.items.append(it.here, says("Hello")),
    "append 1 with a client id": lambda it: it.user.items.append(it.here, [MessageCreate(says("Hello")[0], "id")]),
    "append 20": lambda it: it.user.items.append(it.here, numbered(20)),
    "append 1000": lambda it: it.user.items.append(it.here, numbered(1000)),
    "append 1 MB": lambda it: it.user.items.append(it.here, says("x" * 1_000_000)),
    "last 50": lambda it: it.user.items.last(it.here, 50),
    "page of items": lambda it: it.user.items.list(it.here, limit=50),
    "page of items after a position": lambda it: it.user.items.list(it.here, limit=50, after=10),
    "page of items after a public id": lambda it: it.user.items.list(it.here, limit=50, after=it.public_id),
    "item": lambda it: it.user.items.get(it.here, 3),
    "item by public id": lambda it: it.user.items.get(it.here, it.public_id),
    "delete an item": lambda it: it.user.items.delete(it.here, 2),
    "page of conversations": lambda it: it.user.conversations.list(limit=50),
    "get": lambda it: it.user.conversations.get(it.here),
    "find": lambda it: it.user.conversations.find(source="agents", external_id="thread-1"),
    "create": lambda it: it.user.conversations.create(),
    "create with items": lambda it: it.user.conversations.create(items=says("Hello", "again")),
    "update": lambda it: it.user.conversations.update(it.here, title="Milk", metadata={"a": "b"}),
    "update at a revision": lambda it: it.user.conversations.update(
        it.here, title="Milk", expected_revision=it.revision
    ),
    "rename": lambda it: it.user.conversations.rename(it.here, "Milk"),
    "archive": lambda it: it.user.conversations.archive(it.here),
    "suggest_title": lambda it: it.user.conversations.suggest_title(it.here, "Milk", source="model"),
    "delete": lambda it: it.user.conversations.delete(it.here),
    "create a task": lambda it: it.user.tasks.create(TaskCreate("Buy milk")),
    "page of tasks": lambda it: it.user.tasks.list(),
    "update a task": lambda it: it.user.tasks.update(it.task_id, completed=True),
    "delete a task": lambda it: it.user.tasks.delete(it.task_id),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def distant_store(pg_proxy: tuple[Proxy, str]) -> AsyncIterator[SqlStore]:
    """A store whose database stands behind the proxy."""
    database = await open_database(pg_proxy[1])
    yield SqlStore(database)
    await database.close()


@pytest_asyncio.fixture(loop_scope="module")
async def place(distant_store: SqlStore, pg_proxy: tuple[Proxy, str]) -> Place:
    """A user's place with 100 items, on a connection that is warm."""
    user = distant_store.for_user(f"user-{uuid.uuid4()}")
    public_id = mint()
    new = ConversationCreate(source="agents", external_id="thread-1")
    made = await user.conversations.create(new, items=[MessageCreate(numbered(1)[0], public_id=public_id)])
    await user.items.append(made.id, numbered(99, first=2))
    task = await user.tasks.create(TaskCreate("Buy bread"))
    now = await user.conversations.get(made.id)
    return Place(user, made.id, public_id, task.id, now.revision, pg_proxy[0])


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_an_operation_is_one_flush(place, operation):
    place.proxy.forget()
    await operation(place)
    assert place.proxy.flushes == 1
    asked = [kind for kind, _, _ in split_messages(place.proxy.carried[Direction.REQUEST])]
    assert asked.count("S") == 1
    assert asked[-1] == "S"
    assert len(place.proxy.links) == 1


async def test_the_next_page_of_conversations_is_one_flush(place):
    for number in range(3):
        await place.user.conversations.create(items=says(str(number)))
    first = await place.user.conversations.list(limit=2)
    place.proxy.forget()
    rest = await place.user.conversations.list(limit=2, after=place_of(first.data[-1]))
    assert place.proxy.flushes == 1
    assert len(rest.data) == 2


async def test_all_who_ask_what_goes_on_share_trips_and_see_their_own_alone(pg_proxy, monkeypatch):
    proxy, url = pg_proxy
    database = await open_database(url)
    users = [SqlStore(database).for_user(f"user-{uuid.uuid4()}") for _ in range(12)]
    monkeypatch.setattr(postgres_gathering, "MOST_TOGETHER", 8)
    homes = [(await user.conversations.create()).id for user in users[:3]]
    await users[0].turns.activity(homes)
    proxy.forget()
    asked = [asyncio.create_task(user.turns.activity(homes)) for user in users]
    left = asyncio.create_task(users[0].turns.activity(homes))
    await asyncio.sleep(0)
    left.cancel()
    found = await asyncio.gather(*asked)
    assert proxy.flushes == 2
    assert [[activity.conversation_id for activity in seen] for seen in found] == [[home] for home in homes] + [[]] * 9
    await database.close()
