"""Promise what the store does; every implementation keeps it, on every database.

What holds for all methods:

* **One user.** A `UserStore` is made for a user and sees only that user's rows. Somebody else's things are
  missing things: `NotFound`, an empty page, ``None``, ``False``.
* **One method, one transaction.** When a method returns, what it wrote is committed and on disk; when it
  raises, nothing of it was written. Inside `UserStore.atomic` methods join the block's transaction instead.
* **Cancellation** leaves a write done or undone, never half done.
* **Bad input** raises `InvalidInput` before anything is written, naming the field and the limit.
* A database that cannot be reached raises `DatabaseUnavailable` (nothing written, call again) or, when a
  commit was under way, `OutcomeUnknown`.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID

from hansard.models.conversation import ConversationCreate, ConversationPlace, ConversationRead
from hansard.models.idempotency import Answer, RequestKey
from hansard.models.message import MessageCreate, MessageRead
from hansard.models.search import SearchFilter, SearchHit, SearchPlace
from hansard.models.task_models import TaskCreate, TaskId, TaskRead
from hansard.models.turn import Activity, EventBatch, TurnCreate, TurnEnd, TurnRead

T = TypeVar("T")
Order: TypeAlias = Literal["asc", "desc"]
TitleSource: TypeAlias = Literal["auto", "user", "model"]
NewItem: TypeAlias = MessageCreate | Mapping[str, Any]
# An item is named by its position or, when it was announced before it had one, by the 24 bytes of its public id.
ItemRef: TypeAlias = int | bytes
# The same without a conversation around it: a conversation and a position, or a public id.
ItemName: TypeAlias = tuple[UUID, int] | bytes


class Keep(Enum):
    """Stand for a field that stays as it is; ``None`` would mean "make it empty"."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True)
class Page(Generic[T]):
    """Hold one page; ``has_more`` says whether anything follows its last element.

    ``unsettled`` is said of items only: the process that ran the conversation's turn is gone, and what it said so far
    is not among the items yet.
    """

    data: list[T]
    has_more: bool
    unsettled: bool = False


class Removal(NamedTuple):
    """Hold the conversation after an item was deleted from it; ``deleted`` is false when it was not there."""

    conversation: ConversationRead
    deleted: bool


class Conversations(Protocol):
    """Keep one user's conversations."""

    async def create(self, new: ConversationCreate | None = None, *, items: Sequence[NewItem] = ()) -> ConversationRead:
        """Store a new conversation, together with its first items.

        Raises `AlreadyExists` when (source, external_id) is taken, and what `Items.append` raises.
        """

    async def ensure(self, new: ConversationCreate) -> ConversationRead:
        """Return the conversation with this (source, external_id), made now if it is missing."""

    async def get(self, conversation_id: UUID) -> ConversationRead:
        """Return a conversation; raises `NotFound`."""

    async def find(self, *, source: str, external_id: str) -> ConversationRead | None:
        """Return the conversation that a framework knows by its own id, or ``None``."""

    async def list(
        self, *, limit: int = 20, after: ConversationPlace | None = None, archived: bool = False
    ) -> Page[ConversationRead]:
        """Return listed conversations, the most recently active first; ``limit`` is 1 to 1000.

        ``after`` is the place of the last one seen. A conversation that becomes active during a walk may be
        missed by that walk but is never returned twice. Statements do not grow with the number of conversations.
        """

    async def update(
        self,
        conversation_id: UUID,
        *,
        title: str | Keep | None = KEEP,
        metadata: Mapping[str, str] | Keep | None = KEEP,
        archived: bool | Keep = KEEP,
        expected_revision: int | None = None,
    ) -> ConversationRead:
        """Change the given fields at once; ``metadata`` replaces the whole map.

        A title set here, also to ``None``, is the user's and is not overwritten by `suggest_title`. Does not
        move the conversation in the list. Raises `NotFound`, `RevisionConflict`.
        """

    async def rename(self, conversation_id: UUID, title: str | None) -> ConversationRead:
        """Set the title (1 to 255 code points) or clear it; raises `NotFound`."""

    async def archive(self, conversation_id: UUID, *, archived: bool = True) -> ConversationRead:
        """Put the conversation out of the list, or back; keeps the first archival's time. Raises `NotFound`."""

    async def suggest_title(self, conversation_id: UUID, title: str, *, source: TitleSource = "auto") -> bool:
        """Set a title unless a better source has: user beats model beats auto. Say whether it was set.

        Compare and set in one statement; a missing conversation counts as not set.
        """

    async def delete(self, conversation_id: UUID) -> bool:
        """Delete a conversation with all its items; say whether it was there."""


