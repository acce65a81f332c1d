"""Run scripts on a SQLite file: reads from a few threads, writes from one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import Dialect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from hansard.database.dialects.base import block_over, closed
from hansard.database.dialects.sqlite_readers import Readers
from hansard.database.dialects.sqlite_writer import Block, Control, Job, Writer
from hansard.database.statement import PreparedCall, Rows
from hansard.errors import OutcomeUnknown
from hansard.utils.witness import testify


class SqliteBackend:
    """Hold the writer thread and the reading connections of one file."""

    name = "sqlite"
    arrays = False
    functions = False

    def __init__(self, path: Path, writer: Writer) -> None:
        self.sqlalchemy_dialect: Dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._writer = writer
        self._readers = Readers(path)
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
        return await self._readers.read(calls)

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

    async def close(self) -> None:
        """End all threads; the last connection to close folds the log into the file."""
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        await self._readers.close()
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()


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
