"""The store and a handful of dicts, driven by the same random operations, look the same after every step."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from hansard.database import open_database
from hansard.errors import HansardError, NotFound
from hansard.models.conversation import ConversationCreate, ConversationRead
from hansard.models.message import MessageCreate, MessageRead
from hansard.models.verbatim import message_item
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import mint, new_uuid
from tests.support.items import exact, user_says
from tests.support.store_model import TITLES, Conversation, NewItem, Seen, UserModel
from tests.support.store_steps import walk_conversations, walk_items

SOURCE = "agents"
ITEMS = [
    *map(user_says, TITLES),
    message_item("assistant", "completed", "Done\ud800"),
    {"type": "note", "number": 1},
    {"number": 1, "type": "note"},
    {"type": "note", "number": True},
]


class Undone(Exception):
    """End a block badly."""


class Operation(NamedTuple):
    """Hold one call of `Acting`, to be made on the store and on the model."""

    name: str
    arguments: dict[str, Any]


class Block(NamedTuple):
    """Hold operations that stand in one atomic block."""

    steps: list[Any]
    ends_well: bool

    def end(self) -> None:
        """End well or badly."""
        if not self.ends_well:
            raise Undone


class Acting:
    """Make each operation on one user's store and on the user's model, and compare the answers."""

    def __init__(self, user: UserStore, ids: dict[int, UUID]) -> None:
        self.user = user
        self.model = UserModel()
        self._ids = ids
        self._last_seen: dict[int, tuple[int, int, ConversationRead]] = {}

    async def take(self, step: Operation | Block) -> None:
        if isinstance(step, Operation):
            await getattr(self, step.name)(**step.arguments)
        else:
            await self._block(step)

    async def _block(self, block: Block) -> None:
        before = self.model.copy()
        try:
            async with self.user.atomic():
                for step in block.steps:
                    await self.take(step)
                block.end()
        except Undone:
            self.model = before

    async def create(self, *, title: str | None, external_id: str | None, listed: bool, items: list[NewItem]) -> None:
        number = len(self._ids)
        new = ConversationCreate(title, source=SOURCE, external_id=external_id, listed=listed)
        answer = await self._compared(
            self.user.conversations.create(new, items=_messages(items)),
            lambda: self.model.create(number, title=title, external_id=external_id, listed=listed, items=items),
        )
        self._ids[number] = answer.id if answer else new_uuid()
        await self.get(number=number)

    async def ensure(self, *, external_id: str) -> None:
        number = len(self._ids)
        made = await self.user.conversations.ensure(ConversationCreate(source=SOURCE, external_id=external_id))
        expected = self.model.find(external_id)
        if expected is None:
            expected = self.model.create(number, title=None, external_id=external_id, listed=True, items=[])
            self._ids[number] = made.id
        assert self._face(made) == expected.face()

    async def get(self, *, number: int) -> None:
        await self._compared(self.user.conversations.get(self._id(number)), lambda: self.model.conversation(number))

    async def append(self, *, number: int, items: list[NewItem], expecting: str) -> None:
        stale = expecting == "stale" and bool(items)
        revision = None if expecting == "nothing" else await self._revision(number, stale=stale)
        await self._compared(
            self.user.items.append(self._id(number), _messages(items), expected_revision=revision),
            lambda: self.model.append(number, items, stale=stale),
        )

    async def item(self, *, number: int, position: int) -> None:
        ref = await self._ref(number, position)
        await self._compared(self.user.items.get(self._id(number), ref), lambda: self.model.item(number, position))

    async def delete_item(self, *, number: int, position: int) -> None:
        ref = await self._ref(number, position)
        await self._compared(
            self.user.items.delete(self._id(number), ref), lambda: self.model.delete_item(number, position)
        )

    async def replace(self, *, number: int, position: int, item: dict[str, Any], stale: bool) -> None:
        revision = await self._revision(number, stale=stale)
        await self._compared(
            self.user.items.replace(self._id(number), position, item, expected_revision=revision),
            lambda: self.model.replace(number, position, item, stale=stale),
        )

    async def update(self, *, number: int, changes: dict[str, Any], expecting: str) -> None:
        stale = expecting == "stale"
        revision = None if expecting == "nothing" else await self._revision(number, stale=stale)
        await self._compared(
            self.user.conversations.update(self._id(number), **changes, expected_revision=revision),
            lambda: self.model.update(number, changes, stale=stale),
        )

    async def suggest_title(self, *, number: int, title: str, source: Any) -> None:
        await self._compared(
            self.user.conversations.suggest_title(self._id(number), title, source=source),
            lambda: self.model.suggest_title(number, title, source),
        )

    async def delete(self, *, number: int) -> None:
        await self._compared(self.user.conversations.delete(self._id(number)), lambda: self.model.delete(number))

    async def look(self) -> None:
        """Compare everything that the user can see, page by page."""
        for archived in (False, True):
            listed = await walk_conversations(self.user, archived=archived, limit=2)
            assert [self._face(one) for one in listed] == [one.face() for one in self.model.listing(archived=archived)]
        for expected in self.model.everything():
            await self._look_at(expected)

    async def _look_at(self, expected: Conversation) -> None:
        here, seen = self._id(expected.number), list(expected.items.values())
        read = await self.user.conversations.get(here)
        assert self._face(read) == expected.face()
        self._assert_moved(expected, read)
        if expected.external_id:
            found = await self.user.conversations.find(source=SOURCE, external_id=expected.external_id)
            assert found is not None
            assert found.id == here
        assert list(map(_seen, await walk_items(self.user, here, limit=3))) == seen
        assert list(map(_seen, await walk_items(self.user, here, limit=2, order="desc"))) == seen[::-1]
        assert list(map(_seen, await self.user.items.last(here, 2))) == seen[-2:]

    def _assert_moved(self, expected: Conversation, read: ConversationRead) -> None:
        """Compare what became of the revision and the times since the last look."""
        then = self._last_seen.get(expected.number)
        self._last_seen[expected.number] = (expected.changes, expected.active, read)
        if then is None:
            return
        changes, active, before = then
        assert read.created_at == before.created_at
        if expected.changes > changes:
            assert read.revision > before.revision
            assert read.updated_at > before.updated_at
        else:
            assert read == before
        if expected.active > active:
            assert read.last_message_at > before.last_message_at
        else:
            assert read.last_message_at == before.last_message_at

    async def _compared(self, call: Coroutine[Any, Any, Any], expect: Callable[[], Any]) -> Any:
        answer: Any = None
        try:
            answer = await call
            outcome = self._shape(answer)
        except HansardError as error:
            outcome = type(error)
        try:
            expected = self._shape(expect())
        except HansardError as error:
            expected = type(error)
        assert outcome == expected
        return answer

    def _shape(self, answer: Any) -> Any:
        """Return an answer of the store or of the model in the words of both."""
        if isinstance(answer, Conversation):
            return answer.face()
        if isinstance(answer, ConversationRead):
            return self._face(answer)
        if isinstance(answer, MessageRead):
            return _seen(answer)
        if isinstance(answer, list) or (isinstance(answer, tuple) and not isinstance(answer, Seen)):
            return [self._shape(one) for one in answer]
        return answer

    def _face(self, read: ConversationRead) -> tuple[object, ...]:
        number = next((number for number, known in self._ids.items() if known == read.id), len(self._ids))
        about = (read.title, read.title_source, tuple(read.metadata.items()), read.archived_at is not None)
        return (number, read.external_id, *about, read.message_count)

    def _id(self, number: int) -> UUID:
        return self._ids.get(number) or new_uuid()

    async def _revision(self, number: int, *, stale: bool) -> int:
        try:
            return (await self.user.conversations.get(self._id(number))).revision - stale
        except NotFound:
            return 1

    async def _ref(self, number: int, position: int) -> int | bytes:
        """Return the public id of an item that has one, else its position."""
        try:
            return (await self.user.items.get(self._id(number), position)).public_id or position
        except NotFound:
            return position


def _messages(items: list[NewItem]) -> list[MessageCreate]:
    return [MessageCreate(new.item, new.client_id, mint() if new.announced else None) for new in items]


def _seen(read: MessageRead) -> Seen:
    return Seen(read.position, exact(read.item), read.client_id, read.public_id is not None)


numbers = st.integers(0, 5)
positions = st.integers(0, 9)
titles = st.none() | st.sampled_from(["Plans", "\U0001f984"])
new_items = st.lists(
    st.builds(NewItem, st.sampled_from(ITEMS), st.none() | st.sampled_from("abc"), st.booleans()), max_size=4
).filter(
    lambda items: len({new.client_id for new in items if new.client_id}) == sum(bool(new.client_id) for new in items)
)
expecting = st.sampled_from(["nothing", "nothing", "fresh", "stale"])
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": titles,
        "metadata": st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "1", "\x00"]), max_size=2),
        "archived": st.booleans(),
    },
)


def operation(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.builds(Operation, st.just(name), st.fixed_dictionaries(arguments))


creations = operation(
    "create", title=titles, external_id=st.none() | st.sampled_from("xy"), listed=st.booleans(), items=new_items
) | operation("ensure", external_id=st.sampled_from("xy"))
additions = operation("append", number=numbers, items=new_items, expecting=expecting)
touches = (
    operation("replace", number=numbers, position=positions, item=st.sampled_from(ITEMS), stale=st.booleans())
    | operation("update", number=numbers, changes=changes, expecting=expecting)
    | operation(
        "suggest_title", number=numbers, title=st.just("Hint"), source=st.sampled_from(["auto", "model", "user"])
    )
)
removals = operation("delete_item", number=numbers, position=positions) | operation("delete", number=numbers)
looks = operation("get", number=numbers) | operation("item", number=numbers, position=positions)
anything = creations | additions | touches | removals | looks
blocks = st.recursive(
    st.builds(Block, st.lists(anything, max_size=4), st.booleans()),
    lambda inner: st.builds(Block, st.lists(anything | inner, max_size=4), st.booleans()),
    max_leaves=3,
)
whose = st.integers(0, 1)


class StoreMachine(RuleBasedStateMachine):
    """Drive the stores and the models of two users, who guess each other's conversations."""

    def __init__(self, run: Callable[[Coroutine[Any, Any, None]], None], store: SqlStore) -> None:
        super().__init__()
        self._run = run
        ids: dict[int, UUID] = {}
        self._users = [Acting(store.for_user(f"user-{uuid4()}"), ids) for _ in range(2)]

    def _take(self, who: int, step: Operation | Block) -> None:
        self._run(self._users[who].take(step))
        self._run(self._users[who].look())

    @rule(who=whose, step=creations)
    def create(self, who: int, step: Operation) -> None:
        self._take(who, step)

    @rule(who=whose, step=additions)
    def append(self, who: int, step: Operation) -> None:
        self._take(who, step)

    @rule(who=whose, step=touches)
    def touch(self, who: int, step: Operation) -> None:
        self._take(who, step)

    @rule(who=whose, step=removals)
    def remove(self, who: int, step: Operation) -> None:
        self._take(who, step)

    @rule(who=whose, step=looks)
    def look(self, who: int, step: Operation) -> None:
        self._take(who, step)

    @rule(who=whose, step=blocks)
    def block(self, who: int, step: Block) -> None:
        self._take(who, step)

    def teardown(self) -> None:
        for user in self._users:
            self._run(user.look())


def test_the_store_behaves_like_dicts(database_url):
    loop = asyncio.new_event_loop()
    try:
        database = loop.run_until_complete(open_database(database_url))

        # Hypothesis wants a class that it can make without arguments.
        class Machine(StoreMachine):
            def __init__(self) -> None:
                super().__init__(loop.run_until_complete, SqlStore(database))

        run_state_machine_as_test(Machine, settings=settings(max_examples=settings().max_examples // 4))
        loop.run_until_complete(database.close())
    finally:
        loop.close()
