"""Describe the user's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.schemas.shapes import NO_NUL, Schema, array, boolean, nullable, ref, string, struct
from hansard.models.limits import TASK_DESCRIPTION_CODE_POINTS, TASK_TITLE_CODE_POINTS

_TITLE: Final = string(
    f"1 to {TASK_TITLE_CODE_POINTS} characters, none of them NUL.",
    minLength=1,
    maxLength=TASK_TITLE_CODE_POINTS,
    pattern=NO_NUL,
)
_DESCRIPTION: Final = nullable(
    string(
        f"Up to {TASK_DESCRIPTION_CODE_POINTS} characters, none of them NUL.",
        maxLength=TASK_DESCRIPTION_CODE_POINTS,
        pattern=NO_NUL,
    )
)
_ID: Final[Schema] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "description": "The task's id: a number, or a text where the application's own table has texts.",
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Task": struct(
        {
            "id": _ID,
            "title": _TITLE,
            "description": _DESCRIPTION,
            "completed": boolean("Whether it is done."),
            "created_at": string("When it was made, in UTC.", format="date-time"),
            "updated_at": string("When anything of it was changed, in UTC.", format="date-time"),
        },
        description="One thing that a user wants done.",
    ),
    "TaskList": struct(
        {
            "data": array(ref("Task"), maxItems=100),
            "next": nullable({**_ID, "description": "Hand it over as `after` for the next page; null at the end."}),
            "has_more": boolean("Whether there is another page."),
        },
        description="A page of tasks, by id.",
    ),
    "CreateTask": struct(
        {"title": _TITLE, "description": _DESCRIPTION},
        optional=("description",),
        closed=True,
        description="A task to make.",
    ),
    "UpdateTask": struct(
        {"title": _TITLE, "description": _DESCRIPTION, "completed": boolean("Whether it is done.")},
        optional=("title", "description", "completed"),
        closed=True,
        minProperties=1,
        description="What to change: at least one field.",
    ),
}
