"""What the contract promises when many write at once: no gap, no duplicate, nothing lost, one winner."""

import asyncio

import pytest
import pytest_asyncio

from hansard.database import open_database
from hansard.errors import AlreadyExists, IdempotencyConflict, NotFound, RevisionConflict
from hansard.models.conversation import ConversationCreate
from hansard.models.message import MessageCreate
from hansard.models.task_models import TaskCreate
from hansard.store.sql import SqlStore
from tests.support.store_steps import numbered, says, walk_conversations, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 50


async def outcomes(*calls):
    """Start all calls together and return what each returned or raised."""
    return await asyncio.gather(*calls, return_exceptions=True)


def winners(results, error):
    """Return the results that are no refusals, when every refusal is the expected one."""
    assert {type(result) for result in results if isinstance(result, Exception)} <= {error}
    return [result for result in results if not isinstance(result, Exception)]


@pytest_asyncio.fixture(loop_scope="module")
async def same_user_elsewhere(database_url, user):
    """The same user's store behind another connection pool, as another process would hold it."""
    database = await open_database(database_url)
    yield SqlStore(database).for_user(user.user_id)
    await database.close()


async def test_fifty_writers_to_one_conversation_leave_no_gap_and_no_duplicate(user):
    made = await user.conversations.create()

    async def write(writer):
        for round_ in range(4):
            count = 1 + (writer + round_) % 3
            items = [{"type": "note", "writer": writer, "round": round_, "place": place} for place in range(count)]
            stored = await user.items.append(made.id, items)
            first = stored[0].position
            assert [item.position for item in stored] == list(range(first, first + count))
            assert [item.item for item in stored] == items

    await asyncio.gather(*(write(writer) for writer in range(MANY)))
    found = await walk_items(user, made.id)
    assert [item.position for item in found] == list(range(1, len(found) + 1))
    assert (await user.conversations.get(made.id)).message_count == len(found)
    expected = sorted((w, r, p) for w in range(MANY) for r in range(4) for p in range(1 + (w + r) % 3))
    assert sorted((item.item["writer"], item.item["round"], item.item["place"]) for item in found) == expected
    for writer in range(MANY):
        own = [(item.item["round"], item.item["place"]) for item in found if item.item["writer"] == writer]
        assert own == sorted(own)


async def test_writers_of_two_processes_share_the_positions(user, same_user_elsewhere):
    made = await user.conversations.create()
    both = [user, same_user_elsewhere]
    await asyncio.gather(*(both[turn % 2].items.append(made.id, numbered(2)) for turn in range(MANY)))
    found = await walk_items(user, made.id)
    assert [item.position for item in found] == list(range(1, 2 * MANY + 1))
    assert [item.item["number"] for item in found] == [1, 2] * MANY


async def test_one_user_writes_to_150_conversations_at_once(user):
    await user.tasks.create(TaskCreate("so that the user is known"))

    async def talk(number):
        made = await user.conversations.create(items=says(f"Conversation {number}"))
        await asyncio.gather(*(user.items.append(made.id, numbered(2)) for _ in range(3)))
        await user.conversations.update(made.id, metadata={"number": str(number)})
        return made.id

    made = await asyncio.gather(*(talk(number) for number in range(150)))
    found = await walk_conversations(user)
    assert {conversation.id for conversation in found} == set(made)
    for conversation in found:
        assert conversation.title == f"Conversation {conversation.metadata['number']}"
        assert conversation.message_count == 7
        assert [item.position for item in await walk_items(user, conversation.id)] == list(range(1, 8))


async def test_many_users_write_at_once_and_each_has_their_own(new_user):
    async def talk(number):
        user = new_user()
        made = await user.conversations.create(items=says(f"I am {number}"))
        await user.items.append(made.id, numbered(2))
        return user, made.id

    talks = await asyncio.gather(*(talk(number) for number in range(MANY)))
    for number, (user, conversation_id) in enumerate(talks):
        assert [conversation.id for conversation in await walk_conversations(user)] == [conversation_id]
        assert (await walk_items(user, conversation_id))[0].content == f"I am {number}"


async def test_the_same_client_id_from_many_places_is_stored_once(user, same_user_elsewhere):
    made = await user.conversations.create()
    batch = [MessageCreate(item, client_id=f"id-{at}") for at, item in enumerate(numbered(3))]
    both = [user, same_user_elsewhere]
    results = await asyncio.gather(*(both[turn % 2].items.append(made.id, batch) for turn in range(20)))
    stored = await walk_items(user, made.id)
    assert [item.position for item in stored] == [1, 2, 3]
    assert all(result == stored for result in results)
    assert [item.position for item in await user.items.append(made.id, numbered(1))] == [4]


async def test_one_of_many_items_with_the_same_client_id_wins_whole(user, same_user_elsewhere):
    made = await user.conversations.create()
    both = [user, same_user_elsewhere]
    results = await outcomes(
        *(
            both[turn % 2].items.append(
                made.id,
                [MessageCreate({"type": "note", "turn": turn, "place": place}, f"id-{place}") for place in (0, 1)],
            )
            for turn in range(20)
        )
    )
    (won,) = winners(results, IdempotencyConflict)
    assert await walk_items(user, made.id) == won


async def test_one_of_many_deletions_of_an_item_counts(user, same_user_elsewhere):
    made = await user.conversations.create(items=numbered(3))
    both = [user, same_user_elsewhere]
    removals = await asyncio.gather(*(both[turn % 2].items.delete(made.id, 2) for turn in range(20)))
    assert sum(removal.deleted for removal in removals) == 1
    assert {removal.conversation.message_count for removal in removals} == {2}
    assert (await user.conversations.get(made.id)).message_count == 2


