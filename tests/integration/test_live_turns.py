"""A live view keeps the order of items and turns, settles a lost turn, and leaves a quiet database alone."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from hansard.services import live
from hansard.services.happenings import Added, Changed, Paused, Said, Start, Told
from hansard.services.live import LiveView
from hansard.services.turns import Turns
from hansard.store.contract import UserStore
from hansard.store.items import SqlItems
from hansard.store.turns import SqlTurns
from tests.support.agents import user_says
from tests.support.turns import ask, crash, home_of, stored, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

Happenings = AsyncGenerator[list[Told], None]


async def look(turns: Turns, user: UserStore, home: UUID) -> aclosing[Happenings]:
    return aclosing(await LiveView(turns, user, home).open(Start(position=0)))


async def until(pages: Happenings, is_last: Callable[[Any], bool]) -> list[Any]:
    """Return what is told up to there."""
    found: list[Any] = []
    while not any(map(is_last, found)):
        found += [one.what for one in await anext(pages)]
    return found


def is_final(what: object) -> bool:
    return isinstance(what, Said) and what.event.final


def is_pause(what: object) -> bool:
    return isinstance(what, Paused)


def is_item(position: int, what: object) -> bool:
    return isinstance(what, Added) and what.item.position == position


def says(word: str, what: object) -> bool:
    return isinstance(what, Said) and f'"{word}"' in what.event.data


async def test_the_items_a_turn_ends_with_are_told_behind_its_events(turns, agent, user, monkeypatch):
    turn = await ask(turns, user)
    list_items = SqlItems.list

    async def list_after_the_end(*args: Any, **kwargs: Any) -> Any:
        agent.say("Hi", None)
        await turns.finished(turn)
        return await list_items(*args, **kwargs)

    monkeypatch.setattr(SqlItems, "list", list_after_the_end)
    async with await look(turns, user, await home_of(user, turn)) as pages:
        found = await until(pages, partial(is_item, 2))
    asked, *said, answered = [what for what in found if not isinstance(what, Changed)]
    assert isinstance(asked, Added)
    assert is_item(2, answered)
    assert said
    assert all(isinstance(what, Said) for what in said)


async def test_who_looks_settles_a_lost_turn_and_wakes_those_who_no_longer_ask(turns, agent, user, observer, elsewhere):
    other, there = elsewhere
    turn = await ask(turns, user)
    home = await home_of(user, turn)
    agent.say("Half")
    await stored(user, turn, "Half")
    await crash(turns, observer, turn)
    asleep = other.watch.register(there, home, lambda _: False, longest=None)
    async with await look(other, there, home) as pages:
        found = await until(pages, partial(is_item, 2))
    assert [what.event.type for what in found if is_final(what)] == ["response.incomplete"]
    assert asleep.woken.done()
    other.watch.forget(asleep)


async def test_when_all_is_quiet_nobody_asks_until_somebody_rings(turns, user, monkeypatch):
    monkeypatch.setattr(live, "_PHASES", ((0.0, 0.0), (0.0, 0.0)))
    home = (await user.conversations.create()).id
    asked, activity = 0, SqlTurns.activity

    async def ask_once_more(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        assert asked <= 3, "once to begin, and once for each look"
        return await activity(*args)

    monkeypatch.setattr(SqlTurns, "activity", ask_once_more)
    async with await look(turns, user, home) as pages:
        assert [type(what) for what in await until(pages, is_pause)] == [Changed, Paused]
        more = asyncio.create_task(until(pages, is_pause))
        await asyncio.sleep(0)
        await user.items.append(home, [user_says("hello")])
        turns.watch.ring(user.user_id, home)
        assert [type(what) for what in await more] == [Changed, Added, Paused]
    assert asked == 3


async def test_a_turn_elsewhere_is_read_only_when_there_is_more_of_it(turns, agent, user, elsewhere, monkeypatch):
    other, there = elsewhere
    turn = await ask(turns, user)
    agent.say("one")
    await stored(user, turn, "one")
    reads, looks = 0, asyncio.Semaphore(0)
    events, activity = SqlTurns.events, SqlTurns.activity

    async def read(*args: Any, **kwargs: Any) -> Any:
        nonlocal reads
        reads += 1
        return await events(*args, **kwargs)

    async def ask_once_more(*args: Any) -> Any:
        found = await activity(*args)
        looks.release()
        return found

    async with await look(other, there, await home_of(user, turn)) as pages:
        await until(pages, partial(says, "one"))
        monkeypatch.setattr(SqlTurns, "events", read)
        monkeypatch.setattr(SqlTurns, "activity", ask_once_more)
        more = asyncio.create_task(until(pages, is_final))
        for _ in range(2):
            await looks.acquire()
        in_vain = reads
        agent.say(None)
        await more
    assert in_vain == 0


async def test_each_turn_of_a_conversation_is_told_whole_and_once(turns, agent, user, elsewhere):
    other, there = elsewhere
    home = (await user.conversations.create()).id
    async with await look(turns, user, home) as here, await look(other, there, home) as away:
        # The second says more than the first, so that who misses its beginning is still told its end.
        for words, answer in ((["one"], 2), (["two"] * 20 + ["three"], 4)):
            turn = await ask(turns, user, conversation_id=home)
            agent.say(*words)
            found = [await until(pages, partial(says, words[-1])) for pages in (here, away)]
            agent.say(None)
            numbers = list(range(len(await told(turns, turn))))
            for pages, begun in zip((here, away), found, strict=True):
                whole = begun + await until(pages, partial(is_item, answer))
                assert [what.event.sequence for what in whole if isinstance(what, Said)] == numbers
