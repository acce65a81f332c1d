"""Let one process at a time migrate a PostgreSQL schema, however many workers boot at once."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from hansard.database.direct import Limits, connect
from hansard.database.urls import DatabaseUrl
from hansard.errors import ConfigurationError, DatabaseUnavailable

# The first of the lock's two keys tells our locks from other programs', the second one schema from another.
_OURS = int.from_bytes(b"Hans", "big")
_PAUSE_SECONDS = 0.05
# Alembic keeps what it is doing in global variables, so two threads could not migrate two databases either.
_ALEMBIC = threading.Lock()


@contextmanager
def turn(url: DatabaseUrl, limits: Limits) -> Iterator[None]:
    """Wait until nobody else migrates this schema, and keep others waiting meanwhile.

    The lock belongs to an open transaction on a connection of its own: it holds through a pooler too, ends with the
    process, and outlives the commits in between that an index built concurrently needs. Whoever waits asks again and
    again, in a new transaction each time, because one that lasts would keep such an index from ever being finished.
    On SQLite the migration's own transaction excludes others.
    """
    if url.is_sqlite:
        with _alone_in_this_process(limits):
            yield
        return
    with connect(url, limits=limits) as connection:
        keys = {"ours": _OURS, "schema": _key(connection)}
        deadline = time.monotonic() + limits.turn
        while not connection.execute(text("SELECT pg_try_advisory_xact_lock(:ours, :schema)"), keys).scalar_one():
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"another process (server pid {_holder(connection, keys)}) has been migrating this database for "
                    f"more than {limits.turn:g} s; nothing was changed, try again when it is done"
                )
            connection.rollback()
            time.sleep(_PAUSE_SECONDS)
        # The answered question keeps its snapshot until the next one is asked; by the simple protocol none is left.
        connection.exec_driver_sql("SELECT 1")
        with _alone_in_this_process(limits):
            yield


@contextmanager
def _alone_in_this_process(limits: Limits) -> Iterator[None]:
    if not _ALEMBIC.acquire(timeout=limits.turn):
        raise DatabaseUnavailable(f"this process has been migrating a database for more than {limits.turn:g} s")
    try:
        yield
    finally:
        _ALEMBIC.release()


def _key(connection: Connection) -> int:
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    if schema is None:
        raise ConfigurationError("no schema of the login's search_path exists, so there is nowhere to make tables")
    return zlib.crc32(schema.encode()) - 2**31


def _holder(connection: Connection, keys: dict[str, int]) -> int | None:
    # The catalogue shows both keys as unsigned numbers.
    holder = connection.execute(
        text(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND classid = :ours AND objid = :schema"
        ),
        {"ours": keys["ours"], "schema": keys["schema"] % 2**32},
    )
    return holder.scalar()
