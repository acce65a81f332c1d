"""Say why a write changed nothing: the conversation is missing, or it is not what the caller read."""

from __future__ import annotations

from typing import NoReturn
from uuid import UUID

from hansard.database.violations import ConstraintViolation
from hansard.errors import AlreadyExists, NotFound, RevisionConflict
from hansard.models import ConversationRead
from hansard.store.scope import Scope
from hansard.store.statements import conversations
from hansard.utils.ids import spell

PUBLIC_ID_UNIQUE = "uq_messages_user_id_public_id"


def no_conversation(conversation_id: UUID) -> NotFound:
    """Return the error for a conversation that this user does not have."""
    return NotFound("conversation", spell("conv", conversation_id))


def taken(violation: ConstraintViolation) -> AlreadyExists:
    """Return the error for a unique id that something else has."""
    if violation.constraint == PUBLIC_ID_UNIQUE:
        return AlreadyExists("an item with this public_id exists already")
    return AlreadyExists("a conversation with this source and external_id exists already")


async def refuse_revision(scope: Scope, conversation_id: UUID, expected: int) -> NoReturn:
    """Raise what fits, after a write that asked for a revision changed nothing."""
    [rows] = await scope.read([(conversations.GET, {"conversation_id": conversation_id})])
    if not rows:
        raise no_conversation(conversation_id)
    current = ConversationRead._make(rows[0])
    raise RevisionConflict(
        f"conversation {current.public_id} is at revision {current.revision}, not {expected}: read it again"
    )
