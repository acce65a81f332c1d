"""Carry the events of one running turn to everybody in this process who follows it.

Nobody has a queue: a reader has a number, and asks for what comes after it. So a reader that is slow costs nothing
and holds nobody up; one that falls behind what is kept here reads on from the database.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Coroutine
from itertools import islice
from typing import Any, Final, NamedTuple

from hansard.agents.protocol import Event
from hansard.models import EventBatch
from hansard.utils.json_text import write_json

# An agent waits while this many events are not stored yet. Nobody can have seen more than that of an answer whose
# process died, so whoever settles it goes on counting behind them and no number ever means two things.
UNSTORED_EVENTS: Final = 256
# The field of a stored event in which an item has the id that its maker gave it.
MAKER_ID: Final = "maker_id"
_UNSTORED_CHARACTERS: Final = 1024 * 1024
_TAIL_CHARACTERS: Final = 256 * 1024


class StreamEvent(NamedTuple):
    """Hold an event as it is sent: its number, its type, its JSON text; ``final`` when nothing follows.

    ``maker_id`` is what the agent called the item that the event is about.
    """

    sequence: int
    type: str
    data: str
    final: bool = False
    maker_id: str | None = None

    @classmethod
    def of(cls, event: Event, *, final: bool = False, maker_id: str | None = None) -> StreamEvent:
        """Return the event as it is sent."""
        return cls(event["sequence_number"], event["type"], write_json(event).decode(), final, maker_id)

    @property
    def stored_data(self) -> str:
        """Return the JSON text that is stored: with what the agent called its item, which clients do not see."""
        if self.maker_id is None:
            return self.data
        return f'{self.data[:-1]},"{MAKER_ID}":{json.dumps(self.maker_id)}}}'


class Channel:
    """Keep a turn's newest events: those that are not stored yet, and a tail of those that are.

    With ``stored`` false all of them are kept, because there is no other place to read them from.
    """

    def __init__(self, *, stored: bool = True) -> None:
        self.closed = False
        self.said = 0
        self.unstored = 0
        self._is_stored = stored
        self._events: deque[StreamEvent] = deque()
        self._kept = 0
        self._stored = -1
        self._change = asyncio.Event()

    @property
    def last(self) -> int:
        """Return the number of the newest event; -1 before the first."""
        return self._events[-1].sequence if self._events else self._stored

    @property
    def full(self) -> bool:
        """Say whether the agent must wait until more is stored."""
        if not self._is_stored:
            return False
        return self.last - self._stored >= UNSTORED_EVENTS or self.unstored >= _UNSTORED_CHARACTERS

    @property
    def waiting(self) -> list[StreamEvent]:
        """Return the events that are not stored yet."""
        return self.since(self._stored) or []

    def publish(self, event: StreamEvent) -> None:
        """Show an event to everybody."""
        self._events.append(event)
        size = len(event.data)
        self._kept += size
        self.said += size
        self.unstored += size
        self.wake()

    def stored(self, last: int) -> None:
        """Note that the events up to this number are stored."""
        self.unstored -= sum(len(event.data) for event in self.waiting if event.sequence <= last)
        self._stored = max(self._stored, last)
        while self._is_stored and self._kept > _TAIL_CHARACTERS and self._events[0].sequence <= self._stored:
            self._kept -= len(self._events.popleft().data)
        self.wake()

    def close(self) -> None:
        """Say that nothing more comes from here."""
        self.closed = True
        self.wake()

    def since(self, after: int) -> list[StreamEvent] | None:
        """Return the events after a number; ``None`` when some of them are not kept any more."""
        first = self._events[0].sequence if self._events else self._stored + 1
        if after + 1 < first:
            return None
        if after >= self.last:
            return []
        # The numbers of one channel have no gap.
        return list(islice(self._events, after + 1 - first, None))

    async def beyond(self, after: int) -> None:
        """Wait until there is an event after this number, or there will be none."""
        while self.last <= after and not self.closed:
            await self.changed()

    def changed(self) -> Coroutine[Any, Any, bool]:
        """Wait until something is published, stored or closed: from now on, also for who begins to wait later.

        `asyncio.wait_for` does, before Python 3.12: it wraps what it is given in a task, and others run first.
        """
        return self._change.wait()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._change.set()
        self._change = asyncio.Event()


def batch_of(events: list[StreamEvent]) -> EventBatch | None:
    """Return the events as one piece to store; ``None`` when there are none."""
    if not events:
        return None
    data = "[" + ",".join(event.stored_data for event in events) + "]"
    return EventBatch(events[0].sequence, events[-1].sequence, data)
