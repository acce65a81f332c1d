"""Ways to append an item and to read the newest in one round trip, all with the same guarantees.

Each sets the runtime role and the user for the transaction alone, reserves the position on the conversation's row,
inserts under row-level security, and commits before it answers.
"""

# ruff: noqa: D102 - what the methods do stands in Way

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import Executable

from hansard.database import Database, open_database
from hansard.database.roles import DEFAULT_ROLE
from hansard.database.statement import Call
from hansard.store.sql import SqlStore
from hansard.store.statements import conversations, items

USER = "bench"
CONNECTIONS = 16
NEWEST = 2**63 - 1


class Way(Protocol):
    """Append an item, and read the newest."""

    async def append(self, conversation_id: UUID, text: str) -> int:
        """Append a user's message; return its position."""

    async def last(self, conversation_id: UUID, limit: int) -> int:
        """Read the newest items; return how many there were."""

    async def close(self) -> None:
        """End all connections."""


def _reservation(conversation_id: UUID) -> dict[str, Any]:
    this = {"user_id": USER, "conversation_id": conversation_id}
    return {**this, "count": 1, "auto_title": "x", "expected_revision": None}


def _item(conversation_id: UUID, text: str) -> dict[str, Any]:
    this = {"user_id": USER, "conversation_id": conversation_id, "count": 1, "offset": 0}
    brought = {"kind": "message", "role": "user", "content": text}
    return {**this, **dict.fromkeys(items.BROUGHT), **brought}


def _newest(conversation_id: UUID, limit: int) -> dict[str, Any]:
    return {"user_id": USER, "conversation_id": conversation_id, "after": NEWEST, "limit": limit}


class Flight:
    """Use Hansard's own: libpq's pipeline through psycopg's thin wrapper."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, url: str, *, prepare: bool) -> "Flight":
        return cls(await open_database(url, prepare=prepare))

    async def append(self, conversation_id: UUID, text: str) -> int:
        reserve = Call(conversations.RESERVE, _reservation(conversation_id))
        insert = Call(items.INSERT_ROW, _item(conversation_id, text))
        [[(next_position, _)], _] = await self._database.write(USER, [reserve, insert])
        return int(next_position) - 1

    async def last(self, conversation_id: UUID, limit: int) -> int:
        [rows] = await self._database.read(USER, [Call(items.PAGE["desc"], _newest(conversation_id, limit))])
        return len(rows)

    async def close(self) -> None:
        await self._database.close()


class WholeStore:
    """Use the store as applications do: with checks, encoding and typed results."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._user = SqlStore(database).for_user(USER)

    @classmethod
    async def open(cls, url: str, *, prepare: bool) -> "WholeStore":
        return cls(await open_database(url, prepare=prepare))

    async def append(self, conversation_id: UUID, text: str) -> int:
        [stored] = await self._user.items.append(conversation_id, [{"role": "user", "content": text}])
        return stored.position

    async def last(self, conversation_id: UUID, limit: int) -> int:
        return len(await self._user.items.last(conversation_id, limit))

    async def close(self) -> None:
        await self._database.close()


