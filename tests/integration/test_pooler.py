"""Through PgBouncer in transaction mode, twelve clients on three server connections: each user has exactly their own.

A pooler hands one server connection to many clients, so whatever a transaction leaves on it is the next client's:
a role, a setting, a prepared statement, an open transaction.
"""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import pytest_asyncio

from hansard.database import migrations, open_database
from hansard.errors import AlreadyExists, IdempotencyConflict, NotFound
from hansard.models.conversation import ConversationCreate
from hansard.models.message import MessageCreate
from hansard.store.sql import SqlStore
from tests.support.pgbouncer import Pooler, running_pgbouncer
from tests.support.proxy import Direction, proxied, split_messages
from tests.support.store_steps import says, walk_conversations, walk_items

pytestmark = [pytest.mark.pooler, pytest.mark.asyncio(loop_scope="module")]

CLIENTS = 12
OPERATIONS = 40
SERVER_CONNECTIONS = 3
BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


@pytest.fixture(scope="module")
def pooler(pg_server) -> Iterator[Pooler]:
    """PgBouncer in front of the server."""
    with running_pgbouncer(pg_server, pool_size=SERVER_CONNECTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def pooled(pg_server, pooler) -> Iterator[tuple[str, str]]:
    """The pooled and the direct URL of one migrated database."""
    pg_server.make_template("migrated", migrations.upgrade)
    direct = pg_server.clone("migrated")
    yield pooler.url(direct), direct
    pg_server.drop(direct)


class Client:
    """Do random things as one user, on a connection pool of its own, and know what must be stored."""

    def __init__(self, store: SqlStore, number: int) -> None:
        self.name = f"client {number} {uuid.uuid4()}"
        self.user = store.for_user(self.name)
        self.dice = random.Random(number)
        self.said: dict[object, list[str]] = {}
        self.turn = 0

    async def run(self) -> None:
        for self.turn in range(OPERATIONS):
            known = [self.append, self.append_once, self.read, self.list, self.rename, self.fail, self.block]
            known += [self.give_up, self.delete, self.create]
            await (self.dice.choice(known) if self.said else self.create)()

    @property
    def text(self) -> str:
        return f"{self.name} says {self.turn}"

    def pick(self):
        return self.dice.choice(list(self.said))

    async def create(self):
        new = ConversationCreate(source="clients", external_id=f"{self.name} {self.turn}")
        made = await self.user.conversations.create(new, items=says(self.text))
        self.said[made.id] = [self.text]

    async def append(self):
        here = self.pick()
        await self.user.items.append(here, says(self.text, self.text))
        self.said[here] += [self.text] * 2

    async def append_once(self):
        here = self.pick()
        batch = [MessageCreate(says(self.text)[0], client_id=self.text)]
        first = await self.user.items.append(here, batch)
        assert await self.user.items.append(here, batch) == first
        with pytest.raises(IdempotencyConflict):
            await self.user.items.append(here, [MessageCreate(says("other")[0], client_id=self.text)])
        self.said[here].append(self.text)

    async def read(self):
        here = self.pick()
        assert [item.content for item in await self.user.items.last(here, 50)] == self.said[here][-50:]

    async def list(self):
        assert {found.id for found in await walk_conversations(self.user)} == set(self.said)

    async def rename(self):
        here = self.pick()
        assert (await self.user.conversations.rename(here, self.text)).title == self.text
        assert (await self.user.conversations.get(here)).title == self.text

    async def fail(self):
        same = ConversationCreate(source="clients", external_id="same")
        made = await self.user.conversations.ensure(same)
        with pytest.raises(AlreadyExists):
            await self.user.conversations.create(same)
        self.said.setdefault(made.id, [])

    async def block(self):
        here = self.pick()
        async with self.user.atomic():
            await self.user.items.append(here, says(self.text))
            assert [item.content for item in await self.user.items.last(here, 1)] == [self.text]
        self.said[here].append(self.text)
        await self.abandon(here)

    async def abandon(self, here):
        with pytest.raises(NotFound):
            await self.broken(here)

    async def broken(self, here):
        async with self.user.atomic():
            await self.user.items.append(here, says("never"))
            await self.user.items.get(here, 10**9)

    async def give_up(self):
        here = self.pick()
        append = asyncio.create_task(self.user.items.append(here, says(self.text)))
        for _ in range(self.dice.randrange(6)):
            await asyncio.sleep(0)
        append.cancel()
        await asyncio.wait([append])
        stored = [item.content for item in await walk_items(self.user, here)]
        assert stored in (self.said[here], [*self.said[here], self.text])
        self.said[here] = stored

    async def delete(self):
        here = self.pick()
        assert await self.user.conversations.delete(here)
        assert not await self.user.conversations.delete(here)
        del self.said[here]


@pytest_asyncio.fixture(loop_scope="module")
async def clients(pooled) -> AsyncIterator[list[Client]]:
    databases = [await open_database(pooled[0]) for _ in range(CLIENTS)]
    yield [Client(SqlStore(database), number) for number, database in enumerate(databases)]
    for database in databases:
        await database.close()


async def test_every_client_has_exactly_their_own(clients, pooled):
    seen: set[int] = set()
    working = asyncio.gather(*(client.run() for client in clients))
    with psycopg.connect(pooled[1], autocommit=True) as observer:
        while not working.done():
            backends = {pid for (pid,) in observer.execute(BACKENDS)}
            assert len(backends) <= SERVER_CONNECTIONS
            seen |= backends
            await asyncio.sleep(0.05)
    await working
    assert len(seen) == SERVER_CONNECTIONS
    for client in clients:
        found = await walk_conversations(client.user)
        assert {conversation.id for conversation in found} == set(client.said)
        for conversation_id, said in client.said.items():
            items = await walk_items(client.user, conversation_id)
            assert [item.content for item in items] == said
            assert [item.position for item in items] == list(range(1, len(said) + 1))


async def test_nothing_is_left_on_a_server_connection(clients, pooled):
    """After successes, errors, roll-backs and cancellations, each server connection is as new."""
    await asyncio.gather(*(client.run() for client in clients[:4]))
    question = (
        "SELECT pg_backend_pid(), current_user = session_user, coalesce(current_setting('hansard.user_id', true), ''), "
        "current_setting('idle_in_transaction_session_timeout'), count(*) FROM pg_prepared_statements"
    )
    asked: set[int] = set()
    deadline = time.monotonic() + 30
    while len(asked) < SERVER_CONNECTIONS and time.monotonic() < deadline:
        # Open transactions hold a server connection each, so the next one is asked too.
        askers = [psycopg.connect(pooled[0], prepare_threshold=None) for _ in range(SERVER_CONNECTIONS)]
        for asker in askers:
            row = asker.execute(question).fetchone()
            assert row is not None
            asked.add(row[0])
            assert row[1:] == (True, "", "0", 0)
        for asker in askers:
            asker.close()
    assert len(asked) == SERVER_CONNECTIONS


async def test_an_operation_is_one_flush_also_to_a_pooler(pooled):
    async with proxied(pooled[0]) as (proxy, url):
        database = await open_database(url)
        user = SqlStore(database).for_user("one flush")
        made = await user.conversations.create()
        for call in (
            lambda: user.items.append(made.id, says("Hello")),
            lambda: user.items.append(made.id, says(*"a" * 20)),
            lambda: user.items.last(made.id, 50),
            user.conversations.list,
        ):
            proxy.forget()
            await call()
            assert proxy.flushes == 1
            kinds = [kind for kind, _, _ in split_messages(bytes(proxy.carried[Direction.REQUEST]))]
            assert kinds.count("S") == 1
        await database.close()


async def test_a_pooler_that_goes_away_between_calls_is_noticed_before_use(pg_server, pooled):
    """Poolers end idle clients as servers do."""
    async with proxied(pooled[0]) as (proxy, url):
        database = await open_database(url)
        user = SqlStore(database).for_user("left alone")
        made = await user.conversations.create()
        proxy.tear_all()
        await proxy.deserted()
        await user.items.append(made.id, says("after"))
        assert [item.content for item in await walk_items(user, made.id)] == ["after"]
        await database.close()
