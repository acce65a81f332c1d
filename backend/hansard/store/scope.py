"""Bind everything the store does to one user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy.sql import Executable

from hansard.database import Database
from hansard.database.statement import Call, Rows
from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import DatabaseError, DatabaseUnavailable, OutcomeUnknown, SchemaOutdated, UnknownUser
from hansard.models import metadata
from hansard.models.limits import ITEM_BYTES
from hansard.models.search import SearchSettings
from hansard.store.adopted import AdoptedTables
from hansard.store.statements.tasks import provision_user
from hansard.utils.clock import Clock, utc_now
from hansard.utils.witness import watching

Step: TypeAlias = tuple[Executable, Mapping[str, Any]]

# All others speak of a user; what the application called those of its own tables is not known here.
_OTHER_FOREIGN_KEYS = {
    key.name
    for table in metadata.tables.values()
    for key in table.foreign_key_constraints
    if key.referred_table.name != "user"
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Run scripts for one user; every statement gets that user's id."""

    database: Database
    user_id: str
    email: str | None = None
    provision_users: bool = True
    max_item_bytes: int = ITEM_BYTES
    search: SearchSettings = SearchSettings()  # noqa: RUF009 - immutable
    clock: Clock = utc_now
    adopted: AdoptedTables = field(default_factory=AdoptedTables)

    async def read(self, steps: Iterable[Step]) -> list[Rows]:
        """Return the rows of each statement."""
        return await self.database.read(self.user_id, self._calls(steps))

    async def read_together(self, steps: Iterable[Step]) -> list[Rows]:
        """Read outside of any block, in one trip with other users who ask at the same moment."""
        return await self.database.read_together(self.user_id, self._calls(steps))

    async def write(self, steps: Iterable[Step], *, idempotent: bool = False) -> list[Rows]:
        """Return the rows of each statement, committed; a first write may make the user."""
        calls = self._calls(steps)
        try:
            return await self.database.write(self.user_id, calls, idempotent=idempotent)
        except ConstraintViolation as violation:
            if not _may_lack_user(violation):
                raise
        await self._provision()
        try:
            return await self.database.write(self.user_id, calls, idempotent=idempotent)
        except ConstraintViolation as violation:
            # SQLite does not say which foreign key it was, and the user is there now.
            if violation.constraint is None or not _may_lack_user(violation):
                raise
            raise _unmakable("another user has the same e-mail address, or another unique value") from None

    def _calls(self, steps: Iterable[Step]) -> list[Call]:
        return [Call(statement, {"user_id": self.user_id, **values}) for statement, values in steps]

    async def _provision(self) -> None:
        if not self.provision_users:
            raise UnknownUser("this user is not known, and users are not made on first use here")
        statement = provision_user(await self.adopted.user(self.database, self.user_id))
        now = self.clock()
        calls = self._calls([(statement, {"email": self.email, "now": now, "now_too": now})])
        try:
            # It is not what was asked for, so nobody is told that it was done.
            with watching(None):
                await self.database.write(self.user_id, calls)
        except (DatabaseUnavailable, OutcomeUnknown, SchemaOutdated):
            raise
        except ConstraintViolation as violation:
            if violation.kind is not Violated.UNIQUE:
                raise _unmakable(f"it demands more than is known of the user: {violation}") from None
            if violation.constraint == "user_email_key":
                raise _unmakable("another user has the same e-mail address") from None
            # Somebody made the same user a moment ago; or else the write that is waiting will tell.
        except DatabaseError as refusal:
            raise _unmakable(str(refusal)) from None


def _may_lack_user(violation: ConstraintViolation) -> bool:
    return violation.kind is Violated.FOREIGN_KEY and violation.constraint not in _OTHER_FOREIGN_KEYS


def _unmakable(reason: str) -> UnknownUser:
    return UnknownUser(f"this user is not known and cannot be made in the application's user table: {reason}")
