"""What the contract promises of titles: the first message gives one, and a better source wins."""

import uuid

import pytest

from hansard.errors import InvalidInput, NotFound
from hansard.models.conversation import ConversationCreate
from hansard.models.limits import storable
from hansard.models.verbatim import message_item
from tests.support.items import HARD_STRINGS, user_says
from tests.support.store_steps import numbered, says

pytestmark = pytest.mark.asyncio(loop_scope="module")

RANK = {None: 0, "auto": 1, "model": 2, "user": 3}
TALK = [
    *numbered(1),
    {"role": "system", "content": "Be kind"},
    message_item("assistant", "completed", "Welcome"),
    {"type": "function_call", "name": "greet", "arguments": "{}", "call_id": "c"},
]


async def titled(user, source):
    """Return the id of a conversation whose title comes from ``source``."""
    made = await user.conversations.create(ConversationCreate(title="Before" if source == "user" else None))
    if source in {"auto", "model"}:
        assert await user.conversations.suggest_title(made.id, "Before", source=source)
    return made.id


async def test_the_first_user_message_gives_the_title(user):
    made = await user.conversations.create()
    await user.items.append(made.id, [*TALK, *says("Buy milk", "And bread")])
    found = await user.conversations.get(made.id)
    assert (found.title, found.title_source) == ("Buy milk", "auto")
    await user.items.append(made.id, says("Never mind"))
    assert (await user.conversations.get(made.id)).title == "Buy milk"


async def test_the_title_waits_for_a_user_message(user):
    made = await user.conversations.create(items=TALK)
    assert (made.title, made.title_source) == (None, None)
    await user.items.append(made.id, [message_item("user", "completed", "Buy milk")])
    assert (await user.conversations.get(made.id)).title == "Buy milk"


async def test_items_given_at_creation_give_the_title(user):
    made = await user.conversations.create(items=[*TALK, *says("Buy milk")])
    assert (made.title, made.title_source) == ("Buy milk", "auto")


async def test_a_title_given_at_creation_stays(user):
    made = await user.conversations.create(ConversationCreate(title="Shopping"), items=says("Buy milk"))
    await user.items.append(made.id, says("And bread"))
    found = await user.conversations.get(made.id)
    assert (found.title, found.title_source) == ("Shopping", "user")


@pytest.mark.parametrize("text", ["word " * 2000, "x" * 10_000, "\U0001f984" * 10_000, *HARD_STRINGS.values()])
async def test_a_title_fits_and_begins_like_the_message(user, text):
    made = await user.conversations.create(items=says(f"Start {text}"))
    assert made.title is not None
    assert made.title.startswith("Start")
    assert 1 <= len(made.title) <= 255
    assert storable(made.title)
    assert "\n" not in made.title


@pytest.mark.parametrize("text", ["", " \t\r\n"])
async def test_a_message_without_words_gives_no_title(user, text):
    made = await user.conversations.create(items=says(text))
    assert (made.title, made.title_source) == (None, None)


@pytest.mark.parametrize("present", RANK)
@pytest.mark.parametrize("suggested", ["auto", "model", "user"])
async def test_a_title_is_set_unless_a_better_source_has(user, present, suggested):
    conversation_id = await titled(user, present)
    was_set = await user.conversations.suggest_title(conversation_id, "After", source=suggested)
    assert was_set is (RANK[suggested] >= RANK[present])
    found = await user.conversations.get(conversation_id)
    assert (found.title, found.title_source) == (("After", suggested) if was_set else ("Before", present))


@pytest.mark.parametrize("present", RANK)
async def test_a_rename_is_the_users_word(user, present):
    conversation_id = await titled(user, present)
    renamed = await user.conversations.rename(conversation_id, "Mine")
    assert (renamed.title, renamed.title_source) == ("Mine", "user")
    assert not await user.conversations.suggest_title(conversation_id, "Yours", source="model")
    assert await user.conversations.get(conversation_id) == renamed


async def test_a_cleared_title_stays_clear(user):
    made = await user.conversations.create(items=says("Buy milk"))
    cleared = await user.conversations.rename(made.id, None)
    assert (cleared.title, cleared.title_source) == (None, "user")
    assert not await user.conversations.suggest_title(made.id, "Shopping", source="model")
    await user.items.append(made.id, says("And bread"))
    assert (await user.conversations.get(made.id)).title is None


async def test_a_suggestion_raises_the_revision_only_when_it_is_taken(user):
    made = await user.conversations.create()
    await user.conversations.suggest_title(made.id, "Shopping", source="model")
    taken = await user.conversations.get(made.id)
    assert taken.revision > made.revision
    await user.conversations.suggest_title(made.id, "Groceries", source="auto")
    assert await user.conversations.get(made.id) == taken


async def test_a_missing_conversation_takes_no_suggestion(user):
    assert await user.conversations.suggest_title(uuid.uuid4(), "Shopping") is False


async def test_renaming_a_missing_conversation_raises(user):
    with pytest.raises(NotFound):
        await user.conversations.rename(uuid.uuid4(), "Shopping")


@pytest.mark.parametrize("title", ["", "x" * 256, "a\x00", "\ud800", 7])
async def test_a_title_that_is_none_is_refused_by_name(user, title):
    made = await user.conversations.create()
    for change in (
        user.conversations.rename(made.id, title),
        user.conversations.update(made.id, title=title),
        user.conversations.suggest_title(made.id, title),
    ):
        with pytest.raises(InvalidInput) as caught:
            await change
        assert caught.value.param == "title"
    assert await user.conversations.get(made.id) == made


@pytest.mark.parametrize("source", ["", "robot", None])
async def test_a_source_that_is_none_is_refused_by_name(user, source):
    made = await user.conversations.create()
    with pytest.raises(InvalidInput) as caught:
        await user.conversations.suggest_title(made.id, "Shopping", source=source)
    assert caught.value.param == "source"


async def test_no_title_can_be_suggested(user):
    made = await user.conversations.create()
    with pytest.raises(InvalidInput):
        await user.conversations.suggest_title(made.id, None)


async def test_an_items_text_is_no_title_source(user):
    made = await user.conversations.create(items=[user_says("Buy milk")])
    await user.items.replace(made.id, 1, user_says("Buy bread"), expected_revision=made.revision)
    assert (await user.conversations.get(made.id)).title == "Buy milk"
