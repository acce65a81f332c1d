"""Say in SQL how messages are searched: on PostgreSQL by a function, on SQLite by its full-text tables.

Both count and sort alike: see revision 0006 for the function, `hansard.database.search_sqlite` for the tables.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Integer,
    LargeBinary,
    Select,
    String,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    column,
    func,
    not_,
    null,
    or_,
    select,
    table,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import FromClause

from hansard.models.base import UtcDateTime
from hansard.models.search import SEARCHED_CODE_POINTS
from hansard.store.statements import conversations, items

RANKED = 2000
RANKED_CODE_POINTS = 4000
EXCERPT_CODE_POINTS = 2000

# The parameters of every search, and their types.
PARAMETERS: dict[str, Any] = {
    "language": String,
    "wanted": ARRAY(Text),
    "unwanted": ARRAY(Text),
    "substrings": Boolean,
    "conversation_id": Uuid,
    "role": Text,
    "since": UtcDateTime,
    "until": UtcDateTime,
    "archived": Boolean,
    "place_rank": BigInteger,
    "place_time": UtcDateTime,
    "place_conversation": Uuid,
    "place_position": BigInteger,
    "limit": Integer,
}
_COLUMNS: dict[str, Any] = {
    "rank": BigInteger,
    "created_at": UtcDateTime,
    "conversation_id": Uuid,
    "position": BigInteger,
    "kind": String,
    "role": String,
    "public_id": LargeBinary,
    "title": String,
    "excerpt": Text,
    "more_before": Boolean,
    "more_after": Boolean,
    # What the forms of the words looked for begin with, where the language has forms.
    "stems": ARRAY(Text),
}


def _given(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=PARAMETERS[name])


def _calling() -> Select[Any]:
    arguments = [cast(_given("language"), REGCONFIG), *(_given(name) for name in list(PARAMETERS)[1:])]
    found = func.hansard_search(*arguments).table_valued(*(column(name, kind) for name, kind in _COLUMNS.items()))
    return select(*found.c)


POSTGRESQL = _calling()

_m, _c = items.m, conversations.c
_ids = table("search_ids", *map(column, ("id", "user_id", "conversation_id", "position")))
_OWN = _ids.c.user_id == bindparam("user_id")
_SAME_ROW = and_(
    _m.user_id == _ids.c.user_id, _m.conversation_id == _ids.c.conversation_id, _m.position == _ids.c.position
)
_SEARCHED = func.substr(_m.content, 1, SEARCHED_CODE_POINTS)
_FOUND_COLUMNS = ("created_at", "conversation_id", "position", "kind", "role", "public_id", "content")


def _matching(index: str, expression: str) -> Select[Any]:
    return select(column("rowid")).select_from(table(index)).where(column(index).op("MATCH")(bindparam(expression)))


def _with_substrings() -> Select[Any]:
    """Find what contains the texts: the long ones by the index, if there are any, the short ones by looking."""
    by_index = or_(bindparam("long_texts").is_(None), _ids.c.id.in_(_matching("message_text", "long_texts")))
    by_looking = func.contains_all(_SEARCHED, bindparam("short_texts")) == 1
    unwanted = _ids.c.id.in_(_matching("message_words", "not_words"))
    return select(_ids.c.id).join(items.table, _SAME_ROW).where(_OWN, by_index, by_looking, not_(unwanted))


def _newest(found: Any) -> FromClause:
    conditions = {
        "conversation_id": _m.conversation_id == _given("conversation_id"),
        "role": _m.role == _given("role"),
        "since": _m.created_at >= _given("since"),
        "until": _m.created_at < _given("until"),
        "archived": _c.archived_at.is_not(None) == _given("archived"),
    }
    newest = (
        select(*(_m[name] for name in _FOUND_COLUMNS), _c.title)
        .select_from(_ids)
        .join(items.table, _SAME_ROW)
        .join(conversations.table, and_(_c.user_id == _m.user_id, _c.id == _m.conversation_id))
        .where(_OWN, _ids.c.id.in_(found), func.contains_any(_SEARCHED, bindparam("not_texts")) == 0)
        .where(*(or_(_given(name).is_(None), condition) for name, condition in conditions.items()))
        .order_by(_m.created_at.desc(), _m.conversation_id.desc(), _m.position.desc())
        .limit(RANKED)
    )
    return newest.cte("newest")


def _on_sqlite(found: Any) -> Select[Any]:
    n = _newest(found).c
    beginning = func.substr(n.content, 1, RANKED_CODE_POINTS)
    # Bound, so that it is computed once a row.
    ranked = select(func.hansard_rank(beginning, bindparam("marks"), type_=BigInteger).label("rank"), *n)
    r = ranked.cte("ranked").prefix_with("MATERIALIZED").c
    order = (r.rank, r.created_at, r.conversation_id, r.position)
    place = tuple_(*map(_given, ("place_rank", "place_time", "place_conversation", "place_position")))
    listed = (
        select(func.excerpt_start(r.content, bindparam("marks"), type_=Integer).label("start"), *r)
        .where(or_(_given("place_rank").is_(None), tuple_(*order) < place))
        .order_by(*(one.desc() for one in order))
        .limit(_given("limit"))
    )
    f = listed.cte("listed").prefix_with("MATERIALIZED").c
    return select(
        *(f[name] for name in list(_COLUMNS)[:8]),
        func.substr(f.content, f.start, EXCERPT_CODE_POINTS).label("excerpt"),
        (f.start > 1).label("more_before"),
        (func.length(f.content) >= f.start + EXCERPT_CODE_POINTS).label("more_after"),
        null().label("stems"),
    ).order_by(*(f[name].desc() for name in list(_COLUMNS)[:4]))


# By whether substrings are searched, too.
SQLITE = {
    False: _on_sqlite(_matching("message_words", "words")),
    True: _on_sqlite(union(_matching("message_words", "words"), _with_substrings())),
}
