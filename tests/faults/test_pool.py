"""The pool gives every connection back, whoever leaves while waiting, connecting or working."""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hansard.database import Database, open_database
from hansard.database.dialects import postgres, postgres_flight
from hansard.database.dialects.postgres_pool import Pool
from hansard.errors import DatabaseError, DatabaseUnavailable, IdempotencyConflict, OutcomeUnknown
from hansard.models.message import MessageCreate
from hansard.store.sql import SqlStore
from tests.support.proxy import Cut, Direction, Proxy, proxied
from tests.support.store_steps import says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACKENDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
SIZE = 3


@pytest_asyncio.fixture(loop_scope="module")
async def small(pg_proxy: tuple[Proxy, str]) -> AsyncIterator[Database]:
    """A database behind the proxy, with a small pool."""
    database = await open_database(pg_proxy[1], pool_size=SIZE)
    yield database
    await database.close()
    assert pool_of(database).lent == 0


@pytest.fixture
def proxy(pg_proxy: tuple[Proxy, str]) -> Proxy:
    return pg_proxy[0]


@pytest.fixture
def user(small):
    return SqlStore(small).for_user(f"user-{uuid.uuid4()}")


def pool_of(database: Database) -> Pool:
    assert isinstance(database._backend, postgres.PostgresBackend)
    return database._backend._pool


async def until_backends(observer, count):
    """Return when there are so many; what serves a connection that was closed takes a moment to end."""
    deadline = time.monotonic() + 30
    while observer.execute(BACKENDS) != [(count,)]:
        assert time.monotonic() < deadline, observer.execute(BACKENDS)
        await asyncio.sleep(0.01)


async def test_one_call_after_the_other_takes_one_connection(small, user, pg_observer):
    made = await user.conversations.create()
    for _ in range(20):
        await user.items.append(made.id, says("Hello"))
    await until_backends(pg_observer, 1)


async def test_many_at_once_share_as_many_connections_as_there_may_be(small, user, pg_observer):
    made = await user.conversations.create()
    await asyncio.gather(*(user.items.append(made.id, says("Hello")) for _ in range(50)))
    await until_backends(pg_observer, SIZE)
    assert len(await walk_items(user, made.id)) == 50


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_leaves_takes_no_connection_along(small, user, seed):
    """Cancelled at any step: before a connection is there, while it is made, while waiting for one, in the air."""
    dice = random.Random(seed)
    made = await user.conversations.create()
    calls = [asyncio.create_task(user.items.append(made.id, says(str(number)))) for number in range(60)]
    for call in dice.sample(calls, 40):
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    done = {str(number) for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)}
    assert pool_of(small).lent == 0
    stored = [item.content for item in await walk_items(user, made.id)]
    assert len(stored) == len(set(stored))
    assert done <= set(stored)
    await asyncio.gather(*(user.conversations.get(made.id) for _ in range(2 * SIZE)))


async def test_whoever_waits_is_served_in_turn_and_the_last_connection_used_is_the_next(small):
    pool = pool_of(small)
    lent = [await pool.take() for _ in range(SIZE)]
    waiting = [asyncio.create_task(pool.take()) for _ in range(SIZE)]
    await asyncio.sleep(0)  # now all of them wait
    for place, connection in enumerate(lent):
        pool.give(connection)
        await asyncio.wait([waiting[place]], timeout=5)
        assert [task.done() for task in waiting] == [other <= place for other in range(SIZE)]
    for connection in lent:
        pool.give(connection)
    again = await pool.take()
    pool.give(again)
    assert again is lent[-1]


@pytest.mark.parametrize("given", ["a connection", "room"])
async def test_who_leaves_at_the_moment_of_being_served_lets_the_next_have_it(small, given):
    pool = pool_of(small)
    lent = [await pool.take() for _ in range(SIZE)]
    leaving, next_one = (asyncio.create_task(pool.take()) for _ in range(2))
    await asyncio.sleep(0)  # now both wait
    if given == "room":
        lent[0].close()
    pool.give(lent[0])
    leaving.cancel()
    served = await asyncio.wait_for(next_one, 5)
    assert leaving.cancelled()
    for connection in (served, *lent[1:]):
        pool.give(connection)
    assert pool.lent == 0


