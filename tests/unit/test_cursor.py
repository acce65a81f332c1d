"""A cursor opens where it was sealed, unaltered, and nowhere else."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hansard.utils.cursor import CursorSealer

sealer = CursorSealer(b"a key of any length")
scalars = st.text() | st.integers() | st.booleans() | st.none()
lists = st.lists(scalars, max_size=4)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(lists, lists)
def test_what_was_sealed_is_opened(values, context):
    opened = sealer.open(sealer.seal(values, context=context), context=context)
    assert repr(opened) == repr(values)


@given(lists, lists, lists)
def test_another_context_does_not_open_it(values, context, other):
    assume(repr(context) != repr(other))
    assert sealer.open(sealer.seal(values, context=context), context=other) is None


@given(lists)
def test_another_key_does_not_open_it(values):
    sealed = sealer.seal(values, context=["alice"])
    assert CursorSealer(b"another key").open(sealed, context=["alice"]) is None


@given(st.data())
def test_no_altered_cursor_opens(data):
    sealed = sealer.seal(["2026-01-01", 7], context=["alice", False])
    at = data.draw(st.integers(0, len(sealed) - 1))
    altered = sealed[:at] + data.draw(st.sampled_from(ALPHABET).filter(lambda c: c != sealed[at])) + sealed[at + 1 :]
    assert sealer.open(altered, context=["alice", False]) is None


@pytest.mark.parametrize("junk", ["=", "==", "!", "\n", " ", "A", "%3D"])
@pytest.mark.parametrize("place", ["before", "inside", "behind"])
def test_a_cursor_has_one_spelling(junk, place):
    sealed = sealer.seal(["x"], context=[])
    at = {"before": 0, "inside": 4, "behind": len(sealed)}[place]
    assert sealer.open(sealed[:at] + junk + sealed[at:], context=[]) is None


@given(st.text(st.characters(exclude_categories=())))
def test_any_other_text_is_refused_quietly(text):
    assert sealer.open(text, context=[]) is None


@given(st.integers(0, 60))
def test_a_shortened_cursor_is_refused(length):
    sealed = sealer.seal(["2026-01-01", "0192f0c1"], context=[])
    assume(length < len(sealed))
    assert sealer.open(sealed[:length], context=[]) is None


@given(lists)
def test_a_cursor_needs_no_escaping_in_a_url(values):
    assert set(sealer.seal(values, context=[])) <= set(ALPHABET)
