"""Define what can be searched for, and what is found.

A query is words with white space between them, all of which must be in a message, in any order and without regard
to case. ``"two words"`` must stand side by side, ``-word`` must not be there, ``be*`` is the beginning of a word.
What is no letter or digit separates words, so ``a.b`` is the same as ``"a b"``. Nothing else has a meaning, and
nothing is an error except a query that names nothing to look for.

Where substrings are searched too, a message is also found when it contains all terms literally: parts of words,
Chinese and Japanese, code. A term without letters and digits can be found in this way only.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from hansard.errors import InvalidInput, TooLarge
from hansard.models.limits import check_choice
from hansard.models.verbatim import ROLES, project

SearchMode: TypeAlias = Literal["off", "words", "words+substring"]

SEARCH_MODES = ("off", "words", "words+substring")
LANGUAGE = re.compile(r"[a-z][a-z0-9]{0,30}")
QUERY_CODE_POINTS = 1000
QUERY_TERMS = 50
# Text beyond this is stored and shown, but not searched.
SEARCHED_CODE_POINTS = 200_000

_TERM = re.compile(r'(?P<without>-(?=[^\s-]))?(?:"(?P<phrase>[^"]*)(?:"(?P<star>\*)?|$)|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Say what is indexed and searched.

    ``language`` is one of the server's text search configurations, such as ``english``: words are then found in all
    their forms. ``simple`` takes them as they are, which every other database than PostgreSQL does anyway.
    """

    mode: SearchMode = "words"
    language: str = "simple"

    def __post_init__(self) -> None:
        """Check the name of the language; whether the server knows it shows there."""
        check_choice(self.mode, param="mode", choices=SEARCH_MODES)
        if not LANGUAGE.fullmatch(self.language):
            message = "language must be the name of a text search configuration, such as simple or english"
            raise InvalidInput(message, param="language")


class SearchTerm(NamedTuple):
    """Hold a word or phrase; with ``beginning`` its last word may go on."""

    text: str
    beginning: bool = False

    @property
    def has_words(self) -> bool:
        """Say whether there is a letter or digit in it."""
        return any(character.isalnum() for character in self.text)


class SearchQuery(NamedTuple):
    """Hold what a message must and must not have."""

    wanted: tuple[SearchTerm, ...]
    unwanted: tuple[SearchTerm, ...]


class SearchFilter(NamedTuple):
    """Narrow a search: to a conversation, a role, a span of time (``until`` excluded), (un)archived conversations."""

    conversation_id: UUID | None = None
    role: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    archived: bool | None = None


class SearchPlace(NamedTuple):
    """Hold the place of a message among the finds of a search, to go on from there."""

    rank: int
    created_at: datetime
    conversation_id: UUID
    position: int


class Segment(NamedTuple):
    """Hold a piece of a snippet; ``match`` when it is what was looked for."""

    text: str
    match: bool


class SearchHit(NamedTuple):
    """Hold a message that was found: which, where, and the part of its text around the first match."""

    rank: int
    created_at: datetime
    conversation_id: UUID
    position: int
    kind: str
    role: str | None
    public_id: bytes | None
    title: str | None
    snippet: tuple[Segment, ...]

    @property
    def place(self) -> SearchPlace:
        """Return where the next page starts."""
        return SearchPlace(*self[:4])


def parse_query(text: object, *, param: str = "query") -> SearchQuery:
    """Return what a query asks for; raises `InvalidInput` for one that is too long or names nothing to look for."""
    if not isinstance(text, str):
        message = f"{param} must be a string"
        raise InvalidInput(message, param=param, code="invalid_type")
    if len(text) > QUERY_CODE_POINTS:
        message = f"{param} has {len(text)} characters; the limit is {QUERY_CODE_POINTS}"
        raise TooLarge(message, param=param, code="string_above_max_length")
    # As stored text is: what no database can hold looks for what stands in its place.
    matches = _TERM.finditer(project({"content": text}))
    found = [(match["without"], term) for match in matches if (term := _term(match)).text.strip()]
    wanted = tuple(term for without, term in found if not without)
    unwanted = tuple(term for without, term in found if without)
    if not wanted:
        message = f"{param} must have at least one word to look for"
        raise InvalidInput(message, param=param)
    if len(wanted) + len(unwanted) > QUERY_TERMS:
        message = f"{param} has {len(wanted) + len(unwanted)} terms; the limit is {QUERY_TERMS}"
        raise TooLarge(message, param=param)
    return SearchQuery(wanted, unwanted)


def check_role(value: object, *, param: str = "role") -> str | None:
    """Return a role that messages can have, or ``None``."""
    return None if value is None else check_choice(value, param=param, choices=sorted(ROLES))


def _term(match: re.Match[str]) -> SearchTerm:
    if match["phrase"] is not None:
        return SearchTerm(match["phrase"], beginning=match["star"] is not None)
    word = match["word"].rstrip("*")
    return SearchTerm(word or match["word"], beginning=bool(word) and word != match["word"])
