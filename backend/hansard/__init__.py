"""Keep the verbatim record of every conversation that people have with an AI.

::

    async with hansard.open_store("sqlite:///chat.db") as store:
        alice = store.for_user("alice")
        conversation = await alice.conversations.create()
        await alice.items.append(conversation.id, [{"role": "user", "content": "Hello"}])
        newest = await alice.items.last(conversation.id, 50)

What the methods promise is written in `hansard.store.contract`. `run_turn` lets an agent answer, and keeps the answer
whoever leaves; what an agent is, is written in `hansard.agents.protocol`.
"""

from hansard.agents.protocol import Agent, AgentRequest, Outcome, Tool
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
from hansard.services.library import SurvivingTurn, find_turn, run_turn
from hansard.store.contract import KEEP, Page, Removal, Store, UserStore
from hansard.store.opening import open_store

__all__ = [
    "KEEP",
    "Agent",
    "AgentRequest",
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
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Removal",
    "RevisionConflict",
    "SchemaOutdated",
    "Store",
    "SurvivingTurn",
    "TaskCreate",
    "TaskRead",
    "TooLarge",
    "Tool",
    "UnknownUser",
    "UserStore",
    "find_turn",
    "open_store",
    "run_turn",
]
