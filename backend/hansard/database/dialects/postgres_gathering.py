"""Gather reads that many users ask for at the same moment, so that together they take one trip and one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from hansard.database.dialects.postgres_flight import Command
from hansard.database.statement import Rows
from hansard.utils.waiting import outlast

Send: TypeAlias = Callable[[Sequence[Command]], Awaitable[list[Rows]]]

# Whoever else needs a connection does not wait longer than for a page of anything else.
MOST_TOGETHER: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    commands: Sequence[Command]
    rows: asyncio.Future[list[Rows]]


class Gathering:
    """Send together what was asked for in one turn of the event loop, and give to each what is theirs."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[_Read] = []
        self._flying: dict[asyncio.Task[None], Sequence[_Read]] = {}

    async def read(self, commands: Sequence[Command]) -> list[Rows]:
        """Return the rows of each command whose rows are wanted.

        When all are cancelled who asked together, the last of them leaves when nothing of theirs is under way.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._depart)
        read = _Read(commands, loop.create_future())
        self._waiting.append(read)
        try:
            return await read.rows
        except asyncio.CancelledError:
            await outlast(*(flight for flight, reads in self._flying.items() if read in reads and not _wanted(reads)))
            raise

    def _depart(self) -> None:
        waiting, self._waiting = _wanted(self._waiting), []
        if waiting:
            flight = asyncio.create_task(self._fly_all(waiting))
            self._flying[flight] = waiting
            flight.add_done_callback(self._flying.pop)

    async def _fly_all(self, reads: Sequence[_Read]) -> None:
        for first in range(0, len(reads), MOST_TOGETHER):
            await self._fly(_wanted(reads[first : first + MOST_TOGETHER]))

    async def _fly(self, reads: Sequence[_Read]) -> None:
        if not reads:
            return
        try:
            rows = iter(await self._send([command for read in reads for command in read.commands]))
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it, whatever it is
            for read in reads:
                if not read.rows.done():
                    read.rows.set_exception(error)
            return
        for read in reads:
            theirs = list(islice(rows, sum(command.wanted for command in read.commands)))
            if not read.rows.done():
                read.rows.set_result(theirs)


def _wanted(reads: Sequence[_Read]) -> list[_Read]:
    """Return those that somebody waits for."""
    return [read for read in reads if not read.rows.done()]
