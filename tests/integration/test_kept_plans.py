"""What stays prepared on a connection goes by indexes from the first: its plan is kept while the tables grow."""

import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
import pytest

from hansard.database import migrations, open_database
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from tests.support.store_steps import says


async def append_to_a_revision(user: UserStore, here: UUID) -> object:
    revision = (await user.conversations.get(here)).revision
    return await user.items.append(here, says("Hello"), expected_revision=revision)


# The server keeps a plan after the fifth time.
TIMES = 10
PATIENCE = 20.0
OPERATIONS: dict[str, Callable[[UserStore, UUID], Awaitable[object]]] = {
    "create": lambda user, _: user.conversations.create(items=says("Hello")),
    "get": lambda user, here: user.conversations.get(here),
    "list": lambda user, _: user.conversations.list(limit=5),
    "rename": lambda user, here: user.conversations.rename(here, "Milk"),
    "append one": lambda user, here: user.items.append(here, says("Hello")),
    "append several": lambda user, here: user.items.append(here, says("Hello", "Hi")),
    "append to a revision": append_to_a_revision,
    "last": lambda user, here: user.items.last(here, 5),
    "page": lambda user, here: user.items.list(here, limit=5),
    "item": lambda user, here: user.items.get(here, 1),
}


def left_alone(url: str) -> psycopg.Connection[tuple[str]]:
    """Connect when all others have left: a server counts what they did for good before it forgets them."""
    connection = psycopg.connect(url, autocommit=True)
    others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    until = time.monotonic() + PATIENCE
    while connection.execute(others).rowcount:
        assert time.monotonic() < until, "somebody stays"
        time.sleep(0.01)
    return connection


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_no_table_is_read_whole_although_all_of_it_is_on_one_page(pg_empty_url, operation):
    migrations.upgrade(pg_empty_url)
    database = await open_database(pg_empty_url)
    here = (await SqlStore(database).for_user("ada").conversations.create(items=says("Hello"))).id
    await database.close()
    with left_alone(pg_empty_url) as connection:
        connection.execute("ANALYZE")
        connection.execute("SELECT pg_stat_reset()")
    prepared = await open_database(pg_empty_url, prepare=True, pool_size=1)
    for _ in range(TIMES):
        await operation(SqlStore(prepared).for_user("ada"), here)
    await prepared.close()
    with left_alone(pg_empty_url) as connection:
        read_whole = connection.execute("SELECT relname FROM pg_stat_user_tables WHERE seq_scan > 0").fetchall()
        read_by_index = connection.execute("SELECT relname FROM pg_stat_user_tables WHERE idx_scan > 0").fetchall()
    assert read_whole == []
    assert ("conversations",) in read_by_index or ("messages",) in read_by_index
