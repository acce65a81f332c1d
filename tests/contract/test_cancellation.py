"""A cancelled write is done or undone, never half done, and leaves nothing open behind it."""

import asyncio

import pytest

from hansard.errors import HansardError
from hansard.utils.witness import Witness, watching
from tests.support.store_calls import CALLS, WRITES, prepare
from tests.support.store_steps import everything_of, numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def cancelled_after(steps, call):
    """Start a call, let the event loop go round ``steps`` times, cancel it, and wait for its end."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task


@pytest.mark.parametrize("steps", [*range(12), 15, 20, 30, 50, 100, 200])
async def test_a_batch_is_stored_whole_or_not_at_all(user, steps):
    made = await user.conversations.create(items=numbered(1))
    witness = Witness()
    with watching(witness):
        await cancelled_after(steps, user.items.append(made.id, numbered(9)))
    count = len(await walk_items(user, made.id))
    assert count in {1, 10}
    assert (witness.done, witness.in_doubt) == (count == 10, False)
    assert (await user.conversations.get(made.id)).message_count == count
    assert [item.position for item in await user.items.append(made.id, says("Go on"))] == [count + 1]


@pytest.mark.parametrize("write", WRITES, ids=[write.label for write in WRITES])
@pytest.mark.parametrize("steps", [1, 3, 8, 20])
async def test_a_write_that_was_not_cancelled_in_time_is_done(user, write, steps):
    things = await prepare(user)
    before = await everything_of(user)
    task = await cancelled_after(steps, write.call(user, things))
    after = await everything_of(user)
    assert task.cancelled() or after != before
    assert await everything_of(user) == after


@pytest.mark.parametrize("call", CALLS, ids=[call.label for call in CALLS])
async def test_a_cancelled_call_blocks_nobody(user, call):
    things = await prepare(user)
    for steps in (1, 2, 5):
        await cancelled_after(steps, call.call(user, things))
    made = await user.conversations.create(items=says("Go on"))
    assert await user.conversations.get(made.id) == made


@pytest.mark.parametrize("steps", [*range(12), 20, 50, 100])
async def test_a_cancelled_block_is_done_or_undone(user, steps):
    made = await user.conversations.create()
    before = await everything_of(user)

    async def block():
        async with user.atomic():
            await user.items.append(made.id, numbered(2))
            async with user.atomic():
                await user.conversations.rename(made.id, "In the block")
            await user.items.append(made.id, numbered(2, first=3))

    witness = Witness()
    with watching(witness):
        task = await cancelled_after(steps, block())
    found = await user.conversations.get(made.id)
    assert (found.title, found.message_count) in {(None, 0), ("In the block", 4)}
    assert (witness.done, witness.in_doubt) == (found.message_count == 4, False)
    if not task.cancelled():
        assert found.message_count == 4
    elif found.message_count == 0:
        assert await everything_of(user) == before


@pytest.mark.parametrize("inner", [False, True], ids=["outer", "inner"])
@pytest.mark.parametrize("badly", [False, True], ids=["commit", "rollback"])
async def test_a_block_that_is_cancelled_as_it_ends_holds_nothing(user, observer, inner, badly):
    made = await user.conversations.create()
    loop = asyncio.get_running_loop()

    def cancel_soon():
        loop.call_soon(task.cancel)
        if badly:
            raise ZeroDivisionError

    async def block():
        async with user.atomic():
            await user.items.append(made.id, numbered(2))
            if inner:
                async with user.atomic():
                    await user.items.append(made.id, numbered(2))
                    cancel_soon()
            cancel_soon()

    stored = 0
    for _ in range(50):
        witness = Witness()
        with watching(witness):
            task = asyncio.ensure_future(block())
        await asyncio.wait([task])
        observer.assert_idle()
        before, stored = stored, (await user.conversations.get(made.id)).message_count
        assert (witness.done, witness.in_doubt) == (stored > before, False)
    assert stored or badly or inner
    found = await walk_items(user, made.id)
    assert [item.position for item in found] == list(range(1, len(found) + 1))
    assert len(found) % (4 if inner else 2) == 0


async def test_a_write_that_waits_is_undone_when_it_is_cancelled(user, observer):
    made = await user.conversations.create(items=numbered(1))
    before = await everything_of(user)
    with observer.holding_writers():
        tasks = [asyncio.ensure_future(user.items.append(made.id, numbered(3))) for _ in range(5)]
        await asyncio.to_thread(observer.wait_for_writers)
        for task in tasks:
            task.cancel()
    await asyncio.wait(tasks)
    done = sum(not task.cancelled() for task in tasks)
    found = await walk_items(user, made.id)
    assert (len(found) - 1) % 3 == 0
    assert len(found) >= 1 + 3 * done
    if len(found) == 1:
        assert await everything_of(user) == before
    assert [item.position for item in await user.items.append(made.id, numbered(1))] == [len(found) + 1]


async def test_a_caller_that_gives_up_does_not_take_others_along(user, observer):
    made = await user.conversations.create()
    with observer.holding_writers():
        tasks = [asyncio.ensure_future(user.items.append(made.id, numbered(2))) for _ in range(10)]
        await asyncio.to_thread(observer.wait_for_writers)
        for task in tasks[::2]:
            task.cancel()
    await asyncio.wait(tasks)
    stored = [item.position for task in tasks[1::2] for item in task.result()]
    found = [item.position for item in await walk_items(user, made.id)]
    assert set(stored) <= set(found)
    assert found == list(range(1, len(found) + 1))


async def test_an_error_after_a_cancellation_does_not_poison_the_store(user):
    made = await user.conversations.create()
    for steps in range(6):
        await cancelled_after(steps, user.items.append(made.id, [{"no": {"JSON"}}]))
        await cancelled_after(steps, user.items.list(made.id, limit=0))
    with pytest.raises(HansardError):
        await user.items.append(made.id, [{"no": {"JSON"}}])
    assert await walk_items(user, made.id) == []
