"""Begin a turn: what is asked for, and the one transaction in which it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hansard.errors import Conflict, ConversationLocked, HansardError, InvalidInput, NotFound, OutcomeUnknown
from hansard.models import Answer, ConversationCreate, RequestKey, TurnCreate, TurnRead
from hansard.models.limits import JsonObject, check_metadata
from hansard.store.contract import UserStore
from hansard.utils.ids import parse, spell


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
class Beginning:
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
        return _named(answer) if answer.replayed else begun[-1]

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


async def begun_before(user: UserStore, key: RequestKey, refusal: HansardError) -> UUID:
    """Return the id of the turn that an earlier request with this key began; raises ``refusal`` if none did.

    An earlier request that is just beginning its turn is waited for.
    """

    async def refuse() -> Answer:
        raise refusal

    return _named(await user.keys.once(key, refuse))


def _named(answer: Answer) -> UUID:
    known = parse(answer.text, prefix="resp")
    assert known is not None
    return known.uuid
