"""What the contract promises of items with a `client_id`: they are stored once, or refused whole."""

import pytest

from hansard.errors import Conflict, IdempotencyConflict, InvalidInput, NotFound, RevisionConflict
from hansard.models.message import MessageCreate
from hansard.utils.ids import mint, new_uuid
from tests.support.store_steps import everything_of, numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")


def once(client_id, item, **more):
    return MessageCreate(item, client_id=client_id, **more)


def batch(*client_ids):
    return [once(client_id, item) for client_id, item in zip(client_ids, numbered(len(client_ids)), strict=True)]


async def test_an_item_keeps_its_client_id(user):
    made = await user.conversations.create()
    (stored,) = await user.items.append(made.id, batch("a"))
    assert stored.client_id == "a"
    assert await user.items.get(made.id, 1) == stored


async def test_the_same_batch_again_returns_what_is_stored_and_changes_nothing(user):
    made = await user.conversations.create()
    first = await user.items.append(made.id, batch("a", "b", "c"))
    before = await everything_of(user)
    assert await user.items.append(made.id, batch("a", "b", "c")) == first
    assert await everything_of(user) == before


async def test_a_repetition_uses_up_no_position(user):
    made = await user.conversations.create()
    for _ in range(3):
        await user.items.append(made.id, batch("a"))
    assert [item.position for item in await user.items.append(made.id, numbered(1))] == [2]


async def test_stored_items_are_returned_in_the_order_asked_for(user):
    made = await user.conversations.create()
    stored = await user.items.append(made.id, batch("a", "b", "c"))
    asked = batch("a", "b", "c")
    assert await user.items.append(made.id, [asked[2], asked[0]]) == [stored[2], stored[0]]


async def test_an_item_that_was_announced_is_repeated_with_its_public_id(user):
    made = await user.conversations.create()
    announced = once("a", numbered(1)[0], public_id=mint())
    first = await user.items.append(made.id, [announced])
    assert await user.items.append(made.id, [announced]) == first


async def test_items_created_with_the_conversation_are_not_stored_again(user):
    made = await user.conversations.create(items=batch("a", "b"))
    before = await everything_of(user)
    assert await user.items.append(made.id, batch("a", "b")) == await walk_items(user, made.id)
    assert await everything_of(user) == before


async def test_a_repetition_does_not_mind_that_the_conversation_went_on(user):
    made = await user.conversations.create()
    first = await user.items.append(made.id, batch("a"), expected_revision=made.revision)
    await user.items.append(made.id, numbered(1))
    assert await user.items.append(made.id, batch("a"), expected_revision=made.revision) == first


async def test_an_old_revision_is_refused_for_items_that_are_not_stored(user):
    made = await user.conversations.create()
    await user.items.append(made.id, batch("a"))
    before = await everything_of(user)
    for again in (batch("b"), [*batch("a"), *numbered(1)], [once("a", {"type": "note", "number": 2})]):
        with pytest.raises(Conflict):
            await user.items.append(made.id, again, expected_revision=made.revision)
    with pytest.raises(RevisionConflict):
        await user.items.append(made.id, batch("b"), expected_revision=made.revision)
    assert await everything_of(user) == before


@pytest.mark.parametrize(
    "again",
    [
        [once("a", {"type": "note", "number": 2})],
        [once("a", {"type": "note", "number": True})],
        [once("a", {"type": "note", "number": 1.0})],
        [once("a", {"number": 1, "type": "note"})],
        [once("a", {"type": "note", "number": 1, "more": None})],
    ],
    ids=["value", "true for 1", "1.0 for 1", "order of keys", "another key"],
)
async def test_the_same_client_id_with_another_item_is_refused(user, again):
    made = await user.conversations.create(items=batch("a"))
    before = await everything_of(user)
    with pytest.raises(IdempotencyConflict):
        await user.items.append(made.id, again)
    assert await everything_of(user) == before


@pytest.mark.parametrize(
    "first, second", [("a\x00", "a\ufffd"), ("\ud800", "\ufffd"), ("e\u0301", "\u00e9"), ("a", "a ")]
)
async def test_texts_that_only_look_alike_are_other_items(user, first, second):
    made = await user.conversations.create(items=[once("a", item) for item in says(first)])
    with pytest.raises(IdempotencyConflict):
        await user.items.append(made.id, [once("a", item) for item in says(second)])


@pytest.mark.parametrize(
    "again",
    [
        [*batch("a"), once("new", numbered(1)[0])],
        [once("new", numbered(1)[0]), *batch("a")],
        [*batch("a"), *numbered(1)],
        [*batch("a", "b", "c"), once("d", {"type": "note", "number": 4})],
        [once("b", {"type": "note", "number": 2}), once("a", {"type": "note", "number": 0})],
    ],
    ids=["known, new", "new, known", "known, without id", "all and one more", "known, changed"],
)
async def test_a_batch_that_is_stored_only_in_part_is_refused_whole(user, again):
    made = await user.conversations.create(items=batch("a", "b", "c"))
    before = await everything_of(user)
    with pytest.raises(IdempotencyConflict):
        await user.items.append(made.id, again)
    assert await everything_of(user) == before
    assert [item.position for item in await user.items.append(made.id, numbered(1))] == [4]


async def test_a_client_id_twice_in_one_batch_is_refused_and_nothing_is_written(user):
    made = await user.conversations.create()
    with pytest.raises((InvalidInput, IdempotencyConflict)):
        await user.items.append(made.id, [*batch("a"), *batch("a")])
    with pytest.raises((InvalidInput, IdempotencyConflict)):
        await user.conversations.create(items=[*batch("a"), *batch("a")])
    assert (await user.conversations.list()).data == [made]


async def test_a_client_id_counts_in_its_conversation_only(user, new_user):
    stored = []
    for owner in (user, user, new_user()):
        made = await owner.conversations.create()
        stored += await owner.items.append(made.id, batch("a"))
    assert len({item.conversation_id for item in stored}) == 3


async def test_client_ids_are_compared_to_the_code_point(user):
    made = await user.conversations.create()
    for client_id in ("a", "A", "a ", "e\u0301", "\u00e9", "1", "01"):
        await user.items.append(made.id, batch(client_id))
    assert (await user.conversations.get(made.id)).message_count == 7


async def test_a_deleted_item_is_not_stored_already(user):
    made = await user.conversations.create(items=batch("a"))
    await user.items.delete(made.id, 1)
    assert [item.position for item in await user.items.append(made.id, batch("a"))] == [2]


async def test_a_missing_conversation_is_missing_also_for_known_client_ids(user):
    await user.conversations.create(items=batch("a"))
    with pytest.raises(NotFound, match=r"^conversation "):
        await user.items.append(new_uuid(), batch("a"))


async def test_a_public_id_is_given_once(user):
    raw = mint()
    made = await user.conversations.create(items=[MessageCreate(numbered(1)[0], public_id=raw)])
    other = await user.conversations.create()
    before = await everything_of(user)
    for conversation_id in (made.id, other.id):
        for client_id in (None, "a"):
            with pytest.raises(Conflict):
                await user.items.append(conversation_id, [MessageCreate(numbered(1)[0], client_id, raw)])
    with pytest.raises(Conflict):
        await user.conversations.create(items=[MessageCreate(numbered(1)[0], public_id=raw)])
    assert await everything_of(user) == before
