"""Cut the part out of a text that shows why it was found."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hansard.models.search import SearchTerm, Segment

SNIPPET_CODE_POINTS = 240
_BEFORE = 60
# What the databases take for part of a word: a letter or a digit.
_LETTER = r"[^\W_]"
_GAP = r"[\W_]+"
_ELLIPSIS = "…"


def marker(
    terms: Sequence[SearchTerm], *, stems: Sequence[str] | None = None, substrings: bool = False
) -> re.Pattern[str]:
    """Return what finds the terms in a text: as whole words, or with ``substrings`` wherever they stand.

    ``stems`` are the beginnings of words that count as well, where a language has forms of words.
    """
    patterns = [_words(term) for term in terms if term.has_words]
    patterns += [_words(SearchTerm(stem, beginning=True)) for stem in stems or ()]
    if substrings:
        patterns += [re.escape(term.text) for term in terms]
    # The longest first, so that a phrase is marked whole; without any, what matches nothing.
    return re.compile("|".join(sorted(patterns, key=len, reverse=True)) or r"(?!)", re.IGNORECASE)


def cut(
    text: str, marks: re.Pattern[str], *, more_before: bool = False, more_after: bool = False
) -> tuple[Segment, ...]:
    """Return about 240 code points around the first match, in pieces that are matches or are not.

    Ellipses stand where text is left out; ``more_before`` and ``more_after`` say that ``text`` itself is a part.
    """
    first = marks.search(text)
    start = _word_start(text, max(0, first.start() - _BEFORE)) if first else 0
    end = _word_end(text, start + SNIPPET_CODE_POINTS)
    segments = _segments(text[start:end], marks)
    if start or more_before:
        segments.insert(0, Segment(_ELLIPSIS, match=False))
    if end < len(text) or more_after:
        segments.append(Segment(_ELLIPSIS, match=False))
    return tuple(segments)


def _words(term: SearchTerm) -> str:
    words = _GAP.join(re.escape(word) for word in re.split(_GAP, term.text) if word)
    return f"(?<!{_LETTER}){words}" + (f"{_LETTER}*" if term.beginning else f"(?!{_LETTER})")


def _segments(text: str, marks: re.Pattern[str]) -> list[Segment]:
    segments: list[Segment] = []
    done = 0
    for match in marks.finditer(text):
        segments += [Segment(text[done : match.start()], match=False), Segment(match[0], match=True)]
        done = match.end()
    segments.append(Segment(text[done:], match=False))
    return [segment for segment in segments if segment.text]


def _word_start(text: str, at: int) -> int:
    if at == 0:
        return 0
    space = re.search(r"\s", text[at : at + _BEFORE // 2])
    return at + space.end() if space else at


def _word_end(text: str, at: int) -> int:
    if at >= len(text):
        return len(text)
    space = re.search(r"\s(?=\S*$)", text[at - _BEFORE // 2 : at])
    return at - _BEFORE // 2 + space.start() if space else at
