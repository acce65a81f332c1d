"""Offer turns to applications that import Hansard: one call, and the answer survives whoever asked for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from hansard.agents.protocol import Agent, Tool
from hansard.agents.speech import Speaker, Speech
from hansard.errors import NotFound
from hansard.models.limits import JsonObject
from hansard.models.verbatim import message_item
from hansard.services.beginning import TurnRequest
from hansard.services.channel import StreamEvent
from hansard.services.turns import Turn, Turns
from hansard.store.sql import SqlStore
from hansard.utils.ids import parse, spell
from hansard.utils.sse import spell_event

_GRACE_SECONDS: Final = 10.0
_running: WeakKeyDictionary[SqlStore, Turns] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class SurvivingTurn:
    """Be a turn that has begun: it runs to its end, whoever listens and whoever leaves."""

    _turns: Turns
    _turn: Turn

    @property
    def id(self) -> str:
        """Return the id under which `find_turn` finds it, in any process: ``resp_`` and 48 hexadecimal digits."""
        return spell("resp", self._turn.id)

    async def response(self) -> JsonObject:
        """Wait for the end, and return the Response object: its status, its output, its conversation."""
        return await self._turns.finished(self._turn)

    async def events(self, *, after: int = -1) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events after number ``after``, each once, in order, to the last."""
        async with aclosing(await self._turns.follow(self._turn, after=after)) as pages:
            async for page in pages:
                for event in page:
                    yield event

    async def sse(self, *, after: int = -1) -> AsyncGenerator[bytes, None]:
        """Yield the events as server-sent events, for the body of a streaming answer."""
        async with aclosing(self.events(after=after)) as events:
            async for event in events:
                yield spell_event(id_=str(event.sequence), type_=event.type, data=event.data)

    async def cancel(self) -> JsonObject:
        """Stop the agent, wherever it runs; what it said so far is kept."""
        return await self._turns.cancel(self._turn.user, self._turn.id)


async def run_turn(
    store: SqlStore,
    user_id: str,
    agent: Agent | Speech,
    items: str | Sequence[JsonObject],
    *,
    conversation_id: UUID | None = None,
    model: str = "agent",
    tools: Sequence[Tool] = (),
    parameters: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
    wait: bool = False,
) -> SurvivingTurn:
    """Store what the user says, and let the agent answer, in a task that does not depend on the caller.

    ``agent`` is an asynchronous generator function that is given an `AgentRequest` and yields text, or an `Agent`.
    Without a ``conversation_id`` an unlisted conversation begins. When this returns, the user's items are on disk;
    what the agent says is stored as it comes. ``model`` is only a name for the record; ``tools`` go to the agent.

    While another turn runs in the conversation, `ConversationLocked` is raised, or with ``wait`` its end is waited
    for, for up to 30 seconds. Raises `NotFound`. Closing the store waits for its turns, for up to 10 seconds.
    """
    said = [message_item("user", "completed", items)] if isinstance(items, str) else items
    request = TurnRequest(
        said,
        model=model,
        conversation_id=conversation_id,
        parameters=parameters or {},
        metadata=metadata or {},
        wait=wait,
    )
    turns = _turns_of(store)
    answering = agent if hasattr(agent, "answer") else Speaker(agent)
    turn = await turns.begin(store.for_user(user_id), request, agent=answering, tools=tools)
    return SurvivingTurn(turns, turn)


async def find_turn(store: SqlStore, user_id: str, turn_id: str) -> SurvivingTurn:
    """Return a turn of this user by its id, wherever it runs or ran; raises `NotFound`."""
    named = parse(turn_id, prefix="resp")
    if named is None or named.tail:
        raise NotFound("response", turn_id)
    turns = _turns_of(store)
    return SurvivingTurn(turns, await turns.find(store.for_user(user_id), named.uuid))


def _turns_of(store: SqlStore) -> Turns:
    turns = _running.get(store)
    if turns is None:
        turns = _running[store] = Turns({}, default_model="agent")
        store.before_close.append(_closer(turns))
    return turns


def _closer(turns: Turns) -> Callable[[], Any]:
    return lambda: turns.aclose(grace_seconds=_GRACE_SECONDS)
