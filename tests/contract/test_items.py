"""What the contract promises of items: order, positions, pages, deletion."""

import uuid
from datetime import timedelta

import pytest

from hansard.errors import InvalidInput, NotFound, RevisionConflict
from hansard.models.message import MessageCreate
from hansard.models.verbatim import message_item
from hansard.store.contract import Page
from hansard.utils.ids import mint
from tests.support.store_steps import everything_of, numbered, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEYOND = 2**70


def positions(items):
    return [item.position for item in items]


async def nine(user):
    return (await user.conversations.create(items=numbered(9))).id


class TestAppend:
    async def test_items_stand_in_the_order_given_from_position_1_on(self, user):
        made = await user.conversations.create()
        first = await user.items.append(made.id, numbered(3))
        second = await user.items.append(made.id, numbered(2, first=4))
        assert positions(first + second) == [1, 2, 3, 4, 5]
        assert [stored.item["number"] for stored in first + second] == [1, 2, 3, 4, 5]

    async def test_what_is_returned_is_what_is_stored(self, user):
        made = await user.conversations.create()
        returned = await user.items.append(made.id, [*numbered(2), message_item("assistant", "completed", "Hi")])
        assert await walk_items(user, made.id) == returned

    async def test_kind_role_status_and_text_can_be_read_without_the_item(self, user):
        made = await user.conversations.create()
        call = {"type": "function_call", "name": "add", "arguments": "{}", "call_id": "c", "status": "in_progress"}
        _, reply, called = await user.items.append(
            made.id, [*says("Hi"), message_item("assistant", "completed", "Hello"), call]
        )
        assert (reply.kind, reply.role, reply.status, reply.content) == ("message", "assistant", "completed", "Hello")
        assert (called.kind, called.role, called.status, called.content) == (
            "function_call",
            None,
            "in_progress",
            "add\n{}",
        )

    async def test_times_are_aware_and_in_utc(self, user):
        made = await user.conversations.create()
        (stored,) = await user.items.append(made.id, says("Hi"))
        assert stored.created_at.utcoffset() == timedelta(0)
        assert stored.created_at >= made.created_at

    async def test_the_conversation_counts_and_remembers(self, user):
        made = await user.conversations.create()
        await user.items.append(made.id, numbered(3))
        found = await user.conversations.get(made.id)
        assert found.message_count == 3
        assert found.revision > made.revision
        assert found.updated_at > made.updated_at
        assert found.last_message_at > made.last_message_at

    async def test_nothing_to_append_changes_nothing(self, user):
        made = await user.conversations.create()
        assert await user.items.append(made.id, []) == []
        assert await user.conversations.get(made.id) == made

    async def test_one_bad_item_keeps_the_whole_batch_out(self, user):
        made = await user.conversations.create(items=numbered(1))
        before = await everything_of(user)
        with pytest.raises(InvalidInput, match=r"items\[2\]"):
            await user.items.append(made.id, [*numbered(2), {"type": float("nan")}, *numbered(1)])
        assert await everything_of(user) == before
        assert positions(await user.items.append(made.id, numbered(1))) == [2]

    async def test_a_batch_may_be_long(self, user):
        made = await user.conversations.create()
        assert positions(await user.items.append(made.id, numbered(3000))) == list(range(1, 3001))
        stored = await walk_items(user, made.id, limit=1000)
        assert [item.item["number"] for item in stored] == list(range(1, 3001))

    async def test_a_missing_conversation_raises(self, user):
        for items in (says("Hi"), []):
            with pytest.raises(NotFound, match=r"^conversation "):
                await user.items.append(uuid.uuid4(), items)

    async def test_the_expected_revision_must_be_the_present_one(self, user):
        made = await user.conversations.create()
        await user.items.append(made.id, says("first"), expected_revision=made.revision)
        before = await everything_of(user)
        with pytest.raises(RevisionConflict):
            await user.items.append(made.id, says("second"), expected_revision=made.revision)
        assert await everything_of(user) == before
        with pytest.raises(NotFound):
            await user.items.append(uuid.uuid4(), says("third"), expected_revision=made.revision)

    async def test_the_callers_items_may_change_afterwards(self, user):
        made = await user.conversations.create()
        item = numbered(1)[0]
        await user.items.append(made.id, [item])
        item["number"] = 2
        assert (await user.items.get(made.id, 1)).item == {"type": "note", "number": 1}


