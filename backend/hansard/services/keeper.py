"""Keep a running turn in the database: its events in batches, its lease in time, in the end its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from hansard.agents.protocol import Outcome
from hansard.errors import InvalidInput, NotFound, OutcomeUnknown
from hansard.models import MessageCreate, TurnEnd, TurnRead
from hansard.models.limits import JsonObject
from hansard.services.channel import Channel, StreamEvent, batch_of
from hansard.services.patience import insist
from hansard.services.responses import Ending
from hansard.services.transcript import Transcript
from hansard.store.contract import LeaseState, Turns

T = TypeVar("T")

_RENEWALS_PER_LEASE: Final = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """Say how often a running turn is written.

    Its events, ``batch_seconds`` after the first of a batch or when it has ``batch_bytes``; its lease, which lasts
    ``lease_seconds``, every third of that. While the database is away it is tried again for ``patience_seconds``.
    A turn that waits for another one to end does so for ``wait_seconds``.
    """

    lease_seconds: float = 15.0
    batch_seconds: float = 0.25
    batch_bytes: int = 4096
    patience_seconds: float = 60.0
    wait_seconds: float = 30.0


class Ended(NamedTuple):
    """Hold a turn whose end is stored, how it ended, and its output as clients see it."""

    turn: TurnRead
    ending: Ending
    output: list[JsonObject]


class Keeper:
    """Write one turn for as long as its lease holds.

    ``on_cancel`` is called when somebody, in whatever process, asked for the turn to stop.
    """

    def __init__(
        self, turns: Turns, turn: TurnRead, token: UUID, channel: Channel, *, pace: Pace, on_cancel: Callable[[], None]
    ) -> None:
        self._turns = turns
        self._turn = turn
        self._token = token
        self._channel = channel
        self._pace = pace
        self._on_cancel = on_cancel
        self._finishing = False
        self._renewed = asyncio.get_running_loop().time()

    async def run(self) -> bool:
        """Write until `finish` is called; return whether the lease still holds.

        Raises what the database raised, when it stayed away for too long.
        """
        while await self._due():
            state = await self._write()
            if state is None:
                return False
            if state.cancel_requested:
                self._on_cancel()
        return True

    def finish(self) -> None:
        """Let `run` return once what it is writing is written."""
        self._finishing = True
        self._channel.wake()

    async def end(self, ending: Ending, transcript: Transcript) -> Ended | None:
        """Store the last events, the output and the ending; ``None`` when the lease is lost."""
        events, last = self._channel.waiting, self._channel.last
        return await self._insist(
            lambda: store_end(self._turns, self._turn, self._token, ending, transcript, events=events, last=last)
        )

    async def _due(self) -> bool:
        """Wait until something must be written; false when it is time to finish."""
        loop = asyncio.get_running_loop()
        deadline = self._renewed + self._pace.lease_seconds / _RENEWALS_PER_LEASE
        gathering = False
        while not self._finishing and loop.time() < deadline and self._channel.unstored < self._pace.batch_bytes:
            if self._channel.unstored and not gathering:
                gathering, deadline = True, min(deadline, loop.time() + self._pace.batch_seconds)
            try:
                await asyncio.wait_for(self._channel.changed(), deadline - loop.time())
            except asyncio.TimeoutError:
                break
        return not self._finishing

    async def _write(self) -> LeaseState | None:
        # The same batch at every attempt: one that was stored although its commit was in doubt is then recognised.
        batch = batch_of(self._channel.waiting)
        lease = self._pace.lease_seconds
        self._renewed = asyncio.get_running_loop().time()
        if batch is None:
            return await self._insist(lambda: self._turns.renew(self._turn.id, self._token, lease_seconds=lease))
        state = await self._insist(lambda: self._turns.record(self._turn.id, self._token, batch, lease_seconds=lease))
        if state is not None:
            self._channel.stored(batch.last)
        return state

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        # Nobody else can save what was said.
        return await insist(write, seconds=self._pace.patience_seconds)


async def store_end(
    turns: Turns,
    turn: TurnRead,
    token: UUID,
    ending: Ending,
    transcript: Transcript,
    *,
    events: list[StreamEvent],
    last: int,
) -> Ended | None:
    """Store how a turn ended, its output and its last events; ``None`` when the lease is lost.

    An answer that cannot be stored was not given: then it is a failure, without output, for nobody may see what is
    not there later.
    """
    items = [MessageCreate(item, public_id=public_id) for public_id, item in transcript.output]
    batch = batch_of(events)

    async def write(ending: Ending, items: Sequence[MessageCreate]) -> TurnRead | None:
        end = TurnEnd(ending.status, ending.text, last)
        try:
            return await turns.end(turn, token, end, items, batch=batch)
        except OutcomeUnknown:
            return await _found(turns, turn.id, end)

    try:
        stored, output = await write(ending, items), transcript.view
    except InvalidInput as error:
        ending = Ending.told(Outcome.failed(f"The answer cannot be stored: {error}", usage=ending.usage))
        stored, output = await write(ending, []), []
    return None if stored is None else Ended(stored, ending, output)


async def _found(turns: Turns, turn_id: UUID, end: TurnEnd) -> TurnRead | None:
    """Look whether an end was stored whose commit was in doubt; raises `OutcomeUnknown` when it was not."""
    try:
        turn = await turns.get(turn_id)
    except NotFound:
        return None
    if turn.running:
        raise OutcomeUnknown("the end of the turn was not stored")
    return turn if (turn.result, turn.last_sequence) == (end.result, end.last_sequence) else None
