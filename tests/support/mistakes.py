"""Make our own mistakes on purpose: a database layer that sends every statement wrongly, in one way at a time.

What the store would do if somebody forgot a filter is tried by forgetting all of them.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from sqlalchemy import BindParameter, Column, true
from sqlalchemy.sql import Executable, operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, ColumnClause

from hansard.database import Database
from hansard.database.statement import Call, Rows, Script


class Mistake(Enum):
    """Name what goes wrong in every statement."""

    FORGETS = "every statement forgets to filter by user"
    CONFUSES = "every statement names another user than the one it runs for"
    NOBODY = "every statement runs for an empty user id"

    def __str__(self) -> str:
        return self.value


class MistakenDatabase(Database):
    """Run scripts on another database's connections, each with the same mistake."""

    def __init__(self, right: Database, mistake: Mistake, victim: str) -> None:
        super().__init__(right._backend)
        self._mistake = mistake
        self._victim = victim
        self._wrong: dict[Executable, Executable] = {}

    async def read(self, user_id: str, script: Script) -> list[Rows]:
        return await super().read(self._run_for(user_id), self._mistaken(script))

    async def read_together(self, user_id: str, script: Script) -> list[Rows]:
        return await super().read_together(self._run_for(user_id), self._mistaken(script))

    async def write(self, user_id: str, script: Script, *, idempotent: bool = False) -> list[Rows]:
        return await super().write(self._run_for(user_id), self._mistaken(script), idempotent=idempotent)

    def atomic(self, user_id: str) -> Any:
        return super().atomic(self._run_for(user_id))

    def _run_for(self, user_id: str) -> str:
        return "" if self._mistake is Mistake.NOBODY else user_id

    def _mistaken(self, script: Script) -> Script:
        if self._mistake is Mistake.FORGETS:
            return [Call(self._unfiltered(statement), values) for statement, values in script]
        return [Call(statement, self._of_victim(values)) for statement, values in script]

    def _of_victim(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**values, "user_id": self._victim}

    def _unfiltered(self, statement: Executable) -> Executable:
        if statement not in self._wrong:
            tree: Any = statement
            self._wrong[statement] = visitors.replacement_traverse(tree, {}, _forget)
        return self._wrong[statement]


def _forget(element: Any, **_: object) -> Any:
    """Return what stands in the place of a comparison with the user's id: nothing that filters."""
    if not isinstance(element, BinaryExpression) or element.operator is not operators.eq:
        return None
    left, right = element.left, element.right
    owner = isinstance(left, Column | ColumnClause) and left.name == "user_id"
    return true() if owner and isinstance(right, BindParameter) and right.key == "user_id" else None