class TestPublicIds:
    async def test_an_item_announced_before_is_found_by_its_id(self, user):
        made = await user.conversations.create(items=numbered(1))
        raw = mint()
        (stored,) = await user.items.append(made.id, [MessageCreate(numbered(1)[0], public_id=raw)])
        assert stored.public_id == raw
        assert await user.items.get(made.id, raw) == stored == await user.items.get(made.id, stored.position)

    async def test_an_id_of_another_conversation_is_a_missing_one(self, user):
        first, second = await user.conversations.create(), await user.conversations.create()
        raw = mint()
        await user.items.append(first.id, [MessageCreate(numbered(1)[0], public_id=raw)])
        with pytest.raises(NotFound, match=r"^item "):
            await user.items.get(second.id, raw)

    async def test_an_item_is_found_wherever_it_is_by_either_name_and_in_the_order_asked(self, user):
        raw, unknown = mint(), mint()
        first = await user.conversations.create(items=says("Hi"))
        second = await user.conversations.create(items=[MessageCreate(numbered(1)[0], public_id=raw)])
        names = [raw, (first.id, 1), unknown, (second.id, 1), (first.id, 2), (first.id, 2**63), (uuid.uuid4(), 1)]
        announced, said = await user.items.get(second.id, 1), await user.items.get(first.id, 1)
        assert await user.items.find(names) == [announced, said, None, announced, None, None, None]
        assert await user.items.find([]) == []

    async def test_an_item_without_such_an_id_has_none(self, user):
        made = await user.conversations.create()
        (stored,) = await user.items.append(made.id, says("Hi"))
        assert stored.public_id is None

    @pytest.mark.parametrize("order, expected", [("asc", [4, 5]), ("desc", [2, 1])])
    async def test_a_page_may_start_after_one(self, user, order, expected):
        made = await user.conversations.create(items=numbered(2))
        raw = mint()
        await user.items.append(made.id, [MessageCreate(numbered(1)[0], public_id=raw), *numbered(2)])
        assert positions((await user.items.list(made.id, after=raw, order=order)).data) == expected

    async def test_a_page_cannot_start_after_a_missing_one(self, user):
        made = await user.conversations.create(items=numbered(2))
        with pytest.raises(NotFound, match=r"^item "):
            await user.items.list(made.id, after=mint())


class TestGet:
    @pytest.mark.parametrize("position", [0, -1, 10, 2**31, 2**63 - 1, 2**63, BEYOND, -BEYOND])
    async def test_a_position_that_nothing_stands_at_is_missing(self, user, position):
        with pytest.raises(NotFound, match=r"^item "):
            await user.items.get(await nine(user), position)

    async def test_every_item_is_found_by_its_position(self, user):
        conversation_id = await nine(user)
        for stored in await walk_items(user, conversation_id):
            assert await user.items.get(conversation_id, stored.position) == stored


class TestList:
    @pytest.mark.parametrize("limit", [1, 2, 4, 8, 9, 10, 1000])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_a_walk_sees_each_item_once_in_order(self, user, limit, order):
        walked = positions(await walk_items(user, await nine(user), limit=limit, order=order))
        assert walked == sorted(range(1, 10), reverse=order == "desc")

    @pytest.mark.parametrize("limit, has_more", [(8, True), (9, False), (10, False)])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_has_more_says_whether_anything_follows(self, user, limit, has_more, order):
        page = await user.items.list(await nine(user), limit=limit, order=order)
        assert (len(page.data), page.has_more) == (min(limit, 9), has_more)

    async def test_the_first_twenty_are_returned_unless_asked_otherwise(self, user):
        made = await user.conversations.create(items=numbered(21))
        page = await user.items.list(made.id)
        assert (positions(page.data), page.has_more) == (list(range(1, 21)), True)

    @pytest.mark.parametrize("order, expected", [("asc", [6, 7, 8, 9]), ("desc", [4, 3, 2, 1])])
    async def test_a_walk_goes_on_after_an_item_that_is_gone(self, user, order, expected):
        conversation_id = await nine(user)
        await user.items.delete(conversation_id, 5)
        page = await user.items.list(conversation_id, after=5, order=order)
        assert (positions(page.data), page.has_more) == (expected, False)

    @pytest.mark.parametrize("after", [-BEYOND, -1, 0, 9, 10, 2**63 - 1, 2**63, BEYOND])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_after_may_be_any_whole_number(self, user, after, order):
        page = await user.items.list(await nine(user), after=after, order=order)
        follows = {"asc": lambda position: position > after, "desc": lambda position: position < after}[order]
        assert positions(page.data) == sorted(filter(follows, range(1, 10)), reverse=order == "desc")

    async def test_an_empty_conversation_has_an_empty_page(self, user):
        made = await user.conversations.create()
        assert await user.items.list(made.id) == Page([], has_more=False)
        assert await user.items.list(made.id, after=5, order="desc") == Page([], has_more=False)

    @pytest.mark.parametrize(
        "page",
        [{}, {"after": 3}, {"order": "desc", "limit": 1}, {"after": mint()}],
        ids=["first", "after", "last", "after public id"],
    )
    async def test_a_missing_conversation_raises(self, user, page):
        with pytest.raises(NotFound):
            await user.items.list(uuid.uuid4(), **page)

    @pytest.mark.parametrize("limit", [0, -1, 1001, True, "20", None])
    async def test_a_limit_that_is_none_is_refused_by_name(self, user, limit):
        conversation_id = await nine(user)
        with pytest.raises(InvalidInput) as caught:
            await user.items.list(conversation_id, limit=limit)
        assert caught.value.param == "limit"

    @pytest.mark.parametrize("order", ["", "ASC", "random()", None])
    async def test_an_order_that_is_none_is_refused_by_name(self, user, order):
        conversation_id = await nine(user)
        with pytest.raises(InvalidInput) as caught:
            await user.items.list(conversation_id, order=order)
        assert caught.value.param == "order"


