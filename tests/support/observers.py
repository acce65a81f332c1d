"""Look at a database from outside, past everything of ours: what is really there, and who still holds what."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

BUSY = (
    "SELECT pid, state, query FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend' AND state <> 'idle'"
)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


# The event loop stands still meanwhile: only what is about to end by itself, like a thread, can still end.
PATIENCE = 30


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


class Observer(Protocol):
    """See one database from outside."""

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement (parameters as ``?``), commit, and return its rows."""

    def assert_idle(self) -> None:
        """Prove that nobody else holds a transaction open; what a cancelled call left to a thread may take a moment."""

    def holding_writers(self) -> AbstractContextManager[None]:
        """Keep every writer of conversations and turns waiting for as long as the block lasts."""

    def wait_for_writers(self) -> None:
        """Return when a writer waits, as far as the database can tell."""

    def close(self) -> None:
        """Let go of the database."""


class SqliteObserver:
    """See a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # What a writer commits is seen a moment before its lock is free.
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE, check_same_thread=False)

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def assert_idle(self) -> None:
        _wait_until(self._is_idle, "somebody still reads or writes in an open transaction")

    def _is_idle(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")  # fails while there is another writer
        except sqlite3.OperationalError:
            return False
        self._connection.execute("ROLLBACK")
        # An open reader would keep the log from being emptied.
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def holding_writers(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def wait_for_writers(self) -> None:
        # SQLite knows nothing of those who wait for it: they ask again and again.
        pass

    def close(self) -> None:
        self._connection.close()


class PostgresObserver:
    """See a PostgreSQL database as its superuser, whom no row-level security binds."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []

    def assert_idle(self) -> None:
        _wait_until(lambda: self.execute(BUSY) == [], "somebody still has an open transaction")

    @contextmanager
    def holding_writers(self) -> Iterator[None]:
        with self._connection.transaction():
            self._connection.execute("LOCK TABLE conversations, turns IN SHARE MODE")
            yield

    @contextmanager
    def holding_everybody(self) -> Iterator[None]:
        """Keep readers waiting, too."""
        with self._connection.transaction():
            self._connection.execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
            yield

    def wait_for_writers(self) -> None:
        _wait_until(lambda: self.execute(WAITING) != [(0,)], "nobody came to wait")

    def close(self) -> None:
        self._connection.close()
