"""Parse Markdown into a tree of a few known elements, within a bounded time and size.

Raw HTML stays text, only web and mail addresses become links, and images become links too. A parser in Python can
be kept busy by a few hostile kilobytes, so every step of it looks at the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Node: TypeAlias = str | dict[str, Any]

TEXT_CODE_POINTS: Final = 100_000
MOST_TEXTS: Final = 100
MOST_NODES: Final = 20_000
# Beyond it the parser leaves out what is nested deeper, so a text that comes near is not shown as Markdown.
_DEEPEST: Final = 60
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PLAIN: Final = frozenset({"p", "ul", "li", "blockquote", "em", "strong", "s", "table", "thead", "tbody", "tr"})
_ALIGNMENTS: Final = {"text-align:left": "left", "text-align:center": "center", "text-align:right": "right"}


class _TooMuch(Exception):
    """Stop at a text that is too deep, too manifold or too slow to parse."""


def parse_markdown(text: str, *, deadline: float) -> list[Node] | None:
    """Return the text as a list of nodes: plain strings, and elements with ``tag``, ``attrs`` and ``children``.

    ``deadline`` is a time of `time.thread_time`: what others do on a busy machine does not count. ``None`` stands for
    a text beyond a limit: show it as it is.
    """
    if len(text) > TEXT_CODE_POINTS:
        return None
    try:
        return _Tree(_parser(deadline).parse(text)).children
    except _TooMuch:
        return None


def _parser(deadline: float) -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only who asks for Markdown waits for it to load

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable(["table", "strikethrough"])
    # A link that is refused here stays as it was written, so nobody misses where it would have led.
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]
    in_time = _watch(deadline)
    # Every loop of the parser tries its rules one after the other; the first of them raises when it is late.
    parser.block.ruler.before("table", "deadline", lambda *_state: in_time())
    parser.inline.ruler.before("text", "deadline", lambda *_state: in_time())
    return parser


def _watch(deadline: float) -> Callable[[], bool]:
    def in_time() -> bool:
        if time.thread_time() > deadline:
            raise _TooMuch
        return False

    return in_time


def _is_safe_link(url: str) -> bool:
    try:
        return urlsplit(url).scheme.lower() in _SCHEMES
    except ValueError:
        return False


class _Tree:
    """Build nodes from the parser's flat tokens; ``children`` are those of the root."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self.children: list[Node] = []
        self._open = [self.children]
        self._links = 0
        self._nodes = 0
        self._add_all(tokens)

    def _add_all(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            self._count(token)
            if token.type == "inline":
                self._add_all(token.children or ())
            elif token.nesting > 0:
                self._begin(token)
            elif token.nesting < 0:
                self._end(token)
            else:
                self._leaf(token)

    def _count(self, token: Token) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES or token.level >= _DEEPEST - 1:
            raise _TooMuch

    def _begin(self, token: Token) -> None:
        self._links += token.type == "link_open"
        # A paragraph of a list without blank lines is hidden: its text belongs to the list item itself.
        attrs = None if token.hidden else _attributes(token)
        self._open.append(self._open[-1] if attrs is None else self._element(token.tag, attrs))

    def _end(self, token: Token) -> None:
        self._links -= token.type == "link_close"
        self._open.pop()

    def _leaf(self, token: Token) -> None:
        match token.type:
            case "softbreak":
                self._say("\n")
            case "hardbreak" | "hr":
                self._element(token.tag, {})
            case "code_inline":
                self._element("code", {}).append(token.content)
            case "code_block" | "fence":
                language = token.info.split(maxsplit=1)[:1]
                self._element("pre", {"lang": language[0]} if language else {}).append(token.content)
            case "image":
                self._image(token)
            case _:
                self._say(token.content)

    def _image(self, token: Token) -> None:
        source = str(token.attrs["src"])
        label = token.content or source
        if self._links:
            self._say(label)
        else:
            self._element("a", {"href": source}).append(label)

    def _say(self, text: str) -> None:
        home = self._open[-1]
        if home and isinstance(home[-1], str):
            home[-1] += text
        elif text:
            home.append(text)

    def _element(self, tag: str, attrs: dict[str, str | int]) -> list[Node]:
        children: list[Node] = []
        self._open[-1].append({"tag": tag, **({"attrs": attrs} if attrs else {}), "children": children})
        return children


def _attributes(token: Token) -> dict[str, str | int] | None:
    """Return what is kept of an element's attributes, or ``None`` for an element that is not."""
    if token.tag in _PLAIN or token.tag in _HEADINGS:
        return {}
    match token.tag:
        case "a":
            return {"href": str(token.attrs["href"])}
        case "ol":
            return {"start": int(token.attrs["start"])} if "start" in token.attrs else {}
        case "th" | "td":
            align = _ALIGNMENTS.get(str(token.attrs.get("style")))
            return {"align": align} if align else {}
    return None
