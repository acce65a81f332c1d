"""Wait for what goes on although its caller was cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any


async def outlast(*work: asyncio.Future[Any]) -> None:
    """Wait until all of it is done, however often the caller is cancelled meanwhile; raises nothing.

    For who was cancelled once and is to leave with its work done or undone: a second cancellation would end the wait
    in between. Raise the first one again afterwards.
    """
    while pending := [one for one in work if not one.done()]:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending)
