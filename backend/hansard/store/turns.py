"""Keep one user's turns in SQL."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hansard.database.violations import ConstraintViolation
from hansard.errors import Conflict, ConversationLocked, NotFound
from hansard.models import Activity, ConversationCreate, EventBatch, MessageRead, TurnCreate, TurnEnd, TurnRead
from hansard.models.limits import PAGE_ITEMS, check_count
from hansard.store.contract import Begun, ItemRef, LeaseState, NewItem, Order, Page
from hansard.store.conversations import insert_values
from hansard.store.drafts import Draft, drafts_of
from hansard.store.items import SqlItems, read_rows, stored_items
from hansard.store.refusals import no_conversation
from hansard.store.scope import Scope, Step
from hansard.store.statements import conversations
from hansard.store.statements import items as items_sql
from hansard.store.statements import turns as sql
from hansard.store.writing import Writing, append_steps
from hansard.utils.ids import new_uuid, spell

# Events can be resumed from for this long after they were made.
EVENTS_KEPT_SECONDS = 24 * 3600.0
_BEGINNING = Writing(sql.BEGIN_RESERVE, sql.BEGIN_INSERT_ROW, sql.BEGIN_INSERT_ARRAYS)
_ENDING = Writing(sql.END_RESERVE, sql.END_INSERT_ROW, sql.END_INSERT_ARRAYS)


@dataclass(frozen=True, slots=True)
class SqlTurns:
    """Implement `hansard.store.contract.Turns`."""

    scope: Scope
    events_kept_seconds: float = EVENTS_KEPT_SECONDS

    async def begin(  # noqa: D102 - see the contract
        self,
        conversation: UUID | ConversationCreate,
        new: TurnCreate,
        items: Sequence[NewItem],
        *,
        after: TurnRead | None = None,
    ) -> Begun:
        drafts = drafts_of(items, limit=self.scope.max_item_bytes, param="input")
        made = isinstance(conversation, ConversationCreate)
        conversation_id = new_uuid() if isinstance(conversation, ConversationCreate) else conversation
        steps = self._begin_steps(conversation_id, new, drafts, after)
        if isinstance(conversation, ConversationCreate):
            steps.insert(0, (conversations.INSERT, insert_values(conversation_id, conversation)))
        try:
            results = await self.scope.write(steps)
        except ConstraintViolation as violation:
            if violation.constraint != sql.RUNNING_INDEX:
                raise
            locked = f"a turn is running in conversation {spell('conv', conversation_id)}"
            raise ConversationLocked(locked) from None
        there, reserved = results[made], results[made + 1]
        if not there:
            raise no_conversation(conversation_id)
        if not reserved:
            raise Conflict("a newer response has begun in this conversation: continue from that one")
        return Begun(TurnRead._make(results[-1][0]), stored_items(conversation_id, drafts, reserved[0]))

    async def renew(self, turn_id: UUID, lease_token: UUID, *, lease_seconds: float) -> LeaseState | None:  # noqa: D102
        values = {"turn_id": turn_id, "lease_token": lease_token, "lease_seconds": lease_seconds}
        [rows] = await self.scope.write([(sql.RENEW, values)], idempotent=True)
        return LeaseState(rows[0][0] is not None) if rows else None

    async def record(  # noqa: D102
        self, turn_id: UUID, lease_token: UUID, batch: EventBatch, *, lease_seconds: float
    ) -> LeaseState | None:
        values = {"turn_id": turn_id, "lease_token": lease_token, "lease_seconds": lease_seconds, **batch._asdict()}
        steps: list[Step] = [(sql.LOCK_TURN, values), (sql.INSERT_EVENTS, values), (sql.RECORD, values)]
        *_, rows = await self.scope.write(steps, idempotent=True)
        return LeaseState(rows[0][0] is not None) if rows else None

    async def end(  # noqa: D102
        self,
        turn: TurnRead,
        lease_token: UUID,
        end: TurnEnd,
        items: Sequence[NewItem],
        *,
        batch: EventBatch | None = None,
    ) -> TurnRead | None:
        drafts = drafts_of(items, limit=self.scope.max_item_bytes, param="output")
        held = {"conversation_id": turn.conversation_id, "turn_id": turn.id, "lease_token": lease_token}
        steps: list[Step] = [(sql.LOCK_CONVERSATION, held), (sql.LOCK_TURN, held)]
        if drafts:
            arrays = self.scope.database.arrays
            append = append_steps(turn.conversation_id, drafts, arrays=arrays, writing=_ENDING)
            steps += [(statement, {**held, **values}) for statement, values in append]
        if batch is not None:
            steps.append((sql.INSERT_EVENTS, held | batch._asdict()))
        ended = {"status": end.status, "result": end.result, "end_sequence": end.last_sequence, "count": len(drafts)}
        steps.append((sql.END, held | ended))
        results = await self.scope.write(steps)
        return TurnRead._make(results[-1][0]) if results[-1] else None

    async def take_over(self, turn_id: UUID, new_token: UUID, *, lease_seconds: float) -> TurnRead | None:  # noqa: D102
        values = {"turn_id": turn_id, "new_token": new_token, "lease_seconds": lease_seconds}
        [rows] = await self.scope.write([(sql.TAKE_OVER, values)])
        return TurnRead._make(rows[0]) if rows else None

    async def request_cancel(self, turn_id: UUID) -> TurnRead:  # noqa: D102
        values = {"turn_id": turn_id}
        _, rows = await self.scope.write([(sql.REQUEST_CANCEL, values), (sql.GET, values)], idempotent=True)
        if not rows:
            raise _missing(turn_id)
        return TurnRead._make(rows[0])

    async def get(self, turn_id: UUID) -> TurnRead:  # noqa: D102
        [rows] = await self.scope.read([(sql.GET, {"turn_id": turn_id})])
        if not rows:
            raise _missing(turn_id)
        return TurnRead._make(rows[0])

    async def find_active(self, conversation_id: UUID) -> TurnRead | None:  # noqa: D102
        [rows] = await self.scope.read([(sql.ACTIVE, {"conversation_id": conversation_id})])
        return TurnRead._make(rows[0]) if rows else None

    async def find_newest(self, conversation_id: UUID) -> TurnRead | None:  # noqa: D102
        [rows] = await self.scope.read([(sql.NEWEST, {"conversation_id": conversation_id})])
        return TurnRead._make(rows[0]) if rows else None

    async def activity(self, conversation_ids: Sequence[UUID]) -> builtins.list[Activity]:  # noqa: D102
        statement = sql.ACTIVITY[self.scope.database.arrays]
        if self.scope.database.arrays:
            steps: list[Step] = [(statement, {"conversation_ids": list(conversation_ids)})]
        else:
            steps = [(statement, {"conversation_id": one}) for one in conversation_ids]
        return [Activity._make(row) for rows in await self.scope.read_together(steps) for row in rows]

    async def events(  # noqa: D102
        self, turn_id: UUID, *, after: int = -1, limit: int = 1000
    ) -> tuple[TurnRead, builtins.list[EventBatch]]:
        check_count(limit, param="limit", most=PAGE_ITEMS)
        values = {"turn_id": turn_id, "after": after, "limit": limit}
        found, rows = await self.scope.read([(sql.GET, values), (sql.EVENTS, values)])
        if not found:
            raise _missing(turn_id)
        return TurnRead._make(found[0]), [EventBatch._make(row) for row in rows]

    async def input_items(  # noqa: D102
        self, turn_id: UUID, *, limit: int = 20, after: ItemRef | None = None, order: Order = "asc"
    ) -> Page[MessageRead]:
        check_count(limit, param="limit", most=PAGE_ITEMS)
        turn = await self.get(turn_id)
        first, end = turn.input_first, turn.input_first + turn.input_count
        if isinstance(after, bytes):
            after = (await SqlItems(self.scope).get(turn.conversation_id, after)).position
        first, end = (max(first, after + 1), end) if order == "asc" and after is not None else (first, end)
        first, end = (first, min(end, after)) if order == "desc" and after is not None else (first, end)
        rows = await self._range(turn, first, end, limit=limit + 1, order=order)
        return Page(rows[:limit], has_more=len(rows) > limit)

    async def output_items(self, turn: TurnRead) -> builtins.list[MessageRead]:  # noqa: D102
        if not turn.output_count or turn.output_first is None:
            return []
        end = turn.output_first + turn.output_count
        return await self._range(turn, turn.output_first, end, limit=turn.output_count, order="asc")

    async def delete(self, turn_id: UUID) -> bool:  # noqa: D102
        [rows] = await self.scope.write([(sql.DELETE, {"turn_id": turn_id})], idempotent=False)
        return bool(rows)

    def _begin_steps(
        self, conversation_id: UUID, new: TurnCreate, drafts: Sequence[Draft], after: TurnRead | None
    ) -> builtins.list[Step]:
        condition = {"after_ordinal": after.ordinal if after else None}
        append = append_steps(conversation_id, drafts, arrays=self.scope.database.arrays, writing=_BEGINNING)
        begin = {
            "conversation_id": conversation_id,
            "turn_id": new.id,
            "model": new.model,
            "request": new.request,
            "lease_token": new.lease_token,
            "lease_seconds": new.lease_seconds,
            "count": len(drafts),
        }
        return [
            (sql.LOCK_CONVERSATION, {"conversation_id": conversation_id}),
            *((statement, {**values, **condition}) for statement, values in append),
            (sql.BEGIN, begin | condition),
            (sql.EXPIRE_EVENTS, {"kept_seconds": -self.events_kept_seconds}),
            (sql.GET, {"turn_id": new.id}),
        ]

    async def _range(
        self, turn: TurnRead, first: int, end: int, *, limit: int, order: Order
    ) -> builtins.list[MessageRead]:
        values: dict[str, Any] = {"conversation_id": turn.conversation_id, "first": first, "end": end, "limit": limit}
        [rows] = await self.scope.read([(items_sql.RANGE[order], values)])
        return read_rows(turn.conversation_id, rows)


def _missing(turn_id: UUID) -> NotFound:
    return NotFound("response", spell("resp", turn_id))
