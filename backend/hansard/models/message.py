"""Define what a message (any item of a conversation) is: its table, what is needed to append one, what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field

from hansard.errors import CorruptRow, InvalidInput
from hansard.models.base import HansardModel, UtcDateTime
from hansard.models.limits import CLIENT_ID_CODE_POINTS, USER_ID_CODE_POINTS, JsonObject, check_text
from hansard.models.verbatim import KIND_CODE_POINTS, STATUS_CODE_POINTS, ItemColumns, decode_item
from hansard.utils.ids import is_minted, spell

CLIENT_ID_GIVEN = text("client_id IS NOT NULL")
PUBLIC_ID_GIVEN = text("public_id IS NOT NULL")


class Message(HansardModel, table=True):
    """Describe a row of ``messages``: one item, at its place.

    ``content`` is the readable text, ``payload`` the exact item where kind, role, status and content alone
    cannot give it back (see `hansard.models.verbatim`).
    """

    __tablename__ = "messages"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "conversation_id", "position"),
        ForeignKeyConstraint(
            ["user_id", "conversation_id"], ["conversations.user_id", "conversations.id"], ondelete="CASCADE"
        ),
        CheckConstraint("position >= 1", name="position_positive"),
        CheckConstraint("role IN ('user', 'assistant', 'system', 'developer', 'tool')", name="role_known"),
        Index(
            "uq_messages_user_id_conversation_id_client_id",
            "user_id",
            "conversation_id",
            "client_id",
            unique=True,
            sqlite_where=CLIENT_ID_GIVEN,
            postgresql_where=CLIENT_ID_GIVEN,
        ),
        Index(
            "uq_messages_user_id_public_id",
            "user_id",
            "public_id",
            unique=True,
            sqlite_where=PUBLIC_ID_GIVEN,
            postgresql_where=PUBLIC_ID_GIVEN,
        ),
    )

    user_id: str = Field(sa_column=Column(String(USER_ID_CODE_POINTS), nullable=False))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    position: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str = Field(sa_column=Column(String(KIND_CODE_POINTS), nullable=False))
    role: str | None = Field(default=None, sa_column=Column(String(9)))
    status: str | None = Field(default=None, sa_column=Column(String(STATUS_CODE_POINTS)))
    content: str = Field(sa_column=Column(Text, nullable=False))
    payload: str | None = Field(default=None, sa_column=Column(Text))
    client_id: str | None = Field(default=None, sa_column=Column(String(CLIENT_ID_CODE_POINTS)))
    public_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary(24)))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


@dataclass(frozen=True, slots=True)
class MessageCreate:
    """Describe an item to append: any JSON object.

    ``client_id`` makes the append idempotent: the same id with the same item in the same conversation is
    stored once. ``public_id`` (24 bytes of `hansard.utils.ids.mint`) is for items announced before they are
    stored.
    """

    item: Mapping[str, Any]
    client_id: str | None = None
    public_id: bytes | None = None

    def __post_init__(self) -> None:
        """Check the ids; the item itself is checked when it is encoded."""
        if self.client_id is not None:
            check_text(self.client_id, param="client_id", longest=CLIENT_ID_CODE_POINTS, shortest=1)
        if self.public_id is not None and not is_minted(self.public_id):
            raise InvalidInput("public_id must be 24 bytes made by hansard.utils.ids.mint", param="public_id")


class MessageRead(NamedTuple):
    """Hold a stored item; ``position`` orders it in its conversation, ``created_at`` is aware UTC."""

    conversation_id: UUID
    position: int
    kind: str
    role: str | None
    status: str | None
    content: str
    payload: str | None
    client_id: str | None
    public_id: bytes | None
    created_at: datetime

    @property
    def item(self) -> JsonObject:
        """Return the item exactly as it was appended; a fresh object at every call. Raises `CorruptRow`."""
        try:
            return decode_item(ItemColumns(self.kind, self.role, self.status, self.content, self.payload))
        except (TypeError, ValueError, RecursionError):
            conversation = spell("conv", self.conversation_id)
            message = f"item {self.position} of conversation {conversation} cannot be read back: its payload is damaged"
        raise CorruptRow(message)
