"""Snippets show the first match with what stands around it, verbatim, in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.models.search import SearchTerm, parse_query
from hansard.store.snippets import SNIPPET_CODE_POINTS, cut, marker


def shown(text, query, *, substrings=False, **more):
    marks = marker(parse_query(query).wanted, substrings=substrings)
    return "".join(f"[{piece.text}]" if piece.match else piece.text for piece in cut(text, marks, **more))


@pytest.mark.parametrize(
    "text, query, expected",
    [
        ("Buy milk", "milk", "Buy [milk]"),
        ("milk, Milk and MILK", "milk", "[milk], [Milk] and [MILK]"),
        ("milkman", "milk", "milkman"),
        ("milkman", "milk*", "[milkman]"),
        ("the quick, brown fox", '"quick brown"', "the [quick, brown] fox"),
        ("snake_case here", "snake_case", "[snake_case] here"),
        ("read_file", "read", "[read]_file"),
        ("Straße und ÉTÉ", "straße été", "[Straße] und [ÉTÉ]"),
        ("(a+)+$ [x", "a+ x", "([a]+)+$ [[x]"),
        ("nothing here", "milk", "nothing here"),
        ("", "milk", ""),
    ],
)
def test_words_are_marked_whole(text, query, expected):
    assert shown(text, query) == expected


@pytest.mark.parametrize(
    "text, query, expected",
    [
        ("unbelievable", "believ", "un[believ]able"),
        ("我喜欢牛奶。", "牛奶", "我喜欢[牛奶]。"),
        ("a \U0001f984 b", "\U0001f984", "a [\U0001f984] b"),
        ("x(a, b)", "(a,", "x[(a,] b)"),
    ],
)
def test_substrings_are_marked_anywhere(text, query, expected):
    assert shown(text, query, substrings=True) == expected


def test_stems_mark_the_forms_of_a_word():
    marks = marker([SearchTerm("run")], stems=["run"])
    assert [piece.text for piece in cut("he is running", marks) if piece.match] == ["running"]


def test_a_long_text_is_cut_between_words_on_both_sides():
    told = shown("word " * 100 + "milk " + "other " * 100, "milk")
    assert told.startswith("…word ")
    assert told.endswith(" other…")
    assert "[milk]" in told
    assert len(told) < SNIPPET_CODE_POINTS + 10


def test_a_part_of_a_text_says_so():
    assert shown("milk", "milk", more_before=True, more_after=True) == "…[milk]…"


@given(st.text(max_size=2000), st.text(min_size=1, max_size=20).filter(str.strip), st.booleans())
def test_any_text_is_shown_verbatim(text, term, substrings):
    pieces = cut(text, marker([SearchTerm(term)], substrings=substrings))
    joined = "".join(piece.text for piece in pieces if piece.text != "…" or "…" in text)
    assert joined.strip("…") in text
    assert all(piece.text for piece in pieces)
