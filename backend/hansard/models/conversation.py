"""Define what a conversation is: its table, what is needed to make one, what comes back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
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

from hansard.errors import CorruptRow, InvalidInput
from hansard.models.base import HansardModel, UtcDateTime
from hansard.models.limits import (
    EXTERNAL_ID_CODE_POINTS,
    SOURCE_CODE_POINTS,
    TITLE_CODE_POINTS,
    USER_ID_CODE_POINTS,
    check_metadata,
    check_text,
    check_title,
)
from hansard.utils.ids import spell

TITLE_SOURCES = ("auto", "user", "model")

# Said in the same words by the partial indexes and by the queries: SQLite uses a partial index only then.
EXTERNAL_ID_GIVEN = text("external_id IS NOT NULL")
ACTIVE = text("listed AND archived_at IS NULL")
ARCHIVED = text("listed AND archived_at IS NOT NULL")


class Conversation(HansardModel, table=True):
    """Describe a row of ``conversations``.

    ``next_position`` is where the next item will stand, ``revision`` rises with every change,
    ``last_message_at`` sorts the list (a rename does not move it). ``source`` and ``external_id`` hold the id
    that an agent framework uses for the conversation.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        ForeignKeyConstraint(["user_id"], ["user.id"]),
        CheckConstraint("user_id <> ''", name="user_id_given"),
        CheckConstraint("title_source IN ('auto', 'user', 'model')", name="title_source_known"),
        CheckConstraint("message_count >= 0 AND message_count < next_position", name="message_count_possible"),
        Index(
            "uq_conversations_user_id_source_external_id",
            "user_id",
            "source",
            "external_id",
            unique=True,
            sqlite_where=EXTERNAL_ID_GIVEN,
            postgresql_where=EXTERNAL_ID_GIVEN,
        ),
        Index(
            "ix_conversations_active",
            "user_id",
            "last_message_at",
            "id",
            sqlite_where=ACTIVE,
            postgresql_where=ACTIVE,
        ),
        Index(
            "ix_conversations_archived",
            "user_id",
            "last_message_at",
            "id",
            sqlite_where=ARCHIVED,
            postgresql_where=ARCHIVED,
        ),
    )

    user_id: str = Field(sa_column=Column(String(USER_ID_CODE_POINTS), nullable=False))
    id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    source: str = Field(default="", sa_column=Column(String(SOURCE_CODE_POINTS), nullable=False))
    external_id: str | None = Field(default=None, sa_column=Column(String(EXTERNAL_ID_CODE_POINTS)))
    listed: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
    title: str | None = Field(default=None, sa_column=Column(String(TITLE_CODE_POINTS)))
    title_source: str | None = Field(default=None, sa_column=Column(String(5)))
    metadata_json: str | None = Field(default=None, sa_column=Column("metadata", Text))
    next_position: int = Field(default=1, sa_column=Column(BigInteger, nullable=False))
    message_count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    revision: int = Field(default=1, sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_message_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    archived_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


@dataclass(frozen=True, slots=True)
class ConversationCreate:
    """Describe a conversation to make.

    ``source`` and ``external_id`` go together and are unique per user; ``listed=False`` keeps the
    conversation out of the list. A given ``title`` counts as the user's own. Raises `InvalidInput`.
    """

    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    external_id: str | None = None
    listed: bool = True

    def __post_init__(self) -> None:
        """Check every field against its limit."""
        check_title(self.title)
        object.__setattr__(self, "metadata", check_metadata(self.metadata))
        check_text(self.source, param="source", longest=SOURCE_CODE_POINTS)
        if self.external_id is not None:
            check_text(self.external_id, param="external_id", longest=EXTERNAL_ID_CODE_POINTS, shortest=1)
            if not self.source:
                message = "external_id needs a source that says whose id it is"
                raise InvalidInput(message, param="source", code="missing_required_parameter")


class ConversationRead(NamedTuple):
    """Hold a stored conversation; times are aware UTC."""

    id: UUID
    source: str
    external_id: str | None
    title: str | None
    title_source: str | None
    metadata_json: str | None
    message_count: int
    revision: int
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime
    archived_at: datetime | None

    @property
    def public_id(self) -> str:
        """Return the id as the HTTP API spells it: ``conv_`` and 48 hexadecimal digits."""
        return spell("conv", self.id)

    @property
    def metadata(self) -> dict[str, str]:
        """Return the metadata, exactly as given. Raises `CorruptRow`."""
        try:
            return dict(json.loads(self.metadata_json)) if self.metadata_json else {}
        except (TypeError, ValueError):
            message = f"the metadata of conversation {self.public_id} cannot be read back"
        raise CorruptRow(message)


class ConversationPlace(NamedTuple):
    """Hold the place of a conversation in the list by recent activity, to list on from there."""

    last_message_at: datetime
    id: UUID
