"""What the contract promises of transactions: every writing method, alone and in blocks that end well or badly."""

import asyncio

import pytest

from hansard.errors import AlreadyExists, IdempotencyConflict, InvalidInput, NotFound, RevisionConflict
from hansard.models.conversation import ConversationCreate
from hansard.models.message import MessageCreate
from hansard.utils.ids import new_uuid
from tests.support.store_calls import WRITES, prepare
from tests.support.store_steps import everything_of, numbered, says, walk_conversations, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

each_write = pytest.mark.parametrize("write", WRITES, ids=[write.label for write in WRITES])


class Undone(Exception):
    """End a block badly."""


async def undone(user, *steps):
    """Take steps in a block that ends badly."""
    with pytest.raises(Undone):
        await _undo_after(user, steps)


async def _undo_after(user, steps):
    async with user.atomic():
        for step in steps:
            await step()
        raise Undone


@each_write
class TestEveryWrite:
    async def test_is_there_when_it_returns(self, user, store, write):
        things = await prepare(user)
        before = await everything_of(user)
        await write.call(user, things)
        assert await everything_of(user) != before

    async def test_is_there_when_its_block_has_ended(self, user, write):
        things = await prepare(user)
        before = await everything_of(user)
        async with user.atomic():
            await write.call(user, things)
            inside = await everything_of(user)
        assert await everything_of(user) == inside != before

    async def test_is_gone_when_its_block_raises(self, user, write):
        things = await prepare(user)
        before = await everything_of(user)
        await undone(user, lambda: write.call(user, things))
        assert await everything_of(user) == before

    async def test_is_gone_when_an_inner_block_raises_and_the_outer_goes_on(self, user, write):
        things = await prepare(user)
        before = await everything_of(user)
        async with user.atomic():
            await undone(user, lambda: write.call(user, things))
            assert await everything_of(user) == before
        assert await everything_of(user) == before

    async def test_is_gone_when_the_outer_block_raises_after_the_inner_one_ended(self, user, write):
        things = await prepare(user)
        before = await everything_of(user)

        async def inner():
            async with user.atomic():
                await write.call(user, things)

        await undone(user, inner)
        assert await everything_of(user) == before

    async def test_is_there_when_a_later_inner_block_raises(self, user, write):
        things = await prepare(user)
        async with user.atomic():
            await write.call(user, things)
            inside = await everything_of(user)
            await undone(user, lambda: user.conversations.create(items=says("Lost")))
        assert await everything_of(user) == inside

    async def test_is_seen_by_nobody_before_its_block_ends(self, user, store, write):
        things = await prepare(user)
        before = await everything_of(user)
        ready, seen = asyncio.Event(), asyncio.Event()

        async def look():
            await ready.wait()
            try:
                return await everything_of(store.for_user(user.user_id))
            finally:
                seen.set()

        looking = asyncio.create_task(look())
        async with user.atomic():
            await write.call(user, things)
            ready.set()
            await seen.wait()
        assert await looking == before


async def test_an_undone_block_uses_up_no_position(user):
    made = await user.conversations.create(items=numbered(2))
    await undone(user, lambda: user.items.append(made.id, numbered(5)))
    assert [item.position for item in await user.items.append(made.id, numbered(1))] == [3]


async def test_a_block_may_do_many_things_to_one_conversation(user):
    async with user.atomic():
        made = await user.conversations.create(items=numbered(2))
        await user.items.append(made.id, says("Buy milk"))
        await user.items.delete(made.id, 1)
        await user.conversations.archive(made.id)
        await user.items.append(made.id, numbered(1))
    found = await user.conversations.get(made.id)
    assert (found.title, found.message_count, found.archived_at is None) == ("Buy milk", 3, False)
    assert [item.position for item in await walk_items(user, made.id)] == [2, 3, 4]


async def test_a_block_reads_what_it_wrote(user):
    async with user.atomic():
        made = await user.conversations.create(items=numbered(1))
        assert await user.conversations.get(made.id) == made
        assert await walk_conversations(user) == [made]
        assert len(await walk_items(user, made.id)) == 1
        await user.conversations.delete(made.id)
        with pytest.raises(NotFound):
            await user.conversations.get(made.id)


async def test_an_empty_block_is_nothing(user):
    before = await everything_of(user)
    async with user.atomic(), user.atomic():
        pass
    assert await everything_of(user) == before


async def test_blocks_nest_deeply(user):
    made = await user.conversations.create()
    async with user.atomic():
        await user.items.append(made.id, numbered(1))
        async with user.atomic():
            await user.items.append(made.id, numbered(1))
            async with user.atomic():
                await user.items.append(made.id, numbered(1))
                await undone(user, lambda: user.items.append(made.id, numbered(9)))
            await undone(user, lambda: user.items.append(made.id, numbered(9)))
        await user.items.append(made.id, numbered(1))
    assert [item.position for item in await walk_items(user, made.id)] == [1, 2, 3, 4]


async def test_a_block_after_an_undone_one_is_fresh(user):
    await undone(user, user.conversations.create)
    async with user.atomic():
        made = await user.conversations.create()
    assert await walk_conversations(user) == [made]


async def _taken(user, things):
    await user.conversations.create(
        ConversationCreate(source="agents", external_id=things.external_id), items=says("Lost")
    )


async def _other_content(user, things):
    lost = [MessageCreate(says("Lost")[0], client_id="new"), MessageCreate(says("Other")[0], client_id="known")]
    await user.items.append(things.conversation_id, lost)


