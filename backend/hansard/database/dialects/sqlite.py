"""Run scripts on a SQLite file: reads from a few threads, writes from one."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from hansard.database.dialects.base import block_over, closed
from hansard.database.dialects.sqlite_connection import Connection, connect, run_script, translate
from hansard.database.dialects.sqlite_writer import Block, Control, Job, Writer
from hansard.database.statement import PreparedCall, Rows
from hansard.errors import OutcomeUnknown
from hansard.utils.witness import testify

READERS = 4


class SqliteBackend:
    """Hold the writer thread and the reading connections of one file."""

    name = "sqlite"
    arrays = False

    def __init__(self, path: Path, writer: Writer) -> None:
        self.sqlalchemy_dialect: Dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._path = path
        self._writer = writer
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="hansard-sqlite-reader")
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._closed = False

    @property
    def connections(self) -> None:
        """Return nothing: threads, and no pool, wait for SQLite."""

    @classmethod
    async def open(cls, path: Path) -> SqliteBackend:
        """Open the file, made if missing; raises `DatabaseUnavailable`."""
        writer = Writer(path)
        writer.start()
        await asyncio.wrap_future(writer.opened)
        return cls(path, writer)

    async def read(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script on one snapshot."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, calls)

    async def read_together(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script: there is no trip to share."""
        return await self.read(user_id, calls)

    async def write(self, user_id: str, calls: Sequence[PreparedCall], *, idempotent: bool) -> list[Rows]:
        """Run a script in the next commit."""
        self._check_open()
        job = Job(calls)
        self._writer.submit(job)
        try:
            return await job.result(withdraw=True)
        finally:
            testify(done=_is_done(job))

    @asynccontextmanager
    async def transaction(self, user_id: str) -> AsyncIterator[SqliteTransaction]:
        """Hold the writer; everybody else who writes waits meanwhile."""
        self._check_open()
        block = Block()
        self._writer.submit(block)
        try:
            await block.begun.result(withdraw=True)
            yield SqliteTransaction(user_id, block)
        except BaseException:
            await _say(block, "ROLLBACK")
            raise
        commit = Control("COMMIT")
        block.ask(commit)
        try:
            await commit.result()
        finally:
            testify(done=_is_done(commit))

    async def ping(self) -> None:
        """Read one row."""
        self._check_open()
        await asyncio.get_running_loop().run_in_executor(self._readers, self._ping)

    async def close(self) -> None:
        """End all threads; the last connection to close folds the log into the file."""
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def _close(self) -> None:
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._writer.join()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, read_only=True)
            self._connections.append(connection)
        return connection

    def _read(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        connection = self._reader()
        try:
            if len(calls) == 1:
                return run_script(connection, calls)
            connection.execute("BEGIN")
            try:
                return run_script(connection, calls)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translate(error) from None

    def _ping(self) -> None:
        try:
            self._reader().execute("SELECT 1").fetchone()
        except sqlite3.Error as error:
            raise translate(error) from None


class SqliteTransaction:
    """Run scripts inside a block of the writer."""

    def __init__(self, user_id: str, block: Block) -> None:
        self.user_id = user_id
        self.over = False
        self._block = block
        self._names = count(1)

    async def run(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script under a savepoint of its own."""
        job = Job(calls)
        self._block.ask(job)
        return await job.result(withdraw=True)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is inside when it raises."""
        name = f"block_{next(self._names)}"
        if self._block.over:
            raise block_over()
        await _say(self._block, f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            await _say(self._block, f"ROLLBACK TO {name}")
            await _say(self._block, f"RELEASE {name}")
            raise
        await _say(self._block, f"RELEASE {name}")


def _is_done(ticket: Job | Control) -> bool | None:
    """Say whether the writer did what was asked; ``None`` when SQLite itself does not know."""
    if isinstance(ticket.outcome, OutcomeUnknown):
        return None
    return ticket.outcome is not None and not isinstance(ticket.outcome, Exception)


async def _say(block: Block, sql: str) -> None:
    """Give the block a statement of transaction control, unless it is over or never began."""
    if block.begun.outcome is True and not block.over:
        step = Control(sql)
        block.ask(step)
        # The end of a transaction is never withdrawn.
        await step.result()
