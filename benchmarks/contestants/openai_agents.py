"""Use the sessions of the OpenAI Agents SDK: `python -m … kept | per_request | sqlite`.

`kept`: one object for each conversation, which a process can hold that serves few; `per_request`: made from the URL by
every call, as its documentation shows it, engine and all; `sqlite`: its own SQLite session, kept.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from agents import SQLiteSession
from agents.extensions.memory import SQLAlchemySession
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.contestants.worker import Contestant, Said, serve


def _items(said: Sequence[Said]) -> list[Any]:
    return [{"role": role, "content": text} for role, text in said]


class Kept(Contestant):
    """Keep one engine, and a session object for each conversation."""

    packages: Sequence[str] = ("openai-agents", "sqlalchemy", "asyncpg")

    def __init__(self) -> None:
        self._url = ""
        self._engine: AsyncEngine
        self._sessions: dict[str, Any] = {}

    async def open(self, place: str) -> None:
        self._url = place.replace("postgresql://", "postgresql+asyncpg://")
        self._sessions = {}
        self._engine = create_async_engine(self._url, pool_size=16)
        await SQLAlchemySession("first", engine=self._engine, create_tables=True).get_items(1)

    async def close(self) -> None:
        await self._engine.dispose()

    async def begin(self, user: str) -> str:
        return f"{user}-{uuid4()}"

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        async with self._session(conversation) as session:
            await session.add_items(_items(said))

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        async with self._session(conversation) as session:
            items: Sequence[Any] = await session.get_items()
        return items

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        async with self._session(conversation) as session:
            items: Sequence[Any] = await session.get_items(limit)
        return items

    def text(self, message: Any) -> str:
        return str(message["content"])

    @asynccontextmanager
    async def _session(self, conversation: str) -> AsyncIterator[Any]:
        if conversation not in self._sessions:
            self._sessions[conversation] = SQLAlchemySession(conversation, engine=self._engine)
        yield self._sessions[conversation]


class PerRequest(Kept):
    """Make session and engine for every call, and let go of them after it."""

    @asynccontextmanager
    async def _session(self, conversation: str) -> AsyncIterator[Any]:
        session = SQLAlchemySession.from_url(conversation, url=self._url)
        try:
            yield session
        finally:
            await session.engine.dispose()


class Sqlite(Kept):
    """Keep a SQLite session for each conversation, all on one file."""

    packages = ("openai-agents",)

    async def open(self, place: str) -> None:
        self._url = place.removeprefix("sqlite:///")
        self._sessions = {}

    async def close(self) -> None:
        for session in self._sessions.values():
            session.close()

    @asynccontextmanager
    async def _session(self, conversation: str) -> AsyncIterator[Any]:
        if conversation not in self._sessions:
            self._sessions[conversation] = SQLiteSession(conversation, self._url)
        yield self._sessions[conversation]


WAYS = {"kept": Kept, "per_request": PerRequest, "sqlite": Sqlite}

if __name__ == "__main__":
    serve(WAYS[sys.argv[1]]())
