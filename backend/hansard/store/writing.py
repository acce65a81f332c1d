"""Compose the statements that give items their positions: a pair, or the call of a function that runs such a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.sql import Executable

from hansard.database import Database
from hansard.database.statement import Row
from hansard.store.drafts import Draft
from hansard.store.scope import Step
from hansard.store.statements import conversations, items
from hansard.store.titles import first_message_title


class Writing(NamedTuple):
    """Hold the statements that append: plain ones, or ones that also ask for a condition."""

    reserve: Executable
    insert_row: Executable
    insert_arrays: Executable


PLAIN = Writing(conversations.RESERVE, items.INSERT_ROW, items.INSERT_ARRAYS)


def plain_steps(database: Database, conversation_id: UUID, drafts: Sequence[Draft]) -> list[Step]:
    """Return the steps that append ``drafts`` whatever else happened: the row of the first is (next_position, time)."""
    if database.functions:
        return [_call(conversation_id, drafts)]
    return append_steps(conversation_id, drafts, arrays=database.arrays)


def append_steps(
    conversation_id: UUID,
    drafts: Sequence[Draft],
    *,
    arrays: bool,
    writing: Writing = PLAIN,
    expected_revision: int | None = None,
) -> list[Step]:
    """Return the steps that append ``drafts``: first the reservation, whose row is (next_position, time)."""
    reserve = {
        "conversation_id": conversation_id,
        "count": len(drafts),
        "auto_title": first_message_title(one.columns for one in drafts),
        "expected_revision": expected_revision,
    }
    return [(writing.reserve, reserve), *insert_steps(conversation_id, drafts, arrays=arrays, writing=writing)]


def insert_steps(
    conversation_id: UUID, drafts: Sequence[Draft], *, arrays: bool, writing: Writing = PLAIN
) -> list[Step]:
    """Return the steps that fill the positions just reserved."""
    common = {"conversation_id": conversation_id, "count": len(drafts)}
    rows = _rows(drafts)
    # A single item is cheaper to bind and to plan without arrays: half the client's work for an append.
    if arrays and len(rows) > 1:
        return [(writing.insert_arrays, common | _arrays(rows))]
    return [(writing.insert_row, common | {"offset": at} | _single(row)) for at, row in enumerate(rows)]


def _call(conversation_id: UUID, drafts: Sequence[Draft]) -> Step:
    common = {"conversation_id": conversation_id, "auto_title": first_message_title(one.columns for one in drafts)}
    rows = _rows(drafts)
    if len(rows) == 1:
        return items.APPEND_ROW, common | _single(rows[0])
    return items.APPEND_ARRAYS, common | _arrays(rows)


def _rows(drafts: Sequence[Draft]) -> list[Row]:
    return [(*one.columns, one.client_id, one.public_id) for one in drafts]


def _single(row: Row) -> dict[str, Any]:
    return dict(zip(items.BROUGHT, row, strict=True))


def _arrays(rows: Sequence[Row]) -> dict[str, Any]:
    return dict(zip(items.BROUGHT, map(list, zip(*rows, strict=True)), strict=True))
