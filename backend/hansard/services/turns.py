"""Run turns: the user's items are stored, an agent answers, its items are stored.

Between the two stands no transaction, and none of it depends on the client who asked: a turn that has begun runs
to its end, also when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from hansard.agents.protocol import Agent, Tool
from hansard.errors import ConversationLocked, HansardError, InvalidInput, ShuttingDown
from hansard.models import Activity, RequestKey, TurnCreate, TurnRead
from hansard.models.limits import JsonObject
from hansard.services.beginning import Beginning, TurnRequest, begun_before
from hansard.services.channel import StreamEvent
from hansard.services.following import Follower, stored_response
from hansard.services.history import Budget
from hansard.services.keeper import Pace
from hansard.services.responses import ResponseHead, outcome_of, stored_request
from hansard.services.roster import Roster
from hansard.services.running import CANCELLED, Crew, Job, RunningTurn
from hansard.services.settlement import Settlement
from hansard.services.watch import Watch
from hansard.store.contract import UserStore
from hansard.utils.clock import Clock, utc_now
from hansard.utils.ids import new_uuid

# Between two looks of ours the turn in the way may end and another begin, but not forever.
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """Name a turn that has begun; ``running`` is there while it runs in this process."""

    user: UserStore
    id: UUID
    running: RunningTurn | None


class Turns:
    """Run turns for all users.

    ``agents`` maps model names to who answers to them, ``tools_for`` makes the tools of one user, ``history`` says how
    much of the conversation an agent is shown. ``watch`` is told of every change that a turn makes; tell it of others,
    and who waits for them here need not wait for the database.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        *,
        default_model: str,
        tools_for: Callable[[UserStore], Sequence[Tool]] = lambda _: (),
        history: Budget | None = None,
        pace: Pace | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.watch = Watch()
        self._agents = agents
        self._default_model = default_model
        self._tools_for = tools_for
        self._history = history or Budget()
        self._pace = pace or Pace()
        self._clock = clock
        self._settlement = Settlement(self._pace.lease_seconds)
        self._roster = Roster()

    @property
    def running(self) -> int:
        """Return how many turns run in this process."""
        return len(self._roster)

    async def run(self, user: UserStore, request: TurnRequest) -> JsonObject:
        """Return the Response object of a finished turn; its status says whether the agent failed.

        Raises what `begin` raises. Cancelling the caller leaves the turn running.
        """
        return await self.finished(await self.begin(user, request))

    async def begin(
        self, user: UserStore, request: TurnRequest, *, agent: Agent | None = None, tools: Sequence[Tool] | None = None
    ) -> Turn:
        """Store the user's items and let the agent answer; return as soon as it may.

        Raises `NotFound` for the conversation, `InvalidInput` for the model or the response to go on from,
        `ConversationLocked`, and `IdempotencyConflict`, all before anything is stored. Cancelling the caller does
        not undo what it began. ``agent`` answers in place of the one that the model names, with ``tools``.
        """
        model = request.model or self._default_model
        try:
            answering = agent or self._agent(model)
        except InvalidInput as refusal:
            return await self.repeated(user, request.key, refusal)
        crew = Crew(answering, self._tools_for(user) if tools is None else tools)
        return await self._roster.run(self._begin(user, request, model, crew))

    async def repeated(self, user: UserStore, key: RequestKey | None, refusal: HansardError) -> Turn:
        """Return the turn that an earlier request with this key began, else raise why none can begin now.

        Raises `IdempotencyConflict` for a key that stands for another request, and `NotFound` for a turn deleted since.
        """
        if key is None:
            raise refusal
        return await self.find(user, await begun_before(user, key, refusal))

    async def finished(self, turn: Turn) -> JsonObject:
        """Wait for the end of a turn and return its Response object.

        One that another process runs may be in progress still, when this process is being stopped.
        """
        if turn.running is not None:
            await turn.running.ended()
            if turn.running.response is not None:
                return turn.running.response
        stored = await self._settled(turn.user, turn.id)
        while stored.running:
            try:
                await self._ended(turn.user, stored)
            except ShuttingDown:
                break
            stored = await self._settled(turn.user, turn.id)
        return await stored_response(turn.user, stored)

    async def follow(self, turn: Turn, *, after: int = -1) -> AsyncGenerator[list[StreamEvent], None]:
        """Return the turn's events after number ``after``, as they come: each once, in order, to the last.

        Raises `NotFound`, and `InvalidInput` when events are asked for that are no longer kept.
        """
        follower = self._follower(turn, after=after)
        return self._tell(turn, follower, await follower.read())

    def follower(self, user: UserStore, turn_id: UUID, *, after: int = -1) -> Follower:
        """Return who reads the turn's events after number ``after``, wherever it runs."""
        return self._follower(self._named(user, turn_id), after=after)

    async def find(self, user: UserStore, turn_id: UUID) -> Turn:
        """Return a turn by its id, wherever it runs; raises `NotFound`."""
        turn = self._named(user, turn_id)
        if turn.running is None:
            await self._settled(user, turn_id)
        return turn

    async def response(self, user: UserStore, turn_id: UUID) -> JsonObject:
        """Return the Response object of a turn as it is now; raises `NotFound`."""
        return await stored_response(user, await self._settled(user, turn_id))

    async def last_response(self, user: UserStore, conversation_id: UUID) -> JsonObject | None:
        """Return the conversation's newest response as it is now, without its output; ``None`` where there is none.

        That costs one statement, however long the conversation and the answer are.
        """
        turn = await user.turns.find_newest(conversation_id)
        return None if turn is None else outcome_of(await self._settle(user, turn))

    async def cancel(self, user: UserStore, turn_id: UUID) -> JsonObject:
        """Stop a turn, wherever it runs, and return its Response object; what was said so far is kept.

        A turn that has ended stays as it is. A holder that does not stop in time is still in progress when this
        returns. Raises `NotFound`.
        """
        turn = await user.turns.request_cancel(turn_id)
        running = self._named(user, turn_id).running
        if running is not None:
            running.stop(CANCELLED)
        if turn.running and not turn.expired:
            await self._ended(user, turn, seconds=self._pace.lease_seconds + 1)
        return await self.response(user, turn_id)

    async def delete(self, user: UserStore, turn_id: UUID) -> None:
        """Delete a response, stopped first if it runs; its items stay in the conversation. Raises `NotFound`."""
        await self.cancel(user, turn_id)
        await user.turns.delete(turn_id)

    async def settle(self, user: UserStore, conversation_id: UUID) -> None:
        """Settle the conversation's turn if its process is gone."""
        active = await user.turns.find_active(conversation_id)
        if active is not None and active.expired:
            await self._settlement.settle(user, active)
            self.watch.ring(user.user_id, conversation_id)

    async def aclose(self, *, grace_seconds: float | None = None) -> None:
        """Begin no more turns, wait for those that run, and stop those that take longer than ``grace_seconds``.

        Later calls wait for the first.
        """
        await asyncio.gather(self._roster.aclose(grace_seconds=grace_seconds), self.watch.aclose())

    def _agent(self, model: str) -> Agent:
        agent = self._agents.get(model)
        if agent is None:
            known = ", ".join(f"'{name}'" for name in self._agents)
            message = f"The requested model '{model}' does not exist. Those of this service: {known}."
            raise InvalidInput(message, param="model", code="model_not_found")
        return agent

    async def _begin(self, user: UserStore, request: TurnRequest, model: str, crew: Crew) -> Turn:
        if not request.is_stored:
            head = _head(request, model, new_uuid(), self._clock())
            return self._start(Job(user, head, crew, request.items, self._history))
        stored = stored_request(
            store=request.store,
            metadata=request.metadata,
            parameters=request.repeated,
            own_tools=crew.own_tools(request.parameters),
        )
        new = TurnCreate(new_uuid(), model, stored, uuid4(), self._pace.lease_seconds)
        begun = await self._when_free(user, request, Beginning(user, request, new))
        if isinstance(begun, UUID):
            return await self.find(user, begun)
        head = _head(request, model, begun.id, begun.created_at, begun.conversation_id)
        return self._start(Job(user, head, crew, request.items, self._history, turn=begun, token=new.lease_token))

    async def _when_free(self, user: UserStore, request: TurnRequest, beginning: Beginning) -> TurnRead | UUID:
        """Begin as soon as no other turn is in the way; one whose process is gone is settled."""
        loop = asyncio.get_running_loop()
        deadline, attempts = loop.time() + (self._pace.wait_seconds if request.wait else 0), 0
        while True:
            attempts += 1
            try:
                return await beginning.once()
            except ConversationLocked:
                late = loop.time() >= deadline
                if request.home is None or (late and attempts >= _ATTEMPTS):
                    raise
                active = await user.turns.find_active(request.home)
                if active is None:
                    continue
                if active.expired:
                    await self._settlement.settle(user, active)
                elif late:
                    raise
                else:
                    await self._ended(user, active, seconds=deadline - loop.time())

    def _start(self, job: Job) -> Turn:
        running = RunningTurn(job, pace=self._pace, clock=self._clock)
        task = self._roster.start(running)
        if job.turn is not None:
            home = running.user_id, job.turn.conversation_id
            self.watch.ring(*home)
            task.add_done_callback(lambda _: self.watch.ring(*home))
        return Turn(job.user, running.id, running)

    def _named(self, user: UserStore, turn_id: UUID) -> Turn:
        return Turn(user, turn_id, self._roster.find(user.user_id, turn_id))

    def _follower(self, turn: Turn, *, after: int) -> Follower:
        return Follower(turn.user, turn.id, turn.running, after=after, settlement=self._settlement, watch=self.watch)

    async def _tell(
        self, turn: Turn, follower: Follower, first: list[StreamEvent]
    ) -> AsyncGenerator[list[StreamEvent], None]:
        try:
            if first:
                yield first
            async with aclosing(follower.pages()) as pages:
                async for page in pages:
                    yield page
        finally:
            # Nobody else can ever see an answer that is not stored.
            if turn.running is not None and turn.running.job.turn is None:
                turn.running.stop(CANCELLED)

    async def _settled(self, user: UserStore, turn_id: UUID) -> TurnRead:
        return await self._settle(user, await user.turns.get(turn_id))

    async def _settle(self, user: UserStore, turn: TurnRead) -> TurnRead:
        """Return the turn as it is once nobody's death is in the way."""
        if not turn.expired:
            return turn
        await self._settlement.settle(user, turn)
        self.watch.ring(user.user_id, turn.conversation_id)
        return await user.turns.get(turn.id)

    async def _ended(self, user: UserStore, turn: TurnRead, *, seconds: float | None = None) -> None:
        """Wait until a turn has ended or its process is gone, but not longer than that."""
        running = self._named(user, turn.id).running

        def is_over(now: Activity | None) -> bool:
            return now is None or now.turn_id != turn.id or now.expired

        waiting = running.ended() if running else self.watch.wait(user, turn.conversation_id, is_over)
        try:
            await asyncio.wait_for(waiting, seconds)
        except asyncio.TimeoutError:
            return


def _head(
    request: TurnRequest, model: str, turn_id: UUID, created_at: datetime, conversation_id: UUID | None = None
) -> ResponseHead:
    return ResponseHead(
        id=turn_id,
        model=model,
        created_at=created_at,
        conversation_id=conversation_id,
        store=request.store,
        metadata=request.metadata,
        parameters=request.repeated,
    )
