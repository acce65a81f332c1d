"""What was stored comes back exactly, from every method that returns items."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansard.errors import InvalidInput, TooLarge
from hansard.models.limits import ITEM_BYTES
from hansard.models.verbatim import message_item
from hansard.store.sql import SqlStore
from tests.support.items import (
    HARD_STRINGS,
    almost_plain_messages,
    exact,
    json_items,
    naughty_strings,
    nested,
    of_bytes,
    user_says,
)
from tests.support.store_steps import everything_of, numbered, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def assert_kept(user, items):
    """Store items and read them back in every way."""
    made = await user.conversations.create()
    returned = await user.items.append(made.id, items)
    expected = exact(items)
    assert exact([stored.item for stored in returned]) == expected
    assert exact([stored.item for stored in await walk_items(user, made.id)]) == expected
    assert exact([stored.item for stored in await user.items.last(made.id, len(items))]) == expected
    one = await user.items.get(made.id, len(items))
    assert exact(one.item) == exact(items[-1])
    assert one == returned[-1]


@given(st.lists(json_items() | almost_plain_messages(), min_size=1, max_size=5))
@settings(max_examples=60)
async def test_any_items_come_back_exactly(user, items):
    await assert_kept(user, items)


@pytest.mark.parametrize("text", HARD_STRINGS.values(), ids=HARD_STRINGS)
async def test_a_hard_string_comes_back_to_the_code_point(user, text):
    await assert_kept(
        user,
        [
            user_says(text),
            message_item("assistant", "completed", text),
            {"type": "function_call_output", "call_id": text, "output": text},
            {"type": "note", text: {text: [text]}},
        ],
    )


async def test_naughty_strings_come_back_to_the_code_point(user):
    await assert_kept(user, [user_says(text) for text in naughty_strings()])


async def test_numbers_keep_value_and_type(user):
    numbers = [-0.0, 0, 1, 1.0, True, 1e308, 5e-324, 2**53 + 1, -(2**64), 10**3999 + 7, 0.1 + 0.2]
    await assert_kept(user, [{"type": "note", "numbers": numbers}])


async def test_a_hundred_levels_are_kept(user):
    await assert_kept(user, [nested(100)])


@pytest.mark.parametrize("filler", ["x", "\x00", "\U0001f984", "\ud800"], ids=ascii)
async def test_an_item_of_exactly_a_mebibyte_is_kept_and_one_byte_more_is_refused(user, filler):
    await assert_kept(user, [of_bytes(ITEM_BYTES, filler=filler)])
    made = await user.conversations.create(items=numbered(1))
    before = await everything_of(user)
    with pytest.raises(
        TooLarge, match=rf"items\[1\] has {ITEM_BYTES + 1} bytes; the limit of one item is {ITEM_BYTES}"
    ):
        await user.items.append(made.id, [*numbered(1), of_bytes(ITEM_BYTES + 1, filler=filler)])
    assert await everything_of(user) == before


async def test_another_limit_may_be_set(database, user):
    store = SqlStore(database, max_item_bytes=100)
    small = store.for_user(user.user_id)
    await assert_kept(small, [of_bytes(100)])
    with pytest.raises(TooLarge, match="the limit of one item is 100"):
        await small.conversations.create(items=[of_bytes(101)])


@pytest.mark.parametrize(
    "item",
    [{"a": (1,)}, {"a": {1: 2}}, {"a": float("nan")}, {"a": float("inf")}, {"a": b"x"}, nested(101), [], "text", None],
    ids=lambda item: ascii(item)[:24],
)
async def test_what_json_cannot_say_exactly_is_refused_and_nothing_is_written(user, item):
    made = await user.conversations.create(items=numbered(1))
    before = await everything_of(user)
    for call in (
        lambda: user.items.append(made.id, [*numbered(1), item]),
        lambda: user.conversations.create(items=[*numbered(1), item]),
    ):
        with pytest.raises(InvalidInput) as caught:
            await call()
        assert caught.value.param == "items[1]"
    assert await everything_of(user) == before


async def test_the_readable_text_lies_in_the_database_as_text(user, observer):
    await user.conversations.create(items=[user_says("Gr\u00fc\u00dfe \U0001f984"), user_says("a\x00b")])
    rows = observer.execute("SELECT content FROM messages WHERE user_id = ? ORDER BY position", user.user_id)
    assert rows == [("Gr\u00fc\u00dfe \U0001f984",), ("a\ufffdb",)]
