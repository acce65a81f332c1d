"""Make the tools with which an agent manages the tasks of one user.

A tool is written for a model: it takes and returns JSON, and what was wrong with its arguments comes back as
``{"error": …, "code": …}``, so that the model can read it and try again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from hansard.agents.protocol import Tool
from hansard.errors import InvalidInput, NotFound
from hansard.models.limits import TASK_DESCRIPTION_CODE_POINTS, TASK_TITLE_CODE_POINTS, JsonObject, check_count
from hansard.models.task_models import TaskId, TaskRead
from hansard.services.tasks import TaskList, TaskStatus
from hansard.store.contract import KEEP, Tasks

_Use: TypeAlias = Callable[[TaskList, JsonObject], Awaitable[JsonObject]]

_PAGE = 50
_LARGEST_PAGE = 100
_LARGEST_INTEGER = 2**31 - 1
_STATUSES: tuple[TaskStatus, ...] = ("open", "done", "all")

_ID: JsonObject = {"type": ["integer", "string"], "description": "The task's id."}
_TITLE: JsonObject = {"type": "string", "minLength": 1, "maxLength": TASK_TITLE_CODE_POINTS}
_DESCRIPTION: JsonObject = {"type": ["string", "null"], "maxLength": TASK_DESCRIPTION_CODE_POINTS}


def task_tools(tasks: Tasks) -> list[Tool]:
    """Return the tools, bound to the tasks of one user."""
    own = TaskList(tasks)
    return [
        Tool(name, description, _schema(properties, required), _bind(own, use, properties, required))
        for name, description, properties, required, use in _TOOLS
    ]


def _schema(properties: JsonObject, required: list[str]) -> JsonObject:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _bind(
    own: TaskList, use: _Use, properties: JsonObject, required: list[str]
) -> Callable[[JsonObject], Awaitable[JsonObject]]:
    async def call(arguments: JsonObject) -> JsonObject:
        try:
            _check_names(arguments, properties, required)
            return await use(own, arguments)
        except InvalidInput as error:
            return {"error": str(error), "code": error.code}
        except NotFound as error:
            return {"error": str(error), "code": "not_found"}

    return call


def _check_names(arguments: JsonObject, properties: JsonObject, required: list[str]) -> None:
    for name in arguments:
        if name not in properties:
            raise InvalidInput(f"there is no argument {name!r}", param=name, code="unknown_parameter")
    for name in required:
        if name not in arguments:
            raise InvalidInput(f"the argument {name!r} is missing", param=name, code="missing_required_parameter")


async def _add_task(own: TaskList, arguments: JsonObject) -> JsonObject:
    return _one(await own.add(arguments["title"], description=arguments.get("description")))


async def _list_tasks(own: TaskList, arguments: JsonObject) -> JsonObject:
    status = _status(arguments.get("status", "all"))
    limit = check_count(arguments.get("limit", _PAGE), param="limit", most=_LARGEST_PAGE)
    after = None if arguments.get("after") is None else _task_id(arguments["after"], param="after")
    words = arguments.get("title")
    if words is None:
        page = await own.page(status=status, limit=limit, after=after)
    elif isinstance(words, str):
        page = await own.find(words, status=status, limit=limit, after=after)
    else:
        raise InvalidInput("title must be a string", param="title", code="invalid_type")
    return {"tasks": [_view(task) for task in page.data], "has_more": page.has_more}


async def _complete_task(own: TaskList, arguments: JsonObject) -> JsonObject:
    return _one(await own.change(_task_id(arguments["task_id"]), completed=True))


async def _update_task(own: TaskList, arguments: JsonObject) -> JsonObject:
    completed = arguments.get("completed", KEEP)
    if completed is not KEEP and not isinstance(completed, bool):
        raise InvalidInput("completed must be true or false", param="completed", code="invalid_type")
    changed = await own.change(
        _task_id(arguments["task_id"]),
        title=arguments.get("title", KEEP),
        description=arguments.get("description", KEEP),
        completed=completed,
    )
    return _one(changed)


async def _delete_task(own: TaskList, arguments: JsonObject) -> JsonObject:
    return _one(await own.delete(_task_id(arguments["task_id"]))) | {"deleted": True}


_TOOLS: tuple[tuple[str, str, JsonObject, list[str], _Use], ...] = (
    (
        "add_task",
        "Put a new task on the user's list.",
        {"title": _TITLE, "description": _DESCRIPTION},
        ["title"],
        _add_task,
    ),
    (
        "list_tasks",
        (
            "List the user's tasks by id. With `title`, only those that these words name best: by exact title, else by"
            " a part of it. When `has_more` is true, call again with the last id as `after`."
        ),
        {
            "status": {"type": "string", "enum": list(_STATUSES), "default": "all"},
            "title": {"type": "string", "description": "Words of the title to look for."},
            "limit": {"type": "integer", "minimum": 1, "maximum": _LARGEST_PAGE, "default": _PAGE},
            "after": {"type": ["integer", "string", "null"], "description": "The id of the last task seen."},
        },
        [],
        _list_tasks,
    ),
    ("complete_task", "Mark a task as done.", {"task_id": _ID}, ["task_id"], _complete_task),
    (
        "update_task",
        "Change a task's title or description, or whether it is done; what is left out stays.",
        {"task_id": _ID, "title": _TITLE, "description": _DESCRIPTION, "completed": {"type": "boolean"}},
        ["task_id"],
        _update_task,
    ),
    ("delete_task", "Delete a task for good.", {"task_id": _ID}, ["task_id"], _delete_task),
)


def _one(task: TaskRead) -> JsonObject:
    return {"task": _view(task)}


def _view(task: TaskRead) -> JsonObject:
    view: JsonObject = {"id": task.id, "title": task.title, "completed": task.completed}
    return view if task.description is None else view | {"description": task.description}


def _status(value: object) -> TaskStatus:
    for status in _STATUSES:
        if value == status:
            return status
    raise InvalidInput(f"status must be one of {', '.join(_STATUSES)}", param="status")


def _task_id(value: Any, *, param: str = "task_id") -> TaskId:
    # Models often write a number as text; where tasks have text ids, those are not plain numbers.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < len(str(_LARGEST_INTEGER)):
        return int(value)
    if isinstance(value, str):
        return value
    return check_count(value, param=param, most=_LARGEST_INTEGER)
