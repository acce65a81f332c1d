"""Use LangChain's message history on PostgreSQL, on connections that are kept; it has no list and no newest."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import psycopg
from langchain_core.messages import AIMessage, HumanMessage
from langchain_postgres import PostgresChatMessageHistory
from psycopg_pool import AsyncConnectionPool

from benchmarks.contestants.worker import Contestant, Said, serve

TABLE = "chat_history"
KINDS: dict[str, Any] = {"user": HumanMessage, "assistant": AIMessage}


class LangChain(Contestant):
    """Make the history object for every call, on a connection of a pool: it is cheap, and bound to one connection."""

    packages = ("langchain-postgres", "langchain-core", "psycopg")

    def __init__(self) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]

    async def open(self, place: str) -> None:
        self._pool = AsyncConnectionPool(place, min_size=16, max_size=16, open=False)
        await self._pool.open(wait=True)
        async with self._pool.connection() as connection:
            await PostgresChatMessageHistory.acreate_tables(connection, TABLE)

    async def close(self) -> None:
        await self._pool.close()

    async def begin(self, user: str) -> str:
        return str(uuid4())

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        async with self._pool.connection() as connection:
            history = PostgresChatMessageHistory(TABLE, conversation, async_connection=connection)
            await history.aadd_messages([KINDS[role](content=text) for role, text in said])

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        async with self._pool.connection() as connection:
            history = PostgresChatMessageHistory(TABLE, conversation, async_connection=connection)
            messages: Sequence[Any] = await history.aget_messages()
        return messages

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        return (await self.load(user, conversation))[-limit:]  # it knows no other way

    def text(self, message: Any) -> str:
        return str(message.content)


if __name__ == "__main__":
    serve(LangChain())
