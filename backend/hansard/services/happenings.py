"""Say what can happen in a conversation, as a live view tells it, and where in all that somebody is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from uuid import UUID

from hansard.models import ConversationRead, MessageRead
from hansard.services.channel import StreamEvent


class Cursor(NamedTuple):
    """Say how much of a conversation was told: up to which item, change and event of a turn."""

    position: int
    revision: int
    deleted: int
    turn_id: UUID | None = None
    sequence: int = -1

    @property
    def text(self) -> str:
        """Return the cursor as clients hand it back."""
        place = f"{self.position}.{self.revision}.{self.deleted}"
        return place if self.turn_id is None else f"{place}.{self.turn_id.hex}.{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read a cursor back; ``None`` when it cannot be one."""
        place, turn = text.split(".")[:3], text.split(".")[3:]
        numbers = [*place, *turn[1:]]
        if len(place) != 3 or len(turn) not in {0, 2} or not all(map(_is_number, numbers)):  # noqa: PLR2004
            return None
        try:
            turn_id = UUID(turn[0]) if turn else None
        except ValueError:
            return None
        position, revision, deleted, *sequence = map(int, numbers)
        return cls(position, revision, deleted, turn_id, *sequence)


class Changed(NamedTuple):
    """Tell that the conversation was changed."""

    conversation: ConversationRead


class Added(NamedTuple):
    """Tell that an item stands in the conversation."""

    item: MessageRead


class Deleted(NamedTuple):
    """Tell that items were deleted."""

    conversation: ConversationRead


class Said(NamedTuple):
    """Tell an event of a turn."""

    turn_id: UUID
    event: StreamEvent


class Paused(NamedTuple):
    """Tell that the database is not asked any more."""


class Gone(NamedTuple):
    """Tell that the conversation was deleted; nothing follows."""


Happening: TypeAlias = Changed | Added | Deleted | Said | Paused | Gone


class Told(NamedTuple):
    """Hold what happened, and where to go on afterwards."""

    cursor: Cursor
    what: Happening


@dataclass(frozen=True, slots=True)
class Start:
    """Say from where on a view tells: a cursor, or the item at a position (0 for the first), or from now on."""

    cursor: Cursor | None = None
    position: int | None = None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19  # noqa: PLR2004 - the digits of 64 bits
