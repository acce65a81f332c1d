"""Whoever is cancelled while work on the database is under way leaves when it is done or undone, however often."""

import asyncio
from types import SimpleNamespace

import psycopg
import pytest

from hansard.database.dialects import postgres
from hansard.database.dialects.postgres import PostgresBackend
from hansard.database.dialects.postgres_flight import Command
from hansard.database.dialects.postgres_gathering import Gathering
from hansard.database.dialects.sqlite_tickets import Ticket, tell

# Long enough for any machine, and far from for ever.
PATIENCE = 30


async def claimed_ticket(begun: asyncio.Event, end: asyncio.Event, *, withdraw: bool) -> None:
    ticket = Ticket[bool]()
    assert ticket.claim()
    begun.set()

    async def finish() -> None:
        await end.wait()
        ticket.outcome = True
        tell([ticket])

    finishing = asyncio.create_task(finish())
    await ticket.result(withdraw=withdraw)
    await finishing


async def write_on_postgresql(begun: asyncio.Event, end: asyncio.Event) -> None:
    backend = PostgresBackend("postgresql://nobody@127.0.0.1/none", role="r", pool_size=1, prepare=False)

    async def flight() -> None:
        begun.set()
        await end.wait()

    await backend.shielded(flight())


async def read_with_others(begun: asyncio.Event, end: asyncio.Event) -> None:
    async def send(_: object) -> list:
        begun.set()
        await end.wait()
        return [[]]

    await Gathering(send).read([Command(b"SELECT 1", wanted=True)])


@pytest.mark.parametrize(
    "work",
    [
        lambda begun, end: claimed_ticket(begun, end, withdraw=False),
        lambda begun, end: claimed_ticket(begun, end, withdraw=True),
        write_on_postgresql,
        read_with_others,
    ],
    ids=["ticket", "ticket to withdraw", "write", "read"],
)
async def test_who_is_cancelled_again_still_waits_for_the_work_that_is_under_way(work):
    begun, end = asyncio.Event(), asyncio.Event()
    waiting = asyncio.ensure_future(work(begun, end))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    end.set()
    await asyncio.wait([waiting], timeout=PATIENCE)
    assert waiting.cancelled()


@pytest.mark.parametrize("turns", range(4))
async def test_who_is_cancelled_while_a_connection_comes_is_cancelled_and_leaves_none(monkeypatch, turns):
    coming = asyncio.get_running_loop().create_future()
    ended: list[bool] = []

    async def connect(*_: object, **__: object) -> object:
        return await coming

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    monkeypatch.setattr(postgres, "Connection", lambda driver: driver)
    asking = asyncio.ensure_future(postgres._connect(""))
    for _ in range(3):
        await asyncio.sleep(0)
    coming.set_result(SimpleNamespace(pgconn=SimpleNamespace(finish=lambda: ended.append(True))))
    for _ in range(turns):
        await asyncio.sleep(0)
    if asking.cancel():
        await asyncio.wait([asking], timeout=PATIENCE)
        assert asking.cancelled()
        assert ended == [True]
