"""Whoever waits for a conversation is woken: by what fails, by what happens here, and when nobody asks any more."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hansard.errors import DatabaseUnavailable, ShuttingDown
from hansard.services.watch import Watch
from hansard.utils.ids import new_uuid

# Long enough for any machine, and far from for ever.
PATIENCE = 5
HOME = new_uuid()


def never(_: object) -> bool:
    return False


def somebody(user_id: str = "ann") -> Any:
    return SimpleNamespace(user_id=user_id, turns=SimpleNamespace(activity=fail))


async def fail(_: object) -> None:
    raise DatabaseUnavailable("the database is away")


async def test_when_nobody_can_tell_each_looks_for_themselves():
    watch = Watch()
    await asyncio.wait_for(watch.wait(somebody(), HOME, never), PATIENCE)
    await watch.aclose()


async def test_who_waits_when_the_server_is_stopped_is_told_so():
    watch = Watch()
    waiting = asyncio.create_task(watch.wait(somebody(), HOME, never))
    await asyncio.sleep(0)
    await watch.aclose()
    await asyncio.wait([waiting], timeout=PATIENCE)
    assert waiting.done()
    with pytest.raises(ShuttingDown):
        await waiting
    with pytest.raises(ShuttingDown):
        await asyncio.wait_for(watch.wait(somebody(), HOME, never), PATIENCE)


async def test_a_ring_wakes_who_waits_for_this_conversation_of_this_user_alone():
    watch = Watch()
    places = [("ann", HOME), ("bob", HOME), ("ann", new_uuid())]
    waiters = [watch.register(somebody(user_id), home, never, longest=None) for user_id, home in places]
    watch.ring("ann", HOME)
    assert [waiter.woken.done() for waiter in waiters] == [True, False, False]


async def test_nothing_is_asked_before_the_pause_is_over():
    asked = []

    async def tell(homes: object) -> list[Any]:
        asked.append(homes)
        return []

    watch, user = Watch(), SimpleNamespace(user_id="ann", turns=SimpleNamespace(activity=tell))
    watch.register(user, HOME, never, shortest=3600, longest=3600)
    for _ in range(100):
        await asyncio.sleep(0)
    assert asked == []
    await watch.aclose()