async def _old_revision(user, things):
    await user.items.append(things.conversation_id, says("Lost"), expected_revision=things.revision + 100)


async def _bad_item(user, things):
    await user.items.append(things.conversation_id, [*says("Lost"), {"no": {"JSON"}}])


async def _missing(user, things):
    await user.items.append(new_uuid(), says("Lost"))


@pytest.mark.parametrize(
    "call, error",
    [
        (_taken, AlreadyExists),
        (_other_content, IdempotencyConflict),
        (_old_revision, RevisionConflict),
        (_bad_item, InvalidInput),
        (_missing, NotFound),
    ],
    ids=["taken", "other content", "old revision", "bad item", "missing"],
)
class TestARefusalInABlock:
    async def test_leaves_what_was_done_before_and_nothing_of_its_own(self, user, call, error):
        things = await prepare(user)
        async with user.atomic():
            await user.items.append(things.conversation_id, says("Kept"))
            inside = await everything_of(user)
            with pytest.raises(error):
                await call(user, things)
            assert await everything_of(user) == inside
        assert await everything_of(user) == inside

    async def test_lets_the_block_go_on(self, user, call, error):
        things = await prepare(user)
        async with user.atomic():
            with pytest.raises(error):
                await call(user, things)
            stored = await user.items.append(things.conversation_id, says("Kept"))
        assert [item.position for item in stored] == [5]
        assert (await walk_items(user, things.conversation_id))[-1:] == stored

    async def test_undoes_the_block_when_nobody_catches_it(self, user, call, error):
        things = await prepare(user)
        before = await everything_of(user)

        async def block():
            async with user.atomic():
                await user.items.append(things.conversation_id, says("Lost too"))
                await call(user, things)

        with pytest.raises(error):
            await block()
        assert await everything_of(user) == before


async def test_known_items_are_recognised_in_a_block(user):
    things = await prepare(user)
    known = [MessageCreate(numbered(1)[0], client_id="known", public_id=things.public_id)]
    before = await everything_of(user)
    async with user.atomic():
        stored = await user.items.append(things.conversation_id, known)
    assert stored == (await walk_items(user, things.conversation_id))[:1]
    assert await everything_of(user) == before


async def test_ensure_finds_in_a_block_what_is_there(user):
    things = await prepare(user)
    new = ConversationCreate(source="agents", external_id=things.external_id)
    async with user.atomic():
        assert (await user.conversations.ensure(new)).id == things.conversation_id


async def test_calls_made_at_once_in_a_block_belong_to_it(user):
    made = await user.conversations.create()
    before = await everything_of(user)

    async def many():
        stored = await asyncio.gather(*(user.items.append(made.id, numbered(2)) for _ in range(10)))
        assert sorted(item.position for batch in stored for item in batch) == list(range(1, 21))

    await undone(user, many)
    assert await everything_of(user) == before
    async with user.atomic():
        await many()
    assert (await user.conversations.get(made.id)).message_count == 20


async def test_a_refusal_among_calls_made_at_once_undoes_only_itself(user):
    things = await prepare(user)
    async with user.atomic():
        await asyncio.gather(
            *(user.items.append(things.conversation_id, says("Kept")) for _ in range(5)),
            *(_other_content(user, things) for _ in range(5)),
            return_exceptions=True,
        )
    found = await walk_items(user, things.conversation_id)
    assert [item.position for item in found] == list(range(1, 10))
    assert [item.content for item in found[4:]] == ["Kept"] * 5


@pytest.mark.parametrize("ends_well", [True, False])
async def test_what_a_task_does_after_the_block_it_began_in_is_not_in_the_block(user, new_user, ends_well):
    made, other = await user.conversations.create(), new_user()
    theirs = await other.conversations.create()
    over = asyncio.Event()

    async def late():
        await over.wait()
        return await user.items.append(made.id, numbered(2))

    async def block():
        async with user.atomic():
            await user.items.append(made.id, numbered(1))
            tasks.append(asyncio.create_task(late()))
            if not ends_well:
                raise Undone

    tasks: list[asyncio.Task] = []
    await asyncio.gather(block(), return_exceptions=True)
    async with other.atomic():
        await other.items.append(theirs.id, numbered(1))
        # On SQLite the other block is the only writer: the late one comes after it.
        over.set()
        await asyncio.sleep(0)
    stored = await tasks[0]
    assert [item.position for item in stored] == ([2, 3] if ends_well else [1, 2])
    assert (await walk_items(user, made.id))[-2:] == stored
    assert len(await walk_items(other, theirs.id)) == 1


async def test_a_block_belongs_to_one_user(user, new_user):
    other = new_user()
    async with user.atomic():
        made = await user.conversations.create()
        with pytest.raises(RuntimeError, match="block"):
            await other.conversations.create()
    assert await walk_conversations(user) == [made]
    assert await walk_conversations(other) == []


async def test_blocks_of_many_users_at_once_do_not_meet(new_user):
    async def work(user):
        async with user.atomic():
            made = await user.conversations.create(items=numbered(2))
            await asyncio.sleep(0)
            await user.items.append(made.id, numbered(1, first=3))
        return [item.item["number"] for item in await walk_items(user, made.id)]

    assert await asyncio.gather(*(work(new_user()) for _ in range(20))) == [[1, 2, 3]] * 20
