"""What the contract promises of `replace`: a new item at an old place, for whoever knows the present revision."""

import uuid

import pytest

from hansard.errors import InvalidInput, NotFound, RevisionConflict, TooLarge
from hansard.models.limits import ITEM_BYTES
from hansard.models.message import MessageCreate
from hansard.utils.ids import mint
from tests.support.items import HARD_STRINGS, exact, of_bytes, user_says
from tests.support.store_steps import everything_of, numbered, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_item_changes_and_its_place_ids_and_time_stay(user):
    announced = MessageCreate(user_says("Hi"), client_id="a", public_id=mint())
    made = await user.conversations.create(items=[announced, *numbered(1)])
    old = await user.items.get(made.id, 1)
    call = {"type": "function_call", "name": "add", "arguments": "{}", "call_id": "c", "status": "completed"}
    new = await user.items.replace(made.id, 1, call, expected_revision=made.revision)
    assert new.item == call
    assert (new.kind, new.role, new.status, new.content) == ("function_call", None, "completed", "add\n{}")
    kept = ("conversation_id", "position", "client_id", "public_id", "created_at")
    assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert await user.items.get(made.id, 1) == new


async def test_the_new_items_own_ids_do_not_count(user):
    made = await user.conversations.create(items=numbered(1))
    new = await user.items.replace(
        made.id, 1, MessageCreate(user_says("Hi"), client_id="b", public_id=mint()), expected_revision=made.revision
    )
    assert (new.client_id, new.public_id) == (None, None)


async def test_no_other_item_changes_and_none_is_added(user):
    made = await user.conversations.create(items=numbered(3))
    before = await walk_items(user, made.id)
    new = await user.items.replace(made.id, 2, user_says("Hi"), expected_revision=made.revision)
    assert await walk_items(user, made.id) == [before[0], new, before[2]]
    assert (await user.conversations.get(made.id)).message_count == 3


async def test_the_revision_and_the_time_of_change_rise(user):
    made = await user.conversations.create(items=numbered(1))
    await user.items.replace(made.id, 1, user_says("Hi"), expected_revision=made.revision)
    found = await user.conversations.get(made.id)
    assert found.revision > made.revision
    assert found.updated_at > made.updated_at


async def test_an_older_revision_changes_nothing(user):
    made = await user.conversations.create(items=numbered(1))
    await user.items.append(made.id, numbered(1))
    before = await everything_of(user)
    with pytest.raises(RevisionConflict):
        await user.items.replace(made.id, 1, user_says("Hi"), expected_revision=made.revision)
    assert await everything_of(user) == before


@pytest.mark.parametrize("position", [0, -1, 2, 3, 2**31, 2**63, 2**70])
async def test_a_missing_item_raises_and_changes_nothing(user, position):
    made = await user.conversations.create(items=numbered(3))
    current = (await user.items.delete(made.id, 2)).conversation
    if position == 3:
        current = (await user.items.delete(made.id, 3)).conversation
    with pytest.raises(NotFound, match=r"^item "):
        await user.items.replace(made.id, position, user_says("Hi"), expected_revision=current.revision)
    assert await user.conversations.get(made.id) == current


async def test_a_missing_conversation_raises(user):
    with pytest.raises(NotFound, match=r"^conversation "):
        await user.items.replace(uuid.uuid4(), 1, user_says("Hi"), expected_revision=1)


@pytest.mark.parametrize("text", HARD_STRINGS.values(), ids=HARD_STRINGS)
async def test_the_new_item_is_kept_exactly(user, text):
    made = await user.conversations.create(items=numbered(1))
    await user.items.replace(made.id, 1, user_says(text), expected_revision=made.revision)
    assert exact((await user.items.get(made.id, 1)).item) == exact(user_says(text))


async def test_a_plain_item_may_take_the_place_of_a_hard_one_and_back(user):
    made = await user.conversations.create(items=[user_says("\x00")])
    for text in ("plain", "\ud800", "plain again"):
        revision = (await user.conversations.get(made.id)).revision
        await user.items.replace(made.id, 1, user_says(text), expected_revision=revision)
        assert (await user.items.get(made.id, 1)).item == user_says(text)


@pytest.mark.parametrize(
    "item, error", [(of_bytes(ITEM_BYTES + 1), TooLarge), ({"a": (1,)}, InvalidInput)], ids=["large", "tuple"]
)
async def test_what_cannot_be_appended_cannot_be_put_in_place_either(user, item, error):
    made = await user.conversations.create(items=numbered(1))
    before = await everything_of(user)
    with pytest.raises(error):
        await user.items.replace(made.id, 1, item, expected_revision=made.revision)
    assert await everything_of(user) == before
