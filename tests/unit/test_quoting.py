"""Text goes into JSON and comes out again, whatever it is, and JSON stays ASCII."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.api.quoting import quoted

ASCII = "".join(map(chr, range(128)))


@pytest.mark.parametrize("text", ["", ASCII, f"{ASCII}é", 'a "quoted" \\ word', "\ud83d", "\U0001f600\u2028"])
def test_each_kind_of_text_comes_back(text):
    assert quoted(text).isascii()
    assert json.loads(quoted(text)) == text


@given(st.text(st.characters()))
def test_any_text_comes_back(text):
    assert quoted(text).isascii()
    assert json.loads(quoted(text)) == text
