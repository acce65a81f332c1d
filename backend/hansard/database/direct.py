"""Open a plain, synchronous connection of one's own: for migrations and the doctor, never for a user's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from hansard.database.dialects import sqlite_wal
from hansard.database.urls import DatabaseUrl
from hansard.errors import ConfigurationError, DatabaseError, DatabaseUnavailable, HansardError

_BUSY_SECONDS: Final = 30.0


class Limits(NamedTuple):
    """Hold how many seconds a migration may wait for a table, work in one statement, and wait for another migration.

    While a migration waits for a table, everybody who comes after it waits too: keep ``lock`` short.
    """

    lock: float = 5.0
    statement: float = 60.0
    turn: float = 300.0


@contextmanager
def connect(url: DatabaseUrl, *, limits: Limits | None = None, create: bool = False) -> Iterator[Connection]:
    """Yield a connection and commit at the end; errors of the driver come out as errors of ours.

    Every transaction on it obeys ``limits``. A SQLite file is made, readable by its owner alone, only if ``create``.
    """
    limits = limits or Limits()
    engine = _sqlite(url, create=create) if url.is_sqlite else _postgres(url, limits)
    try:
        with engine.connect() as connection:
            yield connection
            connection.commit()
    except DBAPIError as error:
        raise _translate(error, url, limits) from None
    finally:
        engine.dispose()


def _postgres(url: DatabaseUrl, limits: Limits) -> Engine:
    try:
        import psycopg  # noqa: PLC0415 - the driver is an extra

        from hansard.database.dialects.postgres_url import conninfo_of  # noqa: PLC0415 - needs the driver
    except ImportError as error:
        raise ConfigurationError("PostgreSQL needs the driver: pip install 'hansard[postgres]'") from error
    # The driver reads the URL itself, so that everything libpq knows may stand in it.
    conninfo = conninfo_of(url.text)
    # Prepared by itself after some calls, a statement would be prepared on whichever connection a pooler lends.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(conninfo, prepare_threshold=None),
        poolclass=NullPool,
    )
    settings = (f"{limits.lock:.3f}s", f"{limits.statement:.3f}s")

    @event.listens_for(engine, "begin")
    def _bound(connection: Connection) -> None:
        # For this transaction alone: a pooler would hand a session's settings on to somebody else.
        connection.exec_driver_sql(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true), "
            "set_config('idle_in_transaction_session_timeout', '0', true)",
            settings,
        )

    return engine


def _sqlite(url: DatabaseUrl, *, create: bool) -> Engine:
    assert url.path is not None
    if create:
        try:
            url.path.touch(mode=0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"cannot open {url}: {error.strerror}") from error
    elif not url.path.exists():
        raise DatabaseUnavailable(f"there is no database at {url}; run: hansard db upgrade")
    engine = create_engine(f"sqlite:///{url.path}", poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver would commit before DDL by itself; a migration is done or undone as a whole.
        connection.isolation_level = None
        sqlite_wal.turn_on(connection, seconds=_BUSY_SECONDS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _translate(error: DBAPIError, url: DatabaseUrl, limits: Limits) -> HansardError:
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return DatabaseUnavailable(f"cannot use {url}: {str(error.orig).strip()}")
    if state == "55P03":
        return DatabaseUnavailable(
            f"a table stayed locked by others for {limits.lock:g} s; nothing was changed. Look for long transactions "
            "in pg_stat_activity and try again at a quieter moment"
        )
    if state == "57014":
        return DatabaseUnavailable(
            f"a statement of the migration took longer than {limits.statement:g} s and was cancelled; "
            "what was not committed is undone"
        )
    # The primary message names tables and roles; details may quote rows and stay out.
    told = error.orig.diag.message_primary  # type: ignore[union-attr] # whoever has a SQLSTATE has this
    if state == "42501":
        return ConfigurationError(f"the login of {url} may not do what is needed: {told}")
    if state.startswith(("08", "53", "57", "28", "3D")):
        return DatabaseUnavailable(f"cannot use {url}: {told}")
    return DatabaseError(f"PostgreSQL refused: {told} (SQLSTATE {state})")
