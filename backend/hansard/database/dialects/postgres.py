"""Run scripts on PostgreSQL: one unit of work is one network round trip, under row-level security."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from hansard.database.dialects.base import TRANSACTION_SECONDS, Connections, block_over
from hansard.database.dialects.postgres_errors import LOST_STATEMENTS, translate
from hansard.database.dialects.postgres_flight import Command, Connection, ConnectionLost
from hansard.database.dialects.postgres_gathering import Gathering
from hansard.database.dialects.postgres_pool import Pool
from hansard.database.dialects.postgres_url import conninfo_of, refuse_pooler
from hansard.database.statement import PreparedCall, Rows
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown
from hansard.utils.waiting import outlast
from hansard.utils.witness import testify

T = TypeVar("T")

CONNECT_SECONDS = 15.0
IDLE_SECONDS = 300.0

IN_DOUBT = "the connection to PostgreSQL was lost while a write was under way: it may be stored or not"

_BEGIN = Command(b"BEGIN")
_BEGIN_READING = Command(b"BEGIN READ ONLY")
_COMMIT = Command(b"COMMIT")
_ROLLBACK = Command(b"ROLLBACK")
# Set for this transaction alone, so that nothing is left on a connection that a pooler hands to somebody else.
_SCOPE = b"SELECT set_config('role', $1, true), set_config('hansard.user_id', $2, true)"
# A process that is paused with half a flight sent is no idle one to the server: it would keep its locks until it wakes.
# Servers before 17 cannot bound that; there the name is one that means nothing.
_SCOPE_OF_WRITES = _SCOPE + (
    b", set_config(CASE WHEN current_setting('server_version_num')::int >= 170000 "
    b"THEN 'transaction_timeout' ELSE 'hansard.transaction_timeout' END, $3, true)"
)
# A plan that is kept was perhaps made while a table had one page, and must be good when it has grown: it goes by an
# index. The statistics would tell the server better only at the next ANALYZE.
_FOR_KEPT_PLANS = b", set_config('enable_seqscan', 'off', true)"
_BOUND_IDLENESS = b"SELECT set_config('idle_in_transaction_session_timeout', $1, true)"


class _Spelling(PGDialect_psycopg):
    """Write SQL for a `Connection`, which gives instants in UTC."""

    gives_utc = True


class PostgresBackend:
    """Hold a pool of connections and scope every transaction to a user and the runtime role."""

    name = "postgresql"
    arrays = True
    functions = True

    def __init__(self, url: str, *, role: str, pool_size: int, prepare: bool) -> None:
        """Connect to nothing yet, so an unreachable server shows at first use.

        ``prepare`` may be on only where connections are direct: a pooler hands one server connection to many.
        """
        connect = partial(_connect, conninfo_of(url))
        if prepare:
            refuse_pooler(url)
        self.sqlalchemy_dialect: Dialect = _Spelling(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # SQLAlchemy
        self._pool = Pool(connect, size=pool_size, wait_seconds=CONNECT_SECONDS, idle_seconds=IDLE_SECONDS)
        self._role = role
        self._prepare = prepare
        self._running: set[asyncio.Task[Any]] = set()
        self._gathering = Gathering(lambda commands: self.shielded(self._send([_BEGIN_READING, *commands, _COMMIT])))

    @property
    def connections(self) -> Connections:
        """Return what the pool does."""
        return self._pool.connections

    async def read(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script in a read-only transaction; sent once more when the connection dies."""
        commands = [_BEGIN_READING, self.scope(user_id), *map(self.command, calls), _COMMIT]
        return await self._send(commands)

    async def read_together(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script in one transaction with those of others that are asked for at the same moment."""
        return await self._gathering.read([self.scope(user_id), *map(self.command, calls)])

    async def write(self, user_id: str, calls: Sequence[PreparedCall], *, idempotent: bool) -> list[Rows]:
        """Run a script and commit it."""
        commands = [_BEGIN, self.scope_of_writes(user_id), *map(self.command, calls), _COMMIT]
        return await self._send(commands, writing=True, again=idempotent)

    @asynccontextmanager
    async def transaction(self, user_id: str) -> AsyncIterator[PostgresTransaction]:
        """Hold one connection; the server itself ends a transaction that idles too long."""
        connection = await self._pool.take()
        transaction = PostgresTransaction(self, connection, user_id)
        try:
            yield transaction
            await transaction.commit()
        except BaseException:
            landed = await self.shielded(self._abandon(transaction, connection))
            if transaction.committing:
                testify(done=landed)
            raise
        self._pool.give(connection)
        testify(done=transaction.committing)

    async def close(self) -> None:
        """Wait for what is under way, then close every connection."""
        while self._running:
            await asyncio.wait(set(self._running))
        await self._pool.close()

    def command(self, call: PreparedCall) -> Command:
        """Return what to send for a call."""
        prepared = call.prepared
        name = prepared.name if self._prepare else None
        return Command(prepared.sql_bytes, call.arguments, name, wanted=True)

    def scope(self, user_id: str) -> Command:
        """Return what binds a transaction to the runtime role and a user."""
        return self._scoping(b"hansard_scope", _SCOPE, [self._role, user_id])

    def scope_of_writes(self, user_id: str) -> Command:
        """Return what binds a transaction that writes, and bounds how long it may keep its locks."""
        return self._scoping(b"hansard_scope_of_writes", _SCOPE_OF_WRITES, [self._role, user_id, _longest()])

    def _scoping(self, name: bytes, sql: bytes, arguments: Sequence[str]) -> Command:
        return Command(sql + _FOR_KEPT_PLANS, arguments, name) if self._prepare else Command(sql, arguments)

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish what touches a connection although the caller is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await outlast(task)
            raise

    async def _send(self, commands: Sequence[Command], *, writing: bool = False, again: bool = True) -> list[Rows]:
        """Run commands in one trip, and once more where that can do no harm."""
        in_doubt = False
        for _ in range(2):
            try:
                return await self._attempt(commands, writing=writing)
            except ConnectionLost as lost:  # noqa: PERF203 - it runs twice at most
                in_doubt |= writing and lost.sent
                if in_doubt and not again:
                    break
            except DatabaseUnavailable:
                if not in_doubt:
                    raise
                break
        if in_doubt:
            raise OutcomeUnknown(IN_DOUBT)
        raise DatabaseUnavailable("the connection to PostgreSQL was lost twice; nothing was written")

    async def _attempt(self, commands: Sequence[Command], *, writing: bool) -> list[Rows]:
        connection = await self._pool.take()
        try:
            rows = await connection.fly(commands)
        except psycopg.Error as error:
            if error.sqlstate in LOST_STATEMENTS:
                connection.close()
            await self.shielded(self._recover(connection))
            raise translate(error) from None
        except BaseException:
            landed = await self.shielded(self._recover(connection))
            if writing:
                testify(done=landed)
            raise
        self._pool.give(connection)
        if writing:
            testify(done=True)
        return rows

    async def _abandon(self, transaction: PostgresTransaction, connection: Connection) -> bool | None:
        await transaction.quiet()
        return await self._recover(connection)

    async def _recover(self, connection: Connection) -> bool | None:
        """Take a connection back after an error or a cancellation, with nothing left open on it.

        Returns whether its last flight did what it was for, ``None`` when nobody knows.
        """
        landed: bool | None = None
        try:
            await connection.settle()
            landed = connection.landed_well
            if not (connection.idle or connection.closed):
                await connection.fly([_ROLLBACK])
        except (psycopg.Error, ConnectionLost):
            connection.close()
        finally:
            self._pool.give(connection)
        return landed


class PostgresTransaction:
    """Run scripts on one connection, inside one transaction that begins with the first of them."""

    def __init__(self, backend: PostgresBackend, connection: Connection, user_id: str) -> None:
        self.user_id = user_id
        self.over = False
        self.committing = False
        self._backend = backend
        self._connection = connection
        self._turn = asyncio.Lock()
        self._names = count(1)
        self._deadline = asyncio.get_running_loop().time() + TRANSACTION_SECONDS
        bound = Command(_BOUND_IDLENESS, [_longest()])
        self._opening: Sequence[Command] = [_BEGIN, backend.scope_of_writes(user_id), bound]

    async def run(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script under a savepoint of its own, in one trip."""
        name = b"script_%d" % next(self._names)
        commands = [Command(b"SAVEPOINT " + name), *map(self._backend.command, calls), Command(b"RELEASE " + name)]
        async with self._taking_turns():
            try:
                return await self._send(commands)
            except BaseException:
                await self._backend.shielded(self._undo_failed(name))
                raise

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is inside when it raises."""
        name = b"block_%d" % next(self._names)
        async with self._taking_turns():
            await self._send([Command(b"SAVEPOINT " + name)])
        try:
            yield
        except BaseException:
            async with self._turn:
                if not self.over:
                    await self._backend.shielded(self._undo(name))
            raise
        async with self._taking_turns():
            await self._send([Command(b"RELEASE " + name)])

    async def commit(self) -> None:
        """Commit, if anything was sent; raises `OutcomeUnknown` when the connection dies meanwhile."""
        await self.quiet()
        if self._opening:
            return
        if self._connection.failed:
            # PostgreSQL takes a COMMIT here, rolls back, and calls it no error.
            raise DatabaseError("the atomic block went on after PostgreSQL had given it up; it is rolled back")
        self.committing = True
        try:
            await self._fly([_COMMIT])
        except ConnectionLost as lost:
            raise (OutcomeUnknown(IN_DOUBT) if lost.sent else _lost_inside()) from None

    async def quiet(self) -> None:
        """Let what a task of the block has begun come to its end; from here on nothing else begins."""
        self.over = True
        async with self._turn:
            pass

    @asynccontextmanager
    async def _taking_turns(self) -> AsyncIterator[None]:
        async with self._turn:
            if self.over:
                raise block_over()
            yield

    async def _send(self, commands: Sequence[Command]) -> list[Rows]:
        try:
            return await self._fly(commands)
        except ConnectionLost:
            raise _lost_inside() from None

    async def _fly(self, commands: Sequence[Command]) -> list[Rows]:
        if asyncio.get_running_loop().time() > self._deadline:
            raise DatabaseUnavailable(
                f"the atomic block took longer than {TRANSACTION_SECONDS:.0f} s and is rolled back"
            )
        opening, self._opening = self._opening, ()
        try:
            return await self._connection.fly([*opening, *commands])
        except psycopg.Error as error:
            raise translate(error) from None

    async def _undo_failed(self, name: bytes) -> None:
        # A script whose caller was cancelled may have ended well meanwhile: then it is done, and its savepoint gone.
        await self._connection.settle()
        if self._connection.failed:
            await self._undo(name)

    async def _undo(self, name: bytes) -> None:
        # When this fails, the transaction stays failed and cannot be committed.
        with suppress(psycopg.Error, ConnectionLost):
            await self._connection.fly([Command(b"ROLLBACK TO " + name), Command(b"RELEASE " + name)])


async def _connect(conninfo: str) -> Connection:
    opening = asyncio.ensure_future(psycopg.AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None))
    try:
        # `wait_for`, before Python 3.12, forgets that it was cancelled when what it waits for comes at that moment.
        await asyncio.wait({opening}, timeout=CONNECT_SECONDS)
    except asyncio.CancelledError:
        await _leave(opening)
        raise
    if not opening.done():
        await _leave(opening)
        raise DatabaseUnavailable(f"cannot connect to PostgreSQL: no answer within {CONNECT_SECONDS:.0f} s")
    try:
        return Connection(opening.result())
    except (psycopg.Error, OSError) as error:
        reason = " ".join(str(error).split())
        raise DatabaseUnavailable(f"cannot connect to PostgreSQL: {reason}") from None


async def _leave(opening: asyncio.Future[psycopg.AsyncConnection[Any]]) -> None:
    """Let nothing come of an attempt to connect."""
    opening.cancel()
    await outlast(opening)
    if not opening.cancelled() and opening.exception() is None:
        opening.result().pgconn.finish()


def _longest() -> str:
    return f"{TRANSACTION_SECONDS * 1000:.0f}ms"


def _lost_inside() -> DatabaseUnavailable:
    return DatabaseUnavailable("the connection was lost inside an atomic block; nothing was written")
