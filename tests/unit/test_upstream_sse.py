"""Server-sent events are read whole, wherever their bytes are cut, and nothing is gathered without end."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.agents.upstream.failure import AnswerFailed
from hansard.agents.upstream.sse import EventReader

LINE_ENDS = ["\n", "\r\n", "\r"]
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n"), max_size=20)
EVENTS = st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=5)


def read(*pieces: bytes, most_bytes: int = 1000) -> list[str]:
    reader = EventReader(most_bytes=most_bytes)
    return [data for piece in pieces for data in reader.feed(piece)]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(EVENTS, st.sampled_from(LINE_ENDS), st.lists(st.integers(min_value=0), max_size=20))
def test_events_are_the_same_wherever_they_are_cut(events: list[list[str]], end: str, cuts: list[int]):
    noise = f": ping{end}event: x{end}id: 1{end}"
    sent = "".join(noise + "".join(f"data: {line}{end}" for line in event) + end for event in events).encode()
    assert read(*cut(sent, cuts)) == ["\n".join(event) for event in events]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_every_single_byte_may_come_alone(end: str):
    sent = f"\ufeffdata: 1{end}{end}data:é👩‍🚀{end}data{end}dataset: x{end}{end}".encode()
    assert read(*[bytes([byte]) for byte in sent]) == ["1", "é👩‍🚀\n"]


def test_line_separators_of_unicode_do_not_end_lines():
    assert read("data: a\u2028b\u0085c\x0bd\n\n".encode()) == ["a\u2028b\u0085c\x0bd"]


def test_an_event_that_was_cut_off_is_none():
    assert read(b'data: {"a": 1}\n') == []


def test_what_is_no_utf_8_is_refused():
    with pytest.raises(AnswerFailed, match="UTF-8"):
        read("data: ü\n\n".encode("latin-1"))


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 200, b"data: xxxxx\n" * 20, b"x" * 200])
def test_an_event_is_not_gathered_beyond_its_limit(piece: bytes):
    with pytest.raises(AnswerFailed, match="more than 100 bytes"):
        read(piece, most_bytes=100)


def test_pings_and_short_events_may_come_for_ever():
    sent = b": ping\n\nevent: x\ndata: y\n\n"
    assert read(*[sent] * 100, b": ping\n" * 100, most_bytes=100) == ["y"] * 100
