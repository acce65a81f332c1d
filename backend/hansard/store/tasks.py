"""Keep one user's tasks in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hansard.database.statement import Row
from hansard.errors import NotFound
from hansard.models import TaskCreate, TaskRead
from hansard.models.limits import PAGE_ITEMS, check_count
from hansard.models.task_models import TaskId, check_task_description, check_task_title
from hansard.store.contract import KEEP, Keep, Page
from hansard.store.scope import Scope
from hansard.store.statements import tasks as sql

_HIGHEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SqlTasks:
    """Implement `hansard.store.contract.Tasks`."""

    scope: Scope

    async def create(self, new: TaskCreate) -> TaskRead:  # noqa: D102 - see the contract
        values = {
            "title": new.title,
            "description": new.description,
            "completed": False,
            "now": self.scope.clock(),
        }
        [rows] = await self.scope.write([(sql.INSERT, values)])
        return TaskRead._make(rows[0])

    async def get(self, task_id: TaskId) -> TaskRead:  # noqa: D102
        [rows] = await self.scope.read([(sql.GET, {"task_id": _possible(task_id)})])
        return _one(rows, task_id)

    async def list(  # noqa: D102
        self, *, limit: int = 100, after: TaskId | None = None, completed: bool | None = None
    ) -> Page[TaskRead]:
        check_count(limit, param="limit", most=PAGE_ITEMS)
        statement = sql.LIST[after is not None, completed is not None]
        start = min(max(0, after), _HIGHEST_ID) if isinstance(after, int) else after
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
        values: dict[str, Any] = {
            "task_id": _possible(task_id),
            "now": self.scope.clock(),
            "set_title": title is not KEEP,
            "title": None if title is KEEP else check_task_title(title),
            "set_description": description is not KEEP,
            "description": None if description is KEEP else check_task_description(description),
            "set_completed": completed is not KEEP,
            "completed": completed is True,
        }
        [rows] = await self.scope.write([(sql.UPDATE, values)], idempotent=True)
        return _one(rows, task_id)

    async def delete(self, task_id: TaskId) -> bool:  # noqa: D102
        [rows] = await self.scope.write([(sql.DELETE, {"task_id": _possible(task_id)})])
        return bool(rows)


def _possible(task_id: TaskId) -> int:
    # The column is an integer of 32 bits; what it cannot hold is no task, and no error of the driver's either.
    return task_id if isinstance(task_id, int) and 0 <= task_id <= _HIGHEST_ID else 0


def _one(rows: Sequence[Row], task_id: TaskId) -> TaskRead:
    if not rows:
        raise NotFound("task", task_id)
    return TaskRead._make(rows[0])
