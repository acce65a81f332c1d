"""Say in SQL what happens to tasks and to the users they belong to."""

from __future__ import annotations

from sqlalchemy import Integer, Select, bindparam, case, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from hansard.models import Task, User

table = Task.__table__  # type: ignore[attr-defined] # SQLModel sets it on table classes
t = table.c
users = User.__table__  # type: ignore[attr-defined] # as above

# In the order of TaskRead's fields.
COLUMNS = [t.id, t.title, t.description, t.completed, t.created_at, t.updated_at]
THIS = (t.user_id == bindparam("user_id")) & (t.id == bindparam("task_id"))
_now = bindparam("now", type_=t.created_at.type)

GET = select(*COLUMNS).where(THIS)
DELETE = delete(table).where(THIS).returning(t.id)
INSERT = (
    insert(table)
    .values(
        user_id=bindparam("user_id"),
        title=bindparam("title"),
        description=bindparam("description"),
        completed=bindparam("completed"),
        created_at=_now,
        updated_at=_now,
    )
    .returning(*COLUMNS)
)


def _if_asked(name: str) -> ColumnElement[object]:
    return case((bindparam(f"set_{name}", type_=t.completed.type), bindparam(name, type_=t[name].type)), else_=t[name])


UPDATE = (
    update(table)
    .where(THIS)
    .values(
        title=_if_asked("title"),
        description=_if_asked("description"),
        completed=_if_asked("completed"),
        updated_at=_now,
    )
    .returning(*COLUMNS)
)


def _list(*, onward: bool, filtered: bool) -> Select[tuple[object, ...]]:
    page = select(*COLUMNS).where(t.user_id == bindparam("user_id"))
    if onward:
        page = page.where(t.id > bindparam("after", type_=t.id.type))
    if filtered:
        page = page.where(t.completed == bindparam("completed"))
    return page.order_by(t.id.asc()).limit(bindparam("limit", type_=Integer))


# (continuing after an id, only with a given `completed`)
LIST = {
    (onward, filtered): _list(onward=onward, filtered=filtered)
    for onward in (False, True)
    for filtered in (False, True)
}

PROVISION_USER = insert(users).values(
    id=bindparam("user_id"),
    email=bindparam("email"),
    created_at=_now,
)