class Items(Protocol):
    """Keep the items of one user's conversations, in order."""

    async def append(
        self, conversation_id: UUID, items: Sequence[NewItem], *, expected_revision: int | None = None
    ) -> list[MessageRead]:
        """Store items at the end, all or none, in the order given, and return them with their positions.

        Positions are whole numbers, given by the database, dense under concurrency and never used twice,
        also after a deletion. An untitled conversation takes its title from the first user message.

        Items with a ``client_id`` that are stored already are returned as they are, when all of the batch
        are and none differs; else `IdempotencyConflict` is raised and nothing is written. Raises `NotFound`,
        `RevisionConflict`, `TooLarge` (an item beyond 1 MiB unless configured otherwise).
        """

    async def get(self, conversation_id: UUID, ref: ItemRef) -> MessageRead:
        """Return one item; raises `NotFound`."""

    async def find(self, names: Sequence[ItemName]) -> builtins.list[MessageRead | None]:
        """Return the item that each of the names stands for, in whichever conversation it is, or ``None``."""

    async def list(
        self, conversation_id: UUID, *, limit: int = 20, after: ItemRef | None = None, order: Order = "asc"
    ) -> Page[MessageRead]:
        """Return a page of items by position; ``limit`` is 1 to 1000.

        ``after`` is the last item seen. It may be gone: a position works all the same, and so does a public id for as
        long as there is the turn that made the item; else it raises `NotFound`, as does a missing conversation.
        """

    async def last(self, conversation_id: UUID, limit: int) -> builtins.list[MessageRead]:
        """Return the newest ``limit`` items (0 to 1000000), oldest first; raises `NotFound`."""

    async def replace(
        self, conversation_id: UUID, position: int, item: NewItem, *, expected_revision: int
    ) -> MessageRead:
        """Put another item at a position, for frameworks that rewrite theirs; its ids and time stay.

        Raises `NotFound`, `RevisionConflict`.
        """

    async def delete(self, conversation_id: UUID, ref: ItemRef) -> Removal:
        """Delete one item, if it is there; its position stays unused. Raises `NotFound` for the conversation."""


class Tasks(Protocol):
    """Keep one user's tasks, the rows of the application's own ``task`` table."""

    async def create(self, new: TaskCreate) -> TaskRead:
        """Store a task that is not completed yet."""

    async def get(self, task_id: TaskId) -> TaskRead:
        """Return a task; raises `NotFound`."""

    async def list(
        self, *, limit: int = 100, after: TaskId | None = None, completed: bool | None = None
    ) -> Page[TaskRead]:
        """Return tasks by id, all or only (un)completed ones; ``limit`` is 1 to 1000."""

    async def update(
        self,
        task_id: TaskId,
        *,
        title: str | Keep = KEEP,
        description: str | Keep | None = KEEP,
        completed: bool | Keep = KEEP,
    ) -> TaskRead:
        """Change the given fields; raises `NotFound`."""

    async def delete(self, task_id: TaskId) -> bool:
        """Delete a task; say whether it was there."""


