"""Recognise the many ways of asking to see tasks: a sentence made of nothing but the words of such questions."""

from __future__ import annotations

import re

from hansard.agents.offline.intents import Selection, Show

_WORD = re.compile(r"[\w-]+(?:['\u2019]\w+)?")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPEN = _words("open pending remaining left unfinished incomplete active outstanding undone uncompleted")
_DONE = _words("done completed finished closed accomplished achieved did finish ticked")
_ALL = _words("all every everything whole full entire both")
_NOT = _words("not haven't isn't aren't yet")
_NOUNS = _words("task tasks todo todos to-do to-dos list lists item items reminders agenda anything do")
_FILLERS = _words(
    "list show display see view get print read give tell fetch know check look pull out up at a an the my mine our of"
    " me us i i've i'm have has had got is are was were am be what what's whats which who's how many much there any"
    " some things thing stuff ones one that that's on in for to so far today now currently current again need needs"
    " should must can next please and or does don't your you already just more still"
)
_CUES = _NOUNS | _OPEN | _DONE | _ALL
_VOCABULARY = _CUES | _NOT | _FILLERS


def read_listing(sentence: str) -> Show | None:
    """Return what the sentence wants to see, or ``None`` when any of its words says something else."""
    words = frozenset(word.lower().replace("\u2019", "'") for word in _WORD.findall(sentence))
    if not words <= _VOCABULARY or _CUES.isdisjoint(words):
        return None
    return Show(_selection(words))


def _selection(words: frozenset[str]) -> Selection:
    if words & _DONE and not words & _NOT:
        return "all" if words & _OPEN else "done"
    return "all" if words & _ALL and not words & (_OPEN | _DONE | {"do"}) else "open"
