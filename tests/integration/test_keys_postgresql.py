"""What idempotency keys must do on PostgreSQL beyond the contract: wait no longer than said, and stay private."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import func, select

from hansard.errors import DatabaseUnavailable
from hansard.models.idempotency import Answer, RequestKey
from hansard.store.keys import SqlKeys

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
