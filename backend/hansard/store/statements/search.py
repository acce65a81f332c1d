"""Say in SQL how messages are searched on PostgreSQL: by a function, which revision 0006 makes."""

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
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.sql.elements import ColumnElement

from hansard.models.base import UtcDateTime

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
COLUMNS: dict[str, Any] = {
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


def given(name: str) -> ColumnElement[Any]:
    """Return the parameter of this name, typed."""
    return bindparam(name, type_=PARAMETERS[name])


def _calling() -> Select[Any]:
    arguments = [cast(given("language"), REGCONFIG), *(given(name) for name in list(PARAMETERS)[1:])]
    found = func.hansard_search(*arguments).table_valued(*(column(name, kind) for name, kind in COLUMNS.items()))
    return select(*found.c)


POSTGRESQL = _calling()
