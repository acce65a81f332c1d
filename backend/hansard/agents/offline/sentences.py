"""Read plain sentences: what does this person want from their tasks?

Every rule is one pattern for a whole sentence. They are tried in order, so a rule may trust the ones before it.
Whitespace is collapsed first and only the head of a very long text is read: that keeps matching quick.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from hansard.agents.offline.intents import Add, Complete, Courtesy, Delete, Help, Intent, More, Rename, Reopen, Show
from hansard.agents.offline.listing import read_listing

_HEAD = 1000
_READINGS = 6

_OPENING = re.compile(
    r"(?:(?:(?:hey|hi|hello)(?: there)?|ok|okay|alright|right|well|so|now|and|then|also|please|pls|kindly|just"
    r"|assistant|good (?:morning|afternoon|evening|day)|go ahead and|let'?s|let me|i wanna|i want to|i want you to"
    r"|i(?:'d| would) like (?:you )?to|(?:can|could|would|will) (?:you|we|i))\b[ ,.:;!\u2013\u2014-]*)+",
    re.IGNORECASE,
)
_ASKING = re.compile(r"(?:can|could|would|will) (?:you|we|i)\b", re.IGNORECASE)
_CLOSING = re.compile(r"(?:[ ,]+(?:please|pls|thanks|thank you))+[ .!]*$", re.IGNORECASE)
_FULL_STOP = re.compile(r"(?<![.!])[.!]$")
_QUOTE = r"[\"'`\u2018\u2019\u201c\u201d\u201e\xab\xbb\u2039\u203a]"
_QUOTED = re.compile(rf"{_QUOTE}(.+){_QUOTE}")

_LIST = r"(?:my|the|our|this|your) (?:[\w-]+ ){0,2}(?:list|tasks|to-?dos)"
_NOUN = r"(?:task|to-?do|reminder|item|entry)s?(?: (?:item|task|entry))?"
_DONE = r"(?:done|complete|completed|finished|closed)"
_NOT_DONE = (
    r"(?:not (?:yet )?(?:done|complete|completed|finished)"
    r"|undone|open|incomplete|unfinished|uncompleted|unchecked|pending|to-?do)"
)
_IS_NOT = r"(?: is not| isn'?t| was not| wasn'?t| are not| aren'?t|'s not)(?: yet| actually| really)*"
_IS = r"(?: is| are| was| were| has been| have been|'s)?(?: now| already| all)*"

_TO_LIST = re.compile(rf" (?:to|on|onto|in|into) {_LIST}$", re.IGNORECASE)
_FROM_LIST = re.compile(rf" (?:from|off|off of|on) {_LIST}$", re.IGNORECASE)
_CONNECTOR = re.compile(
    r" ?(?:[:,\u2013\u2014-]"
    r"|(?:called|named|titled|entitled|saying|that says|with (?:the )?title|for me to|to|for|about)\b)[: ]*",
    re.IGNORECASE,
)
_TITLE_OF = re.compile(r"(?:the )?(?:title|name|text|wording) of ", re.IGNORECASE)
_INTO = re.compile(r" ?(?:->|=>|\u2192) ?| (?:to|into|as) ", re.IGNORECASE)
_QUOTED_INTO = re.compile(
    rf"({_QUOTE}.+?{_QUOTE}|\S+) ?(?:->|=>|\u2192|to|into|as|with)? ?({_QUOTE}.+{_QUOTE})", re.IGNORECASE
)

_Build: TypeAlias = Callable[[str], "Intent | None"]


def parse(text: str) -> Intent:
    """Return what a sentence asks for; `Help` with ``asked=False`` when it is none of ours."""
    plain = " ".join(text.split())
    intent = _parse(plain[:_HEAD])
    if isinstance(intent, Add) and len(plain) > _HEAD:
        # Too long for a title in any case; with all of it the refusal can name the true length.
        return replace(intent, title=intent.title + plain[_HEAD:])
    return intent


def unquote(text: str) -> str:
    """Return text without the quotes around it."""
    text = text.strip()
    quoted = _QUOTED.fullmatch(text)
    return quoted[1].strip() if quoted else text


def _parse(plain: str) -> Intent:
    sentence = _without_courtesies(plain)
    if not sentence:
        return Help(asked=True)
    straight = _straight(sentence)
    for pattern, build in _RULES:
        match = pattern.fullmatch(straight)
        intent = build(sentence[slice(*match.span("rest"))].strip()) if match else None
        if intent is not None:
            return intent
    return Help(asked=False)


def _without_courtesies(plain: str) -> str:
    opening = _OPENING.match(_straight(plain))
    sentence = plain[opening.end() :] if opening else plain
    if opening and _ASKING.search(opening[0]):
        sentence = sentence.rstrip("?")
    return _FULL_STOP.sub("", _CLOSING.sub("", sentence)).rstrip()


def _straight(text: str) -> str:
    """Return text with typewriter apostrophes, the only ones that the patterns know; no index changes."""
    return text.replace("\u2019", "'")


def _add(rest: str) -> Add:
    return Add(unquote(_TO_LIST.sub("", rest)))


def _add_after_noun(rest: str) -> Add:
    if _TO_LIST.fullmatch(" " + rest):
        return Add("")
    return _add(_CONNECTOR.sub("", rest, count=1) if _CONNECTOR.match(rest) else rest)


def _need(rest: str) -> Intent:
    """Read on after "I need to": that is a new task, unless it is about adding or seeing tasks itself."""
    intent = _parse(rest)
    return intent if isinstance(intent, Add | Show | More) else _add(rest)


def _target(rest: str) -> str:
    return unquote(_FROM_LIST.sub("", rest))


def _complete(rest: str) -> Complete:
    return Complete(_target(rest))


def _reopen(rest: str) -> Reopen:
    return Reopen(_target(rest))


def _delete(rest: str) -> Delete:
    return Delete(_target(rest))


def _rename(rest: str) -> Rename:
    rest = _TITLE_OF.sub("", rest, count=1)
    quoted = _QUOTED_INTO.fullmatch(rest)
    if quoted:
        return Rename(((unquote(quoted[1]), unquote(quoted[2])),))
    cuts = list(_INTO.finditer(rest))[:_READINGS]
    readings = tuple((unquote(rest[: cut.start()]), unquote(rest[cut.end() :])) for cut in reversed(cuts))
    return Rename(readings or ((unquote(rest), ""),))


def _rules(*rules: tuple[_Build, str]) -> list[tuple[re.Pattern[str], _Build]]:
    """Compile the rules; one that captures nothing hands an empty rest on."""
    return [
        (re.compile(pattern if "<rest>" in pattern else rf"(?:{pattern})(?P<rest>)", re.IGNORECASE), build)
        for build, pattern in rules
    ]


_RULES = _rules(
    (
        lambda _: Help(asked=True),
        (
            r"help(?: me)?\?*|\?+|commands?|menu|usage|(?:who|what) are you\?*|what do you do\?*"
            r"|what (?:can|could|should) (?:you|i) (?:do|say|ask|type|write)(?: for me| here| with you| to you)?\?*"
            r"|how (?:does|do|can|to) .+|show(?: me)?(?: the| your)? (?:help|commands)"
        ),
    ),
    (
        lambda _: Courtesy(),
        (
            r"(?:(?:many|great|perfect),? )?(?:thanks?|thank you|thx|cheers)(?: a lot| so much| very much)?"
            r"|great|perfect|nice|cool|awesome|wonderful|well done|good job"
        ),
    ),
    (
        lambda _: More(),
        (
            r"(?:(?:show|list|see|give|tell)(?: me)? )?(?:some )?(?:more|the rest|(?:the )?next(?: ones| page)?)"
            r"(?: tasks| to-?dos| items)?\?*|continue|go on"
        ),
    ),
    (_add, rf"(?:add|put|note)(?: down)? (?:to|on|onto|in) {_LIST} ?[:,-]?(?P<rest>.*)"),
    (
        _add_after_noun,
        (
            r"(?:add|create|make|new|set up|insert|enter|(?:put|write|note|jot)(?: down)?)(?: me)?"
            rf" (?:(?:a|an|another|one|the|this|my|new|following|more) )*{_NOUN}\b(?P<rest>.*)"
        ),
    ),
    (_add, r"(?:add|append)\b[:,]?(?P<rest>.*)"),
    (_add, rf"(?:put|write|note|jot)(?: down)? (?P<rest>.+ (?:on|onto|in|into|to) {_LIST})"),
    (_add, r"(?:to-?do|task|reminder|note|new) ?(?::| [\u2013\u2014-] )(?P<rest>.+)"),
    (_add, r"remind me(?: to| about| of| that)?\b[:,]?(?P<rest>.*)"),
    (_add, r"(?:don'?t|do not|never) (?:let me )?forget(?: to| about| that)?\b[:,]?(?P<rest>.+)"),
    (_add, r"(?:remember to|make sure (?:that )?i) (?P<rest>.+)"),
    (_complete, r"do|done|finished|(?:i|i've|i have|i'm) (?:done|did|finished)"),
    (read_listing, r"(?P<rest>[^:]*)"),
    (
        _need,
        (
            r"i(?: really| also| still)?"
            r"(?:'ve got to| have got to| need to| have to| ought to| got to| gotta| must| should) (?P<rest>.+)"
        ),
    ),
    (_reopen, rf"(?:mark|set|flag|change|move|put) (?P<rest>.+?)(?: back)?(?: as| to| =)? {_NOT_DONE}(?: again)?"),
    (_reopen, r"(?:re-?open|uncheck|untick|undo|uncomplete|unmark|restore|reactivate|reset)\b:?(?P<rest>.*)"),
    (_reopen, rf"(?P<rest>.+?){_IS_NOT} {_DONE}(?: yet| after all)?"),
    (
        _reopen,
        (
            r"i (?:haven'?t|have not|didn'?t|did not)(?: yet| actually| really)*"
            r" (?:done|do|finished|finish|completed|complete)(?: with)? (?P<rest>.+?)(?: yet| after all)?"
        ),
    ),
    (_complete, rf"(?:mark|set|flag|change|move|tick|check) (?P<rest>.+?)(?: off)?(?: as| to| =)? {_DONE}"),
    (_complete, r"(?:check|tick|cross|strike|scratch|mark) (?:off|out) (?P<rest>.+)"),
    (_complete, rf"(?:check|tick|cross|strike|scratch) (?P<rest>.+?) (?:off|out)(?: (?:from |of )?{_LIST})?"),
    (
        _complete,
        (
            r"i(?:'ve| have|'m| am)?(?: just| already| now| finally)*"
            r" (?:done|did|completed|finished)(?: with)?\b:? (?P<rest>.+?)(?: already| now)?"
        ),
    ),
    (
        _complete,
        r"(?:complete|completed|finish|finished|close|resolve|accomplish|tick|done with|done|did)\b:?(?P<rest>.*)",
    ),
    (_rename, r"(?:rename|retitle|re-?word|rephrase|change|edit|update|modify|correct)\b:?(?P<rest>.*)"),
    (_delete, rf"take (?P<rest>.+? off(?: of)? {_LIST})"),
    (
        _delete,
        (
            r"(?:delete|remove|drop|erase|discard|trash|scrap|cancel|clear|get rid of|throw (?:away|out)|del|rm)\b"
            r":?(?P<rest>.*)"
        ),
    ),
    (_complete, rf"(?P<rest>.+?){_IS} {_DONE}(?: now| already)?"),
)
