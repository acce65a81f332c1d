"""Write SQLite by hand, with an fsync at every commit: `python -m … thread | grouped | aiosqlite`.

`thread`: one thread owns the connection and commits call by call; `grouped`: the same, but whoever waits shares a
commit, and nobody hears of it before it is on disk; `aiosqlite`: the library that most people take, one connection.
None of them isolates anybody.
"""

import asyncio
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import aiosqlite

from benchmarks.contestants.worker import Contestant, Said, serve

PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
TABLES = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, next_position INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS listed ON conversations (user_id, updated_at);
CREATE TABLE IF NOT EXISTS messages (
    conversation_id TEXT NOT NULL, position INTEGER NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,
    created_at TEXT NOT NULL, PRIMARY KEY (conversation_id, position)) WITHOUT ROWID;
"""
NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
BEGIN = f"INSERT INTO conversations (id, user_id, updated_at) VALUES (?, ?, {NOW})"  # noqa: S608 - the clock
RESERVE = (
    f"UPDATE conversations SET next_position = next_position + ?, updated_at = {NOW} WHERE id = ? "  # noqa: S608
    "RETURNING next_position"
)
INSERT = f"INSERT INTO messages VALUES (?, ?, ?, ?, {NOW})"  # noqa: S608
LOAD = "SELECT position, role, content, created_at FROM messages WHERE conversation_id = ? ORDER BY position"
LAST = f"{LOAD} DESC LIMIT ?"
LIST = "SELECT id, updated_at FROM conversations WHERE user_id = ? ORDER BY updated_at DESC LIMIT ?"
Work = Callable[[sqlite3.Connection], Any]


def _append(connection: sqlite3.Connection, conversation: str, said: Sequence[Said]) -> None:
    [(following,)] = connection.execute(RESERVE, (len(said), conversation)).fetchall()
    first = following - len(said)
    rows = [(conversation, first + at, role, text) for at, (role, text) in enumerate(said)]
    connection.executemany(INSERT, rows)


class OneThread(Contestant):
    """Give all work to one thread."""

    group = 1

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread

    async def open(self, place: str) -> None:
        self._thread = threading.Thread(target=self._work, args=(place.removeprefix("sqlite:///"),), daemon=True)
        self._thread.start()

    async def close(self) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    async def begin(self, user: str) -> str:
        conversation = str(uuid4())
        await self._do(lambda connection: connection.execute(BEGIN, (conversation, user)))
        return conversation

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        await self._do(lambda connection: _append(connection, conversation, said))

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        return await self._rows(LOAD, (conversation,))

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        return (await self._rows(LAST, (conversation, limit)))[::-1]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        return await self._rows(LIST, (user, limit))

    def text(self, message: Any) -> str:
        return str(message[2])

    async def _rows(self, query: str, values: Sequence[Any]) -> Sequence[Any]:
        rows: Sequence[Any] = await self._do(lambda connection: connection.execute(query, values).fetchall())
        return rows

    async def _do(self, work: Work) -> Any:
        future = asyncio.get_running_loop().create_future()
        self._waiting.put((work, future))
        return await future

    def _work(self, path: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.executescript(TABLES)
        while (first := self._waiting.get()) is not None:
            group = [first]
            while len(group) < self.group and not self._waiting.empty():
                more = self._waiting.get()
                assert more is not None, "closed with work waiting"
                group.append(more)
            connection.execute("BEGIN IMMEDIATE")
            done = [(future, work(connection)) for work, future in group]
            connection.execute("COMMIT")
            loop = done[0][0].get_loop()
            loop.call_soon_threadsafe(_settle, done)
        connection.close()


class Grouped(OneThread):
    """Let up to so many share a commit."""

    group = 128


def _settle(done: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, outcome in done:
        future.set_result(outcome)


class Aiosqlite(Contestant):
    """Use aiosqlite as its documentation shows it; a lock keeps transactions of one connection apart."""

    packages = ("aiosqlite",)

    def __init__(self) -> None:
        self._connection: Any = None
        self._lock = asyncio.Lock()

    async def open(self, place: str) -> None:
        self._connection = await aiosqlite.connect(place.removeprefix("sqlite:///"))
        for pragma in PRAGMAS:
            await self._connection.execute(pragma)
        await self._connection.executescript(TABLES)

    async def close(self) -> None:
        await self._connection.close()

    async def begin(self, user: str) -> str:
        conversation = str(uuid4())
        async with self._lock:
            await self._connection.execute(BEGIN, (conversation, user))
            await self._connection.commit()
        return conversation

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        async with self._lock:
            [(following,)] = await self._connection.execute_fetchall(RESERVE, (len(said), conversation))
            first = following - len(said)
            rows = [(conversation, first + at, role, text) for at, (role, text) in enumerate(said)]
            await self._connection.executemany(INSERT, rows)
            await self._connection.commit()

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        rows: Sequence[Any] = await self._connection.execute_fetchall(LOAD, (conversation,))
        return rows

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        return list(await self._connection.execute_fetchall(LAST, (conversation, limit)))[::-1]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        rows: Sequence[Any] = await self._connection.execute_fetchall(LIST, (user, limit))
        return rows

    def text(self, message: Any) -> str:
        return str(message[2])


WAYS: dict[str, Callable[[], Contestant]] = {"thread": OneThread, "grouped": Grouped, "aiosqlite": Aiosqlite}

if __name__ == "__main__":
    serve(WAYS[sys.argv[1]]())
