"""Follow a turn from any number on, wherever it runs: from this process' memory, else from the database."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from typing import Final
from uuid import UUID

from hansard.errors import InvalidInput
from hansard.models import Activity, EventBatch, TurnRead
from hansard.models.kinds import prefix_of
from hansard.models.limits import JsonObject
from hansard.services.channel import MAKER_ID, UNSTORED_EVENTS, StreamEvent
from hansard.services.responses import Ending, ResponseHead, final_event, opening_events
from hansard.services.running import RunningTurn
from hansard.services.settlement import Settlement
from hansard.services.transcript import item_view
from hansard.services.watch import Watch
from hansard.store.contract import UserStore

# Batches of a few KiB each: what one reader holds at most, unless single events are larger.
_BATCHES: Final = 20


class Follower:
    """Read the events of one turn after number ``after``: each once, in order, to the last.

    ``running`` is the turn where it runs in this process.
    """

    def __init__(
        self,
        user: UserStore,
        turn_id: UUID,
        running: RunningTurn | None,
        *,
        after: int,
        settlement: Settlement,
        watch: Watch,
    ) -> None:
        self.finished = False
        self.after = after
        self.turn_id = turn_id
        self._user = user
        self._running = running
        self._settlement = settlement
        self._watch = watch
        self._conversation_id: UUID | None = None

    async def pages(self) -> AsyncGenerator[list[StreamEvent], None]:
        """Yield events, as many at once as there are, until the turn has ended."""
        while not self.finished:
            events = await self.read()
            if events:
                yield events
            elif not self.finished:
                await self.wait()

    async def read(self) -> list[StreamEvent]:
        """Return what there is now; raises `NotFound`, and `InvalidInput` when it is no longer kept."""
        events = self._from_memory()
        if events is None:
            events = await self._from_database()
        if events:
            self.after, self.finished = events[-1].sequence, events[-1].final
        return events

    async def wait(self) -> None:
        """Wait until there may be more."""
        if self._running is not None:
            await self._running.channel.beyond(self.after)
        elif self._conversation_id is not None:
            await self._watch.wait(self._user, self._conversation_id, self.is_behind)

    def is_behind(self, activity: Activity | None) -> bool:
        """Say whether there is more to read, by what goes on in the conversation."""
        if activity is None or activity.turn_id != self.turn_id or activity.expired:
            return True
        return activity.last_sequence is not None and activity.last_sequence > self.after

    def _from_memory(self) -> list[StreamEvent] | None:
        if self._running is None:
            return None
        channel = self._running.channel
        events = channel.since(self.after)
        if events or not channel.closed or events is None:
            return events
        if self._running.response is not None:
            self.finished = True
            return []
        # Lost: another process has settled the turn, or will.
        self._running = None
        return None

    async def _from_database(self) -> list[StreamEvent]:
        turn, batches = await self._user.turns.events(self.turn_id, after=self.after, limit=_BATCHES)
        self._conversation_id = turn.conversation_id
        self._refuse_gap(turn, batches)
        events = [event for event in opening_events(ResponseHead.of(turn)) if event.sequence > self.after]
        events += [event for event in _unpack(batches) if event.sequence > self.after]
        if len(batches) == _BATCHES:
            return events
        if turn.running:
            if turn.expired and self._running is None:
                await self._settlement.settle(self._user, turn)
            return events
        final = final_event(await stored_response(self._user, turn), turn.last_sequence + 1)
        self.finished = final.sequence <= self.after
        return events if self.finished else [*events, final]

    def _refuse_gap(self, turn: TurnRead, batches: list[EventBatch]) -> None:
        """Raise when events are missing that were there once, for they are not kept forever."""
        expected = max(self.after, 1) + 1
        cut_at = None if turn.running else Ending.of(turn).cut_at
        if cut_at is not None and self.after >= cut_at:
            expected = max(expected, cut_at + UNSTORED_EVENTS + 1)
        there = batches[0].first if batches else turn.last_sequence + 1
        if there > expected:
            message = "The events of this response are no longer kept. Retrieve it without 'stream'."
            raise InvalidInput(message, param="stream", code="events_expired")


async def stored_response(user: UserStore, turn: TurnRead) -> JsonObject:
    """Return the Response object of a stored turn."""
    head = ResponseHead.of(turn)
    if turn.running:
        return head.running()
    output = [
        item_view(f"{prefix_of(read.kind)}_{read.public_id.hex()}", read.item)
        for read in await user.turns.output_items(turn)
        if read.public_id is not None
    ]
    return head.ended(Ending.of(turn), output=output, at=turn.completed_at or turn.created_at)


def _unpack(batches: list[EventBatch]) -> Iterator[StreamEvent]:
    for batch in batches:
        for event in json.loads(batch.data):
            event.pop(MAKER_ID, None)
            yield StreamEvent.of(event)
