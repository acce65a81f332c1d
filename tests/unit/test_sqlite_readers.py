"""One thread reads for all who ask, and nobody waits for somebody whose reading takes long."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from hansard.database.dialects.sqlite_connection import connect
from hansard.database.dialects.sqlite_readers import PATIENCE_SECONDS, THREADS, Readers
from hansard.database.statement import Prepared, PreparedCall
from hansard.errors import DatabaseError, DatabaseUnavailable, SchemaOutdated

# Long enough for any machine, and far from for ever.
PATIENCE = 30


def script(sql: str = "SELECT 1") -> list[PreparedCall]:
    return [PreparedCall(Prepared(text(sql), SQLiteDialect_pysqlite(paramstyle="qmark")), [])]


class Slow:
    """A script that a thread begins, and ends when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        [self._call] = script("SELECT 2")

    @property
    def prepared(self) -> Prepared:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        return self._call.prepared

    @property
    def arguments(self) -> list[object]:
        return self._call.arguments

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, PATIENCE)


@asynccontextmanager
async def reading(tmp_path, slow=()):
    connect(tmp_path / "some.db").close()
    readers = Readers(tmp_path / "some.db")
    try:
        yield readers
    finally:
        for one in slow:
            one.may_end.set()
        await readers.close()


async def take(readers, slow):
    """Have a thread begin with each of these."""
    taken = []
    for one in slow:
        taken.append(asyncio.ensure_future(readers.read([one])))
        await one.has_begun()
    return taken


async def in_time(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


async def test_what_waits_behind_a_slow_read_is_read_by_another_thread_and_in_order(tmp_path):
    # One thread is left, so nobody overtakes it, however long it is kept waiting.
    slow = [Slow() for _ in range(THREADS - 1)]
    async with reading(tmp_path, slow) as readers:
        taken = await take(readers, slow)
        order = []

        async def read(number: int) -> None:
            order.append((number, await readers.read(script(f"SELECT {number}"))))

        await in_time(asyncio.gather(*map(read, range(5))))
        assert order == [(number, [[(number,)]]) for number in range(5)]
        assert not any(one.done() for one in taken)
        for one in slow:
            one.may_end.set()
        assert await in_time(asyncio.gather(*taken)) == [[[(2,)]]] * len(slow)


async def test_with_every_thread_taken_the_next_read_comes_when_one_is_free(tmp_path):
    slow = [Slow() for _ in range(THREADS)]
    async with reading(tmp_path, slow) as readers:
        taken = await take(readers, slow)
        late = asyncio.ensure_future(readers.read(script()))
        slow[2].may_end.set()
        assert await in_time(late) == [[(1,)]]
        assert [one.done() for one in taken] == [False, False, True, False]


async def test_an_error_is_told_to_whose_it_is_and_to_nobody_else(tmp_path):
    async with reading(tmp_path) as readers:
        scripts = [script(), script("SELECT * FROM nowhere"), script("CREATE TABLE some (id)"), script()]
        asked = (readers.read(one) for one in scripts)
        good, missing, writing, last = await in_time(asyncio.gather(*asked, return_exceptions=True))
        assert good == last == [[(1,)]]
        assert isinstance(missing, SchemaOutdated)
        assert isinstance(writing, DatabaseError)


async def test_who_is_cancelled_leaves_at_once_and_what_nobody_waits_for_is_not_read(tmp_path):
    # With every thread taken, no machine is so slow that one begins with what is given up.
    slow, unread = [Slow() for _ in range(THREADS)], Slow()
    async with reading(tmp_path, [*slow, unread]) as readers:
        taken = await take(readers, slow)
        for one in (*taken, asyncio.ensure_future(readers.read([unread]))):
            await asyncio.sleep(0)
            one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await in_time(one)
        for one in slow:
            one.may_end.set()
        assert await in_time(readers.read(script())) == [[(1,)]]
    assert not unread.begun.is_set()


async def test_closing_waits_for_what_was_asked_for_also_behind_a_slow_read(tmp_path):
    slow = Slow()
    async with reading(tmp_path) as readers:
        asked = [asyncio.ensure_future(readers.read(one)) for one in ([slow], script(), script())]
        await slow.has_begun()
        closing = asyncio.ensure_future(readers.close())
        late = asyncio.get_running_loop().call_later(2 * PATIENCE_SECONDS, slow.may_end.set)
        assert await in_time(asyncio.gather(*asked)) == [[[(2,)]], [[(1,)]], [[(1,)]]]
        await in_time(closing)
        late.cancel()


async def test_who_asks_hears_also_of_a_file_that_cannot_be_opened(tmp_path):
    readers = Readers(tmp_path / "nowhere" / "some.db")
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="cannot open"):
            await in_time(readers.read(script()))
    await readers.close()


def test_one_file_is_read_from_several_loops_one_after_another(tmp_path):
    connect(tmp_path / "some.db").close()
    readers = Readers(tmp_path / "some.db")
    assert [asyncio.run(readers.read(script())) for _ in range(2)] == [[[(1,)]]] * 2
    asyncio.run(readers.close())


async def test_who_asks_when_the_threads_have_ended_is_told_so(tmp_path):
    async with reading(tmp_path) as readers:
        await in_time(readers.read(script()))
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="closed"):
            await in_time(readers.read(script()))
