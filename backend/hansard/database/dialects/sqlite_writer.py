"""Write to SQLite from one thread, and let waiting writers share a commit.

SQLite has one writer at a time and every commit is an fsync. So one thread owns the writing connection and
takes all scripts that wait: one transaction, a savepoint for each caller, one commit, and only then does
anybody hear of success. A caller's error undoes its savepoint alone.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from hansard.database.dialects.base import TRANSACTION_SECONDS, block_over
from hansard.database.dialects.sqlite_connection import Connection, connect, run_script, translate
from hansard.database.statement import PreparedCall, Rows
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown

GROUP_SIZE = 128


class Job:
    """Hold a script that waits for the writer, and the future that its caller waits for."""

    __slots__ = ("calls", "done", "outcome")

    def __init__(self, calls: Sequence[PreparedCall]) -> None:
        self.calls = calls
        self.done: Future[list[Rows]] = Future()
        self.outcome: list[Rows] | Exception | None = None


class Control:
    """Hold a statement of transaction control."""

    __slots__ = ("done", "sql")

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.done: Future[None] = Future()


class Block:
    """Hold the writer for one caller until it commits, rolls back or has had its time."""

    def __init__(self) -> None:
        self.begun: Future[None] = Future()
        self.over = False
        self._lock = threading.Lock()
        self._steps: queue.SimpleQueue[Job | Control] = queue.SimpleQueue()

    def ask(self, step: Job | Control) -> None:
        """Queue a script or a statement of transaction control: ``COMMIT`` and ``ROLLBACK`` end the block."""
        with self._lock:
            if not self.over:
                self._steps.put(step)
                return
        step.done.set_exception(block_over())

    def serve(self, connection: Connection) -> None:
        """Do what is asked until the block ends; runs on the writer's thread."""
        deadline = time.monotonic() + TRANSACTION_SECONDS
        while connection.in_transaction:
            try:
                step = self._steps.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            _take_step(connection, step)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            self.over = True
        while not self._steps.empty():
            left = self._steps.get()
            if left.done.set_running_or_notify_cancel():
                left.done.set_exception(block_over())


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
        except DatabaseError as error:
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        while (entry := self._next()) is not None:
            if isinstance(entry, Block):
                _serve_block(connection, entry)
            else:
                _serve_group(connection, [job for job in self._group(entry) if job.done.set_running_or_notify_cancel()])
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


def _serve_group(connection: Connection, group: list[Job]) -> None:
    if not group:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in group:
            _run_job(connection, job)
        connection.execute("COMMIT")
    except (sqlite3.Error, DatabaseError) as error:
        failure = _abandon(connection, error)
        for job in group:
            job.outcome = failure
    for job in group:
        _settle(job)


def _take_step(connection: Connection, step: Job | Control) -> None:
    if not step.done.set_running_or_notify_cancel():
        return
    try:
        if isinstance(step, Job):
            _run_job(connection, step)
        else:
            connection.execute(step.sql)
    except (sqlite3.Error, DatabaseError) as error:
        step.done.set_exception(_abandon(connection, error))
        return
    if isinstance(step, Job):
        _settle(step)
    else:
        step.done.set_result(None)


def _run_job(connection: Connection, job: Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.outcome = run_script(connection, job.calls)
    except Exception as error:
        if not connection.in_transaction:
            # A full disk or a failed read ends the whole transaction: everybody in it must hear of it.
            raise DatabaseUnavailable(f"SQLite gave the transaction up: {error}; nothing was written") from error
        connection.execute("ROLLBACK TO job")
        job.outcome = translate(error) if isinstance(error, sqlite3.Error) else error
    connection.execute("RELEASE job")


def _abandon(connection: Connection, error: sqlite3.Error | DatabaseError) -> DatabaseError:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as failed:
        return OutcomeUnknown(f"SQLite: {error}; and the rollback failed: {failed}")
    return translate(error) if isinstance(error, sqlite3.Error) else error


def _settle(job: Job) -> None:
    if isinstance(job.outcome, Exception):
        job.done.set_exception(job.outcome)
    else:
        assert job.outcome is not None
        job.done.set_result(job.outcome)


def _serve_block(connection: Connection, block: Block) -> None:
    if not block.begun.set_running_or_notify_cancel():
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        block.begun.set_exception(translate(error))
        return
    block.begun.set_result(None)
    block.serve(connection)
