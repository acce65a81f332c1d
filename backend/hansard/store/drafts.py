"""Turn what callers hand in into what a row needs, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hansard.errors import InvalidInput
from hansard.models import MessageCreate
from hansard.models.verbatim import ItemColumns, encode_item
from hansard.store.contract import NewItem


class Draft(NamedTuple):
    """Hold an item that is checked and encoded but has no position yet."""

    columns: ItemColumns
    client_id: str | None
    public_id: bytes | None


def draft(item: NewItem, *, param: str, limit: int) -> Draft:
    """Return the draft of one item; raises `InvalidInput` naming ``param``."""
    if isinstance(item, MessageCreate):
        return Draft(encode_item(item.item, param=param, limit=limit), item.client_id, item.public_id)
    return Draft(encode_item(item, param=param, limit=limit), None, None)


def drafts_of(items: Sequence[NewItem], *, limit: int, param: str = "items") -> list[Draft]:
    """Return the drafts of a batch; an error names the item by its place."""
    drafts = [draft(item, param=f"{param}[{at}]", limit=limit) for at, item in enumerate(items)]
    client_ids = [one.client_id for one in drafts if one.client_id is not None]
    if len(set(client_ids)) < len(client_ids):
        raise InvalidInput("a client_id may stand only once in a batch", param=param, code="duplicate_client_id")
    return drafts