class Spelled:
    """Hold a statement as text with named parameters, and the values it came with."""

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=PGDialect_psycopg())  # type: ignore[attr-defined,no-untyped-call] # SQLAlchemy
        self.text = str(compiled)
        self._constants: dict[str, Any] = compiled.params

    def values(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters."""
        return {**self._constants, **values}


RESERVE, INSERT, PAGE = map(Spelled, (conversations.RESERVE, items.INSERT_ROW, items.PAGE["desc"]))


class PsycopgPipeline:
    """Use psycopg's own pipeline, with cursors, on psycopg's own pool."""

    SCOPE = "SELECT set_config('role', %s, true), set_config('hansard.user_id', %s, true)"

    def __init__(self, pool: "AsyncConnectionPool[psycopg.AsyncConnection[Any]]") -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, prepare: bool) -> "PsycopgPipeline":
        settings = {"autocommit": True, "prepare_threshold": 0 if prepare else None}
        pool = AsyncConnectionPool(url, kwargs=settings, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False)
        await pool.open(wait=True)
        return cls(pool)

    async def append(self, conversation_id: UUID, text: str) -> int:
        reserve = RESERVE.values(_reservation(conversation_id))
        insert = INSERT.values(_item(conversation_id, text))
        async with self._pool.connection() as connection:
            async with connection.pipeline():
                await connection.execute("BEGIN")
                await connection.execute(self.SCOPE, [DEFAULT_ROLE, USER])
                reserved = await connection.execute(RESERVE.text, reserve)
                await connection.execute(INSERT.text, insert)
                await connection.execute("COMMIT")
            row = await reserved.fetchone()
            assert row is not None
            return int(row[0]) - 1

    async def last(self, conversation_id: UUID, limit: int) -> int:
        async with self._pool.connection() as connection:
            async with connection.pipeline():
                await connection.execute("BEGIN READ ONLY")
                await connection.execute(self.SCOPE, [DEFAULT_ROLE, USER])
                found = await connection.execute(PAGE.text, PAGE.values(_newest(conversation_id, limit)))
                await connection.execute("COMMIT")
            return len(await found.fetchall())

    async def close(self) -> None:
        await self._pool.close()


class Function:
    """Use a PL/pgSQL function through asyncpg: one statement, committed by itself."""

    APPEND = "SELECT bench_append($1, $2, $3, $4)"
    LAST = "SELECT * FROM bench_last($1, $2, $3, $4)"

    def __init__(self, connections: "asyncio.LifoQueue[asyncpg.Connection[Any]]") -> None:
        self._idle = connections

    @classmethod
    async def open(cls, url: str, *, prepare: bool) -> "Function":
        idle: asyncio.LifoQueue[asyncpg.Connection[Any]] = asyncio.LifoQueue()
        for _ in range(CONNECTIONS):
            # Not asyncpg's pool: it resets a connection with a statement, and so a round trip, after every use.
            idle.put_nowait(await asyncpg.connect(url, statement_cache_size=100 if prepare else 0))
        return cls(idle)

    async def append(self, conversation_id: UUID, text: str) -> int:
        async with self._connection() as connection:
            return int(await connection.fetchval(self.APPEND, DEFAULT_ROLE, USER, conversation_id, text))

    async def last(self, conversation_id: UUID, limit: int) -> int:
        async with self._connection() as connection:
            return len(await connection.fetch(self.LAST, DEFAULT_ROLE, USER, conversation_id, limit))

    async def close(self) -> None:
        while not self._idle.empty():
            await self._idle.get_nowait().close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        connection = await self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put_nowait(connection)


FUNCTIONS = """
CREATE FUNCTION bench_append(the_role text, the_user text, conversation uuid, said text) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    following bigint;
    stamp timestamptz;
BEGIN
    PERFORM set_config('role', the_role, true), set_config('hansard.user_id', the_user, true);
    UPDATE conversations SET
        title = CASE WHEN title_source IS NULL THEN 'x' ELSE title END,
        title_source = CASE WHEN title_source IS NULL THEN 'auto' ELSE title_source END,
        next_position = next_position + 1, message_count = message_count + 1, revision = revision + 1,
        updated_at = clock_timestamp(), last_message_at = greatest(last_message_at, clock_timestamp())
    WHERE user_id = the_user AND id = conversation
    RETURNING next_position, last_message_at INTO following, stamp;
    INSERT INTO messages (user_id, conversation_id, position, kind, role, content, created_at)
    VALUES (the_user, conversation, following - 1, 'message', 'user', said, stamp);
    RETURN following - 1;
END $$;

CREATE FUNCTION bench_last(the_role text, the_user text, conversation uuid, most int) RETURNS TABLE (
    item_position bigint, kind varchar, role varchar, status varchar, content text, payload text,
    client_id varchar, public_id bytea, created_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('role', the_role, true), set_config('hansard.user_id', the_user, true);
    RETURN QUERY SELECT position, kind, role, status, content, payload, client_id, public_id, created_at
    FROM messages WHERE user_id = the_user AND conversation_id = conversation ORDER BY position DESC LIMIT most;
END $$;
"""
