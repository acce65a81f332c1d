"""Run scripts on PostgreSQL: one unit of work is one network round trip, under row-level security."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from hansard.database.dialects.base import TRANSACTION_SECONDS
from hansard.database.dialects.postgres_errors import translate
from hansard.database.dialects.postgres_flight import Command, Connection
from hansard.database.statement import PreparedCall, Rows
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown

T = TypeVar("T")

DEFAULT_ROLE = "hansard_app"
CONNECT_SECONDS = 15.0
POOL_SIZE = 16

IN_DOUBT = "the connection to PostgreSQL was lost while a write was under way: it may be stored or not"

_BEGIN = Command(b"BEGIN")
_BEGIN_READING = Command(b"BEGIN READ ONLY")
_COMMIT = Command(b"COMMIT")
# Set for this transaction alone, so that nothing is left on a connection that a pooler hands to somebody else.
_SCOPE = b"SELECT set_config('role', $1, true), set_config('hansard.user_id', $2, true)"
_BOUND = b"SELECT set_config('idle_in_transaction_session_timeout', $1, true)"


class PostgresBackend:
    """Hold a pool of connections and scope every transaction to a user and the runtime role."""

    name = "postgresql"
    arrays = True

    def __init__(self, pool: AsyncConnectionPool[Connection], *, role: str, prepare: bool) -> None:
        self.sqlalchemy_dialect: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # SQLAlchemy
        self._pool = pool
        self._role = role
        self._prepare = prepare
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(
        cls, url: str, *, role: str = DEFAULT_ROLE, pool_size: int = POOL_SIZE, prepare: bool = False
    ) -> PostgresBackend:
        """Make the pool; connections are made when they are needed, so an unreachable server shows at first use.

        ``prepare`` may be on only where connections are direct: a pooler hands one server connection to many.
        """
        named = {} if "application_name" in conninfo_to_dict(url) else {"application_name": "hansard"}
        pool = AsyncConnectionPool(
            make_conninfo(url, **named),
            connection_class=Connection,
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=0,
            max_size=pool_size,
            timeout=CONNECT_SECONDS,
            open=False,
            configure=_configure,
            check=_check,
        )
        await pool.open()
        return cls(pool, role=role, prepare=prepare)

    async def read(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script in a read-only transaction; sent once more when an idle connection proves dead."""
        commands = [_BEGIN_READING, self._scope(user_id), *map(self.command, calls), _COMMIT]
        return (await self.shielded(self._send(commands, again=True)))[2:-1]

    async def write(self, user_id: str, calls: Sequence[PreparedCall], *, idempotent: bool) -> list[Rows]:
        """Run a script and commit it."""
        commands = [_BEGIN, self._scope(user_id), *map(self.command, calls), _COMMIT]
        return (await self.shielded(self._send(commands, again=idempotent)))[2:-1]

    @asynccontextmanager
    async def transaction(self, user_id: str) -> AsyncIterator[PostgresTransaction]:
        """Hold one connection; the server itself ends a transaction that idles too long."""
        connection = await self._connection()
        transaction = PostgresTransaction(self, connection, user_id)
        try:
            bound = Command(_BOUND, [f"{TRANSACTION_SECONDS:.0f}s"])
            await self.shielded(transaction.send([_BEGIN, self._scope(user_id), bound]))
            yield transaction
            await self.shielded(transaction.commit())
        except BaseException:
            await self.shielded(_roll_back(connection))
            raise
        finally:
            await self.shielded(self._pool.putconn(connection))

    async def ping(self) -> None:
        """Ask the server for one row."""
        await self.shielded(self._send([Command(b"SELECT 1")], again=True))

    async def close(self) -> None:
        """Wait for what is under way, then close every connection."""
        while self._running:
            await asyncio.wait(set(self._running))
        await self._pool.close()

    def command(self, call: PreparedCall) -> Command:
        """Return what to send for a call."""
        prepared = call.prepared
        name = prepared.name if self._prepare else None
        return Command(prepared.sql_bytes, call.arguments, name)

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish what touches a connection although the caller is cancelled: done or undone, never half."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await asyncio.wait([task])
            raise

    def _scope(self, user_id: str) -> Command:
        return Command(_SCOPE, [self._role, user_id], b"hansard_scope" if self._prepare else None)

    async def _connection(self) -> Connection:
        try:
            return await self._pool.getconn()
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                f"no connection to PostgreSQL within {CONNECT_SECONDS:.0f} s; nothing was written"
            ) from error

    async def _send(self, commands: Sequence[Command], *, again: bool) -> list[Rows]:
        try:
            return await self._attempt(commands)
        except _ConnectionLost:
            if not again:
                raise OutcomeUnknown(IN_DOUBT) from None
        try:
            return await self._attempt(commands)
        except _ConnectionLost:
            raise DatabaseUnavailable("the connection to PostgreSQL was lost twice; the call may be repeated") from None

    async def _attempt(self, commands: Sequence[Command]) -> list[Rows]:
        connection = await self._connection()
        try:
            return await connection.fly(commands)
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise _ConnectionLost from error
            await _roll_back(connection)
            raise translate(error) from None
        finally:
            await self._pool.putconn(connection)


