"""What idempotency keys must do on PostgreSQL beyond the contract: wait no longer than said, and stay private."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import func, select

from hansard.database import open_database
from hansard.errors import DatabaseUnavailable
from hansard.models.idempotency import Answer, RequestKey
from hansard.store.keys import SqlKeys
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.store_steps import says

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="module"),
]

KEY = RequestKey("k", bytes(32))
SHOW_BOUND = select(func.current_setting("lock_timeout"))


async def test_a_second_call_gives_up_in_time_and_may_try_again(user):
    working, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        working.set()
        await go_on.wait()
        return Answer(200, "first")

    first = asyncio.create_task(user.keys.once(KEY, slow))
    await working.wait()
    with pytest.raises(DatabaseUnavailable):
        await SqlKeys(user.scope, patience=timedelta(milliseconds=50)).once(KEY, slow)
    go_on.set()
    assert (await first).text == "first"
    assert await user.keys.once(KEY, slow) == Answer(200, "first", replayed=True)


async def test_the_bound_ends_with_its_transaction(user):
    async def work():
        return Answer(200, "")

    await user.keys.once(KEY, work)
    [[bound]] = await user.scope.read([(SHOW_BOUND, {})])
    assert bound == ("0",)


async def test_nobody_sees_another_users_keys(user, new_user, database_url):
    async def work():
        return Answer(200, "secret")

    await user.keys.once(KEY, work)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET LOCAL ROLE hansard_app")
        for user_id, seen in [("", 0), (new_user().user_id, 0), (user.user_id, 1)]:
            connection.execute("SELECT set_config('hansard.user_id', %s, true)", [user_id])
            assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (seen,)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def distant_store(pg_proxy):
    """A store whose database stands behind a proxy that counts."""
    database = await open_database(pg_proxy[1])
    yield SqlStore(database)
    await database.close()


async def test_a_key_costs_three_round_trips_more_and_a_repetition_four(distant_store, pg_proxy, database_url):
    user = distant_store.for_user(f"user-{new_uuid()}")
    made = await user.conversations.create()

    async def work():
        [stored] = await user.items.append(made.id, says("Hi"))
        return Answer(200, str(stored.position))

    for expected in (4, 4):
        pg_proxy[0].forget()
        assert (await user.keys.once(KEY, work)).text == "1"
        assert pg_proxy[0].flushes == expected
