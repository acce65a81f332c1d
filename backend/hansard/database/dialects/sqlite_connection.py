"""Open SQLite connections the way durability needs them, and run scripts on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hansard.database import search_sqlite
from hansard.database.dialects import sqlite_wal
from hansard.database.statement import PreparedCall, Rows
from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import DatabaseError, DatabaseUnavailable, SchemaOutdated
from hansard.models import metadata
from hansard.utils.clock import utc_now

BUSY_SECONDS = 30.0
_WITHOUT_ZONE = len("2026-11-25 12:00:00.000000")


class Connection(sqlite3.Connection):
    """Know PostgreSQL's clock functions, so that one SQL text serves both databases; a statement has one instant."""

    _statement_time: str | None = None

    def add_functions(self) -> None:
        """Register the functions."""
        self.create_function("clock_timestamp", 0, self._statement_timestamp)
        self.create_function("statement_timestamp", 0, self._statement_timestamp)
        self.create_function("seconds_from_now", 1, _seconds_from_now)
        for name, function in search_sqlite.FUNCTIONS.items():
            self.create_function(name, 2, function, deterministic=True)

    def rows(self, sql: str, arguments: Sequence[Any]) -> Rows:
        """Run one statement, at one instant."""
        self._statement_time = None
        return self.execute(sql, arguments).fetchall()

    def _statement_timestamp(self) -> str:
        if self._statement_time is None:
            self._statement_time = _written(utc_now())
        return self._statement_time


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """Return a connection in autocommit mode: WAL, an fsync at every commit, foreign keys on."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=Connection,
        )
        assert isinstance(connection, Connection)
        sqlite_wal.turn_on(connection, seconds=BUSY_SECONDS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except (sqlite3.Error, ValueError) as error:  # no file has a path with a NUL in it
        raise DatabaseUnavailable(f"cannot open the SQLite database {path}: {error}") from error
    connection.add_functions()
    return connection


def run_script(connection: Connection, calls: Sequence[PreparedCall]) -> list[Rows]:
    """Return the rows of each statement; errors are `sqlite3.Error`."""
    return [connection.rows(call.prepared.sql, call.arguments) for call in calls]


def _seconds_from_now(seconds: float) -> str:
    return _written(utc_now() + timedelta(seconds=seconds))


def _written(instant: datetime) -> str:
    return instant.isoformat(" ", "microseconds")[:_WITHOUT_ZONE]


def translate(error: sqlite3.Error) -> DatabaseError:
    """Return the error of ours for one of SQLite's, without any stored content."""
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return _violation(message)
    if message.startswith(("no such table", "no such column", "table ")):
        return SchemaOutdated(f"the database lacks a migration ({message}); run: hansard db upgrade")
    if isinstance(error, sqlite3.OperationalError):
        return DatabaseUnavailable(f"SQLite: {message}; nothing was written")
    return DatabaseError(f"SQLite: {message}")


def _violation(message: str) -> ConstraintViolation:
    head, _, detail = message.partition(" constraint failed")
    detail = detail.removeprefix(": ")
    if head == "FOREIGN KEY":
        return ConstraintViolation(Violated.FOREIGN_KEY, None)
    if head == "CHECK":
        return ConstraintViolation(Violated.CHECK, detail)
    if head == "NOT NULL":
        return ConstraintViolation(Violated.NOT_NULL, detail)
    return ConstraintViolation(Violated.UNIQUE, _UNIQUE_NAMES.get(detail))


def _unique_names() -> dict[str, str]:
    # SQLite names the columns of a broken unique constraint, PostgreSQL its name: speak of names only.
    names: dict[str, str] = {}
    for table in metadata.tables.values():
        groups: list[Any] = [table.primary_key, *(index for index in table.indexes if index.unique)]
        groups += [one for one in table.constraints if type(one).__name__ == "UniqueConstraint"]
        for group in groups:
            names[", ".join(f"{table.name}.{column.name}" for column in group.columns)] = str(group.name)
    return names


_UNIQUE_NAMES = _unique_names()
