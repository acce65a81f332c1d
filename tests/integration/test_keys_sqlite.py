"""Who waits for a key on SQLite waits a bounded time: behind a call of the same process, and of another."""

import asyncio
import sys
from pathlib import Path

import pytest

from hansard.database import open_database
from hansard.database.dialects import sqlite_connection, sqlite_writer
from hansard.errors import DatabaseUnavailable
from hansard.models.idempotency import Answer, RequestKey
from hansard.store.sql import SqlStore

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="module"),
]

ROOT = Path(__file__).resolve().parents[2]
KEY = RequestKey("k", bytes(32))
HOLDER = """
import asyncio, sys
from hansard import open_store
from hansard.models.idempotency import Answer, RequestKey

async def work():
    print("working", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return Answer(200, "first")

async def main(url, user_id):
    async with open_store(url, migrate=False) as store:
        await store.for_user(user_id).keys.once(RequestKey("k", bytes(32)), work)

asyncio.run(main(*sys.argv[1:]))
"""


async def second():
    return Answer(200, "second")


async def test_behind_a_call_of_another_process_it_gives_up_and_may_try_again(user, database_url, monkeypatch):
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", HOLDER, database_url, user.user_id]
    holder = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"working\n"
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.05)
    database = await open_database(database_url)
    try:
        keys = SqlStore(database).for_user(user.user_id).keys
        with pytest.raises(DatabaseUnavailable):
            await keys.once(KEY, second)
        await holder.communicate(b"\n")
        assert holder.returncode == 0
        assert await keys.once(KEY, second) == Answer(200, "first", replayed=True)
    finally:
        await database.close()


async def test_behind_a_call_of_this_process_it_takes_over_when_that_has_had_its_time(user, monkeypatch):
    monkeypatch.setattr(sqlite_writer, "TRANSACTION_SECONDS", 0.5)
    working, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        working.set()
        await go_on.wait()
        return Answer(200, "first")

    first = asyncio.create_task(user.keys.once(KEY, slow))
    # On a machine that stands still its time may be over before its work begins.
    first.add_done_callback(lambda _: working.set())
    await working.wait()
    monkeypatch.undo()
    assert await user.keys.once(KEY, second) == Answer(200, "second")
    go_on.set()
    with pytest.raises(DatabaseUnavailable):
        await first
    assert await user.keys.once(KEY, slow) == Answer(200, "second", replayed=True)
