"""Keep the items of one user's conversations in SQL."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hansard.database.statement import Row
from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import IdempotencyConflict, NotFound, RevisionConflict
from hansard.models import ConversationRead, MessageRead
from hansard.models.limits import PAGE_ITEMS, check_choice, check_count
from hansard.store.contract import ItemName, ItemRef, NewItem, Order, Page, Removal
from hansard.store.drafts import Draft, draft, drafts_of
from hansard.store.refusals import no_conversation, refuse_revision, taken
from hansard.store.scope import Scope, Step
from hansard.store.statements import conversations, turns
from hansard.store.statements import items as sql
from hansard.store.writing import append_steps, insert_steps, plain_steps
from hansard.utils.ids import read_raw

LAST_ITEMS = 1_000_000
_END = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SqlItems:
    """Implement `hansard.store.contract.Items`."""

    scope: Scope

    async def append(  # noqa: D102 - see the contract
        self, conversation_id: UUID, items: Sequence[NewItem], *, expected_revision: int | None = None
    ) -> list[MessageRead]:
        drafts = drafts_of(items, limit=self.scope.max_item_bytes)
        keyed = any(one.client_id is not None for one in drafts)
        try:
            return await self._append(conversation_id, drafts, expected_revision)
        except ConstraintViolation as violation:
            if violation.kind is not Violated.UNIQUE:
                raise
            if not keyed:
                raise taken(violation) from None
        except RevisionConflict as conflict:
            # A batch that was stored moved the revision itself: sent again, it expects the one before.
            if not keyed:
                raise
            try:
                return await self._stored_already(conversation_id, drafts)
            except IdempotencyConflict:
                raise conflict from None
        return await self._stored_already(conversation_id, drafts)

    async def get(self, conversation_id: UUID, ref: ItemRef) -> MessageRead:  # noqa: D102
        [rows] = await self.scope.read([_named(sql.GET_AT, sql.GET_PUBLIC, conversation_id, ref)])
        if not rows:
            raise _missing(ref)
        return read_row(conversation_id, rows[0])

    async def find(self, names: Sequence[ItemName]) -> builtins.list[MessageRead | None]:  # noqa: D102
        # One trip for all of them: who copies a history names many.
        found = await self.scope.read([_found(name) for name in names]) if names else []
        return [MessageRead._make(rows[0]) if rows else None for rows in found]

    async def list(  # noqa: D102
        self, conversation_id: UUID, *, limit: int = 20, after: ItemRef | None = None, order: Order = "asc"
    ) -> Page[MessageRead]:
        check_count(limit, param="limit", most=PAGE_ITEMS)
        check_choice(order, param="order", choices=("asc", "desc"))
        here = {"conversation_id": conversation_id}
        steps: list[Step] = [(turns.PRESENT, here)]
        if isinstance(after, bytes):
            named = here | {"public_id": after}
            steps += [(sql.PAGE_AFTER_PUBLIC[order], named | {"limit": limit + 1}), (sql.LOCATE, named)]
        else:
            start = min(max(0, after), _END) if after is not None else (0 if order == "asc" else _END)
            steps += [(sql.PAGE[order], here | {"after": start, "limit": limit + 1})]
        there, rows, *located = await self.scope.read(steps)
        if not there:
            raise no_conversation(conversation_id)
        if isinstance(after, bytes) and not located[0]:
            place = await self._place_of(conversation_id, after)
            return await self.list(conversation_id, limit=limit, after=place, order=order)
        data = read_rows(conversation_id, rows[:limit])
        return Page(data, has_more=len(rows) > limit, unsettled=bool(there[0][1]))

    async def last(self, conversation_id: UUID, limit: int) -> builtins.list[MessageRead]:  # noqa: D102
        check_count(limit, param="limit", most=LAST_ITEMS, least=0)
        here = {"conversation_id": conversation_id}
        page = (sql.PAGE["desc"], here | {"after": _END, "limit": limit})
        there, rows = await self.scope.read([(conversations.EXISTS, here), page])
        if not there:
            raise no_conversation(conversation_id)
        return read_rows(conversation_id, reversed(rows))

    async def replace(  # noqa: D102
        self, conversation_id: UUID, position: int, item: NewItem, *, expected_revision: int
    ) -> MessageRead:
        columns = draft(item, param="item", limit=self.scope.max_item_bytes).columns
        values = {f"new_{name}": value for name, value in columns._asdict().items()}
        async with self.scope.database.atomic(self.scope.user_id):
            await self._claim_revision(conversation_id, expected_revision)
            here = {"conversation_id": conversation_id, "position": _possible(position)}
            [rows] = await self.scope.write([(sql.REPLACE, here | values)])
            if not rows:
                raise _missing(position)
            return read_row(conversation_id, rows[0])

    async def delete(self, conversation_id: UUID, ref: ItemRef) -> Removal:  # noqa: D102
        counted, removed = sql.REMOVE_PUBLIC if isinstance(ref, bytes) else sql.REMOVE_AT
        _, values = _named(sql.GET_AT, sql.GET_PUBLIC, conversation_id, ref)
        locked, after, _ = await self.scope.write([(conversations.LOCK, values), (counted, values), (removed, values)])
        if not locked:
            raise no_conversation(conversation_id)
        return Removal(ConversationRead._make((after or locked)[0]), deleted=bool(after))

    async def _place_of(self, conversation_id: UUID, public_id: bytes) -> int:
        """Return where an item stood that was deleted, as its turn knows."""
        named = read_raw(public_id)
        values = {"conversation_id": conversation_id, "turn_id": named.uuid, "place": named.place}
        [rows] = await self.scope.read([(turns.OUTPUT_POSITION, values)])
        if not rows:
            raise _missing(public_id)
        return int(rows[0][0])

    async def _append(
        self, conversation_id: UUID, drafts: Sequence[Draft], expected_revision: int | None
    ) -> builtins.list[MessageRead]:
        if not drafts:
            await self.last(conversation_id, 0)
            return []
        if expected_revision is not None:
            return await self._append_if_current(conversation_id, drafts, expected_revision)
        steps = plain_steps(self.scope.database, conversation_id, drafts)
        reserved, *_ = await self.scope.write(steps, idempotent=all(one.client_id for one in drafts))
        if not reserved:
            raise no_conversation(conversation_id)
        return stored_items(conversation_id, drafts, reserved[0])

    async def _append_if_current(
        self, conversation_id: UUID, drafts: Sequence[Draft], expected_revision: int
    ) -> builtins.list[MessageRead]:
        # Two trips: sent blindly together, the insert could not know that the reservation was refused.
        reserve, *_ = append_steps(conversation_id, drafts, arrays=False, expected_revision=expected_revision)
        async with self.scope.database.atomic(self.scope.user_id):
            [reserved] = await self.scope.write([reserve])
            if not reserved:
                await refuse_revision(self.scope, conversation_id, expected_revision)
            await self.scope.write(insert_steps(conversation_id, drafts, arrays=self.scope.database.arrays))
        return stored_items(conversation_id, drafts, reserved[0])

    async def _claim_revision(self, conversation_id: UUID, expected: int) -> None:
        values = {"conversation_id": conversation_id, "expected_revision": expected}
        [rows] = await self.scope.write([(conversations.BUMP_IF_CURRENT, values)])
        if not rows:
            await refuse_revision(self.scope, conversation_id, expected)

    async def _stored_already(self, conversation_id: UUID, drafts: Sequence[Draft]) -> builtins.list[MessageRead]:
        """Return what an earlier append of the same batch stored, or raise `IdempotencyConflict`."""
        here = {"conversation_id": conversation_id}
        found = await self.scope.read([(sql.GET_CLIENT, here | {"client_id": one.client_id}) for one in drafts])
        stored = []
        for wanted, rows in zip(drafts, found, strict=True):
            if not rows or not _same(read_row(conversation_id, rows[0]), wanted):
                raise IdempotencyConflict(
                    f"a client_id of this batch is used already, but {wanted.client_id!r} is not stored like this"
                )
            stored.append(read_row(conversation_id, rows[0]))
        return stored


def _named(at: Any, public: Any, conversation_id: UUID, ref: ItemRef) -> Step:
    here: dict[str, Any] = {"conversation_id": conversation_id}
    if isinstance(ref, bytes):
        return public, here | {"public_id": ref}
    return at, here | {"position": _possible(ref)}


def _found(name: ItemName) -> Step:
    if isinstance(name, bytes):
        return sql.FIND_PUBLIC, {"public_id": name}
    conversation_id, position = name
    return sql.FIND_AT, {"conversation_id": conversation_id, "position": _possible(position)}


def _possible(position: int) -> int:
    # Beyond 64 bits the drivers raise errors of their own; nothing stands at 0 either.
    return position if 0 <= position <= _END else 0


def read_row(conversation_id: UUID, row: Row) -> MessageRead:
    """Return the item of a row."""
    return MessageRead._make((conversation_id, *row))


def read_rows(conversation_id: UUID, rows: Iterable[Row]) -> list[MessageRead]:
    """Return the items of rows of one conversation."""
    # Half of what `MessageRead._make` takes, and a history has thousands of rows; `COLUMNS` keeps the length right.
    new = tuple.__new__
    return [new(MessageRead, (conversation_id, *row)) for row in rows]


def stored_items(conversation_id: UUID, drafts: Sequence[Draft], reserved: Row) -> list[MessageRead]:
    """Return what was appended, from the drafts and the row of the reservation."""
    next_position, created_at = reserved
    first = next_position - len(drafts)
    return [
        MessageRead(conversation_id, first + at, *one.columns, one.client_id, one.public_id, created_at)
        for at, one in enumerate(drafts)
    ]


def _same(stored: MessageRead, wanted: Draft) -> bool:
    return (stored.kind, stored.role, stored.status, stored.content, stored.payload) == wanted.columns


def _missing(ref: ItemRef) -> NotFound:
    return NotFound("item", ref.hex() if isinstance(ref, bytes) else ref)
