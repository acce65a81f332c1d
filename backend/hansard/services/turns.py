"""Run turns: the user's items are stored, an agent answers, its items are stored.

Between the two stands no transaction, and none of it depends on the client who asked: a turn that has begun runs
to its end, also when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from hansard.agents.protocol import Agent, Tool
from hansard.errors import Conflict, ConversationLocked, InvalidInput, NotFound, OutcomeUnknown, ShuttingDown
from hansard.models import Answer, ConversationCreate, RequestKey, TurnCreate, TurnRead
from hansard.models.limits import JsonObject, check_metadata
from hansard.services.channel import StreamEvent
from hansard.services.following import Follower, stored_response
from hansard.services.keeper import Pace
from hansard.services.responses import ResponseHead, stored_request
from hansard.services.running import CANCELLED, SHUT_DOWN, Job, RunningTurn
from hansard.services.settlement import Settlement
from hansard.services.watch import Watch
from hansard.store.contract import UserStore
from hansard.utils.clock import Clock, utc_now
from hansard.utils.ids import new_uuid, parse, spell

T = TypeVar("T")

HISTORY_ITEMS: Final = 200
# Between two looks of ours the turn in the way may end and another begin, but not forever.
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """Ask for a turn.

    ``items`` are the user's new ones, in the API's shape. Without a ``conversation_id`` they begin an unlisted
    conversation, or go on where the response ``previous`` ended, or with ``store=False`` begin none at all.
    ``parameters`` are the agent's business and are repeated in the response. With ``wait`` a turn that runs in the
    conversation is waited for, for a while. The same ``key`` asks for the same turn.
    """

    items: Sequence[JsonObject]
    model: str | None = None
    conversation_id: UUID | None = None
    previous: TurnRead | None = None
    store: bool = True
    background: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    wait: bool = False
    key: RequestKey | None = None

    def __post_init__(self) -> None:
        """Check the metadata's limits."""
        check_metadata(self.metadata)

    @property
    def home(self) -> UUID | None:
        """Return the conversation it belongs to; ``None`` where it begins one, or none at all."""
        return self.conversation_id if self.previous is None else self.previous.conversation_id

    @property
    def is_stored(self) -> bool:
        """Say whether anything of the turn is stored: always, where it belongs to a conversation."""
        return self.store or self.home is not None

    @property
    def repeated(self) -> Mapping[str, Any]:
        """Return the parameters as the response repeats them."""
        previous = None if self.previous is None else self.previous.public_id
        return {**self.parameters, "background": self.background, "previous_response_id": previous}


@dataclass(frozen=True, slots=True)
class Turn:
    """Name a turn that has begun; ``running`` is there while it runs in this process."""

    user: UserStore
    id: UUID
    running: RunningTurn | None


