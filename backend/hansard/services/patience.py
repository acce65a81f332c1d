"""Try again while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown

T = TypeVar("T")

IN_DOUBT: Final[tuple[type[DatabaseError], ...]] = (DatabaseUnavailable, OutcomeUnknown)
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0


async def insist(
    call: Callable[[], Awaitable[T]], *, seconds: float, on: tuple[type[DatabaseError], ...] = IN_DOUBT
) -> T:
    """Return what the call returns, tried again for as long as the database is away, up to ``seconds``.

    Leave `OutcomeUnknown` out of ``on`` for a call that must not be made twice.
    """
    loop = asyncio.get_running_loop()
    give_up, pause = loop.time() + seconds, _FIRST_PAUSE
    while True:
        try:
            return await call()
        except on:
            if loop.time() + pause > give_up:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
