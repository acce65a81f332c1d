"""Learn how the application's own tables look in this database: once, when somebody needs to know."""

from __future__ import annotations

from hansard.database import Database
from hansard.database.phase2 import COLUMNS, Phase2
from hansard.database.statement import Call
from hansard.store.statements.tasks import TaskShape, UserShape


class AdoptedTables:
    """Remember the shapes of ``user`` and ``task``; what was learnt holds until the store is opened again."""

    def __init__(self) -> None:
        self._task: TaskShape | None = None
        self._user: UserShape | None = None

    async def task(self, database: Database, user_id: str) -> TaskShape:
        """Return the shape of ``task``; raises `SchemaOutdated` when there is no such table."""
        if self._task is None:
            self._task = TaskShape.of((await _look(database, user_id)).task)
        return self._task

    async def user(self, database: Database, user_id: str) -> UserShape:
        """Return the shape of ``user``; raises `SchemaOutdated` when there is no such table."""
        if self._user is None:
            self._user = UserShape.of((await _look(database, user_id)).user)
        return self._user


async def _look(database: Database, user_id: str) -> Phase2:
    # For the user who asks, so that it joins the user's open block.
    [rows] = await database.read(user_id, [Call(COLUMNS[database.dialect_name], {})])
    return Phase2.of(rows)