class Turns:
    """Run turns for all users.

    ``agents`` maps model names to who answers to them, ``tools_for`` makes the tools of one user, ``prefix_of`` says
    how the ids of an item type begin. An agent is shown the newest ``history_items`` items of the conversation.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        *,
        default_model: str,
        prefix_of: Callable[[str], str],
        tools_for: Callable[[UserStore], Sequence[Tool]] = lambda _: (),
        history_items: int = HISTORY_ITEMS,
        pace: Pace | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._agents = agents
        self._default_model = default_model
        self._prefix_of = prefix_of
        self._tools_for = tools_for
        self._history_items = history_items
        self._pace = pace or Pace()
        self._clock = clock
        self._watch = Watch()
        self._settlement = Settlement(
            prefix_of, lambda user: {tool.name for tool in tools_for(user)}, self._pace.lease_seconds
        )
        self._running: dict[tuple[str, UUID], RunningTurn] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = self._stopping = False

    async def run(self, user: UserStore, request: TurnRequest) -> JsonObject:
        """Return the Response object of a finished turn; its status says whether the agent failed.

        Raises what `begin` raises. Cancelling the caller leaves the turn running.
        """
        return await self.finished(await self.begin(user, request))

    async def begin(self, user: UserStore, request: TurnRequest) -> Turn:
        """Store the user's items and let the agent answer; return as soon as it may.

        Raises `NotFound` for the conversation, `InvalidInput` for the model or the response to go on from, and
        `ConversationLocked`, all before anything is stored. Cancelling the caller does not undo what it began.
        """
        if self._closing:
            raise ShuttingDown("this server is being stopped")
        return await asyncio.shield(self._spawn(self._begin(user, request)))

    async def finished(self, turn: Turn) -> JsonObject:
        """Wait for the end of a turn and return its Response object."""
        if turn.running is not None:
            while not turn.running.channel.closed:
                await turn.running.channel.changed()
            if turn.running.response is not None:
                return turn.running.response
        async with aclosing(self._follower(turn, after=-1).pages()) as pages:
            async for _ in pages:
                pass
        return await self.response(turn.user, turn.id)

    async def follow(self, turn: Turn, *, after: int = -1) -> AsyncGenerator[list[StreamEvent], None]:
        """Return the turn's events after number ``after``, as they come: each once, in order, to the last.

        Raises `NotFound`, and `InvalidInput` when events are asked for that are no longer kept.
        """
        follower = self._follower(turn, after=after)
        return self._tell(turn, follower, await follower.read())

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

    async def find(self, user: UserStore, turn_id: UUID) -> Turn:
        """Return a turn by its id, wherever it runs; raises `NotFound`."""
        running = self._running.get((user.user_id, turn_id))
        if running is None:
            await self._settled(user, turn_id)
        return Turn(user, turn_id, running)

    async def response(self, user: UserStore, turn_id: UUID) -> JsonObject:
        """Return the Response object of a turn as it is now; raises `NotFound`."""
        return await stored_response(user, await self._settled(user, turn_id), self._prefix_of)

    async def cancel(self, user: UserStore, turn_id: UUID) -> JsonObject:
        """Stop a turn, wherever it runs, and return its Response object; what was said so far is kept.

        A turn that has ended stays as it is. A holder that does not stop in time is still in progress when this
        returns. Raises `NotFound`.
        """
        turn = await user.turns.request_cancel(turn_id)
        running = self._running.get((user.user_id, turn_id))
        if running is not None:
            running.stop(CANCELLED)
        if turn.running:
            await self._ended(user, turn, seconds=self._pace.lease_seconds + 1)
        return await self.response(user, turn_id)

    async def delete(self, user: UserStore, turn_id: UUID) -> None:
        """Delete a response, stopped first if it runs; its items stay in the conversation. Raises `NotFound`."""
        await self.cancel(user, turn_id)
        await user.turns.delete(turn_id)

    async def aclose(self, *, grace_seconds: float | None = None) -> None:
        """Begin no more turns, wait for those that run, and stop those that take longer than ``grace_seconds``."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        self._stopping = True
        for running in list(self._running.values()):
            running.stop(SHUT_DOWN)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._watch.close()

    async def settle_active(self, user: UserStore, conversation_id: UUID) -> bool:
        """Settle the conversation's turn if its process is gone; say whether nothing runs there any more."""
        active = await user.turns.find_active(conversation_id)
        if active is not None and active.expired:
            await self._settlement.settle(user, active)
            return True
        return active is None

    async def _begin(self, user: UserStore, request: TurnRequest) -> Turn:
        model = request.model or self._default_model
        agent = self._agents.get(model)
        if agent is None:
            raise InvalidInput(f"The requested model '{model}' does not exist.", param="model", code="model_not_found")
        if not request.is_stored:
            return self._start(self._unstored_job(user, agent, model, request))
        job = await self._stored_job(user, agent, model, request)
        return job if isinstance(job, Turn) else self._start(job)

    def _unstored_job(self, user: UserStore, agent: Agent, model: str, request: TurnRequest) -> Job:
        head = ResponseHead(
            id=new_uuid(),
            model=model,
            created_at=self._clock(),
            conversation_id=None,
            store=False,
            metadata=request.metadata,
            parameters=request.repeated,
        )
        return self._job(user, head, agent, request)

    async def _stored_job(self, user: UserStore, agent: Agent, model: str, request: TurnRequest) -> Job | Turn:
        """Store the beginning; return the turn of an earlier request if this one only repeats it."""
        stored = stored_request(store=request.store, metadata=request.metadata, parameters=request.repeated)
        new = TurnCreate(new_uuid(), model, stored, uuid4(), self._pace.lease_seconds)
        begun = await self._when_free(user, request, _Beginning(user, request, new).once)
        if isinstance(begun, UUID):
            return await self.find(user, begun)
        head = ResponseHead(
            id=begun.id,
            model=model,
            created_at=begun.created_at,
            conversation_id=begun.conversation_id,
            store=request.store,
            metadata=request.metadata,
            parameters=request.repeated,
        )
        return self._job(user, head, agent, request, turn=begun, token=new.lease_token)

    async def _when_free(
        self,
        user: UserStore,
        request: TurnRequest,
        begin: Callable[[], Coroutine[Any, Any, TurnRead | UUID]],
    ) -> TurnRead | UUID:
        """Begin as soon as no other turn is in the way; one whose process is gone is settled."""
        loop = asyncio.get_running_loop()
        deadline, attempts = loop.time() + (self._pace.wait_seconds if request.wait else 0), 0
        while True:
            attempts += 1
            try:
                return await begin()
            except ConversationLocked:
                home = request.home
                if home is None or (attempts >= _ATTEMPTS and loop.time() >= deadline):
                    raise
                active = await user.turns.find_active(home)
                if active is None:
                    continue
                if active.expired:
                    await self._settlement.settle(user, active)
                elif loop.time() >= deadline:
                    raise
                else:
                    await self._ended(user, active, seconds=deadline - loop.time())

    def _job(
        self,
        user: UserStore,
        head: ResponseHead,
        agent: Agent,
        request: TurnRequest,
        *,
        turn: TurnRead | None = None,
        token: UUID | None = None,
    ) -> Job:
        tools = self._tools_for(user)
        return Job(user, head, agent, request.items, tools, self._history_items, turn=turn, token=token)

    def _start(self, job: Job) -> Turn:
        running = RunningTurn(job, prefix_of=self._prefix_of, pace=self._pace, clock=self._clock)
        place = running.user_id, running.id
        self._running[place] = running
        if self._stopping:
            running.stop(SHUT_DOWN)
        task = self._spawn(running.run())
        task.add_done_callback(lambda _: self._running.pop(place, None))
        if job.turn is not None:
            home = job.turn.conversation_id
            self._watch.ring(running.user_id, home)
            task.add_done_callback(lambda _: self._watch.ring(running.user_id, home))
        return Turn(job.user, running.id, running)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _follower(self, turn: Turn, *, after: int) -> Follower:
        return Follower(turn.user, turn.id, turn.running, after=after, settlement=self._settlement, watch=self._watch)

    async def _settled(self, user: UserStore, turn_id: UUID) -> TurnRead:
        turn = await user.turns.get(turn_id)
        if not turn.expired:
            return turn
        await self._settlement.settle(user, turn)
        return await user.turns.get(turn_id)

    async def _ended(self, user: UserStore, turn: TurnRead, *, seconds: float) -> None:
        """Wait until a turn has ended or its process is gone, but not longer than that."""
        running = self._running.get((user.user_id, turn.id))
        if running is not None:
            waiting: Coroutine[Any, Any, Any] = self.finished(Turn(user, turn.id, running))
        else:
            waiting = self._watch.wait(
                user,
                turn.conversation_id,
                lambda activity: activity is None or activity.turn_id != turn.id or activity.expired,
            )
        try:
            await asyncio.wait_for(waiting, seconds)
        except asyncio.TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Begin one turn, however often it is tried."""

    user: UserStore
    request: TurnRequest
    new: TurnCreate

    async def once(self) -> TurnRead | UUID:
        """Return the turn, or the id of the turn that an earlier request with the same key began."""
        if self.request.key is None:
            return await self._begin_surely()
        begun: list[TurnRead] = []

        async def work() -> Answer:
            begun.append(await self._begin())
            return Answer(200, spell("resp", self.new.id))

        answer = await self.user.keys.once(self.request.key, work)
        if not answer.replayed:
            return begun[-1]
        known = parse(answer.text, prefix="resp")
        assert known is not None
        return known.uuid

    async def _begin_surely(self) -> TurnRead:
        try:
            return await self._begin()
        except OutcomeUnknown:
            # A turn that began with nobody to run it would be in the way until its lease runs out.
            try:
                return await self.user.turns.get(self.new.id)
            except NotFound:
                return await self._begin()

    async def _begin(self) -> TurnRead:
        request = self.request
        conversation = ConversationCreate(listed=False) if request.home is None else request.home
        try:
            begun = await self.user.turns.begin(conversation, self.new, request.items, after=request.previous)
        except (ConversationLocked, InvalidInput):
            raise
        except Conflict as error:
            if type(error) is not Conflict:
                raise  # about an id or key
            message = "A newer response has begun in this conversation: continue from that one."
            raise InvalidInput(message, param="previous_response_id", code="previous_response_not_newest") from None
        return begun.turn
