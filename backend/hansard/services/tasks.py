"""Work with a user's tasks the way people speak of them: by page, by status, by a few words of the title."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

from hansard.errors import NotFound
from hansard.models.task_models import TaskCreate, TaskId, TaskRead
from hansard.store.contract import KEEP, Keep, Page, Tasks

TaskStatus: TypeAlias = Literal["open", "done", "all"]

_STEP = 1000
_COMPLETED: dict[TaskStatus, bool | None] = {"open": False, "done": True, "all": None}
_APOSTROPHES = str.maketrans("\u2018\u2019\u00b4`", "''''")


class _Fit(IntEnum):
    """Rank how well words name a task, the best last."""

    NONE = 0
    WORDS = 1
    PART = 2
    SAME = 3
    EXACT = 4


@dataclass(frozen=True, slots=True)
class TaskList:
    """Be the tasks of one user."""

    tasks: Tasks

    async def add(self, title: str, *, description: str | None = None) -> TaskRead:
        """Store a new task; raises `InvalidInput` for a title that is empty or too long."""
        return await self.tasks.create(TaskCreate(title=title, description=description))

    async def change(
        self,
        task_id: TaskId,
        *,
        title: str | Keep = KEEP,
        description: str | Keep | None = KEEP,
        completed: bool | Keep = KEEP,
    ) -> TaskRead:
        """Change the given fields; raises `NotFound`, `InvalidInput`."""
        return await self.tasks.update(task_id, title=title, description=description, completed=completed)

    async def delete(self, task_id: TaskId) -> TaskRead:
        """Delete a task and return what it was; raises `NotFound`."""
        task = await self.tasks.get(task_id)
        if not await self.tasks.delete(task_id):
            raise NotFound("task", task_id)
        return task

    async def page(self, *, status: TaskStatus = "all", limit: int = 50, after: TaskId | None = None) -> Page[TaskRead]:
        """Return a page of tasks by id; ``after`` is the id of the last one seen."""
        return await self.tasks.list(limit=limit, after=after, completed=_COMPLETED[status])

    async def find(
        self, words: str, *, status: TaskStatus = "all", limit: int = 50, after: TaskId | None = None
    ) -> Page[TaskRead]:
        """Return a page of the tasks that the words name best, by id.

        Best is the title or id to the letter, else the title without regard to case and accents' spelling, else a
        part of it, else all the words in any order. Worse fits are left out as soon as there is a better one.
        """
        best, found = _Fit.WORDS, list[TaskRead]()
        wanted = _Wanted(words)
        async for task in self._walk(status):
            fit = wanted.fit(task)
            if fit > best:
                best, found = fit, []
            if fit == best:
                found.append(task)
        start = next((index + 1 for index, task in enumerate(found) if task.id == after), 0)
        return Page(found[start : start + limit], has_more=len(found) > start + limit)

    async def _walk(self, status: TaskStatus) -> AsyncIterator[TaskRead]:
        after: TaskId | None = None
        more = True
        while more:
            page = await self.page(status=status, limit=_STEP, after=after)
            for task in page.data:
                yield task
            more = page.has_more
            after = page.data[-1].id if page.data else None


class _Wanted:
    """Compare tasks with the words somebody used for one."""

    def __init__(self, words: str) -> None:
        self._exact = words
        self._folded = _fold(words)
        self._words = Counter(self._folded.split())

    def fit(self, task: TaskRead) -> _Fit:
        """Say how well the words name this task."""
        if self._exact in {task.title, str(task.id)}:
            return _Fit.EXACT
        title = _fold(task.title)
        if title == self._folded:
            return _Fit.SAME
        if not self._words:
            return _Fit.NONE
        if self._folded in title:
            return _Fit.PART
        return _Fit.WORDS if self._words <= Counter(title.split()) else _Fit.NONE


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_APOSTROPHES).split())
