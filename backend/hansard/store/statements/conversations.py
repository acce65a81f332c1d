"""Say in SQL what happens to conversations."""

from __future__ import annotations

from sqlalchemy import (
    Integer,
    Select,
    Update,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.elements import ColumnElement, TextClause

from hansard.database.expressions import greatest
from hansard.models import Conversation
from hansard.models.conversation import ACTIVE, ARCHIVED

table = Conversation.__table__  # type: ignore[attr-defined] # SQLModel sets it on table classes
c = table.c

# In the order of ConversationRead's fields.
COLUMNS = [
    c.id,
    c.source,
    c.external_id,
    c.title,
    c.title_source,
    c.metadata,
    c.message_count,
    c.revision,
    c.created_at,
    c.updated_at,
    c.last_message_at,
    c.archived_at,
]

THIS = (c.user_id == bindparam("user_id")) & (c.id == bindparam("conversation_id"))
NOW = func.clock_timestamp()
# The same instant in every column of one statement.
STAMP = func.statement_timestamp()

EXISTS = select(c.id).where(THIS)
GET = select(*COLUMNS).where(THIS)
LOCK = GET.with_for_update()
FIND = select(*COLUMNS).where(
    c.user_id == bindparam("user_id"),
    c.source == bindparam("source"),
    c.external_id == bindparam("external_id"),
)

INSERT = insert(table).values(
    user_id=bindparam("user_id"),
    id=bindparam("conversation_id"),
    source=bindparam("source"),
    external_id=bindparam("external_id"),
    listed=bindparam("listed"),
    title=bindparam("title"),
    title_source=bindparam("title_source"),
    metadata=bindparam("metadata"),
    next_position=literal(1),
    message_count=literal(0),
    revision=literal(1),
    created_at=STAMP,
    updated_at=STAMP,
    last_message_at=STAMP,
)

DELETE = delete(table).where(THIS).returning(c.id)


def _list(which: TextClause, *, onward: bool) -> Select[tuple[object, ...]]:
    page = select(*COLUMNS).where(c.user_id == bindparam("user_id"), which)
    if onward:
        place = tuple_(bindparam("after_time", type_=c.last_message_at.type), bindparam("after_id", type_=c.id.type))
        page = page.where(tuple_(c.last_message_at, c.id) < place)
    return page.order_by(c.last_message_at.desc(), c.id.desc()).limit(bindparam("limit", type_=Integer))


# (archived, continuing after a place)
LIST = {
    (archived, onward): _list(ARCHIVED if archived else ACTIVE, onward=onward)
    for archived in (False, True)
    for onward in (False, True)
}


def _touch(**values: object) -> Update:
    return update(table).where(THIS).values(revision=c.revision + 1, updated_at=NOW, **values)


def _if_asked(name: str, column: ColumnElement[object]) -> ColumnElement[object]:
    asked = bindparam(f"set_{name}", type_=c.listed.type)
    return case((asked, bindparam(name, type_=column.type)), else_=column)


REVISION_AS_EXPECTED = or_(
    bindparam("expected_revision", type_=c.revision.type).is_(None),
    c.revision == bindparam("expected_revision", type_=c.revision.type),
)

UPDATE = (
    _touch(
        title=_if_asked("title", c.title),
        title_source=case((bindparam("set_title", type_=c.listed.type), "user"), else_=c.title_source),
        metadata=_if_asked("metadata", c.metadata),
        archived_at=case(
            (
                bindparam("set_archived", type_=c.listed.type),
                case((bindparam("archived", type_=c.listed.type), func.coalesce(c.archived_at, NOW)), else_=null()),
            ),
            else_=c.archived_at,
        ),
    )
    .where(REVISION_AS_EXPECTED)
    .returning(*COLUMNS)
)

TITLE_RANK = {"auto": 1, "model": 2, "user": 3}
SUGGEST_TITLE = (
    _touch(title=bindparam("title"), title_source=bindparam("title_source"))
    .where(case(TITLE_RANK, value=c.title_source, else_=0) <= bindparam("rank", type_=Integer))
    .returning(c.id)
)

_untitled = c.title_source.is_(None) & bindparam("auto_title", type_=c.title.type).is_not(None)

# Takes the row's lock, so writers to one conversation queue here and positions have no gap.
RESERVE = (
    _touch(
        next_position=c.next_position + bindparam("count", type_=c.next_position.type),
        message_count=c.message_count + bindparam("count", type_=c.next_position.type),
        last_message_at=greatest(c.last_message_at, NOW),
        title=case((_untitled, bindparam("auto_title", type_=c.title.type)), else_=c.title),
        title_source=case((_untitled, "auto"), else_=c.title_source),
    )
    .where(REVISION_AS_EXPECTED)
    .returning(c.next_position, c.last_message_at)
)

BUMP_IF_CURRENT = (
    _touch().where(c.revision == bindparam("expected_revision", type_=c.revision.type)).returning(c.revision)
)
