"""Keep the verbatim record of every conversation that people have with an AI.

::

    async with hansard.open_store("sqlite:///chat.db") as store:
        alice = store.for_user("alice")
        conversation = await alice.conversations.create()
        await alice.items.append(conversation.id, [{"role": "user", "content": "Hello"}])
        newest = await alice.items.last(conversation.id, 50)

What the methods promise is written in `hansard.store.contract`.
"""

from hansard.errors import (
    AlreadyExists,
    ConfigurationError,
    Conflict,
    ConversationLocked,
    CorruptRow,
    DatabaseError,
    DatabaseUnavailable,
    HansardError,
    IdempotencyConflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    RevisionConflict,
    SchemaOutdated,
    TooLarge,
    UnknownUser,
)
from hansard.models import (
    ConversationCreate,
    ConversationPlace,
    ConversationRead,
    MessageCreate,
    MessageRead,
    TaskCreate,
    TaskRead,
)
from hansard.store.contract import KEEP, Page, Removal, Store, UserStore
from hansard.store.opening import open_store

__all__ = [
    "KEEP",
    "AlreadyExists",
    "ConfigurationError",
    "Conflict",
    "ConversationCreate",
    "ConversationLocked",
    "ConversationPlace",
    "ConversationRead",
    "CorruptRow",
    "DatabaseError",
    "DatabaseUnavailable",
    "HansardError",
    "IdempotencyConflict",
    "InvalidInput",
    "MessageCreate",
    "MessageRead",
    "NotFound",
    "OutcomeUnknown",
    "Page",
    "Removal",
    "RevisionConflict",
    "SchemaOutdated",
    "Store",
    "TaskCreate",
    "TaskRead",
    "TooLarge",
    "UnknownUser",
    "UserStore",
    "open_store",
]
