"""Keep the turns that run in this process, to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from hansard.errors import ShuttingDown
from hansard.services.running import SHUT_DOWN, RunningTurn

T = TypeVar("T")


class Roster:
    """Run turns in tasks of their own, which end with this process and with nothing else.

    Nothing is lost between two of them: what begins a turn is a task of this roster as well.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self._running: dict[tuple[str, UUID], RunningTurn] = {}
        self._closing: asyncio.Task[None] | None = None
        self._stopping = False

    def __len__(self) -> int:
        """Return how many turns run now."""
        return len(self._running)

    def find(self, user_id: str, turn_id: UUID) -> RunningTurn | None:
        """Return a turn if it runs here."""
        return self._running.get((user_id, turn_id))

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what begins a turn; cancelling the caller does not undo it. Raises `ShuttingDown`."""
        if self._closing is not None:
            work.close()
            raise ShuttingDown("this server is being stopped")
        return await asyncio.shield(self._spawn(work))

    def start(self, running: RunningTurn) -> asyncio.Task[None]:
        """Let a turn run, and return its task."""
        place = running.user_id, running.id
        self._running[place] = running
        task = self._spawn(running.run())
        task.add_done_callback(lambda _: self._running.pop(place, None))
        if self._stopping:
            running.stop(SHUT_DOWN)
        return task

    async def aclose(self, *, grace_seconds: float | None) -> None:
        """Begin nothing more, wait for what runs, and stop what takes longer than ``grace_seconds``.

        Later calls wait for the first.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(grace_seconds))
        await asyncio.shield(self._closing)

    async def _close(self, grace_seconds: float | None) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._emptied(), grace_seconds)
        self._stopping = True
        for running in list(self._running.values()):
            running.stop(SHUT_DOWN)
        await self._emptied()

    async def _emptied(self) -> None:
        # What is just beginning adds a task in its turn.
        while self.tasks:
            await asyncio.wait(self.tasks)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task
