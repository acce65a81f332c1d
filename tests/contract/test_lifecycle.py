"""A database is opened, migrated or not, and closed; nobody is left waiting and nothing acknowledged is lost."""

import asyncio

import pytest
import pytest_asyncio

from hansard.database import open_database
from hansard.errors import DatabaseUnavailable, SchemaOutdated
from hansard.models.task_models import TaskCreate
from hansard.store.sql import SqlStore
from tests.plugins.stores import KINDS
from tests.support.ports import Port
from tests.support.store_calls import CALLS, prepare
from tests.support.store_steps import numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Long enough for any machine, and far from for ever.
PATIENCE = 30


@pytest.fixture(params=KINDS)
def unmigrated_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("pg_empty_url")


@pytest_asyncio.fixture(loop_scope="module")
async def opened(database_url):
    database = await open_database(database_url)
    yield database
    await database.close()


async def test_an_open_database_answers(opened):
    await opened.ping()


async def test_a_database_without_tables_asks_for_its_migration(unmigrated_url):
    database = await open_database(unmigrated_url)
    user = SqlStore(database).for_user("alice")
    for call in (
        user.conversations.list(),
        user.conversations.create(items=says("Hi")),
        user.tasks.create(TaskCreate("x")),
    ):
        with pytest.raises(SchemaOutdated, match="hansard db upgrade"):
            await call
    await database.close()


async def test_what_is_under_way_is_finished_before_the_database_closes(opened, user):
    made = await user.conversations.create()
    elsewhere = SqlStore(opened).for_user(user.user_id)
    calls = [asyncio.ensure_future(elsewhere.items.append(made.id, numbered(2))) for _ in range(30)]
    await asyncio.sleep(0)
    await asyncio.wait_for(opened.close(), PATIENCE)
    results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE)
    assert {type(result) for result in results if isinstance(result, BaseException)} <= {DatabaseUnavailable}
    stored = [item.position for result in results if isinstance(result, list) for item in result]
    assert sorted(stored) == [item.position for item in await walk_items(user, made.id)]


@pytest.mark.parametrize("call", CALLS, ids=[call.label for call in CALLS])
async def test_a_closed_database_is_unavailable_and_nobody_waits(opened, user, call):
    things = await prepare(user)
    await opened.close()
    elsewhere = SqlStore(opened).for_user(user.user_id)
    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(call.call(elsewhere, things), PATIENCE)


async def test_no_block_begins_on_a_closed_database(opened, user):
    await opened.close()

    async def block():
        async with SqlStore(opened).for_user(user.user_id).atomic():
            raise AssertionError("began")

    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(block(), PATIENCE)
    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(opened.ping(), PATIENCE)


async def test_closing_twice_is_closing_once(opened):
    await opened.close()
    await asyncio.wait_for(opened.close(), PATIENCE)


async def test_a_database_that_cannot_be_opened_says_so(tmp_path):
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "text.db").write_text("This is not a database, but it is longer than a header would be. " * 20)
    for name in ("folder.db", "text.db", "missing/file.db"):
        with pytest.raises(DatabaseUnavailable, match=name):
            await open_database(f"sqlite:///{tmp_path / name}")


async def test_a_server_that_is_not_there_says_so():
    nobodys = Port()
    database = await open_database(f"postgresql://nobody@127.0.0.1:{nobodys}/nothing?connect_timeout=2")
    user = SqlStore(database).for_user("alice")
    for call in (user.conversations.list(), user.conversations.create()):
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(call, PATIENCE)
    await database.close()