class TestLast:
    @pytest.mark.parametrize(
        "limit, expected", [(0, []), (1, [9]), (3, [7, 8, 9]), (9, list(range(1, 10))), (1_000_000, list(range(1, 10)))]
    )
    async def test_the_newest_come_oldest_first(self, user, limit, expected):
        assert positions(await user.items.last(await nine(user), limit)) == expected

    async def test_the_newest_are_counted_without_the_deleted(self, user):
        conversation_id = await nine(user)
        await user.items.delete(conversation_id, 8)
        assert positions(await user.items.last(conversation_id, 3)) == [6, 7, 9]

    async def test_they_are_what_the_pages_show(self, user):
        conversation_id = await nine(user)
        assert await user.items.last(conversation_id, 9) == await walk_items(user, conversation_id)

    @pytest.mark.parametrize("limit", [0, 5])
    async def test_a_missing_conversation_raises(self, user, limit):
        with pytest.raises(NotFound):
            await user.items.last(uuid.uuid4(), limit)

    @pytest.mark.parametrize("limit", [-1, 1_000_001, True, "5", None])
    async def test_a_limit_that_is_none_is_refused_by_name(self, user, limit):
        conversation_id = await nine(user)
        with pytest.raises(InvalidInput) as caught:
            await user.items.last(conversation_id, limit)
        assert caught.value.param == "limit"


class TestDelete:
    async def test_the_item_is_gone_and_the_others_stay_where_they_are(self, user):
        conversation_id = await nine(user)
        kept = [item for item in await walk_items(user, conversation_id) if item.position != 5]
        removal = await user.items.delete(conversation_id, 5)
        assert removal.deleted is True
        assert await walk_items(user, conversation_id) == kept
        with pytest.raises(NotFound, match=r"^item "):
            await user.items.get(conversation_id, 5)

    async def test_the_conversation_is_returned_as_it_is_now(self, user):
        made = await user.conversations.create(items=numbered(3))
        removal = await user.items.delete(made.id, 3)
        assert removal.conversation == await user.conversations.get(made.id)
        assert removal.conversation.message_count == 2
        assert removal.conversation.revision > made.revision
        assert removal.conversation.updated_at > made.updated_at

    @pytest.mark.parametrize(
        "ref",
        [0, -1, 10, 2**63, BEYOND, mint()],
        ids=["zero", "negative", "unused", "beyond 63 bits", "beyond 64 bits", "a public id"],
    )
    async def test_what_is_not_there_is_not_deleted_and_nothing_changes(self, user, ref):
        made = await user.conversations.create(items=numbered(9))
        assert await user.items.delete(made.id, ref) == (made, False)
        assert await user.conversations.get(made.id) == made

    async def test_the_second_deletion_finds_nothing(self, user):
        conversation_id = await nine(user)
        first = await user.items.delete(conversation_id, 5)
        assert await user.items.delete(conversation_id, 5) == (first.conversation, False)

    async def test_an_item_is_deleted_by_its_public_id(self, user):
        made = await user.conversations.create(items=numbered(1))
        raw = mint()
        await user.items.append(made.id, [MessageCreate(numbered(1)[0], public_id=raw)])
        assert (await user.items.delete(made.id, raw)).deleted is True
        assert positions(await walk_items(user, made.id)) == [1]

    @pytest.mark.parametrize("gone", [[5], [9], [8, 9], [9, 8, 7], list(range(1, 10))], ids=str)
    async def test_a_deleted_position_is_never_given_again(self, user, gone):
        conversation_id = await nine(user)
        for position in gone:
            await user.items.delete(conversation_id, position)
        assert positions(await user.items.append(conversation_id, numbered(2))) == [10, 11]
        assert (await user.conversations.get(conversation_id)).message_count == 11 - len(gone)

    async def test_a_missing_conversation_raises(self, user):
        with pytest.raises(NotFound, match=r"^conversation "):
            await user.items.delete(uuid.uuid4(), 1)
