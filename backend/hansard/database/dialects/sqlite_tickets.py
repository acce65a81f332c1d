"""Let tasks wait for a thread that works for many of them, and wake all whose work is done with one call.

A future of the standard library's wakes the event loop for each task by itself, which cost more than what was written.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from hansard.utils.waiting import outlast

T = TypeVar("T")


class Ticket(Generic[T]):
    """Be what one task waits for; make it in the task.

    Who claims it first decides: the thread, and then the work is done, or a task that was cancelled before, and then
    it is not. ``outcome`` is what came of the work, or the exception to raise; ``None`` before anything did.
    """

    def __init__(self) -> None:
        self.outcome: T | Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[None] = self._loop.create_future()
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """Say whether nobody was here before."""
        return self._claimed.acquire(blocking=False)

    async def result(self, *, withdraw: bool = False) -> T:
        """Wait for the outcome; when cancelled, until the work is done or, with ``withdraw``, will not be."""
        try:
            await self._told
        except asyncio.CancelledError:
            if self.outcome is None and not (withdraw and self.claim()):
                self._told = self._loop.create_future()  # the other was cancelled with its task
                await outlast(self._told)
            raise
        if isinstance(self.outcome, Exception):
            raise self.outcome
        assert self.outcome is not None
        return self.outcome

    def _tell(self) -> None:
        if not self._told.done():
            self._told.set_result(None)


def tell(tickets: Sequence[Ticket[Any]]) -> None:
    """Let the tasks go on that wait for these; called by the thread once their outcomes are set."""
    waiting: dict[asyncio.AbstractEventLoop, list[Ticket[Any]]] = {}
    for ticket in tickets:
        waiting.setdefault(ticket._loop, []).append(ticket)  # noqa: SLF001 - the same family
    for loop, theirs in waiting.items():
        # A loop that was closed has no tasks that wait.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell_all, theirs)


def _tell_all(tickets: Sequence[Ticket[Any]]) -> None:
    for ticket in tickets:
        ticket._tell()  # noqa: SLF001 - the same family
