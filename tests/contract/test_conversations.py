"""What the contract promises of conversations, except for lists and titles."""

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from hansard.errors import AlreadyExists, InvalidInput, NotFound, RevisionConflict
from hansard.models.conversation import ConversationCreate
from tests.support.items import HARD_STRINGS
from tests.support.store_steps import everything_of, numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The clocks of the database and of this process are the same one here, but not read in the same way,
# nor at the same moment.
TOLERANCE = timedelta(minutes=1)


async def test_a_new_conversation_is_returned_as_it_is_stored(user):
    new = ConversationCreate(title="Plans", metadata={"b": "1", "a": "2"}, source="agents", external_id="thread-1")
    made = await user.conversations.create(new)
    assert (made.title, made.title_source) == ("Plans", "user")
    assert (made.source, made.external_id) == ("agents", "thread-1")
    assert list(made.metadata.items()) == [("b", "1"), ("a", "2")]
    assert await user.conversations.get(made.id) == made


async def test_a_conversation_needs_nothing(user):
    made = await user.conversations.create()
    assert (made.title, made.title_source, made.source, made.external_id) == (None, None, "", None)
    assert (made.metadata, made.message_count, made.archived_at) == ({}, 0, None)
    assert made.created_at == made.updated_at == made.last_message_at
    assert await user.conversations.get(made.id) == made


async def test_times_are_aware_and_in_utc(user):
    made = await user.conversations.create()
    assert made.created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - made.created_at) < TOLERANCE


async def test_ids_rise_with_creation(user):
    ids = [(await user.conversations.create()).id for _ in range(5)]
    assert ids == sorted(ids)
    assert {conversation_id.version for conversation_id in ids} == {7}


async def test_a_conversation_is_stored_together_with_its_first_items(user):
    made = await user.conversations.create(items=numbered(3))
    assert made.message_count == 3
    assert [item.position for item in await walk_items(user, made.id)] == [1, 2, 3]
    assert await user.conversations.get(made.id) == made


async def test_a_conversation_is_not_stored_without_its_first_items(user):
    await user.conversations.create()
    before = await everything_of(user)
    with pytest.raises(InvalidInput, match=r"items\[1\]"):
        await user.conversations.create(items=[*numbered(1), {"type": ("no", "JSON")}])
    assert await everything_of(user) == before


@pytest.mark.parametrize(
    "text", [text for text in HARD_STRINGS.values() if len(text) <= 64 and "\ud83d\ude00" not in text]
)
async def test_metadata_is_kept_exactly(user, text):
    metadata = {text or "empty": text}
    made = await user.conversations.create(ConversationCreate(metadata=metadata))
    assert (await user.conversations.get(made.id)).metadata == metadata


@pytest.mark.parametrize(
    "text", ["\U0001f984" * 255, "e\u0301", " blanks ", "'; DROP TABLE messages; --", "%s ? :x", "\r\n"]
)
async def test_titles_and_external_ids_are_kept_exactly(user, text):
    made = await user.conversations.create(ConversationCreate(title=text, source=text[:64], external_id=text))
    found = await user.conversations.find(source=text[:64], external_id=text)
    assert found == made
    assert (found.title, found.source, found.external_id) == (text, text[:64], text)


async def test_a_taken_external_id_is_refused_and_nothing_is_written(user):
    new = ConversationCreate(source="agents", external_id="thread-1")
    await user.conversations.create(new)
    before = await everything_of(user)
    with pytest.raises(AlreadyExists):
        await user.conversations.create(new, items=says("lost?"))
    assert await everything_of(user) == before


async def test_an_external_id_is_taken_only_for_its_source_and_user(user, new_user):
    ids = {
        (await owner.conversations.create(ConversationCreate(source=source, external_id="thread-1"))).id
        for owner in (user, new_user())
        for source in ("agents", "graphs")
    }
    assert len(ids) == 4


async def test_a_source_without_external_id_is_not_unique(user):
    await user.conversations.create(ConversationCreate(source="agents"))
    await user.conversations.create(ConversationCreate(source="agents"))
    assert len((await user.conversations.list()).data) == 2


async def test_ensure_makes_a_missing_conversation_and_finds_it_again_unchanged(user):
    made = await user.conversations.ensure(ConversationCreate(source="agents", external_id="thread-1", title="First"))
    again = await user.conversations.ensure(ConversationCreate(source="agents", external_id="thread-1", title="Second"))
    assert again == made
    assert made.title == "First"
    assert await user.conversations.get(made.id) == made


async def test_ensure_needs_an_external_id(user):
    with pytest.raises(InvalidInput) as caught:
        await user.conversations.ensure(ConversationCreate(source="agents"))
    assert caught.value.param == "external_id"


async def test_ensure_makes_a_deleted_conversation_anew(user):
    new = ConversationCreate(source="agents", external_id="thread-1")
    first = await user.conversations.ensure(new)
    await user.conversations.delete(first.id)
    assert (await user.conversations.ensure(new)).id != first.id


