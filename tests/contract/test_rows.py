"""The last line of defence: what the database itself refuses, and what is said of a row that cannot be read."""

import sqlite3

import psycopg
import pytest

from hansard.errors import CorruptRow
from hansard.models.conversation import ConversationCreate
from hansard.utils.ids import new_uuid
from tests.support.observers import PostgresObserver
from tests.support.store_steps import numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
NOW = "2026-01-01 00:00:00.000000"
ADD_ITEM = """
    INSERT INTO messages (user_id, conversation_id, position, kind, role, content, created_at)
    VALUES (?, ?, ?, 'message', ?, 'x', ?)
"""


@pytest.fixture
def named(observer):
    """Spell a UUID as the database stores it."""
    return (lambda uuid: uuid) if isinstance(observer, PostgresObserver) else (lambda uuid: uuid.hex)


@pytest.fixture
def refused(observer):
    """Prove that the database refuses a statement."""
    if not isinstance(observer, PostgresObserver):
        observer.execute("PRAGMA foreign_keys = ON")

    def prove(statement, *values):
        with pytest.raises(REFUSED):
            observer.execute(statement, *values)

    return prove


async def test_no_item_stands_twice_at_a_position_or_before_the_first(user, refused, named):
    made = await user.conversations.create(items=numbered(1))
    for position in (1, 0, -1):
        refused(ADD_ITEM, user.user_id, named(made.id), position, "user", NOW)


async def test_no_item_has_an_unknown_role(user, refused, named):
    made = await user.conversations.create()
    refused(ADD_ITEM, user.user_id, named(made.id), 1, "captain", NOW)


async def test_no_item_stands_in_another_users_conversation_or_in_none(user, new_user, refused, named):
    stranger = new_user()
    await stranger.conversations.create()
    made = await user.conversations.create()
    refused(ADD_ITEM, stranger.user_id, named(made.id), 1, "user", NOW)
    refused(ADD_ITEM, user.user_id, named(new_uuid()), 1, "user", NOW)


async def test_no_conversation_belongs_to_nobody(user, refused, named):
    made = await user.conversations.create()
    for nobody in ("", f"nobody {new_uuid()}"):
        refused("UPDATE conversations SET user_id = ? WHERE id = ?", nobody, named(made.id))


async def test_a_user_with_history_cannot_be_deleted_by_accident(user, refused):
    await user.conversations.create()
    refused('DELETE FROM "user" WHERE id = ?', user.user_id)


async def test_an_external_id_stands_once(user, refused, named):
    await user.conversations.create(ConversationCreate(source="agents", external_id="x"))
    made = await user.conversations.create(ConversationCreate(source="agents", external_id="y"))
    refused("UPDATE conversations SET external_id = 'x' WHERE id = ?", named(made.id))


@pytest.mark.parametrize(
    "change",
    [
        "title_source = 'robot'",
        "message_count = -1",
        "message_count = next_position",
        "next_position = 0",
        "revision = NULL",
    ],
)
async def test_a_conversation_cannot_contradict_itself(user, refused, named, change):
    made = await user.conversations.create(items=numbered(2))
    refused(f"UPDATE conversations SET {change} WHERE id = ?", named(made.id))


@pytest.mark.parametrize(
    "damaged", ['{"secret', "", "[]", "1", "~", "~AAA", "~e30x", "[" * 100_000], ids=lambda text: text[:5]
)
async def test_an_item_that_cannot_be_read_is_named_and_the_others_are_served(user, observer, damaged):
    made = await user.conversations.create(items=numbered(3))
    observer.execute("UPDATE messages SET payload = ? WHERE user_id = ? AND position = 2", damaged, user.user_id)
    first, second, third = await walk_items(user, made.id)
    assert (first.item["number"], third.item["number"]) == (1, 3)
    with pytest.raises(CorruptRow, match=rf"item 2 of conversation {made.public_id}") as caught:
        assert second.item
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("damaged", ["{", "[1]", "1"])
async def test_metadata_that_cannot_be_read_is_named(user, observer, damaged):
    made = await user.conversations.create(items=says("Hi"))
    observer.execute("UPDATE conversations SET metadata = ? WHERE user_id = ?", damaged, user.user_id)
    found = await user.conversations.get(made.id)
    assert found.title == "Hi"
    with pytest.raises(CorruptRow, match=made.public_id):
        assert found.metadata
