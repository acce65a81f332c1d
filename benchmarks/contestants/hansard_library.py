"""Use Hansard the way an application does that imports it: `python -m … [prepare] [unsearched]`."""

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import hansard
from benchmarks.contestants.worker import Contestant, Said, serve
from hansard.models.search import SearchMode, SearchSettings
from hansard.store.sql import SqlStore


class Library(Contestant):
    """Call the store."""

    packages = ("hansard", "sqlalchemy", "psycopg")

    def __init__(self, *, prepare: bool, search: SearchMode = "words") -> None:
        self._prepare = prepare
        self._search = SearchSettings(mode=search)
        self._stack = AsyncExitStack()
        self._store: SqlStore

    async def open(self, place: str) -> None:
        opening = hansard.open_store(place, migrate=True, prepare=self._prepare, search=self._search)
        self._store = await self._stack.enter_async_context(opening)

    async def close(self) -> None:
        await self._stack.aclose()

    async def begin(self, user: str) -> UUID:
        return (await self._store.for_user(user).conversations.create()).id

    async def append(self, user: str, conversation: UUID, said: Sequence[Said]) -> None:
        items = [{"role": role, "content": text} for role, text in said]
        await self._store.for_user(user).items.append(conversation, items)

    async def load(self, user: str, conversation: UUID) -> Sequence[Any]:
        return await self._store.for_user(user).items.last(conversation, 1_000_000)

    async def last(self, user: str, conversation: UUID, limit: int) -> Sequence[Any]:
        return await self._store.for_user(user).items.last(conversation, limit)

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        return (await self._store.for_user(user).conversations.list(limit=limit)).data

    def text(self, message: Any) -> str:
        return str(message.content)


if __name__ == "__main__":
    serve(Library(prepare="prepare" in sys.argv, search="off" if "unsearched" in sys.argv else "words"))