async def test_find_returns_none_for_what_nobody_stored(user):
    await user.conversations.create(ConversationCreate(source="agents", external_id="thread-1"))
    assert await user.conversations.find(source="agents", external_id="thread-2") is None
    assert await user.conversations.find(source="graphs", external_id="thread-1") is None


async def test_a_missing_conversation_is_named_in_the_error(user):
    missing = uuid.uuid4()
    with pytest.raises(NotFound, match=r"^conversation .* not found$") as caught:
        await user.conversations.get(missing)
    assert caught.value.noun == "conversation"


async def test_update_changes_the_given_fields_and_no_others(user):
    made = await user.conversations.create(ConversationCreate(title="Plans", metadata={"a": "1", "b": "2"}))
    with_metadata = await user.conversations.update(made.id, metadata={"c": "3"})
    assert (with_metadata.title, with_metadata.metadata, with_metadata.archived_at) == ("Plans", {"c": "3"}, None)
    with_title = await user.conversations.update(made.id, title="Other plans")
    assert (with_title.title, with_title.metadata, with_title.archived_at) == ("Other plans", {"c": "3"}, None)
    archived = await user.conversations.update(made.id, archived=True)
    assert (archived.title, archived.metadata) == ("Other plans", {"c": "3"})
    assert archived.archived_at is not None
    assert await user.conversations.get(made.id) == archived


async def test_update_changes_all_the_given_fields_at_once(user):
    made = await user.conversations.create(ConversationCreate(title="Plans", metadata={"a": "1"}))
    updated = await user.conversations.update(made.id, title=None, metadata=None, archived=True)
    assert (updated.title, updated.metadata, updated.archived_at is None) == (None, {}, False)


@pytest.mark.parametrize("change", [{"title": "x"}, {"metadata": {"a": "1"}}, {"archived": True}], ids=str)
async def test_every_update_raises_the_revision_and_the_time_of_change_but_not_the_place_in_the_list(user, change):
    made = await user.conversations.create()
    updated = await user.conversations.update(made.id, **change)
    assert updated.revision > made.revision
    assert updated.updated_at > made.updated_at
    assert (updated.created_at, updated.last_message_at) == (made.created_at, made.last_message_at)


async def test_update_with_the_revision_just_read_succeeds_and_with_an_older_one_changes_nothing(user):
    made = await user.conversations.create()
    renamed = await user.conversations.update(made.id, title="First", expected_revision=made.revision)
    with pytest.raises(RevisionConflict):
        await user.conversations.update(made.id, title="Second", archived=True, expected_revision=made.revision)
    assert await user.conversations.get(made.id) == renamed


async def test_a_missing_conversation_is_missing_whatever_revision_is_expected(user):
    with pytest.raises(NotFound):
        await user.conversations.update(uuid.uuid4(), title="x", expected_revision=1)


async def test_archive_keeps_the_first_archivals_time(user):
    made = await user.conversations.create()
    first = await user.conversations.archive(made.id)
    second = await user.conversations.archive(made.id)
    assert first.archived_at is not None
    assert abs(datetime.now(timezone.utc) - first.archived_at) < TOLERANCE
    assert second.archived_at == first.archived_at
    assert (await user.conversations.archive(made.id, archived=False)).archived_at is None


async def test_an_archived_conversation_goes_on_as_usual(user):
    made = await user.conversations.create()
    await user.conversations.archive(made.id)
    await user.items.append(made.id, says("still here"))
    found = await user.conversations.get(made.id)
    assert (found.message_count, found.archived_at is None) == (1, False)


async def test_delete_takes_the_conversation_with_all_its_items_and_nothing_else(user):
    kept = await user.conversations.create(items=numbered(2))
    made = await user.conversations.create(items=numbered(3))
    before = [kept, await walk_items(user, kept.id)]
    assert await user.conversations.delete(made.id) is True
    assert await user.conversations.delete(made.id) is False
    for call in (user.conversations.get(made.id), user.items.list(made.id), user.items.append(made.id, says("x"))):
        with pytest.raises(NotFound):
            await call
    assert [await user.conversations.get(kept.id), await walk_items(user, kept.id)] == before


async def test_delete_leaves_no_item_behind_in_the_database(user, observer):
    made = await user.conversations.create(items=numbered(3))
    await user.conversations.delete(made.id)
    assert observer.execute("SELECT count(*) FROM messages WHERE user_id = ?", user.user_id) == [(0,)]


async def test_an_unlisted_conversation_works_but_is_in_no_list(user):
    made = await user.conversations.create(ConversationCreate(listed=False), items=says("Hi"))
    assert await user.conversations.get(made.id) == made
    await user.conversations.archive(made.id)
    await user.items.append(made.id, says("Again"))
    for archived in (True, False):
        assert (await user.conversations.list(archived=archived)).data == []
