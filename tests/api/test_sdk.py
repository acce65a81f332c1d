"""The official SDK works unmodified, with its strict validation of every answer switched on."""

import json
from typing import Any, get_args

import openai
import pytest
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseIncludable

from hansard.models.kinds import KINDS
from tests.api.live import Person
from tests.api.samples import INCLUDED, ITEMS, sample

SDK_KINDS = {get_args(item.model_fields["type"].annotation)[0] for item in get_args(get_args(ConversationItem)[0])}


def texts(page: Any) -> list[str]:
    return [item.content[0].text for item in page]


def test_a_conversation_is_created_read_changed_and_deleted(ann: Person):
    sdk = ann.sdk
    created = sdk.conversations.create(metadata={"topic": "demo"}, items=[{"role": "user", "content": "Hello"}])
    assert (created.object, created.metadata) == ("conversation", {"topic": "demo"})
    assert sdk.conversations.retrieve(created.id) == created
    updated = sdk.conversations.update(created.id, metadata={"topic": "other"})
    assert (updated.id, updated.metadata) == (created.id, {"topic": "other"})
    deleted = sdk.conversations.delete(created.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (created.id, "conversation.deleted", True)
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.retrieve(created.id)
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.items.list(created.id)


def test_a_conversation_without_anything_has_empty_metadata(ann: Person):
    assert ann.sdk.conversations.create().metadata == {}
    assert ann.sdk.conversations.create(metadata=None, items=None).metadata == {}


def test_items_are_appended_read_and_deleted(ann: Person):
    sdk = ann.sdk
    conversation = sdk.conversations.create()
    appended = sdk.conversations.items.create(
        conversation.id, items=[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    )
    first, second = appended.data
    assert texts(appended.data) == ["one", "two"]
    assert (appended.first_id, appended.last_id, appended.has_more) == (first.id, second.id, False)
    assert first.id
    assert first.id.startswith("msg_")
    assert sdk.conversations.items.retrieve(first.id, conversation_id=conversation.id) == first
    parent = sdk.conversations.items.delete(first.id, conversation_id=conversation.id)
    assert parent.id == conversation.id
    assert texts(sdk.conversations.items.list(conversation.id)) == ["two"]


def test_the_list_is_newest_first_unless_asked(ann: Person):
    sdk = ann.sdk
    conversation = sdk.conversations.create()
    ann.append(conversation.id, "one", "two", "three")
    assert texts(sdk.conversations.items.list(conversation.id)) == ["three", "two", "one"]
    assert texts(sdk.conversations.items.list(conversation.id, order="asc")) == ["one", "two", "three"]


def test_an_empty_page_has_empty_ids(ann: Person):
    page = ann.sdk.conversations.items.list(ann.sdk.conversations.create().id)
    assert (page.data, page.has_more, page.last_id) == ([], False, "")


def test_auto_pagination_walks_a_thousand_items_both_ways(ann: Person):
    sdk, conversation = ann.sdk, ann.sdk.conversations.create()
    expected = [str(number) for number in range(1010)]
    for start in range(0, 1010, 20):
        ann.append(conversation.id, *expected[start : start + 20])
    assert texts(sdk.conversations.items.list(conversation.id, order="asc", limit=100)) == expected
    assert texts(sdk.conversations.items.list(conversation.id, order="desc", limit=97)) == expected[::-1]


async def test_the_async_client_does_the_same(ann: Person):
    async with ann.async_sdk() as sdk:
        conversation = await sdk.conversations.create(metadata={"a": "b"})
        assert await sdk.conversations.retrieve(conversation.id) == conversation
        made = await sdk.conversations.items.create(conversation.id, items=[{"role": "user", "content": "one"}])
        item_id = made.data[0].id
        assert item_id
        assert await sdk.conversations.items.retrieve(item_id, conversation_id=conversation.id) == made.data[0]
        assert (await sdk.conversations.items.delete(item_id, conversation_id=conversation.id)).id == conversation.id
        assert (await sdk.conversations.items.list(conversation.id)).data == []
        assert (await sdk.conversations.update(conversation.id, metadata={})).metadata == {}
        assert (await sdk.conversations.delete(conversation.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await sdk.conversations.retrieve(conversation.id)


async def test_the_async_client_sees_every_item_type_and_walks_a_thousand_items_both_ways(ann: Person):
    conversation = ann.sdk.conversations.create()
    for start in range(0, 1020, 20):
        ann.append(conversation.id, *(str(number) for number in range(start, start + 20)))
    async with ann.async_sdk() as sdk:
        kinds: list[Any] = [sample(kind) for kind in ITEMS]
        for batch in (kinds[:20], kinds[20:]):
            await sdk.conversations.items.create(conversation.id, items=batch)
        upwards = [item async for item in sdk.conversations.items.list(conversation.id, order="asc", limit=100)]
        downwards = [item async for item in sdk.conversations.items.list(conversation.id, limit=99)]
    assert texts(upwards[:1020]) == [str(number) for number in range(1020)]
    assert [item.type for item in upwards[1020:]] == list(ITEMS)
    assert downwards == upwards[::-1]


def test_every_item_type_of_the_sdk_is_known_here():
    assert set(KINDS) == SDK_KINDS == set(ITEMS)


@pytest.mark.parametrize("kind", ITEMS)
def test_every_item_type_comes_back_valid_and_as_sent(ann: Person, kind: str):
    conversation = ann.sdk.conversations.create()
    sent = sample(kind)
    made = ann.sdk.conversations.items.create(conversation.id, items=[sent])  # type: ignore[list-item] # any type
    [stored] = made.data
    assert stored.id
    assert stored.id.startswith(f"{KINDS[kind].prefix}_")
    assert ann.sdk.conversations.items.retrieve(stored.id, conversation_id=conversation.id) == stored
    raw = ann.http.get(f"/v1/conversations/{conversation.id}/items/{stored.id}").json()
    kept = {key: value for key, value in raw.items() if key in sent}
    if kind == "message":
        assert raw.pop("id") == stored.id
        assert json.dumps(raw) == json.dumps(
            {
                "type": "message",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "Hello"}],
            }
        )
    elif kind == "computer_call_output":
        assert kept == sent
    else:
        assert json.dumps(kept) == json.dumps(sent)


def at(item: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(item, dict) and step not in item:
            return "gone"
        item = item[step]
    return item


def test_every_value_of_include_that_the_sdk_has_is_known_here():
    assert set(get_args(ResponseIncludable)) == set(INCLUDED)


@pytest.mark.parametrize("value", INCLUDED)
def test_of_what_can_be_included_that_is_given_which_is_asked_for(ann: Person, value: Any):
    sent, path, otherwise = INCLUDED[value]
    items = ann.sdk.conversations.items
    home = ann.sdk.conversations.create().id
    other: Any = next(one for one in INCLUDED if one != value)
    made = items.create(home, items=[sent], include=[value])  # type: ignore[list-item] # any type
    item_id = made.data[0].id or ""
    raw = ann.http.get(f"/v1/conversations/{home}/items/{item_id}").json()
    assert at(raw, path) == at(sent, path) != otherwise
    wanting = [made.data[0], *items.list(home, include=[value, other])]
    wanting.append(items.retrieve(item_id, conversation_id=home, include=[value]))
    assert [at(one.to_dict(), path) for one in wanting] == [at(sent, path)] * 3
    created = items.create(ann.sdk.conversations.create().id, items=[sent], include=[other])  # type: ignore[list-item] # any type
    without = [*created.data, *items.list(home, include=[other])]
    without.append(items.retrieve(item_id, conversation_id=home, include=[other]))
    assert [at(one.to_dict(), path) for one in without] == [otherwise] * 3


def test_what_the_api_cannot_include_is_refused(ann: Person):
    conversation = ann.sdk.conversations.create()
    with pytest.raises(openai.BadRequestError, match="include"):
        ann.sdk.conversations.items.list(conversation.id, include=["nothing"])  # type: ignore[list-item] # on purpose
    # Also where it is spelled as the API's documentation spells it.
    assert ann.http.get(f"/v1/conversations/{conversation.id}/items?include=nothing").status_code == 400


def test_the_sdk_pages_through_our_list_of_conversations(ann: Person):
    from openai.pagination import SyncConversationCursorPage
    from openai.types.conversations import Conversation

    made = [ann.sdk.conversations.create().id for _ in range(5)]
    pages = SyncConversationCursorPage[Conversation]
    page = ann.sdk.get_api_list("/conversations", model=Conversation, page=pages, options={"params": {"limit": 2}})
    assert [conversation.id for conversation in page] == made[::-1]


def test_what_the_api_lacks_is_reached_by_the_sdk(ann: Person):
    conversations = ann.sdk.conversations
    made: Any = conversations.create(metadata={"topic": "demo"}, extra_body={"title": "Errands"})
    assert (made.title, made.title_source, made.message_count, made.archived_at) == ("Errands", "user", 0, None)
    # Without metadata, which would be replaced: the title and the archive flag alone.
    archived: Any = conversations.update(made.id, metadata=openai.omit, extra_body={"archived": True})  # type: ignore[arg-type] # the SDK's own mark for "not sent"
    assert (archived.metadata, archived.title) == ({"topic": "demo"}, "Errands")
    assert archived.archived_at >= archived.last_message_at == archived.created_at
    ann.append(made.id, "Where is the zeppelin?")
    counted: Any = conversations.retrieve(made.id)
    assert (counted.message_count, counted.last_message_at >= made.last_message_at) == (1, True)
    found: Any = ann.sdk.get("/search", cast_to=object, options={"params": {"query": "zeppelin", "archived": True}})
    assert [hit["conversation_title"] for hit in found["data"]] == ["Errands"]


def test_an_error_reaches_the_sdk_whole(ann: Person):
    with pytest.raises(openai.BadRequestError) as caught:
        ann.sdk.conversations.create(metadata={"key": "x" * 513})
    assert (caught.value.param, caught.value.code) == ("metadata.key", "string_above_max_length")
    assert "512" in str(caught.value)
    assert caught.value.request_id
    assert caught.value.request_id.startswith("req_")


def test_a_wrong_key_is_an_authentication_error(ann: Person):
    with pytest.raises(openai.AuthenticationError):
        ann.sdk.with_options(api_key="sk-wrong").conversations.create()
