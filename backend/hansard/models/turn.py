"""Define what a turn is: one answer of an agent in a conversation, and the events it is streamed with."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    String,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field

from hansard.models.base import HansardModel, UtcDateTime
from hansard.models.limits import USER_ID_CODE_POINTS, check_text
from hansard.utils.ids import spell

MODEL_CODE_POINTS = 255
TURN_STATUSES = ("in_progress", "completed", "failed", "cancelled", "incomplete")
RUNNING = text("status = 'in_progress'")
# The numbers of the events that every turn begins with (created, in progress). They follow from the turn's row and
# are not stored, as is the one that ends it.
OPENING_EVENTS = 2


class Turn(HansardModel, table=True):
    """Describe a row of ``turns``.

    ``ordinal`` is the conversation's revision at which the turn began, so it orders a conversation's turns
    without a clock. Whoever runs the turn holds ``lease_token`` until ``lease_expires_at`` (the database's clock);
    what it writes is written only while the token is its own. ``request`` and ``result`` are JSON text: what the
    response repeats of its request, and how it ended. Input and output are ranges of positions. ``last_sequence``
    numbers the last event so far, not counting the one that ends the turn.
    """

    __tablename__ = "turns"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        ForeignKeyConstraint(
            ["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"
        ),
        CheckConstraint(
            "status IN ('in_progress', 'completed', 'failed', 'cancelled', 'incomplete')", name="status_known"
        ),
        Index(
            "uq_turns_running",
            "user_id",
            "conversation_id",
            unique=True,
            sqlite_where=RUNNING,
            postgresql_where=RUNNING,
        ),
        Index("ix_turns_ordinal", "user_id", "conversation_id", "ordinal"),
    )

    user_id: str = Field(sa_column=Column(String(USER_ID_CODE_POINTS), nullable=False))
    id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    ordinal: int = Field(sa_column=Column(BigInteger, nullable=False))
    status: str = Field(sa_column=Column(String(11), nullable=False))
    model: str = Field(sa_column=Column(String(MODEL_CODE_POINTS), nullable=False))
    request: str = Field(sa_column=Column(Text, nullable=False))
    result: str | None = Field(default=None, sa_column=Column(Text))
    lease_token: UUID = Field(sa_column=Column(Uuid, nullable=False))
    lease_expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    cancel_requested_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    input_first: int = Field(sa_column=Column(BigInteger, nullable=False))
    input_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    output_first: int | None = Field(default=None, sa_column=Column(BigInteger))
    output_count: int | None = Field(default=None, sa_column=Column(BigInteger))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    completed_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class TurnEvents(HansardModel, table=True):
    """Describe a row of ``turn_events``: a batch of events, kept while a client may resume.

    ``data`` is a JSON array (ASCII text) of the events numbered ``first_sequence`` to ``last_sequence``.
    """

    __tablename__ = "turn_events"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "turn_id", "first_sequence"),
        ForeignKeyConstraint(["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"),
        CheckConstraint("last_sequence >= first_sequence", name="sequence_rises"),
        Index("ix_turn_events_created_at", "user_id", "created_at"),
    )

    user_id: str = Field(sa_column=Column(String(USER_ID_CODE_POINTS), nullable=False))
    turn_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    first_sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    data: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


@dataclass(frozen=True, slots=True)
class TurnCreate:
    """Describe a turn to begin.

    ``request`` is JSON text (ASCII) of what its response will repeat. Whoever knows ``lease_token`` may write the
    turn, for ``lease_seconds`` after each write.
    """

    id: UUID
    model: str
    request: str
    lease_token: UUID
    lease_seconds: float

    def __post_init__(self) -> None:
        """Check the model's name."""
        check_text(self.model, param="model", longest=MODEL_CODE_POINTS, shortest=1)


class TurnRead(NamedTuple):
    """Hold a stored turn; times are aware UTC.

    ``expired`` says that the turn is in progress but nobody has written it for the length of its lease.
    """

    id: UUID
    conversation_id: UUID
    ordinal: int
    status: str
    model: str
    request: str
    result: str | None
    last_sequence: int
    input_first: int
    input_count: int
    output_first: int | None
    output_count: int | None
    created_at: datetime
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    expired: bool

    @property
    def public_id(self) -> str:
        """Return the id as the HTTP API spells it: ``resp_`` and 48 hexadecimal digits."""
        return spell("resp", self.id)

    @property
    def running(self) -> bool:
        """Say whether the turn has not ended."""
        return self.status == "in_progress"


class EventBatch(NamedTuple):
    """Hold events ``first`` to ``last`` of a turn; ``data`` is a JSON array of them, as ASCII text."""

    first: int
    last: int
    data: str


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """Describe how a turn ended: its status, JSON text (ASCII) of usage, error and the like.

    ``last_sequence`` numbers the last event before the one that says so.
    """

    status: str
    result: str
    last_sequence: int


class Activity(NamedTuple):
    """Hold what tells whether something happened in a conversation; the last four are of the turn in progress."""

    conversation_id: UUID
    revision: int
    next_position: int
    message_count: int
    turn_id: UUID | None
    last_sequence: int | None
    cancel_requested_at: datetime | None
    expired: bool

    @property
    def deleted(self) -> int:
        """Return how many of the conversation's items were deleted so far."""
        return self.next_position - 1 - self.message_count