async def test_closing_waits_for_what_is_under_way(pg_proxy, proxy, user, pg_observer):
    made = await user.conversations.create()
    other = await open_database(pg_proxy[1])
    same = SqlStore(other).for_user(user.user_id)
    await same.conversations.get(made.id)
    proxy.stall()
    append = asyncio.create_task(same.items.append(made.id, says("last words")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(other.close())
    await asyncio.sleep(0)
    assert not closing.done()
    proxy.resume()
    await asyncio.gather(append, closing)
    assert [item.content for item in await walk_items(user, made.id)] == ["last words"]
    with pytest.raises(DatabaseUnavailable):
        await same.conversations.list()
    await until_backends(pg_observer, 1)


async def test_connections_that_nobody_needs_are_ended(pg_proxy, monkeypatch, pg_observer):
    monkeypatch.setattr(postgres, "IDLE_SECONDS", 0.2)
    database = await open_database(pg_proxy[1])
    user = SqlStore(database).for_user(f"user-{uuid.uuid4()}")
    await asyncio.gather(*(user.conversations.create() for _ in range(5)))
    await until_backends(pg_observer, 0)
    monkeypatch.setattr(pool_of(database), "_idle_seconds", 300)
    await user.conversations.create()
    assert pg_observer.execute(BACKENDS) == [(1,)]
    await database.close()


async def test_who_cannot_have_a_connection_in_time_is_told_so(pg_proxy, monkeypatch):
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.5)
    database = await open_database(pg_proxy[1], pool_size=1)
    monkeypatch.undo()
    user, other = (SqlStore(database).for_user(f"user-{uuid.uuid4()}") for _ in range(2))
    made = await user.conversations.create()
    working, enough = asyncio.Event(), asyncio.Event()

    async def hold():
        async with user.atomic():
            await user.items.append(made.id, says("mine"))
            working.set()
            await enough.wait()

    holding = asyncio.create_task(hold())
    await working.wait()
    with pytest.raises(DatabaseUnavailable, match="free"):
        await other.conversations.list()
    monkeypatch.setattr(pool_of(database), "_wait_seconds", 30)
    waiting = asyncio.create_task(other.conversations.list())
    await asyncio.sleep(0)
    enough.set()
    assert (await waiting).data == []
    await holding
    await database.close()


async def test_a_server_that_falls_silent_is_given_up(pg_proxy, proxy, monkeypatch, pg_observer):
    database = await open_database(pg_proxy[1])
    user = SqlStore(database).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()
    monkeypatch.setattr(postgres_flight, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.3)
    proxy.stall()
    with pytest.raises(OutcomeUnknown):
        await user.items.append(made.id, says("perhaps"))
    with pytest.raises(DatabaseUnavailable):
        await user.items.last(made.id, 1)
    proxy.tear_all()
    proxy.resume()
    await until_backends(pg_observer, 0)
    monkeypatch.undo()
    assert [item.content for item in await walk_items(user, made.id)] in (["perhaps"], [])
    await database.close()


async def test_a_write_in_doubt_stays_so_when_the_server_cannot_be_asked_again(pg_proxy, proxy, pg_observer):
    database = await open_database(pg_proxy[1])
    user = SqlStore(database).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()

    async def refuse() -> postgres_flight.Connection:
        raise DatabaseUnavailable("cannot connect")

    pool_of(database)._connect = refuse
    proxy.cut = Cut(Direction.ANSWER, 0)
    with pytest.raises(OutcomeUnknown):
        await user.items.append(made.id, [MessageCreate(says("once")[0], client_id="once")])
    await database.close()
    stored = "SELECT count(*) FROM messages WHERE conversation_id = ?"
    assert pg_observer.execute(stored, made.id) == [(1,)]


async def test_a_connection_that_is_lost_while_it_is_undone_leaves_its_room(small, user, proxy):
    made = await user.conversations.create()

    async def undone():
        async with user.atomic():
            await user.items.append(made.id, says("undone"))
            proxy.cut = Cut(Direction.ANSWER, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert pool_of(small).lent == 0
    assert await walk_items(user, made.id) == []


async def test_a_block_that_begins_too_late_is_told_so(user, monkeypatch):
    made = await user.conversations.create()
    monkeypatch.setattr(postgres, "TRANSACTION_SECONDS", -1.0)
    with pytest.raises(DatabaseUnavailable, match="took longer"):
        async with user.atomic():
            await user.items.append(made.id, says("late"))
    assert await walk_items(user, made.id) == []


async def test_who_falls_silent_in_the_middle_of_a_write_keeps_no_lock(proxy, user, pg_server, pg_url, monkeypatch):
    """A large write leaves in pieces, so a process may be paused when half of it has arrived."""
    if pg_server.binaries.major < 17:
        pytest.skip("PostgreSQL bounds a transaction that is not idle from version 17 on")
    made = await user.conversations.create()
    monkeypatch.setattr(postgres, "TRANSACTION_SECONDS", 0.5)
    # As the items of a turn are written: a statement has locked the conversation before the one with the text arrives.
    monkeypatch.setattr(user.scope.database._backend, "functions", False)
    proxy.cut = Cut(Direction.REQUEST, after=20_000, stalls=True)
    cut = asyncio.create_task(user.items.append(made.id, says("x" * 30_000)))
    await proxy.stalled()
    monkeypatch.undo()
    awake = await open_database(pg_url)
    await asyncio.wait_for(SqlStore(awake).for_user(user.user_id).items.append(made.id, says("hello")), 20)
    await awake.close()
    proxy.resume()
    with pytest.raises(OutcomeUnknown):
        await cut
    assert [item.content for item in await walk_items(user, made.id)] == ["hello"]


@pytest_asyncio.fixture(loop_scope="module")
async def prepared(pg_proxy: tuple[Proxy, str]) -> AsyncIterator[Database]:
    """A database whose connections are direct, so that statements stay prepared on them."""
    database = await open_database(pg_proxy[1], pool_size=1, prepare=True)
    yield database
    await database.close()


async def test_statements_are_prepared_once_for_a_connection(prepared, proxy):
    user = SqlStore(prepared).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()
    sent = []
    for _ in range(3):
        proxy.forget()
        await user.items.append(made.id, says("Hello"))
        sent.append(proxy.carried[Direction.REQUEST].count(b"FROM hansard_append("))
    assert sent == [1, 0, 0]
    assert [item.position for item in await walk_items(user, made.id)] == [1, 2, 3]


async def test_prepared_statements_survive_refusals_and_repetitions_in_one_flush(prepared):
    user = SqlStore(prepared).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()
    batch = [MessageCreate(item, client_id=item["content"]) for item in says("one", "two", "three")]
    stored = await user.items.append(made.id, batch)
    assert await user.items.append(made.id, batch) == stored  # reads by the same statement three times
    with pytest.raises(IdempotencyConflict):
        await user.items.append(made.id, [MessageCreate(says("other")[0], client_id="one")])
    assert await walk_items(user, made.id) == stored


async def test_prepared_statements_take_numbers_of_every_size(prepared):
    """The driver sends 50 as two bytes and a million as four; the server keeps the types it was first told."""
    user = SqlStore(prepared).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()
    stored = await user.items.append(made.id, says("one", "two"))
    for limit in (50, 1_000_000, 2, 40_000):
        assert await user.items.last(made.id, limit) == stored
    for after in (1, 2**40, 1):
        page = await user.items.list(made.id, after=after)
        assert page.data == stored[after:]


async def test_prepared_statements_are_known_although_their_first_caller_left(prepared, proxy):
    user = SqlStore(prepared).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()
    proxy.stall()
    first = asyncio.create_task(user.items.append(made.id, says("first")))
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    proxy.resume()
    with pytest.raises(asyncio.CancelledError):
        await first
    await user.items.append(made.id, says("second"))
    assert [item.content for item in await walk_items(user, made.id)] == ["first", "second"]


async def test_a_connection_without_its_statements_is_dropped(prepared, pg_observer):
    """What a pooler would do to us: the next transaction is on another server connection."""
    user = SqlStore(prepared).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create()
    await prepared.ping()
    [connection] = pool_of(prepared)._idle
    await connection.fly([postgres_flight.Command(b"DEALLOCATE ALL")])
    with pytest.raises(DatabaseError, match="pooler"):
        await user.conversations.get(made.id)
    assert (await user.conversations.get(made.id)).id == made.id


async def test_a_failed_attempt_to_connect_leaves_its_room_to_others(pg_url):
    async with proxied(pg_url) as (proxy, url):
        database = await open_database(url, pool_size=1)
        user = SqlStore(database).for_user(f"user-{uuid.uuid4()}")
        await user.conversations.create()
        proxy.tear_all()
        await proxy.deserted()
        proxy.cut = Cut(Direction.ANSWER, 0)
        outcomes = await asyncio.gather(*(user.conversations.list() for _ in range(10)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)] == [DatabaseUnavailable]
        await database.close()
