"""Attack: what one user's call leaves on the only connection, after whatever ended it, must not reach the next user."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio

from hansard.database import Database, open_database
from hansard.database.dialects.postgres_flight import Command
from hansard.errors import AlreadyExists, DatabaseError, InvalidInput, NotFound
from hansard.models.conversation import ConversationCreate
from hansard.models.task_models import TaskCreate
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.fortress import LOGINS, Fortress, standing
from tests.support.mistakes import Mistake, MistakenDatabase
from tests.support.observers import Observer, PostgresObserver
from tests.support.pg_server import PostgresServer
from tests.support.store_steps import says, walk_conversations

LEFT = Command(
    b"SELECT current_setting('hansard.user_id', true), current_user = session_user, current_setting('role'), "
    b"current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'), "
    b"pg_current_xact_id_if_assigned() IS NULL",
    wanted=True,
)


@pytest.fixture(scope="module")
def fortress(pg_server: PostgresServer) -> Iterator[Fortress]:
    with standing(pg_server) as found:
        yield found


@pytest.fixture
def onlooker(fortress: Fortress) -> Iterator[Observer]:
    with closing(PostgresObserver(fortress.superuser)) as observer:
        yield observer


@pytest_asyncio.fixture(params=LOGINS, ids=[f"login: {login}" for login in LOGINS])
async def database(fortress: Fortress, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database with one connection, so that everybody gets the same."""
    opened = await open_database(fortress.url(request.param), pool_size=1)
    yield opened
    await opened.close()


@pytest.fixture
def ada(database: Database) -> UserStore:
    return SqlStore(database).for_user(f"ada-{new_uuid()}")


async def is_refused(call: Awaitable[object], error: type[Exception]) -> None:
    with pytest.raises(error):
        await call


async def an_answer(ada: UserStore, _: Observer) -> None:
    await ada.conversations.list()


async def a_write(ada: UserStore, _: Observer) -> None:
    await ada.conversations.create(items=says("Hi"))


async def a_missing_thing(ada: UserStore, _: Observer) -> None:
    await is_refused(ada.conversations.get(new_uuid()), NotFound)


async def bad_input(ada: UserStore, _: Observer) -> None:
    await is_refused(ada.tasks.list(limit=0), InvalidInput)


async def a_broken_constraint(ada: UserStore, _: Observer) -> None:
    new = ConversationCreate(source="x", external_id="taken")
    await ada.conversations.create(new)
    await is_refused(ada.conversations.create(new), AlreadyExists)


async def a_refusal_by_row_level_security(ada: UserStore, _: Observer) -> None:
    right = ada.scope.database  # type: ignore[attr-defined] # the implementation's
    confused = SqlStore(MistakenDatabase(right, Mistake.CONFUSES, "somebody else")).for_user(ada.user_id)
    await is_refused(confused.tasks.create(TaskCreate("x")), DatabaseError)


async def a_block(ada: UserStore, _: Observer) -> None:
    async with ada.atomic():
        await ada.tasks.create(TaskCreate("x"))


async def a_block_that_is_undone(ada: UserStore, _: Observer) -> None:
    async def block() -> None:
        async with ada.atomic():
            await ada.tasks.create(TaskCreate("x"))
            raise ZeroDivisionError

    await is_refused(block(), ZeroDivisionError)


async def a_block_with_an_error_inside(ada: UserStore, onlooker: Observer) -> None:
    async with ada.atomic():
        await a_broken_constraint(ada, onlooker)
        await ada.tasks.create(TaskCreate("x"))


async def a_block_within_a_block_that_is_undone(ada: UserStore, onlooker: Observer) -> None:
    async with ada.atomic():
        await a_block_that_is_undone(ada, onlooker)


async def cancelled(work: Awaitable[object], onlooker: Observer) -> None:
    with onlooker.holding_writers():
        task = asyncio.ensure_future(work)
        await asyncio.to_thread(onlooker.wait_for_writers)
        task.cancel()
        # The server is in the middle of the statement: it is asked to stop, and the caller waits for that.
        await asyncio.wait([task], timeout=0.5)
    with pytest.raises(asyncio.CancelledError):
        await task


async def a_cancelled_write(ada: UserStore, onlooker: Observer) -> None:
    await cancelled(ada.conversations.create(), onlooker)


async def a_cancelled_block(ada: UserStore, onlooker: Observer) -> None:
    async def block() -> None:
        async with ada.atomic():
            await ada.tasks.create(TaskCreate("x"))
            await ada.conversations.create()

    await cancelled(block(), onlooker)


ENDINGS: list[Callable[[UserStore, Observer], Awaitable[None]]] = [
    an_answer,
    a_write,
    a_missing_thing,
    bad_input,
    a_broken_constraint,
    a_refusal_by_row_level_security,
    a_block,
    a_block_that_is_undone,
    a_block_with_an_error_inside,
    a_block_within_a_block_that_is_undone,
    a_cancelled_write,
    a_cancelled_block,
]


async def on_the_connection(database: Database, command: Command) -> tuple[Any, ...]:
    """Run a statement on the only connection, outside of any unit of work; return its row."""
    pool = database._backend._pool  # type: ignore[attr-defined] # PostgreSQL's
    connection = await pool.take()
    try:
        [[row]] = await connection.fly([command])
    finally:
        pool.give(connection)
    return tuple(row)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: "after " + ending.__name__.replace("_", " "))
async def test_nothing_is_left_on_the_connection(database, ada, onlooker, ending):
    await ada.tasks.create(TaskCreate("Ada's"))
    await ending(ada, onlooker)
    left = await on_the_connection(database, LEFT)
    assert left[0] in {None, ""}
    assert left[1:] == (True, "none", "0", "0", True)
    eve = SqlStore(database).for_user(f"eve-{new_uuid()}")
    assert (await eve.tasks.list()).data == []
    assert await walk_conversations(eve) == []


async def test_what_somebody_else_left_on_a_connection_is_not_taken_over(database, ada):
    """A session-wide setting, from a pooler's other client or a hand at work, is not the next call's user."""
    await ada.tasks.create(TaskCreate("Ada's"))
    session_wide = b"SELECT set_config('hansard.user_id', $1, false)"
    await on_the_connection(database, Command(session_wide, [ada.user_id], wanted=True))
    eve = SqlStore(database).for_user(f"eve-{new_uuid()}")
    assert (await eve.tasks.list()).data == []
    async with eve.atomic():
        assert (await eve.tasks.list()).data == []
    nobody = SqlStore(MistakenDatabase(database, Mistake.NOBODY, ada.user_id)).for_user(eve.user_id)
    assert (await nobody.tasks.list()).data == []
