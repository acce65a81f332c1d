"""Settle turns whose process is gone: keep what they said, and set the conversation free.

Nobody looks for such turns. Whoever comes across one settles it, so a database that nobody uses is left in peace.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from hansard.errors import HansardError
from hansard.models import TurnRead
from hansard.services.channel import UNSTORED_EVENTS, StreamEvent
from hansard.services.keeper import store_end
from hansard.services.responses import Ending, own_tools_of
from hansard.services.transcript import Transcript
from hansard.store.contract import UserStore

_BATCHES: Final = 100
_GONE: Final = "The process that made this answer stopped before it was complete."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Settle what was left behind; who does so has ``lease_seconds`` for it."""

    lease_seconds: float

    async def settle(self, user: UserStore, turn: TurnRead) -> None:
        """End a turn whose lease ran out; does nothing when it is alive, ended or somebody else's to end by now."""
        token = uuid4()
        taken = await user.turns.take_over(turn.id, token, lease_seconds=self.lease_seconds)
        if taken is None:
            return
        # Beyond every number that anybody may have seen of what was said and not stored.
        last = taken.last_sequence + UNSTORED_EVENTS
        transcript, events = await _put_together(user, taken, first=last + 1)
        cancelled = taken.cancel_requested_at is not None
        cut_at = taken.last_sequence
        ending = Ending("cancelled", cut_at=cut_at) if cancelled else Ending.interrupted(_GONE, cut_at=cut_at)
        last = events[-1].sequence if events else last
        await store_end(user.turns, taken, token, ending, transcript, events=events, last=last)


async def _put_together(user: UserStore, turn: TurnRead, *, first: int) -> tuple[Transcript, list[StreamEvent]]:
    """Return what was said, and the events that end it."""
    transcript = Transcript(turn.id, first=first)
    try:
        await _recall(user, turn, transcript)
        return transcript, [StreamEvent.of(event) for event in transcript.settle(own_tools_of(turn))]
    except HansardError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever was stored, it must not lock the conversation for ever
        extra = {"response_id": turn.public_id, "error": type(error).__name__}
        _log.error("lost turn cannot be put together", extra=extra)
        return Transcript(turn.id, first=first), []


async def _recall(user: UserStore, turn: TurnRead, transcript: Transcript) -> None:
    after, more = -1, True
    while more:
        _, batches = await user.turns.events(turn.id, after=after, limit=_BATCHES)
        for batch in batches:
            for event in json.loads(batch.data):
                transcript.recall(event)
            after = batch.last
        more = len(batches) == _BATCHES
