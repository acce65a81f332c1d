"""Serve the user's tasks, in the application's own JSON: the rows that the Phase 2 backend keeps."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from hansard.api.answers import JsonAnswer
from hansard.api.bodies import check_flag, check_known, missing
from hansard.api.deps import JsonBody, OwnStore
from hansard.api.idempotency import Once
from hansard.api.openapi import body_of, describes
from hansard.api.paging import Limit
from hansard.errors import NotFound
from hansard.models.limits import JsonObject, storable
from hansard.models.task_models import TaskCreate, TaskId, TaskRead, check_task_description, check_task_title
from hansard.store.contract import KEEP
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Tasks"])

_CREATE_FIELDS: Final = frozenset({"title", "description"})
_UPDATE_FIELDS: Final = frozenset({"title", "description", "completed"})
_LARGEST_INTEGER: Final = 2**31 - 1


@router.get(
    "/api/tasks",
    operation_id="listTasks",
    summary="List tasks",
    responses=describes("TaskList"),
)
async def list_tasks(
    store: OwnStore,
    limit: Limit = 100,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
    completed: Annotated[bool | None, Query(description="Only those that are, or are not, completed.")] = None,
) -> Response:
    """Return tasks by id."""
    ref = None if after is None else _task_id(after)
    page = await store.tasks.list(limit=limit, after=ref, completed=completed)
    following = page.data[-1].id if page.has_more else None
    answer = {"data": [task_view(task) for task in page.data], "next": following, "has_more": page.has_more}
    return JsonAnswer(write_json(answer))


@router.post(
    "/api/tasks",
    operation_id="createTask",
    summary="Create a task",
    status_code=201,
    responses=describes("Task", status=201),
    openapi_extra=body_of("CreateTask"),
)
async def create_task(store: OwnStore, body: JsonBody, once: Once) -> Response:
    """Store a task that is not completed yet."""
    check_known(body, known=_CREATE_FIELDS)
    if "title" not in body:
        raise missing("title")
    new = TaskCreate(title=body["title"], description=body.get("description"))

    async def create() -> Response:
        return JsonAnswer(write_json(task_view(await store.tasks.create(new))), status_code=201)

    return await once(create)


@router.get(
    "/api/tasks/{task_id}",
    operation_id="getTask",
    summary="Retrieve a task",
    responses=describes("Task"),
)
async def get_task(store: OwnStore, task_id: str) -> Response:
    """Return one task."""
    return _answer(await store.tasks.get(_task_id(task_id)))


@router.patch(
    "/api/tasks/{task_id}",
    operation_id="updateTask",
    summary="Update a task",
    responses=describes("Task"),
    openapi_extra=body_of("UpdateTask"),
)
async def update_task(store: OwnStore, task_id: str, body: JsonBody) -> Response:
    """Change the given fields; at least one."""
    check_known(body, known=_UPDATE_FIELDS)
    if not body:
        raise missing("title")
    updated = await store.tasks.update(
        _task_id(task_id),
        title=check_task_title(body["title"]) if "title" in body else KEEP,
        description=check_task_description(body["description"]) if "description" in body else KEEP,
        completed=check_flag(body["completed"], param="completed") if "completed" in body else KEEP,
    )
    return _answer(updated)


@router.post(
    "/api/tasks/{task_id}/complete",
    operation_id="completeTask",
    summary="Complete a task",
    responses=describes("Task"),
)
async def complete_task(store: OwnStore, task_id: str, once: Once) -> Response:
    """Mark a task as completed; one that is already stays so."""

    async def complete() -> Response:
        return _answer(await store.tasks.update(_task_id(task_id), completed=True))

    return await once(complete)


@router.delete(
    "/api/tasks/{task_id}",
    operation_id="deleteTask",
    summary="Delete a task",
    status_code=204,
)
async def delete_task(store: OwnStore, task_id: str) -> Response:
    """Delete a task."""
    if not await store.tasks.delete(_task_id(task_id)):
        raise NotFound("task", task_id)
    return Response(status_code=204)


def task_view(task: TaskRead) -> JsonObject:
    """Return a task as JSON; times are ISO 8601 in UTC."""
    return {
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "created_at": _instant(task.created_at),
        "updated_at": _instant(task.updated_at),
    }


def _answer(task: TaskRead) -> Response:
    return JsonAnswer(write_json(task_view(task)))


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _task_id(text: str) -> TaskId:
    if not storable(text):
        raise NotFound("task", text)
    # Some installations number their tasks, others name them by text; only what a number would be
    # written as is taken for one.
    if text.isdecimal() and len(text) <= len(str(_LARGEST_INTEGER)) and str(int(text)) == text:
        number = int(text)
        return number if number <= _LARGEST_INTEGER else text
    return text
