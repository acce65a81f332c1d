"""Search one user's messages in SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hansard.database.statement import Row
from hansard.errors import ConfigurationError, InvalidInput
from hansard.models.limits import PAGE_ITEMS, check_count
from hansard.models.search import SearchFilter, SearchHit, SearchPlace, SearchQuery, SearchTerm, check_role, parse_query
from hansard.store.contract import Page
from hansard.store.scope import Scope, Step
from hansard.store.snippets import cut, marker
from hansard.store.statements import search as sql
from hansard.store.statements import search_sqlite
from hansard.utils.witness import watching

# The index of substrings knows texts of three code points and more.
_TRIGRAM = 3
# Every owner's name in the index is made of hexadecimal digits.
_NOTHING = 'owner : "nobody"'


@dataclass(frozen=True, slots=True)
class SqlSearch:
    """Implement `hansard.store.contract.Search`."""

    scope: Scope

    async def messages(  # noqa: D102 - see the contract
        self,
        query: str,
        *,
        limit: int = 20,
        after: SearchPlace | None = None,
        only: SearchFilter = SearchFilter(),  # noqa: B008 - immutable
    ) -> Page[SearchHit]:
        if self.scope.search.mode == "off":
            raise ConfigurationError("search is off here: HANSARD_SEARCH")
        check_count(limit, param="limit", most=PAGE_ITEMS)
        asked = parse_query(query)
        if self.scope.database.dialect_name == "sqlite":
            await self._index_what_waits()
        [rows] = await self.scope.read([self._step(asked, _filtered(only) | _placed(after) | {"limit": limit + 1})])
        marks = marker(asked.wanted, stems=rows[0][-1] if rows else None, substrings=self._substrings)
        return Page([_hit(row, marks) for row in rows[:limit]], has_more=len(rows) > limit)

    async def _index_what_waits(self) -> None:
        [[(some_wait,)]] = await self.scope.read([(search_sqlite.SOME_WAIT, {})])
        if some_wait:
            # It is not what was asked for, so nobody is told that it was done.
            with watching(None):
                await self.scope.write([(one, {}) for one in search_sqlite.INDEX_WAITING], idempotent=True)

    @property
    def _substrings(self) -> bool:
        return self.scope.search.mode == "words+substring"

    def _step(self, asked: SearchQuery, values: dict[str, Any]) -> Step:
        if self.scope.database.dialect_name == "postgresql":
            return sql.POSTGRESQL, values | self._for_postgresql(asked)
        found = self._for_sqlite(asked)
        statement = (
            search_sqlite.SUBSTRINGS[found["long_texts"] is not None] if self._substrings else search_sqlite.WORDS
        )
        return statement, values | found

    def _for_postgresql(self, asked: SearchQuery) -> dict[str, Any]:
        return {
            "language": self.scope.search.language,
            "wanted": [_flagged(term) for term in asked.wanted],
            "unwanted": [_flagged(term) for term in asked.unwanted],
            "substrings": self._substrings,
        }

    def _for_sqlite(self, asked: SearchQuery) -> dict[str, Any]:
        wanted = [term.text.lower() for term in asked.wanted]
        long_texts = [_quoted(text) for text in wanted if len(text) >= _TRIGRAM]
        not_texts = [term.text.lower() for term in asked.unwanted] if self._substrings else []
        not_words = _words(asked.unwanted, " OR ")
        return {
            "words": self._own_words(asked),
            "not_words": f"content : ({not_words})" if not_words else _NOTHING,
            "long_texts": " AND ".join(long_texts) or None,
            "short_texts": json.dumps([text for text in wanted if len(text) < _TRIGRAM]),
            "not_texts": json.dumps(not_texts),
            "marks": json.dumps(wanted),
        }

    def _own_words(self, asked: SearchQuery) -> str:
        words, not_words = _words(asked.wanted, " AND "), _words(asked.unwanted, " OR ")
        if not words or (self._substrings and not all(term.has_words for term in asked.wanted)):
            return _NOTHING
        own = f'owner : "{self.scope.user_id.encode().hex()}" AND content : ({words})'
        return f"({own}) NOT content : ({not_words})" if not_words else own


def _flagged(term: SearchTerm) -> str:
    return ("~" if not term.has_words else "*" if term.beginning else "=") + term.text


def _words(terms: Sequence[SearchTerm], conjunction: str) -> str:
    return conjunction.join(_quoted(one.text) + " *" * one.beginning for one in terms if one.has_words)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _filtered(only: SearchFilter) -> dict[str, Any]:
    check_role(only.role)
    for param in ("since", "until"):
        instant: datetime | None = getattr(only, param)
        if instant is not None and instant.tzinfo is None:
            raise InvalidInput(f"{param} must carry a time zone", param=param)
    return only._asdict()


def _placed(after: SearchPlace | None) -> dict[str, Any]:
    names = ("place_rank", "place_time", "place_conversation", "place_position")
    return dict(zip(names, after or (None,) * len(names), strict=True))


def _hit(row: Row, marks: re.Pattern[str]) -> SearchHit:
    *_, excerpt, more_before, more_after, _stems = row
    snippet = cut(excerpt, marks, more_before=bool(more_before), more_after=bool(more_after))
    return SearchHit._make((*row[:-4], snippet))
