"""Say in SQL what happens to items."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    LargeBinary,
    Select,
    String,
    Text,
    Uuid,
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql import Executable
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from hansard.models import Message
from hansard.store.statements import conversations

table = Message.__table__  # type: ignore[attr-defined] # SQLModel sets it on table classes
m = table.c

# In the order of MessageRead's fields, after the conversation's id.
COLUMNS = [
    m.position,
    m.kind,
    m.role,
    m.status,
    m.content,
    m.payload,
    m.client_id,
    m.public_id,
    m.created_at,
]

# What one item brings along, in the order of `WRITTEN`.
BROUGHT = ["kind", "role", "status", "content", "payload", "client_id", "public_id"]
_KINDS = {name: Text() if isinstance(m[name].type, String) else LargeBinary() for name in BROUGHT}
WRITTEN = ["user_id", "conversation_id", "position", *BROUGHT, "created_at"]

_IN_CONVERSATION = (m.user_id == bindparam("user_id")) & (m.conversation_id == bindparam("conversation_id"))
_AT_POSITION = _IN_CONVERSATION & (m.position == bindparam("position"))
_WITH_PUBLIC_ID = _IN_CONVERSATION & (m.public_id == bindparam("public_id"))

GET_AT = select(*COLUMNS).where(_AT_POSITION)
GET_PUBLIC = select(*COLUMNS).where(_WITH_PUBLIC_ID)
GET_CLIENT = select(*COLUMNS).where(_IN_CONVERSATION, m.client_id == bindparam("client_id"))
# Without a conversation the unique index (user_id, public_id) finds it, on one shard where there are shards.
FIND_AT = select(m.conversation_id, *COLUMNS).where(_AT_POSITION)
FIND_PUBLIC = select(m.conversation_id, *COLUMNS).where(
    m.user_id == bindparam("user_id"), m.public_id == bindparam("public_id")
)
LOCATE = select(m.position).where(_WITH_PUBLIC_ID)


def _page(after: ColumnElement[int], *, ascending: bool) -> Select[tuple[object, ...]]:
    onward, order = (m.position > after, m.position.asc()) if ascending else (m.position < after, m.position.desc())
    return select(*COLUMNS).where(_IN_CONVERSATION, onward).order_by(order).limit(bindparam("limit", type_=Integer))


_after = bindparam("after", type_=BigInteger)
PAGE = {order: _page(_after, ascending=order == "asc") for order in ("asc", "desc")}
PAGE_AFTER_PUBLIC = {order: _page(LOCATE.scalar_subquery(), ascending=order == "asc") for order in ("asc", "desc")}


def _range(*, ascending: bool) -> Select[tuple[object, ...]]:
    first, end = bindparam("first", type_=BigInteger), bindparam("end", type_=BigInteger)
    inside = select(*COLUMNS).where(_IN_CONVERSATION, m.position >= first, m.position < end)
    order = m.position.asc() if ascending else m.position.desc()
    return inside.order_by(order).limit(bindparam("limit", type_=Integer))


RANGE = {order: _range(ascending=order == "asc") for order in ("asc", "desc")}

_conversation = conversations.c
_first = _conversation.next_position - bindparam("count", type_=BigInteger)


def insert_row(*conditions: ColumnElement[bool]) -> Insert:
    """Write one item at ``offset`` of the reserved positions, for drivers that bind single values."""
    position = _first + bindparam("offset", type_=BigInteger)
    brought = [bindparam(name, type_=m[name].type) for name in BROUGHT]
    source = select(_conversation.user_id, _conversation.id, position, *brought, _conversation.last_message_at).where(
        conversations.THIS, *conditions
    )
    return insert(table).from_select(WRITTEN, source)


def insert_arrays(*conditions: ColumnElement[bool]) -> Insert:
    """Write any number of items in one statement whose text never changes: each column is one array."""
    rows = (
        func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _KINDS.items()))
        .table_valued(*(column(name, kind) for name, kind in _KINDS.items()), with_ordinality="place")
        .render_derived(name="brought")
    )
    position = _first + rows.c.place - 1
    source = (
        select(
            _conversation.user_id,
            _conversation.id,
            position,
            *(rows.c[name] for name in BROUGHT),
            _conversation.last_message_at,
        )
        .select_from(conversations.table, rows)
        .where(conversations.THIS, *conditions)
    )
    return insert(table).from_select(WRITTEN, source)


INSERT_ROW = insert_row()
INSERT_ARRAYS = insert_arrays()


def _append(function: FunctionElement[object]) -> Select[tuple[object, ...]]:
    """Reserve and write in one call; like `conversations.RESERVE`, without a row where there is no conversation."""
    appended = function.table_valued(column("following", BigInteger), column("stamp", m.created_at.type)).c
    return select(appended.following, appended.stamp).where(appended.following.is_not(None))


# By functions that revision 0009 makes on PostgreSQL, whose plans the server keeps.
_given = [
    bindparam("user_id", type_=Text),
    bindparam("conversation_id", type_=Uuid),
    bindparam("auto_title", type_=Text),
]
APPEND_ROW = _append(func.hansard_append(*_given, *(bindparam(name, type_=kind) for name, kind in _KINDS.items())))
APPEND_ARRAYS = _append(
    func.hansard_append_all(*_given, *(bindparam(name, type_=ARRAY(kind)) for name, kind in _KINDS.items()))
)

REPLACE = (
    update(table)
    .where(_AT_POSITION)
    .values({name: bindparam(f"new_{name}", type_=m[name].type) for name in BROUGHT[:5]})
    .returning(*COLUMNS)
)


def _removal(this: ColumnElement[bool]) -> tuple[Executable, Executable]:
    there = exists(select(m.position).where(this))
    counted = (
        conversations._touch(message_count=_conversation.message_count - 1)  # noqa: SLF001 - the same family
        .where(there)
        .returning(*conversations.COLUMNS)
    )
    return counted, delete(table).where(this)


# The count is taken down before the row goes, under the lock that `conversations.LOCK` took a statement earlier.
REMOVE_AT = _removal(_AT_POSITION)
REMOVE_PUBLIC = _removal(_WITH_PUBLIC_ID)
