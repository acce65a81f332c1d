"""List every call of the contract once, for tests that must try them all.

Adding a method to the contract without a call here fails `test_every_method_is_called`.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, get_type_hints
from uuid import UUID, uuid4

from hansard.models.conversation import ConversationCreate
from hansard.models.idempotency import Answer, RequestKey
from hansard.models.message import MessageCreate
from hansard.models.search import SearchFilter
from hansard.models.task_models import TaskCreate, TaskId
from hansard.models.turn import EventBatch, TurnCreate, TurnEnd, TurnRead
from hansard.store import contract
from hansard.store.contract import UserStore
from hansard.utils.ids import mint, new_uuid
from tests.support.store_steps import numbered, says

TITLE = "Taken over"
ENDED = TurnEnd("completed", "{}", last_sequence=1)


class Things(NamedTuple):
    """Hold the names of what a user has: a conversation, one with an ended and a running turn, one abandoned."""

    conversation_id: UUID
    public_id: bytes
    external_id: str
    revision: int
    task_id: TaskId
    ended: TurnRead
    running: TurnRead
    abandoned: TurnRead
    lease_token: UUID


class StoreCall(NamedTuple):
    """Hold one call of the contract; ``writes`` when it may change something."""

    method: str
    label: str
    call: Callable[[UserStore, Things], Awaitable[object]]
    writes: bool


async def prepare(user: UserStore) -> Things:
    """Give a user one of everything: a conversation of four items, found by every kind of id, turns and a task."""
    external_id = f"thread-{mint().hex()}"
    public_id = mint()
    announced = MessageCreate(numbered(1)[0], client_id="known", public_id=public_id)
    new = ConversationCreate(source="agents", external_id=external_id)
    made = await user.conversations.create(new, items=[announced, *numbered(3, first=2)])
    task = await user.tasks.create(TaskCreate("Buy milk"))
    token = uuid4()
    begun = await user.turns.begin(ConversationCreate(), a_turn(token), says("Hi"))
    ended = await user.turns.end(begun.turn, token, ENDED, says("Hello"))
    assert ended is not None
    running = await user.turns.begin(ended.conversation_id, a_turn(token), says("Go on"))
    abandoned = await user.turns.begin(ConversationCreate(), a_turn(token, lease_seconds=0), says("Hi"))
    turns = (ended, running.turn, abandoned.turn)
    return Things(made.id, public_id, external_id, made.revision, task.id, *turns, token)


async def remove(user: UserStore, things: Things) -> None:
    """Take everything away again."""
    for conversation_id in (
        things.conversation_id,
        things.running.conversation_id,
        things.abandoned.conversation_id,
    ):
        assert await user.conversations.delete(conversation_id)
    assert await user.tasks.delete(things.task_id)


def a_turn(token: UUID, *, lease_seconds: float = 3600) -> TurnCreate:
    """Return a turn to begin."""
    return TurnCreate(new_uuid(), "offline", "{}", token, lease_seconds)


async def _buy_bread(user: UserStore) -> Answer:
    await user.tasks.create(TaskCreate("Buy bread"))
    return Answer(200, "bought")


def _read(method: str, call: Callable[[UserStore, Things], Awaitable[object]], label: str = "") -> StoreCall:
    return StoreCall(method, f"{method} {label}".strip(), call, writes=False)


def _write(method: str, call: Callable[[UserStore, Things], Awaitable[object]], label: str = "") -> StoreCall:
    return StoreCall(method, f"{method} {label}".strip(), call, writes=True)


# What names something of `Things`: for somebody else, and for whoever deleted it, all of it is missing.
NAMING_CALLS = [
    _read("conversations.get", lambda user, it: user.conversations.get(it.conversation_id)),
    _read("conversations.find", lambda user, it: user.conversations.find(source="agents", external_id=it.external_id)),
    _write("conversations.update", lambda user, it: user.conversations.update(it.conversation_id, title=TITLE)),
    _write(
        "conversations.update",
        lambda user, it: user.conversations.update(it.conversation_id, title=TITLE, expected_revision=it.revision),
        "at a revision",
    ),
    _write("conversations.rename", lambda user, it: user.conversations.rename(it.conversation_id, TITLE)),
    _write("conversations.archive", lambda user, it: user.conversations.archive(it.conversation_id)),
    _write("conversations.suggest_title", lambda user, it: user.conversations.suggest_title(it.conversation_id, TITLE)),
    _write("items.append", lambda user, it: user.items.append(it.conversation_id, says("Hi"))),
    _write(
        "items.append",
        lambda user, it: user.items.append(it.conversation_id, says("Hi"), expected_revision=it.revision),
        "at a revision",
    ),
    _write(
        "items.append",
        lambda user, it: user.items.append(it.conversation_id, [MessageCreate(says("Hi")[0], client_id="new")]),
        "with a client id",
    ),
    _read("items.append", lambda user, it: user.items.append(it.conversation_id, []), "nothing"),
    _read(
        "items.append",
        lambda user, it: user.items.append(
            it.conversation_id, [MessageCreate(numbered(1)[0], client_id="known", public_id=it.public_id)]
        ),
        "what is stored",
    ),
    _read("items.get", lambda user, it: user.items.get(it.conversation_id, 2)),
    _read("items.get", lambda user, it: user.items.get(it.conversation_id, it.public_id), "by public id"),
    _read("items.find", lambda user, it: user.items.find([(it.conversation_id, 2), it.public_id])),
    _read("items.list", lambda user, it: user.items.list(it.conversation_id)),
    _read(
        "items.list", lambda user, it: user.items.list(it.conversation_id, order="desc", after=3), "after a position"
    ),
    _read("items.list", lambda user, it: user.items.list(it.conversation_id, after=it.public_id), "after a public id"),
    _read("items.last", lambda user, it: user.items.last(it.conversation_id, 2)),
    _write(
        "items.replace",
        lambda user, it: user.items.replace(it.conversation_id, 2, says("Hi")[0], expected_revision=it.revision),
    ),
    _write("items.delete", lambda user, it: user.items.delete(it.conversation_id, 2)),
    _write("items.delete", lambda user, it: user.items.delete(it.conversation_id, it.public_id), "by public id"),
    _write("turns.begin", lambda user, it: user.turns.begin(it.conversation_id, a_turn(it.lease_token), says("Hi"))),
    # What it changes, the time of the lease, nobody sees.
    _read("turns.renew", lambda user, it: user.turns.renew(it.running.id, it.lease_token, lease_seconds=3600)),
    _write(
        "turns.record",
        lambda user, it: user.turns.record(it.running.id, it.lease_token, EventBatch(2, 2, "[1]"), lease_seconds=3600),
    ),
    _write("turns.end", lambda user, it: user.turns.end(it.running, it.lease_token, ENDED, says("Done"))),
    _write("turns.take_over", lambda user, it: user.turns.take_over(it.abandoned.id, uuid4(), lease_seconds=3600)),
    _write("turns.request_cancel", lambda user, it: user.turns.request_cancel(it.running.id)),
    _read("turns.get", lambda user, it: user.turns.get(it.running.id)),
    _read("turns.find_active", lambda user, it: user.turns.find_active(it.running.conversation_id)),
    _read("turns.find_newest", lambda user, it: user.turns.find_newest(it.running.conversation_id)),
    _read("turns.activity", lambda user, it: user.turns.activity([it.running.conversation_id])),
    _read("turns.events", lambda user, it: user.turns.events(it.ended.id)),
    _read("turns.input_items", lambda user, it: user.turns.input_items(it.ended.id)),
    _read("turns.output_items", lambda user, it: user.turns.output_items(it.ended)),
    _write("turns.delete", lambda user, it: user.turns.delete(it.running.id)),
    _read(
        "search.messages",
        lambda user, it: user.search.messages("Hello", only=SearchFilter(conversation_id=it.ended.conversation_id)),
        "in a conversation",
    ),
    _read("tasks.get", lambda user, it: user.tasks.get(it.task_id)),
    _write("tasks.update", lambda user, it: user.tasks.update(it.task_id, title=TITLE, completed=True)),
    # The two that take everything away come last.
    _write("tasks.delete", lambda user, it: user.tasks.delete(it.task_id)),
    _write("conversations.delete", lambda user, it: user.conversations.delete(it.conversation_id)),
]

# What names nothing: everybody has their own.
FREE_CALLS = [
    _write("conversations.create", lambda user, _: user.conversations.create(items=says("Hi"))),
    _write(
        "conversations.create",
        lambda user, _: user.conversations.create(ConversationCreate(source="agents", external_id="another thread")),
        "with an external id",
    ),
    _write(
        "conversations.ensure",
        lambda user, it: user.conversations.ensure(ConversationCreate(source="graphs", external_id=it.external_id)),
    ),
    _write(
        "turns.begin",
        lambda user, it: user.turns.begin(ConversationCreate(), a_turn(it.lease_token), says("Hi")),
        "anew",
    ),
    _write("keys.once", lambda user, _: user.keys.once(RequestKey("key", bytes(32)), lambda: _buy_bread(user))),
    _read("search.messages", lambda user, _: user.search.messages("Hello")),
    _read("conversations.list", lambda user, _: user.conversations.list()),
    _write("tasks.create", lambda user, _: user.tasks.create(TaskCreate("Buy bread"))),
    _read("tasks.list", lambda user, _: user.tasks.list()),
]

CALLS = NAMING_CALLS + FREE_CALLS
WRITES = [call for call in CALLS if call.writes]


def methods_of_the_contract() -> Iterator[str]:
    """Yield the name of every method that does something for a user."""
    for noun, value in vars(UserStore).items():
        if isinstance(value, property) and noun != "user_id":
            protocol = get_type_hints(value.fget, vars(contract))["return"]
            yield from (f"{noun}.{name}" for name, call in vars(protocol).items() if inspect.iscoroutinefunction(call))
