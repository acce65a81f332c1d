"""JSON is read without bending anything, or refused in words for the caller."""

import json

import pytest
from hypothesis import given

from hansard.utils.json_text import DEEPEST, read_json, write_json
from tests.support.items import HARD_STRINGS, exact, json_items, json_values


@given(json_values() | json_items())
def test_what_was_written_is_read_back_exactly(value):
    written = write_json(value)
    # A pair of surrogates held as two code points is the one thing JSON's escapes cannot keep apart.
    assert exact(read_json(written)) == exact(json.loads(json.dumps(value)))
    assert written.isascii()


@pytest.mark.parametrize(
    "text",
    [text for name, text in HARD_STRINGS.items() if "surrogate" not in name and "pair" not in name],
    ids=[name for name in HARD_STRINGS if "surrogate" not in name and "pair" not in name],
)
def test_unescaped_utf8_is_read_to_the_code_point(text):
    assert read_json(json.dumps([text], ensure_ascii=False).encode()) == [text]


def test_lone_surrogates_are_kept():
    assert read_json(rb'"\ud800 \udc00"') == "\ud800 \udc00"


@pytest.mark.parametrize(
    "raw, value",
    [
        (b"12345678901234567890123", 12345678901234567890123),
        (b"-0.0", -0.0),
        (b"1e308", 1e308),
        (b"1E-400", 0.0),
        (b"1.0", 1.0),
    ],
)
def test_numbers_keep_value_and_type(raw, value):
    assert exact(read_json(raw)) == exact(value)


def test_objects_keep_the_order_of_their_keys():
    assert list(read_json(b'{"b":1,"a":2,"":3}')) == ["b", "a", ""]


@pytest.mark.parametrize(
    "raw, says",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"[1] 2", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'"\x01"', "not JSON"),
        (b'"\\x41"', "not JSON"),
        (b"0123", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', r"not UTF-8 \(byte 1\)"),
        (b'"\xed\xa0\x80"', r"not UTF-8 \(byte 1\)"),
        ("{}".encode("utf-16"), r"not UTF-8 \(byte 0\)"),
        (b'{"a":1,"a":1}', "duplicate key"),
        (rb'[{"\u0061":1,"a":2}]', "duplicate key"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e400", "beyond the range of a 64-bit float"),
        (b"-1e400", "beyond the range of a 64-bit float"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), f"nested too deeply; the limit is {DEEPEST} levels"),
        (b"[" * 960 + b"]" * 960, "nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"9" * 5000, "whole number with too many digits"),
        (b"[-" + b"9" * 5000 + b"]", "whole number with too many digits"),
    ],
    ids=lambda value: value[:14].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_is_not_exact_json_is_refused_in_words(raw, says):
    with pytest.raises(ValueError, match=f"^the body .*{says}") as caught:
        read_json(raw)
    assert type(caught.value) is ValueError


def test_what_may_be_read_may_be_written():
    deep = b"[" * DEEPEST + b"]" * DEEPEST
    assert write_json(read_json(deep)) == deep
    flat = b"[" + b"[[]]," * 1000 + b'"[[["]'
    assert write_json(read_json(flat)) == flat


@pytest.mark.parametrize("raw", [b'{"secret":1,"secret":2}', b'["secret', b'"\\qsecret"', b"secret", b'"secret\xff"'])
def test_a_refusal_repeats_nothing_of_the_body(raw):
    with pytest.raises(ValueError, match=r"^the body") as caught:
        read_json(raw)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nothing_that_json_has_no_word_for_is_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": value})
