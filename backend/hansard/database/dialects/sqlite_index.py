"""Index for search what was written to SQLite, a batch at a time, when whoever wrote it has heard of it.

`hansard.database.search_sqlite` says what waits. Here it is known only roughly how much that is: by the statements
and the texts that passed since the last time, in this process. It need not be known better, for a search indexes
whatever is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from hansard.database.search_sqlite import INDEX_WAITING
from hansard.database.statement import PreparedCall

# A message appended by itself is two statements. Who writes next waits for the batch, mostly for some 20 ms.
BATCH_STATEMENTS = 2048
BATCH_CODE_POINTS = 256 * 1024
_THERE = "SELECT 1 FROM sqlite_master WHERE name = 'search_waiting'"


class Batch:
    """Count what is written until it is worth indexing."""

    def __init__(self) -> None:
        self._statements = 0
        self._code_points = 0

    def add(self, calls: Sequence[PreparedCall]) -> None:
        """Count a script, and of each statement its longest text."""
        self._statements += len(calls)
        for call in calls:
            self._code_points += max([len(value) for value in call.arguments if isinstance(value, str)], default=0)

    def index_when_full(self, connection: sqlite3.Connection) -> None:
        """Index all that waits, when it is enough, in a transaction of its own."""
        if self._statements < BATCH_STATEMENTS and self._code_points < BATCH_CODE_POINTS:
            return
        self._statements = self._code_points = 0
        # Nothing is lost when it fails: all waits on, and the next search either indexes it or says why it cannot.
        with suppress(sqlite3.Error, MemoryError):
            if connection.execute(_THERE).fetchone() is not None:
                connection.execute("BEGIN IMMEDIATE")
                for statement in INDEX_WAITING:
                    connection.execute(statement)
                connection.execute("COMMIT")
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
