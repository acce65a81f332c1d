"""Turn on the write-ahead log of a SQLite file, also while others open the same new file."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

_PAUSE_SECONDS: Final = 0.005


def turn_on(connection: sqlite3.Connection, *, seconds: float) -> None:
    """Have the file written by its log, from now on for everybody.

    Of those who switch a new file at the same moment, each holds what another one needs, so SQLite refuses at once and
    does not wait as its time-out says. Whoever is refused tries again here, for as long as ``seconds``; then raises
    `sqlite3.OperationalError`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # noqa: PERF203 - trying again is the point
            # Before Python 3.11 an error has no code.
            if str(error) != "database is locked" or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
