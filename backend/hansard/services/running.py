"""Run one turn in this process, from the first event to the last, whoever listens.

What an agent says is shown at once and stored a moment later (`hansard.services.keeper.Pace`): who follows a turn
whose process dies may have seen a few words that are in no database. The event that ends a turn is shown only when
the end is stored.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from hansard.agents.grammar import GrammarError, check_event, check_outcome
from hansard.agents.protocol import Agent, AgentRequest, Event, Outcome, Tool
from hansard.errors import DatabaseError, DatabaseUnavailable
from hansard.models import TurnRead
from hansard.models.limits import JsonObject
from hansard.models.turn import OPENING_EVENTS
from hansard.services.channel import Channel, StreamEvent
from hansard.services.history import Budget, window
from hansard.services.keeper import Ended, Keeper, Pace
from hansard.services.patience import insist
from hansard.services.responses import Ending, ResponseHead, final_event, opening_events
from hansard.services.transcript import ItemTooLarge, Transcript
from hansard.store.contract import UserStore
from hansard.utils.clock import Clock

# An agent that was asked to stop and does not is left behind after this.
_STOPPING_SECONDS: Final = 5.0
# An answer beyond this is broken off: everything that was said stays in memory until the end is stored.
_SAID_CHARACTERS: Final = 64 * 1024 * 1024

CANCELLED: Final = Ending("cancelled")
SHUT_DOWN: Final = Ending.interrupted("The server was stopped before the answer was complete.")
NOT_KEPT: Final = Ending.told(Outcome.failed("The answer could not be put together."))
TOO_LONG: Final = Ending.interrupted("The answer became too long.")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Crew:
    """Say who answers, and with which tools of its own."""

    agent: Agent
    tools: Sequence[Tool]

    def own_tools(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the names that mean a tool of ours: a client's tool of the same name stands before it."""
        theirs = [tool.get("name") for tool in parameters.get("tools") or () if isinstance(tool, dict)]
        return [tool.name for tool in self.tools if tool.name not in theirs]


@dataclass(frozen=True, slots=True)
class Job:
    """Hold what a turn is about; ``turn`` and ``token`` are ``None`` when nothing of it is stored."""

    user: UserStore
    head: ResponseHead
    crew: Crew
    items: Sequence[JsonObject]
    history: Budget
    turn: TurnRead | None = None
    token: UUID | None = None