class Keys(Protocol):
    """Keep what one user's idempotency keys stand for: for 24 hours, unless configured otherwise."""

    async def once(self, key: RequestKey, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do the work and keep its answer, or give the answer of the call that did it before.

        ``work`` runs inside `UserStore.atomic`: what it writes and its answer are committed together. When it
        raises, nothing is kept, so the next call does the work. It may run a second time, after a commit that
        was in doubt proved undone; a repeated call never raises `OutcomeUnknown`.

        Of calls at the same time with one key one works and the others wait for its answer; who waits too
        long gets `DatabaseUnavailable`. Raises `IdempotencyConflict` for a key that stands for another request.
        A kept answer outlives what was made: deleting that leaves it.
        """


class Begun(NamedTuple):
    """Hold a turn that has begun, and its input as stored."""

    turn: TurnRead
    items: list[MessageRead]


class Turns(Protocol):
    """Keep one user's turns: who answers, what was streamed, how it ended.

    Whoever begins a turn holds its lease by a token that only they know. A lease that is not renewed runs out, by
    the database's clock; then anybody may take the turn over, and the former holder's writes find nothing to write:
    they return ``None`` and change nothing.
    """

    async def begin(
        self,
        conversation: UUID | ConversationCreate,
        new: TurnCreate,
        items: Sequence[NewItem],
        *,
        after: TurnRead | None = None,
    ) -> Begun:
        """Store the user's items and the turn, together with the conversation if it is new.

        ``after`` is the turn this one continues. Raises `ConversationLocked` while another turn of the
        conversation is in progress, also one whose lease ran out; `Conflict` when a newer turn than ``after`` has
        begun; and what `Items.append` raises.
        """

    async def renew(self, turn_id: UUID, lease_token: UUID, *, lease_seconds: float) -> LeaseState | None:
        """Keep the lease for ``lease_seconds`` from now; ``None`` when it is lost."""

    async def record(
        self, turn_id: UUID, lease_token: UUID, batch: EventBatch, *, lease_seconds: float
    ) -> LeaseState | None:
        """Store events and keep the lease; ``None`` when it is lost and nothing was stored.

        Batches come in their order; one that is stored already is not stored again.
        """

    async def end(
        self,
        turn: TurnRead,
        lease_token: UUID,
        end: TurnEnd,
        items: Sequence[NewItem],
        *,
        batch: EventBatch | None = None,
    ) -> TurnRead | None:
        """Store the output, the last events and how the turn ended; ``None`` when the lease is lost."""

    async def take_over(self, turn_id: UUID, new_token: UUID, *, lease_seconds: float) -> TurnRead | None:
        """Take a turn whose lease ran out; ``None`` when it did not, or ended, or somebody else took it."""

    async def request_cancel(self, turn_id: UUID) -> TurnRead:
        """Ask the turn's holder to stop, if it is in progress; raises `NotFound`."""

    async def get(self, turn_id: UUID) -> TurnRead:
        """Return a turn; raises `NotFound`."""

    async def find_active(self, conversation_id: UUID) -> TurnRead | None:
        """Return the turn in progress, or ``None``."""

    async def find_newest(self, conversation_id: UUID) -> TurnRead | None:
        """Return the turn that began last, or ``None``."""

    async def activity(self, conversation_ids: Sequence[UUID]) -> builtins.list[Activity]:
        """Return what goes on in these conversations, in any order; those that are missing are left out.

        Not part of an atomic block. Many users who ask at the same moment take one trip to the database.
        """

    async def events(
        self, turn_id: UUID, *, after: int = -1, limit: int = 1000
    ) -> tuple[TurnRead, builtins.list[EventBatch]]:
        """Return the turn, and up to ``limit`` batches with events after number ``after``; raises `NotFound`.

        Both are of one snapshot. A batch may begin before ``after``. Batches go some time after they were made.
        """

    async def input_items(
        self, turn_id: UUID, *, limit: int = 20, after: ItemRef | None = None, order: Order = "asc"
    ) -> Page[MessageRead]:
        """Return a page of the items the turn began with; raises `NotFound`."""

    async def output_items(self, turn: TurnRead) -> builtins.list[MessageRead]:
        """Return the items the turn ended with, in order."""

    async def delete(self, turn_id: UUID) -> bool:
        """Delete the turn and its events, not its items; say whether it was there."""


class LeaseState(NamedTuple):
    """Say what the holder of a lease must know."""

    cancel_requested: bool


class Search(Protocol):
    """Search one user's messages."""

    async def messages(
        self,
        query: str,
        *,
        limit: int = 20,
        after: SearchPlace | None = None,
        only: SearchFilter = SearchFilter(),  # noqa: B008 - immutable
    ) -> Page[SearchHit]:
        """Return the messages that a query finds, the best first; ``limit`` is 1 to 1000.

        `hansard.models.search` says what a query means. A message is found as soon as it is stored, by its
        first 200,000 code points, and no longer when it or its conversation is deleted.

        Best is what has the terms most often in its first 4,000 code points, and short texts before long ones;
        among equals the newest. Of more than 2,000 finds the newest 2,000 are ranked and returned:
        ``only.until`` leads on to the older ones. ``after`` is the `SearchHit.place` of the last one seen.
        Raises `InvalidInput` for a query without a word, and `ConfigurationError` where search is off.
        """


class UserStore(Protocol):
    """Keep everything of one user."""

    @property
    def user_id(self) -> str:
        """Return whose store this is."""

    @property
    def max_item_bytes(self) -> int:
        """Return the limit of one item, in bytes of its compact unescaped UTF-8 JSON."""

    @property
    def conversations(self) -> Conversations:
        """Return the user's conversations."""

    @property
    def items(self) -> Items:
        """Return the items of the user's conversations."""

    @property
    def tasks(self) -> Tasks:
        """Return the user's tasks."""

    @property
    def turns(self) -> Turns:
        """Return the user's turns."""

    @property
    def keys(self) -> Keys:
        """Return what the user's idempotency keys stand for."""

    @property
    def search(self) -> Search:
        """Return what searches the user's messages."""

    def atomic(self) -> AbstractAsyncContextManager[None]:
        """Make what is called inside one transaction: committed when the block ends, undone when it raises.

        Blocks nest as savepoints. A block is one user's, holds a database connection (on SQLite the only
        writer), so it must be short: await no model and no network inside. It is ended by force after 30 s.
        """


class Store(Protocol):
    """Keep everybody's conversations, one user at a time."""

    def for_user(self, user_id: str, *, email: str | None = None) -> UserStore:
        """Return the store of one user: 1 to 255 code points, no NUL, no lone surrogate.

        Where users are made on their first write, ``email`` goes into the new row of ``user``.
        """
