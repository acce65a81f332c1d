"""Keep connections for the next call. Nothing here speaks to an idle database."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from hansard.database.dialects.base import Connections, closed
from hansard.database.dialects.postgres_flight import Connection
from hansard.errors import DatabaseUnavailable

Connect: TypeAlias = Callable[[], Awaitable[Connection]]


class Pool:
    """Lend at most ``size`` connections, made when they are needed.

    The connection used last is lent first, so a quiet service keeps few; whoever waits is served in turn.
    """

    def __init__(self, connect: Connect, *, size: int, wait_seconds: float, idle_seconds: float) -> None:
        self._connect = connect
        self._size = size
        self._wait_seconds = wait_seconds
        self._idle_seconds = idle_seconds
        self._idle: deque[Connection] = deque()
        self._open = 0
        # A waiter is given a connection, or `None`: then there is room to make one.
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._shrinking: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None

    @property
    def lent(self) -> int:
        """Return how many connections somebody has, or is making."""
        return self._open - len(self._idle)

    @property
    def connections(self) -> Connections:
        """Return how many are lent, how many wait, and how many there may be."""
        return Connections(self.lent, len(self._idle), self._size)

    async def take(self) -> Connection:
        """Return a living connection; raises `DatabaseUnavailable` when there is none in time."""
        if self._closing is not None:
            raise closed()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            self._forget(connection)
        if self._open >= self._size:
            lent = await self._wait()
            if lent is not None:
                return lent
        else:
            self._open += 1
        return await self._make()

    def give(self, connection: Connection) -> None:
        """Take a connection back: to be lent again if it can be."""
        if connection.idle and self._closing is None:
            self._pass_on(connection)
        else:
            self._forget(connection)
            self._pass_room_on()

    async def close(self) -> None:
        """End every connection, those that are lent out when they come back."""
        self._closing = asyncio.get_running_loop().create_future()
        if self._shrinking is not None:
            self._shrinking.cancel()
        while self._idle:
            self._forget(self._idle.pop())
        if self._open:
            await self._closing

    async def _make(self) -> Connection:
        """Connect, in the room that is counted already."""
        try:
            return await self._connect()
        except BaseException:
            self._open -= 1
            self._pass_room_on()
            raise

    async def _wait(self) -> Connection | None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting.append(turn)
        patience = loop.call_later(self._wait_seconds, self._refuse, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self._return_unused(turn.result())
            raise
        finally:
            patience.cancel()

    def _refuse(self, turn: asyncio.Future[Connection | None]) -> None:
        if not turn.done():
            message = f"no connection to PostgreSQL was free within {self._wait_seconds:.0f} s; nothing was written"
            turn.set_exception(DatabaseUnavailable(message))

    def _return_unused(self, lent: Connection | None) -> None:
        if lent is not None:
            self.give(lent)
        else:
            self._open -= 1
            self._pass_room_on()

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None

    def _pass_on(self, connection: Connection) -> None:
        turn = self._next_waiter()
        if turn is not None:
            turn.set_result(connection)
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._shrinking is None:
            self._shrinking = loop.call_later(self._idle_seconds, self._shrink)

    def _pass_room_on(self) -> None:
        """Let the next one who waits connect."""
        turn = self._next_waiter()
        if turn is not None:
            self._open += 1
            turn.set_result(None)
        if self._closing is not None and not self._open and not self._closing.done():
            self._closing.set_result(None)

    def _forget(self, connection: Connection) -> None:
        connection.close()
        self._open -= 1

    def _shrink(self) -> None:
        """End connections that nobody has needed for long; a timer, so nothing is asked of the database."""
        loop = asyncio.get_running_loop()
        self._shrinking = None
        while self._idle and self._idle[0].idle_since + self._idle_seconds <= loop.time():
            self._forget(self._idle.popleft())
        if self._idle:
            self._shrinking = loop.call_at(self._idle[0].idle_since + self._idle_seconds, self._shrink)
