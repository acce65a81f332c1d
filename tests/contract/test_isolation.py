"""Somebody else's things are missing things: the same outcome, in the same words, and nothing of theirs changes."""

import pytest

from hansard.errors import HansardError, NotFound
from hansard.models.conversation import ConversationCreate
from hansard.models.message import MessageCreate
from tests.support.items import exact
from tests.support.store_calls import CALLS, FREE_CALLS, NAMING_CALLS, methods_of_the_contract, prepare, remove
from tests.support.store_steps import everything_of, numbered, place_of, walk_conversations, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def outcome_of(call, user, things):
    """Return what a caller can learn: the answer, or the error's class and words."""
    try:
        return exact(await call.call(user, things))
    except HansardError as error:
        return f"{type(error).__name__}: {error}"


def each(calls):
    return pytest.mark.parametrize("call", calls, ids=[call.label for call in calls])


async def test_every_method_is_called():
    assert {call.method for call in CALLS} == set(methods_of_the_contract())


@each(NAMING_CALLS)
async def test_another_users_thing_is_a_missing_thing(user, new_user, call):
    things, stranger = await prepare(user), new_user()
    await prepare(stranger)
    for_a_stranger = await outcome_of(call, stranger, things)
    await remove(user, things)
    assert for_a_stranger == await outcome_of(call, user, things)
    assert for_a_stranger == await outcome_of(call, stranger, things)


@each(NAMING_CALLS)
async def test_what_a_stranger_tries_changes_nothing_for_anybody(user, new_user, call):
    things, stranger = await prepare(user), new_user()
    await prepare(stranger)
    before = [await everything_of(user), await everything_of(stranger)]
    await outcome_of(call, stranger, things)
    assert [await everything_of(user), await everything_of(stranger)] == before


@each(NAMING_CALLS)
async def test_somebody_whom_the_database_does_not_know_finds_nothing_either(user, new_user, observer, call):
    things, stranger = await prepare(user), new_user()
    before = await everything_of(user)
    for_a_stranger = await outcome_of(call, stranger, things)
    assert await everything_of(user) == before
    assert observer.execute('SELECT count(*) FROM "user" WHERE id = ?', stranger.user_id) == [(0,)]
    await remove(user, things)
    assert for_a_stranger == await outcome_of(call, user, things)


@each(FREE_CALLS)
async def test_what_names_nothing_touches_only_ones_own(user, new_user, call):
    things, stranger = await prepare(user), new_user()
    before = await everything_of(user)
    answer = exact(await call.call(stranger, things))
    assert await everything_of(user) == before
    for theirs in (things.conversation_id, things.ended.conversation_id):
        assert str(theirs) not in answer
        assert theirs not in {found.id for found in await walk_conversations(stranger)}


@each(CALLS)
async def test_a_block_opens_no_way_to_somebody_else(user, new_user, call):
    things, stranger = await prepare(user), new_user()
    before = await everything_of(user)
    async with stranger.atomic():
        for_a_stranger = await outcome_of(call, stranger, things)
    assert await everything_of(user) == before
    assert str(things.conversation_id) not in for_a_stranger


async def test_the_same_external_id_names_two_conversations(user, new_user):
    things, stranger = await prepare(user), new_user()
    new = ConversationCreate(source="agents", external_id=things.external_id)
    theirs = await stranger.conversations.ensure(new)
    assert theirs.id != things.conversation_id
    assert (await stranger.conversations.find(source="agents", external_id=things.external_id)) == theirs
    assert (await user.conversations.find(source="agents", external_id=things.external_id)).id == things.conversation_id


async def test_the_same_client_id_and_public_id_name_two_items(user, new_user):
    things, stranger = await prepare(user), new_user()
    item = MessageCreate(numbered(1)[0], client_id="known", public_id=things.public_id)
    theirs = await stranger.conversations.create(items=[item])
    assert (await stranger.items.get(theirs.id, things.public_id)).conversation_id == theirs.id
    assert (await user.items.get(things.conversation_id, things.public_id)).conversation_id == things.conversation_id


async def test_another_users_place_is_only_a_moment_in_ones_own_list(user, new_user):
    stranger = new_user()
    first = await stranger.conversations.create()
    theirs = await user.conversations.create()
    second = await stranger.conversations.create()
    assert (await stranger.conversations.list(after=place_of(theirs))).data == [first]
    assert (await stranger.conversations.list(after=place_of(second))).data == [first]


async def test_a_conversation_cannot_be_read_through_another_one(user):
    first, second = await prepare(user), await prepare(user)
    with pytest.raises(NotFound):
        await user.items.get(first.conversation_id, second.public_id)
    with pytest.raises(NotFound):
        await user.items.list(first.conversation_id, after=second.public_id)
    assert (await user.items.delete(first.conversation_id, second.public_id)).deleted is False
    assert len(await walk_items(user, second.conversation_id)) == 4
