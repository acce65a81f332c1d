"""Write to SQLite from one thread, and let waiting writers share a commit.

SQLite has one writer at a time and every commit is an fsync. So one thread owns the writing connection and
takes all scripts that wait: one transaction, one commit, and only then does anybody hear of success. When a script
fails, the group is undone and done again with a savepoint for each caller, so that an error undoes its own alone.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from hansard.database.dialects.base import TRANSACTION_SECONDS, block_over
from hansard.database.dialects.sqlite_connection import Connection, connect, run_script, translate
from hansard.database.dialects.sqlite_index import Batch
from hansard.database.dialects.sqlite_tickets import Ticket, tell
from hansard.database.statement import PreparedCall, Rows
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown

GROUP_SIZE = 128
_ENDS = ("COMMIT", "ROLLBACK")


class Job(Ticket[list[Rows]]):
    """Be a script that waits for the writer."""

    def __init__(self, calls: Sequence[PreparedCall]) -> None:
        super().__init__()
        self.calls = calls


class Control(Ticket[bool]):
    """Be a statement of transaction control that waits for its turn in a block."""

    def __init__(self, sql: str) -> None:
        super().__init__()
        self.sql = sql


class Block:
    """Hold the writer for one caller until it commits, rolls back or has had its time."""

    def __init__(self) -> None:
        self.begun = Ticket[bool]()
        self.over = False
        self._lock = threading.Lock()
        self._steps: queue.SimpleQueue[Job | Control] = queue.SimpleQueue()

    def ask(self, step: Job | Control) -> None:
        """Queue a script or a statement of transaction control: ``COMMIT`` and ``ROLLBACK`` end the block."""
        with self._lock:
            if not self.over:
                self._steps.put(step)
                return
        _end(step, block_over())

    def serve(self, connection: Connection, batch: Batch) -> None:
        """Do what is asked until the block ends; runs on the writer's thread."""
        deadline = time.monotonic() + TRANSACTION_SECONDS
        while connection.in_transaction:
            try:
                step = self._steps.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            _take_step(connection, step)
            if isinstance(step, Job):
                batch.add(step.calls)
            elif step.sql in _ENDS:
                break  # also when it failed and nothing could be undone: nobody asks for anything more
        with suppress(sqlite3.Error):  # what cannot be undone now is undone before the next begins
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with self._lock:
            self.over = True
        while not self._steps.empty():
            left = self._steps.get()
            if left.claim():
                _end(left, block_over())


class Writer(threading.Thread):
    """Own the one connection that writes."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="hansard-sqlite-writer", daemon=True)
        self._path = path
        self._waiting: queue.SimpleQueue[Job | Block | None] = queue.SimpleQueue()
        self._ahead: list[Job | Block | None] = []
        self.opened: Future[None] = Future()

    def submit(self, entry: Job | Block) -> None:
        """Queue a script or a block."""
        self._waiting.put(entry)

    def stop(self) -> None:
        """Finish what waits, then close the connection and end the thread."""
        self._waiting.put(None)

    def run(self) -> None:
        """Serve until stopped."""
        try:
            connection = connect(self._path)
        except Exception as error:  # noqa: BLE001 - whoever opens the file waits for this thread's word
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        batch = Batch()
        while (entry := self._next()) is not None:
            if isinstance(entry, Block):
                _serve_block(connection, entry, batch)
            else:
                group = self._group(entry)
                _serve_group(connection, group)
                for job in group:
                    batch.add(job.calls)
            batch.index_when_full(connection)
        connection.close()

    def _next(self) -> Job | Block | None:
        return self._ahead.pop() if self._ahead else self._waiting.get()

    def _group(self, first: Job) -> list[Job]:
        group = [first]
        while len(group) < GROUP_SIZE and not self._waiting.empty():
            entry = self._waiting.get()
            if not isinstance(entry, Job):
                self._ahead.append(entry)
                break
            group.append(entry)
        return group


def _serve_group(connection: Connection, waiting: list[Job]) -> None:
    group: list[Job] = []
    try:
        _begin(connection)
        # Not before: while another process holds the file, whoever waits may still leave.
        group = [job for job in waiting if job.claim()]
        if not _all_went_well(connection, group):
            _begin(connection)
            for job in group:
                _run_job(connection, job)
            connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - whatever it is, who waits hears of it, and the thread goes on
        failure = _abandon(connection, error)
        group = group or [job for job in waiting if job.claim()]
        for job in group:
            job.outcome = failure
    tell(group)


def _all_went_well(connection: Connection, group: list[Job]) -> bool:
    """Run and commit all as one; when any of them fails nothing is written, and the others may not be to blame."""
    try:
        outcomes = [run_script(connection, job.calls) for job in group]
    except Exception:  # noqa: BLE001 - which of them raised what is found out one by one
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return False
    connection.execute("COMMIT")
    for job, outcome in zip(group, outcomes, strict=True):
        job.outcome = outcome
    return True


def _take_step(connection: Connection, step: Job | Control) -> None:
    if not step.claim():
        return
    try:
        if isinstance(step, Job):
            _run_job(connection, step)
        else:
            connection.execute(step.sql)
            step.outcome = True
    except Exception as error:  # noqa: BLE001 - as above
        step.outcome = _abandon(connection, error)
    tell([step])


def _run_job(connection: Connection, job: Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.outcome = run_script(connection, job.calls)
    except Exception as error:
        if not connection.in_transaction:
            # A full disk or a failed read ends the whole transaction: everybody in it must hear of it.
            raise DatabaseUnavailable(f"SQLite gave the transaction up: {error}; nothing was written") from error
        connection.execute("ROLLBACK TO job")
        job.outcome = _told(error)
    connection.execute("RELEASE job")


def _begin(connection: Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")


def _abandon(connection: Connection, error: Exception) -> Exception:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as failed:
        return OutcomeUnknown(f"SQLite: {error}; and the rollback failed: {failed}")
    return _told(error)


def _told(error: Exception) -> Exception:
    return translate(error) if isinstance(error, sqlite3.Error) else error


def _end(step: Job | Control, error: DatabaseError) -> None:
    step.outcome = error
    tell([step])


def _serve_block(connection: Connection, block: Block, batch: Batch) -> None:
    begun: bool | Exception = True
    try:
        _begin(connection)
    except Exception as error:  # noqa: BLE001 - as above
        begun = _abandon(connection, error)
    if not block.begun.claim():
        with suppress(sqlite3.Error):  # as in a block
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return
    block.begun.outcome = begun
    tell([block.begun])
    if begun is True:
        block.serve(connection, batch)
