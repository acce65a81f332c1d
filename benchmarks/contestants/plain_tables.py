"""Use the least that could store a message: a table of one's own, one statement, no isolation, no order of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from benchmarks.contestants.worker import Contestant, Said, serve

CONNECTIONS = 16
TABLES = """
CREATE TABLE IF NOT EXISTS plain_conversations (
    id uuid PRIMARY KEY, user_id text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS plain_list ON plain_conversations (user_id, updated_at);
CREATE TABLE IF NOT EXISTS plain_messages (
    id bigserial, conversation_id uuid, role text NOT NULL, content text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (conversation_id, id));
"""
BEGIN = "INSERT INTO plain_conversations (id, user_id) VALUES ($1, $2)"
APPEND = "INSERT INTO plain_messages (conversation_id, role, content) VALUES ($1, $2, $3)"
APPEND_ALL = (
    "INSERT INTO plain_messages (conversation_id, role, content) SELECT $1, * FROM unnest($2::text[], $3::text[])"
)
LOAD = "SELECT id, role, content, created_at FROM plain_messages WHERE conversation_id = $1 ORDER BY id"
LAST = "SELECT id, role, content, created_at FROM plain_messages WHERE conversation_id = $1 ORDER BY id DESC LIMIT $2"
LIST = "SELECT id, updated_at FROM plain_conversations WHERE user_id = $1 ORDER BY updated_at DESC LIMIT $2"


class Connections:
    """Lend connections that were all opened beforehand.

    Not asyncpg's pool: it resets a connection with a statement, and so a round trip, after every use.
    """

    def __init__(self) -> None:
        self._idle: asyncio.LifoQueue[asyncpg.Connection[Any]] = asyncio.LifoQueue()

    async def open(self, place: str, *, prepare: bool) -> None:
        """Open them all."""
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(await asyncpg.connect(place, statement_cache_size=100 if prepare else 0))

    async def close(self) -> None:
        """End them all."""
        while not self._idle.empty():
            await self._idle.get_nowait().close()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """Lend one."""
        connection = await self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put_nowait(connection)


class PlainTables(Contestant):
    """Call asyncpg, prepared, each statement committed by itself."""

    packages = ("asyncpg",)

    def __init__(self) -> None:
        self._connections = Connections()

    async def open(self, place: str) -> None:
        await self._connections.open(place, prepare=True)
        async with self._connections.lent() as connection:
            await connection.execute(TABLES)

    async def close(self) -> None:
        await self._connections.close()

    async def begin(self, user: str) -> UUID:
        conversation = uuid4()
        async with self._connections.lent() as connection:
            await connection.execute(BEGIN, conversation, user)
        return conversation

    async def append(self, user: str, conversation: UUID, said: Sequence[Said]) -> None:
        async with self._connections.lent() as connection:
            if len(said) == 1:
                await connection.execute(APPEND, conversation, *said[0])
            else:
                await connection.execute(APPEND_ALL, conversation, *map(list, zip(*said, strict=True)))

    async def load(self, user: str, conversation: UUID) -> Sequence[Any]:
        async with self._connections.lent() as connection:
            rows: Sequence[Any] = await connection.fetch(LOAD, conversation)
        return rows

    async def last(self, user: str, conversation: UUID, limit: int) -> Sequence[Any]:
        async with self._connections.lent() as connection:
            rows: Sequence[Any] = await connection.fetch(LAST, conversation, limit)
        return rows[::-1]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        async with self._connections.lent() as connection:
            rows: Sequence[Any] = await connection.fetch(LIST, user, limit)
        return rows

    def text(self, message: Any) -> str:
        return str(message["content"])


if __name__ == "__main__":
    serve(PlainTables())
