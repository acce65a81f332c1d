"""Define what is stored: tables, the values that make rows, the values that come back."""

from hansard.models.base import metadata
from hansard.models.conversation import Conversation, ConversationCreate, ConversationPlace, ConversationRead
from hansard.models.idempotency import Answer, IdempotencyKey, RequestKey
from hansard.models.message import Message, MessageCreate, MessageRead
from hansard.models.task_models import Task, TaskCreate, TaskRead, User
from hansard.models.turn import Activity, EventBatch, Turn, TurnCreate, TurnEnd, TurnEvents, TurnRead

__all__ = [
    "Activity",
    "Answer",
    "Conversation",
    "ConversationCreate",
    "ConversationPlace",
    "ConversationRead",
    "EventBatch",
    "IdempotencyKey",
    "Message",
    "MessageCreate",
    "MessageRead",
    "RequestKey",
    "Task",
    "TaskCreate",
    "TaskRead",
    "Turn",
    "TurnCreate",
    "TurnEnd",
    "TurnEvents",
    "TurnRead",
    "User",
    "metadata",
]
