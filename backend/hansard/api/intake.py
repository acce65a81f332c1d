"""Take in the items that a client sends: check them, settle their ids, make them what is stored.

An id that a client sends never becomes an item's id. It may name an item that is already here (refused) or one of
the same user's in another conversation (copied, with its stored content); any other id means nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from hansard.api.bodies import missing, wrong_type
from hansard.api.wire import find_items, normalise
from hansard.errors import InvalidInput, NotFound, TooLarge
from hansard.models.kinds import KINDS, Types
from hansard.models.limits import JsonObject
from hansard.models.message import MessageRead
from hansard.store.contract import UserStore

MOST_ITEMS: Final = 20
# A whole history may be sent to a turn, but not one that takes minutes to store.
MOST_INPUT_ITEMS: Final = 10_000
# So many items at once are held before their sizes are known.
_AT_ONCE: Final = 100
ROLES: Final = ("user", "assistant", "system", "developer", "tool")
REFERENCE: Final = "item_reference"
STATUSES: Final = ("in_progress", "completed", "incomplete")
STATUS_CHECKED: Final = frozenset({"message", "function_call", "function_call_output"})
PART_TEXTS: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
_EXPECTED: Final[dict[Types, str]] = {
    (str,): "a string",
    (list,): "an array",
    (dict,): "an object",
    (bool,): "a boolean",
    (str, list): "a string or an array",
}


def check_items(value: object, *, param: str = "items", most: int = MOST_ITEMS) -> list[JsonObject]:
    """Return the items of a request, each checked as far as the API has rules for its type.

    Raises `InvalidInput` with a path such as ``items[3].call_id``; beyond ``most`` items, `TooLarge`.
    """
    if not isinstance(value, list):
        raise wrong_type(value, param=param, expected="an array")
    if len(value) > most:
        message = f"'{param}' has {len(value)} items; the limit is {most}."
        raise TooLarge(message, param=param, code="array_above_max_length")
    return [_check_item(item, param=f"{param}[{index}]") for index, item in enumerate(value)]


async def settle_items(
    store: UserStore,
    items: Sequence[JsonObject],
    *,
    limit: int,
    conversation_id: UUID | None = None,
    param: str = "items",
) -> list[JsonObject]:
    """Return what is to be stored in the conversation (``None``: one that is yet to be made) for checked items.

    Raises `InvalidInput` for an item that is in the conversation already, `NotFound` for a reference to none, and
    `TooLarge` where the stored items that are named, each as often as it is, have more than ``limit`` bytes.
    """
    named = [item["id"] for item in items if item.get("id") is not None]
    found = await _find(store, Counter(named), limit, param=param) if named else {}
    return [
        _settle(item, found.get(item.get("id") or ""), conversation_id=conversation_id, param=f"{param}[{index}]")
        for index, item in enumerate(items)
    ]


async def _find(store: UserStore, named: Counter[str], limit: int, *, param: str) -> dict[str, MessageRead]:
    found: dict[str, MessageRead] = {}
    names, size = list(named), 0
    for start in range(0, len(names), _AT_ONCE):
        piece = await find_items(store.items, names[start : start + _AT_ONCE])
        # A name is short, whatever it stands for.
        size += sum(named[name] * _size(read) for name, read in piece.items())
        if size > limit:
            message = f"The items that '{param}' names by their ids have more than {limit} bytes in all."
            raise TooLarge(message, param=param, code="references_too_large")
        found |= piece
    return found


def _size(read: MessageRead) -> int:
    return len(read.content.encode()) if read.payload is None else len(read.payload)


def is_reference(item: JsonObject) -> bool:
    """Say whether an item only names another one; the type may be left out."""
    return item.get("type", REFERENCE) in (REFERENCE, None) and "role" not in item and "id" in item


def _settle(item: JsonObject, found: MessageRead | None, *, conversation_id: UUID | None, param: str) -> JsonObject:
    if found is not None and found.conversation_id == conversation_id:
        raise InvalidInput("Item already in conversation", param=f"{param}.id", code="item_already_in_conversation")
    if found is not None:
        return found.item
    if is_reference(item):
        raise NotFound("item", item["id"])
    return normalise(item)


def _check_item(item: object, *, param: str) -> JsonObject:
    if not isinstance(item, dict):
        raise wrong_type(item, param=param, expected="an object")
    sent = item.get("id")
    if sent is not None and not isinstance(sent, str):
        raise wrong_type(sent, param=f"{param}.id", expected="a string")
    if is_reference(item):
        if sent is None:
            raise missing(f"{param}.id")
        return item
    _check_fields(item, _kind_of(item, param=param), param=param)
    return item


def _kind_of(item: JsonObject, *, param: str) -> str:
    kind = item.get("type")
    if kind is None and "role" in item:
        return "message"
    if kind is None:
        raise missing(f"{param}.type")
    if not isinstance(kind, str):
        raise wrong_type(kind, param=f"{param}.type", expected="a string")
    if kind == REFERENCE:
        raise missing(f"{param}.id")
    return kind


def _check_fields(item: JsonObject, kind: str, *, param: str) -> None:
    known = KINDS.get(kind)
    if known is None:
        return
    for name, types in known.fields.items():
        if name not in item:
            raise missing(f"{param}.{name}")
        if not isinstance(item[name], types):
            raise wrong_type(item[name], param=f"{param}.{name}", expected=_EXPECTED[types])
    _check_status(item.get("status"), kind, param=f"{param}.status")
    if kind == "message":
        _check_message(item, param=param)


def _check_status(status: object, kind: str, *, param: str) -> None:
    if status is None:
        return
    if not isinstance(status, str):
        raise wrong_type(status, param=param, expected="a string")
    if kind in STATUS_CHECKED and status not in STATUSES:
        raise _not_one_of(STATUSES, param=param)


def _check_message(item: JsonObject, *, param: str) -> None:
    if item["role"] not in ROLES:
        raise _not_one_of(ROLES, param=f"{param}.role")
    if isinstance(item["content"], list):
        for index, part in enumerate(item["content"]):
            _check_part(part, param=f"{param}.content[{index}]")


def _check_part(part: object, *, param: str) -> None:
    if not isinstance(part, dict):
        raise wrong_type(part, param=param, expected="an object")
    kind = part.get("type")
    if kind is None:
        raise missing(f"{param}.type")
    if not isinstance(kind, str):
        raise wrong_type(kind, param=f"{param}.type", expected="a string")
    text = PART_TEXTS.get(kind)
    if text is None:
        return
    if text not in part:
        raise missing(f"{param}.{text}")
    if not isinstance(part[text], str):
        raise wrong_type(part[text], param=f"{param}.{text}", expected="a string")


def _not_one_of(allowed: Sequence[str], *, param: str) -> InvalidInput:
    # The wrong value is not repeated: it may hold anything.
    names = ", ".join(f"'{name}'" for name in allowed)
    return InvalidInput(f"Invalid value for '{param}': it must be one of {names}.", param=param)
