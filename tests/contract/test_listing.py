"""What the contract promises of the list of conversations: order, pages, walks."""

import pytest

from hansard.errors import InvalidInput
from hansard.models.conversation import ConversationPlace
from hansard.store.contract import Page
from tests.support.store_steps import place_of, says, walk_conversations

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def make(user, count):
    return [(await user.conversations.create()).id for _ in range(count)]


def ids(conversations):
    return [conversation.id for conversation in conversations]


async def test_the_most_recently_active_comes_first(user):
    first, second, third = await make(user, 3)
    assert ids(await walk_conversations(user)) == [third, second, first]
    await user.items.append(first, says("Hi"))
    assert ids(await walk_conversations(user)) == [first, third, second]
    await user.items.append(second, says("Hi"))
    assert ids(await walk_conversations(user)) == [second, first, third]


async def test_only_items_make_a_conversation_active(user):
    first, second = await make(user, 2)
    await user.conversations.rename(first, "Renamed")
    await user.conversations.update(first, metadata={"a": "1"})
    await user.conversations.suggest_title(first, "Suggested")
    await user.conversations.archive(first)
    await user.conversations.archive(first, archived=False)
    assert ids(await walk_conversations(user)) == [second, first]


async def test_a_clock_that_was_set_back_does_not_turn_back_the_list(user, observer):
    first, second = await make(user, 2)
    later = "UPDATE conversations SET last_message_at = '2999-01-01 00:00:00.000000' WHERE id = ?"
    observer.execute(later, second.hex)
    before = await user.conversations.get(second)
    assert before.last_message_at.year == 2999
    await user.items.append(second, says("Hi"))
    assert (await user.conversations.get(second)).last_message_at == before.last_message_at
    assert ids(await walk_conversations(user)) == [second, first]


async def test_the_list_shows_each_conversation_as_get_does(user):
    for text in ("one", "two"):
        await user.conversations.create(items=says(text))
    listed = (await user.conversations.list()).data
    assert listed == [await user.conversations.get(conversation.id) for conversation in listed]


async def test_archived_conversations_are_in_a_list_of_their_own(user):
    first, second, third = await make(user, 3)
    await user.conversations.archive(second)
    assert ids(await walk_conversations(user)) == [third, first]
    assert ids(await walk_conversations(user, archived=True)) == [second]
    await user.conversations.archive(second, archived=False)
    assert ids(await walk_conversations(user)) == [third, second, first]
    assert await walk_conversations(user, archived=True) == []


async def test_somebody_without_conversations_has_an_empty_list(user):
    assert await user.conversations.list() == Page([], has_more=False)


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
@pytest.mark.parametrize("tied", [False, True], ids=["different times", "equal times"])
async def test_a_walk_sees_each_conversation_once_in_order(user, observer, limit, archived, tied):
    made = await make(user, 7)
    if archived:
        for conversation_id in made:
            await user.conversations.archive(conversation_id)
    if tied:
        latest = "SELECT max(last_message_at) FROM conversations WHERE user_id = ?"
        observer.execute(
            f"UPDATE conversations SET last_message_at = ({latest}) WHERE user_id = ?", user.user_id, user.user_id
        )
    assert ids(await walk_conversations(user, archived=archived, limit=limit)) == made[::-1]


@pytest.mark.parametrize("count, has_more", [(2, False), (3, False), (4, True)])
async def test_has_more_says_whether_anything_follows(user, count, has_more):
    await make(user, count)
    page = await user.conversations.list(limit=3)
    assert (len(page.data), page.has_more) == (min(count, 3), has_more)


async def test_a_conversation_that_becomes_active_during_a_walk_is_never_seen_twice(user):
    made = await make(user, 12)
    seen, place, more = [], None, True
    while more:
        page = await user.conversations.list(limit=3, after=place)
        seen += ids(page.data)
        place, more = place_of(page.data[-1]), page.has_more
        await user.items.append(page.data[0].id, says("again"))
        await user.items.append(made[1], says("ahead of the walk"))
    assert len(seen) == len(set(seen))
    assert set(made) - set(seen) == {made[1]}


async def test_a_walk_goes_on_from_the_place_of_a_conversation_that_is_gone(user):
    made = await make(user, 4)
    page = await user.conversations.list(limit=2)
    await user.conversations.delete(page.data[-1].id)
    assert ids((await user.conversations.list(after=place_of(page.data[-1]))).data) == made[1::-1]


async def test_a_walk_ends_where_nothing_follows(user):
    await make(user, 2)
    last = (await walk_conversations(user))[-1]
    assert await user.conversations.list(after=place_of(last)) == Page([], has_more=False)


async def test_twenty_are_returned_unless_another_limit_is_given(user):
    await make(user, 21)
    page = await user.conversations.list()
    assert (len(page.data), page.has_more) == (20, True)


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "20", 2.0, None])
async def test_a_limit_that_is_none_is_refused_by_name(user, limit):
    with pytest.raises(InvalidInput) as caught:
        await user.conversations.list(limit=limit)
    assert caught.value.param == "limit"


async def test_a_place_without_time_zone_is_refused(user):
    made = await user.conversations.create()
    with pytest.raises(InvalidInput):
        await user.conversations.list(after=ConversationPlace(made.last_message_at.replace(tzinfo=None), made.id))
