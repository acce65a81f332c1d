"""Bind everything the store does to one user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.sql import Executable

from hansard.database import Database
from hansard.database.statement import Call, Rows
from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import UnknownUser
from hansard.models.limits import ITEM_BYTES
from hansard.store.statements import tasks
from hansard.utils.clock import Clock, utc_now

Step: TypeAlias = tuple[Executable, Mapping[str, Any]]

_USER_FOREIGN_KEYS = {None, "fk_conversations_user", "fk_idempotency_keys_user", "task_user_id_fkey"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Run scripts for one user; every statement gets that user's id."""

    database: Database
    user_id: str
    email: str | None = None
    provision_users: bool = True
    max_item_bytes: int = ITEM_BYTES
    clock: Clock = utc_now

    async def read(self, steps: Iterable[Step]) -> list[Rows]:
        """Return the rows of each statement."""
        return await self.database.read(self.user_id, self._calls(steps))

    async def write(self, steps: Iterable[Step], *, idempotent: bool = False) -> list[Rows]:
        """Return the rows of each statement, committed; a first write may make the user."""
        calls = self._calls(steps)
        try:
            return await self.database.write(self.user_id, calls, idempotent=idempotent)
        except ConstraintViolation as violation:
            if not self._lacks_user(violation):
                raise
        await self._provision()
        return await self.database.write(self.user_id, calls, idempotent=idempotent)

    def _calls(self, steps: Iterable[Step]) -> list[Call]:
        return [Call(statement, {"user_id": self.user_id, **values}) for statement, values in steps]

    @staticmethod
    def _lacks_user(violation: ConstraintViolation) -> bool:
        return violation.kind is Violated.FOREIGN_KEY and violation.constraint in _USER_FOREIGN_KEYS

    async def _provision(self) -> None:
        if not self.provision_users:
            raise UnknownUser("this user is not known, and users are not made on first use here")
        values = {"email": self.email, "now": self.clock()}
        try:
            await self.database.write(self.user_id, self._calls([(tasks.PROVISION_USER, values)]))
        except ConstraintViolation as violation:
            if violation.kind is Violated.UNIQUE and violation.constraint != "user_email_key":
                return  # somebody made the same user a moment ago
            raise UnknownUser(f"this user cannot be made in the user table: {violation}") from None
