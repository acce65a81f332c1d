"""Reads that go together: each caller gets their own, hears of every failure, and may leave without the others."""

import asyncio
from collections.abc import Sequence

import pytest

from hansard.database.dialects import postgres_gathering
from hansard.database.dialects.postgres_flight import Command
from hansard.database.dialects.postgres_gathering import Gathering
from hansard.database.statement import Rows

# Long enough for any machine, and far from for ever.
PATIENCE = 5


class Way:
    """Be the way to the database: note what is sent, and answer each command with its own text when it is opened."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()

    async def send(self, commands: Sequence[Command]) -> list[Rows]:
        self.sent.append([command.sql for command in commands])
        self.begun.set()
        await self.open.wait()
        return [[(command.sql,)] for command in commands if command.wanted]


@pytest.fixture
async def way() -> Way:
    return Way()


def asked(gathering: Gathering, sql: bytes) -> asyncio.Task[list[Rows]]:
    commands = [Command(b"scope"), Command(sql, wanted=True)]
    return asyncio.create_task(gathering.read(commands))


async def test_each_gets_their_own(way):
    gathering = Gathering(way.send)
    tasks = [asked(gathering, sql) for sql in (b"a", b"b", b"c")]
    way.open.set()
    assert await asyncio.gather(*tasks) == [[[(b"a",)]], [[(b"b",)]], [[(b"c",)]]]
    assert way.sent == [[b"scope", b"a", b"scope", b"b", b"scope", b"c"]]


async def test_a_failure_is_told_to_all_who_asked():
    async def fail(_: Sequence[Command]) -> list[Rows]:
        raise ZeroDivisionError

    gathering = Gathering(fail)
    tasks = [asked(gathering, sql) for sql in (b"a", b"b", b"c")]
    await asyncio.wait(tasks, timeout=PATIENCE)
    assert [type(task.exception()) if task.done() else None for task in tasks] == [ZeroDivisionError] * 3


async def test_who_has_left_before_is_not_asked_for(way):
    gathering = Gathering(way.send)
    leaving = asked(gathering, b"a")
    staying = asked(gathering, b"b")
    asyncio.get_running_loop().call_soon(leaving.cancel)  # when both have asked, and nothing is sent yet
    way.open.set()
    assert await staying == [[(b"b",)]]
    assert leaving.cancelled()
    assert way.sent == [[b"scope", b"b"]]


async def test_who_leaves_does_not_wait_for_what_others_still_want(way):
    gathering = Gathering(way.send)
    leaving, staying = asked(gathering, b"a"), asked(gathering, b"b")
    await asyncio.wait_for(way.begun.wait(), PATIENCE)
    leaving.cancel()
    await asyncio.wait([leaving], timeout=PATIENCE)
    has_left, stays = leaving.cancelled(), not staying.done()
    way.open.set()
    assert has_left
    assert stays
    assert await staying == [[(b"b",)]]


async def test_many_take_several_trips_and_who_left_meanwhile_is_not_in_the_next(way, monkeypatch):
    monkeypatch.setattr(postgres_gathering, "MOST_TOGETHER", 2)
    gathering = Gathering(way.send)
    tasks = [asked(gathering, sql) for sql in (b"a", b"b", b"c", b"d")]
    await asyncio.wait_for(way.begun.wait(), PATIENCE)
    tasks[2].cancel()
    await asyncio.wait([tasks[2]], timeout=PATIENCE)
    way.open.set()
    await asyncio.gather(*tasks[:2], tasks[3])
    assert way.sent == [[b"scope", b"a", b"scope", b"b"], [b"scope", b"d"]]
