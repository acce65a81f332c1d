"""A connection may die at any byte: nothing is lost, nothing doubled, and nobody is told what is not known."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hansard.database import Database, migrations, open_database
from hansard.errors import AlreadyExists, DatabaseUnavailable, OutcomeUnknown
from hansard.models.conversation import ConversationCreate
from hansard.models.message import MessageCreate
from hansard.store.sql import SqlStore
from hansard.utils.witness import Witness, watching
from tests.support.observers import PostgresObserver
from tests.support.pg_server import running_postgres
from tests.support.ports import Port
from tests.support.proxy import Cut, Direction, Proxy, proxied, split_messages
from tests.support.store_steps import numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACKENDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
TERMINATE = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """Open a database for one test."""
    found = await open_database(url)
    try:
        yield found
    finally:
        await found.close()


@pytest_asyncio.fixture(loop_scope="module")
async def database(pg_proxy: tuple[Proxy, str]) -> AsyncIterator[Database]:
    """A database behind the proxy, without a connection yet."""
    async with opened(pg_proxy[1]) as found:
        yield found


@pytest.fixture
def proxy(pg_proxy: tuple[Proxy, str]) -> Proxy:
    return pg_proxy[0]


@pytest.fixture
def user(database):
    return SqlStore(database).for_user(f"user-{uuid.uuid4()}")


async def gone(observer: PostgresObserver) -> None:
    """Return when the server has no client left: what was cut off is decided now."""
    deadline = time.monotonic() + 30
    while observer.execute(BACKENDS) != [(0,)]:
        assert time.monotonic() < deadline, "a backend outlives its client"
        await asyncio.sleep(0.01)


def offsets(carried: bytes) -> list[int]:
    """Return where to cut: before and after every message, inside its head and inside its body."""
    found = {0, 1}
    for _, start, end in split_messages(carried):
        found |= {start, start + 3, (start + 5 + end) // 2, end - 1, end}
    return sorted(offset for offset in found if offset <= len(carried))


async def carried_by(proxy, direction, call):
    """Return the bytes that a call, on a warm connection, sends through the proxy."""
    await call()
    proxy.forget()
    await call()
    return bytes(proxy.carried[direction])


@pytest.mark.parametrize("direction", Direction)
async def test_an_append_cut_anywhere_is_stored_once_or_not_at_all_and_says_so(user, proxy, pg_observer, direction):
    made = await user.conversations.create()
    expected: list[str] = []
    whole = await carried_by(proxy, direction, lambda: user.items.append(made.id, says("whole")))
    expected += ["whole"] * 2
    doubts = 0
    for offset in offsets(whole):
        text = f"{direction.name} {offset}"
        await user.conversations.get(made.id)  # so that the cut meets a living connection
        proxy.cut = Cut(direction, offset)
        try:
            await user.items.append(made.id, says(text))
        except OutcomeUnknown:
            doubts += 1
            await gone(pg_observer)
            stored = [item.content for item in await user.items.last(made.id, 1)]
            expected += [text] if stored == [text] else []
        else:
            expected.append(text)
        proxy.cut = None
    found = await walk_items(user, made.id)
    assert [item.content for item in found] == expected
    assert [item.position for item in found] == list(range(1, len(expected) + 1))
    assert doubts > 10


@pytest.mark.parametrize("direction", Direction)
async def test_an_append_with_client_ids_cut_anywhere_is_stored_once(user, proxy, direction):
    made = await user.conversations.create()
    numbers = iter(range(10_000))

    def append(label):
        batch = [MessageCreate(item, client_id=f"{label} {place}") for place, item in enumerate(says(label, "and"))]
        return user.items.append(made.id, batch)

    whole = await carried_by(proxy, direction, lambda: append(f"whole {next(numbers)}"))
    labels = ["whole 0", "whole 1"]
    for offset in offsets(whole):
        await user.conversations.get(made.id)
        proxy.cut = Cut(direction, offset)
        label = f"{direction.name} {offset}"
        stored = await append(label)
        assert [item.content for item in stored] == [label, "and"]
        labels.append(label)
        proxy.cut = None
    found = await walk_items(user, made.id)
    assert [item.content for item in found] == [text for label in labels for text in (label, "and")]
    assert [item.position for item in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("direction", Direction)
async def test_a_read_cut_anywhere_is_answered(user, proxy, direction):
    made = await user.conversations.create(items=numbered(3))
    expected = await user.items.last(made.id, 3)
    whole = await carried_by(proxy, direction, lambda: user.items.last(made.id, 3))
    for offset in offsets(whole):
        await user.conversations.get(made.id)
        proxy.cut = Cut(direction, offset)
        assert await user.items.last(made.id, 3) == expected
        proxy.cut = None


async def test_a_commit_whose_answer_came_is_no_doubt(user, proxy, pg_observer):
    """The connection dies after the answer to COMMIT and before the server says that it is ready again."""
    made = await user.conversations.create()
    whole = await carried_by(proxy, Direction.ANSWER, lambda: user.items.append(made.id, says("whole")))
    ready = [start for kind, start, _ in split_messages(whole) if kind == "Z"]
    proxy.cut = Cut(Direction.ANSWER, ready[-1])
    stored = await user.items.append(made.id, says("answered"))
    assert proxy.cut is None
    assert [item.content for item in await user.items.last(made.id, 1)] == ["answered"]
    assert stored == await user.items.last(made.id, 1)


async def test_a_refusal_that_came_is_no_doubt(user, proxy):
    """The connection dies after the server has refused the write, which is then known to be undone."""
    same = ConversationCreate(source="agents", external_id="thread-1")
    await user.conversations.create(same)
    proxy.forget()
    with pytest.raises(AlreadyExists):
        await user.conversations.create(same)
    refused = [end for kind, _, end in split_messages(bytes(proxy.carried[Direction.ANSWER])) if kind == "E"]
    proxy.cut = Cut(Direction.ANSWER, refused[0])
    with pytest.raises(AlreadyExists):
        await user.conversations.create(same)
    assert proxy.cut is None


async def test_a_large_write_that_was_never_sent_whole_is_sent_again(user, proxy):
    """The commit is the last thing of a flight: while something is unsent, nothing can have been stored."""
    made = await user.conversations.create()
    await user.items.append(made.id, says("warm"))
    large = "x" * 1_000_000
    batch = says(*[large] * 8)
    before = asyncio.create_task(user.items.append(made.id, batch))
    proxy.stall()
    await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    proxy.tear_all()
    proxy.resume()
    stored = await before
    assert [item.position for item in stored] == list(range(2, 10))
    assert len(await walk_items(user, made.id)) == 9


async def test_idle_connections_ended_by_the_server_are_noticed_before_use(user, proxy, pg_observer):
    made = await user.conversations.create()
    await asyncio.gather(*(user.items.append(made.id, says("warm")) for _ in range(8)))
    pg_observer.execute(TERMINATE)
    await proxy.deserted()
    # Not idempotent, so what is sent on a dead connection would be in doubt: it must be seen before. Nor would a second
    # attempt help, with so many of them.
    await user.items.append(made.id, says("after"))
    await asyncio.gather(*(user.items.append(made.id, says("after")) for _ in range(7)))
    texts = [item.content for item in await walk_items(user, made.id)]
    assert texts == ["warm"] * 8 + ["after"] * 8


async def test_an_idle_database_is_left_alone(user, proxy, pg_observer):
    await asyncio.gather(*(user.conversations.create() for _ in range(4)))
    queries = (
        "SELECT pid, query_start, state_change FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid"
    )
    before = pg_observer.execute(queries)
    proxy.forget()
    await asyncio.sleep(2)
    assert proxy.silent
    assert pg_observer.execute(queries) == before
    assert len(before) >= 1


async def cancel_under_way(call):
    """Cancel a call of which the server, or who stands in between, has everything already."""
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(0)


async def test_a_cancelled_append_is_done_or_undone_when_the_caller_hears_of_it(user, proxy, pg_observer):
    made = await user.conversations.create()
    await user.items.append(made.id, says("warm"))
    proxy.stall()
    append = asyncio.create_task(user.items.append(made.id, says("cancelled")))
    await cancel_under_way(append)
    assert not append.done()
    proxy.resume()
    with pytest.raises(asyncio.CancelledError):
        await append
    assert [item.content for item in await walk_items(user, made.id)] == ["warm", "cancelled"]


async def test_a_cancelled_append_whose_connection_dies_is_in_doubt(user, proxy):
    made = await user.conversations.create()
    proxy.stall()
    witness = Witness()
    with watching(witness):
        append = asyncio.create_task(user.items.append(made.id, says("perhaps")))
    await cancel_under_way(append)
    proxy.tear_all()
    proxy.resume()
    with pytest.raises(asyncio.CancelledError):
        await append
    assert (witness.done, witness.in_doubt) == (False, True)


async def test_a_server_that_refuses_connections_is_unavailable():
    nobodys = Port()
    async with opened(f"postgresql://postgres@127.0.0.1:{nobodys}/none") as database:
        store = SqlStore(database).for_user("alice")
        with pytest.raises(DatabaseUnavailable):
            await store.conversations.create()
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        with pytest.raises(DatabaseUnavailable):
            async with store.atomic():
                await store.conversations.create()


async def test_a_server_that_never_answers_is_unavailable(pg_url):
    async with proxied(pg_url) as (proxy, url), opened(f"{url}?connect_timeout=2") as database:
        proxy.stall()
        store = SqlStore(database).for_user("alice")
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(store.conversations.list(), 60)


async def block(user, conversation_id, *middle):
    """Append one item before and one after each step, all in one atomic block."""
    async with user.atomic():
        await user.items.append(conversation_id, says("first"))
        for step in middle:
            step()
            await user.items.append(conversation_id, says("next"))


async def test_an_atomic_block_that_loses_its_connection_wrote_nothing(user, proxy, pg_observer):
    made = await user.conversations.create()
    with pytest.raises(DatabaseUnavailable):
        await block(user, made.id, proxy.tear_all)
    await gone(pg_observer)
    assert await walk_items(user, made.id) == []


async def test_an_atomic_block_that_the_server_ends_wrote_nothing(user, proxy, pg_observer):
    made = await user.conversations.create()
    with pytest.raises(DatabaseUnavailable):
        await block(user, made.id, lambda: pg_observer.execute(TERMINATE))
    assert await walk_items(user, made.id) == []


@pytest.mark.parametrize("direction", Direction)
async def test_an_atomic_block_cut_while_it_commits_is_in_doubt(user, proxy, pg_observer, direction):
    made = await user.conversations.create()

    async def commit():
        async with user.atomic():
            await user.items.append(made.id, says("one"))
            proxy.cut = Cut(direction, 0)

    with pytest.raises(OutcomeUnknown):
        await commit()
    await gone(pg_observer)
    expected = ["one"] if direction is Direction.ANSWER else []
    assert [item.content for item in await walk_items(user, made.id)] == expected


async def test_a_call_in_a_block_may_be_cancelled_and_the_block_go_on(user, proxy):
    """The caller hears of it when the call is done or undone; here it was done, because the server had it whole."""
    made = await user.conversations.create()
    async with user.atomic():
        await user.items.append(made.id, says("one"))
        proxy.stall()
        cancelled = asyncio.create_task(user.items.append(made.id, says("two")))
        await cancel_under_way(cancelled)
        proxy.resume()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await user.items.append(made.id, says("three"))
    assert [item.content for item in await walk_items(user, made.id)] == ["one", "two", "three"]


async def test_a_restart_is_noticed_before_use():
    with running_postgres() as server:
        url = server.clone()
        await asyncio.to_thread(migrations.upgrade, url)
        async with opened(url) as database:
            user = SqlStore(database).for_user("alice")
            made = await user.conversations.create()
            await asyncio.gather(*(user.items.append(made.id, says("before")) for _ in range(4)))
            await asyncio.to_thread(server.stop, mode="fast")
            with pytest.raises(DatabaseUnavailable):
                await user.items.append(made.id, says("meanwhile"))
            await asyncio.to_thread(server.start)
            await asyncio.gather(*(user.items.append(made.id, says("after")) for _ in range(4)))
            assert [item.content for item in await walk_items(user, made.id)] == ["before"] * 4 + ["after"] * 4


async def test_a_crash_loses_nothing_that_was_acknowledged():
    """The server dies without a word under sixteen writers and comes back."""
    with running_postgres(durable=True) as server:
        url = server.clone()
        await asyncio.to_thread(migrations.upgrade, url)
        async with opened(url) as database:
            user = SqlStore(database).for_user("alice")
            made = await user.conversations.create()
            outcomes: dict[str, type[Exception] | None] = {}
            busy = asyncio.Event()

            async def write(writer):
                for turn in range(200):
                    text = f"{writer} {turn}"
                    try:
                        await user.items.append(made.id, says(text))
                    except (DatabaseUnavailable, OutcomeUnknown) as error:
                        outcomes[text] = type(error)
                        return
                    outcomes[text] = None
                    if len(outcomes) == 100:
                        busy.set()

            writers = [asyncio.create_task(write(writer)) for writer in range(16)]
            await busy.wait()
            await asyncio.to_thread(server.stop, mode="immediate")
            await asyncio.gather(*writers)
            await asyncio.to_thread(server.start)
            found = [item.content for item in await walk_items(user, made.id)]
    assert len(found) == len(set(found))
    assert {text for text, error in outcomes.items() if error is None} <= set(found)
    assert not {text for text, error in outcomes.items() if error is DatabaseUnavailable} & set(found)
    assert any(outcomes.values())
