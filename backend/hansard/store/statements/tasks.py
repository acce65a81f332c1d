"""Say in SQL what happens to tasks and to the users they belong to, as this database keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Integer,
    String,
    TableClause,
    bindparam,
    case,
    column,
    delete,
    insert,
    null,
    select,
    table,
    update,
)
from sqlalchemy.sql import Executable
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from hansard.database.phase2 import Column, Kind
from hansard.errors import SchemaOutdated
from hansard.models.base import NaiveUtcDateTime, UtcDateTime

_HIGHEST_INTEGER = 2**31 - 1
_LACKING = "the database lacks the tables user and task; run: hansard db upgrade"


class TaskShape(NamedTuple):
    """Hold what differs between installations of ``task``; ``highest_id`` is ``None`` where ids are texts."""

    highest_id: int | None
    described: bool
    created_zoned: bool
    updated_zoned: bool

    @classmethod
    def of(cls, columns: Mapping[str, Column]) -> TaskShape:
        """Tell by the columns; raises `SchemaOutdated` when there are none."""
        if not columns:
            raise SchemaOutdated(_LACKING)
        return cls(
            None if columns["id"].kind is Kind.TEXT else columns["id"].highest,
            "description" in columns,
            columns["created_at"].kind is Kind.TIMESTAMPTZ,
            columns["updated_at"].kind is Kind.TIMESTAMPTZ,
        )


class TaskStatements(NamedTuple):
    """Hold the statements for one shape; ``list`` by (continuing after an id, only with a given `completed`)."""

    get: Executable
    insert: Executable
    update: Executable
    delete: Executable
    list: Mapping[tuple[bool, bool], Executable]


class UserShape(NamedTuple):
    """Hold which columns of ``user`` a new user gets a value for."""

    email: bool
    created: bool
    created_zoned: bool
    updated: bool
    updated_zoned: bool

    @classmethod
    def of(cls, columns: Mapping[str, Column]) -> UserShape:
        """Tell by the columns; raises `SchemaOutdated` when there are none."""
        if not columns:
            raise SchemaOutdated(_LACKING)
        created, updated = columns.get("created_at"), columns.get("updated_at")
        return cls(
            email="email" in columns,
            created=created is not None,
            created_zoned=created is not None and created.kind is Kind.TIMESTAMPTZ,
            updated=updated is not None and updated.demanding,
            updated_zoned=updated is not None and updated.kind is Kind.TIMESTAMPTZ,
        )


@cache
def task_statements(shape: TaskShape) -> TaskStatements:
    """Return the statements for tables of this shape, the same ones every time."""
    t = _task_table(shape)
    this = (t.c.user_id == bindparam("user_id")) & (t.c.id == bindparam("task_id"))
    # In the order of TaskRead's fields.
    description = t.c.description if shape.described else null().label("description")
    columns: list[ColumnElement[Any]] = [t.c.id, t.c.title, description, t.c.completed, t.c.created_at, t.c.updated_at]
    return TaskStatements(
        get=select(*columns).where(this),
        insert=insert(t).values(_new_values(t, shape)).returning(*columns),
        update=update(t).where(this).values(_changed_values(t, shape)).returning(*columns),
        delete=delete(t).where(this).returning(t.c.id),
        list={
            (onward, filtered): _list(t, columns, onward=onward, filtered=filtered)
            for onward in (False, True)
            for filtered in (False, True)
        },
    )


@cache
def provision_user(shape: UserShape) -> Executable:
    """Return the statement that makes a user."""
    users = table(
        "user",
        column("id", String()),
        column("email", String()),
        column("created_at", _instant(zoned=shape.created_zoned)),
        column("updated_at", _instant(zoned=shape.updated_zoned)),
    )
    values: dict[str, object] = {"id": bindparam("user_id")}
    if shape.email:
        values["email"] = bindparam("email")
    if shape.created:
        values["created_at"] = bindparam("now", type_=users.c.created_at.type)
    if shape.updated:
        values["updated_at"] = bindparam("now_too", type_=users.c.updated_at.type)
    return insert(users).values(values)


def _task_table(shape: TaskShape) -> TableClause:
    identity: TypeEngine[str] | TypeEngine[int] = String()
    if shape.highest_id is not None:
        identity = Integer() if shape.highest_id <= _HIGHEST_INTEGER else BigInteger()
    return table(
        "task",
        column("id", identity),
        column("user_id", String()),
        column("title", String()),
        column("description", String()),
        column("completed", Boolean()),
        column("created_at", _instant(zoned=shape.created_zoned)),
        column("updated_at", _instant(zoned=shape.updated_zoned)),
    )


def _instant(*, zoned: bool) -> UtcDateTime:
    return UtcDateTime() if zoned else NaiveUtcDateTime()


def _new_values(t: TableClause, shape: TaskShape) -> dict[str, object]:
    values: dict[str, object] = {name: bindparam(name, type_=t.c[name].type) for name in ("user_id", "title")}
    values["completed"] = bindparam("completed", type_=t.c.completed.type)
    if shape.described:
        values["description"] = bindparam("description", type_=t.c.description.type)
    if shape.highest_id is None:
        values["id"] = bindparam("new_id", type_=t.c.id.type)
    values["created_at"] = bindparam("now", type_=t.c.created_at.type)
    return values | _touched(t)


def _changed_values(t: TableClause, shape: TaskShape) -> dict[str, object]:
    names = ["title", "description", "completed"] if shape.described else ["title", "completed"]
    return {name: _if_asked(t, name) for name in names} | _touched(t)


def _touched(t: TableClause) -> dict[str, object]:
    return {"updated_at": bindparam("now_too", type_=t.c.updated_at.type)}


def _if_asked(t: TableClause, name: str) -> ColumnElement[object]:
    asked = bindparam(f"set_{name}", type_=t.c.completed.type)
    return case((asked, bindparam(name, type_=t.c[name].type)), else_=t.c[name])


def _list(t: TableClause, columns: list[ColumnElement[Any]], *, onward: bool, filtered: bool) -> Executable:
    page = select(*columns).where(t.c.user_id == bindparam("user_id"))
    if onward:
        page = page.where(t.c.id > bindparam("after", type_=t.c.id.type))
    if filtered:
        page = page.where(t.c.completed == bindparam("completed"))
    return page.order_by(t.c.id.asc()).limit(bindparam("limit", type_=Integer))
