"""Read from SQLite in threads, of which one works as long as none takes long. See docs/decisions/0027-http-overhead.md.

SQLite lets go of the interpreter at every row, and each time wakes whoever waits for it, nearly always in vain: of
threads that read beside one another, each takes several times as long as one that is alone. So what is asked for while
a thread reads waits for it, is read by one thread in a row, and all who asked are woken with one call. Where nothing
has come to its end for a while, another thread takes over what waits.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from hansard.database.dialects.base import closed
from hansard.database.dialects.sqlite_connection import Connection, connect, run_script, translate
from hansard.database.statement import PreparedCall, Rows

THREADS: Final = 4
# Longer than a large page takes, and too short for anybody to notice.
PATIENCE_SECONDS: Final = 0.005

_Found: TypeAlias = asyncio.Future[list[Rows]]
_Asked: TypeAlias = tuple[Sequence[PreparedCall], _Found]


class Readers:
    """Hold the threads that read one file, each with a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hansard-sqlite-reader")
        self._own = threading.local()
        self._connections: list[Connection] = []
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    async def read(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script on one snapshot; who is cancelled leaves at once, because nothing is changed."""
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(lambda batch: self._threads.submit(self._work, batch))
        return await queue.put(calls)

    async def close(self) -> None:
        """Read what was asked for in this loop, and end the threads."""
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is not None:
            queue.close()
        await loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()

    def _work(self, batch: _Batch) -> None:
        batch.has_begun = True
        with suppress(IndexError):  # nothing is left, or somebody else has taken it over
            while True:
                calls, found = batch.asked.popleft()
                if not found.cancelled():
                    batch.read.append((found, self._outcome(calls)))
        with suppress(RuntimeError):  # a loop that was closed has no tasks that wait
            batch.loop.call_soon_threadsafe(batch.end)

    def _outcome(self, calls: Sequence[PreparedCall]) -> list[Rows] | Exception:
        try:
            return self._rows(calls)
        except sqlite3.Error as error:
            return translate(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits hears of it, and the thread goes on
            return error

    def _rows(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        connection = self._connection()
        if len(calls) == 1:
            return run_script(connection, calls)
        connection.execute("BEGIN")
        try:
            return run_script(connection, calls)
        finally:
            connection.execute("ROLLBACK")

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = connect(self._path, read_only=True)
            self._connections.append(connection)
        return connection


class _Batch:
    """Be what one thread reads in a row; what is still in ``asked``, nobody has begun."""

    def __init__(self, asked: deque[_Asked], end: Callable[[_Batch], None]) -> None:
        self.asked = asked
        self.read: deque[tuple[_Found, list[Rows] | Exception]] = deque()
        self.loop = asyncio.get_running_loop()
        self.end = partial(end, self)
        self.has_begun = False

    def tell(self) -> bool:
        """Let those go on who asked for what has been read, and say whether that is more than it was."""
        news = bool(self.read)
        while self.read:
            found, outcome = self.read.popleft()
            if found.done():
                continue
            if isinstance(outcome, Exception):
                found.set_exception(outcome)
            else:
                found.set_result(outcome)
        return news


class _Queue:
    """Hold what the tasks of one event loop want to read, and give it away in batches; all within that loop."""

    def __init__(self, begin: Callable[[_Batch], object]) -> None:
        self._begin = begin
        self._asked: deque[_Asked] = deque()
        self._is_due = False
        # What everybody who asks now waits for, and when to look how it does.
        self._batch: _Batch | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def put(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Wait for the rows of a script."""
        loop = asyncio.get_running_loop()
        found: _Found = loop.create_future()
        self._asked.append((calls, found))
        if self._batch is None and not self._is_due:
            # Not at once: who else is in this turn of the loop asks together with us.
            loop.call_soon(self.go_on)
            self._is_due = True
        return await found

    def go_on(self) -> None:
        """Give everything away that was asked for."""
        self._is_due = False
        if self._asked:
            self._batch, self._asked = _Batch(self._asked, self._end), deque()
            try:
                self._begin(self._batch)
            except RuntimeError:  # the threads have ended, closed from another loop
                self._batch.read.extend((found, closed()) for _, found in self._batch.asked)
                self._batch.tell()
                self._batch = None
            else:
                self._wait(self._batch)

    def close(self) -> None:
        """Give everything away that was asked for, for good: soon there is no other thread to take it over."""
        self._leave()
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, batch: _Batch) -> None:
        batch.tell()
        if batch is self._batch:
            self._leave()

    def _look(self, batch: _Batch) -> None:
        if batch.tell() or not batch.has_begun:
            self._wait(batch)
            return
        with suppress(IndexError):  # its thread takes from it meanwhile
            while True:
                self._asked.appendleft(batch.asked.pop())
        self._leave()

    def _wait(self, batch: _Batch) -> None:
        self._timer = batch.loop.call_later(PATIENCE_SECONDS, self._look, batch)

    def _leave(self) -> None:
        """Wait for this batch no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._batch = self._timer = None
        self.go_on()