class PostgresTransaction:
    """Run scripts on one connection, inside one transaction."""

    def __init__(self, backend: PostgresBackend, connection: Connection, user_id: str) -> None:
        self.user_id = user_id
        self._backend = backend
        self._connection = connection
        self._turn = asyncio.Lock()
        self._names = count(1)
        self._deadline = asyncio.get_running_loop().time() + TRANSACTION_SECONDS

    async def run(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script under a savepoint of its own, in one trip."""
        name = b"script_%d" % next(self._names)
        commands = [Command(b"SAVEPOINT " + name), *map(self._backend.command, calls), Command(b"RELEASE " + name)]
        async with self._turn:
            return (await self._backend.shielded(self._run(commands, name)))[1:-1]

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is inside when it raises."""
        name = b"block_%d" % next(self._names)
        async with self._turn:
            await self._backend.shielded(self.send([Command(b"SAVEPOINT " + name)]))
        try:
            yield
        except BaseException:
            async with self._turn:
                await self._backend.shielded(self._undo(name))
            raise
        async with self._turn:
            await self._backend.shielded(self.send([Command(b"RELEASE " + name)]))

    async def send(self, commands: Sequence[Command]) -> list[Rows]:
        """Send commands; raises an error of ours, after which only a rollback helps."""
        self._check_deadline()
        try:
            return await self._connection.fly(commands)
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise DatabaseUnavailable(
                    "the connection was lost inside an atomic block; nothing was written"
                ) from None
            raise translate(error) from None

    async def commit(self) -> None:
        """Commit; raises `OutcomeUnknown` when the connection dies meanwhile."""
        self._check_deadline()
        try:
            await self._connection.fly([_COMMIT])
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise OutcomeUnknown(IN_DOUBT) from None
            raise translate(error) from None

    def _check_deadline(self) -> None:
        if asyncio.get_running_loop().time() > self._deadline:
            raise DatabaseUnavailable(
                f"the atomic block took longer than {TRANSACTION_SECONDS:.0f} s and is rolled back"
            )

    async def _run(self, commands: Sequence[Command], name: bytes) -> list[Rows]:
        try:
            return await self.send(commands)
        except DatabaseError:
            await self._undo(name)
            raise

    async def _undo(self, name: bytes) -> None:
        if not self._connection.closed:
            await self._connection.fly([Command(b"ROLLBACK TO " + name), Command(b"RELEASE " + name)])


class _ConnectionLost(Exception):
    """Say that the connection died after something was sent."""


async def _configure(connection: Connection) -> None:
    connection.pgconn.nonblocking = 1


async def _check(connection: Connection) -> None:
    if not connection.is_quiet():
        await connection.close()
        raise psycopg.OperationalError("the server ended an idle connection")


async def _roll_back(connection: Connection) -> None:
    try:
        if connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            await connection.fly([Command(b"ROLLBACK")])
    except psycopg.Error:
        await connection.close()
