"""Keep one user's tasks in SQL: the application's own rows, whatever its table looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from hansard.database.statement import Row
from hansard.errors import InvalidInput, NotFound
from hansard.models import TaskCreate, TaskRead
from hansard.models.limits import PAGE_ITEMS, check_count, storable
from hansard.models.task_models import TaskId, check_task_description, check_task_title
from hansard.store.contract import KEEP, Keep, Page
from hansard.store.scope import Scope
from hansard.store.statements.tasks import TaskShape, TaskStatements, task_statements


@dataclass(frozen=True, slots=True)
class SqlTasks:
    """Implement `hansard.store.contract.Tasks`."""

    scope: Scope

    async def create(self, new: TaskCreate) -> TaskRead:  # noqa: D102 - see the contract
        shape, sql = await self._table()
        now = self.scope.clock()
        values = {
            "new_id": str(uuid4()),
            "title": new.title,
            "description": _keepable(new.description, shape),
            "completed": False,
            "now": now,
            "now_too": now,
        }
        [rows] = await self.scope.write([(sql.insert, values)])
        return TaskRead._make(rows[0])

    async def get(self, task_id: TaskId) -> TaskRead:  # noqa: D102
        shape, sql = await self._table()
        [rows] = await self.scope.read([(sql.get, {"task_id": _possible(task_id, shape)})])
        return _one(rows, task_id)

    async def list(  # noqa: D102
        self, *, limit: int = 100, after: TaskId | None = None, completed: bool | None = None
    ) -> Page[TaskRead]:
        check_count(limit, param="limit", most=PAGE_ITEMS)
        shape, sql = await self._table()
        statement = sql.list[after is not None, completed is not None]
        start = None if after is None else _start(after, shape)
        [rows] = await self.scope.read([(statement, {"limit": limit + 1, "after": start, "completed": completed})])
        return Page([TaskRead._make(row) for row in rows[:limit]], has_more=len(rows) > limit)

    async def update(  # noqa: D102
        self,
        task_id: TaskId,
        *,
        title: str | Keep = KEEP,
        description: str | Keep | None = KEEP,
        completed: bool | Keep = KEEP,
    ) -> TaskRead:
        shape, sql = await self._table()
        values: dict[str, Any] = {
            "task_id": _possible(task_id, shape),
            "now_too": self.scope.clock(),
            "set_title": title is not KEEP,
            "title": None if title is KEEP else check_task_title(title),
            "set_description": description is not KEEP,
            "description": None if description is KEEP else _keepable(check_task_description(description), shape),
            "set_completed": completed is not KEEP,
            "completed": completed is True,
        }
        [rows] = await self.scope.write([(sql.update, values)], idempotent=True)
        return _one(rows, task_id)

    async def delete(self, task_id: TaskId) -> bool:  # noqa: D102
        shape, sql = await self._table()
        [rows] = await self.scope.write([(sql.delete, {"task_id": _possible(task_id, shape)})])
        return bool(rows)

    async def _table(self) -> tuple[TaskShape, TaskStatements]:
        shape = await self.scope.adopted.task(self.scope.database, self.scope.user_id)
        return shape, task_statements(shape)


def _possible(task_id: TaskId, shape: TaskShape) -> TaskId:
    """Return the id as the column holds it, or one that no task has: the drivers would raise errors of their own."""
    if shape.highest_id is None:
        return str(task_id) if storable(str(task_id)) else ""
    number = _number(task_id)
    return number if number is not None and 0 <= number <= shape.highest_id else 0


def _start(after: TaskId, shape: TaskShape) -> TaskId:
    if shape.highest_id is None and storable(str(after)):
        return str(after)
    number = _number(after)
    if shape.highest_id is None or number is None:
        raise InvalidInput("after must be the id of a task", param="after")
    return min(max(0, number), shape.highest_id)


def _number(task_id: TaskId) -> int | None:
    if isinstance(task_id, int):
        return task_id
    # A number is taken for one only where it is written as one: 07 names another text.
    plain = task_id.isascii() and task_id.isdigit() and len(task_id) < len(str(2**63))
    return int(task_id) if plain and str(int(task_id)) == task_id else None


def _keepable(description: str | None, shape: TaskShape) -> str | None:
    if description is not None and not shape.described:
        raise InvalidInput("this application's tasks have no description", param="description")
    return description


def _one(rows: Sequence[Row], task_id: TaskId) -> TaskRead:
    if not rows:
        raise NotFound("task", task_id)
    return TaskRead._make(rows[0])
