"""Run turns: the user's items are stored, an agent answers, its items are stored.

Between the two stands no transaction, and none of it depends on the client who asked: a turn that has begun runs
to its end, also when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hansard.agents.protocol import Agent, AgentRequest, Outcome, Tool
from hansard.errors import InvalidInput
from hansard.models import ConversationCreate, MessageCreate
from hansard.models.limits import JsonObject, check_metadata
from hansard.services.history import window
from hansard.services.responses import ResponseHead
from hansard.services.transcript import Transcript
from hansard.store.contract import Store, UserStore
from hansard.utils.clock import Clock, utc_now
from hansard.utils.ids import new_uuid

HISTORY_ITEMS = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """Ask for a turn.

    ``items`` are the user's new ones, in the API's shape. Without a ``conversation_id`` they begin an unlisted
    conversation, or with ``store=False`` none at all. ``parameters`` are the agent's business and are repeated in
    the response.
    """

    items: Sequence[JsonObject]
    model: str | None = None
    conversation_id: UUID | None = None
    store: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the metadata's limits."""
        check_metadata(self.metadata)


@dataclass(frozen=True, slots=True)
class _Turn:
    """Hold a turn that has begun."""

    user: UserStore
    head: ResponseHead
    history: Sequence[JsonObject]
    tools: Sequence[Tool]
    transcript: Transcript


class Turns:
    """Run turns for all users.

    ``agents`` maps model names to who answers to them, ``tools_for`` makes the tools of one user, ``prefix_of`` says
    how the ids of an item type begin. An agent is shown the newest ``history_items`` items of the conversation.
    """

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, Agent],
        *,
        default_model: str,
        prefix_of: Callable[[str], str],
        tools_for: Callable[[UserStore], Sequence[Tool]] = lambda _: (),
        history_items: int = HISTORY_ITEMS,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._agents = agents
        self._default_model = default_model
        self._prefix_of = prefix_of
        self._tools_for = tools_for
        self._history_items = history_items
        self._clock = clock
        self._running: set[asyncio.Task[JsonObject]] = set()

    async def run(self, user_id: str, request: TurnRequest) -> JsonObject:
        """Return the Response object of a finished turn; its status says whether the agent failed.

        Raises `NotFound` for the conversation and `InvalidInput` for the model, both before anything is stored.
        Cancelling the caller leaves the turn running.
        """
        model = request.model or self._default_model
        agent = self._agents.get(model)
        if agent is None:
            raise InvalidInput(f"The requested model '{model}' does not exist.", param="model", code="model_not_found")
        task = asyncio.create_task(self._run(agent, self._store.for_user(user_id), model, request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Wait for the turns that are running."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, agent: Agent, user: UserStore, model: str, request: TurnRequest) -> JsonObject:
        turn = await self._begin(user, model, request)
        outcome = await _answer(agent, turn)
        list(turn.transcript.settle({tool.name for tool in turn.tools}))
        return await self._finish(turn, outcome)

    async def _begin(self, user: UserStore, model: str, request: TurnRequest) -> _Turn:
        """Store the user's items, and read what the agent is shown."""
        conversation_id, history = await self._take_in(user, request)
        head = ResponseHead(
            id=new_uuid(),
            model=model,
            created_at=self._clock(),
            conversation_id=conversation_id,
            store=request.store,
            metadata=request.metadata,
            parameters=request.parameters,
        )
        return _Turn(user, head, history, self._tools_for(user), Transcript(prefix_of=self._prefix_of))

    async def _take_in(self, user: UserStore, request: TurnRequest) -> tuple[UUID | None, list[JsonObject]]:
        if request.conversation_id is None:
            if not request.store:
                return None, list(request.items)
            created = await user.conversations.create(ConversationCreate(listed=False), items=request.items)
            return created.id, list(request.items)
        stored = await user.items.append(request.conversation_id, request.items)
        newest = await user.items.last(request.conversation_id, self._history_items + len(stored))
        # What others append meanwhile is not part of this turn.
        past = [read.item for read in newest if not stored or read.position < stored[0].position]
        return request.conversation_id, window(past[-self._history_items :], request.items)

    async def _finish(self, turn: _Turn, outcome: Outcome) -> JsonObject:
        """Store the agent's items, and return the response."""
        output = turn.transcript.view
        if turn.head.conversation_id is not None:
            items = [MessageCreate(item, public_id=public_id) for public_id, item in turn.transcript.output]
            try:
                await turn.user.items.append(turn.head.conversation_id, items)
            except InvalidInput as error:
                # An answer that cannot be stored was not given: nobody may see what is not there later.
                outcome, output = Outcome.failed(f"The answer cannot be stored: {error}", usage=outcome.usage), []
        return turn.head.ended(outcome, output=output, at=self._clock())


async def _answer(agent: Agent, turn: _Turn) -> Outcome:
    """Let the agent speak, and say how it ended, whatever it does."""
    request = AgentRequest(turn.head.model, turn.history, turn.head.parameters, turn.tools)
    try:
        async with aclosing(agent.answer(request)) as stream:
            async for said in stream:
                if isinstance(said, Outcome):
                    return said
                turn.transcript.take(said)
    except Exception as error:  # noqa: BLE001 - whatever an agent raises is its failure, and must not be the turn's
        # No traceback: an agent's error may quote the conversation.
        _log.error("agent failed", extra={"response_id": turn.head.public_id, "error": type(error).__name__})
        return Outcome.failed("The agent failed before its answer was complete.")
    return Outcome.failed("The agent ended without saying how.")
