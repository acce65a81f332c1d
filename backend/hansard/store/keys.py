"""Do work once for a key.

A key costs three round trips beside the work; docs/decisions/0017-idempotency-keys.md says why not one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import DatabaseUnavailable, IdempotencyConflict, OutcomeUnknown
from hansard.models.idempotency import Answer, IdempotencyKey, RequestKey
from hansard.store.scope import Scope, Step
from hansard.store.statements import keys as sql

REMEMBERED = timedelta(hours=24)
PATIENCE = timedelta(seconds=5)
_MILLISECOND = timedelta(milliseconds=1)
_PRIMARY_KEY = IdempotencyKey.__table__.primary_key.name  # type: ignore[attr-defined] # SQLModel sets it


@dataclass(frozen=True, slots=True)
class SqlKeys:
    """Implement `hansard.store.contract.Keys`; ``patience`` bounds the wait for a lock on PostgreSQL."""

    scope: Scope
    remembered: timedelta = REMEMBERED
    patience: timedelta = PATIENCE

    async def once(self, key: RequestKey, work: Callable[[], Awaitable[Answer]]) -> Answer:  # noqa: D102 - see the contract
        try:
            return await self._once(key, work)
        except OutcomeUnknown:
            # Now it shows whether the first attempt was stored: then its answer is here, else nothing of it is.
            try:
                return await self._once(key, work)
            except OutcomeUnknown as error:
                raise DatabaseUnavailable("the database was lost twice; with the same key, call again") from error

    async def _once(self, key: RequestKey, work: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self.scope.database.atomic(self.scope.user_id):
            if not await self._claim(key):
                return await self._replay(key)
            answer = await work()
            values = {"key": key.key, "status": answer.status, "answer": answer.text}
            await self.scope.write([(sql.RECORD, values)])
            return answer

    async def _claim(self, key: RequestKey) -> bool:
        now = self.scope.clock()
        values = {"key": key.key, "request": key.request, "now": now, "expired": now - self.remembered}
        tidy = sql.TIDY[self.scope.database.arrays]
        steps: list[Step] = [(sql.FORGET_EXPIRED, values), (tidy, values), (sql.CLAIM, values)]
        if self.scope.database.dialect_name == "postgresql":
            patience = self.patience // _MILLISECOND
            steps.insert(0, (sql.BOUND_WAITS, {"patience": f"{patience}ms", "idleness": f"{2 * patience}ms"}))
        try:
            await self.scope.write(steps)
        except ConstraintViolation as violation:
            if violation.kind is Violated.UNIQUE and violation.constraint == _PRIMARY_KEY:
                return False
            raise
        return True

    async def _replay(self, key: RequestKey) -> Answer:
        [rows] = await self.scope.read([(sql.FIND, {"key": key.key})])
        if not rows:
            raise DatabaseUnavailable(f"the {key.param} was let go of at this very moment; call again")
        request, status, answer = rows[0]
        if request != key.request:
            raise IdempotencyConflict(f"this {key.param} was used for another request; use a new one")
        return Answer(status, answer, replayed=True)
