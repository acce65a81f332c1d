"""What the contract promises of users: who may be one, and how the database comes to know them."""

import asyncio

import pytest

from hansard.errors import InvalidInput, UnknownUser
from hansard.models.conversation import ConversationCreate
from hansard.models.task_models import TaskCreate
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.store_steps import everything_of, says

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = 'SELECT count(*) FROM "user" WHERE id = ?'


async def written_and_undone(user, write):
    async with user.atomic():
        await write(user)
        raise ZeroDivisionError


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\x00", "\ud800", None, 7, b"x"])
async def test_nobody_is_called_like_this(store, user_id):
    with pytest.raises(InvalidInput) as caught:
        store.for_user(user_id)
    assert caught.value.param == "user_id"


@pytest.mark.parametrize(
    "kind", ["\U0001f984" * 100, " ", "e\u0301", "'; DROP TABLE messages; --", "%s ? :x", "a\nb", "..", "null"]
)
async def test_any_other_text_may_be_a_user_id(store, kind):
    user = store.for_user(f"{kind} {new_uuid()}")
    made = await user.conversations.create(items=says("Hi"))
    assert (await user.conversations.list()).data == [made]


async def test_user_ids_are_compared_to_the_code_point(store):
    stem = str(new_uuid())
    for number, end in enumerate(["a", "A", "a ", "e\u0301", "\u00e9"]):
        user = store.for_user(stem + end)
        assert (await user.conversations.list()).data == []
        await user.tasks.create(TaskCreate(str(number)))
        assert [task.title for task in (await user.tasks.list()).data] == [str(number)]


async def test_the_longest_user_id_is_as_good_as_any(store):
    user = store.for_user(str(new_uuid()).ljust(255, "\U0001f984"))
    made = await user.conversations.create()
    assert await user.conversations.get(made.id) == made


@pytest.mark.parametrize(
    "write",
    [
        lambda user: user.conversations.create(items=says("Hi")),
        lambda user: user.conversations.ensure(ConversationCreate(source="s", external_id="x")),
        lambda user: user.tasks.create(TaskCreate("x")),
    ],
    ids=["create", "ensure", "task"],
)
class TestTheFirstWrite:
    async def test_makes_the_user(self, user, observer, write):
        await write(user)
        assert observer.execute(COUNT, user.user_id) == [(1,)]

    async def test_makes_the_user_also_inside_a_block(self, user, observer, write):
        async with user.atomic():
            await write(user)
        assert observer.execute(COUNT, user.user_id) == [(1,)]

    async def test_leaves_no_user_behind_when_its_block_is_undone(self, user, observer, write):
        before = await everything_of(user)
        with pytest.raises(ZeroDivisionError):
            await written_and_undone(user, write)
        assert await everything_of(user) == before
        assert observer.execute(COUNT, user.user_id) == [(0,)]

    async def test_may_come_from_many_places_at_once(self, user, observer, write):
        await asyncio.gather(*(write(user) for _ in range(12)))
        assert observer.execute(COUNT, user.user_id) == [(1,)]

    async def test_is_refused_where_users_are_made_elsewhere(self, database, user, observer, write):
        strict = SqlStore(database, provision_users=False).for_user(user.user_id)
        with pytest.raises(UnknownUser):
            await write(strict)
        assert observer.execute(COUNT, user.user_id) == [(0,)]
        observer.execute(
            'INSERT INTO "user" (id, created_at) VALUES (?, ?)', user.user_id, "2026-01-01 00:00:00.000000"
        )
        await write(strict)


async def test_reading_makes_nobody(user, observer):
    await everything_of(user)
    assert await user.conversations.find(source="s", external_id="x") is None
    assert await user.conversations.delete(new_uuid()) is False
    assert observer.execute(COUNT, user.user_id) == [(0,)]


async def test_a_new_user_gets_the_given_email(store, observer):
    user_id = f"user-{new_uuid()}"
    user = store.for_user(user_id, email=f"{user_id}@example.com")
    await user.tasks.create(TaskCreate("x"))
    assert observer.execute('SELECT email FROM "user" WHERE id = ?', user_id) == [(f"{user_id}@example.com",)]


async def test_an_email_that_somebody_else_has_makes_no_user(store, observer, new_user):
    taken = f"{new_uuid()}@example.com"
    await store.for_user(new_user().user_id, email=taken).tasks.create(TaskCreate("x"))
    second = store.for_user(new_user().user_id, email=taken)
    with pytest.raises(UnknownUser):
        await second.tasks.create(TaskCreate("x"))
    assert observer.execute(COUNT, second.user_id) == [(0,)]
