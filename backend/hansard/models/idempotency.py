"""Define how a request is remembered, so that sending it again changes nothing: the table, the key, the answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Text,
)
from sqlmodel import Field

from hansard.errors import InvalidInput
from hansard.models.base import HansardModel, UtcDateTime
from hansard.models.limits import USER_ID_CODE_POINTS, check_text

KEY_CHARACTERS = 255
DIGEST_BYTES = 32


class IdempotencyKey(HansardModel, table=True):
    """Describe a row of ``idempotency_keys``.

    ``request`` is a digest of what was asked for; ``status`` and ``answer`` are null only until the transaction
    that does the work commits, so nobody else ever sees them null.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "key"),
        # They are worth nothing without their user, and must not stand in the way of deleting one.
        ForeignKeyConstraint(["user_id"], ["user.id"], ondelete="CASCADE"),
        Index(None, "user_id", "created_at"),
    )

    user_id: str = Field(sa_column=Column(String(USER_ID_CODE_POINTS), nullable=False))
    key: str = Field(sa_column=Column(String(KEY_CHARACTERS), nullable=False))
    request: bytes = Field(sa_column=Column(LargeBinary(DIGEST_BYTES), nullable=False))
    status: int | None = Field(default=None, sa_column=Column(SmallInteger))
    answer: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Name a request: the caller's key, 1 to 255 printable ASCII characters, and 32 bytes that digest the request.

    ``param`` is what an error calls the key. Raises `InvalidInput`.
    """

    key: str
    request: bytes
    param: str = "key"

    def __post_init__(self) -> None:
        """Check the key."""
        check_text(self.key, param=self.param, longest=KEY_CHARACTERS, shortest=1)
        if not (self.key.isascii() and self.key.isprintable()):
            message = f"{self.param} must consist of printable ASCII characters"
            raise InvalidInput(message, param=self.param, code="invalid_characters")
        assert len(self.request) == DIGEST_BYTES


class Answer(NamedTuple):
    """Hold what came of a request: a number and a text of the caller's choice, given back exactly.

    ``replayed`` says that the work was done by an earlier call.
    """

    status: int
    text: str
    replayed: bool = False