async def test_the_count_is_right_whatever_is_added_and_deleted_at_once(user, same_user_elsewhere):
    made = await user.conversations.create(items=numbered(40))
    await asyncio.gather(
        *(user.items.delete(made.id, position) for position in range(1, 41, 2)),
        *(same_user_elsewhere.items.delete(made.id, position) for position in range(1, 41, 3)),
        *(user.items.append(made.id, numbered(2)) for _ in range(10)),
    )
    found = await walk_items(user, made.id)
    assert (await user.conversations.get(made.id)).message_count == len(found)
    gone = set(range(1, 41, 2)) | set(range(1, 41, 3))
    assert [item.position for item in found] == [at for at in range(1, 61) if at not in gone]


async def test_ensure_makes_one_conversation_for_all(user, same_user_elsewhere):
    new = ConversationCreate(source="agents", external_id="thread-1")
    both = [user, same_user_elsewhere]
    made = await asyncio.gather(*(both[turn % 2].conversations.ensure(new) for turn in range(20)))
    assert len(set(made)) == 1
    assert await walk_conversations(user) == made[:1]


async def test_one_of_many_creations_with_the_same_external_id_wins(user, same_user_elsewhere):
    new = ConversationCreate(source="agents", external_id="thread-1")
    both = [user, same_user_elsewhere]
    results = await outcomes(*(both[turn % 2].conversations.create(new, items=numbered(2)) for turn in range(20)))
    assert winners(results, AlreadyExists) == await walk_conversations(user)


@pytest.mark.parametrize(
    "change",
    [
        lambda user, made: user.items.append(made.id, numbered(2), expected_revision=made.revision),
        lambda user, made: user.conversations.update(made.id, title="Mine", expected_revision=made.revision),
        lambda user, made: user.items.replace(made.id, 1, numbered(1)[0], expected_revision=made.revision),
    ],
    ids=["append", "update", "replace"],
)
async def test_one_of_many_that_read_the_same_revision_wins(user, same_user_elsewhere, change):
    made = await user.conversations.create(items=numbered(1))
    both = [user, same_user_elsewhere]
    results = await outcomes(*(change(both[turn % 2], made) for turn in range(20)))
    assert len(winners(results, RevisionConflict)) == 1


async def test_revisions_count_every_change(user, same_user_elsewhere):
    made = await user.conversations.create()
    changes = [lambda who: who.items.append(made.id, numbered(1)), lambda who: who.conversations.rename(made.id, "x")]
    await asyncio.gather(*(change(who) for change in changes for who in (user, same_user_elsewhere) for _ in range(10)))
    assert (await user.conversations.get(made.id)).revision >= made.revision + 40


@pytest.mark.parametrize("turn", range(5))
async def test_a_title_of_the_users_beats_every_other_that_comes_at_the_same_time(user, same_user_elsewhere, turn):
    made = await user.conversations.create()
    calls = [
        lambda who: who.items.append(made.id, says("Buy milk")),
        lambda who: who.conversations.suggest_title(made.id, "Suggested", source="model"),
        lambda who: who.conversations.suggest_title(made.id, "Suggested", source="auto"),
        lambda who: who.conversations.rename(made.id, "Mine"),
    ]
    calls = calls[turn % 4 :] + calls[: turn % 4]
    both = [user, same_user_elsewhere]
    await asyncio.gather(*(call(both[at % 2]) for at, call in enumerate(calls)))
    found = await user.conversations.get(made.id)
    assert (found.title, found.title_source) == ("Mine", "user")


async def test_what_is_deleted_while_others_write_stays_deleted(user, same_user_elsewhere, observer):
    made = await user.conversations.create(items=numbered(3))
    results = await outcomes(
        *(user.items.append(made.id, numbered(2)) for _ in range(10)),
        same_user_elsewhere.conversations.delete(made.id),
        *(same_user_elsewhere.items.append(made.id, numbered(2)) for _ in range(10)),
    )
    winners(results, NotFound)
    with pytest.raises(NotFound):
        await user.conversations.get(made.id)
    assert observer.execute("SELECT count(*) FROM messages WHERE user_id = ?", user.user_id) == [(0,)]


async def test_blocks_on_the_same_conversation_come_one_after_the_other(user, same_user_elsewhere):
    made = await user.conversations.create()

    async def block(who, number):
        async with who.atomic():
            first = await who.items.append(made.id, [{"type": "note", "block": number}])
            await asyncio.sleep(0)
            second = await who.items.append(made.id, [{"type": "note", "block": number}])
        return [item.position for item in first + second]

    both = [user, same_user_elsewhere]
    positions = await asyncio.gather(*(block(both[number % 2], number) for number in range(20)))
    assert sorted(positions) == [[at, at + 1] for at in range(1, 41, 2)]


async def test_readers_see_whole_batches_only(user):
    made = await user.conversations.create()
    done = asyncio.Event()

    async def read():
        seen = []
        while not done.is_set():
            seen.append(len((await user.items.list(made.id, limit=1000)).data))
        return seen

    async def write():
        for _ in range(20):
            await user.items.append(made.id, numbered(7))
        done.set()

    *seen, _ = await asyncio.gather(read(), read(), write())
    for counts in seen:
        assert counts == sorted(counts)
        assert all(count % 7 == 0 for count in counts)


async def test_a_burst_beyond_every_pool_is_served(user):
    made = await user.conversations.create()
    results = await asyncio.gather(*(user.items.append(made.id, numbered(1)) for _ in range(400)))
    assert sorted(stored[0].position for stored in results) == list(range(1, 401))