class RunningTurn:
    """Be a turn that runs in this process.

    ``response`` is there once the end is stored; a turn that was lost to another process ends without one.
    """

    def __init__(self, job: Job, *, pace: Pace, clock: Clock) -> None:
        self.job = job
        self.channel = Channel(stored=job.turn is not None)
        self.response: JsonObject | None = None
        # Broken off before it can no longer be stored; nobody stores what belongs to no turn.
        item_limit = sys.maxsize if job.turn is None else job.user.max_item_bytes
        self._transcript = Transcript(self.id, first=OPENING_EVENTS, item_limit=item_limit)
        self._pace = pace
        self._clock = clock
        self._keeper: Keeper | None = None
        if job.turn is not None and job.token is not None:
            self._keeper = Keeper(
                job.user.turns, job.turn, job.token, self.channel, pace=pace, on_cancel=lambda: self.stop(CANCELLED)
            )
        self._stopped: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    @property
    def user_id(self) -> str:
        """Return whose turn it is."""
        return self.job.user.user_id

    @property
    def id(self) -> UUID:
        """Return the response's id."""
        return self.job.head.id

    def stop(self, ending: Ending) -> None:
        """Stop the agent; what it said so far is kept. Later calls change nothing."""
        if not self._stopped.done():
            self._stopped.set_result(ending)

    async def ended(self) -> None:
        """Wait until nothing more comes from here."""
        while not self.channel.closed:
            await self.channel.changed()

    async def run(self) -> None:
        """Let the agent answer, and store what came of it."""
        try:
            for event in opening_events(self.job.head):
                self.channel.publish(event)
            self.channel.stored(OPENING_EVENTS - 1)
            ending = await self._answered()
            if ending is not None:
                await self._end_somehow(ending)
        except DatabaseError as error:
            # The turn keeps what was stored; whoever looks at it next settles it.
            _log.error("turn lost its database", extra=self._described(error))
        finally:
            self.channel.close()

    async def _answered(self) -> Ending | None:
        """Wait for how the agent's answer ends; ``None`` when the turn is no longer ours."""
        speaking = asyncio.create_task(self._speak())
        keeping = asyncio.create_task(self._keeper.run()) if self._keeper else None
        tasks: set[asyncio.Future[Any]] = {speaking, self._stopped, *([keeping] if keeping else [])}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ending = await self._silence(speaking)
            if self._keeper is None or keeping is None:
                return ending
            self._keeper.finish()
            return ending if await keeping else None
        finally:
            for task in (speaking, keeping):
                if task is not None:
                    task.cancel()

    async def _silence(self, speaking: asyncio.Task[Ending]) -> Ending:
        if not speaking.done():
            speaking.cancel()
            await asyncio.wait({speaking}, timeout=_STOPPING_SECONDS)
        if speaking.done() and not speaking.cancelled():
            return speaking.result()
        return self._stopped.result() if self._stopped.done() else SHUT_DOWN

    async def _speak(self) -> Ending:
        """Show what the agent says, and return how it ended, whatever it does."""
        try:
            async with aclosing(await self._ask()) as stream:
                async for said in stream:
                    if isinstance(said, Outcome):
                        check_outcome(said)
                        return Ending.told(said)
                    if not await self._show(said):
                        return TOO_LONG
        except DatabaseError as error:
            _log.error("turn lost its database", extra=self._described(error))
            return Ending.told(Outcome.failed("The database was lost before the answer was complete."))
        except GrammarError as error:
            _log.error("agent does not keep the protocol", extra={**self._described(error), "reason": str(error)})
            return Ending.told(Outcome.failed("The agent failed before its answer was complete."))
        except Exception as error:  # noqa: BLE001 - whatever an agent raises is its failure, and must not be the turn's
            # No traceback: an agent's error may quote the conversation.
            _log.error("agent failed", extra=self._described(error))
            return Ending.told(Outcome.failed("The agent failed before its answer was complete."))
        return Ending.told(Outcome.failed("The agent ended without saying how."))

    async def _ask(self) -> AsyncGenerator[Event | Outcome, None]:
        job = self.job
        history = await self._history()
        tools = [self._patient(tool) for tool in job.crew.tools]
        return job.crew.agent.answer(AgentRequest(job.head.model, history, job.head.sent_parameters, tools))

    def _patient(self, tool: Tool) -> Tool:
        """Return the tool, tried again while the database is away, unless nobody knows what it did."""

        async def call(arguments: JsonObject) -> JsonObject:
            seconds = self._pace.patience_seconds
            return await insist(lambda: tool.call(arguments), seconds=seconds, on=(DatabaseUnavailable,))

        return replace(tool, call=call)

    async def _history(self) -> list[JsonObject]:
        turn, items, budget = self.job.turn, self.job.items, self.job.history
        if turn is None or turn.input_first == 1:
            return list(items)
        newest = await insist(
            lambda: self.job.user.items.last(turn.conversation_id, budget.items + len(items)),
            seconds=self._pace.patience_seconds,
        )
        # What others append meanwhile is not part of this turn.
        past = [read.item for read in newest if read.position < turn.input_first]
        return window(past[-budget.items :], items, tokens=budget.tokens)

    async def _show(self, event: Event) -> bool:
        """Show an event to everybody; false when the answer is too long to go on, or to be shown that far."""
        if self._stopped.done():
            raise asyncio.CancelledError  # an agent that goes on after it was stopped
        check_event(event)
        item = event.get("item") or {}
        try:
            numbered = self._transcript.take(event)
        except ItemTooLarge:
            return False
        self.channel.publish(StreamEvent.of(numbered, maker_id=item.get("id")))
        while self.channel.full:
            await self.channel.changed()
        return self.channel.said <= _SAID_CHARACTERS

    async def _end_somehow(self, ending: Ending) -> None:
        try:
            await self._end(ending)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever mistake of ours it is, it must not lock the conversation
            _log.error("turn cannot be put together", extra=self._described(error))
            self._transcript = Transcript(self.id, first=self.channel.last + 1)
            await self._end(NOT_KEPT)

    async def _end(self, ending: Ending) -> None:
        for event in self._transcript.settle(self.job.crew.own_tools(self.job.head.parameters)):
            self.channel.publish(StreamEvent.of(event))
        if self._keeper is None:
            response = self.job.head.ended(ending, output=self._transcript.view, at=self._clock())
        else:
            ended = await self._keeper.end(ending, self._transcript)
            if ended is None:
                return
            response = _response(self.job.head, ended)
        self.response = response
        self.channel.publish(final_event(response, self.channel.last + 1))

    def _described(self, error: Exception) -> dict[str, str]:
        return {"response_id": self.job.head.public_id, "error": type(error).__name__}


def _response(head: ResponseHead, ended: Ended) -> JsonObject:
    return head.ended(ended.ending, output=ended.output, at=ended.turn.completed_at or ended.turn.created_at)
