"""Items come back exactly, or are refused by name."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given

from hansard.errors import InvalidInput, TooLarge
from hansard.models.limits import ITEM_BYTES, storable
from hansard.models.verbatim import ROLES, ItemColumns, decode_item, encode_item, message_item
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

PAIR = "\ud83d\ude00"


def size_of(item: dict[str, Any]) -> int:
    return len(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def circular() -> dict[str, Any]:
    item: dict[str, Any] = user_says("round and round")
    item["self"] = item
    return item


@given(json_items())
def test_any_json_object_comes_back_exactly(item):
    assert exact(decode_item(encode_item(item))) == exact(item)


@given(almost_plain_messages())
def test_a_message_that_is_almost_plain_comes_back_exactly(item):
    assert exact(decode_item(encode_item(item))) == exact(item)


@given(json_items() | almost_plain_messages())
def test_every_column_can_be_stored_as_text_by_every_database(item):
    columns = encode_item(item)
    assert all(storable(text) for text in columns if text is not None)
    assert columns.payload is None or columns.payload.isascii()


@given(json_items())
def test_encoding_leaves_the_callers_item_alone(item):
    before = copy.deepcopy(item)
    encode_item(item)
    assert exact(item) == exact(before)


@pytest.mark.parametrize("text", HARD_STRINGS.values(), ids=HARD_STRINGS)
@pytest.mark.parametrize("shape", [user_says, lambda text: message_item("assistant", "completed", text)])
def test_a_hard_string_comes_back_to_the_code_point(shape, text):
    assert exact(decode_item(encode_item(shape(text)))) == exact(shape(text))


@pytest.mark.parametrize("text", HARD_STRINGS.values(), ids=HARD_STRINGS)
def test_a_hard_string_may_be_a_key(text):
    item = {"type": "note", "of": {text: text}}
    assert exact(decode_item(encode_item(item))) == exact(item)


def test_naughty_strings_come_back_to_the_code_point():
    strings = naughty_strings()
    assert len(strings) > 400
    assert [decode_item(encode_item(user_says(text)))["content"] for text in strings] == list(strings)


@pytest.mark.parametrize(
    "number",
    [-0.0, 1e308, 5e-324, 0.1, 1.0, 1e22, 2**53 + 1, -(2**64), 10**3999 + 7, -(10**3999), True, False],
    ids=lambda number: repr(number)[:12],
)
def test_a_number_keeps_its_value_and_its_type(number):
    assert exact(decode_item(encode_item({"n": number}))) == exact({"n": number})


PLAIN = message_item("assistant", "completed", "Hi")
PART = PLAIN["content"][0]


@pytest.mark.parametrize(
    "item",
    [
        dict(reversed(PLAIN.items())),
        PLAIN | {"content": [dict(reversed(PART.items()))]},
        PLAIN | {"content": [PART | {"annotations": None}]},
        PLAIN | {"content": [PART | {"logprobs": [{}]}]},
        PLAIN | {"content": [PART | {"extra": None}]},
        PLAIN | {"content": [PART, PART]},
        PLAIN | {"content": []},
        PLAIN | {"content": "Hi"},
        PLAIN | {"content": [{"type": "input_text", "text": "Hi"}]},
        PLAIN | {"role": "user"},
        PLAIN | {"status": None},
        PLAIN | {"status": ""},
        PLAIN | {"id": "msg_1"},
        PLAIN | {"type": "note"},
        {"content": "Hi", "role": "user"},
        {"role": "user", "content": None},
        {"role": "user", "content": "Hi", "name": "x"},
        {"role": "captain", "content": "Hi"},
        {"role": "user"},
        {},
    ],
    ids=lambda item: str(item)[:60],
)
def test_a_neighbour_of_a_plain_message_comes_back_exactly(item):
    columns = encode_item(item)
    assert exact(decode_item(columns)) == exact(item)
    assert columns.payload is not None


@pytest.mark.parametrize("role", sorted(ROLES))
def test_plain_messages_need_no_payload(role):
    assert encode_item({"role": role, "content": "Hi"}) == ItemColumns("message", role, None, "Hi", None)
    full = message_item(role, "completed", "Hi")
    assert encode_item(full) == ItemColumns("message", role, "completed", "Hi", None)


def test_a_decoded_item_is_a_fresh_object_every_time():
    columns = encode_item({"type": "note", "tags": []})
    decode_item(columns)["tags"].append("changed")
    assert decode_item(columns) == {"type": "note", "tags": []}


@pytest.mark.parametrize(
    "item, content",
    [
        (user_says("a\x00b\ud800c"), "a\ufffdb\ufffdc"),
        (user_says("\udc00\ud800"), "\ufffd\ufffd"),
        (user_says("\ufeffa\x00"), "\ufeffa\ufffd"),
        (
            {"role": "user", "content": [{"text": "one"}, {"refusal": "two"}, "three", {"image_url": "x"}]},
            "one\ntwo\nthree",
        ),
        ({"type": "function_call", "name": "add", "arguments": "{}", "call_id": "c"}, "add\n{}"),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "because"}]}, "because"),
        ({"type": "a type of tomorrow", "blob": "x"}, ""),
    ],
)
def test_content_is_the_readable_text(item, content):
    assert encode_item(item).content == content


@pytest.mark.parametrize("filler", ["x", "\u00e9", "\u20ac", "\U0001f984", "\ud800", "\x00", "\x01", '"', "\x7f"])
@pytest.mark.parametrize("extra", [{}, {"type": "message"}, {"note": PAIR}], ids=["plain", "payload", "paired"])
def test_an_item_of_exactly_the_limit_is_kept_and_one_byte_more_is_refused(filler, extra):
    item = of_bytes(5000, filler=filler) | extra
    limit = size_of(item)
    assert exact(decode_item(encode_item(item, limit=limit))) == exact(item)
    with pytest.raises(TooLarge, match=rf"item has {limit} bytes; the limit of one item is {limit - 1}\b"):
        encode_item(item, limit=limit - 1)


def test_an_unreadable_status_counts_against_the_limit():
    item = message_item("assistant", "\x01" * 32, "\x01" * 100)
    with pytest.raises(TooLarge):
        encode_item(item, limit=size_of(item) - 1)


def test_the_limit_is_a_mebibyte_unless_another_is_given():
    assert size_of(of_bytes(ITEM_BYTES)) == 1024 * 1024
    encode_item(of_bytes(ITEM_BYTES))
    with pytest.raises(TooLarge):
        encode_item(of_bytes(ITEM_BYTES + 1))


@pytest.mark.parametrize(
    "item",
    [
        {"a": ("tuple",)},
        {"a": {1: "integer key"}},
        {"a": {None: "null key"}},
        {"a": {1: "one", "1": "same key"}},
        {2: "integer key at the top"},
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": -math.inf},
        {"a": b"bytes"},
        {"a": {"a set"}},
        {"a": ...},
        {"a": 1j},
        circular(),
        {"a": ("tuple beside a pair",), "b": PAIR},
        {"a": {1: "integer key beside a pair"}, "b": PAIR},
    ],
    ids=lambda item: str(item)[:40].encode("ascii", "replace").decode(),
)
def test_what_json_cannot_say_exactly_is_refused(item):
    with pytest.raises(InvalidInput, match=r"^items\[3\] must be exact JSON") as caught:
        encode_item(item, param="items[3]")
    assert (caught.value.param, caught.value.code) == ("items[3]", "invalid_json_value")


@pytest.mark.parametrize("item", [None, [], "text", 1, [("role", "user")], user_says("x").items()])
def test_only_an_object_is_an_item(item):
    with pytest.raises(InvalidInput, match="must be a JSON object"):
        encode_item(item)


@pytest.mark.parametrize("extra", [{}, {"pair": PAIR}], ids=["plain", "paired"])
def test_a_hundred_levels_are_kept_and_one_more_is_refused(extra):
    item = nested(100) | extra
    assert exact(decode_item(encode_item(item))) == exact(item)
    for levels in (101, 10_001):
        with pytest.raises(InvalidInput, match="nested too deeply; the limit is 100 levels"):
            encode_item(nested(levels) | extra)


def test_many_brackets_are_not_depth():
    item = {"flat": [[] for _ in range(1000)], "text": "{[" * 1000}
    assert decode_item(encode_item(item)) == item


@pytest.mark.parametrize("kind", ["", "x" * 65, "a\x00", "\ud800", 1, None, ["message"]])
def test_a_type_that_is_no_name_is_refused(kind):
    with pytest.raises(InvalidInput, match=r"items\[0\]\.type must be a string of 1 to 64") as caught:
        encode_item({"type": kind}, param="items[0]")
    assert caught.value.param == "items[0].type"


@pytest.mark.parametrize("status", ["x" * 33, "a\x00", "\ud800"])
def test_a_status_that_is_no_name_is_refused(status):
    with pytest.raises(InvalidInput, match=r"item\.status must be a string of at most 32"):
        encode_item({"type": "message", "status": status})


@pytest.mark.parametrize("role", ["captain", "", 1, None, ["user"], {"a": 1}])
def test_an_unknown_role_is_kept_in_the_item_but_not_in_the_column(role):
    item = {"role": role, "content": "Aye"}
    columns = encode_item(item)
    assert columns.role is None
    assert exact(decode_item(columns)) == exact(item)
