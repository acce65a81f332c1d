"""Say in SQL how messages are searched on SQLite: by the full-text tables of `hansard.database.search_sqlite`.

It counts and sorts as the function of PostgreSQL does. What is found comes first and its messages after it, one by one:
the planner, which knows no numbers, would rather look for each message of the user among the finds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    and_,
    bindparam,
    column,
    func,
    not_,
    null,
    or_,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from hansard.database import search_sqlite
from hansard.database.expressions import in_order
from hansard.models.search import SEARCHED_CODE_POINTS
from hansard.store.statements import conversations, items
from hansard.store.statements.search import COLUMNS, given

RANKED = 2000
RANKED_CODE_POINTS = 4000
EXCERPT_CODE_POINTS = 2000

# Messages of everybody wait together and are indexed together; who has none among them need not care.
_waiting = table("search_waiting", column("user_id"))
SOME_WAIT = select(select(_waiting.c.user_id).where(_waiting.c.user_id == bindparam("user_id")).exists())
INDEX_WAITING = [text(statement) for statement in search_sqlite.INDEX_WAITING]

_m, _c = items.m, conversations.c
_ids = table("search_ids", *map(column, ("id", "user_id", "conversation_id", "position")))
_PLACE = ("created_at", "conversation_id", "position")
_OWN = _ids.c.user_id == bindparam("user_id")
_SAME_ROW = and_(
    _m.user_id == _ids.c.user_id, _m.conversation_id == _ids.c.conversation_id, _m.position == _ids.c.position
)
_SEARCHED = func.substr(_m.content, 1, SEARCHED_CODE_POINTS)


def _matching(index: str, expression: str) -> Select[Any]:
    found = table(index, column("rowid"))
    return select(found.c.rowid.label("id")).where(column(index).op("MATCH")(bindparam(expression)))


# The short texts are in no index: they are looked for in what else was found, or else in all messages of the user.
_short: ColumnElement[str] = bindparam("short_texts")
_BY_LOOKING = or_(_short == "[]", func.contains_all(_SEARCHED, _short) == 1)
_UNWANTED = _ids.c.id.in_(_matching("message_words", "not_words"))


def _with_long_texts() -> Select[Any]:
    found = _matching("message_text", "long_texts").subquery("long_found")
    source = in_order(in_order(found, _ids, and_(_ids.c.id == found.c.id, _OWN)), items.table, _SAME_ROW)
    return select(_ids.c.id).select_from(source).where(_BY_LOOKING, not_(_UNWANTED))


def _with_short_texts() -> Select[Any]:
    source = in_order(_ids, items.table, _SAME_ROW)
    return select(_ids.c.id).select_from(source).where(_OWN, _BY_LOOKING, not_(_UNWANTED))


def _newest(found: Any) -> Select[Any]:
    f = found.subquery("found")
    archived = select(_c.archived_at.is_not(None)).where(_c.user_id == _m.user_id, _c.id == _m.conversation_id)
    conditions: dict[str, ColumnElement[bool]] = {
        "conversation_id": _m.conversation_id == given("conversation_id"),
        "role": _m.role == given("role"),
        "since": _m.created_at >= given("since"),
        "until": _m.created_at < given("until"),
        "archived": archived.scalar_subquery() == given("archived"),
    }
    unwanted: ColumnElement[str] = bindparam("not_texts")
    return (
        select(*(_m[name] for name in _PLACE))
        .select_from(in_order(in_order(f, _ids, and_(_ids.c.id == f.c.id, _OWN)), items.table, _SAME_ROW))
        .where(*(or_(given(name).is_(None), condition) for name, condition in conditions.items()))
        .where(or_(unwanted == "[]", func.contains_any(_SEARCHED, unwanted) == 0))
        .order_by(*(_m[name].desc() for name in _PLACE))
        .limit(RANKED)
    )


def _message_at(place: Any) -> ColumnElement[bool]:
    return and_(
        _m.user_id == bindparam("user_id"), _m.conversation_id == place.conversation_id, _m.position == place.position
    )


def _searching(found: Any) -> Select[Any]:
    newest = _newest(found).cte("newest")
    beginning = func.substr(_m.content, 1, RANKED_CODE_POINTS)
    rank = func.hansard_rank(beginning, bindparam("marks"), type_=BigInteger).label("rank")
    # Materialized, so that it is computed once a row.
    ranked = (
        select(rank, *(newest.c[name] for name in _PLACE))
        .select_from(in_order(newest, items.table, _message_at(newest.c)))
        .cte("ranked")
        .prefix_with("MATERIALIZED")
    )
    order = [ranked.c[name] for name in ("rank", *_PLACE)]
    place = tuple_(*map(given, ("place_rank", "place_time", "place_conversation", "place_position")))
    listed = (
        select(*order)
        .where(or_(given("place_rank").is_(None), tuple_(*order) < place))
        .order_by(*(one.desc() for one in order))
        .limit(given("limit"))
        .cte("listed")
    )
    return _showing(listed)


def _showing(listed: Any) -> Select[Any]:
    start = func.excerpt_start(_m.content, bindparam("marks"), type_=Integer).label("start")
    found = in_order(listed, items.table, _message_at(listed.c))
    shown = (
        select(
            start, listed.c.rank, *(_m[name] for name in (*_PLACE, "kind", "role", "public_id", "content")), _c.title
        )
        .select_from(in_order(found, conversations.table, and_(_c.user_id == _m.user_id, _c.id == _m.conversation_id)))
        .cte("shown")
        .prefix_with("MATERIALIZED")
    ).c
    return select(
        *(shown[name] for name in list(COLUMNS)[:8]),
        func.substr(shown.content, shown.start, EXCERPT_CODE_POINTS).label("excerpt"),
        (shown.start > 1).label("more_before"),
        (func.length(shown.content) >= shown.start + EXCERPT_CODE_POINTS).label("more_after"),
        null().label("stems"),
    ).order_by(*(shown[name].desc() for name in ("rank", *_PLACE)))


_WORDS = _matching("message_words", "words")
WORDS = _searching(_WORDS)
# Where substrings are searched too: by whether there is a long one.
SUBSTRINGS = {
    True: _searching(_WORDS.union(_with_long_texts())),
    False: _searching(_WORDS.union(_with_short_texts())),
}
