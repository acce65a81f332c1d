"""Keep one user's conversations in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hansard.database.statement import Row
from hansard.database.violations import ConstraintViolation, Violated
from hansard.errors import AlreadyExists, InvalidInput
from hansard.models import ConversationCreate, ConversationPlace, ConversationRead
from hansard.models.conversation import TITLE_SOURCES
from hansard.models.limits import (
    EXTERNAL_ID_CODE_POINTS,
    PAGE_ITEMS,
    SOURCE_CODE_POINTS,
    TITLE_CODE_POINTS,
    check_choice,
    check_count,
    check_metadata,
    check_text,
    check_title,
)
from hansard.store.contract import KEEP, Keep, NewItem, Page, TitleSource
from hansard.store.drafts import drafts_of
from hansard.store.refusals import no_conversation, refuse_revision, taken
from hansard.store.scope import Scope, Step
from hansard.store.statements import conversations as sql
from hansard.store.writing import plain_steps
from hansard.utils.ids import new_uuid
from hansard.utils.json_text import write_json


@dataclass(frozen=True, slots=True)
class SqlConversations:
    """Implement `hansard.store.contract.Conversations`."""

    scope: Scope

    async def create(self, new: ConversationCreate | None = None, *, items: Sequence[NewItem] = ()) -> ConversationRead:  # noqa: D102 - see the contract
        new = new or ConversationCreate()
        conversation_id = new_uuid()
        drafts = drafts_of(items, limit=self.scope.max_item_bytes)
        steps: list[Step] = [(sql.INSERT, insert_values(conversation_id, new))]
        if drafts:
            steps += plain_steps(self.scope.database, conversation_id, drafts)
        steps.append((sql.GET, {"conversation_id": conversation_id}))
        try:
            results = await self.scope.write(steps)
        except ConstraintViolation as violation:
            if violation.kind is Violated.UNIQUE:
                raise taken(violation) from None
            raise
        return ConversationRead._make(results[-1][0])

    async def ensure(self, new: ConversationCreate) -> ConversationRead:  # noqa: D102
        if new.external_id is None:
            raise InvalidInput("external_id must be given", param="external_id", code="missing_required_parameter")
        found = await self.find(source=new.source, external_id=new.external_id)
        if found is not None:
            return found
        try:
            return await self.create(new)
        except AlreadyExists:
            found = await self.find(source=new.source, external_id=new.external_id)
            assert found is not None
            return found

    async def get(self, conversation_id: UUID) -> ConversationRead:  # noqa: D102
        [rows] = await self.scope.read([(sql.GET, {"conversation_id": conversation_id})])
        return _one(rows, conversation_id)

    async def find(self, *, source: str, external_id: str) -> ConversationRead | None:  # noqa: D102
        check_text(source, param="source", longest=SOURCE_CODE_POINTS)
        check_text(external_id, param="external_id", longest=EXTERNAL_ID_CODE_POINTS)
        [rows] = await self.scope.read([(sql.FIND, {"source": source, "external_id": external_id})])
        return ConversationRead._make(rows[0]) if rows else None

    async def list(  # noqa: D102
        self, *, limit: int = 20, after: ConversationPlace | None = None, archived: bool = False
    ) -> Page[ConversationRead]:
        check_count(limit, param="limit", most=PAGE_ITEMS)
        values: dict[str, Any] = {"limit": limit + 1}
        if after is not None:
            if after.last_message_at.tzinfo is None:
                raise InvalidInput("after must carry a time with its time zone", param="after")
            values |= {"after_time": after.last_message_at, "after_id": after.id}
        [rows] = await self.scope.read([(sql.LIST[archived, after is not None], values)])
        return Page([ConversationRead._make(row) for row in rows[:limit]], has_more=len(rows) > limit)

    async def update(  # noqa: D102
        self,
        conversation_id: UUID,
        *,
        title: str | Keep | None = KEEP,
        metadata: Mapping[str, str] | Keep | None = KEEP,
        archived: bool | Keep = KEEP,
        expected_revision: int | None = None,
    ) -> ConversationRead:
        values = {
            "conversation_id": conversation_id,
            "expected_revision": expected_revision,
            "set_title": title is not KEEP,
            "title": None if title is KEEP else check_title(title),
            "set_metadata": metadata is not KEEP,
            "metadata": None if metadata is KEEP else _metadata_json(check_metadata(metadata)),
            "set_archived": archived is not KEEP,
            "archived": archived is True,
        }
        [rows] = await self.scope.write([(sql.UPDATE, values)], idempotent=expected_revision is None)
        if not rows and expected_revision is not None:
            await refuse_revision(self.scope, conversation_id, expected_revision)
        return _one(rows, conversation_id)

    async def rename(self, conversation_id: UUID, title: str | None) -> ConversationRead:  # noqa: D102
        return await self.update(conversation_id, title=title)

    async def archive(self, conversation_id: UUID, *, archived: bool = True) -> ConversationRead:  # noqa: D102
        return await self.update(conversation_id, archived=archived)

    async def suggest_title(self, conversation_id: UUID, title: str, *, source: TitleSource = "auto") -> bool:  # noqa: D102
        values = {
            "conversation_id": conversation_id,
            "title": check_text(title, param="title", longest=TITLE_CODE_POINTS, shortest=1),
            "title_source": source,
            "rank": sql.TITLE_RANK[check_choice(source, param="source", choices=TITLE_SOURCES)],
        }
        [rows] = await self.scope.write([(sql.SUGGEST_TITLE, values)], idempotent=True)
        return bool(rows)

    async def delete(self, conversation_id: UUID) -> bool:  # noqa: D102
        [rows] = await self.scope.write([(sql.DELETE, {"conversation_id": conversation_id})])
        return bool(rows)


def insert_values(conversation_id: UUID, new: ConversationCreate) -> dict[str, Any]:
    """Return the values of the statement that makes a conversation."""
    return {
        "conversation_id": conversation_id,
        "source": new.source,
        "external_id": new.external_id,
        "listed": new.listed,
        "title": new.title,
        "title_source": None if new.title is None else "user",
        "metadata": _metadata_json(new.metadata),
    }


def _metadata_json(metadata: Mapping[str, str]) -> str | None:
    return write_json(dict(metadata)).decode() if metadata else None


def _one(rows: Sequence[Row], conversation_id: UUID) -> ConversationRead:
    if not rows:
        raise no_conversation(conversation_id)
    return ConversationRead._make(rows[0])
